//! What one check of one image saw: facts, timings and closed kinds of failure.
//!
//! Owns the vocabulary that the probe writes and the rules read. Nothing here judges (that is `rules`), touches
//! the network (that is `probe`) or knows how a report looks (that is `report`). Library errors never get in: the
//! probe turns each into one of the kinds below, so that a new way to fail is a new variant and stops the build.

mod credentials;
mod failure;
mod names;
mod node;
mod system;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;

pub use credentials::{CredentialEvidence, CredentialKind, CredentialsUsed, RejectedEntry};
pub use failure::{Answer, Failure, Fault, Reason, Sender};
pub use names::{
    DnsAnswer, DnsFailure, DnsFailureKind, ExtendedError, Lookup, Rcode, Record, RecordData, Resolution,
    Resolver,
};
pub use system::SystemError;

pub use node::{Fact, Proxied, TrustedBy};

/// Which of the registry's two endpoints a fact belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// The login server: challenge, token, manifest and the redirect of a blob.
    Login,
    /// The data endpoint that the blob redirect names.
    Data,
}

impl Endpoint {
    /// Both, in the order in which a pull meets them.
    pub const ALL: [Self; 2] = [Self::Login, Self::Data];

    /// The contract's word for it.
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

/// One step of a pull, in the order in which a pull takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The name is asked of every nameserver.
    Dns,
    /// Every answer is classified.
    Address,
    /// TCP to the judged address.
    Connect,
    /// The TLS handshake and the certificate.
    Tls,
    /// `HEAD` of the image's manifest, without credentials.
    Challenge,
    /// The token service, with credentials.
    Token,
    /// The manifest, with the token.
    Manifest,
    /// The blob, through the data endpoint.
    Blob,
}

impl Stage {
    /// The stages of an endpoint, in order: seven at the login server, five at the data endpoint.
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

    /// The contract's word for it.
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

/// What one check of one image saw, from the first question to the last byte.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observation {
    /// The stages that ran, with the time each took; a stage that is not here was not reached or not asked for.
    pub marks: Vec<Mark>,
    /// Every name asked of every nameserver.
    pub resolutions: Vec<Resolution>,
    /// Every TCP connection that was tried, in order.
    pub attempts: Vec<Attempt>,
    /// Every HTTP request that was sent, in order.
    pub requests: Vec<Request>,
    /// What the TLS handshakes showed, one an endpoint.
    pub tls: Vec<TlsSession>,
    /// When the credentials end, where the operator has told us.
    pub credentials_expire_at: Option<Timestamp>,
    /// Whose credentials the pull uses, by its last attempt; absent when they cannot be read.
    pub credentials: Option<CredentialsUsed>,
    /// The entries that the registry rejected, in the order in which they were tried.
    pub rejected_entries: Vec<RejectedEntry>,
    /// The token that was granted; never its text.
    pub token: Option<Token>,
    /// The image manifest that a pull on this node would use.
    pub manifest: Option<Manifest>,
    /// The platform that the image is built for, where this node cannot run it and the pull works all the same.
    pub platform_mismatch: Option<PlatformMismatch>,
    /// The blob that was read, as far as it was.
    pub blob: Option<Blob>,
    /// What the registry calls the answer that was read last, for Azure's support; absent where none came.
    pub correlation_id: Option<String>,
    /// Endpoints that containerd on this node would reach through a proxy, one at most each.
    pub proxied: Vec<Proxied>,
    /// Where containerd on this node would ask for the image before its registry or in its place.
    pub mirrors: Vec<String>,
    /// The step that ended the check after its addresses were judged good; absent when nothing did.
    pub failure: Option<Failure>,
    /// How long the whole check took.
    pub duration: Duration,
}

impl Observation {
    /// The session of one endpoint, when its handshake got far enough to be seen.
    #[must_use]
    pub fn tls_of(&self, endpoint: Endpoint) -> Option<&TlsSession> {
        self.tls.iter().find(|session| session.endpoint == endpoint)
    }

    /// How long the registry asks to wait, where it throttles.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match &self.failure {
            Some(Failure { fault: Fault::Answer(answer), .. }) => answer.retry_after,
            Some(_) | None => None,
        }
    }

    /// Whether a stage ran.
    #[must_use]
    pub fn reached(&self, endpoint: Endpoint, stage: Stage) -> bool {
        self.marks.iter().any(|mark| mark.endpoint == endpoint && mark.stage == stage)
    }

    /// Notes that a stage ran; what runs in parts is added up.
    pub(crate) fn mark(&mut self, endpoint: Endpoint, stage: Stage, duration: Duration) {
        match self.marks.iter_mut().find(|mark| mark.endpoint == endpoint && mark.stage == stage) {
            Some(mark) => mark.duration += duration,
            None => self.marks.push(Mark { endpoint, stage, duration }),
        }
    }

    /// Takes over what was seen of names meanwhile.
    pub(crate) fn add_names(&mut self, other: Self) {
        self.resolutions.extend(other.resolutions);
        for mark in other.marks {
            self.mark(mark.endpoint, mark.stage, mark.duration);
        }
    }

    /// How long it took to connect to an endpoint, the handshake included.
    pub(crate) fn connecting(&self, endpoint: Endpoint) -> Duration {
        let is_connecting =
            |mark: &&Mark| mark.endpoint == endpoint && matches!(mark.stage, Stage::Connect | Stage::Tls);
        self.marks.iter().filter(is_connecting).map(|mark| mark.duration).sum()
    }
}

/// A stage that ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// At which endpoint.
    pub endpoint: Endpoint,
    /// Which stage.
    pub stage: Stage,
    /// How long it took, up to its outcome.
    pub duration: Duration,
}

/// A TCP connection that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// To which endpoint.
    pub endpoint: Endpoint,
    /// To which address.
    pub address: SocketAddr,
    /// How it ended; absent when it was made.
    pub failure: Option<ConnectFailure>,
}

/// Why a TCP connection was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectFailure {
    /// No answer within the limit.
    Timeout,
    /// Answered with a reset.
    Refused,
    /// No route to the host or network.
    Unreachable,
    /// The node's own system did not open the connection, for another reason: nothing left the node.
    NotOpened(SystemError),
}

/// An HTTP request that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// To which endpoint: a blob is asked of the login server first.
    pub endpoint: Endpoint,
    /// In which stage.
    pub stage: Stage,
    /// The status code of the answer; absent when none came.
    pub status: Option<u16>,
}

/// What a TLS handshake showed, also one that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSession {
    /// With which endpoint.
    pub endpoint: Endpoint,
    /// The peer: the judged address that the connection was made to.
    pub address: SocketAddr,
    /// `TLSv1.3` or `TLSv1.2`, once agreed.
    pub version: Option<TlsVersion>,
    /// The peer's certificate; absent when it sent none that could be read.
    pub certificate: Option<Certificate>,
    /// Whose certificate authorities the chain leads to; absent when it leads to none.
    pub trusted_by: Option<TrustedBy>,
}

/// The protocol versions that rustls speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl TlsVersion {
    /// The contract's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        }
    }
}

/// The parts of the peer's own certificate that a diagnosis needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Distinguished name of the subject.
    pub subject: String,
    /// Distinguished name of the issuer: names the firewall that inspects TLS.
    pub issuer: String,
    /// DNS names it is valid for, at most [`Certificate::MAX_NAMES`].
    pub names: Vec<String>,
    /// Start of its validity.
    pub not_before: Timestamp,
    /// End of its validity.
    pub not_after: Timestamp,
    /// The distinguished names of the issuers of the other certificates that were sent, in order.
    pub chain_issuers: Vec<String>,
}

impl Certificate {
    /// Names kept of one certificate: real ones have a handful, and a hostile one must not fill a report.
    pub const MAX_NAMES: usize = 16;
}

/// Why a handshake failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsFailure {
    /// No trusted root vouches for the chain.
    Untrusted,
    /// The certificate is for other names.
    NameMismatch,
    /// The certificate, or one above it, has ended.
    Expired,
    /// The certificate, or one above it, has not begun.
    NotYetValid,
    /// Anything else: no common version, an alert, bytes that are not TLS. The text is the library's, without secrets.
    Handshake(String),
}

/// The token that the registry's token service granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Whether its access claim allows pull on the repository; absent when the token is opaque or has no such claim.
    pub pull: Option<bool>,
}

/// The image manifest that a pull on this node would use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Digest of what was asked for, computed over the bytes.
    pub digest: String,
    /// Its media type.
    pub media_type: String,
    /// Its size in bytes.
    pub size: u64,
    /// `os/architecture`, when an index or the image's configuration tells.
    pub platform: Option<String>,
}

/// An image that is pulled, and for another platform than this node's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformMismatch {
    /// What this node is.
    pub wanted: String,
    /// What the image's configuration says; `no platform` where it says nothing.
    pub found: String,
}

/// The blob that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// The digest that the manifest names.
    pub digest: String,
    /// The size in bytes that the manifest names.
    pub size: u64,
    /// How many bytes were read; fewer than `size` only where the limit of one check was reached.
    pub bytes_read: u64,
    /// Who served it: the data endpoint, or the login server itself.
    pub host: String,
}
