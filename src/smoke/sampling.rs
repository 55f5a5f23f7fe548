//! Decides how many nodes a smoke check checks whole, from the size of the fleet and the first report.

use tokio::time::Instant;

use super::SmokeRun;
use super::pace::{SampleSize, Scope, automatic_sample};
use crate::fleet::sample::{placements, select};

/// Whether it is decided how many nodes are checked whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The first report is awaited.
    Undecided,
    /// It is decided.
    Decided,
    /// The deadline required a faster pace, which was logged.
    Hurried,
}

impl SmokeRun {
    /// Starts the checks. The automatic size of a sample depends on the requests of a check, so one node of each placement is
    /// checked first.
    pub(super) fn plan(&mut self) {
        let now = Instant::now();
        match self.size {
            SampleSize::All => {
                self.stage = Stage::Decided;
                self.tracker.check_all(now);
            }
            SampleSize::AtMost(limit) => {
                self.stage = Stage::Decided;
                self.check_sample(limit);
            }
            SampleSize::Auto => {
                let candidates = self.tracker.candidates();
                let placements = placements(&candidates);
                let is_small =
                    automatic_sample(candidates.len(), placements, self.pacer.requests(), self.timeout)
                        .is_none();
                self.pacer.scope = if is_small { Scope::Small } else { Scope::Sample };
                self.tracker.check_first(&select(&candidates, placements, &self.salt()), now);
            }
        }
    }

    /// Decides how many nodes are checked whole, once the requests of a check are known.
    pub(super) fn decide(&mut self) {
        self.stage = Stage::Decided;
        let candidates = self.tracker.candidates();
        let placements = placements(&candidates);
        match automatic_sample(candidates.len(), placements, self.pacer.requests(), self.timeout) {
            None => self.tracker.check_all(Instant::now()),
            Some(limit) => self.check_sample(limit),
        }
    }

    fn check_sample(&mut self, limit: usize) {
        let sample = select(&self.tracker.candidates(), limit, &self.salt());
        let (nodes, all) = (sample.summary.nodes, self.tracker.len());
        tracing::info!("checking a sample of {nodes} of {all} nodes, and the paths of the others");
        self.pacer.scope = Scope::Sample;
        self.tracker.check_sample(sample, self.salt(), Instant::now());
    }

    /// After half of the time, an automatic sample is extended to nodes that only a whole check can prove, as fast as the
    /// deadline requires: an operator who gave no number expects a fleet without a fault to pass.
    pub(super) fn hurry(&mut self) {
        let elapsed = self.started.elapsed();
        if self.size != SampleSize::Auto || self.tracker.sample().is_none() || elapsed < self.timeout / 2 {
            return;
        }
        let unproven = self.tracker.unproven();
        let is_faster = self.pacer.hurry(unproven, self.timeout.saturating_sub(elapsed), Instant::now());
        if is_faster && self.stage != Stage::Hurried {
            self.stage = Stage::Hurried;
            tracing::warn!(
                "{unproven} nodes have no check of this configuration yet: checking them all within the timeout, which uses more \
                 than a fifth of the registry's reads; a longer --timeout leaves them to the regular checks"
            );
        }
    }

    /// Another smoke check tests other nodes.
    fn salt(&self) -> String {
        self.started_at.to_string()
    }
}
