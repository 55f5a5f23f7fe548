//! Tries states concurrently: each worker has a context of its own, such as a network, for one state after the other.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Tries the states of these numbers, `at_once` at a time, in this order. Returns the outcomes in the order of the numbers.
pub(crate) fn try_all<Context, Outcome: Send>(
    order: &[usize],
    at_once: usize,
    start: impl Fn() -> Context + Sync,
    try_one: impl Fn(&mut Context, usize) -> Outcome + Sync,
) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut context = start();
        let mut outcomes = Vec::new();
        while let Some(&number) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            outcomes.push((number, try_one(&mut context, number)));
        }
        outcomes
    };
    let mut outcomes: Vec<(usize, Outcome)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..at_once.min(order.len())).map(|_| scope.spawn(work)).collect();
        let joined = workers.into_iter().map(thread::ScopedJoinHandle::join);
        joined.flat_map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    outcomes.sort_by_key(|(number, _)| *number);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}
