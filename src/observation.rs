//! What one check of one image saw: facts, timings and closed kinds of failure.
//!
//! Owns the vocabulary that the probe writes and the rules read. Nothing here judges (that is `rules`), touches
//! the network (that is `probe`) or knows how a report looks (that is `report`). Library errors never get in: the
//! probe turns each into one of the kinds below, so that a new way to fail is a new variant and stops the build.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jiff::Timestamp;

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
    /// `GET /v2/` without credentials.
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
    /// What the TLS handshakes showed, one an endpoint.
    pub tls: Vec<TlsSession>,
    /// When the credentials end, where the operator has told us.
    pub credentials_expire_at: Option<Timestamp>,
    /// The token that was granted; never its text.
    pub token: Option<Token>,
    /// The image manifest that a pull on this node would use.
    pub manifest: Option<Manifest>,
    /// The blob that was read, as far as it was.
    pub blob: Option<Blob>,
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

/// Who was asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resolver {
    /// A nameserver of the node: what the kubelet uses, so its answers are judged.
    System,
    /// A resolver to compare with, under the operator's name for it: told, never judged.
    Compared(String),
}

impl Resolver {
    /// The label: `system`, or the operator's name.
    #[must_use]
    pub fn label(&self) -> &str {
        match self {
            Self::System => "system",
            Self::Compared(name) => name,
        }
    }
}

/// The answers of one nameserver about one name: the A and the AAAA question, asked at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// Whose name it is.
    pub endpoint: Endpoint,
    /// The name, without the final dot.
    pub host: String,
    /// On whose behalf the nameserver was asked.
    pub resolver: Resolver,
    /// The nameserver.
    pub server: SocketAddr,
    /// What it said to the A question.
    pub a: Lookup,
    /// What it said to the AAAA question.
    pub aaaa: Lookup,
    /// Until both answers were there, or were given up.
    pub duration: Duration,
}

impl Resolution {
    /// Both lookups, A first.
    #[must_use]
    pub fn lookups(&self) -> [&Lookup; 2] {
        [&self.a, &self.aaaa]
    }

    /// Every address that the nameserver gave, A first, each once.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        let mut addresses = Vec::new();
        for lookup in self.lookups() {
            if let Lookup::Answered(answer) = lookup {
                for address in &answer.addresses {
                    if !addresses.contains(address) {
                        addresses.push(*address);
                    }
                }
            }
        }
        addresses
    }
}

/// The outcome of one question to one nameserver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// The nameserver answered NOERROR or NXDOMAIN with a chain that could be followed.
    Answered(DnsAnswer),
    /// It did not, or what it said cannot be used.
    Failed(DnsFailure),
}

/// A usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsAnswer {
    /// `NOERROR` or `NXDOMAIN`.
    pub rcode: Rcode,
    /// The records from the asked name on, in the order of the chain; foreign records are left out.
    pub chain: Vec<Record>,
    /// The addresses at the end of the chain.
    pub addresses: Vec<IpAddr>,
    /// The owner of the SOA record of a negative answer (RFC 2308): the zone that said no.
    pub soa_owner: Option<String>,
    /// Extended DNS errors (RFC 8914).
    pub extended_errors: Vec<ExtendedError>,
    /// Whether it took TCP, because the datagram was truncated.
    pub over_tcp: bool,
}

/// A nameserver that gave no usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsFailure {
    /// Why not.
    pub kind: DnsFailureKind,
    /// Extended DNS errors (RFC 8914) that came with it.
    pub extended_errors: Vec<ExtendedError>,
}

/// Why a nameserver gave no usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsFailureKind {
    /// No answer in time after the resends; a closed port shows the same.
    Timeout,
    /// The question could not even be sent: no route to the nameserver.
    Unreachable,
    /// An answer code other than NOERROR and NXDOMAIN.
    Refused(Rcode),
    /// The answer cannot be parsed.
    Malformed,
    /// The datagram was truncated and TCP did not complete the answer (RFC 7766).
    TruncatedWithoutTcp,
    /// The chain of CNAMEs comes back to a name that it has passed.
    CnameLoop(String),
    /// The chain is longer than any real one.
    ChainTooLong,
}

/// An answer code of RFC 1035 and RFC 6895.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rcode(pub u16);

impl Rcode {
    /// No error.
    pub const NOERROR: Self = Self(0);
    /// The nameserver could not find out.
    pub const SERVFAIL: Self = Self(2);
    /// The name does not exist.
    pub const NXDOMAIN: Self = Self(3);
}

impl fmt::Display for Rcode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => formatter.pad("NOERROR"),
            1 => formatter.pad("FORMERR"),
            2 => formatter.pad("SERVFAIL"),
            3 => formatter.pad("NXDOMAIN"),
            4 => formatter.pad("NOTIMP"),
            5 => formatter.pad("REFUSED"),
            code => formatter.pad(&format!("RCODE{code}")),
        }
    }
}

/// An extended DNS error (RFC 8914).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtendedError {
    /// The info code of the IANA registry.
    pub code: u16,
    /// The nameserver's own words, cut to a bounded length, without control characters.
    pub text: String,
}

/// One record of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The owner, lower case, with the final dot.
    pub name: String,
    /// Time to live in seconds, as it came: a cached answer has less than the zone says.
    pub ttl: u32,
    /// What it holds.
    pub data: RecordData,
}

/// What a record of a chain holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordData {
    /// Another name for the owner, lower case, with the final dot.
    Cname(String),
    /// An address of the owner (A or AAAA).
    Address(IpAddr),
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
