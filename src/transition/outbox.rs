//! Announcements that wait for their turn, so that a fleet does not write all its Events at once.
//!
//! Owns the waiting announcements, at most one for each image. `schedule` calculates how long one waits. Pure: times are relative
//! to the agent's start.

use std::time::Duration;

use super::Announcement;
use crate::image::ImageReference;

/// The announcements of an agent that wait.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outbox {
    waiting: Vec<(Duration, Announcement)>,
}

impl Outbox {
    /// Adds an announcement. A failure waits for `delay`, or as long as the failure of the same image that it replaces; anything else
    /// does not wait. Returns whether it replaces one.
    pub fn add(&mut self, announcement: Announcement, delay: Duration, now: Duration) -> bool {
        let is_same = |(_, waiting): &(Duration, Announcement)| {
            waiting.image == announcement.image && waiting.name == announcement.name
        };
        let replaced = self.waiting.iter().position(is_same).map(|place| self.waiting.remove(place));
        let due = match (&replaced, announcement.is_failure()) {
            (_, false) => now,
            (None, true) => now + delay,
            (Some((due, _)), true) => (*due).min(now + delay),
        };
        self.waiting.push((due, announcement));
        replaced.is_some()
    }

    /// Removes the announcement of an image, since it is no longer true. Returns whether there was one.
    pub fn withdraw(&mut self, image: &ImageReference, name: Option<&str>) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|(_, waiting)| waiting.image != *image || waiting.name.as_deref() != name);
        self.waiting.len() < before
    }

    /// Returns the number of failures that wait.
    #[must_use]
    pub fn failures(&self) -> usize {
        self.waiting.iter().filter(|(_, announcement)| announcement.is_failure()).count()
    }

    /// Removes and returns the announcements whose time has come.
    pub fn take_due(&mut self, now: Duration) -> Vec<Announcement> {
        let (due, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|(due, _)| *due <= now);
        self.waiting = waiting;
        due.into_iter().map(|(_, announcement)| announcement).collect()
    }

    /// Returns when the next announcement is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Duration> {
        self.waiting.iter().map(|(due, _)| *due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::Outbox;
    use crate::cause::Cause;
    use crate::diagnosis::Diagnosis;
    use crate::observation::{Endpoint, Stage};
    use crate::transition::{Announcement, Change};
    use jiff::Timestamp;
    use std::time::Duration;

    fn announcement(registry: &str, is_failing: bool) -> Announcement {
        let diagnosis = Diagnosis {
            cause: Cause::DnsTimeout,
            severity: Cause::DnsTimeout.severity(),
            stage: Stage::Dns,
            endpoint: Endpoint::Login,
            message: "Something is wrong.".to_owned(),
            remedy: "Fix it.".to_owned(),
            commands: Vec::new(),
            correlation_id: None,
        };
        Announcement {
            image: format!("{registry}.azurecr.io/apps/canary:1").parse().expect("a reference"),
            name: None,
            change: if is_failing { Change::Failing(Box::new(diagnosis)) } else { Change::Verified },
            at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn failures_wait_and_a_newer_announcement_of_the_image_replaces_them() {
        let [now, delay] = [100, 30].map(Duration::from_secs);
        let mut outbox = Outbox::default();
        assert!(!outbox.add(announcement("contoso", true), delay, now));
        assert!(!outbox.add(announcement("fabrikam", true), delay, now));
        assert_eq!((outbox.take_due(now).len(), outbox.next_due()), (0, Some(now + delay)));
        assert!(outbox.add(announcement("contoso", true), delay, now + delay / 2), "it does not wait again");
        assert_eq!((outbox.failures(), outbox.next_due()), (2, Some(now + delay)));
        assert!(outbox.add(announcement("contoso", false), delay, now));
        assert_eq!(outbox.take_due(now), [announcement("contoso", false)]);
        assert_eq!(outbox.take_due(now + delay), [announcement("fabrikam", true)]);
        assert_eq!(outbox.next_due(), None);
    }
}
