//! What a hostile peer says back: the secrets that it was sent are taken out of everything that it could say.
//!
//! Owns the list of the places where a peer's own words get into an observation, and the moment at which they become text
//! that may be shown: at the end, when all secrets are known. Names and records of nameservers stay as they came, because
//! the rules judge by them; where a peer chooses a name, `registry` refuses it. What is picked out of a text is picked
//! after its secrets are out of it, where it is read.

use super::wire::correlation_id;
use crate::observation::{
    Answer, Certificate, ExtendedError, Failure, Fault, Lookup, Observation, PlatformMismatch, TlsFailure,
    TlsSession,
};
use crate::secret::Redactor;

/// Takes the secrets out of what a check saw and of what ended it, and cuts what is left.
pub(super) fn silence(redactor: &Redactor, observation: &mut Observation, failure: Option<&mut Failure>) {
    let show = |text: &mut String| *text = redactor.show(text);
    // By name, so that what is added later has to be put on one of the two sides.
    let Observation {
        resolutions,
        tls,
        // Numbers, digests, our own words, and names that were judged.
        marks: _,
        attempts: _,
        requests: _,
        credentials_expire_at: _,
        credentials: _,
        rejected_entries: _,
        token: _,
        manifest: _,
        blob: _,
        failure: _,
        duration: _,
        platform_mismatch,
        correlation_id: id,
    } = observation;
    platform_mismatch.iter_mut().map(|PlatformMismatch { found, wanted: _ }| found).for_each(show);
    *id = id.take().and_then(|id| correlation_id(&redactor.show(&id)));
    for TlsSession { certificate, endpoint: _, address: _, version: _ } in tls {
        let Some(certificate) = certificate else { continue };
        let Certificate { subject, issuer, names, chain_issuers, not_before: _, not_after: _ } = certificate;
        [subject, issuer].into_iter().chain(names).chain(chain_issuers).for_each(show);
    }
    for resolution in resolutions {
        for lookup in [&mut resolution.a, &mut resolution.aaaa] {
            let errors = match lookup {
                Lookup::Answered(answer) => &mut answer.extended_errors,
                Lookup::Failed(failure) => &mut failure.extended_errors,
            };
            errors.iter_mut().map(|ExtendedError { text, code: _ }| text).for_each(show);
        }
    }
    match failure.map(|failure| &mut failure.fault) {
        Some(Fault::Answer(answer)) => {
            let Answer {
                codes,
                message,
                challenge_error,
                correlation_id: id,
                status: _,
                retry_after: _,
                seen_address: _,
                sender: _,
                reason: _,
            } = answer;
            codes.iter_mut().chain(message).chain(challenge_error).chain(id).for_each(show);
        }
        Some(Fault::Tls(TlsFailure::Handshake(text))) => show(text),
        Some(Fault::UntrustedRealm { realm: text, reason: _ }) => show(text),
        Some(
            Fault::UntrustedRedirect { target: text, reason: _ } | Fault::StorageRedirect { host: text },
        ) => {
            show(text);
        }
        Some(Fault::ManifestInvalid { reason } | Fault::NotARegistry { reason, status: _ }) => show(reason),
        Some(Fault::PlatformMissing { found, wanted: _ }) => found.iter_mut().for_each(show),
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
            | Fault::CredentialsMissing { .. }
            | Fault::CredentialsInvalid { .. }
            | Fault::DigestMismatch { .. },
        )
        | None => {}
    }
}

#[cfg(test)]
mod tests;
