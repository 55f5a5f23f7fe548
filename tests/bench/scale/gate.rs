//! The smoke check of the fleet: checks a sample whole, and waits for the path checks of all other nodes.
//!
//! The program decides how large the sample is and how fast it is checked, and each agent when it responds. Which nodes are in the
//! sample does not matter here.

use std::time::Duration;

use acr_verifier::schedule::requests_of_a_round;
use acr_verifier::smoke;

use crate::day;
use crate::fleet::Fleet;
use crate::queue::Happening;

/// Pools, zones and subnets that the sample covers.
const PLACEMENTS: usize = 12;
/// The default of `--timeout`.
const TIMEOUT: Duration = Duration::from_secs(120);

/// What the smoke check waits for at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    Nothing,
    /// The check that it triggered.
    Asked,
    /// A check of any kind since its start.
    Path,
}

impl Fleet<'_> {
    /// Queues the checks that the smoke check triggers.
    pub(crate) fn plan_smoke_check(&mut self) {
        let nodes = self.nodes.len();
        let requests = requests_of_a_round(&self.configured);
        let sample = smoke::automatic_sample(nodes, PLACEMENTS, requests, TIMEOUT);
        let mut at = Duration::from_secs_f64(day::SMOKE);
        let every = sample.map_or(1, |sample| nodes.div_ceil(sample));
        for number in 0..nodes {
            if !number.is_multiple_of(every) {
                self.nodes[number].awaited = Awaited::Path;
                continue;
            }
            self.queue.push(at, Happening::Demand(number));
            at += if sample.is_some() {
                smoke::sample_spacing(requests)
            } else {
                smoke::spacing(number, nodes)
            };
        }
    }

    /// Records a whole check that the smoke check may wait for.
    pub(crate) fn note_whole(&mut self, number: usize, has_passed: bool, (begun, now): (Duration, Duration)) {
        let is_awaited = match self.nodes[number].awaited {
            Awaited::Nothing => false,
            Awaited::Asked => true,
            Awaited::Path => begun.as_secs_f64() >= day::SMOKE,
        };
        if is_awaited && has_passed {
            self.pass(number, now);
        }
    }

    /// Records a path check that found every path open, on a node whose last check passed.
    pub(crate) fn note_open_path(&mut self, number: usize, (begun, now): (Duration, Duration)) {
        if self.nodes[number].awaited == Awaited::Path && begun.as_secs_f64() >= day::SMOKE {
            self.pass(number, now);
        }
    }

    fn pass(&mut self, number: usize, now: Duration) {
        self.nodes[number].awaited = Awaited::Nothing;
        self.passed += 1;
        if self.passed == self.nodes.len() {
            self.day.smoke = Some(now.as_secs_f64() - day::SMOKE);
        }
    }

    /// The smoke check triggers a check on a node.
    pub(crate) fn demand(&mut self, number: usize, now: Duration) {
        let node = &mut self.nodes[number];
        let since = now.saturating_sub(node.started);
        if node.running.is_some() {
            // Only a check that starts from now on counts.
            self.queue.push(now + Duration::from_secs(1), Happening::Demand(number));
            return;
        }
        match node.timetable.on_demand(since) {
            Ok(at) if at <= since => {
                node.awaited = Awaited::Asked;
                self.begin(number, now);
            }
            Ok(at) => self.queue.push(now + at.saturating_sub(since), Happening::Demand(number)),
            Err(postponed) => self.queue.push(now + postponed.retry_after, Happening::Demand(number)),
        }
    }
}
