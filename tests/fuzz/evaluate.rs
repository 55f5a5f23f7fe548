//! Invariants of every observation and every probe for any input: it has a diagnosis or a verdict, and its report is readable.

use std::sync::LazyLock;
use std::time::Duration;

use acr_verifier::findings::Findings;
use acr_verifier::image::ImageReference;
use acr_verifier::observation::Observation;
use acr_verifier::probe::fuzz::{LOGIN, PLANTED, PartialCheck};
use acr_verifier::public_endpoint::{ExposureRun, Probe, RegistryExposure};
use acr_verifier::report::{self, Details, Format, Style, exposure};
use acr_verifier::rules::{Expectation, diagnose};
use acr_verifier::run::{CheckRun, Extent, ImageResult, NetworkView};
use jiff::Timestamp;

/// Far above the longest report for one image.
const LONGEST_REPORT: usize = 256 * 1024;
/// A token that nothing sent, in the seeds of answers of public endpoints.
const TOKEN: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0aWQiOiI3MmY5ODhiZiJ9.c2lnbmF0dXJl";
const STYLE: Style = Style { color: false, unicode: false, width: 80 };

thread_local! {
    /// The context of a check.
    pub static CHECK: PartialCheck = PartialCheck::new();
}

/// The image that is pulled.
pub static IMAGE: LazyLock<ImageReference> =
    LazyLock::new(|| format!("{LOGIN}/apps/canary:1").parse().expect("a reference"));

/// Diagnoses an observation, deterministically, and checks its reports.
pub fn evaluate(observation: Observation) {
    let now = Timestamp::UNIX_EPOCH;
    let expectation = Expectation { image: IMAGE.clone(), policy: Default::default(), now };
    let mut findings = Findings::default();
    findings.evaluate(&expectation.image, &expectation.policy, &observation);
    findings.compare(&expectation.policy, &observation);
    let diagnoses = diagnose(&expectation, &observation, &findings);
    assert_eq!(diagnoses, diagnose(&expectation, &observation, &findings));
    assert!(
        observation.failure.is_none() || !diagnoses.is_empty(),
        "a failure without a diagnosis: {observation:?}"
    );
    let checked = ImageResult {
        started_at: now,
        is_kept: false,
        extent: Extent::Whole,
        image: expectation.image,
        name: None,
        blob_requested: true,
        policy: expectation.policy,
        observation,
        comparisons: findings.comparisons(),
        diagnoses,
    };
    let run = CheckRun {
        node: "aks-np1-0".to_owned(),
        network_view: NetworkView::Node,
        node_files: None,
        started_at: now,
        duration: Duration::from_secs(1),
        configuration: None,
        images: vec![checked],
    };
    for format in [Format::Text, Format::Json, Format::Junit] {
        let mut bytes = Vec::new();
        report::write(&mut bytes, &run, format, Details::All, &STYLE).expect("writing to memory");
        let text = readable(&bytes);
        assert!(!text.contains(PLANTED), "a secret is shown: {text}");
        match format {
            Format::Text => assert!(text.is_ascii(), "{text:?}"),
            Format::Json => drop(serde_json::from_slice::<serde_json::Value>(&bytes).expect("JSON")),
            Format::Junit => assert_is_junit(text),
        }
    }
}

/// Checks the reports about a probe of a public endpoint.
pub fn evaluate_probe(probe: Probe) {
    let registry = RegistryExposure {
        registry: LOGIN.to_owned(),
        name: "contoso".to_owned(),
        is_given: true,
        probes: vec![probe],
    };
    let run = ExposureRun {
        started_at: Timestamp::UNIX_EPOCH,
        duration: Duration::from_secs(1),
        unused_proxy: None,
        loopback_is_public: false,
        registries: vec![registry],
    };
    for format in [exposure::Format::Text, exposure::Format::Json, exposure::Format::Junit] {
        let mut bytes = Vec::new();
        exposure::write(&mut bytes, &run, format, &STYLE).expect("writing to memory");
        let text = readable(&bytes);
        assert!(!text.contains(TOKEN), "a token is shown: {text}");
        match format {
            exposure::Format::Text => assert!(text.is_ascii(), "{text:?}"),
            exposure::Format::Json => {
                drop(serde_json::from_slice::<serde_json::Value>(&bytes).expect("JSON"))
            }
            exposure::Format::Junit => assert_is_junit(text),
        }
    }
}

/// Returns the text of a report that is short and has no control characters.
fn readable(bytes: &[u8]) -> &str {
    assert!(bytes.len() < LONGEST_REPORT, "{} bytes", bytes.len());
    let text = std::str::from_utf8(bytes).expect("text");
    let controls = text.chars().find(|character| character.is_control() && *character != '\n');
    assert!(controls.is_none(), "{controls:?} in {text:?}");
    text
}

fn assert_is_junit(text: &str) {
    assert!(text.starts_with("<?xml") && text.trim_end().ends_with("</testsuites>"));
}
