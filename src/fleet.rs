//! The results of a smoke check: all nodes of the cluster and the state of their agents.
//!
//! Owns the types shared by `cluster` and the reports. Agents evaluate the images, not this module. [`placement`] decides
//! which nodes should run an agent, [`sample`] which of them are checked whole, [`evaluation`] evaluates the fleet, and
//! [`difference`] finds what bad nodes have in common.

pub mod advice;
pub mod difference;
pub mod evaluation;
pub mod placement;
pub mod report;
pub mod sample;

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use self::report::NodeReport;
use self::sample::SampleSummary;
use crate::text::words::seconds;
use crate::verdict::Verdict;

/// The result of one smoke check over a cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Fleet {
    /// Namespace of the agents.
    pub namespace: String,
    /// Name of the agents' DaemonSet.
    pub daemon_set: String,
    /// Start of the smoke check; older reports do not count.
    pub started_at: Timestamp,
    /// Duration of the smoke check.
    pub duration: Duration,
    /// Digest of the configuration that agents must use; `None` accepts any.
    pub expected_configuration: Option<String>,
    /// The nodes that were checked whole; `None` if all were to be.
    pub sample: Option<SampleSummary>,
    /// All nodes of the cluster, by name.
    pub nodes: Vec<Node>,
}

/// A node and the state of its agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Name of the node.
    pub name: String,
    /// Node pool, zone, subnet and node image.
    pub topology: Topology,
    /// Whether the node is cordoned. DaemonSet Pods are scheduled on it regardless.
    pub cordoned: bool,
    /// Whether the node joined after the smoke check began. It is listed, but does not count until it has reported.
    pub joined_late: bool,
    /// Name of the agent's Pod, if there is one.
    pub pod: Option<String>,
    /// State of the agent.
    pub state: State,
}

/// Properties by which good and bad nodes may differ; `None` if the cluster does not provide one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topology {
    /// `kubernetes.azure.com/agentpool`, or the older `agentpool`.
    pub agent_pool: Option<String>,
    /// `topology.kubernetes.io/zone`.
    pub zone: Option<String>,
    /// The subnet from the AKS labels, otherwise the /24 (or /64) of the internal address, marked as such.
    pub subnet: Option<String>,
    /// Whether the subnet was derived from the address.
    pub is_subnet_derived: bool,
    /// `kubernetes.azure.com/node-image-version`.
    pub node_image: Option<String>,
}

/// The state of a node's agent.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// The agent returned a report newer than the smoke check.
    Reported(Box<NodeReport>),
    /// The node is not in the sample: a path check of each image since the start of the smoke check found the path open, and the
    /// older report, of the last whole check, has the verdict pass or warn.
    PathOpen(Box<NodeReport>),
    /// The node should run an agent and has none.
    Missing,
    /// The node is not ready, so its agent cannot be reached.
    NodeNotReady {
        /// Reason of the condition, such as `NodeStatusUnknown`.
        reason: String,
    },
    /// The agent's Pod is not ready.
    Unready {
        /// A container's waiting reason such as `ImagePullBackOff`, otherwise the Pod's phase.
        reason: String,
    },
    /// The agent rejected its configuration and still uses the previous one.
    ConfigurationRejected {
        /// The error reported by the agent.
        reason: String,
    },
    /// The agent's Pod is ready but did not return a report.
    Unreachable {
        /// The error as a phrase.
        reason: String,
    },
    /// The agent returned no report newer than the smoke check for the expected configuration.
    Stale(Staleness),
    /// The DaemonSet excludes the node.
    Excluded(Exclusion),
    /// The node left the cluster during the check.
    Left,
}

/// Why there is no fresh report from an agent yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Staleness {
    /// The agent has not responded.
    Unanswered,
    /// The reported check started this long before the smoke check.
    Running(Duration),
    /// The agent postponed the check.
    Postponed {
        /// Time to wait before the next request.
        wait: Duration,
        /// The agent's reason.
        reason: String,
    },
    /// The agent uses another configuration than the expected one.
    OtherConfiguration {
        /// Digest of that configuration; `None` if the agent is too old to report it.
        digest: Option<String>,
    },
    /// The agent starts no check on demand for this smoke check, which waits for a regular one.
    NotOnDemand(NotOnDemand),
    /// The node is not in the sample, and its agent has not checked the path since the smoke check started.
    PathUnchecked,
    /// The node is not in the sample, and its last path check found these causes. A whole check follows.
    PathBroken {
        /// Codes of the causes, which may be newer than this program.
        causes: String,
    },
}

/// Why an agent starts no check on demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotOnDemand {
    /// Its configuration disables them.
    Disabled,
    /// It requires a key, and none was sent.
    KeyRequired,
    /// It rejected the key.
    KeyRejected,
    /// It requires a key and has none itself.
    NoKey,
}

/// Why a DaemonSet runs no agent on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exclusion {
    /// The node is a virtual node, which runs no DaemonSet.
    Virtual,
    /// The labels do not match the DaemonSet's node selector or affinity.
    Unselected {
        /// The requirement that does not match, such as `kubernetes.io/os=linux`.
        requirement: String,
    },
    /// The node has a taint that the DaemonSet does not tolerate.
    Tainted {
        /// The taint, such as `key=value:NoSchedule`.
        taint: String,
    },
}

impl Node {
    /// Returns the node's contribution to the fleet's verdict. `None` if it does not count: the DaemonSet excludes it, it
    /// left, or it joined during the check and has not reported yet.
    ///
    /// A node without a fresh report fails: nothing passes before it was checked.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        match &self.state {
            State::Reported(report) | State::PathOpen(report) => {
                // The report is untrusted: its verdict is never better than those of its images.
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

    /// Returns its fresh report, if there is one.
    #[must_use]
    pub fn report(&self) -> Option<&NodeReport> {
        match &self.state {
            State::Reported(report) => Some(report),
            State::PathOpen(_)
            | State::Missing
            | State::NodeNotReady { .. }
            | State::Unready { .. }
            | State::ConfigurationRejected { .. }
            | State::Unreachable { .. }
            | State::Stale(_)
            | State::Excluded(_)
            | State::Left => None,
        }
    }

    /// Returns its fresh report, or the last one of a node whose path is open.
    #[must_use]
    pub fn last_report(&self) -> Option<&NodeReport> {
        match &self.state {
            State::PathOpen(report) => Some(report),
            State::Reported(_)
            | State::Missing
            | State::NodeNotReady { .. }
            | State::Unready { .. }
            | State::ConfigurationRejected { .. }
            | State::Unreachable { .. }
            | State::Stale(_)
            | State::Excluded(_)
            | State::Left => self.report(),
        }
    }
}

impl State {
    /// Returns the word used in reports.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Reported(_) | Self::PathOpen(_) => "reported",
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

    /// Returns the details as a phrase, if there are any.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Reported(_) | Self::PathOpen(_) | Self::Missing | Self::Left => None,
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
                write!(formatter, "its check started {} before the smoke check", seconds(*age))
            }
            Self::Postponed { wait, reason } => {
                write!(formatter, "it postponed the check for {} ({reason})", seconds(*wait))
            }
            Self::OtherConfiguration { digest: Some(digest) } => {
                write!(formatter, "it uses another configuration, {digest}")
            }
            Self::NotOnDemand(reason) => {
                write!(formatter, "{reason}, and no regular check has started and completed since")
            }
            Self::PathUnchecked => {
                formatter.write_str("it has not checked the path since the smoke check started")
            }
            Self::PathBroken { causes } => {
                write!(
                    formatter,
                    "its last path check found {causes}, and no whole check has completed since"
                )
            }
            Self::OtherConfiguration { digest: None } => {
                formatter.write_str("it does not report which configuration it uses")
            }
        }
    }
}

impl fmt::Display for NotOnDemand {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Disabled => "its configuration disables checks on demand",
            Self::KeyRequired => "it requires a key for checks on demand (--key-file)",
            Self::KeyRejected => "it rejected the key for checks on demand",
            Self::NoKey => "it requires a key for checks on demand and has none itself",
        })
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

/// Maximum length of a Kubernetes object name.
const MAX_NAME: usize = 253;

/// Returns the name if it is a valid Kubernetes object name, otherwise the placeholder.
pub(crate) fn object_name<'name>(name: &'name str, placeholder: &'name str) -> &'name str {
    if is_object_name(name) { name } else { placeholder }
}

/// Whether a text is a valid Kubernetes object name (a DNS subdomain of RFC 1123).
pub(crate) fn is_object_name(name: &str) -> bool {
    let is_outer = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let (first, last) = (name.bytes().next(), name.bytes().next_back());
    name.len() <= MAX_NAME
        && name.bytes().all(|byte| is_outer(byte) || matches!(byte, b'-' | b'.'))
        && first.is_some_and(is_outer)
        && last.is_some_and(is_outer)
}
