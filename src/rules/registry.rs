//! Explains the registry's responses by status, error code and content.

use super::{Case, Expectation, credentials, diagnosis, identity};
use crate::cause::Cause;
use crate::diagnosis::Diagnosis;
use crate::observation::{Answer, Endpoint, Observation, PlatformMismatch, Reason, Sender, Stage};
use crate::text::words::{list, seconds};

/// Warns of an image that can be pulled but cannot run.
pub(super) fn warn_of_platform(expectation: &Expectation, observation: &Observation) -> Option<Diagnosis> {
    let PlatformMismatch { wanted, found } = observation.platform_mismatch.as_ref()?;
    let image = &expectation.image;
    let message = format!(
        "{image} can be pulled but cannot run on this node's {wanted}: its configuration names {found}, and containerd \
         does not compare it with the node."
    );
    let place = (Endpoint::Login, Stage::Manifest);
    Some(diagnosis(image, Cause::PlatformMismatch, place, None, None, message))
}

/// The possible meanings of a response that stops its stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Throttled,
    RegistryError,
    Unexplained,
    CredentialsRejected,
    PullRoleMissing,
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

/// Explains a response that stops its stage.
pub(super) fn explain_answer(case: &Case<'_>, answer: &Answer) -> (Cause, String) {
    let meaning = meaning(case, answer);
    let (cause, sentence) = describe(case, meaning, answer);
    (cause, format!("{sentence}{}.", quoted(answer)))
}

/// Classifies a response. The sender comes first: a proxy's response is not the registry's, whatever its status.
fn meaning(case: &Case<'_>, answer: &Answer) -> Meaning {
    if case.failure.stage == Stage::Blob && case.at_data_endpoint() {
        return meaning_at_data_endpoint(answer);
    }
    // Registries treat HEAD and GET alike.
    if answer.get_status.is_some() && matches!(answer.status, 400 | 402..=428 | 430..=499) {
        return Meaning::MethodRefused;
    }
    match (answer.sender, answer.status) {
        (Sender::Registry, _) => meaning_of_registry(case, answer),
        // Not every token service sends a registry's error body, and any device on the path may throttle.
        (Sender::Unknown, 401) if case.failure.stage == Stage::Token => refused_credentials(case),
        (Sender::Unknown, 429) => Meaning::Throttled,
        (Sender::Unknown | Sender::Page | Sender::Text | Sender::Storage, _) => Meaning::Foreign,
    }
}

/// Classifies a response of the data endpoint. It is not a registry and has no error format of its own, so the status decides,
/// unless an HTML page shows another sender.
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
        // A later pull can work, whatever throttles; the message names the source of a cache rule.
        429 => Meaning::Throttled,
        424 if is_content => Meaning::CacheRuleFailed,
        400.. if is_content && answer.reason == Reason::CacheRule => Meaning::CacheRuleFailed,
        400..=499 if is_content && answer.reason == Reason::Quarantine => Meaning::Quarantined,
        401 if stage == Stage::Token => refused_credentials(case),
        401 if is_content => refused_token(case, answer),
        403 if answer.reason == Reason::Firewall => Meaning::AccessDenied,
        403 if case.has_no_pull() => Meaning::ScopeMissing,
        404 if stage == Stage::Blob => Meaning::BlobNotFound,
        404 if stage == Stage::Manifest && has("NAME_UNKNOWN") => Meaning::RepositoryNotFound,
        404 if stage == Stage::Manifest && (has("MANIFEST_UNKNOWN") || answer.codes.is_empty()) => {
            Meaning::ManifestNotFound
        }
        // An error of the registry itself, such as ACR's 405 REGISTRY_DISALLOWED_OPERATION.
        400..=599 => Meaning::RegistryError,
        _ => Meaning::Foreign,
    }
}

/// Classifies a 401 at the token stage: an identity that has just got its tokens lacks a role.
const fn refused_credentials(case: &Case<'_>) -> Meaning {
    if case.observation.identity.is_some() { Meaning::PullRoleMissing } else { Meaning::CredentialsRejected }
}

/// Classifies a 401 for a fresh token by the challenge's error, otherwise by the token's own access claim.
fn refused_token(case: &Case<'_>, answer: &Answer) -> Meaning {
    match answer.challenge_error.as_deref() {
        Some("insufficient_scope") => Meaning::ScopeMissing,
        Some("invalid_token") => Meaning::TokenRefused,
        _ if case.has_no_pull() => Meaning::ScopeMissing,
        _ => Meaning::Unexplained,
    }
}

impl Case<'_> {
    /// Returns whether the token's access claim excludes the pull.
    fn has_no_pull(&self) -> bool {
        self.observation.token.as_ref().and_then(|token| token.pull) == Some(false)
    }

    /// Returns whether the data endpoint responded, not the login server before its redirect.
    fn at_data_endpoint(&self) -> bool {
        self.observation.attempts.iter().any(|attempt| attempt.endpoint == Endpoint::Data)
    }
}

/// Returns the cause and its message, without the registry's own words and the full stop.
fn describe(case: &Case<'_>, meaning: Meaning, answer: &Answer) -> (Cause, String) {
    let image = &case.expectation.image;
    let (peer, registry, repository) = (case.peer(), image.registry(), image.repository());
    let status = answer.status;
    match meaning {
        Meaning::Throttled => (Cause::Throttled, throttled(&peer, &registry, answer)),
        Meaning::RegistryError => (Cause::RegistryError, format!("{peer} returned {status}")),
        Meaning::Unexplained => {
            let sentence = format!(
                "{peer} rejected the pull of {repository} ({status}) without a reason, neither an invalid token nor an \
                 insufficient scope"
            );
            (Cause::RegistryError, sentence)
        }
        Meaning::CredentialsRejected => {
            let sentence = credentials::rejected(case.expectation, case.observation);
            (Cause::CredentialsRejected, sentence)
        }
        Meaning::PullRoleMissing => {
            let sentence =
                case.observation.identity.as_ref().map(|known| identity::role_missing(case, known));
            (Cause::PullRoleMissing, sentence.unwrap_or_default())
        }
        Meaning::ScopeMissing => {
            let claim = match case.observation.token.as_ref().and_then(|token| token.pull) {
                Some(false) => "; the issued token does not include pull",
                Some(true) => "; the issued token claims pull nevertheless",
                None => "",
            };
            (
                Cause::ScopeMissing,
                format!("The credentials are valid but do not allow pulls from {repository}{claim}"),
            )
        }
        Meaning::TokenRefused => {
            let sentence =
                format!("{peer} rejected the token that its own token service had just issued ({status})");
            (Cause::TokenRefused, sentence)
        }
        Meaning::AccessDenied => {
            let seen = answer.seen_address.map(|address| format!("; the request arrived from {address}"));
            let seen = seen.unwrap_or_default();
            (Cause::AccessDenied, format!("The firewall of {registry} denies this node access{seen}"))
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
            (Cause::BlobNotFound, format!("{peer} does not have the blob listed in the manifest"))
        }
        Meaning::BlobDenied => (Cause::BlobDenied, format!("{peer} denied access to the blob ({status})")),
        Meaning::MethodRefused => (Cause::NotARegistry, method_refused(&peer, answer)),
        Meaning::Foreign => (Cause::NotARegistry, foreign(&peer, answer)),
    }
}

/// Describes how a response differs from a registry's.
fn foreign(peer: &str, answer: &Answer) -> String {
    let shown = match answer.sender {
        Sender::Page => "with an HTML page that is not from a registry",
        Sender::Text => "with text that is not from a registry",
        Sender::Storage => "with an Azure Storage error, which no registry sends here",
        Sender::Unknown => "without the error body or headers of a registry",
        Sender::Registry => {
            return format!("{peer} returned {}, which no registry returns here", answer.status);
        }
    };
    format!("{peer} returned {} {shown}", answer.status)
}

/// Describes what throttles, and for how long.
fn throttled(peer: &str, registry: &str, answer: &Answer) -> String {
    let wait = answer.retry_after.map(|after| format!(", retry after {}", seconds(after)));
    let wait = wait.unwrap_or_default();
    if answer.reason == Reason::CacheRule {
        format!(
            "The source of an artifact cache rule of {registry} throttles requests (429{wait}): a pull may work later"
        )
    } else {
        format!("{peer} throttles requests (429{wait}): whether a pull works is unknown")
    }
}

/// Quotes the error code and message of the response.
pub(crate) fn quoted(answer: &Answer) -> String {
    match (answer.codes.first(), &answer.message) {
        (Some(code), Some(message)) => format!(" ({code}: {})", message.trim_end_matches('.')),
        (Some(code), None) => format!(" ({code})"),
        (None, Some(message)) => format!(" (\"{message}\")"),
        (None, None) => String::new(),
    }
}

fn method_refused(peer: &str, answer: &Answer) -> String {
    let get = answer.get_status.map(|get| format!(" but {get} to GET")).unwrap_or_default();
    format!(
        "{peer} returned {} to HEAD{get} for the same URL: a device on the path filters by HTTP method, and containerd \
         starts every pull with HEAD",
        answer.status
    )
}

pub(super) fn explain_foreign(case: &Case<'_>, status: Option<u16>, reason: &str) -> (Cause, String) {
    let status = status.map(|status| format!(" (status {status})")).unwrap_or_default();
    (Cause::NotARegistry, format!("{} does not respond like a registry: {reason}{status}.", case.peer()))
}

pub(super) fn explain_realm(case: &Case<'_>, realm: &str, reason: &str) -> (Cause, String) {
    let message = format!(
        "The challenge of {} would send the credentials to {realm} ({reason}); they were not sent.",
        case.peer()
    );
    (Cause::UntrustedRealm, message)
}

pub(super) fn explain_redirect(case: &Case<'_>, target: &str, reason: &str) -> (Cause, String) {
    (
        Cause::UntrustedRedirect,
        format!("{} redirects to {target} ({reason}), which was not followed.", case.peer()),
    )
}

pub(super) fn explain_storage(case: &Case<'_>, host: &str) -> (Cause, String) {
    let registry = case.expectation.image.registry();
    let message =
        format!("{registry} serves layers from {host}, Azure's public storage, instead of a data endpoint.");
    (Cause::DataEndpointDisabled, message)
}

pub(super) fn explain_manifest(case: &Case<'_>, reason: &str) -> (Cause, String) {
    let image = &case.expectation.image;
    let what = if case.failure.stage == Stage::Blob { "configuration" } else { "manifest" };
    (Cause::ManifestInvalid, format!("The {what} of {image} is invalid: {reason}."))
}

pub(super) fn explain_digest(case: &Case<'_>, expected: &str, found: &str) -> (Cause, String) {
    let what = if case.failure.stage == Stage::Blob { "blob" } else { "manifest" };
    let peer = case.peer();
    let message = format!("The {what} sent by {peer} does not match: expected {expected}, got {found}.");
    (Cause::DigestMismatch, message)
}

pub(super) fn explain_platform(case: &Case<'_>, wanted: &str, found: &[String]) -> (Cause, String) {
    let image = &case.expectation.image;
    let found = if found.is_empty() { "no platform".to_owned() } else { list(found) };
    (
        Cause::PlatformMissing,
        format!("The index of {image} has no image for this node's {wanted}: it has {found}."),
    )
}
