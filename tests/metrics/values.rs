//! Metric values after each kind of check: real checks of the lab, and samples where that is shorter.

use acr_verifier::metrics::Metrics;
use acr_verifier::observation::{Endpoint, Resolver, Stage};
use acr_verifier::run::CheckRun;
use acr_verifier::transition::EventResult;
use acr_verifier::verdict::Verdict;
use jiff::{SignedDuration, Timestamp};

use super::declared::rich;
use super::scrape::Scrape;
use super::{NODE, metrics, run, scrape};
use crate::check::Bench;
use crate::report::samples::{self, LOGIN};
use lab::answers::{Answer, Canned, Delivery, RetryAfter};
use lab::settings::View;

const SUCCESS: &str = "acr_verifier_check_success";
const CHECKS: &str = "acr_verifier_checks_total";
const STAGE: &str = "acr_verifier_stage_success";
const CAUSE: &str = "acr_verifier_cause";
const ANSWERS: &str = "acr_verifier_dns_answers";
const LAST_CHECK: &str = "acr_verifier_last_check_timestamp_seconds";
const LAST_SUCCESS: &str = "acr_verifier_last_success_timestamp_seconds";

/// The metrics of an agent that checks a lab.
struct Agent {
    bench: Bench,
    metrics: Metrics,
    now: Timestamp,
}

impl Agent {
    fn new() -> Self {
        Self {
            bench: Bench::healthy(),
            metrics: metrics(),
            now: "2026-11-23T02:06:00Z".parse().expect("a moment"),
        }
    }

    /// Runs a check, a minute later each time.
    fn check(&mut self) -> Scrape {
        self.now += SignedDuration::from_mins(1);
        let run = self.bench.check().run(&self.bench);
        self.metrics.record(&CheckRun { started_at: self.now, duration: std::time::Duration::ZERO, ..run });
        let scrape = scrape(&self.metrics);
        let registry = self.bench.lab.registry();
        for sample in scrape.samples.iter().filter(|sample| sample.labels.contains_key("registry")) {
            assert_eq!((&sample.labels["node"], &sample.labels["registry"]), (&NODE.to_owned(), &registry));
        }
        assert_eq!(scrape.value(LAST_CHECK, &[]), Some(seconds(self.now)));
        scrape
    }
}

fn seconds(at: Timestamp) -> f64 {
    at.as_second() as f64
}

fn verdicts(scrape: &Scrape) -> [Option<f64>; 4] {
    Verdict::ALL.map(|verdict| scrape.value(CHECKS, &[("verdict", verdict.as_str())]))
}

fn scopes(scrape: &Scrape, endpoint: &str, resolver: &str) -> [Option<f64>; 4] {
    ["private", "public", "reserved", "unexpected"].map(|scope| {
        scrape.value(ANSWERS, &[("endpoint", endpoint), ("resolver", resolver), ("scope", scope)])
    })
}

#[test]
fn before_the_first_check_no_result_is_exposed() {
    let scrape = scrape(&metrics());
    let infos = ["acr_verifier_build_info", "acr_verifier_node_info"];
    let ours = |name: &str| !name.starts_with("process_") && !infos.contains(&name);
    let mut exposed: Vec<_> = scrape.samples.iter().filter(|sample| ours(&sample.name)).collect();
    assert!(exposed.iter().all(|sample| sample.value.abs() < f64::EPSILON), "{exposed:#?}");
    exposed.retain(|sample| sample.name != "acr_verifier_events_total");
    assert_eq!(exposed, Vec::<&super::scrape::Sample>::new(), "only the counters of Events are exposed");
}

#[test]
fn an_address_of_another_name_is_counted_as_unexpected() {
    let mut agent = Agent::new();
    let login = agent.bench.lab.login_server();
    let data = agent.bench.lab.data_endpoint();
    for (name, address) in [(login, "127.0.0.3"), (data, "127.0.0.2")] {
        let address = address.parse().expect("an address");
        agent.bench.task.policy.exact.add(&name, address).expect("room for it");
    }
    let scrape = agent.check();
    assert_eq!(scopes(&scrape, "login", "system"), [0.0, 0.0, 0.0, 1.0].map(Some));
    assert_eq!(scrape.value("acr_verifier_cause", &[("cause", "unexpected_address")]), Some(1.0));
}

#[test]
fn a_healthy_check_records_every_stage_and_request() {
    let mut agent = Agent::new();
    agent.bench.task.policy.expected = vec!["127.0.0.0/8".parse().expect("a range")];
    agent.bench.task.resolvers.compare = vec![("azure".to_owned(), agent.bench.lab.nameservers()[0].into())];
    let scrape = agent.check();
    assert_eq!(scrape.value(SUCCESS, &[]), Some(1.0));
    assert_eq!(scrape.value(LAST_SUCCESS, &[]), Some(seconds(agent.now)));
    assert_eq!(verdicts(&scrape), [1.0, 0.0, 0.0, 0.0].map(Some));
    assert_eq!(scrape.value("acr_verifier_check_duration_seconds_count", &[]), Some(1.0));
    for endpoint in Endpoint::ALL {
        for stage in Stage::of(endpoint) {
            let labels = [("endpoint", endpoint.as_str()), ("stage", stage.as_str())];
            assert_eq!(scrape.value(STAGE, &labels), Some(1.0), "{labels:?}");
            let count = scrape.value("acr_verifier_stage_duration_seconds_count", &labels);
            assert_eq!(count, Some(1.0), "{labels:?}");
        }
        let endpoint = endpoint.as_str();
        for resolver in ["system", "azure"] {
            assert_eq!(scopes(&scrape, endpoint, resolver), [Some(1.0), Some(0.0), Some(0.0), Some(0.0)]);
        }
        let labels = [("endpoint", endpoint)];
        assert_eq!(scrape.value("acr_verifier_dns_resolvers_disagree", &labels), Some(0.0));
        let ends = scrape.value("acr_verifier_tls_certificate_expiry_timestamp_seconds", &labels);
        assert!(ends.is_some_and(|ends| ends > seconds(agent.now)), "{ends:?}");
    }
    let requests = |stage, code| {
        scrape.value("acr_verifier_registry_requests_total", &[("stage", stage), ("code", code)])
    };
    assert_eq!(requests("challenge", "401"), Some(1.0));
    assert_eq!(
        (requests("token", "400"), requests("token", "200")),
        (Some(1.0), Some(1.0)),
        "POST, then GET"
    );
    assert_eq!(requests("manifest", "200"), Some(3.0), "the tag, the index and the manifest");
    assert_eq!((requests("blob", "307"), requests("blob", "200")), (Some(1.0), Some(1.0)));
    assert_eq!(scrape.all(CAUSE, &[]).len() + scrape.all("acr_verifier_failures_total", &[]).len(), 0);
}

#[test]
fn after_a_failure_the_series_of_later_stages_are_absent_until_recovery() {
    let mut agent = Agent::new();
    agent.check();
    let passed_at = agent.now;
    agent.bench.lab.change(|settings| settings.nameservers[0].login = View::NotLinked);
    let failure = [("endpoint", "login"), ("stage", "address"), ("cause", "private_zone_not_linked")];
    for round in [1.0, 2.0] {
        let scrape = agent.check();
        assert_eq!(scrape.value(SUCCESS, &[]), Some(0.0));
        assert_eq!(scrape.value(LAST_SUCCESS, &[]), Some(seconds(passed_at)));
        assert_eq!(verdicts(&scrape), [1.0, 0.0, 0.0, round].map(Some));
        assert_eq!(scrape.value("acr_verifier_failures_total", &failure), Some(round));
        assert_eq!(
            scrape.value(CAUSE, &[("cause", "private_zone_not_linked"), ("severity", "fail")]),
            Some(1.0)
        );
        assert_eq!(scrape.all(CAUSE, &[]).len(), 1);
        assert_eq!(scrape.value(STAGE, &[("stage", "dns")]), Some(1.0));
        assert_eq!(scrape.value(STAGE, &[("stage", "address")]), Some(0.0));
        assert_eq!(scrape.all(STAGE, &[]).len(), 2, "no connection was made");
        assert_eq!(scopes(&scrape, "login", "system"), [Some(0.0), Some(1.0), Some(0.0), Some(0.0)]);
        assert_eq!(scopes(&scrape, "data", "system"), [None; 4]);
        assert_eq!(scrape.all("acr_verifier_tls_certificate_expiry_timestamp_seconds", &[]).len(), 0);
    }
    agent.bench.lab.change(|settings| settings.nameservers[0].login = View::Private);
    let scrape = agent.check();
    assert_eq!(scrape.value(SUCCESS, &[]), Some(1.0));
    assert_eq!(scrape.value(LAST_SUCCESS, &[]), Some(seconds(agent.now)));
    assert_eq!(verdicts(&scrape), [2.0, 0.0, 0.0, 2.0].map(Some));
    assert_eq!(scrape.value("acr_verifier_failures_total", &failure), Some(2.0));
    assert_eq!(scrape.all(CAUSE, &[]).len(), 0);
    assert_eq!(scrape.all(STAGE, &[]).len(), 12);
}

#[test]
fn a_throttled_check_is_neither_success_nor_failure() {
    let mut agent = Agent::new();
    agent.check();
    let passed_at = agent.now;
    agent.bench.lab.change(|settings| {
        settings.token.answer = Answer::Canned(Canned::Throttled(RetryAfter::Seconds(7)));
    });
    let scrape = agent.check();
    assert_eq!(scrape.value(SUCCESS, &[]), None);
    assert_eq!(scrape.value(LAST_SUCCESS, &[]), Some(seconds(passed_at)));
    assert_eq!(verdicts(&scrape), [1.0, 0.0, 1.0, 0.0].map(Some));
    assert_eq!(scrape.value(CAUSE, &[("cause", "throttled"), ("severity", "unknown")]), Some(1.0));
    assert_eq!(scrape.value(STAGE, &[("endpoint", "login"), ("stage", "challenge")]), Some(1.0));
    assert_eq!(scrape.value(STAGE, &[("stage", "token")]), None);
    assert_eq!(scrape.all("acr_verifier_failures_total", &[]).len(), 0);
    let labels = [("stage", "token"), ("code", "429")];
    assert_eq!(scrape.value("acr_verifier_registry_requests_total", &labels), Some(1.0));
}

#[test]
fn only_requests_that_were_sent_are_counted() {
    let mut agent = Agent::new();
    agent.bench.lab.change(|settings| {
        settings.token.delivery = Delivery::SilentAfterRequest;
    });
    let scrape = agent.check();
    let labels = [("stage", "token"), ("code", "error")];
    assert_eq!(scrape.value("acr_verifier_registry_requests_total", &labels), Some(1.0));
    let manifest = scrape.all("acr_verifier_registry_requests_total", &[("stage", "manifest")]);
    assert_eq!(manifest.len(), 0);
}

#[test]
fn images_without_a_name_share_series_that_report_the_worst_result() {
    let metrics = metrics();
    let mut named = rich();
    named.diagnoses.clear();
    metrics.record(&run(vec![samples::healthy(), samples::credentials_rejected(), named]));
    let scrape = scrape(&metrics);
    let shared: Vec<_> = scrape.all(SUCCESS, &[("registry", LOGIN)]);
    let exposed: Vec<_> = shared.iter().map(|sample| (sample.labels.get("image"), sample.value)).collect();
    assert_eq!(exposed, [(None, 0.0), (Some(&"canary".to_owned()), 1.0)]);
    let shared = scrape.of(LOGIN, None);
    let value = |name: &str, label: &str, value: &str| {
        let mut found = shared
            .iter()
            .filter(|sample| sample.name == name && sample.labels.get(label).is_some_and(|has| has == value));
        found.next().map(|sample| sample.value)
    };
    assert_eq!(value(CHECKS, "verdict", "pass"), Some(1.0));
    assert_eq!(value(CHECKS, "verdict", "fail"), Some(1.0));
    assert_eq!(value(STAGE, "stage", "token"), Some(0.0), "the worst of both");
    assert_eq!(value(STAGE, "stage", "blob"), Some(1.0), "one of them reached it");
    assert_eq!(scrape.all(LAST_SUCCESS, &[]).len(), 1, "only the named image passed");
    let compared = scrape.all(ANSWERS, &[("resolver", "azure")]);
    assert!(compared.iter().all(|sample| sample.labels.contains_key("image")), "{compared:#?}");
}

#[test]
fn disagreeing_resolvers_are_reported_with_their_answers() {
    let metrics = metrics();
    metrics.record(&run(vec![samples::zone_not_linked()]));
    let scrape = scrape(&metrics);
    assert_eq!(scrape.value("acr_verifier_dns_resolvers_disagree", &[("endpoint", "login")]), Some(1.0));
    assert_eq!(
        scopes(&scrape, "login", Resolver::System.label()),
        [Some(1.0), Some(1.0), Some(0.0), Some(0.0)]
    );
}

#[test]
fn series_of_a_removed_image_disappear() {
    let metrics = metrics();
    let other = || {
        let mut other = samples::healthy();
        other.image = "fabrikam.azurecr.io:5000/apps/canary:1".parse().expect("an image");
        other
    };
    metrics.record(&run(vec![rich(), samples::healthy(), other()]));
    assert!(!scrape(&metrics).of("fabrikam.azurecr.io:5000", None).is_empty());
    metrics.record(&run(vec![samples::healthy(), other()]));
    let after = scrape(&metrics);
    assert_eq!(after.of(LOGIN, Some("canary")).len(), 0);
    assert_eq!(after.value(CHECKS, &[("registry", LOGIN), ("verdict", "pass")]), Some(2.0));
    metrics.record(&run(vec![samples::healthy()]));
    assert_eq!(scrape(&metrics).of("fabrikam.azurecr.io:5000", None).len(), 0);
}

#[test]
fn reloads_and_events_are_recorded() {
    let metrics = metrics();
    let at: Timestamp = "2026-11-23T02:06:00Z".parse().expect("a moment");
    metrics.record_reload(true, at);
    metrics.record_reload(false, at + SignedDuration::from_secs(15));
    for result in [EventResult::Failed, EventResult::Failed, EventResult::Suppressed] {
        metrics.record_event(result);
    }
    let scrape = scrape(&metrics);
    let node = [("node", NODE)];
    assert_eq!(scrape.value("acr_verifier_config_last_reload_successful", &node), Some(0.0));
    let reloaded = scrape.value("acr_verifier_config_last_reload_timestamp_seconds", &node);
    assert_eq!(reloaded, Some(seconds(at) + 15.0));
    let results = EventResult::ALL.map(|result| {
        scrape.value("acr_verifier_events_total", &[("node", NODE), ("result", result.as_str())])
    });
    assert_eq!(results, [Some(0.0), Some(1.0), Some(2.0)]);
}
