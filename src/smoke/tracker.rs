//! Tracks the nodes of a smoke check and when each is queried next.
//!
//! Owns how a list or a response changes the state of a node. It does no I/O; time is an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::{FIRST_PAUSE, LONGEST_PAUSE, REGULAR_PAUSE};
use crate::cluster::ask::Answer;
use crate::cluster::{Agent, ClusterNode, DaemonSet, Readiness};
use crate::fleet::placement::exclusion;
use crate::fleet::report::{ConfigurationState, NodeReport, Texts};
use crate::fleet::{Node, NotOnDemand, Staleness, State};
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
}

struct Entry {
    node: Node,
    agent: Option<Agent>,
    next: Next,
    /// Pause before the next retry if the node does not pass.
    pause: Duration,
    /// Set once the agent has rejected a check on demand: its regular checks count then.
    regular: Option<NotOnDemand>,
}

/// A request to an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    /// Triggers a check.
    Check,
    /// Only reads the report of the last check.
    LastReport,
}

/// When a node is queried next.
#[derive(Clone, Copy)]
enum Next {
    /// At this time.
    At(Instant),
    /// A request is in flight.
    Asked,
    /// The node passed or cannot be queried.
    Never,
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
        let awaited = |entry: &Entry| {
            !matches!(entry.next, Next::Never)
                && matches!(entry.node.state, State::Stale(Staleness::Unanswered))
        };
        self.entries.values().any(awaited)
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

    /// Returns when the next request is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.entries.values().filter_map(Entry::due).min()
    }

    /// Takes the agent that has been due longest and marks its request as sent.
    pub(super) fn begin(&mut self, now: Instant) -> Option<(Agent, Request)> {
        let entry = self
            .entries
            .values_mut()
            .filter(|entry| entry.due().is_some_and(|due| due <= now))
            .min_by_key(|entry| entry.due())?;
        entry.next = Next::Asked;
        let request = if entry.regular.is_some() { Request::LastReport } else { Request::Check };
        entry.agent.clone().map(|agent| (agent, request))
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
                entry.node.state = State::Left;
                entry.next = Next::Never;
            }
        }
        for member in members {
            let agent = agents.remove(&member.host.name);
            let joined_late = self.has_begun;
            let entry = self
                .entries
                .entry(member.host.name.clone())
                .or_insert_with(|| Entry::new(&member, joined_late));
            entry.update(set, member, agent, now);
        }
        self.has_begun = true;
    }

    /// Applies a response. `elapsed` is the time from the start of the smoke check until the response, or until the request if it
    /// only read a report, which may be older than its response.
    pub(super) fn answered(
        &mut self,
        node: &str,
        pod: &str,
        mut answer: Answer,
        elapsed: Duration,
        now: Instant,
    ) {
        let Some(entry) = self.entries.get_mut(node) else { return };
        // A response of a Pod that has been replaced since does not apply to its successor.
        if entry.node.pod.as_deref() != Some(pod) || !matches!(entry.next, Next::Asked) {
            return;
        }
        if let Answer::Report { report, age: _ } = &mut answer {
            self.texts.share(report);
        }
        entry.take(answer, self.expected.as_deref(), elapsed, now);
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

impl Entry {
    fn new(member: &ClusterNode, joined_late: bool) -> Self {
        Self {
            node: Node {
                name: member.host.name.clone(),
                topology: member.topology.clone(),
                cordoned: member.cordoned,
                joined_late,
                pod: None,
                state: State::Missing,
            },
            agent: None,
            next: Next::Never,
            pause: FIRST_PAUSE,
            regular: None,
        }
    }

    fn due(&self) -> Option<Instant> {
        match self.next {
            Next::At(due) => Some(due),
            Next::Asked | Next::Never => None,
        }
    }

    fn update(&mut self, set: &DaemonSet, member: ClusterNode, agent: Option<Agent>, now: Instant) {
        self.node.topology = member.topology;
        self.node.cordoned = member.cordoned;
        let pod = agent.as_ref().map(|agent| agent.name.clone());
        let is_same_pod = pod.is_some() && pod == self.node.pod;
        let is_asked = agent.as_ref().is_some_and(|agent| !matches!(agent.readiness, Readiness::NotReady(_)));
        self.node.pod = pod;
        let was_asked = is_same_pod && is_asked && self.can_be_asked();
        self.agent = agent;
        // The last response of an unchanged Pod still holds, and its next request is already scheduled.
        if was_asked {
            return;
        }
        self.pause = FIRST_PAUSE;
        self.regular = None;
        self.next = Next::Never;
        self.node.state = match (&self.agent, member.not_ready) {
            (None, _) if exclusion(&set.rules, &member.host).is_some() => {
                exclusion(&set.rules, &member.host).map_or(State::Missing, State::Excluded)
            }
            (_, Some(reason)) => State::NodeNotReady { reason },
            (None, None) => State::Missing,
            (Some(agent), None) => match &agent.readiness {
                Readiness::NotReady(reason) => State::Unready { reason: reason.clone() },
                // A running Pod may serve already; the request triggers its first check.
                Readiness::Ready | Readiness::Running(_) => {
                    self.next = Next::At(now);
                    State::Stale(Staleness::Unanswered)
                }
            },
        };
    }

    /// Returns whether its Pod is being queried, so that its last response still holds.
    fn can_be_asked(&self) -> bool {
        match &self.node.state {
            State::Reported(_)
            | State::ConfigurationRejected { .. }
            | State::Unreachable { .. }
            | State::Stale(_) => true,
            // A running Pod that has not responded is queried again.
            State::Unready { .. } => !matches!(self.next, Next::Never),
            State::Missing | State::NodeNotReady { .. } | State::Excluded(_) | State::Left => false,
        }
    }

    fn take(&mut self, answer: Answer, expected: Option<&str>, elapsed: Duration, now: Instant) {
        match answer {
            Answer::Later { wait, reason } => {
                // An earlier report still holds.
                if matches!(self.node.state, State::Stale(_)) {
                    self.node.state = State::Stale(Staleness::Postponed { wait, reason });
                }
                self.next = Next::At(now + wait);
            }
            Answer::Nothing(reason) => {
                self.node.state = match self.agent.as_ref().map(|agent| &agent.readiness) {
                    Some(Readiness::Running(reason)) => State::Unready { reason: reason.clone() },
                    Some(Readiness::Ready | Readiness::NotReady(_)) | None => State::Unreachable { reason },
                };
                self.ask_again(now);
            }
            Answer::OtherConfiguration(configuration) => self.wait_for(Some(&configuration), expected, now),
            Answer::NotOnDemand(reason) => {
                self.regular = Some(reason);
                // An earlier report still holds.
                if matches!(self.node.state, State::Stale(_)) {
                    self.node.state = State::Stale(Staleness::NotOnDemand(reason));
                }
                self.next = Next::At(now + REGULAR_PAUSE);
            }
            Answer::Report { report, age } => match (self.regular, age) {
                // Its check, and the time since, fit in the time since the start of the smoke check.
                (Some(_), Some(age)) if report.duration + age <= elapsed => {
                    self.take_report(report, expected, elapsed, now);
                }
                (Some(reason), Some(_) | None) => {
                    self.node.state = State::Stale(Staleness::NotOnDemand(reason));
                    self.next = Next::At(now + REGULAR_PAUSE);
                }
                (None, _) => self.take_report(report, expected, elapsed, now),
            },
        }
    }

    fn take_report(
        &mut self,
        report: Box<NodeReport>,
        expected: Option<&str>,
        elapsed: Duration,
        now: Instant,
    ) {
        let configuration = report.configuration.as_ref();
        let is_rejected = configuration.is_some_and(|known| known.rejected.is_some());
        let is_other = expected.is_some() && configuration.map(|known| &*known.digest) != expected;
        if is_rejected || is_other {
            self.wait_for(configuration, expected, now);
            return;
        }
        if let Some(age) = report.duration.checked_sub(elapsed).filter(|age| !age.is_zero()) {
            // The check was already running and does not count. The next request triggers a new one.
            self.node.state = State::Stale(Staleness::Running(age));
            self.next = Next::At(now + FIRST_PAUSE);
            return;
        }
        let retry_after = report.retry_after();
        self.node.state = State::Reported(report);
        match self.node.verdict() {
            Some(Verdict::Pass) => self.next = Next::Never,
            // The reason for `unknown` does not pass quickly; a registry that throttles says how long to wait.
            Some(Verdict::Unknown) => {
                self.next = Next::At(now + retry_after.unwrap_or_default().max(LONGEST_PAUSE));
            }
            Some(Verdict::Warn | Verdict::Fail) | None => self.ask_again(now),
        }
    }

    /// Handles another configuration than the expected one. The agent reloads it within a minute or two, unless it rejects it.
    fn wait_for(&mut self, configuration: Option<&ConfigurationState>, expected: Option<&str>, now: Instant) {
        let rejected = configuration.and_then(|known| known.rejected.as_ref().map(|reason| (known, reason)));
        self.next = Next::At(now + FIRST_PAUSE);
        self.node.state = match (rejected, expected) {
            (Some((known, reason)), Some(expected)) if known.rejected_digest.as_deref() == Some(expected) => {
                self.next = Next::Never;
                State::ConfigurationRejected { reason: reason.to_string() }
            }
            (Some((_, reason)), None) => {
                self.ask_again(now);
                State::ConfigurationRejected { reason: reason.to_string() }
            }
            (Some(_) | None, _) => State::Stale(Staleness::OtherConfiguration {
                digest: configuration.map(|known| known.digest.to_string()),
            }),
        };
    }

    fn ask_again(&mut self, now: Instant) {
        self.next = Next::At(now + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}
