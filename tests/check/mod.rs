//! Checks against the lab: each fault with the diagnoses that it must cause.
//!
//! The cases are tables of a change to a healthy lab and the complete list of diagnoses. They run concurrently, because they
//! mostly wait for timeouts.

mod answer_cases;
mod bench;
mod compared;
mod connection_cases;
mod content_cases;
mod credential_cases;
mod data_endpoint;
mod document_cases;
mod durations;
mod exchange_cases;
mod expected_cases;
mod expected_program;
mod healthy;
mod hostile_cases;
mod identity_cases;
mod identity_program;
mod identity_safety;
mod local_dns;
mod login_cases;
mod name_cases;
mod names_with_secrets;
mod node_cases;
mod program;
mod request_cases;
mod safety;
#[cfg(target_os = "linux")]
mod terminal;
mod workload_cases;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use acr_verifier::cause::Cause;

use crate::observations::diagnose;
pub(crate) use bench::{Bench, Outcome, files_of};
use lab::settings::Settings;
pub(crate) use safety::violations;

/// Number of concurrent cases, which mostly wait.
const SIDE_BY_SIDE: usize = 8;
/// Causes that a check detects only after the full per-stage timeout.
const WAITS: [&str; 3] = ["timeout", "nameserver_failing", "dns_server_failure"];
/// The per-stage timeout of cases that reach it.
const IMPATIENT: Duration = Duration::from_secs(1);
/// Time that a busy machine may add to the overall timeout.
const SLACK: Duration = Duration::from_secs(2);

/// A healthy lab with one change, and the expected diagnoses.
pub(crate) struct Case {
    pub(crate) name: String,
    arrange: Box<dyn Fn(&mut Settings) + Send + Sync>,
    adjust: Box<dyn Fn(&mut Bench) + Send + Sync>,
    expected: Vec<String>,
    /// The requests of the check, if the case is about them.
    requests: Option<String>,
}

/// Creates a case that changes the lab.
pub(crate) fn case(
    name: impl Into<String>,
    arrange: impl Fn(&mut Settings) + Send + Sync + 'static,
    expected: &[&str],
) -> Case {
    Case {
        name: name.into(),
        arrange: Box::new(arrange),
        adjust: Box::new(|_| {}),
        expected: expected.iter().map(|&line| line.to_owned()).collect(),
        requests: None,
    }
}

impl Case {
    /// Also changes the task, once the lab is running.
    pub(crate) fn adjust(self, adjust: impl Fn(&mut Bench) + Send + Sync + 'static) -> Self {
        Self { adjust: Box::new(adjust), ..self }
    }

    /// Replaces the expected diagnoses.
    pub(crate) fn expecting(self, expected: &[&str]) -> Self {
        Self { expected: expected.iter().map(|&line| line.to_owned()).collect(), ..self }
    }

    /// Also expects exactly these requests, in this order.
    pub(crate) fn requesting(self, requests: &str) -> Self {
        Self { requests: Some(requests.to_owned()), ..self }
    }

    pub(crate) fn run(&self) -> (Bench, Outcome) {
        let mut bench = Bench::with(|settings| (self.arrange)(settings));
        if self.expected.iter().any(|line| WAITS.iter().any(|cause| line.contains(cause))) {
            bench.task.stage_timeout = IMPATIENT;
        }
        (self.adjust)(&mut bench);
        let outcome = bench.check();
        (bench, outcome)
    }
}

pub(crate) fn all_cases() -> Vec<Case> {
    let mut cases = name_cases::cases();
    cases.extend(expected_cases::cases());
    cases.extend(connection_cases::cases());
    cases.extend(login_cases::cases());
    cases.extend(credential_cases::cases());
    cases.extend(content_cases::cases());
    cases.extend(document_cases::cases());
    cases.extend(answer_cases::cases());
    cases.extend(request_cases::cases());
    cases.extend(hostile_cases::cases());
    cases.extend(node_cases::cases());
    cases.extend(identity_cases::cases());
    cases.extend(exchange_cases::cases());
    cases.extend(workload_cases::cases());
    cases
}

/// Runs the cases, a few at a time, and passes each outcome to a callback.
pub(crate) fn run_all(cases: &[Case], each: impl Fn(&Case, &Bench, &Outcome) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (bench, outcome) = case.run();
                    each(case, &bench, &outcome);
                }
            });
        }
    });
}

/// Causes that need more than one answer of a nameserver over time: `local_dns` has their cases.
const ELSEWHERE: [Cause; 1] = [Cause::NodeCacheStale];

#[test]
fn every_case_has_exactly_its_diagnoses_and_every_cause_is_covered() {
    let cases = all_cases();
    let wrong = Mutex::new(Vec::new());
    let reached = Mutex::new(BTreeSet::new());
    run_all(&cases, |case, bench, outcome| {
        let problems = problems_of(case, bench, outcome);
        wrong.lock().expect("no case panicked").extend(problems);
        reached.lock().expect("no case panicked").extend(outcome.diagnoses.iter().map(|found| found.cause));
    });
    let wrong = wrong.into_inner().expect("no case panicked");
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    let reached = reached.into_inner().expect("no case panicked");
    let is_missed = |cause: &Cause| !reached.contains(cause) && !ELSEWHERE.contains(cause);
    let missed: Vec<Cause> = Cause::ALL.into_iter().filter(is_missed).collect();
    assert!(missed.is_empty(), "no case reaches {missed:?}");
}

/// Returns the problems with the outcome of a case.
fn problems_of(case: &Case, bench: &Bench, outcome: &Outcome) -> Vec<String> {
    let mut problems = Vec::new();
    let reported = outcome.findings();
    if reported != case.expected {
        let messages: Vec<&str> = outcome.diagnoses.iter().map(|found| found.message.as_str()).collect();
        problems.push(format!("expected {:?}\n  reported {reported:?}\n  {messages:#?}", case.expected));
    }
    for diagnosis in &outcome.diagnoses {
        if !diagnosis.cause.stages().contains(&diagnosis.stage) {
            problems.push(format!("{} is not a cause of stage {}", diagnosis.cause, diagnosis.stage));
        }
        if !diagnosis.message.ends_with('.') || diagnosis.message.contains("  ") {
            problems.push(format!("not a sentence: {}", diagnosis.message));
        }
    }
    let is_redacted = format!("{:?}", outcome.observation).contains("[redacted]");
    if !is_redacted && diagnose(&bench.expectation(), &outcome.observation) != outcome.diagnoses {
        problems.push("the complete observation has other diagnoses".to_owned());
    }
    let requests = identity_cases::requests(&bench.lab);
    if let Some(expected) = case.requests.as_ref().filter(|expected| **expected != requests) {
        problems.push(format!("expected {expected}\n  requested {requests}"));
    }
    problems.extend(safety::violations(bench, outcome));
    if outcome.observation.duration > bench.task.timeout + SLACK {
        problems.push(format!("it took {:?}", outcome.observation.duration));
    }
    problems.into_iter().map(|problem| format!("{}: {problem}", case.name)).collect()
}
