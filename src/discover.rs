//! Lists the images of Azure Container Registries that a cluster uses, and explains why Pods wait for theirs.
//!
//! Owns the order of the requests, their timeout and the result; [`agents`] owns the requests to agents. `cluster` talks to the cluster, `inventory` counts and compares, and
//! `report::discover` renders the result. It reads Pods and workloads once and never Secrets, and runs no check.

mod agents;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use crate::cluster::{Cluster, ClusterError, KubeAccess, PodScope};
use crate::exit::ExitStatus;
use crate::inventory::coverage::Coverage;
use crate::inventory::discovery::{Discovery, Scope};
use crate::inventory::registries::Suffixes;
use crate::inventory::{Inventory, Pod};
use crate::output;
use crate::report::Style;
use crate::report::discover::{self as report, Format};
use crate::terminal::{self, Live};
use crate::text::words::seconds;

/// Pods between two updates of the progress line.
const PODS_PER_FRAME: usize = 250;

/// Options of a discovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How to connect to the cluster.
    pub access: KubeAccess,
    /// The Pods to read.
    pub scope: PodScope,
    /// Whether to read workloads as well.
    pub owners: bool,
    /// Registries that count in addition to Azure's.
    pub suffixes: Suffixes,
    /// Namespace of the agents.
    pub agents_namespace: String,
    /// Label selector of the agents.
    pub selector: String,
    /// Whether a registry that no agent checks is a problem.
    pub coverage: bool,
    /// Client id of the kubelet's identity, for the configuration.
    pub client_id: Option<String>,
    /// Time for all requests.
    pub timeout: Duration,
    /// Output format of the report.
    pub format: Format,
    /// File for the report, in addition to standard output.
    pub report_file: Option<PathBuf>,
}

/// Discovers the images of a cluster, writes the report and returns the outcome.
///
/// # Errors
/// The settings are invalid, the Pod does not exist, or the report cannot be written.
pub async fn run(options: Options, now: fn() -> Timestamp) -> anyhow::Result<ExitStatus> {
    let discovered = tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => {
            terminal::note("interrupted: nothing was reported");
            return Ok(ExitStatus::Interrupted);
        }
        discovered = discover(&options, now) => discovered,
    };
    let discovery = match discovered {
        Ok(discovery) => discovery,
        Err(error @ (ClusterError::Settings(_) | ClusterError::DaemonSet(_))) => return Err(error.into()),
        Err(error @ (ClusterError::Unavailable(_) | ClusterError::Forbidden { .. })) => {
            terminal::complain(&error.to_string());
            return Ok(ExitStatus::Inconclusive);
        }
    };
    publish(&discovery, &options)?;
    Ok(status(&discovery, options.coverage))
}

/// A waiting Pod is a finding about the cluster: it decides only if the operator named it.
fn status(discovery: &Discovery, coverage: bool) -> ExitStatus {
    if coverage {
        return match discovery.coverage.unchecked(&discovery.inventory) {
            None if discovery.inventory.registries.is_empty() => ExitStatus::Good,
            None => ExitStatus::Inconclusive,
            Some(unchecked) if unchecked.is_empty() && discovery.inventory.left_out.registries == 0 => {
                ExitStatus::Good
            }
            Some(_) => ExitStatus::Problem,
        };
    }
    let is_waiting = discovery.scope.pod.is_some() && discovery.inventory.waiting_pods > 0;
    if is_waiting { ExitStatus::Problem } else { ExitStatus::Good }
}

async fn discover(options: &Options, now: fn() -> Timestamp) -> Result<Discovery, ClusterError> {
    let (started_at, started) = (now(), Instant::now());
    let deadline = started + options.timeout;
    let cluster =
        Cluster::connect(&options.access, Some(&options.agents_namespace), &options.selector).await?;
    let elapsed = |_elapsed| {
        ClusterError::Unavailable(format!("the lists were not complete within {}", seconds(options.timeout)))
    };
    let mut inventory = timeout_at(deadline, read(&cluster, options)).await.map_err(elapsed)??;
    let (mut explanations, mut coverage, mut nodes) = (Vec::new(), Coverage::NotRequested, None);
    if options.format == Format::Values {
        nodes = timeout_at(deadline, cluster.count_nodes()).await.ok().and_then(Result::ok);
    } else {
        let waiting = std::mem::take(&mut inventory.waiting);
        (explanations, coverage) = agents::query(&cluster, options, waiting, deadline, now).await?;
    }
    let (namespace, pod) = match options.scope.clone() {
        PodScope::All => (None, None),
        PodScope::Namespace(namespace) => (Some(namespace), None),
        PodScope::One { namespace, name } => (Some(namespace), Some(name)),
    };
    Ok(Discovery {
        started_at,
        duration: started.elapsed(),
        scope: Scope { namespace, pod, owners: options.owners },
        inventory,
        explanations,
        agents_namespace: options.agents_namespace.clone(),
        coverage,
        nodes,
        client_id: options.client_id.clone(),
    })
}

/// The Pods read so far.
struct Reading {
    inventory: Inventory,
    pods: usize,
    live: Live,
}

impl Reading {
    fn restart(&mut self) {
        self.inventory.restart();
        self.pods = 0;
    }

    fn take(&mut self, pod: &Pod) {
        self.inventory.add(pod);
        self.pods += 1;
        if self.pods.is_multiple_of(PODS_PER_FRAME) {
            let line = format!("discover: {} Pods read", self.pods);
            self.live.draw(|_width| vec![line]);
        }
    }
}

async fn read(cluster: &Cluster, options: &Options) -> Result<Inventory, ClusterError> {
    let inventory = Inventory::new(options.suffixes.clone());
    let mut reading = Reading { inventory, pods: 0, live: Live::default() };
    let read = cluster.each_pod(&options.scope, &mut reading, Reading::restart, Reading::take).await;
    reading.live.clear();
    read?;
    if let PodScope::One { namespace, name } = &options.scope
        && reading.pods == 0
    {
        return Err(ClusterError::Settings(format!("there is no Pod {name} in namespace {namespace}")));
    }
    let mut inventory = reading.inventory;
    if options.owners {
        cluster.each_workload(options.scope.namespace(), &mut inventory, Inventory::add_workload).await?;
    }
    Ok(inventory)
}

impl Options {
    /// Whether the registries of all Pods are of interest, and not only those of one Pod.
    fn scope_is_wide(&self) -> bool {
        match self.scope {
            PodScope::All | PodScope::Namespace(_) => true,
            PodScope::One { .. } => false,
        }
    }
}

/// Writes the report to standard output and to the given file. Standard output gets it even if the file cannot be written.
fn publish(discovery: &Discovery, options: &Options) -> anyhow::Result<()> {
    let style = terminal::style();
    let printed = terminal::print_with(|out| report::write(out, discovery, options.format, &style));
    let printed = printed.context("cannot write the report to standard output");
    if let Some(path) = &options.report_file {
        let plain = Style { color: false, unicode: false, width: terminal::UNKNOWN_WIDTH };
        let written = output::replace_with(path, |out| report::write(out, discovery, options.format, &plain));
        written.with_context(|| format!("cannot write the report to {}", path.display()))?;
    }
    printed
}
