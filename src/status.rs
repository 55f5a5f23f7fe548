//! What the agent knows of itself: the newest run, how long its verdict has lasted, the last hour, the configuration.
//!
//! Owns the one value that the loop writes after each check and the HTTP server reads. No IO, no clock: the time is an
//! argument.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::diagnosis::Verdict;
use crate::run::{NetworkView, Rejected, Run};

/// What the strip of the status page shows.
const HISTORY: Duration = Duration::from_secs(60 * 60);
/// Bounds the history whatever the interval: a check a second for ten minutes, or every five seconds for an hour.
const MAX_HISTORY: usize = 720;

/// The agent's state, as the last check left it.
#[derive(Debug, Clone)]
pub struct Status {
    /// The node's name.
    pub node: String,
    /// Whose network the agent has.
    pub network_view: NetworkView,
    /// When the agent started.
    pub started_at: Timestamp,
    /// The newest run; absent before the first check.
    pub latest: Option<Arc<Run>>,
    /// Since when the verdict has been what it is; absent before the first check.
    pub verdict_since: Option<Timestamp>,
    /// The checks of the last hour, oldest first.
    pub history: VecDeque<Past>,
    /// When the next check is due; absent while one runs.
    pub due_at: Option<Timestamp>,
    /// The time between two checks, as it is in force: stretched for a fleet, without jitter.
    pub interval: Duration,
    /// The configuration that is in force, and whether a newer one was rejected.
    pub configuration: Configuration,
}

/// A check that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// When it began.
    pub at: Timestamp,
    /// Its verdict.
    pub verdict: Verdict,
    /// The code of the cause that explains the verdict, where there is one.
    pub cause: Option<&'static str>,
}

/// The configuration that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// When the file was last read with success or without.
    pub read_at: Timestamp,
    /// The digest of the file in force.
    pub digest: Option<String>,
    /// A newer file that was rejected; absent where the newest file is in force.
    pub rejected: Option<Rejected>,
}

impl Status {
    /// Takes a run up.
    pub fn record(&mut self, run: Arc<Run>) {
        let verdict = run.verdict();
        if self.latest.as_ref().is_none_or(|before| before.verdict() != verdict) {
            self.verdict_since = Some(run.started_at);
        }
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
}
