//! Classifies the HTTP client's errors: maps the library's error chain to a closed set of kinds.

use std::error::Error;
use std::io;

use crate::observation::{ConnectFailure, SystemError, TlsFailure};
use crate::probe::system;

/// Why a request received no response head.
#[derive(Debug)]
pub(in crate::probe) enum TransportError {
    /// The TCP connection failed.
    Connect(ConnectFailure),
    /// The TLS handshake failed.
    Tls(TlsFailure),
    /// The per-stage timeout elapsed after TCP was connected.
    Timeout {
        /// Whether the handshake was still in progress.
        handshaking: bool,
    },
    /// The overall timeout elapsed.
    Deadline {
        /// The phase that the connection had reached.
        reached: Reached,
    },
    /// The connection was closed early.
    Closed {
        /// Whether the handshake was still in progress.
        handshaking: bool,
    },
    /// The bytes are not an HTTP response, or its head is too large.
    NotHttp(&'static str),
}

/// The phase of a connection when the overall timeout elapsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::probe) enum Reached {
    /// TCP was not connected.
    Connect,
    /// TLS was not established.
    Tls,
    /// A request was in flight.
    Request,
}

/// The error's chain of sources, outermost first, including errors wrapped by an IO error, which `source()` skips.
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
    // The wrapper of a system error has no errno.
    let errors = || chain(error).filter_map(|link| link.downcast_ref::<io::Error>());
    let Some(error) = errors().find(|error| error.raw_os_error().is_some()).or_else(|| errors().next())
    else {
        return ConnectFailure::NotOpened(SystemError { number: None, name: None });
    };
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ConnectFailure::Refused,
        io::ErrorKind::TimedOut => ConnectFailure::Timeout,
        _ if system::is_unreachable(error) => ConnectFailure::Unreachable,
        // No free port or descriptor, or a local packet filter: nothing is known about the network.
        _ => ConnectFailure::NotOpened(system::error(error)),
    }
}

pub(super) fn request_error(error: &reqwest::Error) -> TransportError {
    http_error(inner(error))
}

/// Why a response over an established connection was incomplete.
pub(in crate::probe) fn http_error(error: Option<&hyper::Error>) -> TransportError {
    match error {
        Some(error) if error.is_parse() => {
            TransportError::NotHttp("it does not respond with HTTP, or its response headers are too large")
        }
        Some(error) if is_misframed(error) => {
            TransportError::NotHttp("the framing of its HTTP response is broken")
        }
        Some(_) | None => TransportError::Closed { handshaking: false },
    }
}

/// Whether a body violates HTTP/1.1 framing: a chunk without a size or without its end. Errors of TLS have the same kind and
/// are distinguished by type.
fn is_misframed(error: &hyper::Error) -> bool {
    let wrapped = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    wrapped.is_some_and(|wrapped| {
        let is_tls = wrapped.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some();
        !is_tls && matches!(wrapped.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
    })
}
