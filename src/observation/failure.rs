//! What ended a check: one closed kind of failure for every way to fail.

use std::net::IpAddr;
use std::time::Duration;

use super::{Endpoint, Stage, TlsFailure};

/// The step that ended a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// At which endpoint.
    pub endpoint: Endpoint,
    /// In which stage.
    pub stage: Stage,
    /// What happened.
    pub fault: Fault,
}

/// What ended a check, apart from names and addresses (those are in the resolutions).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// No address could be connected to; the attempts tell why.
    NotConnected,
    /// The handshake failed.
    Tls(TlsFailure),
    /// Connected, and no complete answer within the stage's limit.
    ResponseTimeout {
        /// The limit.
        limit: Duration,
    },
    /// The connection ended before the answer was complete.
    ConnectionReset,
    /// The whole check's time was over, and the stage had not used up its own.
    DeadlineExceeded {
        /// The limit of the whole check.
        limit: Duration,
    },
    /// A complete answer, but not one that the stage can go on with.
    Answer(Answer),
    /// The answer is no registry's; the text says what gave it away.
    NotARegistry {
        /// The status, when there was one.
        status: Option<u16>,
        /// One phrase: `it sends HTML`, `its header has no Bearer challenge`.
        reason: String,
    },
    /// The challenge would send the credentials elsewhere.
    UntrustedRealm {
        /// The realm without its query, cut to a bounded length.
        realm: String,
        /// One phrase: `another host`, `plain HTTP`.
        reason: &'static str,
    },
    /// A redirect that nobody should follow.
    UntrustedRedirect {
        /// The target without path and query, cut to a bounded length.
        target: String,
        /// One phrase: `plain HTTP`, `a second redirect`.
        reason: &'static str,
    },
    /// The blob redirect leads to Azure's storage instead of a data endpoint.
    StorageRedirect {
        /// The storage host.
        host: String,
    },
    /// There are no credentials for the login server.
    CredentialsMissing {
        /// Where they were looked for, and what is there instead.
        searched: String,
    },
    /// There are credentials, and they cannot be read.
    CredentialsInvalid {
        /// Where, and what is wrong; never a value.
        reason: String,
    },
    /// The manifest cannot be used.
    ManifestInvalid {
        /// One phrase.
        reason: String,
    },
    /// The bytes are not what was asked for.
    DigestMismatch {
        /// The digest that was asked for or announced.
        expected: String,
        /// The digest of the bytes, or how many bytes there were.
        found: String,
    },
    /// The index, or the image itself, is not for this node.
    PlatformMissing {
        /// What this node is.
        wanted: String,
        /// What there is.
        found: Vec<String>,
    },
}

/// A complete HTTP answer that a stage cannot go on with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// `X-Ms-Correlation-Request-Id`, or the id in the body's text: what Azure's support asks for.
    pub correlation_id: Option<String>,
    /// `Retry-After`, as the number of seconds from now.
    pub retry_after: Option<Duration>,
    /// The `code` of each error of the body (OCI distribution specification, "Error Codes"), known or not.
    pub codes: Vec<String>,
    /// The first error's message, cut to a bounded length, without control characters.
    pub message: Option<String>,
    /// The `error` parameter of a second challenge (RFC 6750, section 3.1): `insufficient_scope`, `invalid_token`.
    pub challenge_error: Option<String>,
    /// The address that the registry's firewall saw the call come from.
    pub seen_address: Option<IpAddr>,
    /// Whether the body is a registry's error envelope, or empty: a proxy's page is neither.
    pub from_registry: bool,
}
