//! Decides which results are announced as Events.
//!
//! Owns confirmation, change of cause, renewal and recovery, one image at a time. Pure: the time is an argument, and
//! `events` publishes. Flapping is visible in the counters, not here: unconfirmed failures are never announced.

mod outbox;

use std::time::Duration;

use jiff::Timestamp;

use crate::cause::Cause;
use crate::diagnosis::Diagnosis;
use crate::image::ImageReference;
use crate::run::ImageResult;
use crate::verdict::Verdict;

pub use outbox::Outbox;

/// Interval at which a persistent failure is announced again.
pub const RENEW_AFTER: Duration = Duration::from_secs(60 * 60);

/// The reason of the Event for a recovery or the first pass.
pub const VERIFIED: &str = "RegistryVerified";

/// A result to announce to the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The image concerned.
    pub image: ImageReference,
    /// Its name in the configuration: an image may be checked under several names independently.
    pub name: Option<String>,
    /// The kind of result.
    pub change: Change,
    /// The time of the result.
    pub at: Timestamp,
}

impl Announcement {
    /// Returns the image reference, followed by its name in the configuration if set.
    #[must_use]
    pub fn subject(&self) -> String {
        match &self.name {
            Some(name) => format!("{} ({name})", self.image),
            None => self.image.to_string(),
        }
    }

    /// Returns whether it announces a failure.
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        match self.change {
            Change::Failing(_) | Change::StillFailing(_) => true,
            Change::Verified => false,
        }
    }
}

/// The kind of result that is announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A confirmed failure, or a confirmed change of its cause.
    Failing(Box<Diagnosis>),
    /// An announced failure persists.
    StillFailing(Box<Diagnosis>),
    /// The first pass, or the recovery from an announced failure.
    Verified,
}

/// The result of publishing an announcement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventResult {
    /// The API server accepted it.
    Published,
    /// A newer one for the same image replaced it before it was published.
    Suppressed,
    /// An attempt failed: the API server rejected it or could not be reached.
    Failed,
}

impl EventResult {
    /// Every result.
    pub const ALL: [Self; 3] = [Self::Published, Self::Suppressed, Self::Failed];

    /// Returns the value of the metric's `result` label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Suppressed => "suppressed",
            Self::Failed => "failed",
        }
    }
}

/// The state kept for an image between two checks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Debouncer {
    announced: Announced,
    /// Consecutive failed checks that have not been announced.
    unconfirmed: u32,
    /// The cause of the last of them.
    candidate: Option<Cause>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Announced {
    #[default]
    Nothing,
    Verified,
    Failing {
        cause: Cause,
        at: Timestamp,
    },
}

impl Debouncer {
    /// Records a check and returns what to announce.
    ///
    /// A failure is announced after `confirm_after` consecutive failed checks, of which path checks are a part, a new cause of an announced failure after
    /// as many with that cause, a recovery immediately. An inconclusive check changes nothing.
    pub fn step(
        &mut self,
        checked: &ImageResult,
        confirm_after: u32,
        now: Timestamp,
    ) -> Option<Announcement> {
        let change = match (checked.verdict(), checked.decisive()) {
            (Verdict::Pass | Verdict::Warn, _) => self.pass(),
            (Verdict::Fail, Some(diagnosis)) => self.fail(diagnosis, confirm_after, now),
            (Verdict::Fail | Verdict::Unknown, _) => None,
        }?;
        Some(Announcement { image: checked.image.clone(), name: checked.name.clone(), change, at: now })
    }

    /// The failures so far are not in a row with the next one.
    pub fn interrupt(&mut self) {
        (self.unconfirmed, self.candidate) = (0, None);
    }

    fn pass(&mut self) -> Option<Change> {
        (self.unconfirmed, self.candidate) = (0, None);
        let before = std::mem::replace(&mut self.announced, Announced::Verified);
        (before != Announced::Verified).then_some(Change::Verified)
    }

    fn fail(&mut self, diagnosis: &Diagnosis, confirm_after: u32, now: Timestamp) -> Option<Change> {
        let cause = diagnosis.cause;
        let failing = match self.announced {
            Announced::Failing { cause: announced, at } if announced == cause => {
                (self.unconfirmed, self.candidate) = (0, None);
                let lasted = Duration::try_from(now.duration_since(at)).unwrap_or_default();
                if lasted < RENEW_AFTER {
                    return None;
                }
                self.announced = Announced::Failing { cause, at: now };
                return Some(Change::StillFailing(Box::new(diagnosis.clone())));
            }
            Announced::Failing { .. } => true,
            Announced::Nothing | Announced::Verified => false,
        };
        // Any failure confirms that there is one. A new cause must be confirmed separately, otherwise two alternating
        // causes would be announced at every check.
        let counts = !failing || self.candidate == Some(cause);
        self.unconfirmed = if counts { self.unconfirmed.saturating_add(1) } else { 1 };
        self.candidate = Some(cause);
        if self.unconfirmed < confirm_after.max(1) {
            return None;
        }
        (self.unconfirmed, self.candidate) = (0, None);
        self.announced = Announced::Failing { cause, at: now };
        Some(Change::Failing(Box::new(diagnosis.clone())))
    }
}

#[cfg(test)]
mod tests;
