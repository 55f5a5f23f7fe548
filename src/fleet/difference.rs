//! Finds what distinguishes the nodes of a group from the good nodes.
//!
//! Reports only facts: a property that every node of the group has and no good node has. A difference is never reported as
//! the cause, which only the agents know.

use std::collections::BTreeSet;

use super::evaluation::Group;
use super::{Fleet, Node};
use crate::text::words::any_of;
use crate::verdict::Verdict;

/// Values of a property in a sentence; further ones are counted.
const SHOWN: usize = 3;

/// A property by which nodes can differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Property {
    /// Node pool.
    AgentPool,
    /// Availability zone.
    Zone,
    /// Subnet.
    Subnet,
    /// AKS node image.
    NodeImage,
    /// Nameservers that the node uses.
    Nameservers,
}

impl Property {
    /// Every property.
    pub const ALL: [Self; 5] =
        [Self::AgentPool, Self::Zone, Self::Subnet, Self::NodeImage, Self::Nameservers];

    /// Returns the word used in the JSON report.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AgentPool => "agentPool",
            Self::Zone => "zone",
            Self::Subnet => "subnet",
            Self::NodeImage => "nodeImage",
            Self::Nameservers => "nameservers",
        }
    }

    /// Returns the value for a node; `None` if neither the cluster nor the report provides it.
    fn of(self, node: &Node) -> Option<String> {
        match self {
            Self::AgentPool => node.topology.agent_pool.clone(),
            Self::Zone => node.topology.zone.clone(),
            Self::Subnet => node.topology.subnet.clone(),
            Self::NodeImage => node.topology.node_image.clone(),
            Self::Nameservers => node.last_report()?.nameservers.as_deref().map(str::to_owned),
        }
    }

    /// Returns the phrase between "are" and a value.
    const fn phrase(self) -> &'static str {
        match self {
            Self::AgentPool => "in node pool",
            Self::Zone => "in zone",
            Self::Subnet => "in subnet",
            Self::NodeImage => "on node image",
            Self::Nameservers => "using nameserver",
        }
    }
}

/// A property that distinguishes a group from the good nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The property.
    pub property: Property,
    /// Values on the nodes of the group.
    pub bad: Vec<String>,
    /// Values on the good nodes, all different from those in `bad`.
    pub good: Vec<String>,
    /// Number of nodes in the group.
    pub bad_nodes: usize,
    /// Number of good nodes.
    pub good_nodes: usize,
}

impl Difference {
    /// Describes the difference in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let (all, none) = match (self.bad_nodes, self.good_nodes) {
            (1, 1) => ("This node is".to_owned(), "the good node is not".to_owned()),
            (1, good) => ("This node is".to_owned(), format!("none of the {good} good nodes is")),
            (bad, 1) => (format!("All {bad} of these nodes are"), "the good node is not".to_owned()),
            (bad, good) => {
                (format!("All {bad} of these nodes are"), format!("none of the {good} good nodes is"))
            }
        };
        format!("{all} {} {}; {none}.", self.property.phrase(), any_of(&self.bad, SHOWN))
    }
}

/// Returns the properties that distinguish a group from the good nodes of the fleet.
///
/// Leaves out a property if its value is unknown for any of these nodes, if a good node shares a value, or if each node has
/// its own. Empty without good nodes.
#[must_use]
pub fn differences(fleet: &Fleet, group: &Group) -> Vec<Difference> {
    let named: BTreeSet<&str> = group.nodes.iter().map(String::as_str).collect();
    let bad: Vec<&Node> = fleet.nodes.iter().filter(|node| named.contains(node.name.as_str())).collect();
    let good: Vec<&Node> = fleet.nodes.iter().filter(|node| is_good(node, &named)).collect();
    if bad.is_empty() || good.is_empty() {
        return Vec::new();
    }
    let difference = |&property: &Property| {
        let values = |nodes: &[&Node]| -> Option<BTreeSet<String>> {
            nodes.iter().map(|node| property.of(node)).collect()
        };
        let (bad_values, good_values) = (values(&bad)?, values(&good)?);
        let is_informative = bad_values.len() + good_values.len() < bad.len() + good.len();
        (is_informative && bad_values.is_disjoint(&good_values)).then(|| Difference {
            property,
            bad: bad_values.into_iter().collect(),
            good: good_values.into_iter().collect(),
            bad_nodes: bad.len(),
            good_nodes: good.len(),
        })
    };
    Property::ALL.iter().filter_map(difference).collect()
}

fn is_good(node: &Node, group: &BTreeSet<&str>) -> bool {
    // An open path does not show that a node can pull.
    let pulls = node.report().is_some() && matches!(node.verdict(), Some(Verdict::Pass | Verdict::Warn));
    pulls && !group.contains(node.name.as_str())
}
