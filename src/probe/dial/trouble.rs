//! What the HTTP client's errors mean: the library's chain of causes read into closed kinds.

use std::error::Error;
use std::io;

use crate::observation::{ConnectFailure, SystemError, TlsFailure};
use crate::probe::system;

/// Why a request over the connection did not bring an answer's head.
#[derive(Debug)]
pub(in crate::probe) enum Trouble {
    /// TCP did not come up.
    Connect(ConnectFailure),
    /// TLS did not come up.
    Tls(TlsFailure),
    /// The limit of the stage was reached with TCP up.
    Timeout {
        /// Whether the handshake was still going on.
        handshaking: bool,
    },
    /// The whole check's limit was reached.
    Deadline {
        /// How far the connection was.
        reached: Reached,
    },
    /// The connection ended early.
    Closed {
        /// Whether the handshake was still going on.
        handshaking: bool,
    },
    /// The bytes are not an HTTP answer, or its head is over-long.
    NotHttp(&'static str),
}

/// How far a connection was when the whole check's time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::probe) enum Reached {
    /// TCP was not up.
    Connect,
    /// TLS was not up.
    Tls,
    /// A request was under way.
    Request,
}

/// The library's error as a chain of causes, first to last, with what an IO error wraps: its `source()` skips that.
fn chain(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let link = next?;
        let wrapped = link.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = wrapped.map(|wrapped| wrapped as &(dyn Error + 'static)).or_else(|| link.source());
        Some(link)
    })
}

fn inner<T: Error + 'static>(error: &reqwest::Error) -> Option<&T> {
    chain(error).find_map(|link| link.downcast_ref::<T>())
}

pub(super) fn tls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    inner::<rustls::Error>(error)
}

pub(super) fn is_reset(error: &reqwest::Error) -> bool {
    inner::<io::Error>(error).is_some_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's enum is open")]
pub(super) fn connect_failure(error: &reqwest::Error) -> ConnectFailure {
    // What wraps the system's own error has no number.
    let errors = || chain(error).filter_map(|link| link.downcast_ref::<io::Error>());
    let Some(error) = errors().find(|error| error.raw_os_error().is_some()).or_else(|| errors().next())
    else {
        return ConnectFailure::NotOpened(SystemError { number: None, name: None });
    };
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ConnectFailure::Refused,
        io::ErrorKind::TimedOut => ConnectFailure::Timeout,
        _ if system::is_unreachable(error) => ConnectFailure::Unreachable,
        // No port or descriptor left, a filter of this very machine: nothing is known about the network.
        _ => ConnectFailure::NotOpened(system::error(error)),
    }
}

pub(super) fn request_trouble(error: &reqwest::Error) -> Trouble {
    http_trouble(inner(error))
}

/// Why an answer did not come whole over a connection that was up.
pub(in crate::probe) fn http_trouble(error: Option<&hyper::Error>) -> Trouble {
    match error {
        Some(error) if error.is_parse() => {
            Trouble::NotHttp("it does not respond with HTTP, or its response headers are too large")
        }
        Some(error) if is_misframed(error) => Trouble::NotHttp("the framing of its HTTP response is broken"),
        Some(_) | None => Trouble::Closed { handshaking: false },
    }
}

/// Whether a body is not framed as HTTP/1.1 frames one: a chunk without a size, or without its end. What TLS itself
/// refuses has the same kind, and is told by its type.
fn is_misframed(error: &hyper::Error) -> bool {
    let wrapped = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    wrapped.is_some_and(|wrapped| {
        let is_tls = wrapped.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some();
        !is_tls && matches!(wrapped.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
    })
}
