//! Runs every query of every panel on a real Prometheus that scrapes real agents, before and while registries fail.
//!
//! Each state has its own registry and nodes, and all fail at once, so one Prometheus covers them in one run. The results of
//! the panels are pinned in `tests/golden/dashboards`: in full for the healthy fleet, and the differences for each fault. The
//! same Prometheus has the shipped alert rules; `PAGES` lists the alerts that arrive at a receiver behind an Alertmanager.
//! The cluster is named after the state; the healthy fleet has no cluster name, as outside Azure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::paging::Pager;
use super::states::{Fleet, HEALTHY, STATES, scraping};
use generate::dashboards::{NAMES, Query, ask, queries, read};
use lab::settings::View;
use support::prometheus::{Prometheus, installed};

/// Longer than the back-off of a throttled agent: eight intervals of 2 s.
pub(super) const WINDOW: Duration = Duration::from_secs(20);
/// Age below which a value is new: above `WINDOW`, and below the duration of the faults.
const NEW: f64 = 22.0;
/// Time for a busy machine to reach a state.
const PATIENCE: Duration = Duration::from_secs(90);

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64()
}

/// Formats a value for pinning; values that depend on the speed of the machine are reduced to their kind.
fn shown(query: &Query, value: f64) -> String {
    let depends = ["rate(", "increase(", "histogram_quantile("];
    if depends.iter().any(|word| query.expression.contains(word)) {
        let kind = if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "some"
        } else {
            "0"
        };
        return kind.to_owned();
    }
    if query.unit == "s" {
        return match value {
            value if value < 0.0 => "over".to_owned(),
            value if value > 86_400.0 => format!("{:.0} days", value / 86_400.0),
            _ if query.panel == "Last reload" => "under a day".to_owned(),
            value if value < NEW => "new".to_owned(),
            _ => "a while".to_owned(),
        };
    }
    let rounded = format!("{value:.2}");
    rounded.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Formats labels as `name=value`, without values that differ between runs.
fn labels(metric: &Value) -> String {
    let mut words = Vec::new();
    for (name, value) in metric.as_object().expect("labels") {
        let value = value.as_str().expect("text");
        let value = match name.as_str() {
            "registry" => value.split(':').next().unwrap_or_default(),
            "version" | "revision" => "…",
            _ => value,
        };
        words.push(format!("{name}={value}"));
    }
    words.join(" ")
}

/// Returns the words of a legend apart from the labels.
fn words_of(legend: &str) -> String {
    let words = legend.split(' ').filter(|word| !word.contains("{{") && *word != "__auto");
    words.map(|word| format!("{word} ")).collect()
}

/// The sorted results of each query of each panel.
type Said = BTreeMap<(usize, String), Vec<String>>;

fn look(prometheus: &Prometheus, fleet: &Fleet, since: f64, until: f64) -> Said {
    let mut said = Said::new();
    for (dashboard, name) in NAMES.into_iter().enumerate() {
        let chosen = fleet.chosen(name, since, until);
        for (number, query) in queries(&read(name)).into_iter().enumerate() {
            let mut lines = Vec::new();
            for (metric, samples) in ask(prometheus, &query, &chosen, (since, until, 1.0)) {
                // The values of buckets depend on the speed of the machine; their presence does not.
                if query.kind == "heatmap" && metric["le"] != "+Inf" {
                    continue;
                }
                let said = course(&query, &samples, since, until);
                lines.push(format!("    {}{{{}}} {said}", words_of(&query.legend), labels(&metric)));
            }
            lines.sort();
            let place = dashboard * 1000 + number;
            said.insert((place, format!("{name}: {}", query.panel)), lines);
        }
    }
    said
}

/// Formats the current value, and the first one if it differs.
fn course(query: &Query, samples: &[(f64, f64)], since: f64, until: f64) -> String {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
        return "nothing".to_owned();
    };
    if query.instant {
        return shown(query, last.1);
    }
    let at = |(time, value): &(f64, f64), moment: f64| {
        if (time - moment).abs() < 1.5 { shown(query, *value) } else { "-".to_owned() }
    };
    let depends = ["rate(", "increase("].iter().any(|word| query.expression.contains(word));
    // The first values of a rate depend on when the agent started.
    if depends { at(last, until) } else { format!("{} -> {}", at(first, since), at(last, until)) }
}

/// Formats the panels with a changed result.
fn text(said: &Said, before: Option<&Said>) -> String {
    let mut text = String::new();
    let mut panel = String::new();
    for (key, lines) in said {
        if before.is_some_and(|before| before.get(key) == Some(lines)) {
            continue;
        }
        if panel != key.1 {
            text.push_str(&format!("{}\n", key.1));
            panel.clone_from(&key.1);
        }
        let nothing = ["    nothing".to_owned()];
        for line in if lines.is_empty() { &nothing[..] } else { lines } {
            text.push_str(&format!("{line}\n"));
        }
    }
    text
}

/// The alerts that arrive for each registry, and for no registry: one per outage, since the others are inhibited.
const PAGES: [(&str, &[&str]); 13] = [
    ("healthy", &[]),
    ("zone", &["AcrVerifierPublicPathInUseFromNode"]),
    ("public", &["AcrVerifierPublicPathInUse"]),
    ("storage", &["AcrVerifierDataPathBroken", "AcrVerifierPublicPathInUseFromNode"]),
    ("rejected", &["AcrVerifierCredentialsRejected"]),
    ("expiring", &["AcrVerifierCertificateExpiring", "AcrVerifierCredentialsExpiring"]),
    ("disagree", &["AcrVerifierResolversDisagree"]),
    ("silent", &["AcrVerifierRegistryUnreachableFromNode"]),
    ("missing", &["AcrVerifierImageNotPullable"]),
    ("throttled", &["AcrVerifierChecksInconclusive"]),
    ("refused", &["AcrVerifierRegistryUnreachable"]),
    ("full", &["AcrVerifierDataPathBroken", "AcrVerifierRegistryUnreachableFromNode"]),
    ("", &["AcrVerifierAgentAbsent", "AcrVerifierConfigurationReloadFailed"]),
];

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "{what} does not come");
        std::thread::sleep(Duration::from_millis(250));
    }
}

#[test]
fn every_panel_shows_the_expected_values_in_every_state() {
    if !installed("prometheus") || !installed("prometheus-alertmanager") {
        return;
    }
    let fleets: Vec<Fleet> = STATES.iter().map(Fleet::start).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let pager = Pager::start(folder.path());
    let config = format!("{}{}", scraping(&fleets), pager.rules(folder.path()));
    let prometheus = Prometheus::start(&config, folder.path());
    let agents = fleets.iter().map(|fleet| fleet.agents.len()).sum::<usize>();
    let count = |expression: &str| {
        prometheus
            .query(expression)
            .and_then(|series| series.first().map(|(_, value)| *value))
            .unwrap_or_default()
    };
    // The healthy fleet has two series per node.
    wait_until("health", || count("count(acr_verifier_check_success == 1)") >= (agents + 2) as f64);
    let since = now();
    std::thread::sleep(Duration::from_secs(5));
    let until = now();
    let before: Vec<Said> = fleets.iter().map(|fleet| look(&prometheus, fleet, since, until)).collect();

    fleets.iter().for_each(Fleet::break_it);
    for state in STATES.iter().filter(|state| !state.cause.is_empty()) {
        let reported =
            format!("count(acr_verifier_cause{{cluster='{}',cause='{}'}})", state.name, state.cause);
        let expected = if state.name == "zone" { 1 } else { state.nodes };
        wait_until(state.cause, || count(&reported) >= expected as f64);
    }
    wait_until("the refusal", || count("count(acr_verifier_config_last_reload_successful == 0)") >= 1.0);
    // Until no rate contains an older sample and ages are visible.
    std::thread::sleep(WINDOW + Duration::from_secs(6));
    let until = now();
    let mut after: Vec<Said> = fleets.iter().map(|fleet| look(&prometheus, fleet, since, until)).collect();
    // A check that ran while its registry changed has seen one endpoint before and one after the change.
    for lines in after.iter_mut().flat_map(BTreeMap::values_mut) {
        lines.retain(|line| !line.ends_with(" - -> -"));
    }

    let mut results = BTreeMap::new();
    for ((fleet, before), after) in fleets.iter().zip(&before).zip(&after) {
        let path = format!("tests/golden/dashboards/{}.txt", fleet.state.name);
        let text = if fleet.state.name == HEALTHY {
            assert_eq!(text(after, Some(before)), "", "the healthy fleet must not change");
            text(after, None)
        } else {
            text(after, Some(before))
        };
        expectorate::assert_contents(path, &text);
        for (key, lines) in before.iter().chain(after) {
            *results.entry(key.clone()).or_insert(0) += lines.len();
        }
    }
    for (query, lines) in results {
        assert!(lines > 0, "{query:?} has no result in any state");
    }

    for (registry, alerts) in PAGES {
        assert_eq!(pager.fired(registry), alerts, "{registry}");
    }

    // After the fix, the causes are gone and the history is still visible.
    let zone = fleets.iter().position(|fleet| fleet.state.name == "zone").expect("a state");
    fleets[zone].lab.change(|settings| settings.nameservers[1].login = View::Private);
    wait_until("recovery", || count("count(acr_verifier_check_success{cluster='zone'} == 1)") >= 3.0);
    wait_until("the end of the page", || pager.has("AcrVerifierPublicPathInUseFromNode", "zone", "resolved"));
    // The last step of a range is up to a second before its end.
    std::thread::sleep(Duration::from_secs(3));
    let until = now();
    let recovered = text(&look(&prometheus, &fleets[zone], since, until), Some(&before[zone]));
    for line in [
        "overview: Verdicts of nodes with a problem\n    {cluster=zone node=zone-2} 0 -> 0\n",
        "node: Causes\n    {cause=private_zone_not_linked registry=zone.azurecr.io severity=fail} - -> -\n",
    ] {
        assert!(recovered.contains(line), "{line}\n{recovered}");
    }
    for title in
        ["Nodes whose check passes", "Problems by cause", "Public answers", "Current causes", "Verdict\n"]
    {
        assert!(!recovered.contains(&format!(": {title}")), "{title} did not recover:\n{recovered}");
    }
}
