//! The resolvers that are compared with the node's own: asked at the same time, and never waited for on the way.
//!
//! A pull does not ask them. The check therefore goes on as soon as the node's own nameservers have answered, and takes up
//! at its end what the others have said by then.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::dns::{self, Family, Nameserver, Patience};
use crate::observation::{Endpoint, Observation, Resolution};

/// How long a resolver may take from its question on: a check that completes sooner waits for the rest of it. A resolver
/// that has to ask across regions takes 200 ms.
const GRACE: Duration = Duration::from_millis(500);
/// Between two sends of one question: three lost datagrams still leave an answer the time to come.
const RESEND: Duration = Duration::from_millis(120);

/// What was asked of the compared resolvers in one check. The questions end with it.
pub(super) struct Compared {
    nameservers: Vec<Nameserver>,
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    questions: JoinSet<()>,
    /// What is known so far: silence, until an answer comes.
    known: Vec<Arc<Mutex<Resolution>>>,
    latest: Option<Instant>,
}

impl Compared {
    /// Asks nobody yet.
    pub(super) fn new(nameservers: Vec<Nameserver>) -> Self {
        Self { nameservers, asked: Mutex::default() }
    }

    /// Asks all of them for a name, unless they were asked for it before.
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
            let known = Arc::new(Mutex::new(dns::silence(endpoint, host, nameserver)));
            asked.known.push(Arc::clone(&known));
            asked.questions.spawn(question(nameserver.clone(), host.to_owned(), known, started));
            asked.latest = Some(started);
        }
    }

    /// Puts what they have said behind what the node's own nameservers said of the same name. Waits until every one of them
    /// has had its time, but not beyond `deadline`.
    pub(super) async fn add_to(self, observation: &mut Observation, deadline: Instant) {
        let Asked { mut questions, known, latest } =
            self.asked.into_inner().unwrap_or_else(PoisonError::into_inner);
        let until = latest.map_or(deadline, |latest| deadline.min(latest + GRACE));
        // Elapsed: who has not answered by now stays silent.
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

/// Asks one of them for A and AAAA, and notes each answer as it comes.
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
