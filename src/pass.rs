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
use crate::probe::{self, Observed, Task, Trust, TrustError};
use crate::rules::Expectation;
use crate::run::{CheckRun, Extent, ImageResult, NetworkView, NodeFilesReport};
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
    assemble(config, context, (trust, node), (started_at, started), images)
}

/// Checks the path of every image once, several concurrently; results are in the order given. `data` is the data endpoint that
/// the last whole check of each image used, if it got that far. Images with the same path share one check.
pub async fn run_paths(
    config: &Config,
    ambient: &AmbientCredentials,
    context: &NodeContext,
    (trust, node): (&Trust, Option<&NodeFiles>),
    data: &[Option<String>],
) -> CheckRun {
    let started_at = (context.now)();
    let started = Instant::now();
    let paths: Vec<_> = config.images.iter().zip(data).collect();
    let mut distinct: Vec<(&ImageConfig, &Option<String>)> = Vec::new();
    for path in &paths {
        if !distinct.iter().any(|known| is_same_path(*known, *path)) {
            distinct.push(*path);
        }
    }
    let checks = distinct.iter().map(|(image, data)| {
        check_path(config, image, (ambient, data.as_deref()), (trust, node), started_at)
    });
    let results: Vec<_> = stream::iter(checks).buffered(AT_A_TIME).collect().await;
    let of = |path: (&ImageConfig, &Option<String>)| {
        let shared = distinct.iter().zip(&results).find(|(known, _)| is_same_path(**known, path));
        let (image, name) = (path.0.image.clone(), path.0.name.clone());
        shared.map(|(_, checked)| ImageResult { image, name, ..checked.clone() })
    };
    let images = paths.into_iter().filter_map(of).collect();
    assemble(config, context, (trust, node), (started_at, started), images)
}

fn assemble(
    config: &Config,
    context: &NodeContext,
    (trust, node): (&Trust, Option<&NodeFiles>),
    (started_at, started): (Timestamp, Instant),
    images: Vec<ImageResult>,
) -> CheckRun {
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

/// Whether two images are pulled over the same path, with the same expectations and credentials.
fn is_same_path(
    (one, data): (&ImageConfig, &Option<String>),
    (other, other_data): (&ImageConfig, &Option<String>),
) -> bool {
    one.image.registry() == other.image.registry()
        && data == other_data
        && one.credentials == other.credentials
        && one.expected == other.expected
        && one.expected_addresses == other.expected_addresses
        && one.data_endpoints == other.data_endpoints
}

async fn check_path(
    config: &Config,
    image: &ImageConfig,
    (ambient, data): (&AmbientCredentials, Option<&str>),
    (trust, node): (&Trust, Option<&NodeFiles>),
    started_at: Timestamp,
) -> ImageResult {
    let task = task(config, image, ambient, (trust, node), started_at);
    let observed = probe::observe_path(&task, data).await;
    conclude(config, image, task, observed, Extent::Path)
}

/// Checks one image: probes it, then applies the rules.
pub async fn verify(
    config: &Config,
    image: &ImageConfig,
    ambient: &AmbientCredentials,
    node: (&Trust, Option<&NodeFiles>),
    now: Timestamp,
) -> ImageResult {
    let task = task(config, image, ambient, node, now);
    let observed = probe::observe(&task).await;
    let checked = conclude(config, image, task, observed, Extent::Whole);
    log(&checked);
    checked
}

fn task(
    config: &Config,
    image: &ImageConfig,
    ambient: &AmbientCredentials,
    (trust, node): (&Trust, Option<&NodeFiles>),
    now: Timestamp,
) -> Task {
    let mut task = Task::new(config, image, CredentialsSource::of(image, ambient), trust, now);
    if let Some(node) = node {
        take_from_node(&mut task, config, node);
    }
    task
}

/// Applies the rules to what a probe observed.
fn conclude(
    config: &Config,
    image: &ImageConfig,
    task: Task,
    observed: Observed,
    extent: Extent,
) -> ImageResult {
    let expectation = Expectation { image: task.image.clone(), policy: task.policy, now: task.now };
    let (observation, comparisons, diagnoses) = observed.diagnose(&expectation);
    ImageResult {
        started_at: task.now,
        is_kept: false,
        extent,
        image: task.image,
        name: image.name.clone(),
        blob_requested: config.blob,
        policy: expectation.policy,
        observation,
        comparisons,
        diagnoses,
    }
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

/// Logs the results of a path check that differ from those of the latest run.
pub(crate) fn log_changes(run: &CheckRun, latest: Option<&CheckRun>) {
    let is_shown = |checked: &ImageResult| latest.is_some_and(|latest| latest.has_same(checked));
    run.images.iter().filter(|checked| !is_shown(checked)).for_each(log);
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
