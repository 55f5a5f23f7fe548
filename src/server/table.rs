//! The connections that are open, at most so many.
//!
//! Owns who has to go when there is no place: of the address with the most connections that wait for no check, the
//! oldest of them. A crowd then only ever closes itself, and a probe of the kubelet gets in and stays for its answer.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The places.
pub(super) struct Table {
    limit: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    /// The number of the newest.
    newest: u64,
    /// By number, so the oldest first.
    slots: BTreeMap<u64, Arc<Slot>>,
}

/// What a connection and the table know of each other.
pub(super) struct Slot {
    peer: IpAddr,
    waits: AtomicBool,
    evicted: Notify,
}

/// A connection's place, given back when it is dropped.
pub(super) struct Place {
    table: Arc<Table>,
    number: u64,
    slot: Arc<Slot>,
}

impl Table {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, open: Mutex::default() }
    }

    /// A place for one more connection; none where all others wait for a check.
    pub(super) fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let mut open = self.open();
        if open.slots.len() >= self.limit {
            let number = open.dispensable()?;
            if let Some(slot) = open.slots.remove(&number) {
                slot.evicted.notify_one();
            }
        }
        open.newest += 1;
        let number = open.newest;
        let slot = Arc::new(Slot { peer, waits: AtomicBool::new(false), evicted: Notify::new() });
        open.slots.insert(number, Arc::clone(&slot));
        drop(open);
        Some(Place { table: Arc::clone(self), number, slot })
    }

    /// The lock is never held while anything could panic; if it were, the list would still be whole.
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// The one that goes first; none where all wait for a check.
    fn dispensable(&self) -> Option<u64> {
        let mut crowds: BTreeMap<IpAddr, (usize, Reverse<u64>)> = BTreeMap::new();
        for (&number, slot) in &self.slots {
            if !slot.waits.load(Ordering::Relaxed) {
                crowds.entry(slot.peer).or_insert((0, Reverse(number))).0 += 1;
            }
        }
        crowds.into_values().max().map(|(_, Reverse(oldest))| oldest)
    }
}

impl Place {
    pub(super) fn slot(&self) -> Arc<Slot> {
        Arc::clone(&self.slot)
    }

    /// Whether so many are there that nobody's leaving can be waited for.
    pub(super) fn is_crowded(&self) -> bool {
        self.table.open().slots.len() > self.table.limit / 2
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.table.open().slots.remove(&self.number);
    }
}

impl Slot {
    /// Over once the connection has to go.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    /// Whose connection it is.
    pub(super) const fn peer(&self) -> IpAddr {
        self.peer
    }

    /// Says whether the connection waits for a check, so that it is not the one to go.
    pub(super) fn set_waits(&self, waits: bool) {
        self.waits.store(waits, Ordering::Relaxed);
    }
}
