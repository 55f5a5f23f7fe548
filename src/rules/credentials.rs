//! Explains rejected credentials and warns of credentials that are about to expire.

use std::time::Duration;

use super::{Expectation, WARN_BEFORE, diagnosis};
use crate::cause::{self, Cause, Names};
use crate::diagnosis::Diagnosis;
use crate::image::ImageReference;
use crate::observation::{
    CredentialEvidence, CredentialKind, CredentialsUsed, Endpoint, Failure, Fault, Observation,
    RejectedEntry, Stage,
};
use crate::text::words::{self, list, some_of};

/// Maximum number of entries in a message.
const MAX_NAMED: usize = 3;

/// Returns warnings about credentials that still work.
pub(super) fn warn(expectation: &Expectation, observation: &Observation) -> Vec<Diagnosis> {
    [warn_of_expiry(expectation, observation), warn_of_stale_entry(expectation, observation)]
        .into_iter()
        .flatten()
        .collect()
}

/// Warns of an entry that was rejected before a later one worked: the manifest was reached, so a later failure has nothing to
/// do with credentials.
fn warn_of_stale_entry(expectation: &Expectation, observation: &Observation) -> Option<Diagnosis> {
    let entries = &observation.rejected_entries;
    let failed_at = observation.failure.as_ref().map(|failure| failure.stage);
    if entries.is_empty()
        || observation.manifest.is_none()
        || failed_at.is_some_and(|stage| stage <= Stage::Manifest)
    {
        return None;
    }
    let image = &expectation.image;
    let other = match observation.credentials {
        Some(CredentialsUsed::Anonymous) => "an entry without user name or password, that is, anonymously",
        Some(
            CredentialsUsed::Secret | CredentialsUsed::ManagedIdentity | CredentialsUsed::WorkloadIdentity,
        )
        | None => "a later entry",
    };
    let mut parts = vec![format!(
        "{} rejects the credentials from {}, but pulls work with {other}",
        image.registry(),
        name(entries)
    )];
    parts.extend(shown_by_the_file(entries));
    let message = format!("{}.", parts.join("; "));
    let place = (Endpoint::Login, Stage::Token);
    Some(diagnosis(image, Cause::CredentialsStaleEntry, place, None, None, message))
}

fn warn_of_expiry(expectation: &Expectation, observation: &Observation) -> Option<Diagnosis> {
    let end = observation.credentials_expire_at?;
    let left = Duration::try_from(end.duration_since(expectation.now)).ok();
    if left.is_some_and(|left| left >= WARN_BEFORE) {
        return None;
    }
    // Rejected credentials have their own cause, whose message includes the date.
    let is_rejected = |failure: &Failure| {
        failure.stage == Stage::Token
            && matches!(&failure.fault, Fault::Answer(answer) if answer.status == 401)
    };
    if observation.failure.as_ref().is_some_and(is_rejected) {
        return None;
    }
    let message = match left {
        Some(left) => {
            format!(
                "The credentials for {} expire on {end} (in {}).",
                expectation.image.registry(),
                words::left(left)
            )
        }
        None => format!(
            "The credentials for {} should have expired on {end}, but the registry still accepts them: the configured \
             date is wrong, or they are about to be rejected.",
            expectation.image.registry()
        ),
    };
    let place = (Endpoint::Login, Stage::Token);
    Some(diagnosis(&expectation.image, Cause::CredentialsExpiring, place, None, None, message))
}

/// Describes rejected credentials, without the registry's own words and the full stop: the entries, and the possible reasons
/// for a 401 with credentials of their kind.
pub(super) fn rejected(expectation: &Expectation, observation: &Observation) -> String {
    let image = &expectation.image;
    let entries = &observation.rejected_entries;
    let names = if entries.is_empty() { String::new() } else { format!(" from {}", name(entries)) };
    let ended = observation.credentials_expire_at.filter(|end| *end <= expectation.now);
    let ended = ended.map(|end| format!(" (according to the configuration, they expired on {end})"));
    let mut parts =
        vec![format!("{} rejects the credentials{names}{}", image.registry(), ended.unwrap_or_default())];
    parts.extend(kinds(entries).into_iter().map(|kind| reasons(kind, image).to_owned()));
    if entries.is_empty() {
        parts.push("its response gives no reason".to_owned());
    }
    parts.extend(shown_by_the_file(entries));
    parts.join("; ")
}

/// Returns the evidence in the file about each entry.
fn shown_by_the_file(entries: &[RejectedEntry]) -> Vec<String> {
    let mut parts = Vec::new();
    for entry in entries.iter().take(MAX_NAMED) {
        let shown: Vec<_> = entry.evidence.iter().map(|evidence| describe(*evidence)).collect();
        if !shown.is_empty() {
            parts.push(format!("in {}, {}", entry.entry, list(&shown)));
        }
    }
    parts
}

/// Lists the entries for a sentence.
fn name(entries: &[RejectedEntry]) -> String {
    let names: Vec<&str> = entries.iter().map(|entry| entry.entry.as_str()).collect();
    some_of(&names, MAX_NAMED)
}

/// Adapts the advice of a diagnosis to the kind of the rejected credentials.
pub(super) fn fit_advice(expectation: &Expectation, observation: &Observation, diagnosis: &mut Diagnosis) {
    let Some(entry) = most_telling(&observation.rejected_entries) else { return };
    let names = Names::new(&expectation.image, Endpoint::Login, None, None);
    cause::remedy_of_rejected(entry.kind, &entry.evidence).clone_into(&mut diagnosis.remedy);
    diagnosis.commands = cause::commands_of_rejected(entry.kind, &names);
}

/// Returns the first entry with evidence in the file; otherwise the first that was sent.
fn most_telling(entries: &[RejectedEntry]) -> Option<&RejectedEntry> {
    let with_evidence = entries.iter().find(|entry| !entry.evidence.is_empty());
    let sent = || entries.iter().find(|entry| entry.kind != CredentialKind::Empty);
    with_evidence.or_else(sent).or_else(|| entries.first())
}

/// Returns the kinds of the rejected credentials, each once.
fn kinds(entries: &[RejectedEntry]) -> Vec<CredentialKind> {
    let mut kinds = Vec::new();
    for entry in entries {
        if !kinds.contains(&entry.kind) {
            kinds.push(entry.kind);
        }
    }
    kinds
}

/// Returns the possible reasons for a 401: ACR gives the same answer to all of them.
const fn reasons_at_acr(kind: CredentialKind) -> &'static str {
    match kind {
        CredentialKind::RepositoryToken => {
            "for a repository token, this means a wrong name or password, an expired password, or a disabled token"
        }
        CredentialKind::AdminUser => {
            "for the admin user, this means a regenerated password or a disabled admin user, and for a repository token \
             of the same name, a wrong or expired password or a disabled token"
        }
        CredentialKind::ServicePrincipal => {
            "for a service principal, this means a wrong or expired client secret, a disabled or deleted principal, or \
             one without the AcrPull role on this registry"
        }
        CredentialKind::RefreshToken => {
            "for an ACR refresh token, this means that it has expired (its lifetime is about three hours) or was issued \
             for another registry"
        }
        CredentialKind::Empty => {
            "an entry without user name or password makes the pull anonymous, which the registry rejects"
        }
    }
}

fn reasons(kind: CredentialKind, image: &ImageReference) -> &'static str {
    if image.is_acr() || kind == CredentialKind::Empty {
        reasons_at_acr(kind)
    } else {
        "its response gives no reason: a wrong name or password, an expired password, or a missing permission"
    }
}

const fn describe(evidence: CredentialEvidence) -> &'static str {
    match evidence {
        CredentialEvidence::LineEnd => "the password ends in a newline, as `echo` without `-n` writes it",
        CredentialEvidence::Blank => "the user name or the password begins or ends with whitespace",
        CredentialEvidence::AuthDiffers => {
            "`auth` differs from the fields `username` and `password`, and only `auth` is used"
        }
        CredentialEvidence::NotUtf8 => "the user name or the password is not UTF-8",
    }
}

#[cfg(test)]
mod tests;
