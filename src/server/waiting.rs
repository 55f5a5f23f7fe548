//! Who waits for a check: at most so many, and at most so many of one address.
//!
//! Each of them holds a connection and an answer; without the second bound one client that posts on many connections would
//! keep everyone else from ever waiting.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The places.
#[derive(Clone)]
pub(super) struct Waiting {
    limit: usize,
    limit_of_one: usize,
    places: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
}

/// A caller's place, given back when it is dropped.
pub(super) struct Waiter {
    waiting: Waiting,
    peer: IpAddr,
}

impl Waiting {
    pub(super) fn new(limit: usize, limit_of_one: usize) -> Self {
        Self { limit, limit_of_one, places: Arc::default() }
    }

    /// A place for one more caller; none where all are taken, or all that one address may have.
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

    /// The lock is never held while anything could panic; if it were, the numbers would still be right.
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
    fn one_address_never_takes_every_place() {
        let waiting = Waiting::new(4, 3);
        let [one, other] = [IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2])];
        let mut crowd: Vec<_> = (0..10).filter_map(|_| waiting.enter(one)).collect();
        assert_eq!(crowd.len(), 3);
        let single = waiting.enter(other);
        assert!(single.is_some(), "another address still finds a place");
        assert!(waiting.enter(other).is_none(), "four are there");
        crowd.pop();
        assert!(waiting.enter(other).is_some(), "a place that is left is free again");
    }
}
