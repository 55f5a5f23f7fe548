//! One HTTPS connection to one judged address, with the moments at which its stages end.
//!
//! Owns the client that can only ever reach the address it was made for: no proxy, no redirect, no retry, no other
//! resolver, the real name in SNI and Host. Which requests go over it is `registry`'s.
//!
//! The stages are told apart by marks that the client sets, never by error texts: its resolver is asked (dialling
//! starts), rustls asks for a session ticket (TCP is up), the connector is done (TLS is up).

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, Response};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tower::{Layer, Service};
use url::Url;

use super::clock::{Clock, Limit};
use super::system;
use super::tls::{Handshake, Trust};
use crate::observation::{ConnectFailure, SystemError, TlsFailure};
use crate::secret::hear;

/// Header fields that one answer may have; ACR sends some fifteen. hyper bounds their bytes.
pub(super) const MAX_HEADERS: usize = 100;

/// How far the connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Dialling,
    Handshaking,
    Ready,
}

/// The phase, and since when.
#[derive(Debug, Clone, Copy)]
struct Mark {
    phase: Phase,
    since: Instant,
}

/// Sets the marks; shared by the three hooks.
#[derive(Debug, Clone)]
pub(super) struct Marks(Arc<watch::Sender<Mark>>);

impl Marks {
    fn set(&self, phase: Phase) {
        self.0.send_replace(Mark { phase, since: Instant::now() });
    }

    /// TCP is up: rustls is about to send its first message.
    pub(super) fn start_handshake(&self) {
        self.set(Phase::Handshaking);
    }
}

/// Why a request over the connection did not bring an answer's head.
#[derive(Debug)]
pub(super) enum Trouble {
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
pub(super) enum Reached {
    /// TCP was not up.
    Connect,
    /// TLS was not up.
    Tls,
    /// A request was under way.
    Request,
}

/// How long the two stages of the connection took, as far as it came.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Timings {
    pub(super) connect: Option<Duration>,
    pub(super) tls: Option<Duration>,
}

/// An answer whose head has come, and whose body has not.
pub(super) struct Head {
    pub(super) response: Response,
    /// When the request could be sent: the connection was up.
    pub(super) sent_at: Instant,
    /// Until when the body may take.
    pub(super) limit: Limit,
}

/// A client for one address of one endpoint.
pub(super) struct Connection {
    client: Client,
    marks: Marks,
    phase: watch::Receiver<Mark>,
    handshake: Handshake,
    timings: Timings,
}

impl Connection {
    /// Prepares a connection; nothing is sent before the first request.
    pub(super) fn new(trust: &Trust, host: &str, address: SocketAddr) -> Self {
        let (sender, phase) = watch::channel(Mark { phase: Phase::Idle, since: Instant::now() });
        let marks = Marks(Arc::new(sender));
        let (tls, handshake) = trust.client_config(marks.clone());
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Pinned { host: host.to_owned(), address, marks: marks.clone() })
            .connector_layer(ReadyLayer(marks.clone()))
            .https_only(true)
            .http1_only()
            .http1_max_headers(MAX_HEADERS)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .user_agent(concat!("acr-verifier/", env!("CARGO_PKG_VERSION")))
            .build()
            .expect("nothing in these settings comes from outside");
        Self { client, marks, phase, handshake, timings: Timings::default() }
    }

    /// What the handshake showed.
    pub(super) const fn handshake(&self) -> &Handshake {
        &self.handshake
    }

    /// How long connecting and the handshake took.
    pub(super) const fn timings(&self) -> Timings {
        self.timings
    }

    /// Sends a GET and waits for the answer's head: within `limit`, and where the connection has to be made first, each
    /// of its phases within one of its own.
    pub(super) async fn get(
        &mut self,
        url: Url,
        headers: HeaderMap,
        clock: &Clock,
        mut limit: Limit,
    ) -> Result<Head, Trouble> {
        self.marks.set(Phase::Idle);
        self.phase.mark_unchanged();
        let request = self.client.get(url).headers(headers).send();
        tokio::pin!(request);
        let mut current = *self.phase.borrow();
        let outcome = loop {
            tokio::select! {
                biased;
                changed = self.phase.changed() => {
                    // The sender lives in the client and in `self.marks`: it cannot be gone.
                    if changed.is_ok() {
                        let next = *self.phase.borrow_and_update();
                        self.timings.note(current, next);
                        current = next;
                        limit = clock.limit();
                    }
                }
                answer = &mut request => break Ok(answer),
                () = tokio::time::sleep_until(limit.until) => break Err(()),
            }
        };
        let last = *self.phase.borrow_and_update();
        if last.phase != current.phase {
            self.timings.note(current, last);
        }
        match outcome {
            Ok(Ok(response)) => Ok(Head { response, sent_at: last.since, limit }),
            Ok(Err(error)) => Err(self.classify(last.phase, &error)),
            Err(()) => Err(ran_out(last.phase, limit)),
        }
    }

    fn classify(&self, phase: Phase, error: &reqwest::Error) -> Trouble {
        match phase {
            // A SYN that is answered with a reset is "refused": this connection was made before it was reset.
            Phase::Dialling if is_reset(error) => Trouble::Closed { handshaking: true },
            Phase::Dialling => Trouble::Connect(connect_failure(error)),
            Phase::Handshaking => {
                if let Some(failure) = self.handshake.rejection() {
                    return Trouble::Tls(failure);
                }
                match tls_error(error) {
                    Some(error) => Trouble::Tls(TlsFailure::Handshake(hear(&error.to_string()))),
                    None => Trouble::Closed { handshaking: true },
                }
            }
            Phase::Idle | Phase::Ready => request_trouble(error),
        }
    }
}

const fn ran_out(phase: Phase, limit: Limit) -> Trouble {
    match (phase, limit.whole) {
        (Phase::Dialling, true) => Trouble::Deadline { reached: Reached::Connect },
        (Phase::Handshaking, true) => Trouble::Deadline { reached: Reached::Tls },
        (Phase::Idle | Phase::Ready, true) => Trouble::Deadline { reached: Reached::Request },
        (Phase::Dialling, false) => Trouble::Connect(ConnectFailure::Timeout),
        (Phase::Handshaking, false) => Trouble::Timeout { handshaking: true },
        (Phase::Idle | Phase::Ready, false) => Trouble::Timeout { handshaking: false },
    }
}

impl Timings {
    fn note(&mut self, before: Mark, after: Mark) {
        let taken = after.since.saturating_duration_since(before.since);
        match after.phase {
            Phase::Handshaking => self.connect = Some(taken),
            Phase::Ready => self.tls = Some(taken),
            Phase::Idle | Phase::Dialling => {}
        }
    }
}

/// Headers of a request to a registry.
pub(super) fn headers(accept: &str, authorization: Option<HeaderValue>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(accept) = HeaderValue::from_str(accept) {
        headers.insert(ACCEPT, accept);
    }
    if let Some(mut authorization) = authorization {
        authorization.set_sensitive(true);
        headers.insert(AUTHORIZATION, authorization);
    }
    headers
}

/// Reads the next piece of a body within a limit.
pub(super) async fn chunk(response: &mut Response, limit: Limit) -> Result<Option<Vec<u8>>, Trouble> {
    match timeout_at(limit.until, response.chunk()).await {
        Ok(Ok(piece)) => Ok(piece.map(|bytes| bytes.to_vec())),
        Ok(Err(error)) => Err(request_trouble(&error)),
        Err(_elapsed) => Err(ran_out(Phase::Ready, limit)),
    }
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

fn tls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    inner::<rustls::Error>(error)
}

fn is_reset(error: &reqwest::Error) -> bool {
    inner::<io::Error>(error).is_some_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's enum is open")]
fn connect_failure(error: &reqwest::Error) -> ConnectFailure {
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

fn request_trouble(error: &reqwest::Error) -> Trouble {
    http_trouble(inner(error))
}

/// Why an answer did not come whole over a connection that was up.
pub(super) fn http_trouble(error: Option<&hyper::Error>) -> Trouble {
    if error.is_some_and(hyper::Error::is_parse) {
        Trouble::NotHttp("it does not answer in HTTP, or with an over-long head")
    } else {
        Trouble::Closed { handshaking: false }
    }
}

/// Knows the one judged address of the one host.
struct Pinned {
    host: String,
    address: SocketAddr,
    marks: Marks,
}

impl Resolve for Pinned {
    fn resolve(&self, name: Name) -> Resolving {
        let known = name.as_str() == self.host;
        let address = self.address;
        if known {
            self.marks.set(Phase::Dialling);
        }
        Box::pin(async move {
            if !known {
                return Err("a host that was not judged".into());
            }
            let addresses: Addrs = Box::new(std::iter::once(address));
            Ok(addresses)
        })
    }
}

/// Marks the end of the handshake.
#[derive(Clone)]
struct ReadyLayer(Marks);

impl<Inner> Layer<Inner> for ReadyLayer {
    type Service = Ready<Inner>;

    fn layer(&self, inner: Inner) -> Self::Service {
        Ready { inner, marks: self.0.clone() }
    }
}

#[derive(Clone)]
struct Ready<Inner> {
    inner: Inner,
    marks: Marks,
}

impl<Request, Inner> Service<Request> for Ready<Inner>
where
    Inner: Service<Request>,
    Inner::Future: Send + 'static,
{
    type Response = Inner::Response;
    type Error = Inner::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let connecting = self.inner.call(request);
        let marks = self.marks.clone();
        Box::pin(async move {
            let connection = connecting.await?;
            marks.set(Phase::Ready);
            Ok(connection)
        })
    }
}
