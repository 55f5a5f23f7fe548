//! The result of `discover`, for its reports.

use std::time::Duration;

use jiff::Timestamp;

use super::Inventory;
use super::coverage::Coverage;
use super::waiting::Explanation;

/// What was discovered in a cluster.
#[derive(Debug, Clone)]
pub struct Discovery {
    /// When the discovery started.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// What was read.
    pub scope: Scope,
    /// The images in use. Its waiting images are in `explanations` if agents were queried.
    pub inventory: Inventory,
    /// Why Pods wait for their images, in the order of the Pods.
    pub explanations: Vec<Explanation>,
    /// Namespace of the agents.
    pub agents_namespace: String,
    /// Which registries the agents check.
    pub coverage: Coverage,
    /// Number of the cluster's nodes; `None` if it was not requested or is denied.
    pub nodes: Option<usize>,
    /// Client id of the kubelet's identity, for the configuration.
    pub client_id: Option<String>,
}

/// What a discovery reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The namespace of the Pods; `None` for all.
    pub namespace: Option<String>,
    /// The only Pod, by name.
    pub pod: Option<String>,
    /// Whether workloads were read as well.
    pub owners: bool,
}
