//! A single pass: checks every image once, writes the report and returns the exit code.
//!
//! Owns the sequence of `check`, the repetition until all pass (`--wait`), and the destinations of the report. `config` says
//! which images to check; `report` renders the result.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use futures_util::StreamExt;
use futures_util::stream;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::cli::CheckOptions;
use crate::config::{Config, ImageConfig, SystemResolver};
use crate::credentials::CredentialsSource;
use crate::diagnosis::Verdict;
use crate::legible::{MAX_TEXT, printable};
use crate::node::{NodeFiles, RESOLV_CONF};
use crate::observation::Fact;
use crate::probe::{self, Task, Trust, TrustError};
use crate::report::{self, Style};
use crate::rules::Expectation;
use crate::run::{Checked, NetworkView, NodeFilesReport, Run};
use crate::terminal;

/// Images checked concurrently: enough to hide latency, few enough to spare the registry, and to keep memory low if a
/// hostile registry sends the longest accepted manifest for each of them.
const AT_A_TIME: usize = 4;
/// Pause between two attempts of `--wait`: the records of a private zone have a TTL of 10 s, so little changes faster.
const PAUSE: Duration = Duration::from_secs(5);

/// The node context of a pass: the node, its network view and the clock.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The node's name.
    pub node: String,
    /// Whether this process sees the node's network or a pod's.
    pub network_view: NetworkView,
    /// The clock.
    pub now: fn() -> Timestamp,
}

/// The result of a pass, which determines the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every verdict is pass, or warn without `--strict`.
    Good,
    /// A problem was found.
    Problem,
    /// At least one verdict is unknown and none is fail.
    Inconclusive,
    /// Interrupted by Ctrl-C.
    Interrupted,
}

impl Outcome {
    /// The outcome for a verdict.
    #[must_use]
    pub const fn of(verdict: Verdict, strict: bool) -> Self {
        match verdict {
            Verdict::Pass => Self::Good,
            Verdict::Warn if strict => Self::Problem,
            Verdict::Warn => Self::Good,
            Verdict::Unknown => Self::Inconclusive,
            Verdict::Fail => Self::Problem,
        }
    }

    /// The exit code; after Ctrl-C it is the shell's code for SIGINT.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::Problem => 1,
            Self::Inconclusive => 3,
            Self::Interrupted => 130,
        }
    }
}

/// Checks every image, writes the report and returns the outcome.
///
/// # Errors
/// No certificate authority can be loaded, or the report cannot be written.
pub async fn run(
    config: Config,
    options: CheckOptions,
    surroundings: Surroundings,
) -> anyhow::Result<Outcome> {
    let node = node_files(&config);
    let trust = trust(&config, node.as_ref())?;
    let mut latest = None;
    let finished = tokio::select! {
        finished = pass_until_good(&config, &options, &surroundings, (&trust, node.as_ref()), &mut latest) => finished,
        signal = tokio::signal::ctrl_c() => {
            signal.context("cannot wait for Ctrl-C")?;
            None
        }
    };
    let outcome = finished.unwrap_or(Outcome::Interrupted);
    if outcome == Outcome::Interrupted {
        // The last complete pass of `--wait` is still worth reporting.
        terminal::note(if latest.is_some() {
            "interrupted: the report shows the last complete check"
        } else {
            "interrupted"
        });
    }
    if let Some(run) = &latest {
        publish(run, &options)?;
    }
    Ok(outcome)
}

/// One pass, or with `--wait` as many as necessary; `latest` is the last complete one.
async fn pass_until_good(
    config: &Config,
    options: &CheckOptions,
    surroundings: &Surroundings,
    (trust, node): (&Trust, Option<&NodeFiles>),
    latest: &mut Option<Run>,
) -> Option<Outcome> {
    let started = Instant::now();
    loop {
        let run = pass(config, &options.usual_credentials, surroundings, trust, node).await;
        let outcome = Outcome::of(run.verdict(), options.strict);
        let summary = summary(&run);
        let pause = pause_after(&run);
        *latest = Some(run);
        let left = options.wait.and_then(|wait| wait.checked_sub(started.elapsed() + pause));
        match left {
            Some(left) if outcome != Outcome::Good => {
                terminal::progress(&format!("waiting, {} s left: {summary}", left.as_secs()));
                tokio::time::sleep(pause).await;
            }
            Some(_) | None => return Some(outcome),
        }
    }
}

/// Checks every image once, several concurrently; results are in the order given.
pub async fn pass(
    config: &Config,
    usual: &[PathBuf],
    surroundings: &Surroundings,
    trust: &Trust,
    node: Option<&NodeFiles>,
) -> Run {
    let started_at = (surroundings.now)();
    let started = Instant::now();
    let checks =
        config.images.iter().map(|image| verify(config, image, usual, (trust, node), (surroundings.now)()));
    let images = stream::iter(checks).buffered(AT_A_TIME).collect().await;
    Run {
        node: surroundings.node.clone(),
        network_view: surroundings.network_view,
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
    usual_credentials: &[PathBuf],
    (trust, node): (&Trust, Option<&NodeFiles>),
    now: Timestamp,
) -> Checked {
    let credentials = CredentialsSource::of(image, usual_credentials);
    let mut task = Task::new(config, image, credentials, trust, now);
    if let Some(node) = node {
        take_from_node(&mut task, config, node);
    }
    let observed = probe::observe(&task).await;
    let expectation = Expectation { image: task.image.clone(), policy: task.policy, now };
    let (observation, diagnoses) = observed.diagnose(&expectation);
    let checked = Checked {
        image: task.image,
        name: image.name.clone(),
        blob_requested: config.blob,
        policy: expectation.policy,
        observation,
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

/// Applies the node's files to a task: its current nameservers, and containerd's proxy and mirrors.
fn take_from_node(task: &mut Task, config: &Config, node: &NodeFiles) {
    if follows_node(config)
        && let Some(path) = node.resolv_conf()
    {
        task.resolvers.system = SystemResolver::File(path);
    }
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
fn log(checked: &Checked) {
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

/// A one-line summary of the remaining problems.
fn summary(run: &Run) -> String {
    let told: Vec<String> = run
        .images
        .iter()
        .filter_map(|checked| checked.diagnoses.first().map(|diagnosis| (checked, diagnosis)))
        .map(|(checked, diagnosis)| format!("{} {} ({})", checked.image, diagnosis.cause, diagnosis.stage))
        .collect();
    told.join(", ")
}

/// The pause after a pass; at least the registry's Retry-After if it throttles.
fn pause_after(run: &Run) -> Duration {
    let asked = run.images.iter().filter_map(|checked| checked.observation.retry_after());
    asked.max().map_or(PAUSE, |asked| asked.max(PAUSE))
}

/// Writes the report to standard output, and to the report file if set. If one of them fails, the other is still written.
fn publish(run: &Run, options: &CheckOptions) -> anyhow::Result<()> {
    let mut text = Vec::new();
    report::write(&mut text, run, options.format, &terminal::style())?;
    let printed = terminal::print(&text).context("cannot write the report to standard output");
    if let Some(path) = &options.report_file {
        let plain = Style { color: false, unicode: false, width: terminal::UNKNOWN_WIDTH };
        let mut text = Vec::new();
        report::write(&mut text, run, options.format, &plain)?;
        write_whole(path, &text).with_context(|| format!("cannot write the report to {}", path.display()))?;
    }
    printed
}

/// Replaces a file atomically, so a reader never sees half a report, even if the disk is full. A pipe or a device is written
/// to directly.
pub(crate) fn write_whole(path: &Path, text: &[u8]) -> io::Result<()> {
    write_whole_with(path, |out| out.write_all(text))
}

/// The same, for a text that is too long to build in memory first.
pub(crate) fn write_whole_with(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let write_to = |file: File| {
        let mut out = BufWriter::new(file);
        write(&mut out).and_then(|()| out.flush())
    };
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return write_to(File::options().write(true).truncate(true).open(path)?);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    // Never follow a planted link: the folder may be writable by everyone.
    let file = File::options().write(true).create_new(true).open(&new)?;
    let written = write_to(file).and_then(|()| fs::rename(&new, path));
    written.inspect_err(|_| {
        // Do not leave half a report behind.
        let _ = fs::remove_file(&new);
    })
}
