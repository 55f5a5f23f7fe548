//! Credentials: which were rejected and what that can mean, and what is about to expire.

use std::time::Duration;

use super::transport::days;
use super::{Expectation, WARN_BEFORE, diagnosis, list};
use crate::cause::{self, Cause, Names};
use crate::diagnosis::Diagnosis;
use crate::image::ImageReference;
use crate::observation::{
    CredentialEvidence, CredentialKind, CredentialsUsed, Endpoint, Failure, Fault, Observation,
    RejectedEntry, Stage,
};

/// Entries that a message names.
const MAX_NAMED: usize = 3;

/// Warnings about what works today.
pub(super) fn warn(expectation: &Expectation, observation: &Observation) -> Vec<Diagnosis> {
    [warn_of_expiry(expectation, observation), warn_of_stale_entry(expectation, observation)]
        .into_iter()
        .flatten()
        .collect()
}

/// An entry that was rejected before another one let the pull through: the manifest was reached, so whatever failed later is not
/// a matter of credentials.
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
        Some(CredentialsUsed::Anonymous) => "an entry without user name or password, so anonymously",
        Some(
            CredentialsUsed::Secret | CredentialsUsed::ManagedIdentity | CredentialsUsed::WorkloadIdentity,
        )
        | None => "a later entry",
    };
    let mut parts = vec![format!(
        "{} rejects the credentials of {}, and pulls work with {other}",
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
    // Rejected ones have a cause of their own, which tells the date as well.
    let is_rejected = |failure: &Failure| {
        failure.stage == Stage::Token
            && matches!(&failure.fault, Fault::Answer(answer) if answer.status == 401)
    };
    if observation.failure.as_ref().is_some_and(is_rejected) {
        return None;
    }
    let message = match left {
        Some(left) => {
            format!("The credentials for {} end on {end} (in {}).", expectation.image.registry(), days(left))
        }
        None => format!(
            "The credentials for {} should have ended on {end}, and the registry still takes them: the date in the \
             configuration is wrong, or they are about to be refused.",
            expectation.image.registry()
        ),
    };
    let place = (Endpoint::Login, Stage::Token);
    Some(diagnosis(&expectation.image, Cause::CredentialsExpiring, place, None, None, message))
}

/// The sentence about rejected credentials, without the registry's own words and the full stop: which entries, and the reasons
/// that a 401 has for credentials of their kind.
pub(super) fn rejected(expectation: &Expectation, observation: &Observation) -> String {
    let image = &expectation.image;
    let entries = &observation.rejected_entries;
    let names = if entries.is_empty() { String::new() } else { format!(" of {}", name(entries)) };
    let ended = observation.credentials_expire_at.filter(|end| *end <= expectation.now);
    let ended = ended.map(|end| format!(" (according to the configuration they expired on {end})"));
    let mut parts =
        vec![format!("{} rejects the credentials{names}{}", image.registry(), ended.unwrap_or_default())];
    parts.extend(kinds(entries).into_iter().map(|kind| reasons(kind, image).to_owned()));
    if entries.is_empty() {
        parts.push("its answer does not say why".to_owned());
    }
    parts.extend(shown_by_the_file(entries));
    parts.join("; ")
}

/// What the file itself shows about each entry.
fn shown_by_the_file(entries: &[RejectedEntry]) -> Vec<String> {
    let mut parts = Vec::new();
    for entry in entries.iter().take(MAX_NAMED) {
        let shown = entry.evidence.iter().map(|evidence| describe(*evidence).to_owned());
        let shown: Vec<_> = shown.collect();
        if !shown.is_empty() {
            parts.push(format!("in {} {}", entry.entry, list(&shown)));
        }
    }
    parts
}

/// The entries in a sentence.
fn name(entries: &[RejectedEntry]) -> String {
    let mut names: Vec<_> = entries.iter().take(MAX_NAMED).map(|entry| entry.entry.clone()).collect();
    if let Some(left @ 1..) = entries.len().checked_sub(MAX_NAMED) {
        names.push(format!("{left} more"));
    }
    list(&names)
}

/// Puts the advice for the kind of the first rejected credential into a diagnosis.
pub(super) fn fit_advice(expectation: &Expectation, observation: &Observation, diagnosis: &mut Diagnosis) {
    let Some(entry) = most_telling(&observation.rejected_entries) else { return };
    let names = Names::new(&expectation.image, Endpoint::Login, None, None);
    cause::remedy_of_rejected(entry.kind, &entry.evidence).clone_into(&mut diagnosis.remedy);
    diagnosis.commands = cause::commands_of_rejected(entry.kind, &names);
}

/// The first entry about which the file itself shows something; otherwise the first that was sent.
fn most_telling(entries: &[RejectedEntry]) -> Option<&RejectedEntry> {
    let with_evidence = entries.iter().find(|entry| !entry.evidence.is_empty());
    let sent = || entries.iter().find(|entry| entry.kind != CredentialKind::Empty);
    with_evidence.or_else(sent).or_else(|| entries.first())
}

/// The kinds of what was rejected, each once.
fn kinds(entries: &[RejectedEntry]) -> Vec<CredentialKind> {
    let mut kinds = Vec::new();
    for entry in entries {
        if !kinds.contains(&entry.kind) {
            kinds.push(entry.kind);
        }
    }
    kinds
}

/// What a 401 can mean for a kind of credential: the registry gives the same answer to all of it.
const fn reasons_at_acr(kind: CredentialKind) -> &'static str {
    match kind {
        CredentialKind::RepositoryToken => {
            "for a repository token that is a wrong name or password, an expired password, or a disabled token"
        }
        CredentialKind::AdminUser => {
            "for the admin user that is a regenerated password or a disabled admin user, and for a repository token \
             of the same name a wrong or expired password or a disabled token"
        }
        CredentialKind::ServicePrincipal => {
            "for a service principal that is a wrong or expired client secret, a disabled or deleted principal, or a \
             good one without the AcrPull role on this registry"
        }
        CredentialKind::RefreshToken => {
            "for a refresh token of Entra ID that is one that has expired (they live for about three hours) or was \
             issued for another registry"
        }
        CredentialKind::Empty => {
            "with an entry without user name or password the pull is anonymous, and refused"
        }
    }
}

fn reasons(kind: CredentialKind, image: &ImageReference) -> &'static str {
    if image.is_acr() || kind == CredentialKind::Empty {
        reasons_at_acr(kind)
    } else {
        "its answer does not say why, which can be a wrong name or password, an expired password, or a missing right"
    }
}

const fn describe(evidence: CredentialEvidence) -> &'static str {
    match evidence {
        CredentialEvidence::LineEnd => "the password ends in a line end, as `echo` without `-n` writes it",
        CredentialEvidence::Blank => "the user name or the password begins or ends with a blank",
        CredentialEvidence::AuthDiffers => {
            "`auth` differs from the fields `username` and `password`, and only `auth` counts"
        }
        CredentialEvidence::NotUtf8 => "the user name or the password is not UTF-8",
    }
}

#[cfg(test)]
mod tests;
