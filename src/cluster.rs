//! Read access to the Kubernetes cluster: DaemonSet, nodes, Pods, and the agents in them.
//!
//! Owns the connection to the API server and the errors for denied requests. Kubeconfigs are read in `kubeconfig`, bounded lists
//! in `list`, the objects of a smoke check in `objects`, Pods and workloads for `discover` in `pods` and `workloads`, requests to
//! agents in [`ask`]. Nothing is ever written to the cluster, and no Secret is read. `fleet` and `inventory` evaluate the results.

pub mod ask;
mod kubeconfig;
mod list;
mod objects;
mod pods;
mod workloads;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kube::client::AuthError;
use kube::config::KubeConfigOptions;
use kube::{Client, Config};
use tokio::sync::Semaphore;

use self::list::ApiResource;
use crate::proxy::{Proxy, ProxySettings};

pub use objects::{Agent, ClusterNode, DaemonSet, Readiness};
pub use pods::PodScope;
pub use workloads::OWNERS;

/// Default namespace of the agents outside of a cluster.
pub const NAMESPACE: &str = "acr-verifier";
/// Default selector: the label that the chart sets on its objects.
pub const SELECTOR: &str = "app.kubernetes.io/name=acr-verifier";

/// Timeout to connect; a request to an agent through the API server may then take as long as a check.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Maximum number of unusually long responses from agents, up to 4 MiB each, held at the same time.
const LONG_ANSWERS: usize = 2;
/// Maximum length of an API server's message in characters.
const MAX_MESSAGE: usize = 300;

/// How to connect to a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeAccess {
    /// A kubeconfig instead of the default ones.
    pub kubeconfig: Option<PathBuf>,
    /// The files of `$KUBECONFIG`, otherwise `~/.kube/config`. Those that exist are merged.
    pub default_kubeconfigs: Vec<PathBuf>,
    /// A context instead of the kubeconfig's current one.
    pub context: Option<String>,
    /// The proxies of the environment. None is supported, so an API server that needs one is an error.
    pub proxies: ProxySettings,
    /// Whether to use the Pod's service account.
    pub in_cluster: bool,
}

/// Why a cluster could not be queried.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The command line or the kubeconfig is invalid.
    #[error("{0}")]
    Settings(String),
    /// The API server did not return a usable response.
    #[error("cannot query the API server: {0}")]
    Unavailable(String),
    /// The caller lacks a permission that the command needs.
    #[error(
        "the API server denied {verb} on {resource}{}: {message}; this command needs this RBAC rule: \
         {{apiGroups: [\"{group}\"], resources: [{resource}], verbs: [{verb}]}}",
        .namespace.as_ref().map(|namespace| format!(" in namespace {namespace}")).unwrap_or_default()
    )]
    Forbidden {
        /// The denied verb.
        verb: &'static str,
        /// The resource.
        resource: &'static str,
        /// API group of the resource; empty for the core group.
        group: &'static str,
        /// The namespace; `None` for cluster-scoped resources.
        namespace: Option<String>,
        /// The API server's message.
        message: String,
    },
    /// The selector matches no DaemonSet, or several.
    #[error("{0}")]
    DaemonSet(String),
}

/// How agents are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// At their Pod IP addresses.
    Direct,
    /// Through the API server's proxy.
    Proxied,
}

/// A connection to a cluster.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    route: Route,
    namespace: String,
    selector: String,
    /// Limits the unusually long responses held at the same time.
    long_answers: Arc<Semaphore>,
}

impl Cluster {
    /// Creates the client without sending anything.
    ///
    /// # Errors
    /// The kubeconfig or the service account cannot be used.
    pub async fn connect(
        access: &KubeAccess,
        namespace: Option<&str>,
        selector: &str,
    ) -> Result<Self, ClusterError> {
        // kube uses the process default; an error means that it is set already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config = settings(access).await?;
        config.connect_timeout = Some(CONNECT_LIMIT);
        config.read_timeout = None;
        // The smoke check schedules retries itself: an agent's 429 comes through the API server as well.
        config.default_retry = false;
        let namespace = match namespace {
            Some(namespace) => namespace.to_owned(),
            None if access.in_cluster => config.default_namespace.trim().to_owned(),
            None => NAMESPACE.to_owned(),
        };
        let client = Client::try_from(config).map_err(|error| ClusterError::Settings(describe(&error)))?;
        let route = if access.in_cluster { Route::Direct } else { Route::Proxied };
        let long_answers = Arc::new(Semaphore::new(LONG_ANSWERS));
        Ok(Self { client, route, namespace, selector: selector.to_owned(), long_answers })
    }

    /// Returns how agents are reached.
    #[must_use]
    pub const fn route(&self) -> Route {
        self.route
    }

    /// Returns the namespace of the agents.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Reads the DaemonSet that the selector matches.
    ///
    /// # Errors
    /// The request fails or is denied, or the selector does not match exactly one DaemonSet.
    pub async fn daemon_set(&self) -> Result<DaemonSet, ClusterError> {
        let of = ApiResource {
            resource: "daemonsets",
            group: "apps",
            path: format!("/apis/apps/v1/namespaces/{}/daemonsets", self.namespace),
            namespace: Some(&self.namespace),
        };
        let found: Vec<objects::DaemonSetObject> = self.list(&of, Some(&self.selector)).await?;
        let Self { namespace, selector, .. } = self;
        if found.len() > 1 {
            let names: Vec<&str> = found.iter().map(|one| one.metadata.name.as_str()).collect();
            return Err(ClusterError::DaemonSet(format!(
                "--selector {selector} matches several DaemonSets in namespace {namespace}: {}; expected one",
                names.join(", ")
            )));
        }
        found.into_iter().next().map(DaemonSet::from).ok_or_else(|| {
            ClusterError::DaemonSet(format!(
                "no DaemonSet matches {selector} in namespace {namespace}; check --namespace and --selector"
            ))
        })
    }

    /// Lists all nodes of the cluster.
    ///
    /// # Errors
    /// The request fails or is denied.
    pub async fn nodes(&self) -> Result<Vec<ClusterNode>, ClusterError> {
        let path = "/api/v1/nodes".to_owned();
        let of = ApiResource { resource: "nodes", group: "", path, namespace: None };
        let nodes: Vec<objects::NodeObject> = self.list(&of, None).await?;
        Ok(nodes.into_iter().map(ClusterNode::from).collect())
    }

    /// Lists the Pods of a DaemonSet.
    ///
    /// # Errors
    /// The request fails or is denied.
    pub async fn agents(&self, of: &DaemonSet) -> Result<Vec<Agent>, ClusterError> {
        let path = format!("/api/v1/namespaces/{}/pods", self.namespace);
        let topology = ApiResource { resource: "pods", group: "", path, namespace: Some(&self.namespace) };
        let pods: Vec<objects::PodObject> = self.list(&topology, Some(&self.selector)).await?;
        Ok(pods.into_iter().filter_map(|pod| pod.into_agent_of(of)).collect())
    }
}

async fn settings(access: &KubeAccess) -> Result<Config, ClusterError> {
    if access.in_cluster {
        return Config::incluster().map_err(|error| ClusterError::Settings(error.to_string()));
    }
    let options = KubeConfigOptions { context: access.context.clone(), ..KubeConfigOptions::default() };
    let kubeconfig = kubeconfig::load(access).map_err(ClusterError::Settings)?;
    let in_kubeconfig = kubeconfig::has_proxy(&kubeconfig, access.context.as_deref());
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| {
        ClusterError::Settings(format!("the kubeconfig is not usable: {}", chain(&error)))
    })?;
    // kube does not compare it with NO_PROXY, and its error for an unsupported one shows the password.
    config.proxy_url = None;
    let proxy = if in_kubeconfig {
        Some("the proxy-url of the kubeconfig is not supported: remove it".to_owned())
    } else {
        needed_proxy(&config, &access.proxies).map(|(proxy, host)| {
            format!("the proxy {proxy} of $HTTPS_PROXY is not supported: add {host} to $NO_PROXY")
        })
    };
    match proxy {
        Some(proxy) => Err(ClusterError::Settings(format!(
            "{proxy} if the API server can be reached without, or run `kubectl proxy` and use a kubeconfig with its address"
        ))),
        None => Ok(config),
    }
}

/// The proxy of the environment that kubectl would use for the API server, and the server's host.
fn needed_proxy<'a>(config: &'a Config, proxies: &'a ProxySettings) -> Option<(&'a Proxy, &'a str)> {
    let server = &config.cluster_url;
    if server.scheme_str() != Some("https") {
        return None;
    }
    let host = server.host()?;
    Some((proxies.for_host(host, server.port_u16().unwrap_or(443))?, host))
}

/// Describes an error. Output of a credential plugin may contain credentials and is left out.
fn describe(error: &kube::Error) -> String {
    // Also below the error of a request, for which a plugin is run again if its token expires.
    let mut source = Some(error as &dyn std::error::Error);
    while let Some(inner) = source {
        if inner.is::<AuthError>() {
            return "the kubeconfig's authentication failed; run `kubectl get nodes` for details".to_owned();
        }
        source = inner.source();
    }
    crate::text::sanitize::printable(&chain(error), MAX_MESSAGE)
}

/// Joins an error and its sources, without repeating a text.
fn chain(error: &dyn std::error::Error) -> String {
    let mut joined = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let text = inner.to_string();
        if !joined.contains(&text) {
            joined.push_str(": ");
            joined.push_str(&text);
        }
        source = inner.source();
    }
    joined
}
