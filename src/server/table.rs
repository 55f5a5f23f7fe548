//! The connections that are open, at most so many.
//!
//! Owns who has to go when there is no place: the oldest that does not wait for a check. A crowd of idle connections
//! then only ever closes itself, and a probe of the kubelet always gets in.

use std::collections::BTreeMap;
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
#[derive(Default)]
pub(super) struct Slot {
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
    pub(super) fn enter(self: &Arc<Self>) -> Option<Place> {
        let mut open = self.open();
        if open.slots.len() >= self.limit {
            let idle = open.slots.iter().find(|(_, slot)| !slot.waits.load(Ordering::Relaxed));
            let number = *idle?.0;
            if let Some(slot) = open.slots.remove(&number) {
                slot.evicted.notify_one();
            }
        }
        open.newest += 1;
        let number = open.newest;
        let slot = Arc::new(Slot::default());
        open.slots.insert(number, Arc::clone(&slot));
        drop(open);
        Some(Place { table: Arc::clone(self), number, slot })
    }

    /// The lock is never held while anything could panic; if it were, the list would still be whole.
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    pub(super) fn slot(&self) -> Arc<Slot> {
        Arc::clone(&self.slot)
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

    /// Says whether the connection waits for a check, so that it is not the one to go.
    pub(super) fn set_waits(&self, waits: bool) {
        self.waits.store(waits, Ordering::Relaxed);
    }
}
