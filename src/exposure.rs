//! The check from outside: one request to the public endpoint of each registry, which must reject it.
//!
//! Owns the sequence of `exposure`, the repetition until all are refused (`--wait`), and the destinations of the report.
//! `probe` sends the requests, `public_endpoint` evaluates the answers, and `report::exposure` renders the result.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::acr::LoginServer;
use crate::config::SystemResolver;
use crate::exit::ExitStatus;
use crate::image::DEFAULT_PORT;
use crate::output;
use crate::probe::{PublicTask, Trust, request_public};
use crate::public_endpoint::{Exposure, ExposureRun, Probe, RegistryExposure};
use crate::report::{self, Style};
use crate::terminal;
use crate::text::words::{list, seconds};

/// Maximum number of login servers of one run: as many as a configuration has images.
pub const MAX_REGISTRIES: usize = 100;
/// Login servers requested concurrently: enough that a hundred silent ones take minutes and not half an hour.
const AT_A_TIME: usize = 16;
/// Pause between two passes of `--wait`: a firewall rule takes minutes to apply.
const PAUSE: Duration = Duration::from_secs(10);

/// The settings of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The login servers, in the order given.
    pub servers: Vec<LoginServer>,
    /// The nameservers that resolve them.
    pub resolver: SystemResolver,
    /// A PEM file of certificates that are trusted in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// The limit for DNS, and again for each request with its connection.
    pub timeout: Duration,
    /// Repeat until all registries refuse or this time has elapsed.
    pub wait: Option<Duration>,
    /// The environment variable of a proxy, if one is set. It is not used.
    pub proxy: Option<&'static str>,
    /// The port of a laboratory that plays the public side on loopback.
    pub lab_port: Option<u16>,
    /// The format of the report.
    pub format: report::exposure::Format,
    /// A file to write the report to, in addition to standard output.
    pub report_file: Option<PathBuf>,
}

/// Sends the requests, writes the report and returns the outcome.
///
/// # Errors
/// No certificate authority can be loaded, or the report cannot be written.
pub async fn run(options: Options, now: fn() -> Timestamp) -> anyhow::Result<ExitStatus> {
    let trust = Trust::load(options.ca_file.as_deref())?;
    let mut latest = None;
    let finished = tokio::select! {
        finished = pass_until_refused(&options, &trust, now, &mut latest) => Some(finished),
        signal = tokio::signal::ctrl_c() => {
            signal.context("cannot wait for Ctrl-C")?;
            None
        }
    };
    if finished.is_none() {
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
    Ok(finished.map_or(ExitStatus::Interrupted, status_of))
}

/// Returns the status for a verdict. Nothing passes that was not tested.
const fn status_of(verdict: Exposure) -> ExitStatus {
    match verdict {
        Exposure::Refused => ExitStatus::Good,
        Exposure::NotTested => ExitStatus::Inconclusive,
        Exposure::Exposed => ExitStatus::Problem,
    }
}

/// One pass, or with `--wait` as many as necessary; `latest` is the last complete one.
async fn pass_until_refused(
    options: &Options,
    trust: &Trust,
    now: fn() -> Timestamp,
    latest: &mut Option<ExposureRun>,
) -> Exposure {
    let started = Instant::now();
    loop {
        let run = pass(options, trust, now).await;
        let verdict = run.verdict();
        let left = options.wait.unwrap_or_default().saturating_sub(started.elapsed());
        let pause = pause(left, run.retry_after());
        let remaining = remaining(&run);
        *latest = Some(run);
        match pause {
            Some(pause) if verdict != Exposure::Refused => {
                terminal::progress(&format!("waiting, {} left: {remaining}", seconds(left)));
                tokio::time::sleep(pause).await;
            }
            Some(_) | None => return verdict,
        }
    }
}

/// Returns the pause before the next pass, which starts no later than the end of the wait; absent if there is none. A wait that
/// is shorter than the usual pause still allows one, but never before a throttling registry wants a request.
fn pause(left: Duration, retry_after: Option<Duration>) -> Option<Duration> {
    let earliest = retry_after.unwrap_or_default();
    (!left.is_zero() && earliest <= left).then(|| PAUSE.max(earliest).min(left))
}

/// Names the registries that are not refused yet.
fn remaining(run: &ExposureRun) -> String {
    let open = run.registries.iter().filter(|registry| registry.verdict() != Exposure::Refused);
    let open: Vec<String> =
        open.map(|registry| format!("{} {}", registry.registry, registry.verdict())).collect();
    list(&open)
}

/// Requests every login server once, several concurrently.
async fn pass(options: &Options, trust: &Trust, now: fn() -> Timestamp) -> ExposureRun {
    let started_at = now();
    let started = Instant::now();
    let requests = options.servers.iter().map(|server| async move {
        let task = PublicTask {
            server,
            resolver: &options.resolver,
            trust,
            timeout: options.timeout,
            port: options.lab_port.unwrap_or(DEFAULT_PORT),
            loopback_is_public: options.lab_port.is_some(),
            now,
        };
        (server, request_public(&task).await)
    });
    let answers: Vec<(&LoginServer, Vec<Probe>)> = stream::iter(requests).buffered(AT_A_TIME).collect().await;
    ExposureRun {
        started_at,
        duration: started.elapsed(),
        unused_proxy: options.proxy,
        loopback_is_public: options.lab_port.is_some(),
        registries: grouped(answers),
    }
}

/// Groups regional login servers under their registry, in the order given.
fn grouped(answers: Vec<(&LoginServer, Vec<Probe>)>) -> Vec<RegistryExposure> {
    let mut registries: Vec<RegistryExposure> = Vec::new();
    for (server, probes) in answers {
        let registry = server.registry();
        match registries.iter_mut().find(|known| known.registry == registry) {
            Some(known) => {
                known.is_given |= !server.is_regional();
                known.probes.extend(probes);
            }
            None => registries.push(RegistryExposure {
                registry,
                name: server.name().to_owned(),
                is_given: !server.is_regional(),
                probes,
            }),
        }
    }
    registries
}

/// Writes the report to standard output, and to the report file if set. If one of them fails, the other is still written.
fn publish(run: &ExposureRun, options: &Options) -> anyhow::Result<()> {
    let mut text = Vec::new();
    report::exposure::write(&mut text, run, options.format, &terminal::style())?;
    let printed = terminal::print(&text).context("cannot write the report to standard output");
    if let Some(path) = &options.report_file {
        let plain = Style { color: false, unicode: false, width: terminal::UNKNOWN_WIDTH };
        let mut text = Vec::new();
        report::exposure::write(&mut text, run, options.format, &plain)?;
        output::replace(path, &text)
            .with_context(|| format!("cannot write the report to {}", path.display()))?;
    }
    printed
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{PAUSE, pause};

    #[test]
    fn a_pass_starts_no_later_than_the_end_of_the_wait() {
        let second = Duration::from_secs(1);
        for (left, retry_after, expected) in [
            (Duration::ZERO, None, None),
            (second, None, Some(second)),
            (PAUSE, None, Some(PAUSE)),
            (PAUSE * 6, None, Some(PAUSE)),
            (PAUSE * 6, Some(PAUSE * 2), Some(PAUSE * 2)),
            (PAUSE * 6, Some(second), Some(PAUSE)),
            (PAUSE, Some(PAUSE * 2), None),
            (Duration::ZERO, Some(Duration::ZERO), None),
        ] {
            assert_eq!(pause(left, retry_after), expected, "{left:?} {retry_after:?}");
        }
    }
}
