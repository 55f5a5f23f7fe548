//! What is known about the path of each image between two whole checks.
//!
//! Owns the result of a broken path to the login server, which counts as a check of its images: a pull fails there as well, and
//! finding it sends no request. Once the path is open as in the last whole check, that one's result holds again, with its age. Whether
//! a pull works needs a whole check, also whether it still uses a data endpoint: a redirect decides. Pure: `pass` runs path checks,
//! `schedule` decides when, and the agent publishes the results.

use std::sync::Arc;

use super::{PathChange, PathOutcome, PathStatus};
use crate::config::{Config, ImageConfig};
use crate::run::{CheckRun, ImageResult};

/// What is known about the path of each configured image, in their order.
#[derive(Debug)]
pub struct Paths {
    known: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    image: ImageConfig,
    /// The last whole check, and the place of the image's result in it.
    whole: Option<(Arc<CheckRun>, usize)>,
    /// What it showed about the path. An endpoint that it did not reach has the outcome of an earlier one.
    outcome: PathOutcome,
    /// The data endpoint that a whole check used last.
    data: Option<String>,
    /// The result of the last path check if the path to the login server was broken.
    broken: Option<ImageResult>,
    /// Whether the path differs from what the result shows, so that a whole check is planned.
    is_outdated: bool,
}

/// What a path check shows.
#[derive(Debug)]
pub struct Compared {
    /// The status of each image.
    pub statuses: Vec<PathStatus>,
    /// The results of all images, if those of some have changed or are confirmed; images without any result are left out.
    pub results: Option<CheckRun>,
    /// Whether a whole check should follow that was not planned before.
    pub needs_whole_check: bool,
}

impl Paths {
    /// Starts with the images of a configuration. Before their first whole check, their paths count as open.
    #[must_use]
    pub fn of(images: &[ImageConfig]) -> Self {
        let known = images.iter().map(|image| Known {
            image: image.clone(),
            whole: None,
            outcome: PathOutcome::open(),
            data: None,
            broken: None,
            is_outdated: false,
        });
        Self { known: known.collect() }
    }

    /// Another configuration is in force: keeps what is known about the images that it still has.
    pub fn reconfigure(&mut self, config: &Config) {
        let mut old = std::mem::replace(self, Self::of(&config.images));
        for known in &mut self.known {
            if let Some(place) = old.known.iter().position(|before| before.image == known.image) {
                *known = old.known.swap_remove(place);
            }
        }
    }

    /// Returns the data endpoint of each image, for the next path check.
    #[must_use]
    pub fn data_endpoints(&self) -> Vec<Option<String>> {
        self.known.iter().map(|known| known.data.clone()).collect()
    }

    /// A path check of all images has completed.
    pub fn compare(&mut self, found: &CheckRun) -> Compared {
        let mut statuses = Vec::new();
        let (mut has_results, mut needs_whole_check) = (false, false);
        for (known, checked) in self.known.iter_mut().zip(&found.images) {
            let outcome = PathOutcome::of(&checked.observation, &checked.diagnoses);
            let change = outcome.change_from(&known.outcome);
            let was_outdated = known.is_outdated;
            let was_broken = known.broken.is_some();
            known.broken = outcome.is_closed().then(|| checked.clone());
            has_results |= was_broken || known.broken.is_some();
            // What the path check found is in the result, unless a whole check must confirm it: that an earlier failure is gone, or
            // that pulls still use a data endpoint that cannot be reached.
            known.is_outdated = known.broken.is_none() && change != PathChange::Unchanged;
            needs_whole_check |= known.is_outdated && !was_outdated;
            statuses.push(PathStatus {
                image: checked.image.clone(),
                name: checked.name.clone(),
                checked_at: found.started_at,
                is_changed: change != PathChange::Unchanged,
                is_outdated: known.is_outdated,
                causes: outcome.causes(),
            });
        }
        let results = has_results.then(|| self.compose(found));
        Compared { statuses, results, needs_whole_check }
    }

    /// Returns the results of broken paths, and of the last whole check for all other images.
    fn compose(&self, found: &CheckRun) -> CheckRun {
        let result = |known: &Known| {
            let kept = |(run, place): &(Arc<CheckRun>, usize)| {
                run.images.get(*place).map(|whole| ImageResult { is_kept: true, ..whole.clone() })
            };
            known.broken.clone().or_else(|| known.whole.as_ref().and_then(kept))
        };
        CheckRun {
            node: found.node.clone(),
            node_files: found.node_files.clone(),
            configuration: found.configuration.clone(),
            images: self.known.iter().filter_map(result).collect(),
            ..*found
        }
    }

    /// A whole check has completed.
    pub fn adopt(&mut self, run: &Arc<CheckRun>) {
        for (place, (known, checked)) in self.known.iter_mut().zip(&run.images).enumerate() {
            if known.image.image != checked.image {
                continue;
            }
            let outcome = PathOutcome::of(&checked.observation, &checked.diagnoses);
            known.outcome = outcome.or(std::mem::take(&mut known.outcome));
            let blob = checked.observation.blob.as_ref();
            known.data = blob.map(|blob| blob.host.clone()).or(known.data.take());
            known.whole = Some((Arc::clone(run), place));
            (known.broken, known.is_outdated) = (None, false);
        }
    }
}

#[cfg(test)]
mod tests;
