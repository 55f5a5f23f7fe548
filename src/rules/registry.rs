//! The registry's answers: what a status, an error code or a content means.

use super::{Case, Expectation, credentials, diagnosis, list};
use crate::cause::Cause;
use crate::diagnosis::Diagnosis;
use crate::observation::{Answer, Endpoint, Observation, PlatformMismatch, Reason, Sender, Stage};

/// Warns of an image that is pulled and cannot run.
pub(super) fn warn_of_platform(expectation: &Expectation, observation: &Observation) -> Option<Diagnosis> {
    let PlatformMismatch { wanted, found } = observation.platform_mismatch.as_ref()?;
    let image = &expectation.image;
    let message = format!(
        "{image} can be pulled, and cannot run on this node's {wanted}: its configuration names {found}, which containerd does \
         not compare with the node."
    );
    let place = (Endpoint::Login, Stage::Manifest);
    Some(diagnosis(image, Cause::PlatformMismatch, place, None, None, message))
}

/// What an answer can mean with which its stage cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Throttled,
    RegistryError,
    Unexplained,
    CredentialsRejected,
    ScopeMissing,
    TokenRefused,
    AccessDenied,
    RepositoryNotFound,
    ManifestNotFound,
    Quarantined,
    CacheRuleFailed,
    BlobNotFound,
    BlobDenied,
    MethodRefused,
    Foreign,
}

/// What an answer means that its stage cannot go on with.
pub(super) fn explain_answer(case: &Case<'_>, answer: &Answer) -> (Cause, String) {
    let meaning = meaning(case, answer);
    let (cause, sentence) = describe(case, meaning, answer);
    (cause, format!("{sentence}{}.", quoted(answer)))
}

/// Whose answer it is comes first: what a proxy says, whatever the status, is nothing that the registry or its storage said.
fn meaning(case: &Case<'_>, answer: &Answer) -> Meaning {
    if case.failure.stage == Stage::Blob && case.at_data_endpoint() {
        return meaning_at_data_endpoint(answer);
    }
    // No registry knows a difference between HEAD and GET.
    if answer.get_status.is_some() && matches!(answer.status, 400 | 402..=428 | 430..=499) {
        return Meaning::MethodRefused;
    }
    match (answer.sender, answer.status) {
        (Sender::Registry, _) => meaning_of_registry(case, answer),
        // Not every token service has an error body of the registry's form, and what throttles need not be one.
        (Sender::Unknown, 401) if case.failure.stage == Stage::Token => Meaning::CredentialsRejected,
        (Sender::Unknown, 429) => Meaning::Throttled,
        (Sender::Unknown | Sender::Page | Sender::Text | Sender::Storage, _) => Meaning::Foreign,
    }
}

/// The data endpoint is no registry, and its refusals have no form of their own: the status is what counts, unless a page shows
/// that somebody else speaks.
const fn meaning_at_data_endpoint(answer: &Answer) -> Meaning {
    match (answer.sender, answer.status) {
        (Sender::Page, _) => Meaning::Foreign,
        (_, 429) => Meaning::Throttled,
        (_, 401 | 403) => Meaning::BlobDenied,
        (_, 404) => Meaning::BlobNotFound,
        (_, 500..=599) => Meaning::RegistryError,
        (Sender::Registry | Sender::Storage, 400..=499) => Meaning::RegistryError,
        (Sender::Registry | Sender::Storage | Sender::Text | Sender::Unknown, _) => Meaning::Foreign,
    }
}

fn meaning_of_registry(case: &Case<'_>, answer: &Answer) -> Meaning {
    let stage = case.failure.stage;
    let is_content = matches!(stage, Stage::Manifest | Stage::Blob);
    let has = |code: &str| answer.codes.iter().any(|known| known.eq_ignore_ascii_case(code));
    match answer.status {
        // Whoever throttles, a later pull can work: the sentence says whether it is the source of a cache rule.
        429 => Meaning::Throttled,
        424 if is_content => Meaning::CacheRuleFailed,
        400.. if is_content && answer.reason == Reason::CacheRule => Meaning::CacheRuleFailed,
        400..=499 if is_content && answer.reason == Reason::Quarantine => Meaning::Quarantined,
        401 if stage == Stage::Token => Meaning::CredentialsRejected,
        401 if is_content => refused_token(case, answer),
        403 if answer.reason == Reason::Firewall => Meaning::AccessDenied,
        403 if case.has_no_pull() => Meaning::ScopeMissing,
        404 if stage == Stage::Blob => Meaning::BlobNotFound,
        404 if stage == Stage::Manifest && has("NAME_UNKNOWN") => Meaning::RepositoryNotFound,
        404 if stage == Stage::Manifest && (has("MANIFEST_UNKNOWN") || answer.codes.is_empty()) => {
            Meaning::ManifestNotFound
        }
        // In a registry's own words, such as ACR's 405 REGISTRY_DISALLOWED_OPERATION.
        400..=599 => Meaning::RegistryError,
        _ => Meaning::Foreign,
    }
}

/// What a 401 with a fresh token is: the challenge says so, and where it does not, the token's own claim may.
fn refused_token(case: &Case<'_>, answer: &Answer) -> Meaning {
    match answer.challenge_error.as_deref() {
        Some("insufficient_scope") => Meaning::ScopeMissing,
        Some("invalid_token") => Meaning::TokenRefused,
        _ if case.has_no_pull() => Meaning::ScopeMissing,
        _ => Meaning::Unexplained,
    }
}

impl Case<'_> {
    /// Whether the token's own claim says that it does not allow the pull.
    fn has_no_pull(&self) -> bool {
        self.observation.token.as_ref().and_then(|token| token.pull) == Some(false)
    }

    /// Whether it was the data endpoint that answered, and not the login server before its redirect.
    fn at_data_endpoint(&self) -> bool {
        self.observation.attempts.iter().any(|attempt| attempt.endpoint == Endpoint::Data)
    }
}

/// The cause, and its sentence without the registry's own words and the full stop.
fn describe(case: &Case<'_>, meaning: Meaning, answer: &Answer) -> (Cause, String) {
    let image = &case.expectation.image;
    let (peer, registry, repository) = (case.peer(), image.registry(), image.repository());
    let status = answer.status;
    match meaning {
        Meaning::Throttled => (Cause::Throttled, throttled(&peer, &registry, answer)),
        Meaning::RegistryError => (Cause::RegistryError, format!("{peer} answered {status}")),
        Meaning::Unexplained => {
            let sentence = format!(
                "{peer} refuses the pull of {repository} ({status}) and gives no reason, neither that the token is invalid \
                 nor that its scope does not suffice"
            );
            (Cause::RegistryError, sentence)
        }
        Meaning::CredentialsRejected => {
            let sentence = credentials::rejected(case.expectation, case.observation);
            (Cause::CredentialsRejected, sentence)
        }
        Meaning::ScopeMissing => {
            let claim = match case.observation.token.as_ref().and_then(|token| token.pull) {
                Some(false) => "; the token that it issued has no pull on it",
                Some(true) => "; the token that it issued claims pull all the same",
                None => "",
            };
            (
                Cause::ScopeMissing,
                format!("The credentials are right, but may not pull from {repository}{claim}"),
            )
        }
        Meaning::TokenRefused => {
            let sentence =
                format!("{peer} refuses the token that its own token service has just issued ({status})");
            (Cause::TokenRefused, sentence)
        }
        Meaning::AccessDenied => {
            let seen = answer.seen_address.map(|address| {
                format!(", which it sees as {address}: the call arrived by that address's path")
            });
            let seen = seen.unwrap_or_default();
            (Cause::AccessDenied, format!("The firewall of {registry} denies this node{seen}"))
        }
        Meaning::RepositoryNotFound => {
            (Cause::RepositoryNotFound, format!("{registry} has no repository {repository}"))
        }
        Meaning::ManifestNotFound => {
            (Cause::ManifestNotFound, format!("{repository} has no manifest {}", image.wanted()))
        }
        Meaning::Quarantined => {
            let wanted = image.wanted();
            (
                Cause::ManifestQuarantined,
                format!("{registry} holds {repository} {wanted} in quarantine ({status})"),
            )
        }
        Meaning::CacheRuleFailed => {
            let sentence = format!(
                "An artifact cache rule of {registry} cannot fetch {repository} from its source ({status})"
            );
            (Cause::CacheRuleFailed, sentence)
        }
        Meaning::BlobNotFound => {
            (Cause::BlobNotFound, format!("{peer} does not have the blob that the manifest names"))
        }
        Meaning::BlobDenied => (Cause::BlobDenied, format!("{peer} denies the blob ({status})")),
        Meaning::MethodRefused => (Cause::NotARegistry, method_refused(&peer, answer)),
        Meaning::Foreign => (Cause::NotARegistry, foreign(&peer, answer)),
    }
}

/// What shows that an answer is not the registry's.
fn foreign(peer: &str, answer: &Answer) -> String {
    let shown = match answer.sender {
        Sender::Page => "with a page that is not a registry's",
        Sender::Text => "with a text that is not a registry's",
        Sender::Storage => "with an error of Azure's storage, which no registry sends here",
        Sender::Unknown => "with neither the error body nor the headers of a registry",
        Sender::Registry => {
            return format!("{peer} answered {}, which no registry answers here", answer.status);
        }
    };
    format!("{peer} answered {} {shown}", answer.status)
}

/// Who throttles, and until when.
fn throttled(peer: &str, registry: &str, answer: &Answer) -> String {
    let wait = answer.retry_after.map(|after| format!(", and asks to wait {} s", after.as_secs()));
    let wait = wait.unwrap_or_default();
    if answer.reason == Reason::CacheRule {
        format!(
            "The source of an artifact cache rule of {registry} throttles (429){wait}: a pull may work later"
        )
    } else {
        format!("{peer} throttles (429){wait}: nothing can be said about the pull")
    }
}

/// The answer's own words.
fn quoted(answer: &Answer) -> String {
    match (answer.codes.first(), &answer.message) {
        (Some(code), Some(message)) => format!(" ({code}: {})", message.trim_end_matches('.')),
        (Some(code), None) => format!(" ({code})"),
        (None, Some(message)) => format!(" (\"{message}\")"),
        (None, None) => String::new(),
    }
}

fn method_refused(peer: &str, answer: &Answer) -> String {
    let get = answer.get_status.map(|get| format!("a GET of the same with {get}")).unwrap_or_default();
    format!(
        "{peer} answers HEAD with {} and {get}: something that filters by method is in the path, and containerd begins \
         every pull with HEAD",
        answer.status
    )
}

pub(super) fn explain_foreign(case: &Case<'_>, status: Option<u16>, reason: &str) -> (Cause, String) {
    let status = status.map(|status| format!(" (status {status})")).unwrap_or_default();
    (Cause::NotARegistry, format!("{} does not answer as a registry: {reason}{status}.", case.peer()))
}

pub(super) fn explain_realm(case: &Case<'_>, realm: &str, reason: &str) -> (Cause, String) {
    let message =
        format!("{} asks for the credentials to be sent to {realm} ({reason}): refused.", case.peer());
    (Cause::UntrustedRealm, message)
}

pub(super) fn explain_redirect(case: &Case<'_>, target: &str, reason: &str) -> (Cause, String) {
    (Cause::UntrustedRedirect, format!("{} redirects to {target} ({reason}): not followed.", case.peer()))
}

pub(super) fn explain_storage(case: &Case<'_>, host: &str) -> (Cause, String) {
    let registry = case.expectation.image.registry();
    let message =
        format!("{registry} sends layers from {host}, Azure's public storage, and not from a data endpoint.");
    (Cause::DataEndpointDisabled, message)
}

pub(super) fn explain_manifest(case: &Case<'_>, reason: &str) -> (Cause, String) {
    let image = &case.expectation.image;
    let what = if case.failure.stage == Stage::Blob { "configuration" } else { "manifest" };
    (Cause::ManifestInvalid, format!("The {what} of {image} cannot be used: {reason}."))
}

pub(super) fn explain_digest(case: &Case<'_>, expected: &str, found: &str) -> (Cause, String) {
    let what = if case.failure.stage == Stage::Blob { "blob" } else { "manifest" };
    let peer = case.peer();
    let message =
        format!("The {what} that {peer} sent is not what was asked for: {expected} was, {found} came.");
    (Cause::DigestMismatch, message)
}

pub(super) fn explain_platform(case: &Case<'_>, wanted: &str, found: &[String]) -> (Cause, String) {
    let image = &case.expectation.image;
    let found = if found.is_empty() { "no platform".to_owned() } else { list(found) };
    (
        Cause::PlatformMissing,
        format!("The index of {image} has nothing for this node's {wanted}: it has {found}."),
    )
}
