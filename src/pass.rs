//! A pass: one check of every image, probed and diagnosed.
//!
//! Owns the order and concurrency of the checks, and what a task takes from the node's own files. `check` and `agent` decide
//! when a pass runs and where its result goes.

use std::path::Path;

use futures_util::StreamExt;
use futures_util::stream;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::config::{Config, ImageConfig, SystemResolver};
use crate::credentials::{AmbientCredentials, CredentialsSource};
use crate::node::{NodeFiles, RESOLV_CONF};
use crate::observation::Fact;
use crate::probe::{self, Task, Trust, TrustError};
use crate::rules::Expectation;
use crate::run::{CheckRun, ImageResult, NetworkView, NodeFilesReport};
use crate::text::sanitize::{MAX_TEXT, printable};

/// Images checked concurrently: enough to hide latency, few enough to spare the registry, and to keep memory low if a
/// hostile registry sends the longest accepted manifest for each of them.
const AT_A_TIME: usize = 4;

/// The node context of a pass: the node, its network view and the clock.
#[derive(Debug, Clone)]
pub struct NodeContext {
    /// The node's name.
    pub node: String,
    /// Whether this process sees the node's network or a pod's.
    pub network_view: NetworkView,
    /// The clock.
    pub now: fn() -> Timestamp,
}

/// Checks every image once, several concurrently; results are in the order given.
pub async fn run(
    config: &Config,
    ambient: &AmbientCredentials,
    context: &NodeContext,
    trust: &Trust,
    node: Option<&NodeFiles>,
) -> CheckRun {
    let started_at = (context.now)();
    let started = Instant::now();
    let checks =
        config.images.iter().map(|image| verify(config, image, ambient, (trust, node), (context.now)()));
    let images = stream::iter(checks).buffered(AT_A_TIME).collect().await;
    CheckRun {
        node: context.node.clone(),
        network_view: context.network_view,
        node_files: node.map(|node| describe(config, trust, node)),
        started_at,
        duration: started.elapsed(),
        configuration: config.digest.clone(),
        images,
    }
}

/// Checks one image: probes it, then applies the rules.
pub async fn verify(
    config: &Config,
    image: &ImageConfig,
    ambient: &AmbientCredentials,
    (trust, node): (&Trust, Option<&NodeFiles>),
    now: Timestamp,
) -> ImageResult {
    let credentials = CredentialsSource::of(image, ambient);
    let mut task = Task::new(config, image, credentials, trust, now);
    if let Some(node) = node {
        take_from_node(&mut task, config, node);
    }
    let observed = probe::observe(&task).await;
    let expectation = Expectation { image: task.image.clone(), policy: task.policy, now };
    let (observation, comparisons, diagnoses) = observed.diagnose(&expectation);
    let checked = ImageResult {
        image: task.image,
        name: image.name.clone(),
        blob_requested: config.blob,
        policy: expectation.policy,
        observation,
        comparisons,
        diagnoses,
    };
    log(&checked);
    checked
}

/// The node's files, if the configuration names their folder.
#[must_use]
pub fn node_files(config: &Config) -> Option<NodeFiles> {
    config.node_root.as_deref().map(|root| NodeFiles::read(root, &config.images))
}

/// The trusted authorities: the node's if known, otherwise the system's, plus the operator's CA file.
///
/// # Errors
/// As [`Trust::load`].
pub fn trust(config: &Config, node: Option<&NodeFiles>) -> Result<Trust, TrustError> {
    let authorities = node.and_then(|node| node.authorities().known()).map(Vec::as_slice);
    Trust::with_node(authorities, config.ca_file.as_deref())
}

/// Applies the node's files to a task: its current nameservers, what their cache forwards to, and containerd's proxy and
/// mirrors.
fn take_from_node(task: &mut Task, config: &Config, node: &NodeFiles) {
    if follows_node(config)
        && let Some(path) = node.resolv_conf()
    {
        task.resolvers.system = SystemResolver::File(path);
    }
    task.resolvers.cache_upstreams = node.local_dns_upstreams();
    task.proxy = node.proxy().known().cloned();
    let mirrors = node.mirrors(&task.image.registry()).and_then(Fact::known);
    task.mirrors = mirrors.cloned().unwrap_or_default();
}

/// Whether the nameservers come from the default resolv.conf, which the node's file replaces.
fn follows_node(config: &Config) -> bool {
    match &config.resolvers.system {
        SystemResolver::File(path) => path == Path::new(RESOLV_CONF),
        SystemResolver::Servers(_) => false,
    }
}

/// The node's files as reported.
fn describe(config: &Config, trust: &Trust, node: &NodeFiles) -> NodeFilesReport {
    let mut mirrors: Fact<Vec<String>> = Fact::Known(Vec::new());
    for image in &config.images {
        match (node.mirrors(&image.image.registry()), &mut mirrors) {
            (Some(Fact::Known(more)), Fact::Known(all)) => {
                let new: Vec<_> = more.iter().filter(|mirror| !all.contains(mirror)).cloned().collect();
                all.extend(new);
            }
            (Some(Fact::Unknown(why)), _) => mirrors = Fact::Unknown(why.clone()),
            (Some(Fact::Known(_)), Fact::Unknown(_)) | (None, _) => {}
        }
    }
    NodeFilesReport {
        resolv_conf: (follows_node(config) && node.resolv_conf().is_some()).then(|| node.resolv_conf_name()),
        roots: trust.roots(),
        proxy: node.proxy().clone().map(|settings| settings.proxy().cloned()),
        kubelet_proxy: node.kubelet_proxy().clone().map(|settings| settings.proxy().cloned()),
        mirrors,
    }
}

/// Logs one line per check.
fn log(checked: &ImageResult) {
    let causes: Vec<&str> = checked.diagnoses.iter().map(|diagnosis| diagnosis.cause.code()).collect();
    let first = checked.diagnoses.first();
    tracing::info!(
        image = %checked.image,
        verdict = %checked.verdict(),
        causes = causes.join(","),
        seconds = checked.observation.duration.as_secs_f64(),
        correlation_id = first.and_then(|diagnosis| diagnosis.correlation_id.as_deref()),
        "{}", first.map_or_else(|| "checked".to_owned(), |diagnosis| printable(&diagnosis.message, MAX_TEXT))
    );
}
