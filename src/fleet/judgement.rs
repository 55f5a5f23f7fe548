//! What the nodes amount to together: the verdict on the fleet, and equal failures as one.
//!
//! Owns the counting and the grouping. The verdict on a node is its agent's; a node without a fresh report is a failure.

use std::collections::BTreeMap;

use super::{Fleet, Node, State};
use crate::diagnosis::{Severity, Verdict};
use crate::observation::{Endpoint, Stage};
use crate::report::json::{DiagnosisReport, Image};

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

/// What is known and what is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// One sentence with the evidence.
    pub message: String,
    /// One imperative sentence.
    pub remedy: String,
    /// What to paste into a shell.
    pub commands: Vec<String>,
    /// The runbook's section, where there is one.
    pub runbook: Option<String>,
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
                | State::Unreachable { .. }
                | State::Stale { .. },
                Some(_),
            ) => &mut counts.no_report,
        };
        *place += 1;
    }
    counts.expected = counts.nodes - counts.excluded - counts.left - counts.joined_late;
    counts
}

/// Everything that nodes say about one finding, in the order of their names.
type Said<'fleet> = Vec<(&'fleet str, Severity, Advice)>;

fn group(fleet: &Fleet) -> Vec<Group> {
    let mut nodes: Vec<&Node> = fleet.nodes.iter().filter(|node| node.verdict().is_some()).collect();
    nodes.sort_by(|one, other| one.name.cmp(&other.name));
    let mut findings: BTreeMap<Finding, Said<'_>> = BTreeMap::new();
    for node in nodes {
        match node.report() {
            Some(report) => {
                for (image, first) in report.images.iter().filter_map(first_diagnosis) {
                    let said = (node.name.as_str(), first.severity.0, Advice::from(first));
                    findings.entry(finding_of(image, first)).or_default().push(said);
                }
            }
            None => {
                let finding =
                    Finding::NoReport { state: node.state.as_str(), reason: shared_reason(&node.state) };
                let said = (node.name.as_str(), Severity::Fail, advice_without_report(fleet, node));
                findings.entry(finding).or_default().push(said);
            }
        }
    }
    let mut groups: Vec<Group> =
        findings.into_iter().filter_map(|(finding, said)| group_of(finding, said)).collect();
    // Stable: findings of equal weight keep the order of their own.
    groups.sort_by_key(|group| (group.severity, std::cmp::Reverse(group.nodes.len())));
    groups
}

fn group_of(finding: Finding, mut said: Said<'_>) -> Option<Group> {
    // The worst first: a cause may fail one node and only warn another. The order of names stays within.
    said.sort_by_key(|(_, severity, _)| *severity);
    let (first, severity, example) = said.first().cloned()?;
    let all_say_the_same = said.iter().all(|(_, _, advice)| *advice == example);
    // An image that is checked under two names says it twice.
    let mut nodes: Vec<String> = said.into_iter().map(|(node, ..)| node.to_owned()).collect();
    nodes.sort();
    nodes.dedup();
    let example_of = (!all_say_the_same).then(|| first.to_owned());
    Some(Group { finding, severity, nodes, example, example_of })
}

fn first_diagnosis(image: &Image) -> Option<(&Image, &DiagnosisReport)> {
    image.diagnoses.first().map(|first| (image, first))
}

fn finding_of(image: &Image, first: &DiagnosisReport) -> Finding {
    Finding::Diagnosis {
        image: image.image.clone(),
        cause: first.cause.clone(),
        stage: first.stage.0,
        endpoint: first.endpoint.0,
    }
}

impl From<&DiagnosisReport> for Advice {
    fn from(diagnosis: &DiagnosisReport) -> Self {
        Self {
            message: diagnosis.message.clone(),
            remedy: diagnosis.remedy.clone(),
            commands: diagnosis.commands.clone(),
            runbook: Some(diagnosis.runbook.clone()),
        }
    }
}

/// What makes two nodes without a report alike. Reasons with addresses and times in them are each node's own.
fn shared_reason(state: &State) -> Option<String> {
    match state {
        State::Unready { reason } | State::NodeNotReady { reason } => Some(reason.clone()),
        State::Reported(_)
        | State::Missing
        | State::Unreachable { .. }
        | State::Stale { .. }
        | State::Excluded(_)
        | State::Left => None,
    }
}

/// What is known of a node without a fresh report, and what is to be done.
#[must_use]
pub fn advice_without_report(fleet: &Fleet, node: &Node) -> Advice {
    let Fleet { namespace, daemon_set, .. } = fleet;
    let name = &node.name;
    let describe_node = format!("kubectl describe node {name}");
    let describe_set = format!("kubectl --namespace {namespace} describe daemonset {daemon_set}");
    let pod = node.pod.as_deref().unwrap_or("POD");
    let describe_pod = format!("kubectl --namespace {namespace} describe pod {pod}");
    let logs = format!("kubectl --namespace {namespace} logs {pod}");
    let reason = node.state.reason().unwrap_or_default();
    let (message, remedy, commands) = match &node.state {
        State::NodeNotReady { .. } => (
            format!("The node is not ready ({reason}), so nothing on it can be asked."),
            "Bring the node back, or remove it from the cluster.",
            vec![describe_node],
        ),
        State::Unready { .. } => (
            format!("The agent's Pod on this node is not ready: {reason}."),
            "See what holds the Pod up.",
            vec![describe_pod, logs],
        ),
        State::Unreachable { .. } => (
            format!("The agent's Pod on this node is ready, and gave no report: {reason}."),
            "See that network policies and firewalls let the smoke check reach the agent's port.",
            vec![logs, describe_pod],
        ),
        State::Stale { .. } => (
            format!("The agent on this node gave no report that is younger than this smoke check: {reason}."),
            "Run the smoke check again with a longer --timeout.",
            vec![logs],
        ),
        State::Missing | State::Reported(_) | State::Excluded(_) | State::Left => (
            format!("The node should run an agent, and DaemonSet {daemon_set} has no Pod on it."),
            "See why the DaemonSet places no Pod on the node.",
            vec![describe_set, describe_node],
        ),
    };
    Advice { message, remedy: remedy.to_owned(), commands, runbook: None }
}
