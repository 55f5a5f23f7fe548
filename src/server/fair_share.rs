//! Fair sharing of the thread: expensive responses are generated one after the other.
//!
//! Everything, checks included, runs on one thread. Without this, clients that request pages as fast as they can be
//! generated would leave no time for the main loop.

use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

/// A fair lock, granted in the order of the requests.
#[derive(Clone, Default)]
pub(super) struct FairShare(Arc<Mutex<()>>);

impl FairShare {
    /// Does the work once it is its turn. The next one then waits for the same time again, so responses take at most half
    /// of the thread's time.
    pub(super) async fn take<T>(&self, work: impl FnOnce() -> T) -> T {
        let fair_share = Arc::clone(&self.0).lock_owned().await;
        let started = Instant::now();
        let done = work();
        let taken = started.elapsed();
        tokio::spawn(async move {
            sleep(taken).await;
            drop(fair_share);
        });
        done
    }
}
