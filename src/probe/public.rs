//! The one request to public addresses: `GET /v2/` without credentials, once for each address family of a login server.
//!
//! Owns this exception to the rule that nothing is sent to a public address. The request carries no credential, and no answer
//! leads to another: no redirect, no challenge, no retry. `public_endpoint` decides which address gets it, and what the answer
//! means.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use tokio::time::Instant;
use url::Url;

use super::connection::{Call, Connection, Head, Reached, TransportError, headers};
use super::deadline::Clock;
use super::dns::{self, Patience};
use super::protocol;
use super::resolve::system_nameservers;
use super::session::{MAX_ERROR_BODY, answer_of, read_body};
use super::tls::Trust;
use crate::acr::LoginServer;
use crate::config::SystemResolver;
use crate::image::authority;
use crate::observation::{ConnectFailure, Endpoint};
use crate::public_endpoint::names::{Plan, PublicAddress, evaluate};
use crate::public_endpoint::outcome::{Gap, Outcome, Signs};
use crate::public_endpoint::{AddressFamily, Probe};
use crate::text::redact::Redactor;

/// The path that needs no right: every registry answers it with its challenge, after its firewall.
const PATH: &str = "/v2/";

/// The inputs of the requests to one login server.
#[derive(Debug, Clone)]
pub struct PublicTask<'run> {
    /// The login server.
    pub server: &'run LoginServer,
    /// The nameservers that resolve it.
    pub resolver: &'run SystemResolver,
    /// The trusted roots for TLS.
    pub trust: &'run Trust,
    /// The limit for DNS, and again for each request with its connection.
    pub timeout: Duration,
    /// The port: 443, except in a laboratory.
    pub port: u16,
    /// Whether loopback counts as public, in a laboratory.
    pub loopback_is_public: bool,
    /// The clock.
    pub now: fn() -> Timestamp,
}

/// Resolves a login server and sends one request to each of its address families. Never fails: what kept a request from being
/// sent or answered is the outcome of its probe.
pub async fn request_public(task: &PublicTask<'_>) -> Vec<Probe> {
    let started = Instant::now();
    let host = task.server.to_string();
    let (nameservers, _) = system_nameservers(task.resolver);
    let patience = Patience::until(started + task.timeout);
    let resolutions = dns::resolve(Endpoint::Login, &host, &nameservers, patience).await;
    let resolving = started.elapsed();
    let mut probes = Vec::new();
    for plan in evaluate(&resolutions, task.loopback_is_public) {
        probes.push(match plan {
            Plan::Request { family, address, others } => {
                let probe = request(task, &host, family, address).await;
                Probe { other_addresses: others, ..probe }
            }
            Plan::Nothing { family, gap } => Probe {
                host: host.clone(),
                family,
                address: None,
                other_addresses: Vec::new(),
                outcome: Outcome::NotTested(gap),
                trusted_by: None,
                at: (task.now)(),
                duration: resolving,
            },
        });
    }
    probes
}

/// Sends the request to one address.
async fn request(task: &PublicTask<'_>, host: &str, family: AddressFamily, address: PublicAddress) -> Probe {
    let started = Instant::now();
    let clock = Clock::start(task.timeout, task.timeout);
    let socket = SocketAddr::new(address.get(), task.port);
    let mut connection = Connection::new(task.trust, host, socket);
    let outcome = match Url::parse(&format!("https://{}{PATH}", authority(host, task.port))) {
        Ok(url) => {
            let call = Call::get(url.clone(), headers("*/*", None));
            match connection.send(call, &clock, clock.limit()).await {
                Ok(head) => read(head, &url, (task.now)(), task.timeout).await,
                Err(error) => {
                    let issuer = connection.handshake().certificate().map(|certificate| certificate.issuer);
                    Outcome::NotTested(gap(error, issuer, task.timeout))
                }
            }
        }
        // Unreachable for a checked name; still a value, not a panic.
        Err(_) => Outcome::NotTested(Gap::NotHttp("its name does not form a valid URL")),
    };
    tracing::debug!(host, address = %socket, verdict = %outcome.verdict(), "requested");
    Probe {
        host: host.to_owned(),
        family: Some(family),
        address: Some(address.get()),
        other_addresses: Vec::new(),
        outcome,
        trusted_by: connection.handshake().trusted_by(),
        at: (task.now)(),
        duration: started.elapsed(),
    }
}

/// Reads an answer, at most the beginning of its body. The head is enough for exposure, but never for a refusal.
pub(super) async fn read(mut head: Head, asked: &Url, now: Timestamp, timeout: Duration) -> Outcome {
    let body = read_body(&mut head, MAX_ERROR_BODY).await;
    let (status, headers) = (head.response.status().as_u16(), head.response.headers());
    // Nothing was sent that an answer could repeat; tokens of others are hidden all the same.
    let redactor = Redactor::default();
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let target = headers.get(LOCATION).and_then(text).and_then(|location| {
        let url = asked.join(&location).ok()?;
        Some(redactor.show_part(&location, &protocol::target_of(&url)))
    });
    let signs = Signs {
        has_challenge: headers.contains_key(WWW_AUTHENTICATE),
        is_html: headers.get(CONTENT_TYPE).and_then(text).is_some_and(|kind| protocol::is_html(&kind)),
        target,
    };
    match body {
        Ok(body) => Outcome::of_answer(answer_of(status, headers, &body.bytes, now, &redactor), signs),
        Err(error) => match Outcome::of_answer(answer_of(status, headers, &[], now, &redactor), signs) {
            exposed @ Outcome::Exposed(_) => exposed,
            Outcome::Refused(_) | Outcome::NotTested(_) => Outcome::NotTested(gap(error, None, timeout)),
        },
    }
}

/// Converts a transport error, with the issuer of a rejected certificate.
pub(super) fn gap(error: TransportError, issuer: Option<String>, timeout: Duration) -> Gap {
    match error {
        TransportError::Connect(failure) => Gap::NotConnected(failure),
        TransportError::Deadline { reached: Reached::Connect } => Gap::NotConnected(ConnectFailure::Timeout),
        TransportError::Tls(failure) => Gap::Tls { failure, issuer },
        TransportError::Timeout { .. }
        | TransportError::Deadline { reached: Reached::Tls | Reached::Request } => {
            Gap::NoAnswer { limit: timeout }
        }
        TransportError::Closed { .. } => Gap::Reset,
        TransportError::NotHttp(reason) => Gap::NotHttp(reason),
    }
}
