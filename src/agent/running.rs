//! The check that runs: at most one at a time, whole or of the path.

use std::future::Future;
use std::pin::Pin;

use jiff::Timestamp;

use crate::path_check::PathOutcome;
use crate::run::CheckRun;

/// A check that runs.
pub(super) enum Running {
    /// A whole check.
    Whole(Pin<Box<dyn Future<Output = CheckRun>>>),
    /// A path check, with its start.
    Path(Timestamp, Pin<Box<dyn Future<Output = Vec<PathOutcome>>>>),
}

/// A check that has completed.
pub(super) enum Completed {
    Whole(CheckRun),
    Path(Timestamp, Vec<PathOutcome>),
}

/// Completes with the running check; never if none is running.
pub(super) async fn finished(running: &mut Option<Running>) -> Completed {
    match running {
        Some(Running::Whole(check)) => Completed::Whole(check.await),
        Some(Running::Path(started_at, check)) => Completed::Path(*started_at, check.await),
        None => std::future::pending().await,
    }
}
