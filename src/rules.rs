//! Turns an observation into diagnoses: pure, deterministic, and total over every kind of failure.
//!
//! Owns the decision table. A new cause is detected here: findings about names and addresses get their cause in [`dns`],
//! connections and certificates in [`transport`], the registry's responses in [`registry`], credentials in [`credentials`],
//! identities in [`identity`].
//! Remedies are in `cause`.

mod credentials;
mod dns;
pub(crate) mod dns_failure;
mod identity;
mod registry;
mod resolvers;
mod transport;

use std::time::Duration;

use jiff::Timestamp;

use crate::address::{AddressPolicy, NameserverAddress};
use crate::cause::{Cause, Names};
use crate::diagnosis::Diagnosis;
use crate::findings::{Finding, Findings};
use crate::image::ImageReference;
use crate::observation::{Endpoint, Failure, Fault, IdentityFault, Observation, Stage};
use crate::verdict::Severity;

pub(crate) use registry::quoted;

/// How long before certificates and credentials expire to warn about them.
pub const WARN_BEFORE: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// What an observation is evaluated against.
#[derive(Debug, Clone)]
pub struct Expectation {
    /// The image to pull.
    pub image: ImageReference,
    /// Which addresses are accepted.
    pub policy: AddressPolicy,
    /// The time of the check.
    pub now: Timestamp,
}

/// Diagnoses an observation and the findings about its names. The first diagnosis is the cause of the verdict; an empty list
/// means pass.
#[must_use]
pub fn diagnose(expectation: &Expectation, observation: &Observation, findings: &Findings) -> Vec<Diagnosis> {
    let mut diagnoses = Vec::new();
    for endpoint in Endpoint::ALL {
        diagnoses.extend(dns::diagnoses(&expectation.image, endpoint, &observation.node_cache, findings));
        diagnoses.extend(transport::diagnoses(expectation, endpoint, observation));
    }
    if let Some(failure) = &observation.failure {
        if let (Fault::DeadlineExceeded { .. }, Stage::Dns) = (&failure.fault, failure.stage) {
            // The queries hit the overall timeout, not the per-stage timeout: a DNS timeout would be the wrong cause.
            diagnoses.retain(|diagnosis| {
                diagnosis.severity != Severity::Fail
                    || (diagnosis.endpoint, diagnosis.stage) != (failure.endpoint, Stage::Dns)
            });
        }
        diagnoses.extend(explain(expectation, failure, observation));
    }
    blame_stale_addresses(&mut diagnoses, findings);
    diagnoses.extend(credentials::warn(expectation, observation));
    diagnoses.extend(identity::warn(expectation, observation));
    diagnoses.extend(registry::warn_of_platform(expectation, observation));
    // Stable sort: diagnoses of the same stage keep the order of the observation.
    diagnoses.sort_by_key(|diagnosis| (diagnosis.severity, diagnosis.endpoint, diagnosis.stage));
    diagnoses
}

/// Makes an outdated answer of the node's cache the cause if its address cannot be connected to, or is no longer the registry's.
fn blame_stale_addresses(diagnoses: &mut [Diagnosis], findings: &Findings) {
    for endpoint in Endpoint::ALL {
        let is_outdated =
            |finding: &Finding| matches!(finding, Finding::StaleCache(stale) if stale.differs());
        let is_failure = |diagnosis: &Diagnosis| {
            diagnosis.endpoint == endpoint
                && diagnosis.severity == Severity::Fail
                && (Stage::Connect..=Stage::Challenge).contains(&diagnosis.stage)
        };
        if findings.names_of(endpoint).any(|name| name.findings.iter().any(is_outdated))
            && diagnoses.iter().any(is_failure)
        {
            let of_cache = diagnoses.iter_mut().filter(|diagnosis| {
                (diagnosis.endpoint, diagnosis.cause) == (endpoint, Cause::NodeCacheStale)
            });
            of_cache.for_each(|diagnosis| diagnosis.severity = Severity::Fail);
        }
    }
}

/// Explains the failure that ended the check, except for names and addresses.
fn explain(expectation: &Expectation, failure: &Failure, observation: &Observation) -> Option<Diagnosis> {
    let case = Case { expectation, failure, observation };
    let (cause, message) = match &failure.fault {
        // The attempts already have their diagnoses, one for each cause.
        Fault::NotConnected if transport::attempts_explain(failure.endpoint, observation) => return None,
        Fault::NotConnected => (Cause::NetworkUnreachable, transport::explain_unconnected(&case)),
        Fault::Tls(tls) => transport::explain_tls(&case, tls),
        Fault::ResponseTimeout { limit } => {
            (Cause::ResponseTimeout, transport::explain_timeout(&case, *limit))
        }
        Fault::ConnectionReset => (Cause::ConnectionReset, transport::explain_reset(&case)),
        Fault::DeadlineExceeded { limit } => {
            (Cause::DeadlineExceeded, transport::explain_deadline(&case, *limit))
        }
        Fault::Answer(answer) => registry::explain_answer(&case, answer),
        Fault::NotARegistry { status, reason } => registry::explain_foreign(&case, *status, reason),
        Fault::UntrustedRealm { realm, reason } => registry::explain_realm(&case, realm, reason),
        Fault::UntrustedRedirect { target, reason } => registry::explain_redirect(&case, target, reason),
        Fault::StorageRedirect { host } => registry::explain_storage(&case, host),
        Fault::CredentialsMissing { searched } => {
            let refused = "and the registry does not allow anonymous pulls of this repository";
            (Cause::CredentialsMissing, sentence(&format!("{searched}, {refused}")))
        }
        Fault::CredentialsInvalid { reason } => (Cause::CredentialsInvalid, sentence(reason)),
        Fault::Identity(fault) => identity::explain_fault(&case, fault),
        Fault::ManifestInvalid { reason } => registry::explain_manifest(&case, reason),
        Fault::DigestMismatch { expected, found } => registry::explain_digest(&case, expected, found),
        Fault::PlatformMissing { wanted, found } => registry::explain_platform(&case, wanted, found),
    };
    let mut diagnosis =
        diagnosis(&expectation.image, cause, (failure.endpoint, failure.stage), case.host(), None, message);
    if cause == Cause::CredentialsRejected {
        credentials::fit_advice(expectation, observation, &mut diagnosis);
    }
    if matches!(failure.fault, Fault::Identity(_))
        || matches!(cause, Cause::PullRoleMissing | Cause::ScopeMissing)
    {
        identity::fit_advice(&case, &mut diagnosis);
    }
    diagnosis.correlation_id = correlation_id(&failure.fault, observation).cloned();
    Some(diagnosis)
}

/// Returns the correlation id of the failing response. A failure without one, such as missing credentials, has no id: the last
/// response was good, and Azure support would find nothing under its id.
const fn correlation_id<'facts>(
    fault: &'facts Fault,
    observation: &'facts Observation,
) -> Option<&'facts String> {
    match fault {
        Fault::Answer(answer) => answer.correlation_id.as_ref(),
        Fault::Identity(IdentityFault::Rejected(error)) => error.correlation_id.as_ref(),
        // The id is reset with each request.
        Fault::ResponseTimeout { .. }
        | Fault::ConnectionReset
        | Fault::NotARegistry { .. }
        | Fault::UntrustedRealm { .. }
        | Fault::UntrustedRedirect { .. }
        | Fault::StorageRedirect { .. }
        | Fault::ManifestInvalid { .. }
        | Fault::DigestMismatch { .. } => observation.correlation_id.as_ref(),
        Fault::NotConnected
        | Fault::Tls(_)
        | Fault::DeadlineExceeded { .. }
        | Fault::CredentialsMissing { .. }
        | Fault::CredentialsInvalid { .. }
        | Fault::Identity(_)
        | Fault::PlatformMissing { .. } => None,
    }
}

/// The facts available to a message about a failure.
struct Case<'facts> {
    expectation: &'facts Expectation,
    failure: &'facts Failure,
    observation: &'facts Observation,
}

impl<'facts> Case<'facts> {
    /// Returns the host of the failing endpoint, if known.
    fn host(&self) -> Option<&'facts str> {
        host_of(self.observation, self.failure.endpoint)
    }

    /// Returns the host of the responding endpoint and its address.
    fn peer(&self) -> String {
        // Without a redirect, the blob was requested from the login server.
        let attempts = self.observation.attempts.iter().rev().filter(|attempt| attempt.failure.is_none());
        let attempt = attempts
            .clone()
            .find(|attempt| attempt.endpoint == self.failure.endpoint)
            .or_else(|| attempts.clone().next());
        match attempt {
            Some(attempt) => {
                let host = host_of(self.observation, attempt.endpoint)
                    .unwrap_or_else(|| self.expectation.image.host());
                format!("{host} at {}", attempt.address)
            }
            None => self.host().unwrap_or_else(|| self.expectation.image.host()).to_owned(),
        }
    }
}

/// Returns the name last resolved for an endpoint; for the data endpoint, this is the redirect's host.
fn host_of(observation: &Observation, endpoint: Endpoint) -> Option<&str> {
    let mut hosts = observation.resolutions.iter().rev().filter(|resolution| resolution.endpoint == endpoint);
    hosts.next().map(|resolution| resolution.host.as_str())
}

/// Builds a diagnosis with the severity, remedy and commands of its cause.
fn diagnosis(
    image: &ImageReference,
    cause: Cause,
    (endpoint, stage): (Endpoint, Stage),
    host: Option<&str>,
    nameserver: Option<&NameserverAddress>,
    message: String,
) -> Diagnosis {
    Diagnosis {
        cause,
        severity: cause.severity(),
        stage,
        endpoint,
        message,
        remedy: cause.remedy_at(endpoint).to_owned(),
        commands: cause.commands(&Names::new(image, endpoint, host, nameserver)),
        correlation_id: None,
    }
}

/// Turns a phrase into a sentence.
fn sentence(phrase: &str) -> String {
    let phrase = phrase.trim_end_matches('.');
    let mut characters = phrase.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", characters.as_str())
}
