//! The number of series is bounded and label values are closed sets, whatever a registry returns.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use acr_verifier::address::Scope;
use acr_verifier::cause::Cause;
use acr_verifier::diagnosis::Diagnosis;
use acr_verifier::observation::{Endpoint, Lookup, Request, Resolver, Stage};
use acr_verifier::run::ImageResult;
use acr_verifier::transition::EventResult;
use acr_verifier::verdict::{Severity, Verdict};
use proptest::prelude::*;

use super::declared::{diagnosis, rich};
use super::scrape::{Sample, Scrape};
use super::{NODE, metrics, run, scrape};
use crate::report::samples::LOGIN;

/// Maximum series per registry and node, as the contract states.
const BUDGET: usize = 250;
const CODES: [&str; 21] = [
    "error", "200", "301", "302", "307", "308", "400", "401", "403", "404", "405", "429", "500", "502",
    "503", "504", "2xx", "3xx", "4xx", "5xx", "other",
];

const REQUESTING: [Stage; 4] = [Stage::Challenge, Stage::Token, Stage::Manifest, Stage::Blob];

fn request(stage: Stage, status: Option<u16>) -> Request {
    Request { endpoint: Endpoint::Login, stage, status }
}

/// A diagnosis for every endpoint and stage at which a cause can occur.
fn places(cause: Cause) -> Vec<Diagnosis> {
    let stages = cause.stages().iter();
    let places = stages.flat_map(|&stage| Endpoint::ALL.map(|endpoint| (endpoint, stage)));
    places
        .filter(|(endpoint, stage)| Stage::of(*endpoint).contains(stage))
        .map(|(endpoint, stage)| diagnosis(cause, cause.severity(), endpoint, stage))
        .collect()
}

/// Two nameservers and two compared resolvers, all stages, every kind of past failure and response, and as many current
/// causes as can occur together while every stage still runs.
#[test]
fn a_registry_has_at_most_250_series_per_node() {
    let metrics = metrics();
    for cause in Cause::ALL {
        let mut checked = rich();
        checked.name = None;
        checked.diagnoses = places(cause);
        let statuses = (100..700).step_by(37).map(Some).chain([None]);
        checked.observation.requests =
            statuses.flat_map(|status| REQUESTING.map(|stage| request(stage, status))).collect();
        metrics.record(&run(vec![checked]));
    }
    let mut worst = rich();
    worst.name = None;
    worst.diagnoses = [
        Cause::PrivateRecordMissing,
        Cause::NameNotFound,
        Cause::PrivateZoneNotLinked,
        Cause::NoPrivateEndpoint,
        Cause::MixedAddresses,
        Cause::UnexpectedAddress,
        Cause::ReservedAddress,
        Cause::ResolversDisagree,
        Cause::NameserverFailing,
        Cause::CertificateExpiring,
        Cause::CredentialsExpiring,
        Cause::BlobDenied,
        Cause::Throttled,
        Cause::ConnectionReset,
        Cause::PlatformMismatch,
        Cause::ProxyBypassed,
        Cause::CredentialsStaleEntry,
    ]
    .into_iter()
    .flat_map(places)
    .collect();
    for cause in [Cause::ConnectTimeout, Cause::ConnectRefused, Cause::NetworkUnreachable] {
        worst.diagnoses.push(diagnosis(cause, Severity::Warn, Endpoint::Login, Stage::Connect));
    }
    metrics.record(&run(vec![worst]));
    let scrape = scrape(&metrics);
    let count = scrape.of(LOGIN, None).len();
    let counts = |name: &str| scrape.all(name, &[]).len();
    assert_eq!(counts("acr_verifier_dns_answers"), 24);
    assert_eq!(counts("acr_verifier_stage_duration_seconds_bucket"), 96);
    assert_eq!(counts("acr_verifier_failures_total"), 32);
    assert_eq!(counts("acr_verifier_registry_requests_total"), 16);
    assert!(count <= BUDGET, "{count} series");
    assert_eq!(count, 248);
}

/// The usual number of series, so a change is noticed.
#[test]
fn a_healthy_registry_has_169_series_per_node() {
    let metrics = metrics();
    metrics.record(&run(vec![healthy()]));
    assert_eq!(scrape(&metrics).of(LOGIN, None).len(), 169);
}

/// A check that passes and has a value for every series.
pub(super) fn healthy() -> ImageResult {
    let mut healthy = rich();
    healthy.name = None;
    healthy.diagnoses.clear();
    healthy.observation.resolutions.retain(|seen| seen.resolver == Resolver::System);
    healthy
}

/// Samples with a label value outside its closed set.
fn strays(scrape: &Scrape) -> Vec<&Sample> {
    let of = |sample: &Sample, label: &str, value: &str| match label {
        "node" => value == NODE,
        "registry" => value == LOGIN,
        "image" => ["canary", "base"].contains(&value),
        "verdict" => Verdict::ALL.iter().any(|verdict| verdict.as_str() == value),
        "endpoint" => Endpoint::ALL.iter().any(|endpoint| endpoint.as_str() == value),
        "stage" => Endpoint::ALL.iter().any(|&at| Stage::of(at).iter().any(|stage| stage.as_str() == value)),
        "cause" => Cause::ALL.iter().any(|cause| cause.code() == value),
        "severity" => ["fail", "warn", "unknown"].contains(&value),
        "resolver" => ["system", "cluster", "azure"].contains(&value),
        "scope" => Scope::ALL.iter().any(|scope| scope.as_str() == value),
        "code" => CODES.contains(&value),
        "result" => EventResult::ALL.iter().any(|result| result.as_str() == value),
        "le" => sample.name.ends_with("_bucket") && value.parse::<f64>().is_ok(),
        "credentials" => ["secret", "anonymous", "managed_identity", "workload_identity"].contains(&value),
        "pool" => value == "np1",
        "zone" => value == "westeurope-1",
        "network_view" => value == "node",
        "version" | "revision" => sample.name == "acr_verifier_build_info",
        _ => false,
    };
    let stray = |sample: &&Sample| sample.labels.iter().any(|(label, value)| !of(sample, label, value));
    scrape.samples.iter().filter(stray).collect()
}

prop_compose! {
    /// A check with arbitrary external values.
    fn check()(
        name in prop::option::of(prop::sample::select(vec!["canary", "base"])),
        causes in prop::collection::vec((0..Cause::ALL.len(), "\\PC{0,30}"), 0..7),
        requests in prop::collection::vec((0..REQUESTING.len(), prop::option::of(any::<u16>())), 0..12),
        addresses in prop::collection::vec(any::<u32>(), 0..4),
    ) -> ImageResult {
        let mut checked = rich();
        checked.name = name.map(str::to_owned);
        checked.diagnoses = causes
            .into_iter()
            .flat_map(|(cause, message)| {
                places(Cause::ALL[cause]).into_iter().map(move |place| Diagnosis { message: message.clone(), ..place })
            })
            .collect();
        let observation = &mut checked.observation;
        observation.requests =
            requests.into_iter().map(|(stage, status)| request(REQUESTING[stage], status)).collect();
        for seen in &mut observation.resolutions {
            if let Lookup::Answered(answer) = &mut seen.a {
                answer.addresses = addresses.iter().map(|&bits| IpAddr::V4(Ipv4Addr::from(bits))).collect();
            }
        }
        checked
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_check_adds_label_values_or_exceeds_the_budget(
        runs in prop::collection::vec(prop::collection::vec(check(), 1..4), 1..6),
    ) {
        let metrics = metrics();
        for images in runs {
            metrics.record(&run(images));
            let scrape = scrape(&metrics);
            prop_assert_eq!(strays(&scrape), Vec::<&Sample>::new());
            for image in [None, Some("canary"), Some("base")] {
                let count = scrape.of(LOGIN, image).len();
                prop_assert!(count <= BUDGET, "{} series", count);
            }
            let series: BTreeSet<_> = scrape.samples.iter().map(|seen| (&seen.name, &seen.labels)).collect();
            prop_assert_eq!(series.len(), scrape.samples.len(), "duplicate series");
        }
    }
}
