//! What the nodes amount to together: the verdict on the fleet, and equal failures as one.
//!
//! Owns the counting and the grouping. The verdict on a node is its agent's; a node without a fresh report is a failure.

use std::collections::BTreeMap;

use super::advice::{Advice, advice_on, advice_without_report};
use super::report::{ImageDiagnosis, ImageReport};
use super::{Fleet, Node, Staleness, State};
use crate::diagnosis::{Severity, Verdict};
use crate::observation::{Endpoint, Stage};

/// What a fleet amounts to.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The worst verdict of a node that counts; `unknown` where none does.
    pub verdict: Verdict,
    /// How many nodes stand where.
    pub counts: Counts,
    /// Equal failures, then what could not be judged, then warnings; the largest first.
    pub groups: Vec<Group>,
}

/// How many nodes stand where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Nodes of the cluster, those that left meanwhile included.
    pub nodes: usize,
    /// Nodes that decide the verdict.
    pub expected: usize,
    /// Of these: pass.
    pub pass: usize,
    /// Of these: warn.
    pub warn: usize,
    /// Of these: a fresh report that says fail.
    pub fail: usize,
    /// Of these: a fresh report that says unknown.
    pub unknown: usize,
    /// Of these: no fresh report.
    pub no_report: usize,
    /// Nodes on which no agent is wanted.
    pub excluded: usize,
    /// Nodes that joined meanwhile and have not reported yet.
    pub joined_late: usize,
    /// Nodes that left meanwhile.
    pub left: usize,
}

/// Nodes with the same failure.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// What it is.
    pub finding: Finding,
    /// How much it matters.
    pub severity: Severity,
    /// The nodes, by name.
    pub nodes: Vec<String>,
    /// What one of them says about it; the evidence of the others may differ.
    pub example: Advice,
    /// The node whose example it is; absent where all say the same.
    pub example_of: Option<String>,
}

/// What a group has in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// The first diagnosis of an image.
    Diagnosis {
        /// The image.
        image: String,
        /// The cause's code, which may be newer than this program.
        cause: String,
        /// In which stage it showed.
        stage: Stage,
        /// At which endpoint.
        endpoint: Endpoint,
    },
    /// No fresh report.
    NoReport {
        /// The state's word.
        state: &'static str,
        /// What nodes of the group have in common beyond it, such as `ImagePullBackOff`.
        reason: Option<String>,
    },
}

impl Finding {
    /// The word to tell it by: the cause or the state.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::Diagnosis { cause, .. } => cause,
            Self::NoReport { state, .. } => state,
        }
    }
}

/// Judges a fleet.
#[must_use]
pub fn judge(fleet: &Fleet) -> Judgement {
    let verdict = fleet.nodes.iter().filter_map(Node::verdict).max().unwrap_or(Verdict::Unknown);
    Judgement { verdict, counts: count(fleet), groups: group(fleet) }
}

fn count(fleet: &Fleet) -> Counts {
    let mut counts = Counts { nodes: fleet.nodes.len(), ..Counts::default() };
    for node in &fleet.nodes {
        let place = match (&node.state, node.verdict()) {
            (State::Excluded(_), _) => &mut counts.excluded,
            (State::Left, _) => &mut counts.left,
            (_, None) => &mut counts.joined_late,
            (State::Reported(_), Some(Verdict::Pass)) => &mut counts.pass,
            (State::Reported(_), Some(Verdict::Warn)) => &mut counts.warn,
            (State::Reported(_), Some(Verdict::Fail)) => &mut counts.fail,
            (State::Reported(_), Some(Verdict::Unknown)) => &mut counts.unknown,
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
        *place += 1;
    }
    counts.expected = counts.nodes - counts.excluded - counts.left - counts.joined_late;
    counts
}

/// What one node says about a finding; thousands of them are held at once.
#[derive(Clone, Copy)]
struct Said<'fleet> {
    node: &'fleet Node,
    severity: Severity,
    /// None where there is no report.
    diagnosis: Option<(&'fleet ImageReport, &'fleet ImageDiagnosis)>,
}

fn group(fleet: &Fleet) -> Vec<Group> {
    let mut nodes: Vec<&Node> = fleet.nodes.iter().filter(|node| node.verdict().is_some()).collect();
    nodes.sort_by(|one, other| one.name.cmp(&other.name));
    let mut findings: BTreeMap<Finding, Vec<Said<'_>>> = BTreeMap::new();
    for node in nodes {
        let Some(report) = node.report() else {
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
    // Stable: findings of equal weight keep the order of their own.
    groups.sort_by_key(|group| (group.severity, std::cmp::Reverse(group.nodes.len())));
    groups
}

fn group_of(fleet: &Fleet, finding: Finding, mut said: Vec<Said<'_>>) -> Option<Group> {
    // The worst first: a cause may fail one node and only warn another. The order of names stays within.
    said.sort_by_key(|said| said.severity);
    let first = *said.first()?;
    let all_say_the_same = said.iter().all(|other| match (first.diagnosis, other.diagnosis) {
        (Some((_, one)), Some((_, other))) => one.message == other.message,
        _ => advice(fleet, &first) == advice(fleet, other),
    });
    // An image that is checked under two names says it twice.
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

/// What makes two nodes without a report alike. Reasons with addresses and times in them are each node's own.
fn shared_reason(state: &State) -> Option<String> {
    match state {
        State::Unready { reason }
        | State::NodeNotReady { reason }
        | State::ConfigurationRejected { reason } => Some(reason.clone()),
        State::Stale(staleness @ Staleness::OtherConfiguration { .. }) => Some(staleness.to_string()),
        State::Reported(_)
        | State::Missing
        | State::Unreachable { .. }
        | State::Stale(_)
        | State::Excluded(_)
        | State::Left => None,
    }
}
