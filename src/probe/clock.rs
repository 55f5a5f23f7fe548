//! The two limits that every wait has: the stage's own, and the whole check's.

use std::time::Duration;

use tokio::time::Instant;

/// Until when something may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub(super) until: Instant,
    /// Whether it is the whole check's limit that comes first.
    pub(super) whole: bool,
}

/// The limits of one check.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    started: Instant,
    timeout: Duration,
    stage_timeout: Duration,
}

impl Clock {
    /// Starts now.
    pub(super) fn start(timeout: Duration, stage_timeout: Duration) -> Self {
        Self { started: Instant::now(), timeout, stage_timeout }
    }

    /// The limit of something that starts now.
    pub(super) fn limit(&self) -> Limit {
        let stage = Instant::now() + self.stage_timeout;
        let whole = self.started + self.timeout;
        Limit { until: stage.min(whole), whole: whole < stage }
    }

    /// The end of the whole check's time.
    pub(super) fn deadline(&self) -> Instant {
        self.started + self.timeout
    }

    /// The limit of one stage.
    pub(super) const fn stage_timeout(&self) -> Duration {
        self.stage_timeout
    }

    /// The limit of the whole check.
    pub(super) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How long the check has been going on.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}
