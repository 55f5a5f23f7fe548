//! What a smoke check saw: every node of the cluster, and what became of its agent.
//!
//! Owns the vocabulary between the cluster, which is asked, and the report, which tells: no judgement of single images is
//! made here, that is the agents' own. Which nodes should run an agent is in [`placement`], what the nodes amount to
//! together in [`judgement`], what sets the bad ones apart in [`difference`].

pub mod advice;
pub mod difference;
pub mod judgement;
pub mod placement;
pub mod report;

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use self::report::NodeReport;
use crate::diagnosis::Verdict;

/// One smoke check over a cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Fleet {
    /// The namespace of the agents.
    pub namespace: String,
    /// The DaemonSet that runs them.
    pub daemon_set: String,
    /// When the smoke check began: no older report counts.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// The digest of the configuration that agents must go by; none: any.
    pub expected_configuration: Option<String>,
    /// Every node of the cluster, by name.
    pub nodes: Vec<Node>,
}

/// A node, and what became of its agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// Whether it takes no new pods; a DaemonSet's come all the same.
    pub cordoned: bool,
    /// Whether it joined after the smoke check began: it is told, and decides nothing until it has reported.
    pub joined_late: bool,
    /// The name of its agent's Pod, where there is one.
    pub pod: Option<String>,
    /// What became of its agent.
    pub state: State,
}

/// Where a node stands: what good and bad nodes may differ in. Absent is what the cluster does not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// `kubernetes.azure.com/agentpool`, or the older `agentpool`.
    pub agent_pool: Option<String>,
    /// `topology.kubernetes.io/zone`.
    pub zone: Option<String>,
    /// The VNet's subnet, as AKS labels it; else the /24 (or /64) of its internal address, said to be so.
    pub subnet: Option<String>,
    /// `kubernetes.azure.com/node-image-version`.
    pub node_image: Option<String>,
}

/// What became of a node's agent.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// It gave a report that is younger than the smoke check.
    Reported(Box<NodeReport>),
    /// The node should run an agent and has none.
    Missing,
    /// The node itself is not ready, so that nothing on it can be asked.
    NodeNotReady {
        /// The condition's reason, such as `NodeStatusUnknown`.
        reason: String,
    },
    /// The agent's Pod is not ready.
    Unready {
        /// Why: a container's waiting reason such as `ImagePullBackOff`, else the Pod's phase.
        reason: String,
    },
    /// The agent's configuration is not usable: it goes on with an older one.
    ConfigurationRejected {
        /// What is wrong with it, in the agent's words.
        reason: String,
    },
    /// The agent's Pod is ready and did not answer.
    Unreachable {
        /// What went wrong, as a phrase.
        reason: String,
    },
    /// The agent gave no report that is newer than the smoke check and about the expected configuration.
    Stale(Staleness),
    /// The DaemonSet does not want an agent here.
    Excluded(Exclusion),
    /// The node left the cluster meanwhile.
    Left,
}

/// Why there is no fresh report of an agent yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Staleness {
    /// It has not answered.
    Unanswered,
    /// Its check had been running for so long when the smoke check began.
    Running(Duration),
    /// It postponed the check.
    Postponed {
        /// Until when.
        wait: Duration,
        /// Why, in its own words.
        reason: String,
    },
    /// It goes by another configuration than the expected one.
    OtherConfiguration {
        /// The digest of that; none where the agent is too old to say so.
        digest: Option<String>,
    },
}

/// Why a DaemonSet wants no agent on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exclusion {
    /// It is a virtual node, which no DaemonSet can use.
    Virtual,
    /// Its labels do not match the DaemonSet's node selector or affinity.
    Unselected {
        /// What does not match, as `kubernetes.io/os=linux`.
        requirement: String,
    },
    /// It has a taint that the DaemonSet does not tolerate.
    Tainted {
        /// The taint, as `key=value:NoSchedule`.
        taint: String,
    },
}

impl Node {
    /// The verdict that this node adds to the fleet's; none where it adds nothing: no agent is wanted there, the node has
    /// left, or it joined meanwhile and has not reported yet.
    ///
    /// A node without a fresh report is a failure: nothing is pass before it was checked.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        match &self.state {
            State::Reported(report) => {
                // A report is another program's claim: it never makes more of its images than they are.
                let images = report.images.iter().map(|image| image.verdict).max();
                Some(images.unwrap_or(Verdict::Unknown).max(report.verdict))
            }
            State::Excluded(_) | State::Left => None,
            State::Missing
            | State::NodeNotReady { .. }
            | State::Unready { .. }
            | State::ConfigurationRejected { .. }
            | State::Unreachable { .. }
            | State::Stale(_) => (!self.joined_late).then_some(Verdict::Fail),
        }
    }

    /// Its report, where it gave one.
    #[must_use]
    pub fn report(&self) -> Option<&NodeReport> {
        match &self.state {
            State::Reported(report) => Some(report),
            State::Missing
            | State::NodeNotReady { .. }
            | State::Unready { .. }
            | State::ConfigurationRejected { .. }
            | State::Unreachable { .. }
            | State::Stale(_)
            | State::Excluded(_)
            | State::Left => None,
        }
    }
}

impl State {
    /// The word for it in reports.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Reported(_) => "reported",
            Self::Missing => "missing",
            Self::NodeNotReady { .. } => "node_not_ready",
            Self::Unready { .. } => "unready",
            Self::Unreachable { .. } => "unreachable",
            Self::ConfigurationRejected { .. } => "configuration_rejected",
            Self::Stale(_) => "stale",
            Self::Excluded(_) => "excluded",
            Self::Left => "left",
        }
    }

    /// What is known beyond the word, as a phrase.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Reported(_) | Self::Missing | Self::Left => None,
            Self::NodeNotReady { reason }
            | Self::Unready { reason }
            | Self::ConfigurationRejected { reason }
            | Self::Unreachable { reason } => Some(reason.clone()),
            Self::Stale(staleness) => Some(staleness.to_string()),
            Self::Excluded(exclusion) => Some(exclusion.to_string()),
        }
    }
}

impl fmt::Display for Staleness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unanswered => formatter.write_str("it has not responded to the check request yet"),
            Self::Running(age) => {
                write!(
                    formatter,
                    "its check started {} s before the smoke check",
                    age.as_secs()
                )
            }
            Self::Postponed { wait, reason } => {
                write!(formatter, "it postponed the check for {} s ({reason})", wait.as_secs())
            }
            Self::OtherConfiguration { digest: Some(digest) } => {
                write!(formatter, "it uses another configuration, {digest}")
            }
            Self::OtherConfiguration { digest: None } => {
                formatter.write_str("it does not report which configuration it uses")
            }
        }
    }
}

impl fmt::Display for Exclusion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Virtual => formatter.write_str("virtual node"),
            Self::Unselected { requirement } => write!(formatter, "not selected: {requirement}"),
            Self::Tainted { taint } => write!(formatter, "taint {taint} is not tolerated"),
        }
    }
}
