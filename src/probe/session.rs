//! Requests to one endpoint over one connection, and bounded reading of the responses.
//!
//! Owns the order in which accepted addresses are tried, the retries, and the connection facts in the observation. The retries
//! are those of containerd (`core/remotes/docker/resolver.go`) and of Go's HTTP client, so reqwest's own are off.

use jiff::Timestamp;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, RETRY_AFTER, WWW_AUTHENTICATE};
use std::net::SocketAddr;
use tokio::time::Instant;
use url::Url;

use super::connection::{Call, Connection, Head, Reached, TransportError, chunk};
use super::deadline::{Clock, Limit};
use super::protocol::{self, bearer_challenge};
use super::tls::Trust;
use crate::findings::AllowedAddresses;
use crate::observation::{
    Answer, Attempt, ConnectFailure, Endpoint, Failure, Fault, Observation, Request, Stage, TlsSession,
};
use crate::text::redact::{Redactor, bounded};

/// The ID by which Azure support finds a request.
const CORRELATION_ID: &str = "x-ms-correlation-request-id";
/// The header that identifies a registry's own responses (distribution's API).
const REGISTRY_VERSION: &str = "docker-distribution-api-version";
/// In bytes. An error body has some 200; a proxy's page is not needed in full.
pub(super) const MAX_ERROR_BODY: usize = 64 * 1024;
/// Maximum number of sends of one request (containerd's `maxAttempts`).
const MAX_ATTEMPTS: usize = 5;

/// A session with one endpoint of the registry.
pub(super) struct Session<'check> {
    pub(super) endpoint: Endpoint,
    host: String,
    addresses: Vec<SocketAddr>,
    trust: &'check Trust,
    pub(super) clock: &'check Clock,
    connection: Option<Connection>,
}

/// A response whose body has not been read yet.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    head: Head,
    pub(super) stage: Stage,
    endpoint: Endpoint,
    clock: Clock,
}

/// A response body, up to a limit.
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    /// Whether the body was truncated.
    pub(super) cut: bool,
}

impl<'check> Session<'check> {
    /// Prepares a session with accepted addresses, in the order in which they are tried.
    pub(super) fn new(
        endpoint: Endpoint,
        host: &str,
        port: u16,
        addresses: &AllowedAddresses,
        trust: &'check Trust,
        clock: &'check Clock,
    ) -> Self {
        let addresses = addresses.as_slice().iter().map(|address| SocketAddr::new(*address, port)).collect();
        Self { endpoint, host: host.to_owned(), addresses, trust, clock, connection: None }
    }

    /// Sends a request with containerd's retries: immediately after a 408, and once after a 500, 503 or 504. Unlike
    /// containerd, it does not retry a 429: the registry wants fewer requests.
    pub(super) async fn send_with_retries(
        &mut self,
        stage: Stage,
        call: Call,
        limit: Limit,
        observation: &mut Observation,
    ) -> Result<Reply, Failure> {
        let mut earlier = None;
        for _ in 1..MAX_ATTEMPTS {
            let reply = self.send(stage, call.clone(), limit, observation).await?;
            let is_repeated = match reply.status {
                408 => true,
                500 | 503 | 504 => earlier != Some(reply.status),
                _ => false,
            };
            if !is_repeated {
                return Ok(reply);
            }
            earlier = Some(reply.status);
            // Drained, so that the connection can be reused.
            reply.discard().await?;
        }
        self.send(stage, call, limit, observation).await
    }

    /// Sends a request; the first one opens the connection. Like Go's client, it replaces a reused connection once if it closes
    /// before the response or carries unrequested data: the peer may have closed it while the request was in flight.
    pub(super) async fn send(
        &mut self,
        stage: Stage,
        call: Call,
        limit: Limit,
        observation: &mut Observation,
    ) -> Result<Reply, Failure> {
        observation.correlation_id = None;
        let head = match &mut self.connection {
            Some(connection) => {
                let mut head = connection.send(call.clone(), self.clock, limit).await;
                let is_broken =
                    matches!(head, Err(TransportError::Closed { .. } | TransportError::NotHttp(_)));
                if is_broken && connection.is_reused() {
                    head = connection.send(call, self.clock, limit).await;
                }
                head.map_err(|error| self.failure(stage, error))
            }
            None => self.connect(stage, call, observation).await,
        };
        let status = head.as_ref().ok().map(|head| head.response.status().as_u16());
        // A request that failed in an earlier stage was never sent.
        if head.as_ref().err().is_none_or(|failure| failure.stage == stage) {
            observation.requests.push(Request { endpoint: self.endpoint, stage, status });
        }
        let reply = self.reply(stage, head?);
        observation.correlation_id = reply.header(CORRELATION_ID).map(bounded);
        Ok(reply)
    }

    /// Wraps a response head as the reply of a stage.
    pub(super) fn reply(&self, stage: Stage, head: Head) -> Reply {
        Reply {
            status: head.response.status().as_u16(),
            headers: head.response.headers().clone(),
            head,
            stage,
            endpoint: self.endpoint,
            clock: *self.clock,
        }
    }

    /// Sends the first request, over the first address that accepts a connection.
    async fn connect(
        &mut self,
        stage: Stage,
        call: Call,
        observation: &mut Observation,
    ) -> Result<Head, Failure> {
        for address in self.addresses.clone() {
            let started = Instant::now();
            let mut connection = Connection::new(self.trust, &self.host, address);
            let head = connection.send(call.clone(), self.clock, self.clock.limit()).await;
            self.note(&connection, address, started, head.as_ref().err(), observation);
            if matches!(&head, Err(TransportError::Connect(_))) {
                continue;
            }
            self.connection = Some(connection);
            return head.map_err(|error| self.failure(stage, error));
        }
        Err(self.not_connected())
    }

    /// Opens a connection and closes it, over the first address that accepts one: TCP and TLS as for a request, and no
    /// request.
    pub(super) async fn open(&self, url: &Url, observation: &mut Observation) -> Result<(), Failure> {
        for address in self.addresses.clone() {
            let started = Instant::now();
            let mut connection = Connection::handshake_only(self.trust, &self.host, address);
            let opened = connection.open(url.clone(), self.clock).await;
            self.note(&connection, address, started, opened.as_ref().err(), observation);
            if matches!(&opened, Err(TransportError::Connect(_))) {
                continue;
            }
            return opened.map_err(|error| self.failure(Stage::Tls, error));
        }
        Err(self.not_connected())
    }

    const fn not_connected(&self) -> Failure {
        Failure { endpoint: self.endpoint, stage: Stage::Connect, fault: Fault::NotConnected }
    }

    /// Records an attempt to connect, and the handshake if it came to one.
    fn note(
        &self,
        connection: &Connection,
        address: SocketAddr,
        started: Instant,
        error: Option<&TransportError>,
        observation: &mut Observation,
    ) {
        let timings = connection.timings();
        let connecting = timings.connect.unwrap_or_else(|| started.elapsed());
        observation.mark(self.endpoint, Stage::Connect, connecting);
        let attempt = |failure| Attempt { endpoint: self.endpoint, address, failure };
        match error {
            Some(TransportError::Connect(failure)) => observation.attempts.push(attempt(Some(*failure))),
            // An attempt cut off by the overall timeout did not fail by itself; earlier attempts did, and explain more.
            Some(TransportError::Deadline { reached: Reached::Connect }) => {}
            Some(_) | None => {
                observation.attempts.push(attempt(None));
                let tls = timings.tls.unwrap_or_else(|| started.elapsed().saturating_sub(connecting));
                observation.mark(self.endpoint, Stage::Tls, tls);
                observation.tls.push(TlsSession {
                    endpoint: self.endpoint,
                    address,
                    version: connection.handshake().version(),
                    trusted_by: connection.handshake().trusted_by(),
                    certificate: connection.handshake().certificate(),
                });
            }
        }
    }

    /// Converts a transport error at a stage into a failure.
    pub(super) fn failure(&self, stage: Stage, error: TransportError) -> Failure {
        failure(self.endpoint, stage, self.clock, error)
    }
}

fn failure(endpoint: Endpoint, stage: Stage, clock: &Clock, error: TransportError) -> Failure {
    let (stage, fault) = match error {
        // The connection existed before: it was closed in between and could not be reopened.
        TransportError::Connect(ConnectFailure::Timeout) => {
            (stage, Fault::ResponseTimeout { limit: clock.stage_timeout() })
        }
        TransportError::Connect(
            ConnectFailure::Refused | ConnectFailure::Unreachable | ConnectFailure::NotOpened(_),
        ) => (stage, Fault::ConnectionReset),
        TransportError::Tls(failure) => (Stage::Tls, Fault::Tls(failure)),
        TransportError::Timeout { handshaking } => {
            let stage = if handshaking { Stage::Tls } else { stage };
            (stage, Fault::ResponseTimeout { limit: clock.stage_timeout() })
        }
        TransportError::Closed { handshaking } => {
            (if handshaking { Stage::Tls } else { stage }, Fault::ConnectionReset)
        }
        TransportError::Deadline { reached } => {
            let stage = match reached {
                Reached::Connect => Stage::Connect,
                Reached::Tls => Stage::Tls,
                Reached::Request => stage,
            };
            (stage, Fault::DeadlineExceeded { limit: clock.timeout() })
        }
        TransportError::NotHttp(reason) => {
            (stage, Fault::NotARegistry { status: None, reason: reason.to_owned() })
        }
    };
    Failure { endpoint, stage, fault }
}

impl Reply {
    /// A header as text.
    pub(super) fn header(&self, name: impl reqwest::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether the content type is HTML.
    pub(super) fn is_html(&self) -> bool {
        self.header(CONTENT_TYPE).is_some_and(protocol::is_html)
    }

    /// Whether it carries any authentication challenge.
    pub(super) fn has_challenge(&self) -> bool {
        self.headers.contains_key(WWW_AUTHENTICATE)
    }

    /// When the request was ready to be sent.
    pub(super) const fn sent_at(&self) -> Instant {
        self.head.sent_at
    }

    /// Reads the body, at most `max` bytes of it.
    pub(super) async fn body(&mut self, max: usize) -> Result<Body, Failure> {
        let body = read_body(&mut self.head, max).await;
        body.map_err(|error| failure(self.endpoint, self.stage, &self.clock, error))
    }

    /// Reads and drops the body, so that the connection can be reused.
    pub(super) async fn discard(mut self) -> Result<(), Failure> {
        self.body(MAX_ERROR_BODY).await.map(drop)
    }

    /// Reads the next piece of the body.
    pub(super) async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let piece = chunk(&mut self.head.response, self.head.limit).await;
        piece.map_err(|error| failure(self.endpoint, self.stage, &self.clock, error))
    }

    /// Reads an error response.
    pub(super) async fn error(mut self, now: Timestamp, redactor: &Redactor) -> Result<Answer, Failure> {
        let body = self.body(MAX_ERROR_BODY).await?;
        Ok(answer_of(self.status, &self.headers, &body.bytes, now, redactor))
    }

    /// Converts a response that ends its stage into a failure.
    pub(super) async fn into_failure(self, now: Timestamp, redactor: &Redactor) -> Failure {
        let (endpoint, stage) = (self.endpoint, self.stage);
        match self.error(now, redactor).await {
            Ok(answer) => Failure { endpoint, stage, fault: Fault::Answer(answer) },
            Err(failure) => failure,
        }
    }

    /// A failure of this reply's stage.
    pub(super) const fn fail(&self, fault: Fault) -> Failure {
        Failure { endpoint: self.endpoint, stage: self.stage, fault }
    }
}

/// Reads the body of a response, at most `max` bytes of it.
pub(super) async fn read_body(head: &mut Head, max: usize) -> Result<Body, TransportError> {
    // Allocated once: growing vectors fragment the heap, and several bodies of 4 MiB are read at a time.
    let announced = head.response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let announced = announced.and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut bytes = Vec::with_capacity(max.min(announced));
    while let Some(piece) = chunk(&mut head.response, head.limit).await? {
        let room = max - bytes.len();
        if piece.len() > room {
            bytes.extend_from_slice(&piece[..room]);
            return Ok(Body { bytes, cut: true });
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(Body { bytes, cut: false })
}

/// Parses a response as an error: who sent it, and which reasons are recognized.
pub(super) fn answer_of(
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
    redactor: &Redactor,
) -> Answer {
    let challenges = headers.get_all(WWW_AUTHENTICATE);
    let challenge = bearer_challenge(challenges.iter().map(reqwest::header::HeaderValue::as_bytes));
    let is_registry =
        challenge.is_ok() || headers.contains_key(REGISTRY_VERSION) || headers.contains_key(CORRELATION_ID);
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let head = protocol::Head {
        is_registry,
        status,
        content_type: header(CONTENT_TYPE.as_str()),
        correlation_id: header(CORRELATION_ID),
        retry_after: header(RETRY_AFTER.as_str()),
        challenge_error: challenge.ok().and_then(|challenge| challenge.error),
    };
    protocol::read_error(&head, body, now, redactor)
}
