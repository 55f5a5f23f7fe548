//! What the lab saw: queries, connections, requests; and the secrets that it gave out.
//!
//! Owns the records and their bound. Leaves alone all judgement: tests assert on what they read here.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::answers::Step;

/// A test that asks more often than this has run away; later entries are dropped rather than memory.
const MOST_ENTRIES: usize = 100_000;

/// Which listener took a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Listener {
    Login,
    /// The data endpoint, in whichever region, and the storage behind it.
    Data,
    /// One of the decoys, by its place in the settings.
    Decoy(usize),
}

/// UDP or TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Udp,
    Tcp,
}

/// One DNS query.
#[derive(Clone, Debug)]
pub struct Query {
    /// The nameserver's place in the settings.
    pub nameserver: usize,
    pub protocol: Protocol,
    /// As it was asked, with the closing dot.
    pub name: String,
    /// `A`, `AAAA`, …
    pub kind: String,
}

/// One accepted TCP connection.
#[derive(Clone, Debug)]
pub struct Connection {
    pub listener: Listener,
    /// The name that the client asked for in TLS; none before the handshake is done.
    pub server_name: Option<String>,
    /// `TLSv1_2` or `TLSv1_3`; none before the handshake is done.
    pub tls_version: Option<String>,
}

/// One HTTP request, with what it was answered.
#[derive(Clone, Debug)]
pub struct Request {
    pub listener: Listener,
    /// None for a path that belongs to no step.
    pub step: Option<Step>,
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub server_name: Option<String>,
    /// The connection's place in the lab's list.
    pub connection: usize,
    /// The status of the answer, also of one that a delivery then kept back.
    pub status: u16,
    pub correlation_id: Option<String>,
}

impl Request {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// A growing, bounded list behind a lock.
#[derive(Debug)]
pub struct Entries<T>(Mutex<Vec<T>>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Mutex::new(Vec::new()))
    }
}

impl<T: Clone> Entries<T> {
    /// Appends and tells the place.
    pub fn push(&self, entry: T) -> usize {
        let mut entries = self.lock();
        if entries.len() < MOST_ENTRIES {
            entries.push(entry);
        }
        entries.len() - 1
    }

    pub fn update(&self, place: usize, change: impl FnOnce(&mut T)) {
        if let Some(entry) = self.lock().get_mut(place) {
            change(entry);
        }
    }

    pub fn all(&self) -> Vec<T> {
        self.lock().clone()
    }

    pub fn any(&self, wanted: impl FnMut(&T) -> bool) -> bool {
        self.lock().iter().any(wanted)
    }

    pub fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        // A test that panicked elsewhere does not spoil the list.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything that was seen and given out.
#[derive(Debug, Default)]
pub struct Log {
    pub queries: Entries<Query>,
    pub connections: Entries<Connection>,
    pub requests: Entries<Request>,
    /// Tokens and signed values, for tests that search outputs for them.
    pub secrets: Entries<String>,
}
