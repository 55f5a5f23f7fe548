//! Tracks the nodes of a smoke check and when each is queried next.
//!
//! Owns which nodes are in the sample and the choice of the next request; [`entry`] owns how a response changes a node. It does no
//! I/O; time is an argument.

mod entry;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use self::entry::{Depth, Entry};
use super::pace::Lane;
use crate::cluster::ask::Answer;
use crate::cluster::{Agent, ClusterNode, DaemonSet, Readiness};
use crate::fleet::report::Texts;
use crate::fleet::sample::{Candidate, Placement, Sample, SampleSummary, replacements};
use crate::fleet::{Node, State};
use crate::verdict::Verdict;

/// All nodes that were ever listed, by name.
#[derive(Default)]
pub(super) struct NodeTracker {
    /// Digest of the configuration that every agent must use; `None` accepts any.
    expected: Option<String>,
    texts: Texts,
    entries: BTreeMap<String, Entry>,
    /// Whether the first list was read. Nodes of later lists joined during the check.
    has_begun: bool,
    /// Which nodes are checked whole.
    plan: Plan,
    /// Whether any node is only read.
    has_readers: bool,
}

/// Which nodes are checked whole.
#[derive(Default)]
enum Plan {
    /// Not decided yet: only the nodes that are in the sample in any case are checked.
    #[default]
    Open,
    /// All nodes.
    All,
    /// The nodes of a sample.
    Sample { nodes: BTreeSet<String>, summary: SampleSummary, salt: String },
}

/// A request to an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    /// Triggers a check.
    Check,
    /// Only reads the report of the last check.
    LastReport,
}

impl NodeTracker {
    pub(super) fn new(expected: Option<String>) -> Self {
        Self { expected, ..Self::default() }
    }

    /// Returns whether an agent rejects the expected configuration, which waiting does not change.
    pub(super) fn is_rejected(&self) -> bool {
        self.expected.is_some()
            && self.nodes().any(|node| matches!(node.state, State::ConfigurationRejected { .. }))
    }

    /// Returns whether an agent that can be queried has not responded yet.
    pub(super) fn awaits_answers(&self) -> bool {
        self.entries.values().any(Entry::is_awaited)
    }

    /// Returns the number of nodes.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the nodes in order of their names.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.entries.values().map(|entry| &entry.node)
    }

    /// Returns the worst verdict of the nodes that count, or `unknown` if none does.
    pub(super) fn verdict(&self) -> Verdict {
        self.nodes().filter_map(Node::verdict).max().unwrap_or(Verdict::Unknown)
    }

    /// Returns the nodes that should run an agent.
    pub(super) fn candidates(&self) -> Vec<Candidate> {
        let counted = self.nodes().filter(|node| !matches!(node.state, State::Excluded(_) | State::Left));
        let candidate =
            |node: &Node| Candidate { name: node.name.clone(), placement: Placement::from(&node.topology) };
        counted.map(candidate).collect()
    }

    /// Returns what the sample represents, if there is one.
    pub(super) const fn sample(&self) -> Option<SampleSummary> {
        match &self.plan {
            Plan::Sample { summary, .. } => Some(*summary),
            Plan::Open | Plan::All => None,
        }
    }

    /// Returns the number of nodes outside the sample that only a whole check can prove, since their agents have none of the
    /// expected configuration. Zero if a node already decides that the smoke check does not pass.
    pub(super) fn unproven(&self) -> usize {
        let is_decided = |node: &Node| {
            node.report().is_some() && matches!(node.verdict(), Some(Verdict::Unknown | Verdict::Fail))
        };
        if self.nodes().any(is_decided) {
            0
        } else {
            self.entries.values().filter(|entry| entry.is_unproven()).count()
        }
    }

    /// Checks the first nodes of a sample before its size is decided.
    pub(super) fn check_first(&mut self, sample: &Sample, now: Instant) {
        for (rank, name) in sample.nodes.iter().enumerate() {
            if let Some(entry) = self.entries.get_mut(name) {
                entry.check_to(Depth::Whole, rank, now);
            }
        }
    }

    /// Checks all nodes whole.
    pub(super) fn check_all(&mut self, now: Instant) {
        self.plan = Plan::All;
        for (rank, entry) in self.entries.values_mut().enumerate() {
            entry.check_to(Depth::Whole, rank, now);
        }
    }

    /// Checks a sample whole, and only the paths of the other nodes. A node that is being checked already stays in the sample.
    pub(super) fn check_sample(&mut self, sample: Sample, salt: String, now: Instant) {
        self.has_readers = true;
        self.check_first(&sample, now);
        for entry in self.entries.values_mut() {
            entry.check_to(Depth::Path, usize::MAX, now);
        }
        self.plan = Plan::Sample { nodes: sample.nodes.into_iter().collect(), summary: sample.summary, salt };
    }

    /// Returns when the next request is due.
    pub(super) fn next_due(&self, lane: Lane) -> Option<Instant> {
        if lane == Lane::Reports && !self.has_readers {
            return None;
        }
        self.entries.values().filter_map(|entry| entry.due(lane)).min()
    }

    /// Takes the agent that has been due longest and marks its request as sent.
    pub(super) fn begin(&mut self, lane: Lane, now: Instant) -> Option<(Agent, Request)> {
        let entry = self
            .entries
            .values_mut()
            .filter(|entry| entry.due(lane).is_some_and(|due| due <= now))
            .min_by_key(|entry| (entry.due(lane), entry.rank))?;
        let request = match lane {
            Lane::Checks => Request::Check,
            Lane::Reports => Request::LastReport,
        };
        Some((entry.begin()?, request))
    }

    /// Applies new lists.
    pub(super) fn update(
        &mut self,
        set: &DaemonSet,
        members: Vec<ClusterNode>,
        agents: Vec<Agent>,
        now: Instant,
    ) {
        let mut agents = newest(agents);
        for entry in self.entries.values_mut() {
            if !members.iter().any(|member| member.host.name == entry.node.name) {
                entry.leave();
            }
        }
        for member in members {
            let agent = agents.remove(&member.host.name);
            let joined_late = self.has_begun;
            let depth = match self.plan {
                Plan::Open => Depth::Undecided,
                Plan::All => Depth::Whole,
                Plan::Sample { .. } => Depth::Path,
            };
            let entry = self
                .entries
                .entry(member.host.name.clone())
                .or_insert_with(|| Entry::new(&member, joined_late, depth));
            entry.update(set, member, agent, now);
        }
        self.has_begun = true;
        self.complete_sample(now);
    }

    /// Replaces nodes of the sample that left, and represents placements that are new.
    fn complete_sample(&mut self, now: Instant) {
        if self.sample().is_none() {
            return;
        }
        let candidates = self.candidates();
        let Plan::Sample { nodes, summary, salt } = &mut self.plan else { return };
        for name in replacements(&candidates, nodes, summary, salt) {
            if let Some(entry) = self.entries.get_mut(&name) {
                entry.promote(now);
            }
            nodes.insert(name);
        }
    }

    /// Applies a response. `elapsed` is the time from the start of the smoke check until the response, or until the request if it
    /// only read a report, which may be older than its response.
    pub(super) fn answered(
        &mut self,
        (node, pod): (&str, &str),
        request: Request,
        mut answer: Answer,
        elapsed: Duration,
        now: Instant,
    ) {
        let Some(entry) = self.entries.get_mut(node) else { return };
        // A response of a Pod that has been replaced since does not apply to its successor.
        if !entry.awaits(pod) {
            return;
        }
        self.has_readers |= matches!(answer, Answer::NotOnDemand(_));
        if let Answer::Report { report, age: _, path_age: _ } = &mut answer {
            self.texts.share(report);
        }
        entry.take(answer, request, self.expected.as_deref(), elapsed, now);
    }
}

/// Selects one Pod per node: a ready one first, then the newest.
fn newest(agents: Vec<Agent>) -> BTreeMap<String, Agent> {
    let weight = |agent: &Agent| {
        let readiness = match agent.readiness {
            Readiness::Ready => 2,
            Readiness::Running(_) => 1,
            Readiness::NotReady(_) => 0,
        };
        (readiness, agent.created.clone())
    };
    let mut by_node: BTreeMap<String, Agent> = BTreeMap::new();
    for agent in agents {
        let is_better = by_node.get(&agent.node).is_none_or(|known| weight(known) < weight(&agent));
        if is_better {
            by_node.insert(agent.node.clone(), agent);
        }
    }
    by_node
}
