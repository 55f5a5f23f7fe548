//! Announces changes of the verdict as Events.
//!
//! Owns the debouncer of each image, and whether Events are published at all. `transition` decides what is announced, `schedule`
//! how long it waits, and `events` publishes it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::AgentContext;
use crate::config::{Config, Schedule};
use crate::events::{self, Publisher, event};
use crate::metrics::Metrics;
use crate::run::{CheckRun, Extent, ImageResult};
use crate::schedule::event_delay;
use crate::transition::{Announcement, Debouncer, EventResult, Outbox};

/// The announcements of an agent.
pub(super) struct Announcer {
    publisher: Option<Publisher>,
    /// The value of `events` that `publisher` was created for.
    publishes: bool,
    /// One per image and name: an image may be configured under several names.
    tracks: BTreeMap<(String, Option<String>), Debouncer>,
    outbox: Outbox,
    node: String,
    metrics: Arc<Metrics>,
}

impl Announcer {
    pub(super) fn new(config: &Config, context: &AgentContext, metrics: &Arc<Metrics>) -> Self {
        Self {
            publisher: publisher(config, context, metrics),
            publishes: config.events,
            tracks: BTreeMap::new(),
            outbox: Outbox::default(),
            node: context.pass.node.clone(),
            metrics: Arc::clone(metrics),
        }
    }

    /// Announces what has changed with a run. `at` is the time, also since the start of the agent.
    pub(super) fn announce(&mut self, run: &CheckRun, schedule: &Schedule, at: (Timestamp, Duration)) {
        let key = |checked: &ImageResult| (checked.image.to_string(), checked.name.clone());
        // A whole check covers the whole configuration.
        if run.images.iter().all(|checked| checked.extent == Extent::Whole && !checked.is_kept) {
            self.tracks.retain(|known, _| run.images.iter().any(|checked| key(checked) == *known));
        }
        let mut announcements = Vec::new();
        for checked in run.images.iter().filter(|checked| !checked.is_kept) {
            let track = self.tracks.entry(key(checked)).or_default();
            announcements.extend(track.step(checked, schedule.confirm_after, at.0));
        }
        // The path is open again as in the last whole check, which passed.
        for checked in run.images.iter().filter(|checked| checked.is_kept && checked.decisive().is_none()) {
            self.tracks.entry(key(checked)).or_default().interrupt();
            if self.outbox.withdraw(&checked.image, checked.name.as_deref()) && self.publisher.is_some() {
                self.metrics.record_event(EventResult::Suppressed);
            }
        }
        let failing = announcements.iter().filter(|announcement| announcement.is_failure()).count();
        let failing = failing + self.outbox.failures();
        let delay = event_delay(schedule.fleet_size, &self.node, failing);
        for announcement in announcements {
            if self.outbox.add(announcement, delay, at.1) && self.publisher.is_some() {
                self.metrics.record_event(EventResult::Suppressed);
            }
        }
        self.release(at.1);
    }

    /// Publishes the announcements whose time has come.
    pub(super) fn release(&mut self, now: Duration) {
        let due: Vec<Announcement> = self.outbox.take_due(now);
        let Some(publisher) = &self.publisher else { return };
        for announcement in due {
            if let Err(result) = publisher.publish(announcement) {
                self.metrics.record_event(result);
            }
        }
    }

    /// Starts or stops publishing Events if the configuration changed.
    pub(super) fn switch(&mut self, config: &Config, context: &AgentContext) {
        if config.events == self.publishes {
            return;
        }
        // Announcements in the meantime were not published, so the debouncers are recreated.
        *self = Self::new(config, context, &self.metrics);
    }
}

/// Starts the task that publishes Events; `None` if Events are disabled or there is no cluster, which is logged once.
fn publisher(config: &Config, context: &AgentContext, metrics: &Arc<Metrics>) -> Option<Publisher> {
    if !config.events {
        tracing::info!("Events are disabled by configuration");
        return None;
    }
    let cluster = match events::in_cluster(context.in_cluster) {
        Ok(Some(cluster)) => cluster,
        Ok(None) => {
            tracing::info!("Events are disabled: not running in a Kubernetes pod");
            return None;
        }
        Err(reason) => {
            tracing::warn!("Events are disabled: cannot use the API server: {reason}");
            return None;
        }
    };
    let reporter = event::Reporter {
        node: context.pass.node.clone(),
        pod: context.pod.clone(),
        network_view: context.pass.network_view,
    };
    let counted = Arc::clone(metrics);
    match events::prepare(cluster, reporter, move |result| counted.record_event(result)) {
        Ok((publisher, work)) => {
            tokio::spawn(work);
            Some(publisher)
        }
        Err(reason) => {
            tracing::warn!("Events are disabled: cannot use the API server: {reason}");
            None
        }
    }
}
