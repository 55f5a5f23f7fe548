//! Random faults that come and go, with a record of when.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use fastrand::Rng;
use jiff::Timestamp;

use crate::faults::{self, Fault};
use lab::Lab;
use lab::settings::Settings;
use support::api_server::{ApiServer, Mood};

/// Duration of a fault and of a healthy period, in milliseconds.
const STAYS: std::ops::Range<u64> = 30..400;
/// Every so many faults, one lasts longer than a round, so that all its checks meet only that fault.
const LONG_EVERY: usize = 20;
const LONG_STAYS: std::ops::Range<u64> = 2_000..4_000;
/// The same for the API server, where a rejection makes an agent wait for seconds.
const SINK_STAYS: std::ops::Range<u64> = 2_000..20_000;

/// A state of the registry, with the times from which some connections meet it and from which all do.
struct State {
    first: Timestamp,
    all: Timestamp,
    fault: Option<usize>,
}

/// Faults that come and go.
pub(crate) struct Weather<'lab> {
    lab: &'lab Lab,
    server: &'lab ApiServer,
    rng: Rng,
    healthy: Settings,
    /// All faults.
    pub(crate) faults: Vec<Fault>,
    /// Number of faults that came.
    pub(crate) broken: usize,
    /// Number of times that the API server misbehaved.
    pub(crate) refused: usize,
    states: Vec<State>,
    until: Instant,
    sink_until: Instant,
}

impl<'lab> Weather<'lab> {
    /// Starts healthy.
    pub(crate) fn new(lab: &'lab Lab, server: &'lab ApiServer, seed: u64) -> Self {
        let mut healthy = Settings::default();
        lab.change(|settings| healthy = settings.clone());
        let (now, first) = (Instant::now(), Timestamp::MIN);
        Self {
            lab,
            server,
            rng: Rng::with_seed(seed),
            healthy,
            faults: faults::all(),
            broken: 0,
            refused: 0,
            states: vec![State { first, all: first, fault: None }],
            until: now,
            sink_until: now,
        }
    }

    /// Applies due changes.
    pub(crate) fn go_on(&mut self) {
        let now = Instant::now();
        if now >= self.until {
            let is_broken = self.states.last().is_some_and(|state| state.fault.is_none());
            self.broken += usize::from(is_broken);
            let is_long = is_broken && self.broken.is_multiple_of(LONG_EVERY);
            let stays = self.rng.u64(if is_long { LONG_STAYS } else { STAYS });
            let fault = is_broken.then(|| self.rng.usize(..self.faults.len()));
            self.become_like(fault);
            self.lab.forget();
            self.until = now + Duration::from_millis(stays);
        }
        if now >= self.sink_until {
            self.sink_until = now + Duration::from_millis(self.rng.u64(SINK_STAYS));
            let mood = match self.rng.u8(0..10) {
                0 => Mood::Slow(300),
                1 => Mood::Refusing(500),
                2 => Mood::Refusing(429),
                3 => Mood::Forgetful,
                _ => Mood::Well,
            };
            self.refused += usize::from(mood != Mood::Well);
            self.server.become_like(mood);
        }
    }

    /// Removes all faults.
    pub(crate) fn clear(&mut self) {
        self.become_like(None);
        self.server.become_like(Mood::Well);
    }

    /// Applies the fault, and returns when the whole lab has the new settings.
    fn become_like(&mut self, fault: Option<usize>) {
        let first = Timestamp::now();
        self.lab.change(|settings| {
            *settings = self.healthy.clone();
            if let Some(fault) = fault {
                self.faults[fault].apply(settings);
            }
        });
        self.states.push(State { first, all: Timestamp::now(), fault });
    }

    /// Returns the states that a check in this period may have met: faults by index, and `None` for healthy.
    pub(crate) fn between(&self, from: Timestamp, until: Timestamp) -> BTreeSet<Option<usize>> {
        let begun = self.states.partition_point(|state| state.first <= until);
        // The last state that all connections had met at the start, and all later ones.
        let since = self.states.partition_point(|state| state.all <= from).saturating_sub(1);
        self.states[since..begun].iter().map(|state| state.fault).collect()
    }
}
