//! The check that runs: at most one at a time, whole or of the path.

use std::future::Future;
use std::pin::Pin;

use crate::run::CheckRun;

type Work = Pin<Box<dyn Future<Output = CheckRun>>>;

/// A check that runs.
pub(super) enum Running {
    /// A whole check.
    Whole(Work),
    /// A path check.
    Path(Work),
}

/// A check that has completed.
pub(super) enum Completed {
    Whole(CheckRun),
    Path(CheckRun),
}

/// Completes with the running check; never if none is running.
pub(super) async fn finished(running: &mut Option<Running>) -> Completed {
    match running {
        Some(Running::Whole(check)) => Completed::Whole(check.await),
        Some(Running::Path(check)) => Completed::Path(check.await),
        None => std::future::pending().await,
    }
}
