//! What a hostile peer says back: the secrets that it was sent are taken out of everything that it could say.
//!
//! Owns the list of the places where a peer's own words get into an observation. Names and records of nameservers stay as
//! they came, because the rules judge by them; where a peer chooses a name, `registry` refuses it. Texts that are cut
//! are redacted before that, where they are read.

use crate::observation::{Answer, Certificate, Failure, Fault, Lookup, Observation, TlsFailure};
use crate::secret::Redactor;

/// Takes the secrets out of what a check saw and of what ended it.
pub(super) fn silence(redactor: &Redactor, observation: &mut Observation, failure: Option<&mut Failure>) {
    let hide = |text: &mut String| {
        if redactor.finds(text) {
            *text = redactor.apply(text);
        }
    };
    for certificate in observation.tls.iter_mut().filter_map(|session| session.certificate.as_mut()) {
        let Certificate { subject, issuer, names, chain_issuers, not_before: _, not_after: _ } = certificate;
        [subject, issuer].into_iter().chain(names).chain(chain_issuers).for_each(hide);
    }
    for resolution in &mut observation.resolutions {
        for lookup in [&mut resolution.a, &mut resolution.aaaa] {
            let errors = match lookup {
                Lookup::Answered(answer) => &mut answer.extended_errors,
                Lookup::Failed(failure) => &mut failure.extended_errors,
            };
            errors.iter_mut().map(|error| &mut error.text).for_each(hide);
        }
    }
    match failure.map(|failure| &mut failure.fault) {
        Some(Fault::Answer(answer)) => {
            let Answer { codes, message, challenge_error, correlation_id, .. } = answer;
            codes.iter_mut().chain(message).chain(challenge_error).chain(correlation_id).for_each(hide);
        }
        Some(Fault::Tls(TlsFailure::Handshake(text))) => hide(text),
        Some(Fault::UntrustedRealm { realm: text, .. }) => hide(text),
        Some(Fault::UntrustedRedirect { target: text, .. } | Fault::StorageRedirect { host: text }) => {
            hide(text);
        }
        Some(Fault::ManifestInvalid { reason }) => hide(reason),
        Some(Fault::PlatformMissing { found, .. }) => found.iter_mut().for_each(hide),
        // Our own words, or digests.
        Some(
            Fault::Tls(
                TlsFailure::Untrusted
                | TlsFailure::NameMismatch
                | TlsFailure::Expired
                | TlsFailure::NotYetValid,
            )
            | Fault::NotConnected
            | Fault::ResponseTimeout { .. }
            | Fault::ConnectionReset
            | Fault::DeadlineExceeded { .. }
            | Fault::NotARegistry { .. }
            | Fault::CredentialsMissing { .. }
            | Fault::CredentialsInvalid { .. }
            | Fault::DigestMismatch { .. },
        )
        | None => {}
    }
}
