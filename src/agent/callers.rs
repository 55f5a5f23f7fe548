//! The callers of `POST /check`, and the check that answers them.
//!
//! Owns the rule that a caller receives the report of a check that started after the request: callers that arrive during
//! a check wait for the next one and share it. The timetable decides when that one starts.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::run::CheckRun;
use crate::schedule::{Postponed, Timetable};
use crate::server::{CheckAnswer, CheckRequest};
use crate::status::Configuration;

/// The callers that have not been answered yet.
#[derive(Default)]
pub(super) struct Callers {
    /// Callers that requested a check before the running one started.
    sharing: Vec<oneshot::Sender<CheckAnswer>>,
    /// Callers that wait for a check to start.
    waiting: Vec<CheckRequest>,
}

impl Callers {
    /// Adds a caller, unless it can be answered without a check: another configuration is in force, or no check starts
    /// soon. `soon` is absent while a check runs.
    pub(super) fn admit(
        &mut self,
        request: CheckRequest,
        configuration: &Configuration,
        soon: Option<Result<Duration, Postponed>>,
    ) {
        if !goes_by(&request, configuration) {
            answer(request.reply, CheckAnswer::OtherConfiguration(configuration.clone()));
        } else if let Some(Err(postponed)) = soon {
            answer(request.reply, CheckAnswer::Postponed(postponed));
        } else {
            self.waiting.push(request);
        }
    }

    /// Returns when the waiting callers want a check; `None` if no caller waits. Postpones callers that would wait too long.
    /// Only while no check runs.
    pub(super) fn wanted_at(&mut self, timetable: &Timetable, now: Duration) -> Option<Duration> {
        // A disconnected client needs no check.
        self.waiting.retain(|request| !request.reply.is_closed());
        if self.waiting.is_empty() {
            return None;
        }
        match timetable.on_demand(now) {
            Ok(at) => Some(at),
            Err(postponed) => {
                for request in self.waiting.drain(..) {
                    answer(request.reply, CheckAnswer::Postponed(postponed));
                }
                None
            }
        }
    }

    /// A check starts with this configuration and will answer all waiting callers.
    pub(super) fn begin(&mut self, configuration: &Configuration) {
        for request in self.waiting.drain(..) {
            if goes_by(&request, configuration) {
                self.sharing.push(request.reply);
            } else {
                answer(request.reply, CheckAnswer::OtherConfiguration(configuration.clone()));
            }
        }
    }

    /// The check has completed.
    pub(super) fn finish(&mut self, run: &Arc<CheckRun>) {
        for reply in self.sharing.drain(..) {
            answer(reply, CheckAnswer::Report(Arc::clone(run)));
        }
    }
}

fn goes_by(request: &CheckRequest, configuration: &Configuration) -> bool {
    request.configuration.is_none() || request.configuration == configuration.digest
}

fn answer(reply: oneshot::Sender<CheckAnswer>, answer: CheckAnswer) {
    // The client may have disconnected.
    let _ = reply.send(answer);
}
