//! The state shared by all parts of a running lab.
//!
//! Owns the current settings with their version, and the acknowledgement of each listener. `mod.rs` owns the lifecycle.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::answers::{Canned, Step};
use super::certificates::Certificates;
use super::content::Content;
use super::identity_tokens::IdentityServices;
use super::links::Links;
use super::log::Log;
use super::settings::{Place, Settings};
use super::tokens::TokenService;

/// Opening a socket takes milliseconds; longer means that a listener died.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Settings with the number of the change.
#[derive(Debug)]
pub struct Numbered {
    pub number: u64,
    pub settings: Settings,
}

/// The parts of a lab that its listeners read.
pub struct Shared {
    /// As configured at the start, with the selected port.
    pub place: Place,
    pub port: u16,
    pub certificates: Certificates,
    pub tokens: TokenService,
    pub identity: IdentityServices,
    pub content: Content,
    pub links: Links,
    pub log: Log,
    /// The number of requests of each step since the change with this number.
    counted: Mutex<(u64, HashMap<Step, usize>)>,
    current: watch::Sender<Arc<Numbered>>,
    /// For each listener, the number of the settings it has applied.
    taken_up: Mutex<Vec<Option<u64>>>,
    moved: Condvar,
}

impl Shared {
    pub fn new(settings: Settings, port: u16, identity: IdentityServices, seats: usize) -> Self {
        Self {
            port,
            identity,
            certificates: Certificates::new(&settings.place),
            tokens: TokenService::new(settings.place.key_hint),
            content: Content::new(),
            links: Links::default(),
            log: Log::default(),
            counted: Mutex::default(),
            place: settings.place.clone(),
            current: watch::Sender::new(Arc::new(Numbered { number: 0, settings })),
            taken_up: Mutex::new(vec![None; seats]),
            moved: Condvar::new(),
        }
    }

    pub fn settings(&self) -> Arc<Numbered> {
        Arc::clone(&self.current.borrow())
    }

    pub fn changes(&self) -> watch::Receiver<Arc<Numbered>> {
        self.current.subscribe()
    }

    /// Changes the settings and returns the number of the change.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) -> u64 {
        let mut number = 0;
        self.current.send_modify(|current| {
            let mut settings = current.settings.clone();
            change(&mut settings);
            number = current.number + 1;
            *current = Arc::new(Numbered { number, settings });
        });
        number
    }

    pub fn acknowledge(&self, seat: usize, number: u64) {
        self.taken_up.lock().unwrap_or_else(PoisonError::into_inner)[seat] = Some(number);
        self.moved.notify_all();
    }

    /// Blocks until every listener has applied the settings with this number.
    pub fn wait_for(&self, number: u64) -> Result<(), &'static str> {
        let seats = self.taken_up.lock().unwrap_or_else(PoisonError::into_inner);
        let behind = |seats: &mut Vec<Option<u64>>| seats.iter().any(|seat| *seat < Some(number));
        let waited = self
            .moved
            .wait_timeout_while(seats, LONGEST_WAIT, behind)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.1.timed_out() { Err("a listener of the lab did not take up the settings") } else { Ok(()) }
    }

    /// The answer that a step gives before its own, if this request is among the first.
    pub fn first_answer(&self, current: &Numbered, step: Step) -> Option<Canned> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.0 != current.number {
            *counted = (current.number, HashMap::new());
        }
        let number = counted.1.entry(step).or_default();
        *number += 1;
        current.settings.first(step).get(*number - 1).cloned()
    }

    /// A host with the lab's port, unless it is the default.
    pub fn authority(&self, host: &str) -> String {
        match self.port {
            443 => host.to_owned(),
            port => format!("{host}:{port}"),
        }
    }
}
