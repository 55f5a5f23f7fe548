//! A node of a smoke check: how a list or a response changes its state, and when it is queried next.
//!
//! Owns what counts for a node: a whole check since the smoke check started, or outside the sample an open path since then and a
//! last whole check that passed. Outside the sample, a node whose last report shows something else is checked whole.

use std::time::Duration;

use tokio::time::Instant;

use super::super::pace::Lane;
use super::super::{FIRST_PAUSE, LONGEST_PAUSE, REGULAR_PAUSE};
use super::Request;
use crate::cluster::ask::Answer;
use crate::cluster::{Agent, ClusterNode, DaemonSet, Readiness};
use crate::config::Schedule;
use crate::fleet::placement::exclusion;
use crate::fleet::report::{ConfigurationState, NodeReport};
use crate::fleet::{Node, NotOnDemand, Staleness, State};
use crate::verdict::Verdict;

/// Time that a path check takes, and the precision of its age.
const PATH_CHECK: Duration = Duration::from_secs(2);

/// How a node is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Not decided yet.
    Undecided,
    /// Whole.
    Whole,
    /// Only its path, unless its last report shows a problem.
    Path,
}

/// When a node is queried next.
#[derive(Debug, Clone, Copy)]
enum Next {
    /// At this time.
    At(Instant),
    /// A request is in flight.
    Asked,
    /// The node passed or cannot be queried.
    Never,
}

/// A node of a smoke check.
pub(super) struct Entry {
    pub(super) node: Node,
    agent: Option<Agent>,
    depth: Depth,
    /// Order of the checks that are due at the same time.
    pub(super) rank: usize,
    next: Next,
    /// Outside the sample: when a whole check is due because of the last report.
    check_due: Option<Instant>,
    /// Pause before the next retry if the node does not pass.
    pause: Duration,
    /// Set once the agent has rejected a check on demand: its regular checks count then.
    regular: Option<NotOnDemand>,
}

impl Entry {
    pub(super) fn new(member: &ClusterNode, joined_late: bool, depth: Depth) -> Self {
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
            depth,
            rank: usize::MAX,
            next: Next::Never,
            check_due: None,
            pause: FIRST_PAUSE,
            regular: None,
        }
    }

    /// Decides how the node is checked, unless that is decided already.
    pub(super) fn check_to(&mut self, depth: Depth, rank: usize, now: Instant) {
        if self.depth == Depth::Undecided {
            (self.depth, self.rank) = (depth, rank);
            self.begin_again(now);
        }
    }

    /// Adds the node to the sample.
    pub(super) fn promote(&mut self, now: Instant) {
        if self.depth != Depth::Whole {
            self.depth = Depth::Whole;
            self.check_due = None;
            if matches!(self.node.state, State::PathOpen(_)) {
                self.node.state = State::Stale(Staleness::Unanswered);
                self.next = Next::At(now);
            }
        }
    }

    pub(super) fn leave(&mut self) {
        self.node.state = State::Left;
        (self.next, self.check_due) = (Next::Never, None);
    }

    /// Returns whether the agent can be queried and has not responded yet.
    pub(super) fn is_awaited(&self) -> bool {
        !matches!(self.next, Next::Never) && matches!(self.node.state, State::Stale(Staleness::Unanswered))
    }

    /// Returns whether only a whole check can prove the node, and one is planned.
    pub(super) fn is_unproven(&self) -> bool {
        let has_no_report = matches!(
            self.node.state,
            State::Stale(Staleness::OtherConfiguration { .. })
                | State::Unreachable { .. }
                | State::Unready { .. }
        );
        has_no_report && self.check_due.is_some()
    }

    /// Returns whether a request to this Pod is in flight.
    pub(super) fn awaits(&self, pod: &str) -> bool {
        self.node.pod.as_deref() == Some(pod) && matches!(self.next, Next::Asked)
    }

    /// Returns when a request of this kind is due.
    pub(super) fn due(&self, lane: Lane) -> Option<Instant> {
        let Next::At(due) = self.next else { return None };
        let reads = match self.depth {
            Depth::Undecided => return None,
            Depth::Whole => self.regular.is_some(),
            Depth::Path => true,
        };
        match (lane, reads) {
            (Lane::Checks, false) | (Lane::Reports, true) => Some(due),
            (Lane::Checks, true) => self.check_due.filter(|_| self.regular.is_none()),
            (Lane::Reports, false) => None,
        }
    }

    /// Returns the agent to query.
    pub(super) fn begin(&mut self) -> Option<Agent> {
        self.next = Next::Asked;
        self.agent.clone()
    }

    pub(super) fn update(
        &mut self,
        set: &DaemonSet,
        member: ClusterNode,
        agent: Option<Agent>,
        now: Instant,
    ) {
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
                Readiness::Ready | Readiness::Running(_) => State::Stale(Staleness::Unanswered),
            },
        };
        self.begin_again(now);
    }

    /// Plans the first request to an agent that can be queried.
    fn begin_again(&mut self, now: Instant) {
        self.pause = FIRST_PAUSE;
        self.check_due = None;
        if matches!(self.node.state, State::Stale(Staleness::Unanswered)) {
            // A path check since the start of the smoke check needs some time.
            let wait = if self.depth == Depth::Path { FIRST_PAUSE } else { Duration::ZERO };
            self.next = Next::At(now + wait);
        }
    }

    /// Returns whether its Pod is being queried, so that its last response still holds.
    fn can_be_asked(&self) -> bool {
        match &self.node.state {
            State::Reported(_)
            | State::PathOpen(_)
            | State::ConfigurationRejected { .. }
            | State::Unreachable { .. }
            | State::Stale(_) => true,
            // A running Pod that has not responded is queried again.
            State::Unready { .. } => !matches!(self.next, Next::Never),
            State::Missing | State::NodeNotReady { .. } | State::Excluded(_) | State::Left => false,
        }
    }

    /// Applies a response. `elapsed` is explained at `NodeTracker::answered`.
    pub(super) fn take(
        &mut self,
        answer: Answer,
        request: Request,
        expected: Option<&str>,
        elapsed: Duration,
        now: Instant,
    ) {
        if request == Request::Check {
            self.check_due = None;
        }
        match answer {
            Answer::Later { wait, reason } => {
                // An earlier report still holds.
                if matches!(self.node.state, State::Stale(_)) {
                    self.node.state = State::Stale(Staleness::Postponed { wait, reason });
                }
                self.check_at(now + wait);
                if self.depth == Depth::Path {
                    self.next = Next::At(now + wait.min(LONGEST_PAUSE));
                }
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
            Answer::Report { report, age, path_age } => {
                // Its check, and the time since, fit in the time since the start of the smoke check.
                let is_fresh = match request {
                    Request::Check => true,
                    // A failure counts in any case.
                    Request::LastReport if report.is_of_one_run() || report.verdict > Verdict::Warn => {
                        age.is_some_and(|age| report.duration + age <= elapsed)
                    }
                    Request::LastReport => false,
                };
                if is_fresh {
                    self.take_report(report, expected, elapsed, now);
                } else if self.depth == Depth::Path {
                    let is_path_fresh = path_age.is_some_and(|age| age <= elapsed);
                    self.take_last_report(report, expected, is_path_fresh, path_age.or(age), now);
                } else {
                    self.node.state = State::Stale(match self.regular {
                        Some(reason) => Staleness::NotOnDemand(reason),
                        None => Staleness::Unanswered,
                    });
                    self.next = Next::At(now + REGULAR_PAUSE);
                }
            }
        }
    }

    fn take_report(
        &mut self,
        report: Box<NodeReport>,
        expected: Option<&str>,
        elapsed: Duration,
        now: Instant,
    ) {
        if !is_of(&report, expected) {
            self.wait_for(report.configuration.as_ref(), expected, now);
            return;
        }
        if let Some(age) = report.duration.checked_sub(elapsed).filter(|age| !age.is_zero()) {
            // The check was already running and does not count. The next request triggers a new one.
            self.node.state = State::Stale(Staleness::Running(age));
            self.check_at(now + FIRST_PAUSE);
            return;
        }
        self.keep(report, now);
    }

    /// Applies a report of a check before the smoke check, outside the sample. `since` is the time since the last check of any kind.
    fn take_last_report(
        &mut self,
        report: Box<NodeReport>,
        expected: Option<&str>,
        is_path_fresh: bool,
        since: Option<Duration>,
        now: Instant,
    ) {
        if !is_of(&report, expected) {
            self.wait_for(report.configuration.as_ref(), expected, now);
            return;
        }
        let causes = report.path_causes().into_iter().collect::<Vec<_>>().join(", ");
        let verdict = report.images.iter().map(|image| image.verdict).max();
        match verdict.map_or(Verdict::Unknown, |verdict| verdict.max(report.verdict)) {
            Verdict::Fail | Verdict::Unknown => self.keep(report, now),
            Verdict::Pass | Verdict::Warn if !causes.is_empty() => {
                self.node.state = State::Stale(Staleness::PathBroken { causes });
                self.check_at(now);
                self.next = Next::At(now + FIRST_PAUSE);
            }
            verdict @ (Verdict::Pass | Verdict::Warn) if is_path_fresh => {
                self.check_due = None;
                self.node.state = State::PathOpen(report);
                // A later check may pass without a warning.
                self.next = match verdict {
                    Verdict::Warn => Next::At(now + LONGEST_PAUSE),
                    Verdict::Pass | Verdict::Unknown | Verdict::Fail => Next::Never,
                };
            }
            Verdict::Pass | Verdict::Warn => {
                self.node.state = State::Stale(Staleness::PathUnchecked);
                let due =
                    (Schedule::default().path_interval + PATH_CHECK).checked_sub(since.unwrap_or_default());
                match due {
                    Some(due) => self.next = Next::At(now + due.clamp(FIRST_PAUSE, LONGEST_PAUSE)),
                    None => self.read_again(now),
                }
            }
        }
    }

    /// Keeps a report that decides. If the node does not pass, it is checked again.
    fn keep(&mut self, report: Box<NodeReport>, now: Instant) {
        let retry_after = report.retry_after();
        self.node.state = State::Reported(report);
        match self.node.verdict() {
            Some(Verdict::Pass) => (self.next, self.check_due) = (Next::Never, None),
            // The reason for `unknown` does not pass quickly; a registry that throttles says how long to wait.
            Some(Verdict::Unknown) => self.check_at(now + retry_after.unwrap_or_default().max(LONGEST_PAUSE)),
            Some(Verdict::Warn) if self.depth == Depth::Path => self.read_again(now),
            Some(Verdict::Warn | Verdict::Fail) | None => self.ask_again(now),
        }
    }

    /// Handles another configuration than the expected one. The agent reloads it within a minute or two, unless it rejects it.
    fn wait_for(&mut self, configuration: Option<&ConfigurationState>, expected: Option<&str>, now: Instant) {
        let rejected = configuration.and_then(|known| known.rejected.as_ref().map(|reason| (known, reason)));
        self.check_at(now + FIRST_PAUSE);
        if self.depth == Depth::Path {
            self.read_again(now);
        }
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
        self.check_at(now + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    fn read_again(&mut self, now: Instant) {
        self.next = Next::At(now + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// Plans a whole check. Outside the sample, a regular one that comes first counts as well.
    fn check_at(&mut self, at: Instant) {
        self.next = Next::At(at);
        if self.depth == Depth::Path {
            // A check that already waits for its time keeps it.
            self.check_due.get_or_insert(at);
        }
    }
}

/// Returns whether a report is about the expected configuration, and the agent rejects no newer one.
fn is_of(report: &NodeReport, expected: Option<&str>) -> bool {
    let configuration = report.configuration.as_ref();
    let is_rejected = configuration.is_some_and(|known| known.rejected.is_some());
    !is_rejected && (expected.is_none() || configuration.map(|known| &*known.digest) == expected)
}
