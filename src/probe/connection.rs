//! One connection to one accepted address, with the timing of its stages: HTTPS, except to Azure's metadata service.
//!
//! Owns a client that can only reach the address it was created for: no proxy, no redirect, no retry, no other resolver, and
//! the real name in SNI and Host. `registry` decides which requests it sends, `session` which of them are retried.
//!
//! Stages are distinguished by hooks, never by error texts: the client calls its connector (dialing starts), rustls requests a
//! session ticket (TCP is connected), the connector returns (TLS is established). No HTTP client reports these stages itself.

mod error;

use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Method, Response};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tower::{BoxError, Layer, Service};
use url::Url;

use self::error::{connect_failure, is_reset, request_error, tls_error};
use super::deadline::{Clock, Limit};
use super::phase::{Mark, Marks, Phase};
use super::tls::{Handshake, Trust};
use crate::observation::{ConnectFailure, TlsFailure};
use crate::secret::Secret;
use crate::text::redact::bounded;

#[cfg(fuzzing)]
pub(super) use self::error::http_error;
pub(super) use self::error::{Reached, TransportError};

/// Maximum number of header fields in a response; ACR sends some fifteen. hyper limits their total size.
pub(super) const MAX_HEADERS: usize = 100;

/// The durations of the two connection stages, if reached.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Timings {
    pub(super) connect: Option<Duration>,
    pub(super) tls: Option<Duration>,
}

/// A request that can be resent.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    /// A form body, which may contain a password.
    pub(super) form: Option<Secret>,
}

impl Call {
    /// A GET.
    pub(super) const fn get(url: Url, headers: HeaderMap) -> Self {
        Self { method: Method::GET, url, headers, form: None }
    }

    /// A HEAD.
    pub(super) const fn head(url: Url, headers: HeaderMap) -> Self {
        Self { method: Method::HEAD, url, headers, form: None }
    }

    /// A POST of a form.
    pub(super) fn post(url: Url, mut headers: HeaderMap, form: Secret) -> Self {
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8"),
        );
        Self { method: Method::POST, url, headers, form: Some(form) }
    }
}

/// A response whose head has arrived; the body is still unread.
pub(super) struct Head {
    pub(super) response: Response,
    /// When the connection was ready for the request.
    pub(super) sent_at: Instant,
    /// The time limit for the body.
    pub(super) limit: Limit,
}

/// A client for one address of one endpoint.
pub(super) struct Connection {
    client: Client,
    marks: Marks,
    phase: watch::Receiver<Mark>,
    handshake: Handshake,
    timings: Timings,
    /// Whether the last request used a connection that had already carried a response.
    is_reused: bool,
}

impl Connection {
    /// Prepares a connection; nothing is sent before the first request.
    pub(super) fn new(trust: &Trust, host: &str, address: SocketAddr) -> Self {
        Self::of(trust, host, address, Purpose::Https)
    }

    /// Prepares a connection that is closed after its handshake, for [`Self::open`].
    pub(super) fn handshake_only(trust: &Trust, host: &str, address: SocketAddr) -> Self {
        Self::of(trust, host, address, Purpose::HandshakeOnly)
    }

    /// Prepares a connection without TLS; its URLs contain the address itself.
    pub(super) fn plain(trust: &Trust, address: SocketAddr) -> Self {
        Self::of(trust, "", address, Purpose::Http)
    }

    fn of(trust: &Trust, host: &str, address: SocketAddr, purpose: Purpose) -> Self {
        let (marks, phase) = Marks::new();
        let (tls, handshake) = trust.client_config(marks.clone());
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Pinned { host: host.to_owned(), address })
            .connector_layer(ReadyLayer { marks: marks.clone(), purpose })
            .https_only(purpose != Purpose::Http)
            .http1_only()
            .http1_max_headers(MAX_HEADERS)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .user_agent(concat!("acr-verifier/", env!("CARGO_PKG_VERSION")))
            .build()
            .expect("nothing in these settings comes from outside");
        Self { client, marks, phase, handshake, timings: Timings::default(), is_reused: false }
    }

    /// The facts of the TLS handshake.
    pub(super) const fn handshake(&self) -> &Handshake {
        &self.handshake
    }

    /// The durations of connect and handshake.
    pub(super) const fn timings(&self) -> Timings {
        self.timings
    }

    /// Whether the last request used a connection that had already carried a response.
    pub(super) const fn is_reused(&self) -> bool {
        self.is_reused
    }

    /// Opens the connection and closes it: TCP and TLS as for a request, which is never sent.
    pub(super) async fn open(&mut self, url: Url, clock: &Clock) -> Result<(), TransportError> {
        match self.send(Call::get(url, HeaderMap::new()), clock, clock.limit()).await {
            // The connector ends the request once TLS is established.
            Err(_) if self.phase.borrow().phase == Phase::Ready => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    /// Sends a request and waits for the response head within `limit`. If the connection has to be opened first, each of its
    /// phases has a limit of its own.
    pub(super) async fn send(
        &mut self,
        call: Call,
        clock: &Clock,
        mut limit: Limit,
    ) -> Result<Head, TransportError> {
        self.marks.set(Phase::Idle);
        self.phase.mark_unchanged();
        let mut request = self.client.request(call.method, call.url).headers(call.headers);
        if let Some(form) = call.form {
            request = request.body(form.expose().to_owned());
        }
        let request = request.send();
        tokio::pin!(request);
        let mut current = *self.phase.borrow();
        let outcome = loop {
            tokio::select! {
                biased;
                changed = self.phase.changed() => {
                    // The client and `self.marks` own the sender, so it cannot have been dropped.
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
        self.is_reused = last.phase == Phase::Idle;
        match outcome {
            Ok(Ok(response)) => Ok(Head { response, sent_at: last.since, limit }),
            Ok(Err(error)) => Err(self.classify(last.phase, &error)),
            Err(()) => Err(ran_out(last.phase, limit)),
        }
    }

    fn classify(&self, phase: Phase, error: &reqwest::Error) -> TransportError {
        match phase {
            // A reset in response to a SYN is "refused": this connection was established before its reset.
            Phase::Dialling if is_reset(error) => TransportError::Closed { handshaking: true },
            Phase::Dialling => TransportError::Connect(connect_failure(error)),
            Phase::Handshaking => {
                if let Some(failure) = self.handshake.rejection() {
                    return TransportError::Tls(failure);
                }
                match tls_error(error) {
                    Some(error) => TransportError::Tls(TlsFailure::Handshake(bounded(&error.to_string()))),
                    None => TransportError::Closed { handshaking: true },
                }
            }
            Phase::Idle | Phase::Ready => request_error(error),
        }
    }
}

const fn ran_out(phase: Phase, limit: Limit) -> TransportError {
    match (phase, limit.whole) {
        (Phase::Dialling, true) => TransportError::Deadline { reached: Reached::Connect },
        (Phase::Handshaking, true) => TransportError::Deadline { reached: Reached::Tls },
        (Phase::Idle | Phase::Ready, true) => TransportError::Deadline { reached: Reached::Request },
        (Phase::Dialling, false) => TransportError::Connect(ConnectFailure::Timeout),
        (Phase::Handshaking, false) => TransportError::Timeout { handshaking: true },
        (Phase::Idle | Phase::Ready, false) => TransportError::Timeout { handshaking: false },
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

/// Reads the next chunk of a body within a limit.
pub(super) async fn chunk(response: &mut Response, limit: Limit) -> Result<Option<Vec<u8>>, TransportError> {
    match timeout_at(limit.until, response.chunk()).await {
        Ok(Ok(piece)) => Ok(piece.map(|bytes| bytes.to_vec())),
        Ok(Err(error)) => Err(request_error(&error)),
        Err(_elapsed) => Err(ran_out(Phase::Ready, limit)),
    }
}

/// A resolver that knows only the accepted address of one host.
struct Pinned {
    host: String,
    address: SocketAddr,
}

impl Resolve for Pinned {
    fn resolve(&self, name: Name) -> Resolving {
        let known = name.as_str() == self.host;
        let address = self.address;
        Box::pin(async move {
            if !known {
                return Err("a host that was not evaluated".into());
            }
            let addresses: Addrs = Box::new(std::iter::once(address));
            Ok(addresses)
        })
    }
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Requests over TLS.
    Https,
    /// Requests without TLS.
    Http,
    /// A TLS handshake, and no request.
    HandshakeOnly,
}

/// Marks the start of dialing and the end of the handshake.
#[derive(Clone)]
struct ReadyLayer {
    marks: Marks,
    purpose: Purpose,
}

impl<Inner> Layer<Inner> for ReadyLayer {
    type Service = Ready<Inner>;

    fn layer(&self, inner: Inner) -> Self::Service {
        Ready { inner, marks: self.marks.clone(), purpose: self.purpose }
    }
}

#[derive(Clone)]
struct Ready<Inner> {
    inner: Inner,
    marks: Marks,
    purpose: Purpose,
}

impl<Request, Inner> Service<Request> for Ready<Inner>
where
    Inner: Service<Request, Error = BoxError>,
    Inner::Future: Send + 'static,
{
    type Response = Inner::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        self.marks.set(Phase::Dialling);
        let connecting = self.inner.call(request);
        let (marks, purpose) = (self.marks.clone(), self.purpose);
        Box::pin(async move {
            let connection = connecting.await?;
            marks.set(Phase::Ready);
            match purpose {
                Purpose::Https | Purpose::Http => Ok(connection),
                // Nothing gets the connection, so no byte of a request can be sent over it.
                Purpose::HandshakeOnly => Err("only the handshake was wanted".into()),
            }
        })
    }
}
