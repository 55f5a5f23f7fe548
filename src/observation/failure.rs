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
        /// One phrase, with the answer's own first words where there are some: `it returned HTML`.
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
    /// The index has nothing for this node.
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
    /// The first error's message, or the first words of a body in another form; bounded, without control characters.
    pub message: Option<String>,
    /// The `error` parameter of a second challenge (RFC 6750, section 3.1): `insufficient_scope`, `invalid_token`.
    pub challenge_error: Option<String>,
    /// The address that the registry's firewall saw the call come from.
    pub seen_address: Option<IpAddr>,
    /// The status of a `GET` of the same, where the `HEAD` was refused with another.
    pub get_status: Option<u16>,
    /// Whose answer it is, by what it shows.
    pub sender: Sender,
    /// What its words give as the reason, where they are known.
    pub reason: Reason,
}

impl Answer {
    /// Whether it may be about who asks: a page is not the registry's, and for what has another reason no credentials matter.
    #[must_use]
    pub const fn may_be_of_credentials(&self) -> bool {
        matches!(self.sender, Sender::Registry | Sender::Unknown) && matches!(self.reason, Reason::Unstated)
    }
}

/// Whose answer one is, by its form and its headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sender {
    /// A registry's: an error body of the OCI distribution specification, or a header that only registries send.
    Registry,
    /// Azure's storage: an error in its XML.
    Storage,
    /// A page in HTML, as proxies, filters and gateways send it.
    Page,
    /// Text in no form that a registry or the storage has.
    Text,
    /// Nothing shows it: an empty body, or JSON of another form.
    #[default]
    Unknown,
}

/// Known reasons in a registry's own words. The words change over time, so that only few of them are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reason {
    /// None that is known.
    #[default]
    Unstated,
    /// The registry's firewall does not allow the client's address.
    Firewall,
    /// An artifact cache rule, or the source that it fetches from.
    CacheRule,
    /// The image is in quarantine.
    Quarantine,
}
