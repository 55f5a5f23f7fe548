//! The two timeouts of every wait: per stage and overall.

use std::time::Duration;

use tokio::time::Instant;

/// A point in time by which something must complete.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub(super) until: Instant,
    /// Whether the overall timeout comes first.
    pub(super) whole: bool,
}

/// The timeouts of one check.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    started: Instant,
    timeout: Duration,
    stage_timeout: Duration,
}

impl Clock {
    /// Starts the clock.
    pub(super) fn start(timeout: Duration, stage_timeout: Duration) -> Self {
        Self { started: Instant::now(), timeout, stage_timeout }
    }

    /// The limit for a wait that starts now.
    pub(super) fn limit(&self) -> Limit {
        let stage = Instant::now() + self.stage_timeout;
        let whole = self.started + self.timeout;
        Limit { until: stage.min(whole), whole: whole < stage }
    }

    /// When the overall timeout elapses.
    pub(super) fn deadline(&self) -> Instant {
        self.started + self.timeout
    }

    /// The per-stage timeout.
    pub(super) const fn stage_timeout(&self) -> Duration {
        self.stage_timeout
    }

    /// The overall timeout.
    pub(super) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The time since the start of the check.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}
