//! The agent's state: the latest run, the duration of its verdict, the last hour, the configuration.
//!
//! Owns the one value that the main loop writes after each check and the HTTP server reads. No IO, no clock: the time is
//! an argument.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::run::{CheckRun, ImageResult, NetworkView, Rejected};
use crate::verdict::Verdict;

/// The period that the status page shows.
const HISTORY: Duration = Duration::from_secs(60 * 60);
/// Limits the history for any interval: one check a second for twelve minutes, or one every five seconds for an hour.
const MAX_HISTORY: usize = 720;

/// The agent's state after the last check.
#[derive(Debug, Clone)]
pub struct AgentState {
    /// The name of the node.
    pub node: String,
    /// Whether the agent runs on the node or the pod network.
    pub network_view: NetworkView,
    /// When the agent started.
    pub started_at: Timestamp,
    /// The latest run; absent before the first check.
    pub latest: Option<Arc<CheckRun>>,
    /// When the current verdict was first reached; absent before the first check.
    pub verdict_since: Option<Timestamp>,
    /// For each image of the latest run: the start of the first check in a row with its verdict and cause.
    pub since: Vec<Timestamp>,
    /// The checks of the last hour, oldest first.
    pub history: VecDeque<Past>,
    /// When the next check is due; absent while one runs.
    pub due_at: Option<Timestamp>,
    /// The interval in force between two checks: stretched for a fleet, without jitter.
    pub interval: Duration,
    /// The configuration in force, and a newer one if it was rejected.
    pub configuration: Configuration,
    /// Whether every client may trigger a check, so that the page has a button for it.
    pub has_open_checks: bool,
}

/// A completed check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// When the check started.
    pub at: Timestamp,
    /// The verdict of the whole run.
    pub verdict: Verdict,
    /// The code of the cause of the verdict, if any.
    pub cause: Option<&'static str>,
}

/// The configuration in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// When the file was last read, successfully or not.
    pub read_at: Timestamp,
    /// The digest of the file in force.
    pub digest: Option<String>,
    /// A newer file that was rejected; absent if the newest file is in force.
    pub rejected: Option<Rejected>,
}

impl AgentState {
    /// Records a run.
    pub fn record(&mut self, run: Arc<CheckRun>) {
        let verdict = run.verdict();
        if self.latest.as_ref().is_none_or(|before| before.verdict() != verdict) {
            self.verdict_since = Some(run.started_at);
        }
        self.since =
            run.images.iter().map(|checked| self.since_of(checked).unwrap_or(run.started_at)).collect();
        let decisive = run.images.iter().find(|checked| checked.verdict() == verdict);
        let cause =
            decisive.and_then(|checked| checked.diagnoses.first()).map(|diagnosis| diagnosis.cause.code());
        self.history.push_back(Past { at: run.started_at, verdict, cause });
        let oldest = run.started_at - HISTORY;
        while self.history.len() > MAX_HISTORY || self.history.front().is_some_and(|past| past.at < oldest) {
            self.history.pop_front();
        }
        self.latest = Some(run);
    }
    /// Returns since when an image has its verdict and cause, if the latest run has the same.
    fn since_of(&self, checked: &ImageResult) -> Option<Timestamp> {
        let state = |checked: &ImageResult| {
            let cause = checked.diagnoses.first().map(|diagnosis| diagnosis.cause);
            (checked.image.clone(), checked.name.clone(), checked.verdict(), cause)
        };
        let latest = self.latest.as_ref()?;
        let place = latest.images.iter().position(|before| state(before) == state(checked))?;
        self.since.get(place).copied()
    }
}
