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
    /// Whether a broken path has triggered the next whole check.
    is_trigger: bool,
}

#[derive(Debug)]
struct Known {
    image: ImageConfig,
    /// The outcome of the last whole check. An endpoint that it did not reach has that of an earlier one.
    outcome: PathOutcome,
    /// The data endpoint that the last whole check used.
    data: Option<String>,
    /// Whether the last path check found a new cause.
    is_broken: bool,
}

/// What a path check shows.
pub(super) struct Compared {
    /// The difference from the last whole check; the worst of all images decides.
    pub(super) change: PathChange,
    /// Whether no path to a login server is open, so that a whole check sends no request.
    pub(super) is_free: bool,
    /// The status of each image.
    pub(super) statuses: Vec<PathStatus>,
}

impl Paths {
    /// Starts with the images of a configuration. Before their first whole check, their paths count as open: if one is not, its
    /// first whole check follows at once.
    pub(super) fn of(config: &Config) -> Self {
        let known = config.images.iter().map(|image| Known {
            image: image.clone(),
            outcome: PathOutcome::open(),
            data: None,
            is_broken: false,
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

    /// A path check has completed.
    pub(super) fn compare(&mut self, outcomes: &[PathOutcome], checked_at: Timestamp) -> Compared {
        let mut change = PathChange::Unchanged;
        let mut statuses = Vec::new();
        for (known, outcome) in self.known.iter_mut().zip(outcomes) {
            let changed = outcome.change_from(&known.outcome);
            known.is_broken = changed == PathChange::Broken;
            change = change.max(changed);
            statuses.push(PathStatus {
                image: known.image.image.clone(),
                name: known.image.name.clone(),
                checked_at,
                is_changed: changed != PathChange::Unchanged,
                causes: outcome.causes(),
            });
        }
        Compared { change, is_free: outcomes.iter().all(PathOutcome::is_closed), statuses }
    }

    /// The broken path has triggered the next whole check.
    pub(super) fn trigger(&mut self) {
        self.is_trigger = true;
    }

    /// A whole check has completed. Returns whether a broken path had triggered it and it found that path open.
    pub(super) fn adopt(&mut self, run: &CheckRun) -> bool {
        let mut is_open = true;
        for (known, checked) in self.known.iter_mut().zip(&run.images) {
            if known.image.image != checked.image {
                continue;
            }
            let outcome = PathOutcome::of(&checked.observation, &checked.diagnoses);
            is_open &= !std::mem::take(&mut known.is_broken) || outcome.causes().is_empty();
            known.outcome = outcome.or(std::mem::take(&mut known.outcome));
            let blob = checked.observation.blob.as_ref();
            known.data = blob.map(|blob| blob.host.clone()).or(known.data.take());
        }
        std::mem::take(&mut self.is_trigger) && is_open
    }
}
