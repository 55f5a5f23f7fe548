//! The Pods of a cluster, reduced to the images that they use, and the agents among them.
//!
//! Owns the wire format: everything else in a Pod, such as its environment, is skipped while a page is parsed and never kept.
//! `inventory` counts the images.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::list::{ApiResource, Listing, RESTARTS};
use super::objects::{Condition, Port, agent_port};
use super::{Agent, Cluster, ClusterError, Readiness};
use crate::inventory::{Container, Pod, Waiting};

/// Pods per page: half of what kubectl requests, since the annotations and managed fields of a Pod may have tens of kB.
const PAGE: usize = 250;
/// Nodes per page; one with many images has 40 kB.
const NODES_PER_PAGE: usize = 100;
/// Attempts for each page of a list.
pub(super) const ATTEMPTS: usize = 3;
/// The phases of a Pod that runs no container any more.
const FINISHED: [&str; 2] = ["Succeeded", "Failed"];

/// Which Pods to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PodScope {
    /// The Pods of all namespaces.
    All,
    /// The Pods of one namespace.
    Namespace(String),
    /// One Pod.
    One {
        /// Namespace of the Pod.
        namespace: String,
        /// Name of the Pod.
        name: String,
    },
}

impl PodScope {
    /// Returns the namespace that the Pods are limited to; `None` for all namespaces.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        match self {
            Self::All => None,
            Self::Namespace(namespace) | Self::One { namespace, .. } => Some(namespace),
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PodObject {
    metadata: Metadata,
    spec: PodSpec,
    status: PodStatus,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Metadata {
    pub(super) namespace: String,
    pub(super) name: String,
    deletion_timestamp: Option<String>,
    creation_timestamp: Option<String>,
}

/// The spec of a Pod, or of the template of a workload.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodSpec {
    node_name: String,
    containers: Vec<ContainerObject>,
    init_containers: Vec<ContainerObject>,
    ephemeral_containers: Vec<ContainerObject>,
    image_pull_secrets: Vec<SecretName>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ContainerObject {
    name: String,
    image: String,
    ports: Vec<Port>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct SecretName {
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PodStatus {
    phase: String,
    #[serde(rename = "podIP")]
    pod_ip: String,
    conditions: Vec<Condition>,
    container_statuses: Vec<ContainerStatus>,
    init_container_statuses: Vec<ContainerStatus>,
    ephemeral_container_statuses: Vec<ContainerStatus>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ContainerStatus {
    name: String,
    state: ContainerState,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ContainerState {
    waiting: Option<WaitingState>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WaitingState {
    reason: String,
    message: String,
}

impl PodSpec {
    /// Returns the containers of all kinds, and the names of the pull secrets.
    pub(super) fn into_parts(self) -> (Vec<Container>, Vec<String>) {
        let all = self.containers.into_iter().chain(self.init_containers).chain(self.ephemeral_containers);
        let containers = all.map(|container| Container { name: container.name, image: container.image });
        let secrets = self.image_pull_secrets.into_iter().map(|secret| secret.name);
        (containers.collect(), secrets.filter(|name| !name.is_empty()).collect())
    }
}

impl From<PodObject> for Pod {
    fn from(object: PodObject) -> Self {
        let PodObject { metadata, spec, status } = object;
        let node = Some(spec.node_name.clone()).filter(|name| !name.is_empty());
        let (containers, pull_secrets) = spec.into_parts();
        let statuses = status.container_statuses.into_iter();
        let statuses =
            statuses.chain(status.init_container_statuses).chain(status.ephemeral_container_statuses);
        let waiting = statuses.filter_map(|container| {
            let state = container.state.waiting?;
            Some(Waiting { container: container.name, reason: state.reason, message: state.message })
        });
        Self {
            namespace: metadata.namespace,
            name: metadata.name,
            node,
            is_finished: FINISHED.contains(&status.phase.as_str()),
            containers,
            pull_secrets,
            waiting: waiting.collect(),
        }
    }
}

impl PodObject {
    /// Returns the agent in this Pod: it is assigned to a node and has the agent's port, unlike the Pod of a smoke check.
    fn into_agent(self) -> Option<Agent> {
        let port = self.spec.containers.iter().find_map(|container| agent_port(&container.ports))?;
        if self.spec.node_name.is_empty() || FINISHED.contains(&self.status.phase.as_str()) {
            return None;
        }
        let readiness = self.readiness();
        Some(Agent {
            readiness,
            name: self.metadata.name,
            node: self.spec.node_name,
            address: self.status.pod_ip,
            port,
            created: self.metadata.creation_timestamp.unwrap_or_default(),
        })
    }

    fn readiness(&self) -> Readiness {
        let not_ready = |reason: &str| Readiness::NotReady(reason.to_owned());
        if self.metadata.deletion_timestamp.is_some() {
            return not_ready("Terminating");
        }
        let is_ready = |condition: &Condition| condition.kind == "Ready" && condition.status == "True";
        if self.status.conditions.iter().any(is_ready) && !self.status.pod_ip.is_empty() {
            return Readiness::Ready;
        }
        let waiting =
            self.status.container_statuses.iter().filter_map(|status| status.state.waiting.as_ref());
        match waiting.map(|state| &state.reason).find(|reason| !reason.is_empty()) {
            Some(reason) => not_ready(reason),
            None if self.status.pod_ip.is_empty() => not_ready("it has no address yet"),
            None => Readiness::Running("its readiness probe has not passed".to_owned()),
        }
    }
}

impl Cluster {
    /// Lists Pods and passes them on page by page. `restart` is called if the list has to be read again from its beginning.
    ///
    /// # Errors
    /// A request fails or is denied.
    pub async fn each_pod<Sink>(
        &self,
        scope: &PodScope,
        sink: &mut Sink,
        restart: fn(&mut Sink),
        take: fn(&mut Sink, &Pod),
    ) -> Result<(), ClusterError> {
        let path = match scope.namespace() {
            Some(namespace) => format!("/api/v1/namespaces/{namespace}/pods"),
            None => "/api/v1/pods".to_owned(),
        };
        let fields = match scope {
            PodScope::One { name, .. } => Some(format!("metadata.name={name}")),
            PodScope::All | PodScope::Namespace(_) => None,
        };
        let of = ApiResource { resource: "pods", group: "", path, namespace: scope.namespace() };
        let listing = Listing {
            labels: None,
            fields: fields.as_deref(),
            page: PAGE,
            attempts: ATTEMPTS,
            restarts: RESTARTS,
        };
        self.each_page::<PodObject>(&of, &listing, |page| {
            if page.is_first {
                restart(sink);
            }
            for pod in page.items {
                take(sink, &Pod::from(pod));
            }
        })
        .await
    }

    /// Lists the agents: the Pods of the agents' namespace that the selector matches and that have the agent's port.
    ///
    /// # Errors
    /// A request fails or is denied.
    pub async fn all_agents(&self) -> Result<Vec<Agent>, ClusterError> {
        let path = format!("/api/v1/namespaces/{}/pods", self.namespace);
        let of = ApiResource { resource: "pods", group: "", path, namespace: Some(&self.namespace) };
        let listing = Listing {
            labels: Some(&self.selector),
            fields: None,
            page: PAGE,
            attempts: ATTEMPTS,
            restarts: RESTARTS,
        };
        let mut agents = Vec::new();
        self.each_page::<PodObject>(&of, &listing, |page| {
            if page.is_first {
                agents.clear();
            }
            agents.extend(page.items.into_iter().filter_map(PodObject::into_agent));
        })
        .await?;
        Ok(agents)
    }

    /// Returns the number of nodes.
    ///
    /// # Errors
    /// A request fails or is denied.
    pub async fn count_nodes(&self) -> Result<usize, ClusterError> {
        let of =
            ApiResource { resource: "nodes", group: "", path: "/api/v1/nodes".to_owned(), namespace: None };
        let listing = Listing {
            labels: None,
            fields: None,
            page: NODES_PER_PAGE,
            attempts: ATTEMPTS,
            restarts: RESTARTS,
        };
        let mut count = 0;
        self.each_page::<IgnoredAny>(&of, &listing, |page| {
            count = if page.is_first { 0 } else { count } + page.items.len();
        })
        .await?;
        Ok(count)
    }
}
