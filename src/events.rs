//! Publishes announcements as Kubernetes Events.
//!
//! Owns the publishing task, its retries and its counting. The main loop only hands over an announcement and never
//! waits: an API server that is slow, rejects Events or is unavailable delays no check. `transition` decides what to
//! announce, [`event`] builds the Event. kube's `Recorder` has no retries, keeps the note of a repeated
//! Event's first occurrence, and does not cut one that is too long.

pub mod event;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::pin::pin;
use std::time::Duration;

use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Config};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use self::event::{NAMESPACE, Reporter};
use crate::text::sanitize::{MAX_WORD, printable};
use crate::text::words::limit;
use crate::transition::{Announcement, Change, EventResult};

/// Timeout of a call to the API server; in-cluster clients have none of their own.
const CALL_LIMIT: Duration = Duration::from_secs(10);
/// Delay between two attempts at one announcement: doubles from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Attempts after a rejection whose reason may be temporary, such as RBAC that is not in place yet.
const ATTEMPTS_AT_A_REFUSAL: u32 = 5;

/// Hands announcements to the publishing task.
///
/// The queue itself is unbounded: the task drains it even while it waits for the API server, and keeps one announcement
/// per image.
#[derive(Debug, Clone)]
pub struct Publisher(mpsc::UnboundedSender<Announcement>);

impl Publisher {
    /// Hands an announcement over; never waits.
    ///
    /// # Errors
    /// The task has ended: the announcement is lost and must be counted as failed.
    pub fn publish(&self, announcement: Announcement) -> Result<(), EventResult> {
        self.0.send(announcement).map_err(|_| EventResult::Failed)
    }
}

/// Returns the in-cluster connection to the API server; `None` outside a cluster.
///
/// # Errors
/// In a cluster, but the service account's files or the address are not usable.
pub fn in_cluster(host_is_set: bool) -> Result<Option<Config>, String> {
    if !host_is_set {
        return Ok(None);
    }
    Config::incluster().map(Some).map_err(|error| error.to_string())
}

/// Creates the client and the publishing task; `count` receives the result of each announcement.
///
/// The task ends when the last [`Publisher`] is dropped.
///
/// # Errors
/// The connection settings are not usable.
pub fn prepare(
    mut config: Config,
    reporter: Reporter,
    count: impl Fn(EventResult) + Send + 'static,
) -> Result<(Publisher, impl Future<Output = ()> + Send), String> {
    // kube uses the process default; it may already be set.
    let _ = rustls::crypto::ring::default_provider().install_default();
    config.connect_timeout = Some(CALL_LIMIT);
    config.read_timeout = Some(CALL_LIMIT);
    config.write_timeout = Some(CALL_LIMIT);
    // The desk retries itself and counts every attempt.
    config.default_retry = false;
    let client = Client::try_from(config).map_err(|error| error.to_string())?;
    let (sender, queue) = mpsc::unbounded_channel();
    let desk = PublishTask {
        api: Api::namespaced(client, NAMESPACE),
        reporter,
        tray: PendingEvents { count: Box::new(count), pending: BTreeMap::new() },
        series: BTreeMap::new(),
    };
    Ok((Publisher(sender), desk.work(queue)))
}

/// An announcement that has not been published yet.
struct Pending {
    announcement: Announcement,
    attempts: u32,
    due: Instant,
}

/// The announcements to publish: the newest of each image and name.
struct PendingEvents {
    pending: BTreeMap<String, Pending>,
    count: Box<dyn Fn(EventResult) + Send>,
}

impl PendingEvents {
    fn take(&mut self, announcement: Announcement) {
        let subject = announcement.subject();
        let pending = Pending { announcement, attempts: 0, due: Instant::now() };
        if self.pending.insert(subject, pending).is_some() {
            (self.count)(EventResult::Suppressed);
        }
    }

    /// Returns an unpublished announcement to the queue, unless there is a newer one.
    fn take_back(&mut self, subject: String, pending: Pending) {
        match self.pending.entry(subject) {
            Entry::Vacant(place) => drop(place.insert(pending)),
            Entry::Occupied(_) => (self.count)(EventResult::Suppressed),
        }
    }

    fn next_due(&self) -> Option<Instant> {
        self.pending.values().map(|pending| pending.due).min()
    }

    fn remove_due(&mut self) -> Option<(String, Pending)> {
        let now = Instant::now();
        let subject = self.pending.iter().find(|(_, pending)| pending.due <= now)?.0.clone();
        self.pending.remove_entry(&subject)
    }
}

/// The publishing task.
struct PublishTask {
    api: Api<Event>,
    reporter: Reporter,
    tray: PendingEvents,
    /// The last Event about a failure of each image and name, which renewals update.
    series: BTreeMap<String, Event>,
}

/// The reason why an attempt failed.
enum PublishError {
    /// May succeed later: the server is unavailable, slow or overloaded.
    Later(Option<Duration>, String),
    /// The server rejected the Event.
    Refused(String),
}

impl PublishTask {
    async fn work(mut self, mut queue: mpsc::UnboundedReceiver<Announcement>) {
        loop {
            let due = self.tray.next_due();
            tokio::select! {
                received = queue.recv() => match received {
                    Some(announcement) => self.tray.take(announcement),
                    None => return,
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.publish_due(&mut queue).await;
                }
            }
        }
    }

    /// Makes one attempt, and accepts new announcements in the meantime.
    async fn publish_due(&mut self, queue: &mut mpsc::UnboundedReceiver<Announcement>) {
        let Some((subject, mut pending)) = self.tray.remove_due() else { return };
        let event = self.event(&subject, &pending.announcement);
        let result = {
            let mut sent = pin!(send(&self.api, &event));
            loop {
                tokio::select! {
                    result = &mut sent => break result,
                    Some(announcement) = queue.recv() => self.tray.take(announcement),
                }
            }
        };
        let setback = match result {
            Ok(()) => {
                (self.tray.count)(EventResult::Published);
                match pending.announcement.change {
                    Change::Failing(_) | Change::StillFailing(_) => drop(self.series.insert(subject, event)),
                    Change::Verified => drop(self.series.remove(&subject)),
                }
                return;
            }
            Err(setback) => setback,
        };
        (self.tray.count)(EventResult::Failed);
        pending.attempts += 1;
        let wait = FIRST_PAUSE * 2_u32.saturating_pow(pending.attempts - 1).min(64);
        let (wait, reason) = match setback {
            PublishError::Later(asked, reason) => {
                (wait.min(LONGEST_PAUSE).max(asked.unwrap_or_default()), reason)
            }
            PublishError::Refused(reason) if pending.attempts < ATTEMPTS_AT_A_REFUSAL => (wait, reason),
            PublishError::Refused(reason) => {
                tracing::warn!(image = subject, "dropped the Event: {reason}");
                return;
            }
        };
        // Log only the first failed attempt; the metrics count all of them.
        if pending.attempts == 1 {
            tracing::warn!(image = subject, "cannot publish the Event yet, retrying: {reason}");
        }
        pending.due = Instant::now() + wait;
        self.tray.take_back(subject, pending);
    }

    /// A renewal increments the series of the Event with the same cause; if that was never published, it is a new Event.
    fn event(&self, subject: &str, announcement: &Announcement) -> Event {
        match (&announcement.change, self.series.get(subject)) {
            (Change::StillFailing(diagnosis), Some(first))
                if first.reason.as_deref() == Some(diagnosis.cause.reason().as_str()) =>
            {
                event::renewed(first, announcement.at)
            }
            _ => event::new(&self.reporter, announcement),
        }
    }
}

/// Applies the Event with a single call that creates or updates it, and that is safe to repeat if the response was lost.
/// It needs the permissions create and patch.
async fn send(api: &Api<Event>, event: &Event) -> Result<(), PublishError> {
    let name = event.metadata.name.as_deref().unwrap_or_default();
    let parameters = PatchParams::apply(event::CONTROLLER).force();
    call(api.patch(name, &parameters, &Patch::Apply(event))).await.map(drop)
}

/// Makes one call within its timeout.
async fn call<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, PublishError> {
    match timeout(CALL_LIMIT, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) => {
            let asked = status
                .details
                .as_ref()
                .map(|details| Duration::from_secs(u64::from(details.retry_after_seconds)));
            let reason =
                format!("the API server returned {} {}", status.code, printable(&status.reason, MAX_WORD));
            match status.code {
                401 | 408 | 409 | 429 | 500.. => {
                    Err(PublishError::Later(asked.map(|asked| asked.min(LONGEST_PAUSE)), reason))
                }
                _ => Err(PublishError::Refused(reason)),
            }
        }
        Ok(Err(error)) => Err(PublishError::Later(None, format!("cannot reach the API server ({error})"))),
        Err(_elapsed) => Err(PublishError::Later(
            None,
            format!("the API server did not respond within {}", limit(CALL_LIMIT)),
        )),
    }
}
