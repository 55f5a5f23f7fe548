//! The single pass: every image once, then the report and the exit code.
//!
//! Owns the order of the program's parts for `check`, the repetition until all pass (`--wait`), and where the report
//! goes. What is checked comes from `config`; what it looks like is `report`'s.

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

/// Images checked at a time: enough to hide the waiting, few enough to be kind to the registry, and to keep the memory low
/// where a hostile one sends the longest manifest that is read for each of them.
const AT_A_TIME: usize = 4;
/// Between two attempts of `--wait`: a private zone's records live for 10 s, so that nothing changes much faster.
const PAUSE: Duration = Duration::from_secs(5);

/// What the surroundings of a pass are: who it is and what time it is.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The node's name.
    pub node: String,
    /// Whose network this process has.
    pub network_view: NetworkView,
    /// Tells the time.
    pub now: fn() -> Timestamp,
}

/// How a pass ended; the contract's exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every verdict is pass, or warn without `--strict`.
    Good,
    /// A problem was found.
    Problem,
    /// Only `unknown` beside passes.
    Inconclusive,
    /// Stopped by Ctrl-C before it was over.
    Interrupted,
}

impl Outcome {
    /// What a verdict amounts to.
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

    /// The exit code; after Ctrl-C the one that a shell gives to SIGINT.
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

/// Checks every image, writes the report and tells how it ended.
///
/// # Errors
/// The program itself could not work: nobody can be trusted, or the report cannot be written.
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
        // What the last whole pass of `--wait` saw is worth telling.
        terminal::note(if latest.is_some() {
            "interrupted: this is the last whole check"
        } else {
            "interrupted"
        });
    }
    if let Some(run) = &latest {
        publish(run, &options)?;
    }
    Ok(outcome)
}

/// One pass, or with `--wait` as many as it takes; `latest` is the last one that was whole.
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
        let told = summary(&run);
        let pause = pause_after(&run);
        *latest = Some(run);
        let left = options.wait.and_then(|wait| wait.checked_sub(started.elapsed() + pause));
        match left {
            Some(left) if outcome != Outcome::Good => {
                terminal::progress(&format!("waiting, {} s left: {told}", left.as_secs()));
                tokio::time::sleep(pause).await;
            }
            Some(_) | None => return Some(outcome),
        }
    }
}

/// Every image once, several at a time, in the order given.
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

/// Checks one image: probe, then rules.
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

/// The node's own files, where the configuration names their folder.
#[must_use]
pub fn node_files(config: &Config) -> Option<NodeFiles> {
    config.node_root.as_deref().map(|root| NodeFiles::read(root, &config.images))
}

/// Whom a check trusts: the node's authorities where they are known, else the system's, and the operator's file.
///
/// # Errors
/// As [`Trust::load`].
pub fn trust(config: &Config, node: Option<&NodeFiles>) -> Result<Trust, TrustError> {
    let authorities = node.and_then(|node| node.authorities().known()).map(Vec::as_slice);
    Trust::with_node(authorities, config.ca_file.as_deref())
}

/// Makes a task that of the node: its nameservers as they are now, and what containerd would do.
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

/// Whether the nameservers are those of the resolver's usual file, which the node's own replaces.
fn follows_node(config: &Config) -> bool {
    match &config.resolvers.system {
        SystemResolver::File(path) => path == Path::new(RESOLV_CONF),
        SystemResolver::Servers(_) => false,
    }
}

/// What was read of the node, for the report.
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

/// One line a check.
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

/// What is still wrong, in a line.
fn summary(run: &Run) -> String {
    let told: Vec<String> = run
        .images
        .iter()
        .filter_map(|checked| checked.diagnoses.first().map(|diagnosis| (checked, diagnosis)))
        .map(|(checked, diagnosis)| format!("{} {} ({})", checked.image, diagnosis.cause, diagnosis.stage))
        .collect();
    told.join(", ")
}

/// The time to wait after a pass: as long as the registry asks for, where it throttles.
fn pause_after(run: &Run) -> Duration {
    let asked = run.images.iter().filter_map(|checked| checked.observation.retry_after());
    asked.max().map_or(PAUSE, |asked| asked.max(PAUSE))
}

/// Writes the report to standard output, and to the file if one is named; where one of them cannot be written, the other
/// one is all the same.
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

/// Replaces a file as a whole, so that a reader never sees half a report, also where the disk is full; a pipe or a device is
/// just written to.
pub(crate) fn write_whole(path: &Path, text: &[u8]) -> io::Result<()> {
    write_whole_with(path, |out| out.write_all(text))
}

/// The same with a text that is too long to be put together first.
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
    // Never through a link that somebody laid there: the folder may be everybody's.
    let file = File::options().write(true).create_new(true).open(&new)?;
    let written = write_to(file).and_then(|()| fs::rename(&new, path));
    written.inspect_err(|_| {
        // Half a report is nothing to leave behind.
        let _ = fs::remove_file(&new);
    })
}
