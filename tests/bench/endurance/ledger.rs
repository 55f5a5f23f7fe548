//! Compares the Events with the expected transitions, one by one.
//!
//! A transition is identified by agent, image and the round of checks that caused it. So is an Event: its time lies between
//! the end of that round and the start of the next. If two Events of an image wait for the API server, the older one may be
//! dropped, and is counted. No other Event may be missing, duplicated, out of order, or without a transition.

use std::collections::{BTreeMap, BTreeSet};

use crate::Course;
use crate::process::counted;
use support::api_server::{ApiServer, Arrived};

/// Result of the comparison.
#[derive(Default)]
pub(crate) struct Ledger {
    /// Transitions that must be announced.
    pub(crate) transitions: usize,
    /// Transitions with an Event.
    pub(crate) announced: usize,
    /// Transitions whose Event was replaced by a newer one about the same image.
    pub(crate) left_out: usize,
    /// Attempts that the API server rejected or did not respond to.
    pub(crate) failed: usize,
    /// Deviations from the contract.
    pub(crate) wrong: Vec<String>,
}

type Transition = (String, usize);

impl Ledger {
    /// Compares the Events of all agents.
    pub(crate) fn of(courses: &[Course], server: &ApiServer) -> anyhow::Result<Self> {
        let mut ledger = Self::default();
        let arrived = server.arrived();
        for course in courses {
            let of_it: Vec<&Arrived> =
                arrived.iter().filter(|event| event.node == course.agent.node).collect();
            ledger.compare(course, &of_it)?;
        }
        let strangers = arrived.iter().filter(|event| courses.iter().all(|it| it.agent.node != event.node));
        ledger.wrong.extend(strangers.map(|event| format!("of no agent: {event:?}")));
        Ok(ledger)
    }

    fn compare(&mut self, course: &Course, arrived: &[&Arrived]) -> anyhow::Result<()> {
        let node = &course.agent.node;
        let expected: BTreeMap<Transition, &str> = course
            .expected
            .iter()
            .flat_map(|(image, it)| {
                it.reasons.iter().map(move |(round, reason)| ((image.clone(), *round), reason.as_str()))
            })
            .collect();
        let mut met = BTreeSet::new();
        let mut acknowledged = BTreeSet::new();
        let mut latest: BTreeMap<&str, usize> = BTreeMap::new();
        for event in arrived {
            let round = course.rounds.partition_point(|started| *started <= event.at).checked_sub(1);
            let Some(round) = round else {
                self.wrong.push(format!("{node}: before the first round: {event:?}"));
                continue;
            };
            let transition = (event.image.clone(), round);
            if expected.get(&transition) != Some(&event.reason.as_str()) {
                self.wrong.push(format!("{node}: for no transition, in round {round}: {event:?}"));
            }
            if !met.insert(transition.clone()) {
                self.wrong
                    .push(format!("{node}: a second Event for the transition of round {round}: {event:?}"));
            }
            if latest.insert(&event.image, round).is_some_and(|before| before >= round) {
                self.wrong.push(format!("{node}: after a newer one: {event:?}"));
            }
            // Resent only if the agent could not know that it arrived. No failure lasts an hour here.
            let sent = event.taken + event.refused;
            if sent > 1 + event.failed() || event.renewed != 0 || event.is_altered {
                self.wrong.push(format!("{node}: sent too often: {event:?}"));
            }
            if event.is_acknowledged() {
                acknowledged.insert(transition);
            }
            self.announced += usize::from(event.taken > 0);
            self.failed += usize::try_from(event.failed())?;
        }
        self.transitions += expected.len();
        // An Event that arrived without a response is also replaced by a newer one: the agent cannot know.
        let missing: Vec<&Transition> = expected.keys().filter(|it| !acknowledged.contains(*it)).collect();
        for (image, round) in missing.iter().copied() {
            let newest = course.expected[image].reasons.keys().next_back();
            if newest == Some(round) {
                let reason = expected[&(image.clone(), *round)];
                self.wrong.push(format!("{node} {image}: the last one is missing: {reason}, round {round}"));
            }
        }
        let there = arrived.iter().filter(|event| event.taken > 0 && !event.is_acknowledged()).count();
        self.left_out += missing.len().saturating_sub(there);
        let metrics = course.agent.get("/metrics")?;
        let reported = |result: &str| {
            counted(&metrics, &format!("acr_verifier_events_total{{node=\"{node}\",result=\"{result}\"}}"))
        };
        let failed: usize = arrived.iter().map(|event| event.failed() as usize).sum();
        for (result, count) in
            [("published", acknowledged.len()), ("suppressed", missing.len()), ("failed", failed)]
        {
            if count != reported(result) {
                self.wrong.push(format!("{node} counts {} as {result}, and it is {count}", reported(result)));
            }
        }
        Ok(())
    }
}
