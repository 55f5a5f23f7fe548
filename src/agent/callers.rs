//! The callers of `POST /check`, and which check answers them.
//!
//! Owns the rule that a caller gets the report of a check that began after the request: who comes while one runs waits for the
//! next, together with all others. When that one begins is the timetable's.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::run::Run;
use crate::schedule::{Postponed, Timetable};
use crate::server::{CheckAnswer, CheckRequest};
use crate::status::Configuration;

/// The callers that have no answer yet.
#[derive(Default)]
pub(super) struct Callers {
    /// Who asked before the check that runs began.
    sharing: Vec<oneshot::Sender<CheckAnswer>>,
    /// Who waits for a check to begin.
    waiting: Vec<CheckRequest>,
}

impl Callers {
    /// Takes a caller in, unless it can be answered without a check: another configuration is in force, or no check
    /// begins soon. Nothing is known of that while one runs.
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

    /// When the callers want a check; none where none waits. Who has to wait for too long is sent away. Only while no check
    /// runs.
    pub(super) fn wanted_at(&mut self, timetable: &Timetable, now: Duration) -> Option<Duration> {
        // A client that is gone needs no check.
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

    /// A check begins by this configuration, and answers all who have waited for one.
    pub(super) fn begin(&mut self, configuration: &Configuration) {
        for request in self.waiting.drain(..) {
            if goes_by(&request, configuration) {
                self.sharing.push(request.reply);
            } else {
                answer(request.reply, CheckAnswer::OtherConfiguration(configuration.clone()));
            }
        }
    }

    /// The check has ended.
    pub(super) fn finish(&mut self, run: &Arc<Run>) {
        for reply in self.sharing.drain(..) {
            answer(reply, CheckAnswer::Report(Arc::clone(run)));
        }
    }
}

fn goes_by(request: &CheckRequest, configuration: &Configuration) -> bool {
    request.configuration.is_none() || request.configuration == configuration.digest
}

fn answer(reply: oneshot::Sender<CheckAnswer>, answer: CheckAnswer) {
    // The client may be gone.
    let _ = reply.send(answer);
}
