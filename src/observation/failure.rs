//! The failure that ended a check, as a closed list of faults.

use std::net::IpAddr;
use std::time::Duration;

use super::{Endpoint, IdentityFault, Stage, TlsFailure};

/// The failure that ended a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The endpoint that failed.
    pub endpoint: Endpoint,
    /// The stage that failed.
    pub stage: Stage,
    /// The kind of failure.
    pub fault: Fault,
}

/// The kind of failure, except for names and addresses (those are in the resolutions).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// No address accepted a connection; the attempts show why.
    NotConnected,
    /// The TLS handshake failed.
    Tls(TlsFailure),
    /// Connected, but no complete response within the per-stage timeout.
    ResponseTimeout {
        /// The per-stage timeout.
        limit: Duration,
    },
    /// The connection was closed before the response was complete.
    ConnectionReset,
    /// The overall timeout elapsed before the per-stage timeout.
    DeadlineExceeded {
        /// The overall timeout.
        limit: Duration,
    },
    /// A complete response that stops the stage.
    Answer(Answer),
    /// The response does not come from a registry.
    NotARegistry {
        /// The status code, if any.
        status: Option<u16>,
        /// A phrase with what shows it, and the first words of the response, if any: `it returned HTML`.
        reason: String,
    },
    /// The challenge would send the credentials to another host, port or scheme.
    UntrustedRealm {
        /// The realm without its query, truncated.
        realm: String,
        /// A phrase: `another host`, `plain HTTP`.
        reason: &'static str,
    },
    /// A redirect that is not safe to follow.
    UntrustedRedirect {
        /// The target without path and query, truncated.
        target: String,
        /// A phrase: `plain HTTP`, `a second redirect`.
        reason: &'static str,
    },
    /// The blob redirect leads to Azure Storage instead of a data endpoint.
    StorageRedirect {
        /// The storage host.
        host: String,
    },
    /// No credentials match the login server.
    CredentialsMissing {
        /// Where they were looked for, and what was found instead.
        searched: String,
    },
    /// The credentials cannot be read.
    CredentialsInvalid {
        /// The location and the error; never a value.
        reason: String,
    },
    /// The identity of the node or the Pod could not be used.
    Identity(IdentityFault),
    /// The manifest or the image's configuration is invalid.
    ManifestInvalid {
        /// A phrase with the reason.
        reason: String,
    },
    /// The bytes do not match the requested digest.
    DigestMismatch {
        /// The requested or announced digest.
        expected: String,
        /// The digest of the received bytes, or their number.
        found: String,
    },
    /// The index has no image for this node's platform.
    PlatformMissing {
        /// The platform of this node.
        wanted: String,
        /// The platforms in the index.
        found: Vec<String>,
    },
}

/// A complete HTTP response that stops a stage.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// `X-Ms-Correlation-Request-Id`, or the id in the body, for Azure support.
    pub correlation_id: Option<String>,
    /// `Retry-After`, as a duration from now.
    pub retry_after: Option<Duration>,
    /// The `code` of each error of the body (OCI distribution specification, "Error Codes"), known or not.
    pub codes: Vec<String>,
    /// The first error's message, or the first words of a body in another format; truncated, without control characters.
    pub message: Option<String>,
    /// The `error` parameter of a second challenge (RFC 6750, section 3.1): `insufficient_scope`, `invalid_token`.
    pub challenge_error: Option<String>,
    /// The client address that the registry's firewall saw.
    pub seen_address: Option<IpAddr>,
    /// The status of a `GET` of the same URL, if it differs from that of the rejected `HEAD`.
    pub get_status: Option<u16>,
    /// The sender, as far as the response shows it.
    pub sender: Sender,
    /// The known reason in its text, if any.
    pub reason: Reason,
}

impl Answer {
    /// Returns whether credentials may be the reason: not for an HTML page, which is not the registry's, or another known reason.
    #[must_use]
    pub const fn may_be_of_credentials(&self) -> bool {
        matches!(self.sender, Sender::Registry | Sender::Unknown) && matches!(self.reason, Reason::Unstated)
    }
}

/// The sender of a response, by its format and headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sender {
    /// A registry: an error body of the OCI distribution specification, or a header that only registries send.
    Registry,
    /// Azure Storage: an error in its XML format.
    Storage,
    /// An HTML page, as sent by proxies, filters and gateways.
    Page,
    /// Text that is not in the format of a registry or of Azure Storage.
    Text,
    /// Not recognizable: an empty body, or JSON in another format.
    #[default]
    Unknown,
}

/// Known reasons in a registry's error text. The wording changes over time, so only a few are matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reason {
    /// No known reason.
    #[default]
    Unstated,
    /// The registry's firewall does not allow the client's address.
    Firewall,
    /// An artifact cache rule or its source registry.
    CacheRule,
    /// The image is in quarantine.
    Quarantine,
}
