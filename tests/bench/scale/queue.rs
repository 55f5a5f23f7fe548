//! What happens next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// What happens to a node, or to all. A node's agent is named by its life, so that what was meant for one that has ended
/// is not taken by the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Happening {
    Start(usize),
    Due(usize, u32),
    End(usize, u32),
    /// The loop looks at its files; whether it finds a change there for the first time.
    Look(usize, u32, bool),
    Demand(usize),
    Available(usize),
    Scrape(usize),
    Rollout,
    Record,
    Evaluate,
}

/// By time, and at the same time in the order in which they were put in.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: BinaryHeap<Reverse<(Duration, u64, Happening)>>,
    number: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, at: Duration, happening: Happening) {
        self.number += 1;
        self.waiting.push(Reverse((at, self.number, happening)));
    }

    pub(crate) fn pop(&mut self) -> Option<(Duration, Happening)> {
        self.waiting.pop().map(|Reverse((at, _, happening))| (at, happening))
    }
}
