//! The table of open connections, limited in size.
//!
//! Owns which connection is evicted from a full table: the oldest of the address with the most connections that are not
//! waiting for a check. A crowd then only evicts itself, and a kubelet probe gets in and receives its response. tower's limits
//! would let the probe wait for the crowd instead.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The connection table.
pub(super) struct Connections {
    limit: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    /// The number of the newest connection.
    newest: u64,
    /// By number, therefore oldest first.
    slots: BTreeMap<u64, Arc<Slot>>,
}

/// State shared between a connection and the table.
pub(super) struct Slot {
    peer: IpAddr,
    waits: AtomicBool,
    evicted: Notify,
}

/// An entry of the table, removed on drop.
pub(super) struct Entered {
    table: Arc<Connections>,
    number: u64,
    slot: Arc<Slot>,
}

impl Connections {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, open: Mutex::default() }
    }

    /// Adds a connection; returns `None` if all others are waiting for a check.
    pub(super) fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Entered> {
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
        Some(Entered { table: Arc::clone(self), number, slot })
    }

    /// Nothing panics while the lock is held; even then the list would be consistent.
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Returns the connection to evict; `None` if all are waiting for a check.
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

impl Entered {
    pub(super) fn slot(&self) -> Arc<Slot> {
        Arc::clone(&self.slot)
    }

    /// Whether more than half of the table is in use, so closing connections must not linger.
    pub(super) fn is_crowded(&self) -> bool {
        self.table.open().slots.len() > self.table.limit / 2
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.table.open().slots.remove(&self.number);
    }
}

impl Slot {
    /// Completes once the connection is evicted.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    /// The address of the peer.
    pub(super) const fn peer(&self) -> IpAddr {
        self.peer
    }

    /// Marks the connection as waiting for a check, which protects it from eviction.
    pub(super) fn set_waits(&self, waits: bool) {
        self.waits.store(waits, Ordering::Relaxed);
    }
}
