//! The observation of one check of one image: facts, timings and closed kinds of failure.
//!
//! Owns the vocabulary that the probe writes and the rules read. Evaluation is in `findings` and `rules`, network access in
//! `probe`, and presentation in `report`. Library errors do not appear here: the probe maps each of them to one of the kinds
//! below, so a new kind of failure is a new variant and breaks the build.

mod credentials;
mod dns;
mod failure;
mod identity;
mod node;
mod node_cache;
mod system;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;

pub use credentials::{CredentialEvidence, CredentialKind, CredentialsUsed, RejectedEntry};
pub use dns::{
    DnsAnswer, DnsFailure, DnsFailureKind, ExtendedError, Lookup, Rcode, Record, RecordData, Resolution,
    Resolver,
};
pub use failure::{Answer, Failure, Fault, Reason, Sender};
pub use identity::{
    EntraError, Identity, IdentityFailure, IdentityFault, IdentityKind, IdentityService, ServiceFault,
};
pub use node_cache::{NodeCache, SecondAnswer};
pub use system::SystemError;

pub use node::{Fact, Proxied, TrustedBy};

/// One of the registry's two endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// The login server: challenge, token, manifest and blob redirect.
    Login,
    /// The data endpoint named by the blob redirect.
    Data,
}

impl Endpoint {
    /// Both endpoints, in the order of a pull.
    pub const ALL: [Self; 2] = [Self::Login, Self::Data];

    /// Returns the name used in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Data => "data",
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// One step of a pull, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Queries every nameserver for the name.
    Dns,
    /// Classifies every answer.
    Address,
    /// TCP connection to the accepted address.
    Connect,
    /// TLS handshake and certificate.
    Tls,
    /// `HEAD` request for the image's manifest, without credentials.
    Challenge,
    /// Token request, with credentials.
    Token,
    /// Manifest request, with the token.
    Manifest,
    /// Blob request, through the data endpoint.
    Blob,
}

impl Stage {
    /// Every stage, in the order of a pull.
    pub const ALL: [Self; 8] = [
        Self::Dns,
        Self::Address,
        Self::Connect,
        Self::Tls,
        Self::Challenge,
        Self::Token,
        Self::Manifest,
        Self::Blob,
    ];

    /// Returns the stages of an endpoint in order: seven at the login server, five at the data endpoint.
    #[must_use]
    pub const fn of(endpoint: Endpoint) -> &'static [Self] {
        match endpoint {
            Endpoint::Login => &[
                Self::Dns,
                Self::Address,
                Self::Connect,
                Self::Tls,
                Self::Challenge,
                Self::Token,
                Self::Manifest,
            ],
            Endpoint::Data => &[Self::Dns, Self::Address, Self::Connect, Self::Tls, Self::Blob],
        }
    }

    /// Returns the name used in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Address => "address",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Challenge => "challenge",
            Self::Token => "token",
            Self::Manifest => "manifest",
            Self::Blob => "blob",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// The observation of one check of one image, from the first query to the last byte.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observation {
    /// The stages that ran, with their durations; a missing stage was not reached or not requested.
    pub marks: Vec<Mark>,
    /// The answers of every nameserver for every name.
    pub resolutions: Vec<Resolution>,
    /// The DNS cache of the node, if it is one of the nameservers.
    pub node_cache: NodeCache,
    /// Every attempted TCP connection, in order.
    pub attempts: Vec<Attempt>,
    /// Every HTTP request, in order.
    pub requests: Vec<Request>,
    /// The facts of the TLS handshakes, one for each endpoint.
    pub tls: Vec<TlsSession>,
    /// When the credentials expire, if configured.
    pub credentials_expire_at: Option<Timestamp>,
    /// The credentials of the last attempt; absent if they cannot be read.
    pub credentials: Option<CredentialsUsed>,
    /// The identity of the pull, if it uses one.
    pub identity: Option<Identity>,
    /// Why the identity could not be used, if an anonymous pull worked instead.
    pub identity_failure: Option<IdentityFailure>,
    /// The entries that the registry rejected, in the order tried.
    pub rejected_entries: Vec<RejectedEntry>,
    /// Facts about the granted token; never its text.
    pub token: Option<Token>,
    /// The image manifest that a pull on this node would use.
    pub manifest: Option<Manifest>,
    /// The image's platform, if the pull works but this node cannot run the image.
    pub platform_mismatch: Option<PlatformMismatch>,
    /// The blob that was read, completely or in part.
    pub blob: Option<Blob>,
    /// The correlation id of the last response, for Azure support; absent without a response.
    pub correlation_id: Option<String>,
    /// Endpoints that containerd on this node would reach through a proxy, at most one entry each.
    pub proxied: Vec<Proxied>,
    /// Mirrors that containerd on this node would query before or instead of the registry.
    pub mirrors: Vec<String>,
    /// The failure that ended the check after its addresses were accepted, if any.
    pub failure: Option<Failure>,
    /// The duration of the complete check.
    pub duration: Duration,
}

impl Observation {
    /// Returns the TLS session of an endpoint, if its handshake started.
    #[must_use]
    pub fn tls_of(&self, endpoint: Endpoint) -> Option<&TlsSession> {
        self.tls.iter().find(|session| session.endpoint == endpoint)
    }

    /// Returns the registry's Retry-After duration, if it throttles.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match &self.failure {
            Some(Failure { fault: Fault::Answer(answer), .. }) => answer.retry_after,
            Some(_) | None => None,
        }
    }

    /// Returns whether a stage ran.
    #[must_use]
    pub fn reached(&self, endpoint: Endpoint, stage: Stage) -> bool {
        self.marks.iter().any(|mark| mark.endpoint == endpoint && mark.stage == stage)
    }

    /// Records that a stage ran; durations of several parts are added up.
    pub(crate) fn mark(&mut self, endpoint: Endpoint, stage: Stage, duration: Duration) {
        match self.marks.iter_mut().find(|mark| mark.endpoint == endpoint && mark.stage == stage) {
            Some(mark) => mark.duration += duration,
            None => self.marks.push(Mark { endpoint, stage, duration }),
        }
    }

    /// Adds the resolutions and durations of another observation.
    pub(crate) fn add_names(&mut self, other: Self) {
        self.resolutions.extend(other.resolutions);
        for mark in other.marks {
            self.mark(mark.endpoint, mark.stage, mark.duration);
        }
    }

    /// Returns the duration of connecting to an endpoint, including the TLS handshake.
    pub(crate) fn connecting(&self, endpoint: Endpoint) -> Duration {
        let is_connecting =
            |mark: &&Mark| mark.endpoint == endpoint && matches!(mark.stage, Stage::Connect | Stage::Tls);
        self.marks.iter().filter(is_connecting).map(|mark| mark.duration).sum()
    }
}

/// A stage that ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The endpoint of the stage.
    pub endpoint: Endpoint,
    /// The stage that ran.
    pub stage: Stage,
    /// How long it took, whatever its result.
    pub duration: Duration,
}

/// An attempted TCP connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The endpoint of the attempt.
    pub endpoint: Endpoint,
    /// The address and port of the attempt.
    pub address: SocketAddr,
    /// Why it failed; absent if it succeeded.
    pub failure: Option<ConnectFailure>,
}

/// Why a TCP connection failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectFailure {
    /// No response within the per-stage timeout.
    Timeout,
    /// The peer responded with a reset.
    Refused,
    /// No route to the host or network.
    Unreachable,
    /// The node's operating system did not open the connection, for another reason: nothing left the node.
    NotOpened(SystemError),
}

/// An HTTP request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// The endpoint of the request; a blob is requested from the login server first.
    pub endpoint: Endpoint,
    /// The stage of the request.
    pub stage: Stage,
    /// The status code of the response; absent without a response.
    pub status: Option<u16>,
}

/// The facts of a TLS handshake, including a failed one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSession {
    /// The endpoint of the session.
    pub endpoint: Endpoint,
    /// The peer: the accepted address of the connection.
    pub address: SocketAddr,
    /// The negotiated protocol version, if any.
    pub version: Option<TlsVersion>,
    /// The peer's certificate; absent if it sent none or an unreadable one.
    pub certificate: Option<Certificate>,
    /// The source of the root that the chain leads to; absent if the chain is not trusted.
    pub trusted_by: Option<TrustedBy>,
}

/// The protocol versions that rustls supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl TlsVersion {
    /// Returns the name used in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        }
    }
}

/// The parts of the peer's certificate that a diagnosis needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Distinguished name of the subject.
    pub subject: String,
    /// Distinguished name of the issuer, which identifies a firewall that inspects TLS.
    pub issuer: String,
    /// DNS names of the certificate, at most [`Certificate::MAX_NAMES`].
    pub names: Vec<String>,
    /// Start of its validity.
    pub not_before: Timestamp,
    /// End of its validity.
    pub not_after: Timestamp,
    /// Distinguished names of the issuers of the other certificates in the chain, in order.
    pub chain_issuers: Vec<String>,
}

impl Certificate {
    /// Maximum number of names kept: real certificates have a handful, and a hostile one must not fill a report.
    pub const MAX_NAMES: usize = 16;
}

/// Why a handshake failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsFailure {
    /// The chain leads to no trusted root.
    Untrusted,
    /// The certificate is valid only for other names.
    NameMismatch,
    /// The certificate, or one above it, has expired.
    Expired,
    /// The certificate, or one above it, is not yet valid.
    NotYetValid,
    /// Anything else: no common version, an alert, bytes that are not TLS. The text comes from the library, without secrets.
    Handshake(String),
}

/// The token that the registry's token service granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Whether its access claim allows pull on the repository; absent if the token is opaque or has no such claim.
    pub pull: Option<bool>,
}

/// The image manifest that a pull on this node would use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Digest of the requested content, computed over the bytes.
    pub digest: String,
    /// The media type of the content.
    pub media_type: String,
    /// The size in bytes.
    pub size: u64,
    /// `os/architecture`, if an index or the image's configuration contains it.
    pub platform: Option<String>,
}

/// The platforms of this node and of an image built for another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformMismatch {
    /// The platform of this node.
    pub wanted: String,
    /// The platform in the image's configuration, otherwise `no platform`.
    pub found: String,
}

/// The blob that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// The digest in the manifest.
    pub digest: String,
    /// The size in bytes in the manifest.
    pub size: u64,
    /// The number of bytes read; fewer than `size` only if the limit of one check was reached.
    pub bytes_read: u64,
    /// The host that served it: the data endpoint or the login server.
    pub host: String,
}
