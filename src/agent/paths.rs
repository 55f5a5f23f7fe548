//! The path checks between two whole checks, and what follows from them.
//!
//! Owns the outcome that a path check is compared with: the last whole check's. `schedule` decides when a path check runs, `pass`
//! runs it.

use crate::config::{Config, ImageConfig};
use crate::path_check::{PathChange, PathOutcome, PathStatus};
use crate::run::CheckRun;
use jiff::Timestamp;

/// What is known about the path of each configured image, in their order.
#[derive(Debug)]
pub(super) struct Paths {
    known: Vec<Known>,
    /// Whether the next whole check was triggered by a broken path.
    is_trigger: bool,
}

#[derive(Debug)]
struct Known {
    image: ImageConfig,
    /// The outcome of the last whole check. An endpoint that it did not reach has that of an earlier one.
    outcome: PathOutcome,
    /// The data endpoint that the last whole check used.
    data: Option<String>,
}

impl Paths {
    /// Starts with the images of a configuration. Before their first whole check, their paths count as open: if one is not, its
    /// first whole check follows at once.
    pub(super) fn of(config: &Config) -> Self {
        let known = config.images.iter().map(|image| Known {
            image: image.clone(),
            outcome: PathOutcome::open(),
            data: None,
        });
        Self { known: known.collect(), is_trigger: false }
    }

    /// Another configuration is in force: keeps what is known about the images that it still has.
    pub(super) fn reconfigure(&mut self, config: &Config) {
        let mut old = std::mem::replace(self, Self::of(config));
        self.is_trigger = old.is_trigger;
        for known in &mut self.known {
            if let Some(place) = old.known.iter().position(|before| before.image == known.image) {
                *known = old.known.swap_remove(place);
            }
        }
    }

    /// Returns the data endpoint of each image, for the next path check.
    pub(super) fn data_endpoints(&self) -> Vec<Option<String>> {
        self.known.iter().map(|known| known.data.clone()).collect()
    }

    /// A whole check has completed. Returns whether a broken path had triggered it and it found every path open.
    pub(super) fn adopt(&mut self, run: &CheckRun) -> bool {
        let mut is_open = true;
        for (known, checked) in self.known.iter_mut().zip(&run.images) {
            if known.image.image != checked.image {
                continue;
            }
            let outcome = PathOutcome::of(&checked.observation, &checked.diagnoses);
            is_open &= outcome.causes().is_empty();
            known.outcome = outcome.or(std::mem::take(&mut known.outcome));
            let blob = checked.observation.blob.as_ref();
            known.data = blob.map(|blob| blob.host.clone()).or(known.data.take());
        }
        std::mem::take(&mut self.is_trigger) && is_open
    }

    /// A path check has completed. Returns how it differs from the last whole check, and the status of each image.
    pub(super) fn compare(
        &mut self,
        outcomes: &[PathOutcome],
        checked_at: Timestamp,
    ) -> (PathChange, Vec<PathStatus>) {
        let changes = self.known.iter().zip(outcomes).map(|(known, now)| now.change_from(&known.outcome));
        let changes: Vec<_> = changes.collect();
        let statuses = changes.iter().zip(outcomes).map(|(change, outcome)| PathStatus {
            checked_at,
            is_changed: *change != PathChange::Unchanged,
            causes: outcome.causes(),
        });
        let statuses = statuses.collect();
        let change = changes.into_iter().max().unwrap_or(PathChange::Unchanged);
        self.is_trigger |= change == PathChange::Broken;
        (change, statuses)
    }
}
