//! Where the results of the simulated fleet go: scrapes, Events, and the record of the day.
//!
//! As in the agent, `event_delay` and `Outbox` decide when an announcement is published.

use std::time::Duration;

use acr_verifier::metrics::Metrics;
use acr_verifier::run::ImageResult;
use acr_verifier::schedule::event_delay;
use acr_verifier::transition::EventResult;

use crate::alerts::{Exposed, SCRAPE};
use crate::fleet::Fleet;
use crate::outcomes::registry_of;
use crate::queue::Happening;

impl Fleet<'_> {
    /// Passes results to all sinks, like the agent's loop.
    pub(crate) fn publish(
        &mut self,
        number: usize,
        results: &[&ImageResult],
        (begun, now): (Duration, Duration),
    ) {
        let node = &mut self.nodes[number];
        for checked in results {
            let registry = registry_of(&checked.image);
            node.exposed[registry] = Some(Exposed::of(checked, now));
            node.verdicts[registry] = checked.verdict();
        }
        let to_scrape = (now.as_secs_f64() - node.scraped_at.as_secs_f64()) / SCRAPE.as_secs_f64();
        let scraped = node.scraped_at + SCRAPE.mul_f64(to_scrape.ceil().max(0.0));
        self.queue.push(scraped, Happening::Scrape(number));
        self.day.note(number, node.verdicts, (begun, now));
        self.announce(number, results, now);
    }

    /// Announces results like the agent's announcer.
    pub(crate) fn announce(&mut self, number: usize, results: &[&ImageResult], now: Duration) {
        let at = self.midnight + now;
        let node = &mut self.nodes[number];
        let mut announcements = Vec::new();
        for checked in results.iter().filter(|checked| checked.is_kept && checked.decisive().is_none()) {
            node.tracks[registry_of(&checked.image)].interrupt();
            node.outbox.withdraw(&checked.image, checked.name.as_deref());
        }
        for checked in results.iter().filter(|checked| !checked.is_kept) {
            let track = &mut node.tracks[crate::outcomes::registry_of(&checked.image)];
            announcements.extend(track.step(checked, self.schedule.confirm_after, at));
        }
        let failing = announcements.iter().filter(|announcement| announcement.is_failure()).count();
        let failing = failing + node.outbox.failures();
        let delay = event_delay(self.schedule.fleet_size, &node.name, failing);
        let since = now.saturating_sub(node.started);
        for announcement in announcements {
            node.outbox.add(announcement, delay, since);
        }
        self.release(number, now);
    }

    /// Publishes the announcements whose time has come, and queues the next ones.
    pub(crate) fn release(&mut self, number: usize, now: Duration) {
        let node = &mut self.nodes[number];
        for announcement in node.outbox.take_due(now.saturating_sub(node.started)) {
            if let Some(metrics) = &node.metrics {
                metrics.record_event(EventResult::Published);
            }
            let at = Duration::try_from(announcement.at.duration_since(self.midnight)).unwrap_or_default();
            self.day.publish((number, &node.name), &announcement, (at, now));
        }
        if let Some(due) = node.outbox.next_due() {
            self.queue.push(node.started + due, Happening::Announce(number, node.life));
        }
    }

    /// Counts the series of the sampled nodes and extrapolates to all nodes.
    pub(crate) fn measure(&mut self) {
        let count = |metrics: &Metrics| {
            let text = metrics.encode();
            text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && line[0] != b'#').count()
        };
        let sampled: Vec<usize> = self
            .nodes
            .iter()
            .filter(|node| node.is_up)
            .filter_map(|node| node.metrics.as_ref())
            .map(count)
            .collect();
        let up = self.nodes.iter().filter(|node| node.is_up).count();
        let average = sampled.iter().sum::<usize>() as f64 / sampled.len() as f64;
        self.day.series.push(average * up as f64);
    }
}
