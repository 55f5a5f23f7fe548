//! Evaluates the fleet: the overall verdict, and groups of nodes with the same failure.
//!
//! Owns the counting and grouping. The verdict on a node comes from its agent; a node without a fresh report fails.

use std::collections::BTreeMap;

use super::advice::{Advice, advice_on, advice_without_report};
use super::report::{ImageDiagnosis, ImageReport};
use super::{Fleet, Node, Staleness, State};
use crate::observation::{Endpoint, Stage};
use crate::verdict::{Severity, Verdict};

/// The result for a fleet.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The worst verdict of the nodes that count, or `unknown` if none does.
    pub verdict: Verdict,
    /// Number of nodes in each state.
    pub counts: Counts,
    /// Failures, then inconclusive results, then warnings; the largest groups first.
    pub groups: Vec<Group>,
}

/// Number of nodes in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All nodes of the cluster, including those that left during the check.
    pub nodes: usize,
    /// Nodes that count towards the verdict.
    pub expected: usize,
    /// Expected nodes with verdict pass.
    pub pass: usize,
    /// Expected nodes with verdict warn.
    pub warn: usize,
    /// Expected nodes with a fresh report and verdict fail.
    pub fail: usize,
    /// Expected nodes with a fresh report and verdict unknown.
    pub unknown: usize,
    /// Expected nodes without a fresh report.
    pub no_report: usize,
    /// Expected nodes outside the sample with an open path and a last verdict of pass.
    pub path_open: usize,
    /// Expected nodes outside the sample with an open path and a last verdict of warn.
    pub path_open_warn: usize,
    /// Nodes that the DaemonSet excludes.
    pub excluded: usize,
    /// Nodes that joined during the check and have not reported yet.
    pub joined_late: usize,
    /// Nodes that left during the check.
    pub left: usize,
}

/// Nodes with the same failure.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The common failure.
    pub finding: Finding,
    /// Severity of the failure.
    pub severity: Severity,
    /// Names of the nodes, sorted.
    pub nodes: Vec<String>,
    /// Advice from one of the nodes; the evidence on the others may differ.
    pub example: Advice,
    /// The node that the advice comes from; `None` if it is the same on all.
    pub example_of: Option<String>,
}

/// The failure that a group has in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// The first diagnosis of an image.
    Diagnosis {
        /// The image.
        image: String,
        /// Code of the cause, which may be newer than this program.
        cause: String,
        /// The stage in which the problem was found.
        stage: Stage,
        /// The endpoint of that stage.
        endpoint: Endpoint,
    },
    /// No fresh report.
    NoReport {
        /// The word for the state.
        state: &'static str,
        /// The common reason, such as `ImagePullBackOff`.
        reason: Option<String>,
    },
}

impl Finding {
    /// Returns the code of the cause, or the word for the state.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::Diagnosis { cause, .. } => cause,
            Self::NoReport { state, .. } => state,
        }
    }
}

/// Evaluates a fleet.
#[must_use]
pub fn evaluate(fleet: &Fleet) -> Evaluation {
    let verdict = fleet.nodes.iter().filter_map(Node::verdict).max().unwrap_or(Verdict::Unknown);
    Evaluation { verdict, counts: count(fleet), groups: group(fleet) }
}

fn count(fleet: &Fleet) -> Counts {
    let mut counts = Counts { nodes: fleet.nodes.len(), ..Counts::default() };
    for node in &fleet.nodes {
        let topology = match (&node.state, node.verdict()) {
            (State::Excluded(_), _) => &mut counts.excluded,
            (State::Left, _) => &mut counts.left,
            (_, None) => &mut counts.joined_late,
            (State::Reported(_), Some(Verdict::Pass)) => &mut counts.pass,
            (State::Reported(_), Some(Verdict::Warn)) => &mut counts.warn,
            (State::Reported(_), Some(Verdict::Fail)) => &mut counts.fail,
            (State::Reported(_), Some(Verdict::Unknown)) => &mut counts.unknown,
            (State::PathOpen(_), Some(Verdict::Pass)) => &mut counts.path_open,
            // The path of a node whose last check failed is never counted as open.
            (State::PathOpen(_), Some(Verdict::Warn | Verdict::Unknown | Verdict::Fail)) => {
                &mut counts.path_open_warn
            }
            (
                State::Missing
                | State::NodeNotReady { .. }
                | State::Unready { .. }
                | State::ConfigurationRejected { .. }
                | State::Unreachable { .. }
                | State::Stale(_),
                Some(_),
            ) => &mut counts.no_report,
        };
        *topology += 1;
    }
    counts.expected = counts.nodes - counts.excluded - counts.left - counts.joined_late;
    counts
}

/// The evidence of one node for a finding; thousands of them are held at once.
#[derive(Clone, Copy)]
struct Said<'fleet> {
    node: &'fleet Node,
    severity: Severity,
    /// `None` without a report.
    diagnosis: Option<(&'fleet ImageReport, &'fleet ImageDiagnosis)>,
}

fn group(fleet: &Fleet) -> Vec<Group> {
    let mut nodes: Vec<&Node> = fleet.nodes.iter().filter(|node| node.verdict().is_some()).collect();
    nodes.sort_by(|one, other| one.name.cmp(&other.name));
    let mut findings: BTreeMap<Finding, Vec<Said<'_>>> = BTreeMap::new();
    for node in nodes {
        let Some(report) = node.last_report() else {
            let finding =
                Finding::NoReport { state: node.state.as_str(), reason: shared_reason(&node.state) };
            let said = Said { node, severity: Severity::Fail, diagnosis: None };
            findings.entry(finding).or_default().push(said);
            continue;
        };
        for (image, first) in report.images.iter().filter_map(first_diagnosis) {
            let said = Said { node, severity: first.severity, diagnosis: Some((image, first)) };
            findings.entry(finding_of(image, first)).or_default().push(said);
        }
    }
    let mut groups: Vec<Group> =
        findings.into_iter().filter_map(|(finding, said)| group_of(fleet, finding, said)).collect();
    // Stable: groups of equal severity and size stay in the order of their findings.
    groups.sort_by_key(|group| (group.severity, std::cmp::Reverse(group.nodes.len())));
    groups
}

fn group_of(fleet: &Fleet, finding: Finding, mut said: Vec<Said<'_>>) -> Option<Group> {
    // The worst first: a cause may be a failure on one node and only a warning on another. The sort keeps the order of names.
    said.sort_by_key(|said| said.severity);
    let first = *said.first()?;
    let all_say_the_same = said.iter().all(|other| match (first.diagnosis, other.diagnosis) {
        (Some((_, one)), Some((_, other))) => one.message == other.message,
        _ => advice(fleet, &first) == advice(fleet, other),
    });
    // A node that checks the image under two names appears twice.
    let mut nodes: Vec<String> = said.iter().map(|said| said.node.name.clone()).collect();
    nodes.sort();
    nodes.dedup();
    let example_of = (!all_say_the_same).then(|| first.node.name.clone());
    Some(Group { finding, severity: first.severity, nodes, example: advice(fleet, &first), example_of })
}

fn advice(fleet: &Fleet, said: &Said<'_>) -> Advice {
    match said.diagnosis {
        Some((image, diagnosis)) => advice_on(image, diagnosis),
        None => advice_without_report(fleet, said.node),
    }
}

fn first_diagnosis(image: &ImageReport) -> Option<(&ImageReport, &ImageDiagnosis)> {
    image.diagnoses.first().map(|first| (image, first))
}

fn finding_of(image: &ImageReport, first: &ImageDiagnosis) -> Finding {
    Finding::Diagnosis {
        image: image.image.to_string(),
        cause: first.cause.to_string(),
        stage: first.stage,
        endpoint: first.endpoint,
    }
}

/// Returns the reason by which nodes without a report are grouped. Reasons with addresses or times differ for each node.
fn shared_reason(state: &State) -> Option<String> {
    match state {
        State::Unready { reason }
        | State::NodeNotReady { reason }
        | State::ConfigurationRejected { reason } => Some(reason.clone()),
        State::Stale(
            staleness @ (Staleness::OtherConfiguration { .. }
            | Staleness::NotOnDemand(_)
            | Staleness::PathUnchecked
            | Staleness::PathBroken { .. }),
        ) => Some(staleness.to_string()),
        State::Reported(_)
        | State::PathOpen(_)
        | State::Missing
        | State::Unreachable { .. }
        | State::Stale(_)
        | State::Excluded(_)
        | State::Left => None,
    }
}
