//! Evaluates and diagnoses an observation, as a check does at its end.

use acr_verifier::address::AddressPolicy;
use acr_verifier::diagnosis::Diagnosis;
use acr_verifier::findings::{Comparisons, Findings};
use acr_verifier::observation::Observation;
use acr_verifier::rules::{self, Expectation};
use acr_verifier::run::{Extent, ImageResult};
use proptest::prelude::*;

use super::{expectation, observation};

/// Returns the findings about the names of an observation.
pub(crate) fn evaluate(expectation: &Expectation, observation: &Observation) -> Findings {
    let mut findings = Findings::default();
    findings.evaluate(&expectation.image, &expectation.policy, observation);
    findings.compare(&expectation.policy, observation);
    findings
}

/// Returns how the answers of all resolvers compare.
pub(crate) fn comparisons(observation: &Observation) -> Comparisons {
    let mut findings = Findings::default();
    findings.compare(&AddressPolicy::default(), observation);
    findings.comparisons()
}

/// Evaluates the names of an observation and diagnoses it.
pub(crate) fn diagnose(expectation: &Expectation, observation: &Observation) -> Vec<Diagnosis> {
    rules::diagnose(expectation, observation, &evaluate(expectation, observation))
}

/// A check with the diagnoses of the rules.
pub(crate) fn checked() -> impl Strategy<Value = ImageResult> {
    (expectation(), observation(), any::<bool>()).prop_map(|(expectation, observation, blob_requested)| {
        let findings = evaluate(&expectation, &observation);
        ImageResult {
            started_at: jiff::Timestamp::UNIX_EPOCH,
            is_kept: false,
            extent: Extent::Whole,
            diagnoses: rules::diagnose(&expectation, &observation, &findings),
            comparisons: findings.comparisons(),
            image: expectation.image,
            name: None,
            blob_requested,
            policy: expectation.policy,
            observation,
        }
    })
}
