//! Callers waiting for a check, limited in total and per address.
//!
//! Each of them holds a connection and a response. Without the limit per address, one client that posts on many
//! connections would keep all others from waiting.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The waiting callers per address.
#[derive(Clone)]
pub(super) struct Waiting {
    limit: usize,
    limit_of_one: usize,
    places: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
}

/// A caller's slot, freed on drop.
pub(super) struct Waiter {
    waiting: Waiting,
    peer: IpAddr,
}

impl Waiting {
    pub(super) fn new(limit: usize, limit_of_one: usize) -> Self {
        Self { limit, limit_of_one, places: Arc::default() }
    }

    /// Reserves a slot; returns `None` if the limit in total or for this address is reached.
    pub(super) fn enter(&self, peer: IpAddr) -> Option<Waiter> {
        let mut places = self.places();
        let all: usize = places.values().sum();
        if all >= self.limit || places.get(&peer).is_some_and(|own| *own >= self.limit_of_one) {
            return None;
        }
        *places.entry(peer).or_default() += 1;
        drop(places);
        Some(Waiter { waiting: self.clone(), peer })
    }

    /// Nothing panics while the lock is held; even then the counts would be correct.
    fn places(&self) -> MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut places = self.waiting.places();
        let left = places.get(&self.peer).map_or(0, |own| own.saturating_sub(1));
        if left == 0 {
            places.remove(&self.peer);
        } else {
            places.insert(self.peer, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Waiting;
    use std::net::IpAddr;

    #[test]
    fn one_address_cannot_take_every_slot() {
        let waiting = Waiting::new(4, 3);
        let [one, other] = [IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2])];
        let mut crowd: Vec<_> = (0..10).filter_map(|_| waiting.enter(one)).collect();
        assert_eq!(crowd.len(), 3);
        let single = waiting.enter(other);
        assert!(single.is_some(), "another address still gets a slot");
        assert!(waiting.enter(other).is_none(), "the limit of four is reached");
        crowd.pop();
        assert!(waiting.enter(other).is_some(), "a released slot can be reused");
    }
}
