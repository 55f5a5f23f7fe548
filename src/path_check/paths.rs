//! What is known about the path of each image between two whole checks.
//!
//! Owns the result of a broken path, which counts as a check of its images: a pull would fail there as well, and finding it sends
//! no request. An open path is no result: whether a pull works needs a whole check. Pure: `pass` runs path checks, `schedule`
//! decides when, and the agent publishes the results.

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
    /// The outcome in the image's result. An endpoint that was not reached has that of an earlier one.
    outcome: PathOutcome,
    /// The data endpoint that the last whole check used.
    data: Option<String>,
    /// Whether the path is open again and no whole check has confirmed it yet.
    has_recovered: bool,
}

/// What a path check shows.
#[derive(Debug)]
pub struct Compared {
    /// The status of each image.
    pub statuses: Vec<PathStatus>,
    /// The results of the images whose path is broken, and those of all other images in the latest run; absent if no path is
    /// broken.
    pub broken: Option<CheckRun>,
    /// Whether a path has recovered since the last path check, so that a whole check must confirm it.
    pub has_recovered: bool,
}

impl Paths {
    /// Starts with the images of a configuration. Before their first whole check, their paths count as open.
    #[must_use]
    pub fn of(images: &[ImageConfig]) -> Self {
        let known = images.iter().map(|image| Known {
            image: image.clone(),
            outcome: PathOutcome::open(),
            data: None,
            has_recovered: false,
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

    /// A path check of all images has completed. `latest` is the latest run, whose results of other images are kept if it had
    /// the same configuration.
    pub fn compare(&mut self, found: &CheckRun, latest: Option<&CheckRun>) -> Compared {
        let mut statuses = Vec::new();
        let mut has_recovered = false;
        for (known, checked) in self.known.iter_mut().zip(&found.images) {
            let outcome = PathOutcome::of(&checked.observation, &checked.diagnoses);
            let change = outcome.change_from(&known.outcome);
            let causes = outcome.causes();
            if causes.is_empty() {
                let is_open_again = change == PathChange::Recovered;
                has_recovered |= is_open_again && !known.has_recovered;
                known.has_recovered = is_open_again;
            } else {
                known.outcome = outcome.or(std::mem::take(&mut known.outcome));
                known.has_recovered = false;
            }
            statuses.push(PathStatus {
                image: checked.image.clone(),
                name: checked.name.clone(),
                checked_at: found.started_at,
                change,
                causes,
            });
        }
        let broken = statuses.iter().any(PathStatus::is_broken).then(|| compose(found, &statuses, latest));
        Compared { statuses, broken, has_recovered }
    }

    /// A whole check has completed.
    pub fn adopt(&mut self, run: &CheckRun) {
        for (known, checked) in self.known.iter_mut().zip(&run.images) {
            if known.image.image != checked.image {
                continue;
            }
            let outcome = PathOutcome::of(&checked.observation, &checked.diagnoses);
            known.outcome = outcome.or(std::mem::take(&mut known.outcome));
            known.has_recovered = false;
            let blob = checked.observation.blob.as_ref();
            known.data = blob.map(|blob| blob.host.clone()).or(known.data.take());
        }
    }
}

/// Replaces the results of images whose path is broken. Images without any result are left out.
fn compose(found: &CheckRun, statuses: &[PathStatus], latest: Option<&CheckRun>) -> CheckRun {
    let latest = latest.filter(|latest| latest.configuration == found.configuration);
    let kept = |checked: &ImageResult| {
        let is_same = |before: &&ImageResult| before.image == checked.image && before.name == checked.name;
        latest.and_then(|latest| latest.images.iter().find(is_same))
    };
    let images = found
        .images
        .iter()
        .zip(statuses)
        .filter_map(|(checked, status)| if status.is_broken() { Some(checked) } else { kept(checked) });
    CheckRun {
        images: images.cloned().collect(),
        node: found.node.clone(),
        configuration: found.configuration.clone(),
        node_files: found.node_files.clone(),
        ..*found
    }
}

#[cfg(test)]
mod tests;
