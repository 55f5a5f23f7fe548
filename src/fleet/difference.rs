//! What sets the nodes of a group apart from those that are good.
//!
//! Owns facts alone: a property that every node of the group has and no good node has. Why they fail is the agents' to
//! say; a difference is told as one, never as the cause.

use std::collections::BTreeSet;

use super::judgement::Group;
use super::{Fleet, Node};
use crate::diagnosis::Verdict;

/// What nodes can differ in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Property {
    /// The pool of the node.
    AgentPool,
    /// Its availability zone.
    Zone,
    /// Its subnet.
    Subnet,
    /// Its operating system's image.
    NodeImage,
    /// The nameservers that it asks.
    Nameservers,
}

impl Property {
    /// Every property.
    pub const ALL: [Self; 5] =
        [Self::AgentPool, Self::Zone, Self::Subnet, Self::NodeImage, Self::Nameservers];

    /// The word for it in the JSON report.
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

    /// What it is of one node; none where the cluster or the report does not tell.
    fn of(self, node: &Node) -> Option<String> {
        match self {
            Self::AgentPool => node.place.agent_pool.clone(),
            Self::Zone => node.place.zone.clone(),
            Self::Subnet => node.place.subnet.clone(),
            Self::NodeImage => node.place.node_image.clone(),
            Self::Nameservers => node.report()?.nameservers.as_deref().map(str::to_owned),
        }
    }

    /// Between "are" and a value.
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

/// A property by which a group and the good nodes can be told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which one.
    pub property: Property,
    /// Its values on the nodes of the group.
    pub bad: Vec<String>,
    /// Its values on the good nodes; none of them is among `bad`.
    pub good: Vec<String>,
    /// Nodes of the group.
    pub bad_nodes: usize,
    /// Good nodes.
    pub good_nodes: usize,
}

impl Difference {
    /// One sentence.
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
        format!("{all} {} {}; {none}.", self.property.phrase(), listed(&self.bad))
    }
}

/// What sets the nodes of a group apart from the good nodes of the fleet.
///
/// Empty where there are no good nodes, where a property is not known of all of them, where a good node shares a value,
/// and where each node has a value of its own, which would say nothing.
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
    let pulls = matches!(node.verdict(), Some(Verdict::Pass | Verdict::Warn));
    pulls && !group.contains(node.name.as_str())
}

/// The first values, and how many more there are.
fn listed(values: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = values.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match values.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} or {more} more"),
    }
}
