//! The nodes of a smoke check, and when each is asked next.
//!
//! Owns what a list or an answer changes about a node. It sends nothing and knows no cluster; time is an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::{FIRST_PAUSE, LONGEST_PAUSE};
use crate::cluster::ask::Answer;
use crate::cluster::{Agent, DaemonSet, Member, Readiness};
use crate::diagnosis::Verdict;
use crate::fleet::placement::exclusion;
use crate::fleet::{Node, State};

/// Every node that was ever in a list, by name.
#[derive(Default)]
pub(super) struct Roll {
    entries: BTreeMap<String, Entry>,
    /// Whether the first list was read: nodes of a later one joined meanwhile.
    has_begun: bool,
}

struct Entry {
    node: Node,
    agent: Option<Agent>,
    next: Next,
    /// Until it is asked again, the next time that it does not pass.
    pause: Duration,
}

/// When a node is asked next.
#[derive(Clone, Copy)]
enum Next {
    /// At this time.
    At(Instant),
    /// A request is on its way.
    Asked,
    /// It has passed, or cannot be asked.
    Never,
}

impl Roll {
    /// The nodes, by name.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.entries.values().map(|entry| &entry.node)
    }

    /// The worst verdict of a node that counts; `unknown` where none does.
    pub(super) fn verdict(&self) -> Verdict {
        self.nodes().filter_map(Node::verdict).max().unwrap_or(Verdict::Unknown)
    }

    /// When somebody is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.entries.values().filter_map(Entry::due).min()
    }

    /// Who is due longest; the request counts as sent.
    pub(super) fn begin(&mut self, now: Instant) -> Option<Agent> {
        let entry = self
            .entries
            .values_mut()
            .filter(|entry| entry.due().is_some_and(|due| due <= now))
            .min_by_key(|entry| entry.due())?;
        entry.next = Next::Asked;
        entry.agent.clone()
    }

    /// Takes over what the lists say.
    pub(super) fn update(&mut self, set: &DaemonSet, members: Vec<Member>, agents: Vec<Agent>, now: Instant) {
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

    /// Takes over an answer; `elapsed` is how long the smoke check has lasted.
    pub(super) fn answered(
        &mut self,
        node: &str,
        pod: &str,
        answer: Answer,
        elapsed: Duration,
        now: Instant,
    ) {
        let Some(entry) = self.entries.get_mut(node) else { return };
        // The answer of a Pod that has been replaced meanwhile says nothing about its successor.
        if entry.node.pod.as_deref() != Some(pod) || !matches!(entry.next, Next::Asked) {
            return;
        }
        entry.take(answer, elapsed, now);
    }
}

/// The one Pod of each node that counts: one that is ready before others, then the newest.
fn newest(agents: Vec<Agent>) -> BTreeMap<String, Agent> {
    let weight = |agent: &Agent| (agent.readiness == Readiness::Ready, agent.created.clone());
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
    fn new(member: &Member, joined_late: bool) -> Self {
        Self {
            node: Node {
                name: member.host.name.clone(),
                place: member.place.clone(),
                cordoned: member.cordoned,
                joined_late,
                pod: None,
                state: State::Missing,
            },
            agent: None,
            next: Next::Never,
            pause: FIRST_PAUSE,
        }
    }

    fn due(&self) -> Option<Instant> {
        match self.next {
            Next::At(due) => Some(due),
            Next::Asked | Next::Never => None,
        }
    }

    fn update(&mut self, set: &DaemonSet, member: Member, agent: Option<Agent>, now: Instant) {
        self.node.place = member.place;
        self.node.cordoned = member.cordoned;
        let pod = agent.as_ref().map(|agent| agent.name.clone());
        let is_same_pod = pod.is_some() && pod == self.node.pod;
        let is_ready = agent.as_ref().is_some_and(|agent| agent.readiness == Readiness::Ready);
        self.node.pod = pod;
        let was_asked = is_same_pod && is_ready && self.can_be_asked();
        self.agent = agent;
        // What a Pod that is still the same has said holds, and the next request is planned already.
        if was_asked {
            return;
        }
        self.pause = FIRST_PAUSE;
        self.next = Next::Never;
        self.node.state = match (&self.agent, member.not_ready) {
            (None, _) if exclusion(&set.rules, &member.host).is_some() => {
                exclusion(&set.rules, &member.host).map_or(State::Missing, State::Excluded)
            }
            (_, Some(reason)) => State::NodeNotReady { reason },
            (None, None) => State::Missing,
            (Some(agent), None) => match &agent.readiness {
                Readiness::NotReady(reason) => State::Unready { reason: reason.clone() },
                Readiness::Ready => {
                    self.next = Next::At(now);
                    State::Stale { age: None }
                }
            },
        };
    }

    /// Whether its Pod was ready at the last look.
    fn can_be_asked(&self) -> bool {
        match &self.node.state {
            State::Reported(_) | State::Unreachable { .. } | State::Stale { .. } => true,
            State::Missing
            | State::NodeNotReady { .. }
            | State::Unready { .. }
            | State::Excluded(_)
            | State::Left => false,
        }
    }

    fn take(&mut self, answer: Answer, elapsed: Duration, now: Instant) {
        match answer {
            Answer::Later(wait) => self.next = Next::At(now + wait),
            Answer::Nothing(reason) => {
                self.node.state = State::Unreachable { reason };
                self.ask_again(now);
            }
            Answer::Report(report) => {
                let took = report.duration_seconds.duration();
                if let Some(age) = took.checked_sub(elapsed).filter(|age| !age.is_zero()) {
                    // It was running already. What ran before does not count; asked again, the agent begins anew.
                    self.node.state = State::Stale { age: Some(age) };
                    self.next = Next::At(now + FIRST_PAUSE);
                    return;
                }
                self.node.state = State::Reported(report);
                if self.node.verdict() == Some(Verdict::Pass) {
                    self.next = Next::Never;
                } else {
                    self.ask_again(now);
                }
            }
        }
    }

    fn ask_again(&mut self, now: Instant) {
        self.next = Next::At(now + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}
