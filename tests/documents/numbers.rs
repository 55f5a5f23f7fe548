//! Numbers: those of benchmarks are in the results of the benchmarks, and others follow from what the tests pin.

use regex::Regex;
use support::markdown::{Cell, Page};

/// The results, each with its command.
const RESULTS: &str = "tests/bench/README.md";
/// Sections with measured numbers.
const MEASURED: [(&str, &str); 2] =
    [("README.md", "Benchmarks"), ("docs/scaling.md", "Resources of the agent")];
/// Series of a node without any registry, and of a healthy registry with and without histograms.
const SERIES: [f64; 3] = [14.0, 169.0, 40.0];
/// Series of a workspace of Azure Monitor by default.
const WORKSPACE: f64 = 1e6;

/// Returns the numbers of a text, without names such as `containerd 2`.
fn numbers(text: &str) -> Vec<String> {
    let pattern = Regex::new(r"(?:^|[^\w.,-])(\d[\d,]*(?:\.\d+)?)").expect("a pattern");
    pattern.captures_iter(text).map(|found| found[1].trim_end_matches(',').to_owned()).collect()
}

#[test]
fn measured_numbers_are_results() {
    let results: Vec<String> = numbers(&Page::read(RESULTS).text);
    for (page, heading) in MEASURED {
        let rows = Page::read(page).section(heading).rows();
        assert!(rows.len() >= 3, "{page}: {heading}");
        for row in rows {
            for number in row.iter().flat_map(|cell| numbers(&cell.text)) {
                assert!(results.contains(&number), "{page}: {number} is not in {RESULTS}: {row:?}");
            }
        }
    }
}

#[test]
fn the_series_of_fleets_are_calculated() {
    let number = |cell: &Cell| -> f64 {
        let digits = cell.text.replace([',', ' ', '%', 'M'], "");
        digits.parse().unwrap_or_else(|error| panic!("{}: {error}", cell.text))
    };
    let rows = Page::read("docs/scaling.md").section("Series").rows();
    assert_eq!(rows.len(), 4);
    let [of_node, of_registry, reduced] = SERIES;
    for row in rows {
        let (nodes, registries) = row[0].text.split_once(" × ").expect("nodes and registries");
        let nodes: f64 = nodes.replace(',', "").parse().expect("a number");
        let registries: f64 = registries.parse().expect("a number");
        for (cells, each) in [(&row[1..4], of_registry), (&row[4..7], reduced)] {
            let series = nodes * (registries * each + of_node);
            let samples = (series * 24.0 * 60.0 / 1e6).round();
            let share = (series / WORKSPACE * 1000.0).round() / 10.0;
            assert_eq!(cells.iter().map(number).collect::<Vec<_>>(), [series, samples, share], "{row:?}");
        }
    }
}
