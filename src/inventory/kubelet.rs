//! The kubelet's account of a failed pull: its reason, its message, and what the message certainly shows.
//!
//! Owns the texts of kubelet, containerd and Go that decide a cause. A message that fits none has no cause: a guess would send the
//! operator the wrong way. The messages are untrusted and may contain secrets, such as the signed URL of a layer.

use self::Progress::{Answered, Credentials, NoSuchImage, NotReached, PublicSide};

use crate::cause::Cause;
use crate::observation::Endpoint;
use crate::text::redact::{Redactor, without_secrets_of_urls};
use crate::text::sanitize::{MAX_TEXT, printable};

/// Why a container waits for its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullReason {
    /// The pull has just failed.
    ErrImagePull,
    /// The kubelet waits before it tries again.
    ImagePullBackOff,
}

impl PullReason {
    /// Every value.
    pub const ALL: [Self; 2] = [Self::ErrImagePull, Self::ImagePullBackOff];

    /// Returns the reason for the kubelet's word; `None` if the container waits for something else.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }

    /// Returns the kubelet's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ErrImagePull => "ErrImagePull",
            Self::ImagePullBackOff => "ImagePullBackOff",
        }
    }
}

/// What a message certainly shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The cause.
    pub cause: Cause,
    /// How far the pull got.
    pub progress: Progress,
}

/// How far a failed pull got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The registry was not reached.
    NotReached,
    /// The registry's public side rejected the node's address.
    PublicSide,
    /// The registry rejected the credentials.
    Credentials,
    /// The registry has no such image.
    NoSuchImage,
    /// The registry answered; something else failed.
    Answered,
}

impl Progress {
    /// Whether the registry answered: the path to it works, although it may not be the private one.
    #[must_use]
    pub const fn is_answer(self) -> bool {
        match self {
            Self::NotReached | Self::PublicSide => false,
            Self::Credentials | Self::NoSuchImage | Self::Answered => true,
        }
    }
}

/// What a message must contain for a claim: every one of the texts, in lower case.
struct Sign(&'static [&'static str], Cause, Progress);

/// What each attempt's message begins with: a kubelet tries every matching credential and lists the errors of all.
const ATTEMPT: &str = "failed to pull and unpack image";

/// The first sign of an attempt decides, and of several attempts the one whose sign comes first: the pull got furthest with it.
const SIGNS: [Sign; 24] = [
    Sign(&["no match for platform in manifest"], Cause::PlatformMissing, Answered),
    Sign(&["httpreadseeker", "not found"], Cause::BlobNotFound, Answered),
    Sign(&["failed to resolve", ": not found"], Cause::ManifestNotFound, NoSuchImage),
    Sign(&["name_unknown"], Cause::RepositoryNotFound, NoSuchImage),
    Sign(&["manifest_unknown"], Cause::ManifestNotFound, NoSuchImage),
    Sign(&["429 too many requests"], Cause::Throttled, Answered),
    Sign(&["toomanyrequests"], Cause::Throttled, Answered),
    Sign(&["insufficient_scope"], Cause::ScopeMissing, Credentials),
    Sign(&["failed to fetch oauth token", "401 unauthorized"], Cause::CredentialsRejected, Credentials),
    Sign(&["failed to authorize", "invalid username or password"], Cause::CredentialsRejected, Credentials),
    Sign(&["failed to fetch anonymous token", "401 unauthorized"], Cause::CredentialsMissing, Credentials),
    Sign(&["client with ip", "is not allowed access"], Cause::AccessDenied, PublicSide),
    // The name of the registry in front of a colon, and the resolver behind `on`.
    Sign(&["lookup ", ": no such host"], Cause::NameNotFound, NotReached),
    Sign(&["lookup ", ": server misbehaving"], Cause::DnsServerFailure, NotReached),
    Sign(&["lookup ", ": i/o timeout"], Cause::DnsTimeout, NotReached),
    Sign(&["dial tcp", "connect: connection refused"], Cause::ConnectRefused, NotReached),
    Sign(&["dial tcp", "no route to host"], Cause::NetworkUnreachable, NotReached),
    Sign(&["dial tcp", "network is unreachable"], Cause::NetworkUnreachable, NotReached),
    Sign(&["dial tcp", "i/o timeout"], Cause::ConnectTimeout, NotReached),
    Sign(&["dial tcp", "connect: connection timed out"], Cause::ConnectTimeout, NotReached),
    Sign(&["x509: certificate signed by unknown authority"], Cause::CertificateUntrusted, NotReached),
    Sign(&["x509: certificate is valid for"], Cause::CertificateNameMismatch, NotReached),
    Sign(
        &["x509: certificate has expired or is not yet valid", " is after "],
        Cause::CertificateExpired,
        NotReached,
    ),
    Sign(
        &["x509: certificate has expired or is not yet valid", " is before "],
        Cause::CertificateNotYetValid,
        NotReached,
    ),
];

/// Returns what a message certainly shows.
#[must_use]
pub fn claim_of(message: &str) -> Option<Claim> {
    let message = message.to_lowercase();
    let sign_of = |attempt: &str| {
        SIGNS.iter().position(|Sign(texts, ..)| texts.iter().all(|text| attempt.contains(text)))
    };
    let Sign(_, cause, progress) = SIGNS[message.split(ATTEMPT).filter_map(sign_of).min()?];
    Some(Claim { cause, progress })
}

/// Returns the endpoint that a message is about: containerd copies layers from the data endpoint.
#[must_use]
pub(super) fn endpoint_of(message: &str) -> Endpoint {
    if message.to_lowercase().contains("httpreadseeker") { Endpoint::Data } else { Endpoint::Login }
}

/// Returns a kubelet's message that is safe to show.
#[must_use]
pub(super) fn message(text: &str) -> String {
    let redacted = Redactor::default().redact(text);
    printable(without_secrets_of_urls(&redacted).trim(), MAX_TEXT)
}

#[cfg(test)]
mod tests {
    use super::{claim_of, message};
    use crate::cause::Cause;

    /// Messages of containerd 1.7 and 2.x, as kubelets of 1.28 to 1.34 pass them on.
    const MESSAGES: [(&str, Option<Cause>); 17] = [
        (
            "Back-off pulling image \"contoso.azurecr.io/app:9\": ErrImagePull: rpc error: code = NotFound desc = failed to \
             pull and unpack image \"contoso.azurecr.io/app:9\": failed to resolve reference \"contoso.azurecr.io/app:9\": \
             contoso.azurecr.io/app:9: not found",
            Some(Cause::ManifestNotFound),
        ),
        ("Back-off pulling image \"contoso.azurecr.io/app:9\"", None),
        (
            "failed to pull and unpack image: failed to resolve reference: failed to authorize: failed to fetch anonymous \
             token: unexpected status from GET request to https://contoso.azurecr.io/oauth2/token?scope=x: 401 Unauthorized",
            Some(Cause::CredentialsMissing),
        ),
        (
            "failed to resolve reference: failed to authorize: failed to fetch oauth token: unexpected status from GET request \
             to https://contoso.azurecr.io/oauth2/token?scope=x: 401 Unauthorized",
            Some(Cause::CredentialsRejected),
        ),
        (
            "failed to resolve reference: pull access denied, repository does not exist or may require authorization: server \
             message: insufficient_scope: authorization failed",
            Some(Cause::ScopeMissing),
        ),
        (
            "failed to do request: Head \"https://contoso.azurecr.io/v2/app/manifests/1\": dial tcp: lookup contoso.azurecr.io \
             on 10.0.0.10:53: no such host",
            Some(Cause::NameNotFound),
        ),
        (
            "dial tcp: lookup contoso.azurecr.io on 10.0.0.10:53: read udp 10.0.0.4:3->10.0.0.10:53: i/o timeout",
            Some(Cause::DnsTimeout),
        ),
        ("dial tcp 20.45.122.144:443: i/o timeout", Some(Cause::ConnectTimeout)),
        ("dial tcp 10.60.4.5:443: connect: connection refused", Some(Cause::ConnectRefused)),
        (
            "tls: failed to verify certificate: x509: certificate signed by unknown authority",
            Some(Cause::CertificateUntrusted),
        ),
        (
            "unexpected status from HEAD request: 403 Forbidden: client with IP '20.1.2.3' is not allowed access",
            Some(Cause::AccessDenied),
        ),
        (
            "failed to copy: httpReadSeeker: failed open: content at https://x/blob not found: not found",
            Some(Cause::BlobNotFound),
        ),
        ("no match for platform in manifest: not found", Some(Cause::PlatformMissing)),
        // A node with a credential provider tries the pull secret, then the provider's credentials or none.
        (
            "[rpc error: code = NotFound desc = failed to pull and unpack image \"contoso.azurecr.io/app:9\": failed to resolve \
             reference \"contoso.azurecr.io/app:9\": contoso.azurecr.io/app:9: not found, failed to pull and unpack image \
             \"contoso.azurecr.io/app:9\": failed to resolve reference \"contoso.azurecr.io/app:9\": failed to authorize: failed \
             to fetch anonymous token: unexpected status: 401 Unauthorized]",
            Some(Cause::ManifestNotFound),
        ),
        (
            "[failed to pull and unpack image \"a\": failed to authorize: failed to fetch anonymous token: unexpected status: 401 \
             Unauthorized, failed to pull and unpack image \"a\": failed to authorize: failed to fetch oauth token: unexpected \
             status: 401 Unauthorized]",
            Some(Cause::CredentialsRejected),
        ),
        // The words of one attempt do not complete the sign of another.
        (
            "[failed to pull and unpack image \"a\": failed to authorize: failed to fetch oauth token: Post \
             \"https://contoso.azurecr.io/oauth2/token\": EOF, failed to pull and unpack image \"a\": failed to authorize: failed \
             to fetch anonymous token: unexpected status: 401 Unauthorized]",
            Some(Cause::CredentialsMissing),
        ),
        ("context deadline exceeded", None),
    ];

    #[test]
    fn only_certain_messages_have_a_cause() {
        for (text, cause) in MESSAGES {
            assert_eq!(claim_of(text).map(|claim| claim.cause), cause, "{text}");
        }
    }

    #[test]
    fn a_message_shows_no_secret_and_no_control_character() {
        let shown = message(
            "failed: Get \"https://contoso.westeurope.data.azurecr.io/x?sig=c2VjcmV0&se=1\": \u{1b}[31mdial tcp 10.60.4.4:443: i/o \
             timeout\n",
        );
        assert_eq!(
            shown,
            "failed: Get \"https://contoso.westeurope.data.azurecr.io/x?[redacted]\": dial tcp 10.60.4.4:443: i/o timeout"
        );
        assert!(message(&"x".repeat(100_000)).chars().count() <= 1_001);
    }
}
