//! The alert rules: Prometheus accepts them, each is tested and has a runbook section, and they use only exported names.
//!
//! The package `generate` generates all forms from the chart's file. Without Debian's package `prometheus`, the unit tests of the rules print
//! `SKIPPED prometheus: …` and pass; `ACR_VERIFIER_REQUIRE_PROMETHEUS=1` makes that a failure.

mod forms;
mod names;
mod paging;
mod states;
mod transients;

use std::path::PathBuf;
use std::process::Command;

use acr_verifier::report::RUNBOOK;
use generate::alerts::alerts;

/// The test cases that every alert must have.
const KINDS: [&str; 5] = [
    "fires and resolves",
    "does not fire just below",
    "survives a missing series",
    "survives a restart",
    "ends when the node leaves",
];
/// The unit test files, sorted by path.
fn tests() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/alerts");
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut tests: Vec<_> = entries.filter(|path| path.to_string_lossy().ends_with(".test.yaml")).collect();
    tests.sort();
    tests
}

fn promtool(arguments: &[&str], files: &[PathBuf]) {
    if !support::prometheus::installed("promtool") {
        return;
    }
    let output = Command::new("promtool").args(arguments).args(files).output().expect("promtool runs");
    let printed = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&printed));
}

#[test]
fn prometheus_accepts_the_rules() {
    let rules = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("dashboards/alerts/acr-verifier.rules.yaml");
    promtool(&["check", "rules", "--lint=all", "--lint-fatal"], &[rules]);
}

/// Runs several files in parallel: promtool itself is sequential.
#[test]
fn the_unit_tests_of_the_rules_pass() {
    let (files, at_a_time) = (tests(), 4);
    std::thread::scope(|scope| {
        for share in 0..at_a_time {
            let files = files.iter().skip(share).step_by(at_a_time).cloned();
            scope.spawn(move || files.for_each(|file| promtool(&["test", "rules"], &[file])));
        }
    });
}

#[test]
fn every_alert_has_tests_annotations_and_a_runbook_link() {
    let tests: Vec<String> =
        tests().iter().map(|path| std::fs::read_to_string(path).expect("a test")).collect();
    for (name, rule) in alerts() {
        let first = format!("# {name}: ");
        let file = tests
            .iter()
            .find(|test| test.starts_with(&first))
            .unwrap_or_else(|| panic!("{name} has no test"));
        for kind in KINDS {
            assert!(file.contains(&format!("\n  - name: {kind}\n")), "{name}: no test that it {kind}");
        }
        assert!(file.contains("exp_annotations:\n"), "{name}: no test of its message");
        let annotations = rule.annotations.expect("annotations");
        for text in [&annotations.summary, &annotations.description] {
            assert!(
                text.contains("{{ with or $labels.cluster $externalLabels.cluster }}"),
                "{name}: no cluster"
            );
            let has_registry = rule.expr.contains("by (cluster, registry") || rule.expr.contains("registry:");
            assert!(text.contains("$labels.registry") || !has_registry, "{name}: no registry");
        }
        assert!(annotations.summary.ends_with('.') && !annotations.summary.contains('\n'), "{name}");
        assert!(rule.wait.is_some(), "{name} would fire immediately");
        assert_eq!(annotations.runbook_url, format!("{RUNBOOK}#{}", name.to_lowercase()));
    }
}
