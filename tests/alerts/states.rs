//! What pages: for each state of a fleet of sixteen nodes, the alerts that fire while it lasts and that none is left after it.
//!
//! Writes a unit test of promtool for the shipped rules from a table. The alerts' own tests are in the `.test.yaml` files.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use acr_verifier::cause::Cause;
use acr_verifier::verdict::Severity;
use generate::alerts::rules;

/// Nodes of the fleet.
const NODES: usize = 16;
/// Minutes of health before the state, of the state, and after it.
const BEFORE: usize = 400;
const LASTS: usize = 60;
const AFTER: usize = 120;

/// What one node exports while a state lasts.
#[derive(Clone, Copy)]
enum Node {
    /// Every check passes.
    Healthy,
    /// Every check fails with this cause.
    Fails(&'static str),
    /// Checks fail with this cause, by the identity of the node.
    IdentityFails(&'static str),
    /// The named image `canary` fails with this cause, another image passes.
    ImageFails(&'static str),
    /// Every check is inconclusive.
    Unknown,
    /// The kubelet does not report, and the agent fails or is gone.
    NotReady,
    /// No agent, because the DaemonSet does not tolerate the node.
    Unwanted,
}

struct State {
    name: &'static str,
    node: fn(usize) -> Node,
    /// The alerts that fire, with their severity and number.
    fires: &'static [(&'static str, &'static str, usize)],
}

const STATES: [State; 19] = [
    State { name: "all nodes pass", node: |_| Node::Healthy, fires: &[] },
    State {
        name: "the path is broken on all nodes",
        node: |_| Node::Fails("connect_timeout"),
        fires: &[("AcrVerifierRegistryUnreachable", "critical", 1)],
    },
    State {
        name: "the registry answers with errors on all nodes",
        node: |_| Node::Fails("registry_error"),
        fires: &[("AcrVerifierRegistryUnreachable", "critical", 1)],
    },
    State {
        name: "the path is broken on a quarter of the nodes",
        node: |node| if node < 4 { Node::Fails("connect_timeout") } else { Node::Healthy },
        fires: &[("AcrVerifierRegistryUnreachable", "critical", 1)],
    },
    State {
        name: "the path is broken on two nodes for an hour",
        node: |node| if node < 2 { Node::Fails("connect_timeout") } else { Node::Healthy },
        fires: &[("AcrVerifierRegistryUnreachableFromNode", "warning", 2)],
    },
    State {
        name: "the path is broken on one node",
        node: |node| if node == 0 { Node::Fails("connect_timeout") } else { Node::Healthy },
        fires: &[("AcrVerifierRegistryUnreachableFromNode", "warning", 1)],
    },
    State {
        name: "names resolve to public addresses on all nodes",
        node: |_| Node::Fails("private_zone_not_linked"),
        fires: &[
            ("AcrVerifierPublicPathInUse", "critical", 1),
            ("AcrVerifierRegistryUnreachable", "critical", 1),
        ],
    },
    State {
        name: "names resolve to public addresses on one node",
        node: |node| if node == 0 { Node::Fails("private_zone_not_linked") } else { Node::Healthy },
        fires: &[
            ("AcrVerifierPublicPathInUseFromNode", "warning", 1),
            ("AcrVerifierRegistryUnreachableFromNode", "warning", 1),
        ],
    },
    State {
        name: "the token of the check is rejected on all nodes",
        node: |_| Node::Fails("credentials_rejected"),
        fires: &[("AcrVerifierCredentialsRejected", "warning", 1)],
    },
    State {
        name: "the checked tag was deleted and no image is named",
        node: |_| Node::Fails("manifest_not_found"),
        fires: &[("AcrVerifierImageNotPullable", "warning", 1)],
    },
    State {
        name: "the tag of one named image was deleted",
        node: |_| Node::ImageFails("manifest_not_found"),
        fires: &[("AcrVerifierImageNotPullable", "warning", 1)],
    },
    State {
        name: "the role of the kubelet's identity is missing on all nodes",
        node: |_| Node::IdentityFails("pull_role_missing"),
        fires: &[
            ("AcrVerifierCredentialsRejected", "warning", 1),
            ("AcrVerifierRegistryUnreachable", "critical", 1),
        ],
    },
    State {
        name: "the role of a workload identity is missing on all nodes",
        node: |_| Node::Fails("pull_role_missing"),
        fires: &[("AcrVerifierCredentialsRejected", "warning", 1)],
    },
    State {
        name: "Entra ID cannot be reached from any node",
        node: |_| Node::Fails("entra_unreachable"),
        fires: &[("AcrVerifierCredentialsRejected", "warning", 1)],
    },
    State {
        name: "the registry throttles all nodes",
        node: |_| Node::Unknown,
        fires: &[("AcrVerifierChecksInconclusive", "warning", 1)],
    },
    State {
        name: "four nodes are not ready",
        node: |node| if node < 4 { Node::NotReady } else { Node::Healthy },
        fires: &[],
    },
    State {
        name: "no agent is wanted on four nodes",
        node: |node| if node < 4 { Node::Unwanted } else { Node::Healthy },
        fires: &[],
    },
    State {
        name: "the path is broken on one node and the token is rejected on the others",
        node: |node| Node::Fails(if node == 0 { "connect_timeout" } else { "credentials_rejected" }),
        fires: &[
            ("AcrVerifierCredentialsRejected", "warning", 1),
            ("AcrVerifierRegistryUnreachableFromNode", "warning", 1),
        ],
    },
    State {
        name: "the data endpoint is denied on all nodes",
        node: |_| Node::Fails("blob_denied"),
        fires: &[("AcrVerifierRegistryUnreachable", "critical", 1)],
    },
];

/// A series with one value before and after the state and another one while it lasts; `None` is no sample.
fn series(text: &mut String, name: &str, labels: &str, usual: Option<u8>, during: Option<u8>) {
    let mut values = String::new();
    let mut before = usual;
    for (value, minutes) in [(usual, BEFORE), (during, LASTS), (usual, AFTER)] {
        match value {
            Some(value) => write!(values, "{value}+0x{} ", minutes - 1),
            None if before.is_some() => write!(values, "stale _x{} ", minutes - 1),
            None => write!(values, "_x{minutes} "),
        }
        .expect("memory takes everything");
        before = value;
    }
    writeln!(text, "      - series: '{name}{{{labels}}}'\n        values: '{}'", values.trim_end())
        .expect("memory takes everything");
}

/// A counter that increases once a minute while `usual` or `during`, by the part of the time.
fn counter(text: &mut String, labels: &str, usual: u8, during: u8) {
    let (before, lasts, after) = (BEFORE - 1, LASTS - 1, AFTER - 1);
    let first = usize::from(usual) * before;
    let second = first + usize::from(during) * LASTS;
    writeln!(
        text,
        "      - series: 'acr_verifier_checks_total{{{labels}}}'\n        values: '0+{usual}x{before} {}+{during}x{lasts} {}+{usual}x{after}'",
        first + usize::from(during),
        second + usize::from(usual),
    )
    .expect("memory takes everything");
}

fn node_series(text: &mut String, node: usize, state: Node) {
    let name = format!("aks-np1-{node:02}");
    let whole = format!("cluster=\"prod\",node=\"{name}\"");
    let registry = format!("{whole},registry=\"contoso.azurecr.io\"");
    let kube = format!("{whole},os_image=\"Ubuntu 24.04.3 LTS\",kubelet_version=\"v1.34.4\"");
    let has_agent = !matches!(state, Node::Unwanted);
    series(text, "kube_node_info", &kube, Some(1), Some(1));
    let ready = u8::from(!matches!(state, Node::NotReady));
    let condition = format!("{whole},condition=\"Ready\",status=\"true\"");
    series(text, "kube_node_status_condition", &condition, Some(1), Some(ready));
    if !has_agent {
        return;
    }
    let lasts = (!matches!(state, Node::NotReady)).then_some(1);
    // The time of a check is not of interest here, only whether there was one.
    series(text, "acr_verifier_last_check_timestamp_seconds", &registry, Some(0), lasts.map(|_| 0));
    let success = |success| if matches!(state, Node::Unknown) { None } else { lasts.map(|_| success) };
    let cause = |cause: &str, labels: &str| format!("{registry},cause=\"{cause}\",severity=\"fail\"{labels}");
    let mut kind = "secret";
    match state {
        Node::Healthy | Node::Unwanted | Node::Unknown => {
            series(text, "acr_verifier_check_success", &registry, Some(1), success(1));
        }
        Node::NotReady => {
            series(text, "acr_verifier_check_success", &registry, Some(1), Some(0));
            series(text, "acr_verifier_cause", &cause("connect_timeout", ""), None, Some(1));
        }
        Node::Fails(code) | Node::IdentityFails(code) => {
            if matches!(state, Node::IdentityFails(_)) {
                kind = "managed_identity";
            }
            series(text, "acr_verifier_check_success", &registry, Some(1), success(0));
            series(text, "acr_verifier_cause", &cause(code, ""), None, Some(1));
        }
        Node::ImageFails(code) => {
            let named = |image: &str| format!("{registry},image=\"{image}\"");
            series(text, "acr_verifier_check_success", &named("canary"), Some(1), success(0));
            series(text, "acr_verifier_check_success", &named("other"), Some(1), success(1));
            series(text, "acr_verifier_cause", &cause(code, ",image=\"canary\""), None, Some(1));
        }
    }
    let credentials = format!("{registry},credentials=\"{kind}\"");
    series(text, "acr_verifier_credentials_info", &credentials, Some(1), Some(1));
    let (pass, unknown) = if matches!(state, Node::Unknown) { (0, 1) } else { (1, 0) };
    counter(text, &format!("{registry},verdict=\"pass\""), 1, pass);
    counter(text, &format!("{registry},verdict=\"unknown\""), 0, unknown);
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

fn unit_test(rules: &Path) -> String {
    let mut text = format!(
        "rule_files: ['{}']\nevaluation_interval: 1m\ngroup_eval_order: [acr-verifier.outage, acr-verifier.recording, \
         acr-verifier.days, acr-verifier.path, acr-verifier.agents, acr-verifier.counters, acr-verifier.slo]\ntests:\n",
        rules.display()
    );
    for State { name, node, fires } in STATES {
        let wanted = (0..NODES).filter(|&number| !matches!(node(number), Node::Unwanted)).count();
        write!(text, "  - name: {name}\n    interval: 1m\n    input_series:\n").expect("memory");
        for number in 0..NODES {
            node_series(&mut text, number, node(number));
        }
        let desired = u8::try_from(wanted).expect("a few nodes");
        series(
            &mut text,
            "kube_daemonset_status_desired_number_scheduled",
            "cluster=\"prod\",namespace=\"acr-verifier\",daemonset=\"acr-verifier\"",
            Some(desired),
            Some(desired),
        );
        text.push_str("    promql_expr_test:\n");
        // The age of checks is fixed at 1970 here.
        let firing = "ALERTS{alertstate=\"firing\",alertname!=\"AcrVerifierChecksStale\"}";
        let by_name = format!("count by (alertname, severity) ({firing})");
        // An hour without the path is more than a day's share of the error budget; that stays true for a day.
        let rest = "ALERTS{alertstate=\"firing\",alertname!~\"AcrVerifierChecksStale|AcrVerifierErrorBudgetBurn1d\"}";
        let during: Vec<(String, usize)> = fires
            .iter()
            .map(|(alert, severity, count)| {
                (format!("alertname=\"{alert}\",severity=\"{severity}\""), *count)
            })
            .collect();
        let severities: BTreeSet<&str> = fires.iter().map(|(_, severity, _)| *severity).collect();
        let by_severity: Vec<(String, usize)> = severities
            .into_iter()
            .map(|severity| {
                let counts = fires.iter().filter(|(_, other, _)| *other == severity);
                (format!("severity=\"{severity}\""), counts.map(|(_, _, count)| count).sum())
            })
            .collect();
        let (within, after) = (BEFORE + LASTS - 5, BEFORE + LASTS + AFTER - 5);
        expectation(&mut text, &by_name, BEFORE - 1, &[]);
        expectation(&mut text, &by_name, within, &during);
        expectation(&mut text, &format!("count by (severity) ({firing})"), within, &by_severity);
        expectation(&mut text, &format!("count by (alertname) ({rest})"), after, &[]);
    }
    text
}

#[test]
fn each_state_fires_its_alerts_and_no_other_and_only_broken_paths_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("rules.yaml");
    std::fs::write(&file, rules()).expect("a file");
    let test = folder.path().join("states.test.yaml");
    std::fs::write(&test, unit_test(&file)).expect("a file");
    super::promtool(&["test", "rules"], &[test]);
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
