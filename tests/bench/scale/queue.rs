//! The event queue.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// An event for one node or all. It identifies an agent by its number on the node, so that events for a stopped agent do not
/// affect its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Happening {
    Start(usize),
    Due(usize, u32),
    End(usize, u32),
    /// A path check is due, and has completed.
    PathDue(usize, u32),
    PathEnd(usize, u32),
    /// An announcement has waited for its turn.
    Announce(usize, u32),
    /// The agent's loop checks its files; `true` if it finds a change for the first time.
    Look(usize, u32, bool),
    Demand(usize),
    Available(usize),
    Scrape(usize),
    Rollout,
    Record,
    Evaluate,
}

/// Ordered by time, and by insertion for equal times.
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
