//! Counts for each minute of the day.

use std::time::Duration;

use crate::outcomes::{REGISTRIES, Requests};

/// Counts of one minute.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Minute {
    /// Requests at each registry, from all kinds of checks.
    pub(crate) requests: [Requests; REGISTRIES],
    /// Checks of each registry, and inconclusive ones.
    pub(crate) checks: [u32; REGISTRIES],
    pub(crate) unknown: [u32; REGISTRIES],
    /// Created and renewed Events.
    pub(crate) created: u32,
    pub(crate) renewed: u32,
    /// Nodes reporting a failure at the end of the minute, by registry.
    pub(crate) failing: [u32; REGISTRIES],
}

impl Minute {
    pub(crate) const fn events(&self) -> u32 {
        self.created + self.renewed
    }
}

/// The minutes of the day.
pub(crate) struct Tally(pub(crate) Vec<Minute>);

impl Tally {
    pub(crate) fn of(day: Duration) -> Self {
        Self(vec![Minute::default(); usize::try_from(day.as_secs() / 60).expect("a day")])
    }

    pub(crate) fn at(&mut self, now: Duration) -> &mut Minute {
        let last = self.0.len() - 1;
        let minute = usize::try_from(now.as_secs() / 60).expect("a day");
        &mut self.0[minute.min(last)]
    }

    /// Returns the minutes between two times in seconds.
    pub(crate) fn between(&self, from: f64, until: f64) -> &[Minute] {
        &self.0[(from / 60.0) as usize..((until / 60.0) as usize).min(self.0.len())]
    }

    /// Returns the Events stored in the API server at the end of a minute: each expires an hour after it was written, and is
    /// renewed no sooner than after an hour.
    pub(crate) fn live(&self, minute: usize) -> u32 {
        self.0[minute.saturating_sub(59)..=minute].iter().map(Minute::events).sum()
    }
}

/// Returns a quantile of delays in seconds (nearest rank).
pub(crate) fn quantile(delays: &[f64], share: f64) -> Option<f64> {
    let mut sorted = delays.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = ((sorted.len() as f64 * share).ceil() as usize).max(1) - 1;
    sorted.get(index.min(sorted.len().saturating_sub(1))).copied()
}
