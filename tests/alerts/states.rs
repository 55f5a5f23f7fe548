//! What pages: for each state of a fleet, the alerts that fire while it lasts, and that none is left after it.
//!
//! Writes a unit test of promtool for the shipped rules from `table`. The alerts' own tests are in the `.test.yaml` files.

mod series;
mod table;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use acr_verifier::cause::Cause;
use acr_verifier::verdict::Severity;
use generate::alerts::rules;

use series::{Node, Times, Writer};
use table::STATES;

/// Minutes of health after a state.
const AFTER: usize = 60;

/// The DaemonSets of the agents, by the first node that they want.
type Releases = &'static [(usize, &'static str)];

struct State {
    name: &'static str,
    nodes: usize,
    times: Times,
    node: fn(usize) -> Node,
    releases: Releases,
    /// Whether the monitoring has `kube_pod_info`.
    has_pods: bool,
    /// The alerts that fire, with their severity and number.
    fires: Fires,
}

type Fires = &'static [(&'static str, &'static str, usize)];

impl State {
    /// An hour in a fleet of sixteen nodes.
    const fn of(name: &'static str, node: fn(usize) -> Node, fires: Fires) -> Self {
        let times = Times { before: 30, lasts: 60, after: AFTER };
        Self { name, nodes: 16, times, node, releases: &[(0, "acr-verifier")], has_pods: true, fires }
    }

    const fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes;
        self
    }

    /// Sets the minutes before the state, and how many it lasts.
    const fn minutes(mut self, before: usize, lasts: usize) -> Self {
        self.times = Times { before, lasts, after: AFTER };
        self
    }

    const fn releases(mut self, releases: Releases) -> Self {
        self.releases = releases;
        self
    }

    const fn without_pods(mut self) -> Self {
        self.has_pods = false;
        self
    }
}

fn expectation(text: &mut String, expr: &str, minute: usize, samples: &[(String, usize)]) {
    write!(text, "      - expr: {expr}\n        eval_time: {minute}m\n        exp_samples:").expect("memory");
    if samples.is_empty() {
        text.push_str(" []");
    }
    for (labels, value) in samples {
        write!(text, "\n          - {{labels: '{{{labels}}}', value: {value}}}").expect("memory");
    }
    text.push('\n');
}

/// Writes the expectations of a state.
fn expectations(text: &mut String, state: &State) {
    let Times { before, lasts, after } = state.times;
    text.push_str("    promql_expr_test:\n");
    let firing = "ALERTS{alertstate=\"firing\"}";
    let by_name = |firing: &str| format!("count by (alertname, severity) ({firing})");
    // An hour without the path is more than a day's share of the error budget; that stays true for a day.
    let rest = "ALERTS{alertstate=\"firing\",alertname!~\"AcrVerifierErrorBudgetBurn(1d|3d)\"}";
    let sample = |(alert, severity, count): &(&str, &str, usize)| {
        (format!("alertname=\"{alert}\",severity=\"{severity}\""), *count)
    };
    let during: Vec<(String, usize)> = state.fires.iter().map(sample).collect();
    let pages: Vec<(String, usize)> =
        state.fires.iter().filter(|(_, severity, _)| *severity == "critical").map(sample).collect();
    let end = before + lasts + after - 1;
    expectation(text, &by_name(firing), before - 1, &[]);
    expectation(text, &by_name(firing), before + lasts - 5, &during);
    expectation(text, &by_name(rest), end, &[]);
    // No other alert pages at any time.
    let critical = "ALERTS{alertstate=\"firing\",severity=\"critical\"}";
    expectation(text, &by_name(&format!("last_over_time({critical}[{end}m])")), end, &pages);
}

fn unit_test(rules: &Path, states: &[&State]) -> String {
    let mut text = format!(
        "rule_files: ['{}']\nevaluation_interval: 1m\ngroup_eval_order: [acr-verifier.outage, acr-verifier.recording, \
         acr-verifier.days, acr-verifier.path, acr-verifier.agents, acr-verifier.counters, acr-verifier.slo]\ntests:\n",
        rules.display()
    );
    for &state in states {
        write!(text, "  - name: {}\n    interval: 1m\n    input_series:\n", state.name).expect("memory");
        let release = |number: usize| {
            state.releases.iter().rev().find(|(first, _)| *first <= number).expect("a release").1
        };
        let mut writer = Writer { text: &mut text, times: state.times };
        for number in 0..state.nodes {
            writer.node(number, (state.node)(number), release(number), state.has_pods);
        }
        for &(_, name) in state.releases {
            let wants = |&number: &usize| release(number) == name && (state.node)(number).is_wanted();
            let wanted = Some((0..state.nodes).filter(wants).count());
            let labels = format!("cluster=\"prod\",namespace=\"{name}\",daemonset=\"{name}\"");
            writer.series("kube_daemonset_status_desired_number_scheduled", &labels, wanted, wanted);
        }
        expectations(&mut text, state);
    }
    text
}

#[test]
fn each_state_fires_its_alerts_and_no_other_and_only_broken_paths_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("rules.yaml");
    std::fs::write(&file, rules()).expect("a file");
    std::thread::scope(|scope| {
        for at in 0..4 {
            let (folder, file) = (folder.path(), &file);
            scope.spawn(move || {
                let states: Vec<&State> = STATES.iter().skip(at).step_by(4).collect();
                let test = folder.join(format!("{at}.test.yaml"));
                std::fs::write(&test, unit_test(file, &states)).expect("a file");
                super::promtool(&["test", "rules"], &[test]);
            });
        }
    });
}

/// The causes in the expression of a rule, by the first selector that has this text.
fn causes_in(after: &str) -> BTreeSet<String> {
    let rules = rules();
    let start = rules.find(after).unwrap_or_else(|| panic!("no {after}")) + after.len();
    let rest = &rules[start..];
    let list = rest.split_once("cause=~\"").expect("a list of causes").1.split_once('"').expect("its end").0;
    list.split('|').map(str::to_owned).collect()
}

#[test]
fn every_failing_cause_is_of_the_path_of_the_credentials_or_of_the_image() {
    let path = causes_in("record: node_registry:acr_verifier_path_broken:max");
    let credentials = causes_in("alert: AcrVerifierCredentialsRejected");
    let image = causes_in("alert: AcrVerifierImageNotPullable");
    for cause in Cause::ALL.into_iter().filter(|cause| cause.severity() == Severity::Fail) {
        let lists = [&path, &credentials, &image].map(|list| usize::from(list.contains(cause.code())));
        assert_eq!(lists.iter().sum::<usize>(), 1, "{cause} belongs to exactly one of the three lists");
    }
    let known: BTreeSet<String> = Cause::ALL.iter().map(|cause| cause.code().to_owned()).collect();
    for list in [&path, &credentials, &image] {
        assert!(list.is_subset(&known), "{:?} are no causes", list.difference(&known));
    }
}
