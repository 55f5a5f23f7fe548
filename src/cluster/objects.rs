//! The Kubernetes objects that a smoke check reads, reduced to the needed fields.
//!
//! Owns the wire format. All other fields are ignored, which keeps a list of a thousand nodes small; the types of `k8s-openapi`
//! would keep them all.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::config::DEFAULT_PORT;
use crate::fleet::Topology;
use crate::fleet::placement::{Host, Rules, Taint};

/// Name of the agent's port in the DaemonSet.
const PORT_NAME: &str = "http";
/// Revision of the template: an annotation on the DaemonSet, and a label on its Pods.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";
const POD_TEMPLATE_GENERATION: &str = "pod-template-generation";

#[derive(Deserialize)]
pub(super) struct List<T> {
    #[serde(default)]
    pub(super) metadata: ListMetadata,
    #[serde(default = "Vec::new")]
    pub(super) items: Vec<T>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct ListMetadata {
    #[serde(rename = "continue")]
    pub(super) continue_token: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Metadata {
    pub(super) name: String,
    uid: String,
    generation: i64,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    deletion_timestamp: Option<String>,
    creation_timestamp: Option<String>,
    owner_references: Vec<Owner>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Owner {
    uid: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct DaemonSetObject {
    pub(super) metadata: Metadata,
    spec: DaemonSetSpec,
    status: DaemonSetStatus,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct DaemonSetSpec {
    template: Template,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Template {
    spec: TemplateSpec,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct TemplateSpec {
    containers: Vec<Container>,
    #[serde(flatten)]
    rules: Rules,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Container {
    ports: Vec<Port>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Port {
    name: String,
    container_port: u16,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct DaemonSetStatus {
    observed_generation: i64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct NodeObject {
    metadata: Metadata,
    spec: NodeSpec,
    status: NodeStatus,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct NodeSpec {
    unschedulable: bool,
    taints: Vec<Taint>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct NodeStatus {
    conditions: Vec<Condition>,
    addresses: Vec<Address>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Condition {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) status: String,
    reason: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Address {
    #[serde(rename = "type")]
    kind: String,
    address: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct PodObject {
    metadata: Metadata,
    spec: PodSpec,
    status: PodStatus,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PodSpec {
    node_name: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PodStatus {
    phase: String,
    #[serde(rename = "podIP")]
    pod_ip: String,
    conditions: Vec<Condition>,
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ContainerStatus {
    state: ContainerState,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ContainerState {
    waiting: Option<Because>,
    terminated: Option<Because>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Because {
    reason: String,
}

/// The agents' DaemonSet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonSet {
    /// Name of the DaemonSet.
    pub name: String,
    /// Scheduling rules of its Pods.
    pub rules: Rules,
    /// Port of the agents.
    pub port: u16,
    /// Whether the controller has observed the newest generation.
    pub is_observed: bool,
    uid: String,
    template_generation: Option<String>,
}

/// A node of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterNode {
    /// Name, labels and taints, which decide about Pods on the node.
    pub host: Host,
    /// Node pool, zone, subnet and node image.
    pub topology: Topology,
    /// Whether the node is cordoned.
    pub cordoned: bool,
    /// Why the node is not ready; `None` if it is.
    pub not_ready: Option<String>,
}

/// An agent's Pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Name of the Pod.
    pub name: String,
    /// Name of its node.
    pub node: String,
    /// Pod IP address.
    pub address: String,
    /// Port of the agent.
    pub port: u16,
    /// Whether the agent can be queried.
    pub readiness: Readiness,
    /// Creation timestamp as text that sorts by time.
    pub created: String,
}

/// Whether the agent in a Pod can be queried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// The Pod is ready.
    Ready,
    /// The Pod is running with an address but not ready, for this reason. The agent may respond already.
    Running(String),
    /// The agent cannot be queried, for this reason.
    NotReady(String),
}

/// Returns the agent's port among the ports of a container.
pub(super) fn agent_port(ports: &[Port]) -> Option<u16> {
    let port = ports.iter().find(|port| port.name == PORT_NAME && port.container_port > 0)?;
    Some(port.container_port)
}

impl From<DaemonSetObject> for DaemonSet {
    fn from(object: DaemonSetObject) -> Self {
        let DaemonSetObject { mut metadata, spec, status } = object;
        let TemplateSpec { containers, rules } = spec.template.spec;
        let port = containers.iter().find_map(|container| agent_port(&container.ports));
        Self {
            rules,
            port: port.unwrap_or(DEFAULT_PORT),
            is_observed: status.observed_generation >= metadata.generation,
            uid: metadata.uid,
            template_generation: metadata.annotations.remove(TEMPLATE_GENERATION),
            name: metadata.name,
        }
    }
}

impl From<NodeObject> for ClusterNode {
    fn from(object: NodeObject) -> Self {
        let NodeObject { metadata, spec, status } = object;
        let ready = status.conditions.iter().find(|condition| condition.kind == "Ready");
        let not_ready = match ready {
            Some(condition) if condition.status == "True" => None,
            Some(condition) => Some(condition.reason.clone()),
            None => Some("its kubelet has not reported yet".to_owned()),
        };
        Self {
            topology: topology(&metadata.labels, &status.addresses),
            cordoned: spec.unschedulable,
            not_ready,
            host: Host { name: metadata.name, labels: metadata.labels, taints: spec.taints },
        }
    }
}

/// Reads the labels that AKS sets on nodes: <https://learn.microsoft.com/azure/aks/use-labels>.
fn topology(labels: &BTreeMap<String, String>, addresses: &[Address]) -> Topology {
    let label = |name: &str| labels.get(name).filter(|value| !value.is_empty()).cloned();
    let vnet = label("kubernetes.azure.com/network-name");
    let subnet = label("kubernetes.azure.com/network-subnet").map(|subnet| match vnet {
        Some(vnet) => format!("{vnet}/{subnet}"),
        None => subnet,
    });
    let internal = addresses.iter().find(|address| address.kind == "InternalIP");
    Topology {
        agent_pool: label("kubernetes.azure.com/agentpool").or_else(|| label("agentpool")),
        zone: label("topology.kubernetes.io/zone"),
        is_subnet_derived: subnet.is_none(),
        subnet: subnet.or_else(|| internal.and_then(|internal| network_of(&internal.address))),
        node_image: label("kubernetes.azure.com/node-image-version"),
    }
}

/// Returns the network that an address probably belongs to, marked as derived from it.
fn network_of(address: &str) -> Option<String> {
    let address: std::net::IpAddr = address.parse().ok()?;
    let prefix = if address.is_ipv4() { 24 } else { 64 };
    let network = ipnet::IpNet::new(address, prefix).ok()?.trunc();
    Some(format!("{network} (from its address)"))
}

impl PodObject {
    /// Returns the agent in this Pod, if the Pod belongs to the DaemonSet and is assigned to a node.
    pub(super) fn into_agent_of(self, daemon_set: &DaemonSet) -> Option<Agent> {
        let is_owned = self.metadata.owner_references.iter().any(|owner| owner.uid == daemon_set.uid);
        if !is_owned || self.spec.node_name.is_empty() {
            return None;
        }
        let readiness = self.readiness(daemon_set);
        Some(Agent {
            readiness,
            name: self.metadata.name,
            node: self.spec.node_name,
            address: self.status.pod_ip,
            port: daemon_set.port,
            created: self.metadata.creation_timestamp.unwrap_or_default(),
        })
    }

    /// Returns whether the agent can be queried and runs the DaemonSet's current revision.
    fn readiness(&self, daemon_set: &DaemonSet) -> Readiness {
        if self.metadata.deletion_timestamp.is_some() {
            return Readiness::NotReady("Terminating".to_owned());
        }
        let generation = self.metadata.labels.get(POD_TEMPLATE_GENERATION);
        let is_older =
            generation.zip(daemon_set.template_generation.as_ref()).is_some_and(|(its, set)| its != set);
        if is_older || !daemon_set.is_observed {
            return Readiness::NotReady("it belongs to an older revision of the DaemonSet".to_owned());
        }
        let condition = |kind: &str| self.status.conditions.iter().find(|condition| condition.kind == kind);
        if condition("Ready").is_some_and(|ready| ready.status == "True") && !self.status.pod_ip.is_empty() {
            return Readiness::Ready;
        }
        let states = || self.status.container_statuses.iter().map(|container| &container.state);
        let waiting = states().filter_map(|state| state.waiting.as_ref()).map(|because| &because.reason);
        let ended = states().filter_map(|state| state.terminated.as_ref()).map(|because| &because.reason);
        let unplaced = condition("PodScheduled").filter(|placed| placed.status != "True");
        let obstacle = waiting
            .chain(ended)
            .chain(unplaced.map(|placed| &placed.reason))
            .find(|reason| !reason.is_empty())
            .cloned()
            .or_else(|| (self.status.phase != "Running").then(|| self.status.phase.clone()));
        match obstacle {
            Some(reason) => Readiness::NotReady(reason),
            None if self.status.pod_ip.is_empty() => Readiness::NotReady("it has no address yet".to_owned()),
            None => Readiness::Running("its readiness probe has not passed".to_owned()),
        }
    }
}
