//! Answers that take work, one after the other, so that a crowd that wants them leaves the loop its time.
//!
//! Everything runs on one thread, the checks as well. Whoever is asked for pages as fast as it can write them would do
//! nothing else.

use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

/// The turn; it goes round in the order in which it was asked for.
#[derive(Clone, Default)]
pub(super) struct Turn(Arc<Mutex<()>>);

impl Turn {
    /// Does the work when it is its turn. The next has to wait for as long again as it took: at most half of the time goes
    /// into answers.
    pub(super) async fn take<T>(&self, work: impl FnOnce() -> T) -> T {
        let turn = Arc::clone(&self.0).lock_owned().await;
        let started = Instant::now();
        let done = work();
        let taken = started.elapsed();
        tokio::spawn(async move {
            sleep(taken).await;
            drop(turn);
        });
        done
    }
}
