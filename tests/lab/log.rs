//! The lab's log: queries, connections, requests, and issued secrets.
//!
//! Owns the records and their limit; tests assert on them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

use super::answers::Step;

/// Far above any test; later entries are dropped to bound memory.
const MOST_ENTRIES: usize = 100_000;

/// The listener that accepted a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Listener {
    Login,
    /// The data endpoint of any region, and the storage behind it.
    Data,
    /// One of the decoys, by its index in the settings.
    Decoy(usize),
    /// The node's metadata service.
    Imds,
    /// Entra ID, under the name of every cloud.
    Entra,
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
    /// The nameserver's index in the settings.
    pub nameserver: usize,
    pub protocol: Protocol,
    /// The name as queried, with the final dot.
    pub name: String,
    /// `A`, `AAAA`, …
    pub kind: String,
}

/// One accepted TCP connection.
#[derive(Clone, Debug)]
pub struct Connection {
    pub listener: Listener,
    /// The server name in TLS; `None` before the handshake is complete.
    pub server_name: Option<String>,
    /// `TLSv1_2` or `TLSv1_3`; `None` before the handshake is complete.
    pub tls_version: Option<String>,
}

/// One HTTP request, with the status of its response.
#[derive(Clone, Debug)]
pub struct Request {
    pub listener: Listener,
    /// `None` for a path of no step.
    pub step: Option<Step>,
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: Vec<(String, String)>,
    /// The fields of a form in the body, in their order.
    pub form: Vec<(String, String)>,
    pub server_name: Option<String>,
    /// The connection's index in the lab's list.
    pub connection: usize,
    /// The status of the response, even if the delivery withheld it.
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

    /// The first value of a form field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
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
    /// Appends and returns the index.
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
        // A panic in another test does not affect the list.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything that was received and issued.
#[derive(Debug, Default)]
pub struct Log {
    pub queries: Entries<Query>,
    pub connections: Entries<Connection>,
    pub requests: Entries<Request>,
    /// Tokens and signed values, for tests that search outputs for secrets.
    pub secrets: Entries<String>,
}

impl Log {
    /// Remembers a password as a secret, and the pair in every base64 of a `Basic` authorization.
    pub fn remember_pair(&self, username: &str, password: &str) {
        for text in [format!("{username}:{password}"), password.to_owned()] {
            for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
                self.secrets.push(engine.encode(&text));
            }
            self.secrets.push(text);
        }
    }
}
