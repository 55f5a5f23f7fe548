//! A single pass: checks every image once, writes the report and returns the exit code.
//!
//! Owns the sequence of `check`, the repetition until all pass (`--wait`), and the destinations of the report. `config` says
//! which images to check; `report` renders the result.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::Instant;

use crate::config::Config;
use crate::credentials::AmbientCredentials;
use crate::exit::ExitStatus;
use crate::node::NodeFiles;
use crate::pass::{self, NodeContext};
use crate::probe::Trust;
use crate::report::{self, Style};
use crate::run::CheckRun;
use crate::text::words::seconds;
use crate::{output, terminal};

/// Pause between two attempts of `--wait`: the records of a private zone have a TTL of 10 s, so little changes faster.
const PAUSE: Duration = Duration::from_secs(5);

/// The handling of a check's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Repeat until all images pass or this time has elapsed.
    pub wait: Option<Duration>,
    /// Whether a warning is a failure.
    pub strict: bool,
    /// The format of the report.
    pub format: report::Format,
    /// The images whose stages a text report shows.
    pub details: report::Details,
    /// A file to write the report to, in addition to standard output.
    pub report_file: Option<PathBuf>,
    /// The credentials in the environment.
    pub ambient: AmbientCredentials,
}

/// Checks every image, writes the report and returns the outcome.
///
/// # Errors
/// No certificate authority can be loaded, or the report cannot be written.
pub async fn run(config: Config, options: Options, context: NodeContext) -> anyhow::Result<ExitStatus> {
    let node = pass::node_files(&config);
    let trust = pass::trust(&config, node.as_ref())?;
    let mut latest = None;
    let finished = tokio::select! {
        finished = pass_until_good(&config, &options, &context, (&trust, node.as_ref()), &mut latest) => finished,
        signal = tokio::signal::ctrl_c() => {
            signal.context("cannot wait for Ctrl-C")?;
            None
        }
    };
    let outcome = finished.unwrap_or(ExitStatus::Interrupted);
    if outcome == ExitStatus::Interrupted {
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
    options: &Options,
    context: &NodeContext,
    (trust, node): (&Trust, Option<&NodeFiles>),
    latest: &mut Option<CheckRun>,
) -> Option<ExitStatus> {
    let started = Instant::now();
    loop {
        let run = pass::run(config, &options.ambient, context, trust, node).await;
        let outcome = ExitStatus::of(run.verdict(), options.strict);
        let summary = summary(&run);
        let pause = pause_after(&run);
        *latest = Some(run);
        let left = options.wait.and_then(|wait| wait.checked_sub(started.elapsed() + pause));
        match left {
            Some(left) if outcome != ExitStatus::Good => {
                terminal::progress(&format!("waiting, {} left: {summary}", seconds(left)));
                tokio::time::sleep(pause).await;
            }
            Some(_) | None => return Some(outcome),
        }
    }
}

/// A one-line summary of the remaining problems.
fn summary(run: &CheckRun) -> String {
    let remaining: Vec<String> = run
        .images
        .iter()
        .filter_map(|checked| checked.diagnoses.first().map(|diagnosis| (checked, diagnosis)))
        .map(|(checked, diagnosis)| format!("{} {} ({})", checked.image, diagnosis.cause, diagnosis.stage))
        .collect();
    remaining.join(", ")
}

/// The pause after a pass; at least the registry's Retry-After if it throttles.
fn pause_after(run: &CheckRun) -> Duration {
    let asked = run.images.iter().filter_map(|checked| checked.observation.retry_after());
    asked.max().map_or(PAUSE, |asked| asked.max(PAUSE))
}

/// Writes the report to standard output, and to the report file if set. If one of them fails, the other is still written.
fn publish(run: &CheckRun, options: &Options) -> anyhow::Result<()> {
    let mut text = Vec::new();
    report::write(&mut text, run, options.format, options.details, &terminal::style())?;
    let printed = terminal::print(&text).context("cannot write the report to standard output");
    if let Some(path) = &options.report_file {
        let plain = Style { color: false, unicode: false, width: terminal::UNKNOWN_WIDTH };
        let mut text = Vec::new();
        report::write(&mut text, run, options.format, options.details, &plain)?;
        output::replace(path, &text)
            .with_context(|| format!("cannot write the report to {}", path.display()))?;
    }
    printed
}
