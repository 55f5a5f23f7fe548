//! The pace of a smoke check: how many nodes it checks whole, and when it may send the next request.
//!
//! Owns the arithmetic of the registry's reads. A check makes at most nine requests for an image, six of them reads. Regular checks
//! of a stretched fleet make up to 4,000 requests a minute (`budgetPerMinute`), 3,000 of them reads on average, and up to a sixth
//! more in a single minute. 500 requests more for a sample, 375 of them reads, stay under 4,000 reads: a fifth of what Azure documents
//! for a Premium registry. A fleet that fits is checked whole at once: 2,400 requests and its regular checks, 2,400 a minute at
//! most, stay under it too. Pure; time is an argument.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::Schedule;
use crate::schedule::REQUESTS_PER_IMAGE;

const MINUTE: Duration = Duration::from_secs(60);
/// Requests a minute to the registry that gets the most, if only a sample is checked whole.
pub(super) const SAMPLE_BUDGET: u32 = Schedule::DEFAULT_BUDGET_PER_MINUTE / 8;
/// Requests within the first minute if all nodes of a small fleet are checked whole: 300 nodes with an image.
pub(super) const WHOLE_BUDGET: u32 = Schedule::DEFAULT_BUDGET_PER_MINUTE * 3 / 5;
/// The largest sample that is chosen automatically.
const LARGEST_SAMPLE: usize = 500;
/// Share of the timeout in which a sample that is chosen automatically is checked; the rest is for retries.
const SHARE_OF_TIMEOUT: u32 = 2;
/// Share of the rest of the time in which nodes without any proof are checked whole, before the deadline.
const SHARE_OF_REST: (u32, u32) = (4, 5);
/// Interval between two requests for a report, which cost the registry nothing: 6,000 in 36 s.
const BETWEEN_REPORTS: Duration = Duration::from_millis(6);
/// Interval between the first requests: 100 checks per second, so a thousand agents are queried within ten seconds.
const FIRST_SPACING: Duration = Duration::from_millis(10);
/// Number of requests at that interval, if all nodes are checked whole regardless of their number. A Premium registry documents
/// 10,000 reads per minute and identity, and a check of an image makes five: 5,000 for a thousand checks, which leaves enough for
/// the agents' own.
const FIRST_REQUESTS: usize = 1_000;
/// Interval between the remaining requests of the first minute, which are retries.
const LULL_SPACING: Duration = Duration::from_millis(250);
/// Number of requests at that interval.
const LULL_REQUESTS: usize = 200;
/// The same for a fleet whose first requests take longer than a minute: its own checks leave no room for more.
const LARGE_LULL_SPACING: Duration = Duration::from_secs(2);
const LARGE_LULL_REQUESTS: usize = 25;
/// Interval between later requests: a thousand per minute.
const SPACING: Duration = Duration::from_millis(60);

/// How many nodes a smoke check checks whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleSize {
    /// All nodes of a fleet that is small enough, otherwise a sample that fits the timeout.
    Auto,
    /// All nodes, whatever their number.
    All,
    /// At most this many nodes.
    AtMost(usize),
}

/// Returns the interval to the next check after this number of checks of a fleet of this many nodes, if all are checked whole.
#[must_use]
pub const fn spacing(checks: usize, nodes: usize) -> Duration {
    let (lull, lull_requests) = if nodes > FIRST_REQUESTS {
        (LARGE_LULL_SPACING, LARGE_LULL_REQUESTS)
    } else {
        (LULL_SPACING, LULL_REQUESTS)
    };
    if checks < FIRST_REQUESTS {
        FIRST_SPACING
    } else if checks < FIRST_REQUESTS + lull_requests {
        lull
    } else {
        SPACING
    }
}

/// Returns the interval between two checks of a sample, for this many requests of a check to the registry that gets the most.
#[must_use]
pub fn sample_spacing(requests: u32) -> Duration {
    MINUTE * requests.max(1) / SAMPLE_BUDGET
}

/// Returns the size of an automatic sample; `None` if all nodes are checked whole.
#[must_use]
pub fn automatic_sample(nodes: usize, placements: usize, requests: u32, timeout: Duration) -> Option<usize> {
    let all = u32::try_from(nodes).unwrap_or(u32::MAX).saturating_mul(requests.max(1));
    if all <= WHOLE_BUDGET {
        return None;
    }
    let checks =
        timeout.as_millis() / u128::from(SHARE_OF_TIMEOUT) / sample_spacing(requests).as_millis().max(1);
    let fitting = usize::try_from(checks).unwrap_or(LARGEST_SAMPLE).min(LARGEST_SAMPLE);
    Some(fitting.max(placements))
}

/// How many nodes are checked whole, once that is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// All, whatever their number.
    All,
    /// All nodes of a small fleet.
    Small,
    /// A sample.
    Sample,
}

/// What a request to an agent costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Triggers a check, which sends requests to the registry.
    Checks,
    /// Only reads a report.
    Reports,
}

/// When the next request to an agent may be sent.
#[derive(Debug)]
pub(super) struct Pacer {
    pub(super) scope: Scope,
    /// Requests of a check to the registry that gets the most, as far as reports show it.
    requests: Option<u32>,
    started: Instant,
    /// Number of checks triggered.
    checks: usize,
    next_check: Instant,
    next_report: Instant,
    /// The interval between two checks of a sample that the deadline requires, if shorter than its own.
    hurry: Option<Duration>,
}

impl Pacer {
    pub(super) fn new(scope: Scope, now: Instant) -> Self {
        Self {
            scope,
            requests: None,
            started: now,
            checks: 0,
            next_check: now,
            next_report: now,
            hurry: None,
        }
    }

    /// A report shows the requests of a check.
    pub(super) fn learn(&mut self, requests: u32) {
        self.requests = self.requests.max(Some(requests).filter(|&requests| requests > 0));
    }

    /// Returns whether a report has shown the requests of a check.
    pub(super) const fn is_known(&self) -> bool {
        self.requests.is_some()
    }

    /// Returns the requests of a check: those of an image, until a report shows more.
    pub(super) fn requests(&self) -> u32 {
        self.requests.unwrap_or(REQUESTS_PER_IMAGE)
    }

    /// Returns the earliest time of the next request.
    pub(super) const fn next(&self, lane: Lane) -> Instant {
        match lane {
            Lane::Checks => self.next_check,
            Lane::Reports => self.next_report,
        }
    }

    /// A request is sent to an agent of a fleet of this many nodes.
    pub(super) fn sent(&mut self, lane: Lane, nodes: usize, now: Instant) {
        match lane {
            Lane::Reports => self.next_report = now + BETWEEN_REPORTS,
            Lane::Checks => {
                self.next_check = now + self.spacing(nodes, now);
                self.checks += 1;
            }
        }
    }

    /// The check requested at this time has not started, so the registry got no request.
    pub(super) fn was_free(&mut self, asked: Instant, now: Instant) {
        self.checks = self.checks.saturating_sub(1);
        // Only before the next check may start: otherwise another one has already used the time.
        if self.scope == Scope::Sample && now < asked + sample_spacing(self.requests()) {
            self.next_check = self.next_check.min(now);
        }
    }

    /// This many nodes need a whole check within this time. Returns whether a faster pace than a sample's makes that possible.
    pub(super) fn hurry(&mut self, checks: usize, left: Duration, now: Instant) -> bool {
        let Some(checks) = u32::try_from(checks).ok().filter(|&checks| checks > 0) else {
            self.hurry = None;
            return false;
        };
        let needed = left * SHARE_OF_REST.0 / SHARE_OF_REST.1 / checks;
        // If not even the fastest pace suffices, a faster one would only cost the registry more.
        let is_faster = needed < sample_spacing(self.requests()) && needed >= SPACING;
        self.hurry = is_faster.then_some(needed);
        if is_faster {
            self.next_check = self.next_check.min(now + needed);
        }
        is_faster
    }

    fn spacing(&self, nodes: usize, now: Instant) -> Duration {
        let requests = self.requests();
        match self.scope {
            Scope::All => spacing(self.checks, nodes),
            Scope::Sample => self.hurry.unwrap_or_else(|| sample_spacing(requests)),
            Scope::Small => {
                let sent = u32::try_from(self.checks + 1).unwrap_or(u32::MAX).saturating_mul(requests);
                if sent < WHOLE_BUDGET {
                    FIRST_SPACING
                } else if now < self.started + MINUTE {
                    2 * sample_spacing(requests)
                } else {
                    MINUTE * requests / WHOLE_BUDGET
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lane, Pacer, SAMPLE_BUDGET, Scope, automatic_sample, sample_spacing};
    use crate::config::Schedule;
    use crate::schedule::{Pace, REQUESTS_PER_IMAGE, first_delay, next_delay};
    use proptest::prelude::*;
    use std::time::Duration;
    use tokio::time::Instant;

    /// A fifth of the reads a minute that Azure documents for a Premium registry.
    const FIFTH: f64 = 4_000.0;
    /// Reads among the eight requests of a check: the tag twice, index, manifest, redirect and blob.
    const READS: f64 = 6.0 / 8.0;
    /// The most checks in a minute, compared with the average, of the simulated day of 6,000 nodes.
    const PEAK: f64 = 1.17;

    /// Returns when this many checks are sent, the answers of every `free`th of them being free.
    fn sent(pacer: &mut Pacer, start: Instant, checks: usize, nodes: usize, free: usize) -> Vec<f64> {
        let mut costly = Vec::new();
        let mut number = 0;
        while costly.len() < checks {
            let at = pacer.next(Lane::Checks).max(start);
            pacer.sent(Lane::Checks, nodes, at);
            number += 1;
            if number % free == 0 {
                pacer.was_free(at, at + Duration::from_millis(1));
            } else {
                costly.push((at - start).as_secs_f64());
            }
        }
        costly
    }

    /// Returns the most checks in any minute.
    fn most_in_a_minute(sent: &[f64]) -> usize {
        let within = |from: f64| sent.iter().filter(|&&at| at >= from && at < from + 60.0).count();
        sent.iter().map(|&at| within(at)).max().unwrap_or_default()
    }

    #[test]
    fn a_sample_fits_the_timeout_and_represents_every_placement() {
        let sample = |nodes, placements, images, seconds| {
            automatic_sample(nodes, placements, images * REQUESTS_PER_IMAGE, Duration::from_secs(seconds))
        };
        assert_eq!(sample(300, 12, 1, 120), None, "all nodes of a small fleet");
        assert_eq!(sample(100, 12, 3, 120), None);
        assert_eq!(sample(101, 12, 3, 120), Some(20), "three images");
        assert_eq!(sample(6_000, 12, 1, 120), Some(62));
        assert_eq!(sample(6_000, 12, 1, 180), Some(93));
        assert_eq!(sample(6_000, 100, 1, 120), Some(100));
        assert_eq!(sample(6_000, 12, 1, 3_600), Some(500));
    }

    #[test]
    fn a_free_answer_costs_no_time() {
        let start = Instant::now();
        let mut pacer = Pacer::new(Scope::Sample, start);
        for _ in 0..1_000 {
            let at = pacer.next(Lane::Checks);
            pacer.sent(Lane::Checks, 6_000, at);
            pacer.was_free(at, at + Duration::from_millis(1));
        }
        assert_eq!(pacer.next(Lane::Checks) - start, Duration::from_secs(1));
        let at = pacer.next(Lane::Checks);
        pacer.sent(Lane::Checks, 6_000, at);
        let next = pacer.next(Lane::Checks);
        pacer.sent(Lane::Checks, 6_000, next);
        // It has had its time already.
        pacer.was_free(at, next + Duration::from_millis(1));
        assert_eq!(pacer.next(Lane::Checks), next + sample_spacing(REQUESTS_PER_IMAGE));
    }

    /// A fleet whose agents all started at once, over two hours, with a smoke check in every minute of them.
    #[test]
    fn a_smoke_check_of_6000_nodes_stays_under_a_fifth_of_the_reads_in_every_minute() {
        const NODES: u32 = 6_000;
        let schedule = Schedule { fleet_size: Some(NODES), ..Schedule::default() };
        let Pace { interval, jitter, .. } = Pace::of(&schedule, REQUESTS_PER_IMAGE);
        let mut checks = [0_usize; 120];
        for node in 0..NODES {
            let mut at = first_delay(&format!("aks-np1-12345678-vmss{node:06}"), interval, jitter);
            let mut round = 0_u32;
            while let Some(count) =
                usize::try_from(at.as_secs() / 60).ok().and_then(|minute| checks.get_mut(minute))
            {
                *count += 1;
                round += 1;
                let chance = node.wrapping_mul(2_654_435_761).rotate_left(round * 7);
                at += next_delay(interval, jitter, f64::from(chance) / f64::from(u32::MAX), 0, None);
            }
        }
        let most = checks.iter().max().copied().unwrap_or_default();
        assert!(most as f64 <= 500.0 * PEAK, "{most} regular checks in a minute, 500 on average");
        let start = Instant::now();
        let mut pacer = Pacer::new(Scope::Sample, start);
        let sample = most_in_a_minute(&sent(&mut pacer, start, 500, 6_000, usize::MAX));
        let reads = (most + sample) as f64 * f64::from(REQUESTS_PER_IMAGE) * READS;
        assert!(reads <= FIFTH, "{reads} reads: {most} regular checks and {sample} of the sample");
    }

    #[test]
    fn only_a_deadline_that_can_be_met_makes_a_sample_faster() {
        let start = Instant::now();
        let mut pacer = Pacer::new(Scope::Sample, start);
        for (checks, left, spacing) in [(10, 90, 960), (1_000, 90, 72), (6_000, 90, 960), (0, 1, 960)] {
            let is_faster = pacer.hurry(checks, Duration::from_secs(left), start);
            assert_eq!(is_faster, spacing < 960, "{checks}");
            let at = pacer.next(Lane::Checks);
            pacer.sent(Lane::Checks, 6_000, at);
            assert_eq!(pacer.next(Lane::Checks) - at, Duration::from_millis(spacing), "{checks}");
        }
    }

    proptest! {
        /// The reads of regular checks and of a smoke check together.
        #[test]
        fn regular_checks_and_a_smoke_check_stay_under_a_fifth_of_the_reads(
            nodes in 1_u32..20_000, images in 1_u32..9, seconds in 60_u64..1_200, free in 2_usize..9,
        ) {
            let requests = images * REQUESTS_PER_IMAGE;
            let schedule = Schedule { fleet_size: Some(nodes), ..Schedule::default() };
            let interval = Pace::of(&schedule, requests).interval;
            let regular = f64::from(nodes) * 60.0 / interval.as_secs_f64() * f64::from(requests);
            let count = usize::try_from(nodes).expect("a count");
            let sample = automatic_sample(count, 12.min(count), requests, Duration::from_secs(seconds));
            let start = Instant::now();
            let scope = if sample.is_some() { Scope::Sample } else { Scope::Small };
            let mut pacer = Pacer::new(scope, start);
            pacer.learn(requests);
            // Twice as many, as if each were retried.
            let checks = sent(&mut pacer, start, 2 * sample.unwrap_or(count).min(300), count, free);
            let smoke = most_in_a_minute(&checks) as f64 * f64::from(requests);
            if sample.is_some() {
                prop_assert!(smoke <= f64::from(SAMPLE_BUDGET + requests), "{smoke} requests");
            }
            // A small fleet checks every minute: its regular checks hardly vary.
            let peak = if sample.is_some() { PEAK } else { 1.0 };
            let reads = (regular * peak + smoke) * READS;
            prop_assert!(reads <= FIFTH, "{reads} reads a minute, {smoke} requests of the smoke check");
        }

        #[test]
        fn checks_of_a_sample_are_never_closer_than_their_spacing(
            images in 1_u32..9, free in 2_usize..9,
        ) {
            let start = Instant::now();
            let mut pacer = Pacer::new(Scope::Sample, start);
            pacer.learn(images * REQUESTS_PER_IMAGE);
            let sent = sent(&mut pacer, start, 100, 6_000, free);
            let spacing = sample_spacing(images * REQUESTS_PER_IMAGE).as_secs_f64();
            prop_assert!(sent.windows(2).all(|pair| pair[1] - pair[0] >= spacing - 1e-6));
        }
    }
}
