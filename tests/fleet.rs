//! The evaluation of a smoke check: verdict, groups, differences, and every report format.

mod forms;
mod samples;

use acr_verifier::exit::ExitStatus;
use acr_verifier::fleet::advice::Advice;
use acr_verifier::fleet::difference::{Property, differences};
use acr_verifier::fleet::evaluation::{Counts, Finding, evaluate};
use acr_verifier::fleet::{Exclusion, Fleet, Node, Staleness, State};
use acr_verifier::verdict::{Severity, Verdict};
use proptest::prelude::*;
use samples::{fleet, healthy, node, reported};

use crate::report::samples as checks;

/// A change to one node of a healthy fleet of four, with the expected verdict and counts.
struct Case {
    name: &'static str,
    change: fn(&mut Node),
    verdict: Verdict,
    counts: Counts,
    /// Cause or state of the only expected group.
    group: Option<(&'static str, Severity)>,
}

const FOUR: Counts = Counts {
    nodes: 4,
    expected: 4,
    pass: 3,
    warn: 0,
    fail: 0,
    unknown: 0,
    no_report: 0,
    path_open: 0,
    path_open_warn: 0,
    excluded: 0,
    joined_late: 0,
    left: 0,
};

fn without_report() -> Vec<Case> {
    let failed = |name, change, word| Case {
        name,
        change,
        verdict: Verdict::Fail,
        counts: Counts { no_report: 1, ..FOUR },
        group: Some((word, Severity::Fail)),
    };
    let passed_over = |name, change, counts| Case {
        name,
        change,
        verdict: Verdict::Pass,
        counts: Counts { expected: 3, ..counts },
        group: None,
    };
    vec![
        failed("missing", |node| node.state = State::Missing, "missing"),
        failed(
            "not ready",
            |node| node.state = State::NodeNotReady { reason: "NodeStatusUnknown".to_owned() },
            "node_not_ready",
        ),
        failed(
            "unready",
            |node| node.state = State::Unready { reason: "ImagePullBackOff".to_owned() },
            "unready",
        ),
        failed(
            "unreachable",
            |node| node.state = State::Unreachable { reason: "connection refused".to_owned() },
            "unreachable",
        ),
        failed(
            "configuration rejected",
            |node| node.state = State::ConfigurationRejected { reason: "line 4: no such key".to_owned() },
            "configuration_rejected",
        ),
        failed(
            "path broken",
            |node| {
                let causes = "connect_timeout".to_owned();
                node.state = State::Stale(Staleness::PathBroken { causes });
            },
            "stale",
        ),
        failed("path not checked", |node| node.state = State::Stale(Staleness::PathUnchecked), "stale"),
        failed("stale", |node| node.state = State::Stale(Staleness::Unanswered), "stale"),
        failed(
            "cordoned and missing",
            |node| {
                node.cordoned = true;
                node.state = State::Missing;
            },
            "missing",
        ),
        passed_over(
            "virtual",
            |node| node.state = State::Excluded(Exclusion::Virtual),
            Counts { excluded: 1, ..FOUR },
        ),
        passed_over("left", |node| node.state = State::Left, Counts { left: 1, ..FOUR }),
        passed_over(
            "just joined",
            |node| {
                node.joined_late = true;
                node.state = State::Missing;
            },
            Counts { joined_late: 1, ..FOUR },
        ),
    ]
}

fn with_report() -> Vec<Case> {
    let reports = |name, change, verdict, counts, group| Case { name, change, verdict, counts, group };
    vec![
        reports("as it was", |_| {}, Verdict::Pass, Counts { pass: 4, ..FOUR }, None),
        reports(
            "fail",
            |node| node.state = reported(&node.name, vec![checks::zone_not_linked()]),
            Verdict::Fail,
            Counts { fail: 1, ..FOUR },
            Some(("private_zone_not_linked", Severity::Fail)),
        ),
        reports(
            "unknown",
            |node| node.state = reported(&node.name, vec![checks::throttled()]),
            Verdict::Unknown,
            Counts { unknown: 1, ..FOUR },
            Some(("throttled", Severity::Unknown)),
        ),
        reports(
            "warn",
            |node| node.state = reported(&node.name, vec![checks::certificate_expiring()]),
            Verdict::Warn,
            Counts { warn: 1, ..FOUR },
            Some(("certificate_expiring", Severity::Warn)),
        ),
        reports(
            "path open",
            |node| node.state = samples::path_open(&node.name, vec![checks::healthy()]),
            Verdict::Pass,
            Counts { path_open: 1, ..FOUR },
            None,
        ),
        reports(
            "path open, and the last check warned",
            |node| node.state = samples::path_open(&node.name, vec![checks::certificate_expiring()]),
            Verdict::Warn,
            Counts { path_open_warn: 1, ..FOUR },
            Some(("certificate_expiring", Severity::Warn)),
        ),
        reports(
            "just joined, and fails",
            |node| {
                node.joined_late = true;
                node.state = reported(&node.name, vec![checks::zone_not_linked()]);
            },
            Verdict::Fail,
            Counts { fail: 1, ..FOUR },
            Some(("private_zone_not_linked", Severity::Fail)),
        ),
        reports(
            "checked nothing",
            |node| node.state = reported(&node.name, Vec::new()),
            Verdict::Unknown,
            Counts { unknown: 1, ..FOUR },
            None,
        ),
    ]
}

#[test]
fn one_node_changes_the_verdict_and_counts_as_documented() {
    for case in without_report().into_iter().chain(with_report()) {
        let Case { name, change, verdict, counts, group } = case;
        let mut fleet = healthy(4);
        change(&mut fleet.nodes[1]);
        let evaluation = evaluate(&fleet);
        assert_eq!(evaluation.verdict, verdict, "{name}");
        assert_eq!(evaluation.counts, counts, "{name}");
        let found: Vec<_> =
            evaluation.groups.iter().map(|group| (group.finding.word(), group.severity)).collect();
        assert_eq!(found, Vec::from_iter(group), "{name}");
    }
}

#[test]
fn exit_codes_follow_the_worst_node() {
    for (checked, code, strict) in [
        (checks::healthy(), 0, 0),
        (checks::certificate_expiring(), 0, 1),
        (checks::throttled(), 3, 3),
        (checks::zone_not_linked(), 1, 1),
    ] {
        let mut fleet = healthy(3);
        fleet.nodes[2].state = reported("aks-np1-12345678-vmss000002", vec![checked]);
        let verdict = evaluate(&fleet).verdict;
        assert_eq!(ExitStatus::of(verdict, false).code(), code, "{verdict}");
        assert_eq!(ExitStatus::of(verdict, true).code(), strict, "{verdict} --strict");
    }
}

#[test]
fn a_fleet_without_a_node_that_counts_is_inconclusive() {
    for fleet in [fleet(Vec::new()), {
        let mut one = healthy(1);
        one.nodes[0].state = State::Excluded(Exclusion::Virtual);
        one
    }] {
        let verdict = evaluate(&fleet).verdict;
        assert_eq!(verdict, Verdict::Unknown);
        assert_eq!(ExitStatus::of(verdict, false).code(), 3);
    }
}

#[test]
fn a_report_never_passes_without_passing_images() {
    let mut fleet = healthy(1);
    let State::Reported(report) = &mut fleet.nodes[0].state else { panic!("it reported") };
    report.images.clear();
    assert_eq!(evaluate(&fleet).verdict, Verdict::Unknown, "a pass over no image");

    let mut fleet = healthy(1);
    fleet.nodes[0].state = reported(&fleet.nodes[0].name, vec![checks::zone_not_linked()]);
    let State::Reported(report) = &mut fleet.nodes[0].state else { panic!("it reported") };
    report.verdict = Verdict::Pass;
    assert_eq!(evaluate(&fleet).verdict, Verdict::Fail, "a pass over an image that failed");
}

#[test]
fn nodes_with_the_same_failure_form_one_group_worst_and_largest_first() {
    let evaluation = evaluate(&samples::mixed());
    let found: Vec<_> = evaluation
        .groups
        .iter()
        .map(|group| (group.severity, group.nodes.len(), group.finding.word()))
        .collect();
    let mut sorted = found.clone();
    sorted.sort_by_key(|&(severity, nodes, _)| (severity, std::cmp::Reverse(nodes)));
    assert_eq!(found, sorted);
    assert_eq!(found[0], (Severity::Fail, 2, "private_zone_not_linked"));
}

#[test]
fn the_example_names_its_node_if_the_evidence_differs() {
    let mut fleet = samples::one_subnet();
    assert_eq!(evaluate(&fleet).groups[0].example_of, None);
    let State::Reported(report) = &mut fleet.nodes[39].state else { panic!("it reported") };
    let message = &mut report.images[0].diagnoses[0].message;
    *message = format!("{message} Again.").into();
    let evaluation = evaluate(&fleet);
    assert_eq!(evaluation.groups.len(), 1);
    assert_eq!(evaluation.groups[0].nodes.len(), 37);
    assert_eq!(evaluation.groups[0].example_of.as_deref(), Some("aks-np1-12345678-vmss000003"));
}

#[test]
fn a_cause_newer_than_this_program_is_reported_without_commands() {
    let mut fleet = healthy(2);
    fleet.nodes[0].state = reported(&fleet.nodes[0].name, vec![checks::zone_not_linked()]);
    let State::Reported(report) = &mut fleet.nodes[0].state else { panic!("it reported") };
    report.images[0].diagnoses[0].cause = "something_new".into();
    let evaluation = evaluate(&fleet);
    assert!(matches!(&evaluation.groups[0].finding,
        Finding::Diagnosis { cause, .. } if cause == "something_new"));
    let Advice { message, commands, .. } = &evaluation.groups[0].example;
    assert!(
        message.contains("this resolver does not see the private zone") && commands.is_empty(),
        "only as text"
    );
}

#[test]
fn differences_are_reported_only_if_they_hold_for_all_nodes() {
    let properties = |change: fn(&mut Fleet)| -> Vec<Property> {
        let mut fleet = samples::one_subnet();
        change(&mut fleet);
        let evaluation = evaluate(&fleet);
        differences(&fleet, &evaluation.groups[0]).iter().map(|difference| difference.property).collect()
    };
    assert_eq!(properties(|_| {}), [Property::Subnet]);
    assert_eq!(
        properties(|fleet| fleet.nodes[0].topology.subnet = Some("snet-b".to_owned())),
        [],
        "a good node too"
    );
    assert_eq!(properties(|fleet| fleet.nodes[0].topology.subnet = None), [], "unknown of a good node");
    assert_eq!(properties(|fleet| fleet.nodes[9].topology.subnet = None), [], "unknown of a bad node");
    assert_eq!(properties(|fleet| drop(fleet.nodes.drain(..3))), [], "no good node");
    let unique = |fleet: &mut Fleet| {
        for (index, node) in fleet.nodes.iter_mut().enumerate() {
            node.topology.subnet = Some(format!("snet-{index}"));
        }
    };
    assert_eq!(properties(unique), [], "each node has its own");
}

#[test]
fn a_difference_is_described_in_one_sentence() {
    let fleet = samples::one_subnet();
    let difference = differences(&fleet, &evaluate(&fleet).groups[0]).remove(0);
    assert_eq!(
        difference.sentence(),
        "All 37 of these nodes are in subnet snet-b; none of the 3 good nodes is."
    );
}

/// An arbitrary fleet with few pools, zones and subnets, so that they coincide, and some unknown ones.
fn any_fleet() -> impl Strategy<Value = Fleet> {
    let topology = (proptest::option::of(0..3u8), proptest::option::of(0..3u8), 0..2u8);
    proptest::collection::vec((0..12u8, topology, any::<bool>()), 0..12).prop_map(|nodes| {
        let nodes = nodes.into_iter().enumerate().map(|(index, (kind, (zone, subnet, pool), late))| {
            let mut node = node(index, &format!("np{pool}"), "snet-a");
            node.joined_late = late;
            node.topology.zone = zone.map(|zone| format!("westeurope-{zone}"));
            node.topology.subnet = subnet.map(|subnet| format!("snet-{subnet}"));
            node.state = match kind {
                0 => State::Missing,
                1 => State::Unready { reason: "ImagePullBackOff".to_owned() },
                2 => State::Stale(Staleness::Unanswered),
                3 => State::Excluded(Exclusion::Virtual),
                4 => State::Left,
                5 => reported(&node.name, vec![checks::zone_not_linked()]),
                6 => reported(&node.name, vec![checks::throttled(), checks::certificate_expiring()]),
                7 => samples::path_open(&node.name, vec![checks::healthy()]),
                8 => samples::path_open(&node.name, vec![checks::certificate_expiring()]),
                _ => node.state,
            };
            node
        });
        fleet(nodes.collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_result_is_independent_of_order_and_counts_every_node(fleet in any_fleet(), turn in 0usize..12) {
        let evaluation = evaluate(&fleet);
        let mut turned = fleet.clone();
        let length = turned.nodes.len();
        turned.nodes.rotate_left(if length == 0 { 0 } else { turn % length });
        prop_assert_eq!(&evaluate(&turned), &evaluation);
        let Counts { nodes, expected, pass, warn, fail, unknown, no_report, excluded, joined_late, left, .. } =
            evaluation.counts;
        let open = evaluation.counts.path_open + evaluation.counts.path_open_warn;
        prop_assert_eq!(pass + warn + fail + unknown + no_report + open, expected);
        prop_assert_eq!(expected + excluded + joined_late + left, nodes);
        prop_assert_eq!(nodes, fleet.nodes.len());
        for group in &evaluation.groups {
            prop_assert_eq!(differences(&turned, group), differences(&fleet, group));
        }
    }

    #[test]
    fn a_difference_never_includes_the_value_of_a_good_node(fleet in any_fleet()) {
        for group in &evaluate(&fleet).groups {
            for difference in differences(&fleet, group) {
                prop_assert!(difference.bad.iter().all(|value| !difference.good.contains(value)));
                let value = |node: &Node| match difference.property {
                    Property::AgentPool => node.topology.agent_pool.clone(),
                    Property::Zone => node.topology.zone.clone(),
                    Property::Subnet => node.topology.subnet.clone(),
                    Property::NodeImage => node.topology.node_image.clone(),
                    // All nodes of this fleet use the same nameservers.
                    Property::Nameservers => None,
                };
                for node in &fleet.nodes {
                    let value = value(node);
                    let is_bad = group.nodes.contains(&node.name);
                    if is_bad {
                        let named = value.as_ref().is_some_and(|value| difference.bad.contains(value));
                        prop_assert!(named, "{:?} of {} is not reported", difference.property, node.name);
                    } else if node.verdict() == Some(Verdict::Pass) && node.report().is_some() {
                        let shared = value.as_ref().is_none_or(|value| difference.bad.contains(value));
                        prop_assert!(!shared, "{:?} of {} is shared", difference.property, node.name);
                    }
                }
            }
        }
    }
}
