//! What one request found, as a closed list.
//!
//! Owns what counts as a refusal and as exposure. Everything else is a gap: it proves nothing, and is never a refusal.
//! `explanation` phrases them.

use std::net::IpAddr;
use std::time::Duration;

use super::Exposure;
use crate::address::NameserverAddress;
use crate::observation::{Answer, ConnectFailure, DnsFailureKind, Rcode, Reason, Sender, TlsFailure};

/// What one request found, or why none was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The registry's firewall rejected the client.
    Refused(Answer),
    /// The registry answered as it answers any client.
    Exposed(Answer),
    /// Nothing is known about the public side.
    NotTested(Gap),
}

/// Why nothing is known about the public side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gap {
    /// The resolver configuration has no usable nameserver.
    NoNameserver,
    /// The name does not exist, or has no address.
    NameNotFound {
        /// `NXDOMAIN` or `NOERROR`.
        rcode: Rcode,
    },
    /// No nameserver gave a usable answer.
    NotResolved(Vec<FailedQuery>),
    /// The answer is private: this place sees the private zone.
    Private(Vec<IpAddr>),
    /// The answer has only addresses that no registry can have.
    Reserved(Vec<IpAddr>),
    /// The TCP connection failed.
    NotConnected(ConnectFailure),
    /// The TLS handshake failed.
    Tls {
        /// Why.
        failure: TlsFailure,
        /// The issuer of the certificate, if it can be read.
        issuer: Option<String>,
    },
    /// Connected, but no complete answer in time.
    NoAnswer {
        /// The timeout.
        limit: Duration,
    },
    /// The connection was closed before the answer was complete.
    Reset,
    /// The answer is not HTTP, or its framing is broken.
    NotHttp(&'static str),
    /// A redirect, which was not followed.
    Redirected {
        /// The answer.
        answer: Answer,
        /// Scheme, host and port of its target, if it has a usable one.
        target: Option<String>,
    },
    /// Any other complete answer.
    Answered(Answer),
}

/// A query without a usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedQuery {
    /// The nameserver.
    pub server: NameserverAddress,
    /// Whether it was queried only over TCP.
    pub tcp_only: bool,
    /// Why it failed.
    pub kind: DnsFailureKind,
}

/// What the head of an answer shows in addition to [`Answer`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signs {
    /// Whether it has an authentication challenge, of any scheme.
    pub has_challenge: bool,
    /// Whether its content is HTML.
    pub is_html: bool,
    /// Scheme, host and port of a redirect's target.
    pub target: Option<String>,
}

impl Outcome {
    /// Classifies a complete answer.
    #[must_use]
    pub fn of_answer(answer: Answer, signs: Signs) -> Self {
        let is_registry = answer.sender == Sender::Registry && !signs.is_html;
        match answer.status {
            403 if is_registry && is_firewall(&answer) => Self::Refused(answer),
            401 if is_registry && signs.has_challenge => Self::Exposed(answer),
            200..=299 if is_registry => Self::Exposed(answer),
            300..=399 => Self::NotTested(Gap::Redirected { answer, target: signs.target }),
            _ => Self::NotTested(Gap::Answered(answer)),
        }
    }

    /// Returns the verdict.
    #[must_use]
    pub const fn verdict(&self) -> Exposure {
        match self {
            Self::Refused(_) => Exposure::Refused,
            Self::Exposed(_) => Exposure::Exposed,
            Self::NotTested(_) => Exposure::NotTested,
        }
    }

    /// Returns the complete answer, if there was one.
    #[must_use]
    pub const fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Refused(answer) | Self::Exposed(answer) => Some(answer),
            Self::NotTested(Gap::Answered(answer) | Gap::Redirected { answer, .. }) => Some(answer),
            Self::NotTested(
                Gap::NoNameserver
                | Gap::NameNotFound { .. }
                | Gap::NotResolved(_)
                | Gap::Private(_)
                | Gap::Reserved(_)
                | Gap::NotConnected(_)
                | Gap::Tls { .. }
                | Gap::NoAnswer { .. }
                | Gap::Reset
                | Gap::NotHttp(_),
            ) => None,
        }
    }
}

/// Whether a 403 is the firewall's: the code `DENIED`, and its text.
fn is_firewall(answer: &Answer) -> bool {
    answer.reason == Reason::Firewall && answer.codes.iter().any(|code| code.eq_ignore_ascii_case("DENIED"))
}

/// The kind of a gap, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GapKind {
    /// No usable nameserver is configured.
    NoNameserver,
    /// The name has no address.
    NameNotFound,
    /// No nameserver gave a usable answer.
    NotResolved,
    /// The answer is private.
    PrivateAnswer,
    /// The answer is reserved.
    ReservedAnswer,
    /// The connection timed out.
    ConnectTimeout,
    /// The connection was refused.
    ConnectRefused,
    /// No route leads to the address.
    NetworkUnreachable,
    /// This machine could not open a connection.
    NotOpened,
    /// The certificate is not trusted, as with TLS inspection.
    CertificateUntrusted,
    /// Any other failure of the handshake.
    TlsFailed,
    /// No complete answer in time.
    ResponseTimeout,
    /// The connection was closed early.
    ConnectionReset,
    /// The answer is not valid HTTP.
    NotHttp,
    /// A redirect.
    Redirected,
    /// An HTML page, as from a proxy or a portal.
    Page,
    /// A 403 that is not from the registry's firewall.
    Forbidden,
    /// 429.
    Throttled,
    /// 5xx.
    ServerError,
    /// 404.
    NotFound,
    /// Any other answer.
    OtherAnswer,
}

impl GapKind {
    /// Every kind.
    pub const ALL: [Self; 21] = [
        Self::NoNameserver,
        Self::NameNotFound,
        Self::NotResolved,
        Self::PrivateAnswer,
        Self::ReservedAnswer,
        Self::ConnectTimeout,
        Self::ConnectRefused,
        Self::NetworkUnreachable,
        Self::NotOpened,
        Self::CertificateUntrusted,
        Self::TlsFailed,
        Self::ResponseTimeout,
        Self::ConnectionReset,
        Self::NotHttp,
        Self::Redirected,
        Self::Page,
        Self::Forbidden,
        Self::Throttled,
        Self::ServerError,
        Self::NotFound,
        Self::OtherAnswer,
    ];

    /// Returns the name used in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoNameserver => "no_nameserver",
            Self::NameNotFound => "name_not_found",
            Self::NotResolved => "not_resolved",
            Self::PrivateAnswer => "private_answer",
            Self::ReservedAnswer => "reserved_answer",
            Self::ConnectTimeout => "connect_timeout",
            Self::ConnectRefused => "connect_refused",
            Self::NetworkUnreachable => "network_unreachable",
            Self::NotOpened => "not_opened",
            Self::CertificateUntrusted => "certificate_untrusted",
            Self::TlsFailed => "tls_failed",
            Self::ResponseTimeout => "response_timeout",
            Self::ConnectionReset => "connection_reset",
            Self::NotHttp => "not_http",
            Self::Redirected => "redirected",
            Self::Page => "page",
            Self::Forbidden => "forbidden",
            Self::Throttled => "throttled",
            Self::ServerError => "server_error",
            Self::NotFound => "not_found",
            Self::OtherAnswer => "other_answer",
        }
    }
}

impl Gap {
    /// Returns the kind.
    #[must_use]
    pub const fn kind(&self) -> GapKind {
        match self {
            Self::NoNameserver => GapKind::NoNameserver,
            Self::NameNotFound { .. } => GapKind::NameNotFound,
            Self::NotResolved(_) => GapKind::NotResolved,
            Self::Private(_) => GapKind::PrivateAnswer,
            Self::Reserved(_) => GapKind::ReservedAnswer,
            Self::NotConnected(ConnectFailure::Timeout) => GapKind::ConnectTimeout,
            Self::NotConnected(ConnectFailure::Refused) => GapKind::ConnectRefused,
            Self::NotConnected(ConnectFailure::Unreachable) => GapKind::NetworkUnreachable,
            Self::NotConnected(ConnectFailure::NotOpened(_)) => GapKind::NotOpened,
            Self::Tls { failure: TlsFailure::Untrusted, .. } => GapKind::CertificateUntrusted,
            Self::Tls { .. } => GapKind::TlsFailed,
            Self::NoAnswer { .. } => GapKind::ResponseTimeout,
            Self::Reset => GapKind::ConnectionReset,
            Self::NotHttp(_) => GapKind::NotHttp,
            Self::Redirected { .. } => GapKind::Redirected,
            Self::Answered(answer) => kind_of(answer),
        }
    }
}

/// The kind of an answer that is neither a refusal nor exposure. A page comes first: it is not the registry's, whatever its
/// status.
const fn kind_of(answer: &Answer) -> GapKind {
    match (answer.sender, answer.status) {
        (Sender::Page, _) => GapKind::Page,
        (_, 403) => GapKind::Forbidden,
        (_, 429) => GapKind::Throttled,
        (_, 500..=599) => GapKind::ServerError,
        (_, 404) => GapKind::NotFound,
        (Sender::Registry | Sender::Storage | Sender::Text | Sender::Unknown, _) => GapKind::OtherAnswer,
    }
}
