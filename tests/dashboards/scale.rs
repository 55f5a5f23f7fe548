//! The overview for a thousand nodes must stay readable. Its picture is current.

use generate::dashboards::picture::{self, PICTURE};
use generate::dashboards::thousand::{NODES, TROUBLES, answers, name};
use generate::dashboards::{Answer, read};
use serde_json::Value;
use support::prometheus::installed;

#[test]
fn the_overview_stays_readable_with_a_thousand_nodes() {
    if !installed("promtool") || !installed("prometheus") {
        return;
    }
    let dashboard = read("overview");
    let (answers, times) = answers(&dashboard);
    for (query, answer) in &answers {
        assert!(answer.len() <= 40, "{} has {} rows", query.panel, answer.len());
    }
    let of = |panel: &str| -> &Answer {
        &answers
            .iter()
            .find(|(query, _)| query.panel == panel)
            .unwrap_or_else(|| panic!("no panel {panel}"))
            .1
    };
    let one = |panel: &str| of(panel)[0].1[0].1;
    assert!((one("Nodes whose check passes") - 0.997).abs() < 1e-9);
    assert!((one("Nodes whose check fails") - 3.0).abs() < 1e-9);
    assert!((one("Reporting nodes") - 1000.0).abs() < 1e-9);

    // All 1,000 nodes warn; the rows show those that fail, then others up to the limit.
    let problems = of("Nodes with a problem");
    let failing = problems.iter().filter(|(_, samples)| samples[0].1 > 2.5).count();
    assert_eq!((problems.len(), failing), (40, 3));
    let timeline = of("Verdicts of nodes with a problem");
    assert_eq!(timeline.len(), 40);
    let shown: Vec<&Value> = timeline.iter().map(|(metric, _)| &metric["node"]).collect();
    for node in (0..NODES).filter(|node| (TROUBLES[0].nodes)(*node) || (TROUBLES[2].nodes)(*node)) {
        assert!(shown.contains(&&Value::from(name(node))), "{} failed longest and is not shown", name(node));
    }
    let by_cause = of("Problems by cause");
    let row = |cause: &str| {
        let row = by_cause.iter().find(|(metric, _)| metric["cause"] == cause);
        row.map(|(metric, samples)| (metric["stage"].as_str(), samples[0].1))
    };
    assert_eq!(row("credentials_rejected"), Some((Some("token"), 3.0)));
    assert_eq!(row("certificate_expiring"), Some((None, 1000.0)));
    assert_eq!(by_cause.len(), 2, "{by_cause:?}");

    let drawn = picture::draw(&dashboard, &answers, (times.0, times.1));
    assert!(drawn.len() < 100_000, "{} bytes", drawn.len());
    generate::assert_current(&[generate::File::new(PICTURE, drawn)]);
}
