//! The resolvers that are compared with the node's own: queried at the same time, without delaying the check.
//!
//! A pull does not query them. The check therefore continues as soon as the node's own nameservers have answered, and collects
//! the other answers at its end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::dns::{self, Family, Nameserver, Patience};
use crate::observation::{Endpoint, Observation, Resolution};

/// How long a resolver may take to answer; a check that completes sooner waits for the remainder. A resolver that forwards
/// across regions takes 200 ms, and a node without a free core delays sending and receiving as well.
pub(super) const GRACE: Duration = Duration::from_secs(1);
/// The resend interval: after three lost datagrams most of the time is left for an answer.
pub(super) const RESEND: Duration = Duration::from_millis(120);

/// The queries to the compared resolvers in one check. Dropping it cancels them.
pub(super) struct Compared {
    nameservers: Vec<Nameserver>,
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    questions: JoinSet<()>,
    /// The result so far: a timeout until an answer arrives.
    known: Vec<Arc<Mutex<Resolution>>>,
    latest: Option<Instant>,
}

impl Compared {
    /// Prepares the resolvers; sends nothing.
    pub(super) fn new(nameservers: Vec<Nameserver>) -> Self {
        Self { nameservers, asked: Mutex::default() }
    }

    /// Returns whether there is no resolver to compare with.
    pub(super) fn is_empty(&self) -> bool {
        self.nameservers.is_empty()
    }

    /// Queries all of them for a name, once per name.
    pub(super) fn ask(&self, endpoint: Endpoint, host: &str) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = |known: &Arc<Mutex<Resolution>>| {
            let known = known.lock().unwrap_or_else(PoisonError::into_inner);
            known.endpoint == endpoint && known.host == host
        };
        if asked.known.iter().any(is_known) {
            return;
        }
        let started = Instant::now();
        for nameserver in &self.nameservers {
            let known = Arc::new(Mutex::new(dns::unanswered(endpoint, host, nameserver)));
            asked.known.push(Arc::clone(&known));
            asked.questions.spawn(question(nameserver.clone(), host.to_owned(), known, started));
            asked.latest = Some(started);
        }
    }

    /// Inserts their answers after those of the node's own nameservers for the same name. Waits until each has had its time,
    /// but not beyond `deadline`.
    pub(super) async fn add_to(self, observation: &mut Observation, deadline: Instant) {
        let Asked { mut questions, known, latest } =
            self.asked.into_inner().unwrap_or_else(PoisonError::into_inner);
        let until = latest.map_or(deadline, |latest| deadline.min(latest + GRACE));
        // Elapsed: a resolver without an answer stays recorded as a timeout.
        let _ = timeout_at(until, async { while questions.join_next().await.is_some() {} }).await;
        questions.abort_all();
        for resolution in known {
            let resolution = resolution.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let is_same =
                |seen: &Resolution| seen.endpoint == resolution.endpoint && seen.host == resolution.host;
            let place = observation.resolutions.iter().rposition(is_same);
            let place = place.map_or(observation.resolutions.len(), |place| place + 1);
            observation.resolutions.insert(place, resolution);
        }
    }
}

/// Queries one resolver for A and AAAA, and records each answer as it arrives.
async fn question(nameserver: Nameserver, host: String, known: Arc<Mutex<Resolution>>, started: Instant) {
    let patience = Patience { until: started + GRACE, resend: RESEND };
    let note = |family, lookup| {
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        match family {
            Family::V4 => known.a = lookup,
            Family::V6 => known.aaaa = lookup,
        }
        known.duration = started.elapsed();
    };
    let ask = async |family| note(family, dns::look_up(&nameserver, &host, family, patience).await);
    join(ask(Family::V4), ask(Family::V6)).await;
}
