//! From one check to the next: what is worth announcing.
//!
//! Owns confirmation, change of cause, renewal and recovery, for one image at a time. Pure: the time is an argument, and
//! publishing is `events`'. Flapping shows in the counters, not here: what is not confirmed is never announced.

use std::time::Duration;

use jiff::Timestamp;

use crate::cause::Cause;
use crate::diagnosis::{Diagnosis, Verdict};
use crate::image::ImageReference;
use crate::run::Checked;

/// While a failure lasts it is announced again this often, and never more often.
pub const RENEW_AFTER: Duration = Duration::from_secs(60 * 60);

/// The reason of the Event that tells of a recovery, or of the first pass.
pub const VERIFIED: &str = "RegistryVerified";

/// Something that the cluster should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// About which image.
    pub image: ImageReference,
    /// The name that the configuration gives to it: one image may be checked under several, each on its own.
    pub name: Option<String>,
    /// What.
    pub news: News,
    /// As of when.
    pub at: Timestamp,
}

impl Announcement {
    /// The image as people call it: its reference, and the name that it has in the configuration.
    #[must_use]
    pub fn subject(&self) -> String {
        match &self.name {
            Some(name) => format!("{} ({name})", self.image),
            None => self.image.to_string(),
        }
    }
}

/// What is announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A confirmed failure, or a confirmed other cause of it.
    Failing(Box<Diagnosis>),
    /// The failure that was announced lasts.
    StillFailing(Box<Diagnosis>),
    /// The first pass, or the end of an announced failure.
    Verified,
}

/// What became of an announcement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventResult {
    /// The API server took it.
    Published,
    /// A newer one about the same image took its place before it was published.
    Suppressed,
    /// An attempt failed: the API server refused it or could not be reached.
    Failed,
}

impl EventResult {
    /// Every result.
    pub const ALL: [Self; 3] = [Self::Published, Self::Suppressed, Self::Failed];

    /// The contract's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Suppressed => "suppressed",
            Self::Failed => "failed",
        }
    }
}

/// What is remembered of an image between two checks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Track {
    announced: Announced,
    /// Failed checks in a row that are not announced yet.
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

impl Track {
    /// Takes a check up, and tells what to announce.
    ///
    /// A failure is announced after `confirm_after` failed checks in a row, another cause of an announced failure after
    /// as many with that cause; recovery at once. A check that could not be judged changes nothing.
    pub fn step(&mut self, checked: &Checked, confirm_after: u32, now: Timestamp) -> Option<Announcement> {
        let news = match (checked.verdict(), checked.decisive()) {
            (Verdict::Pass | Verdict::Warn, _) => self.pass(),
            (Verdict::Fail, Some(diagnosis)) => self.fail(diagnosis, confirm_after, now),
            (Verdict::Fail | Verdict::Unknown, _) => None,
        }?;
        Some(Announcement { image: checked.image.clone(), name: checked.name.clone(), news, at: now })
    }

    fn pass(&mut self) -> Option<News> {
        (self.unconfirmed, self.candidate) = (0, None);
        let before = std::mem::replace(&mut self.announced, Announced::Verified);
        (before != Announced::Verified).then_some(News::Verified)
    }

    fn fail(&mut self, diagnosis: &Diagnosis, confirm_after: u32, now: Timestamp) -> Option<News> {
        let cause = diagnosis.cause;
        let failing = match self.announced {
            Announced::Failing { cause: announced, at } if announced == cause => {
                (self.unconfirmed, self.candidate) = (0, None);
                let lasted = Duration::try_from(now.duration_since(at)).unwrap_or_default();
                if lasted < RENEW_AFTER {
                    return None;
                }
                self.announced = Announced::Failing { cause, at: now };
                return Some(News::StillFailing(Box::new(diagnosis.clone())));
            }
            Announced::Failing { .. } => true,
            Announced::Nothing | Announced::Verified => false,
        };
        // Any failure confirms that there is one; another cause has to be confirmed by itself, or two that take turns
        // would be announced at every check.
        let counts = !failing || self.candidate == Some(cause);
        self.unconfirmed = if counts { self.unconfirmed.saturating_add(1) } else { 1 };
        self.candidate = Some(cause);
        if self.unconfirmed < confirm_after.max(1) {
            return None;
        }
        (self.unconfirmed, self.candidate) = (0, None);
        self.announced = Announced::Failing { cause, at: now };
        Some(News::Failing(Box::new(diagnosis.clone())))
    }
}

#[cfg(test)]
mod tests;
