//! Redacts echoed secrets: a hostile peer could repeat the secrets that it received.
//!
//! Owns the list of fields that contain a peer's own text, and the moment at which they become safe to show: at the end, when
//! all secrets are known. DNS names and records are redacted last, together with the diagnoses, because the rules need the
//! originals. If a peer chooses a name to be resolved, `registry` rejects it when it contains a secret. Text is redacted
//! before anything is extracted from it.

use super::protocol::correlation_id;
use crate::diagnosis::Diagnosis;
use crate::findings::Findings;
use crate::observation::{
    Answer, Certificate, DnsFailure, DnsFailureKind, EntraError, ExtendedError, Failure, Fault,
    IdentityFailure, IdentityFault, Lookup, Observation, PlatformMismatch, Proxied, Record, RecordData,
    Resolution, ServiceFault, TlsFailure, TlsSession,
};
use crate::text::redact::Redactor;

/// Redacts the observation and its failure, and truncates the remaining text.
pub(super) fn redact_observation(
    redactor: &Redactor,
    observation: &mut Observation,
    failure: Option<&mut Failure>,
) {
    let show = |text: &mut String| *text = redactor.show(text);
    // Exhaustive, so that a new field must be classified.
    let Observation {
        resolutions,
        tls,
        // Numbers, digests, our own text, and names that were evaluated.
        marks: _,
        attempts: _,
        requests: _,
        credentials_expire_at: _,
        credentials: _,
        // Checked for their form.
        identity: _,
        rejected_entries: _,
        token: _,
        manifest: _,
        blob: _,
        failure: _,
        duration: _,
        platform_mismatch,
        identity_failure,
        // The node's own files.
        mirrors: _,
        proxied,
        correlation_id: id,
        // Addresses, and the names that were queried.
        node_cache: _,
    } = observation;
    platform_mismatch.iter_mut().map(|PlatformMismatch { found, wanted: _ }| found).for_each(show);
    let show_id =
        |id: &mut Option<String>| *id = id.take().and_then(|id| correlation_id(&redactor.show(&id)));
    show_id(id);
    for TlsSession { certificate, endpoint: _, address: _, version: _, trusted_by: _ } in tls {
        let Some(certificate) = certificate else { continue };
        let Certificate { subject, issuer, names, chain_issuers, not_before: _, not_after: _ } = certificate;
        [subject, issuer].into_iter().chain(names).chain(chain_issuers).for_each(show);
    }
    for Proxied { host, endpoint: _, proxy: _ } in proxied {
        show(host);
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
    if let Some(IdentityFailure { failure, correlation_id: id, token: _ }) = identity_failure {
        show_id(id);
        redact_fault(redactor, &mut failure.fault);
    }
    if let Some(failure) = failure {
        redact_fault(redactor, &mut failure.fault);
    }
}

fn redact_fault(redactor: &Redactor, fault: &mut Fault) {
    let show = |text: &mut String| *text = redactor.show(text);
    match fault {
        Fault::Answer(answer) => {
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
                get_status: _,
            } = answer;
            codes.iter_mut().chain(message).chain(challenge_error).chain(id).for_each(show);
        }
        Fault::Tls(TlsFailure::Handshake(text))
        | Fault::UntrustedRealm { realm: text, reason: _ }
        | Fault::UntrustedRedirect { target: text, reason: _ }
        | Fault::StorageRedirect { host: text }
        | Fault::ManifestInvalid { reason: text }
        | Fault::NotARegistry { reason: text, status: _ } => show(text),
        Fault::PlatformMissing { found, wanted: _ } => found.iter_mut().for_each(show),
        Fault::Identity(fault) => redact_identity_fault(redactor, fault),
        // Our own words, or digests.
        Fault::Tls(
            TlsFailure::Untrusted | TlsFailure::NameMismatch | TlsFailure::Expired | TlsFailure::NotYetValid,
        )
        | Fault::NotConnected
        | Fault::ResponseTimeout { .. }
        | Fault::ConnectionReset
        | Fault::DeadlineExceeded { .. }
        | Fault::CredentialsMissing { .. }
        | Fault::CredentialsInvalid { .. }
        | Fault::DigestMismatch { .. } => {}
    }
}

fn redact_identity_fault(redactor: &Redactor, fault: &mut IdentityFault) {
    let show = |text: &mut String| *text = redactor.show(text);
    match fault {
        IdentityFault::NotFound { message } => message.iter_mut().for_each(show),
        IdentityFault::Rejected(EntraError { error, message, numbers: _, correlation_id: _ }) => {
            std::iter::once(error).chain(message).for_each(show);
        }
        IdentityFault::WithoutRead { actions } => actions.iter_mut().for_each(show),
        IdentityFault::NoToken { fault, service: _, host: _ } => match fault {
            ServiceFault::Answer { error, status: _, is_page: _ } => error.iter_mut().for_each(show),
            ServiceFault::Tls(TlsFailure::Handshake(text)) => show(text),
            ServiceFault::Tls(
                TlsFailure::Untrusted
                | TlsFailure::NameMismatch
                | TlsFailure::Expired
                | TlsFailure::NotYetValid,
            )
            | ServiceFault::NotResolved { .. }
            | ServiceFault::NotConnected(_)
            | ServiceFault::NoResponse { .. }
            | ServiceFault::Closed
            | ServiceFault::Unusable { .. } => {}
        },
        // Our own words.
        IdentityFault::NotInjected { .. } => {}
    }
}

/// Redacts the copies of a nameserver's text in the findings.
pub(super) fn redact_findings(redactor: &Redactor, findings: &mut Findings) {
    // Names are redacted last, with the diagnoses.
    for DnsFailure { extended_errors, kind: _ } in findings.failures_mut() {
        for ExtendedError { text, code: _ } in extended_errors {
            *text = redactor.show(text);
        }
    }
}

/// Redacts the names in DNS answers, and the diagnoses that quote them.
pub(super) fn hide_names(redactor: &Redactor, observation: &mut Observation, diagnoses: &mut [Diagnosis]) {
    let mut hidden: Vec<(String, String)> = Vec::new();
    let mut hide = |host: &str, name: &mut String| {
        // The queried name is ours, not part of an answer.
        let is_asked = name.trim_end_matches('.').eq_ignore_ascii_case(host);
        let shown = if is_asked { name.clone() } else { without_secrets(redactor, name) };
        if shown != *name {
            let pair = (name.trim_end_matches('.').to_owned(), shown.trim_end_matches('.').to_owned());
            hidden.push(pair);
            *name = shown;
        }
    };
    for Resolution { host, a, aaaa, endpoint: _, resolver: _, server: _, tcp_only: _, duration: _ } in
        &mut observation.resolutions
    {
        for lookup in [a, aaaa] {
            match lookup {
                Lookup::Answered(answer) => {
                    for Record { name, data, ttl: _ } in &mut answer.chain {
                        hide(host, name);
                        match data {
                            RecordData::Cname(target) => hide(host, target),
                            RecordData::Address(_) => {}
                        }
                    }
                    answer.soa_owner.iter_mut().for_each(|owner| hide(host, owner));
                }
                Lookup::Failed(failure) => {
                    if let DnsFailureKind::CnameLoop(name) = &mut failure.kind {
                        hide(host, name);
                    }
                }
            }
        }
    }
    // A name that contains another is replaced first.
    hidden.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    for diagnosis in diagnoses {
        for text in std::iter::once(&mut diagnosis.message).chain(&mut diagnosis.commands) {
            for (name, shown) in &hidden {
                if text.contains(name.as_str()) {
                    *text = text.replace(name, shown);
                }
            }
        }
    }
}

/// Redacts a name, including secrets that are escaped or spread over several labels.
fn without_secrets(redactor: &Redactor, name: &str) -> String {
    let plain = unescaped(name);
    let joined: String = plain.split('.').collect();
    if plain == name && redactor.finds(name) {
        return redactor.take_out(name);
    }
    if [name, &plain, &joined].into_iter().any(|text| redactor.finds(text)) {
        return "[redacted].".to_owned();
    }
    name.to_owned()
}

/// Decodes a name in zone file notation: `\.` is a dot, `\032` a space (RFC 1035, section 5.1).
fn unescaped(name: &str) -> String {
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        let number = || std::str::from_utf8(behind.get(..3)?).ok()?.parse::<u8>().ok();
        match (byte, behind.first()) {
            (b'\\', Some(b'0'..=b'9')) if let Some(number) = number() => {
                plain.push(number);
                rest = &behind[3..];
            }
            (b'\\', Some(&escaped)) => {
                plain.push(escaped);
                rest = &behind[1..];
            }
            _ => plain.push(byte),
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests;
