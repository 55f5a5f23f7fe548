//! The exposed metrics match their declarations: names, types, labels and help texts are pinned.

use std::collections::BTreeSet;

use acr_verifier::cause::Cause;
use acr_verifier::diagnosis::Diagnosis;
use acr_verifier::metrics::{FAMILIES, Metrics, write_reference};
use acr_verifier::observation::{Endpoint, Request, Resolver, Stage};
use acr_verifier::path_check::PathStatus;
use acr_verifier::run::ImageResult;
use acr_verifier::transition::EventResult;
use acr_verifier::verdict::Severity;

use super::{metrics, run, scrape};
use crate::report::samples;

/// A check that sets every metric.
pub(super) fn rich() -> ImageResult {
    let mut checked = samples::certificate_expiring();
    checked.name = Some("canary".to_owned());
    let observation = &mut checked.observation;
    observation.credentials_expire_at = Some("2027-05-01T00:00:00Z".parse().expect("a moment"));
    let request = |endpoint, stage, status| Request { endpoint, stage, status: Some(status) };
    observation.requests = vec![
        request(Endpoint::Login, Stage::Challenge, 401),
        request(Endpoint::Login, Stage::Token, 200),
        request(Endpoint::Login, Stage::Manifest, 200),
        request(Endpoint::Login, Stage::Manifest, 200),
        request(Endpoint::Login, Stage::Blob, 307),
        request(Endpoint::Data, Stage::Blob, 200),
    ];
    for name in ["cluster", "azure"] {
        for endpoint in Endpoint::ALL {
            let asked = observation.resolutions.iter().find(|seen| seen.endpoint == endpoint);
            let mut compared = asked.expect("both endpoints were resolved").clone();
            compared.resolver = Resolver::Compared(name.to_owned());
            observation.resolutions.push(compared);
        }
    }
    checked
}

/// A failed check of the same registry.
fn failing() -> ImageResult {
    let mut checked = samples::credentials_rejected();
    checked.observation.requests =
        vec![Request { endpoint: Endpoint::Login, stage: Stage::Token, status: None }];
    checked
}

pub(super) fn diagnosis(cause: Cause, severity: Severity, endpoint: Endpoint, stage: Stage) -> Diagnosis {
    Diagnosis {
        cause,
        severity,
        stage,
        endpoint,
        message: "It answers with 20.45.122.144, sha256:0d1b2f6a.".to_owned(),
        remedy: "Fix it.".to_owned(),
        commands: Vec::new(),
        correlation_id: None,
    }
}

/// The metrics of an agent after every kind of result.
pub(super) fn experienced() -> Metrics {
    let metrics = metrics();
    metrics.record_reload(true, "2026-11-23T02:00:00Z".parse().expect("a moment"));
    metrics.record_event(EventResult::Published);
    metrics.record(&run(vec![rich(), failing()]));
    metrics.record_paths(&[PathStatus {
        image: rich().image,
        name: rich().name,
        checked_at: "2026-11-23T02:01:00Z".parse().expect("a moment"),
        is_changed: false,
        is_outdated: false,
        causes: Vec::new(),
    }]);
    metrics
}

#[test]
fn the_reference_is_pinned() {
    let mut reference = Vec::new();
    write_reference(&mut reference).expect("writing to memory cannot fail");
    let reference = String::from_utf8(reference).expect("text");
    expectorate::assert_contents("tests/golden/metrics/reference.md", &reference);
}

/// Without the process metrics, which belong to the library and vary.
#[test]
fn a_whole_scrape_is_pinned() {
    let text = String::from_utf8(experienced().encode()).expect("text");
    let ours: String =
        text.lines().filter(|line| !line.contains("process_")).map(|line| format!("{line}\n")).collect();
    expectorate::assert_contents("tests/golden/metrics/scrape.prom", &ours);
}

#[test]
fn exactly_the_declared_metrics_are_exposed() {
    let scrape = scrape(&experienced());
    let declared: BTreeSet<&str> = FAMILIES.iter().map(|family| family.name).collect();
    assert_eq!(declared.len(), FAMILIES.len(), "duplicate name");
    let exposed: BTreeSet<&str> =
        scrape.kinds.keys().map(String::as_str).filter(|name| !name.starts_with("process_")).collect();
    assert_eq!(exposed, declared);
    for family in &FAMILIES {
        assert_eq!(scrape.kinds[family.name], family.kind.as_str());
        assert_eq!(scrape.help[family.name], family.help);
        assert!(family.help.ends_with('.'), "not a sentence: {}", family.help);
        let declared: BTreeSet<&str> = family.subject.labels().iter().chain(family.labels).copied().collect();
        let suffixes =
            if family.kind.as_str() == "histogram" { &["_bucket", "_sum", "_count"][..] } else { &[""] };
        for suffix in suffixes {
            let samples = scrape.all(&format!("{}{suffix}", family.name), &[]);
            assert!(!samples.is_empty(), "{}{suffix} is never exposed", family.name);
            for sample in samples {
                let mut labels: BTreeSet<&str> = sample.labels.keys().map(String::as_str).collect();
                labels.remove("le");
                // Only on series of named images; otherwise absent, not empty.
                let may_lack = declared.contains("image") && !labels.contains("image");
                if may_lack {
                    labels.insert("image");
                }
                assert_eq!(labels, declared, "{sample:?}");
            }
        }
    }
}

#[test]
fn process_metrics_are_exposed() {
    let scrape = scrape(&metrics());
    for name in ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"] {
        assert!(scrape.value(name, &[]).is_some(), "{name}");
    }
    assert_eq!(
        scrape.value("acr_verifier_build_info", &[("version", "0.1.0"), ("revision", "7c43e5d")]),
        Some(1.0)
    );
}
