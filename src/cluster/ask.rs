//! A request to one agent: `POST /check` or `GET /report`, at its Pod IP address or through the API server.
//!
//! Owns the size and time limits and the possible results. The response is untrusted: another program may listen on the
//! agent's port.

use std::pin::pin;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{AGE, DATE, HOST, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::http::request::Builder;
use hyper::http::response::Parts;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use kube::client::Body;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::sync::SemaphorePermit;
use tokio::time::timeout;

use super::list::ApiResource;
use super::{Agent, Cluster, ClusterError, Route, describe};
use crate::check_key::{self, CheckKey};
use crate::fleet::NotOnDemand;
use crate::fleet::report::claim::ConfigurationClaim;
use crate::fleet::report::{ConfigurationState, NodeReport};
use crate::text::sanitize::printable;
use crate::text::words::seconds;

/// Maximum size of a report in bytes. An image takes about 10 kB, and a configuration has a few images.
const MAX_REPORT: usize = 4 << 20;
/// Timeout to connect to a Pod.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Size in bytes up to which reports of all agents are held at the same time. Only a few longer ones are held at a time, so
/// many hostile agents cost no more memory than one.
const USUAL_REPORT: usize = 96 << 10;
/// Timeout for the body of a response, which arrives in one piece.
const BODY_LIMIT: Duration = Duration::from_secs(20);
/// Maximum `Retry-After` of an agent; the smoke check's timeout applies as well.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);
/// Default without a `Retry-After`.
const USUAL_WAIT: Duration = Duration::from_secs(5);
/// Resolution of the header `Date`.
const ONE_SECOND: Duration = Duration::from_secs(1);
/// Maximum length of an agent's message in characters.
const MAX_MESSAGE: usize = 200;

/// The result of a request.
#[derive(Debug)]
pub enum Answer {
    /// The agent returned a report.
    Report {
        /// The report.
        report: Box<NodeReport>,
        /// Time since its check completed, rounded up; `None` if the agent does not report it.
        age: Option<Duration>,
        /// Time since the oldest path check of its images, rounded up; `None` if an image has none since that check.
        path_age: Option<Duration>,
    },
    /// The agent starts no check for this caller.
    NotOnDemand(NotOnDemand),
    /// The agent postponed the check.
    Later {
        /// Time to wait before the next request.
        wait: Duration,
        /// The agent's reason.
        reason: String,
    },
    /// The agent uses another configuration than the expected one and did not check.
    OtherConfiguration(ConfigurationState),
    /// No report, with the reason.
    Nothing(String),
}

/// An error from an agent.
#[derive(Deserialize, Default)]
struct Problem {
    #[serde(default)]
    error: String,
    #[serde(default)]
    configuration: Option<ConfigurationClaim>,
    /// The agent's setting, if it starts no check for this caller.
    #[serde(default, rename = "checksOnDemand")]
    checks_on_demand: Option<String>,
}

/// A complete response.
struct Whole<'cluster> {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    /// Held until a long response is processed.
    _long: Option<SemaphorePermit<'cluster>>,
}

/// Triggers a check on an agent, with the expected configuration digest and the key if set.
///
/// # Errors
/// The API server denies the caller access to the agents.
pub async fn check(
    cluster: &Cluster,
    agent: &Agent,
    expected: Option<&str>,
    key: Option<&CheckKey>,
    limit: Duration,
) -> Result<Answer, ClusterError> {
    let query = expected.map(|digest| format!("?configuration={digest}")).unwrap_or_default();
    let path = format!("/check{query}");
    let request = AgentRequest { method: Method::POST, verb: "create", path, key };
    send(cluster, agent, &request, limit).await
}

/// Requests an agent's latest report, without a check.
///
/// # Errors
/// The API server denies the caller access to the agents.
pub async fn report(cluster: &Cluster, agent: &Agent, limit: Duration) -> Result<Answer, ClusterError> {
    let request = AgentRequest { method: Method::GET, verb: "get", path: "/report".to_owned(), key: None };
    send(cluster, agent, &request, limit).await
}

/// A request to an agent, with the verb that RBAC requires to send it through the API server.
struct AgentRequest<'key> {
    method: Method,
    verb: &'static str,
    path: String,
    key: Option<&'key CheckKey>,
}

impl AgentRequest<'_> {
    /// Starts the request to this URI, with the key.
    fn builder(&self, uri: &str) -> Result<Builder, String> {
        let builder = Request::builder().method(&self.method).uri(uri);
        let Some(key) = self.key else { return Ok(builder) };
        let mut value = HeaderValue::from_str(key.expose()).map_err(|error| error.to_string())?;
        // Hidden in the output of libraries.
        value.set_sensitive(true);
        Ok(builder.header(check_key::HEADER, value))
    }
}

async fn send(
    cluster: &Cluster,
    agent: &Agent,
    request: &AgentRequest<'_>,
    limit: Duration,
) -> Result<Answer, ClusterError> {
    let asked = async {
        match cluster.route() {
            Route::Direct => directly(cluster, agent, request).await,
            Route::Proxied => through_the_server(cluster, agent, request).await,
        }
    };
    let whole = match timeout(limit, asked).await {
        Ok(Ok(whole)) => whole,
        Ok(Err(reason)) => return Ok(Answer::Nothing(reason)),
        Err(_elapsed) => return Ok(Answer::Nothing(format!("no response within {}", seconds(limit)))),
    };
    if let Some(reason) = not_on_demand(&whole) {
        return Ok(Answer::NotOnDemand(reason));
    }
    if cluster.route() == Route::Proxied && whole.status == StatusCode::FORBIDDEN {
        let of = ApiResource {
            resource: "pods/proxy",
            group: "",
            path: String::new(),
            namespace: Some(cluster.namespace()),
        };
        return Err(of.refusal(request.verb, whole.status, &whole.body));
    }
    Ok(evaluate(agent, &whole))
}

async fn directly<'cluster>(
    cluster: &'cluster Cluster,
    agent: &Agent,
    request: &AgentRequest<'_>,
) -> Result<Whole<'cluster>, String> {
    let address = match agent.address.parse() {
        Ok(address) => std::net::SocketAddr::new(address, agent.port),
        Err(_) => return Err("its Pod has no address".to_owned()),
    };
    let stream = match timeout(CONNECT_LIMIT, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(format!("cannot connect to {address} ({})", error.kind())),
        Err(_elapsed) => return Err(format!("no response from {address}")),
    };
    let failed = |error: hyper::Error| format!("incomplete response from {address} ({error})");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let request = request.builder(&request.path)?;
    let request = request.header(HOST, address.to_string()).body(Empty::<Bytes>::new());
    let request = request.map_err(|error| error.to_string())?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(failed)?;
        let (parts, body) = response.into_parts();
        let whole = whole(cluster, parts, body).await;
        whole.map_err(|error| format!("incomplete response from {address} ({error})"))
    };
    // The connection must be driven concurrently with the request; both end together.
    tokio::pin!(connection);
    tokio::pin!(exchange);
    tokio::select! {
        biased;
        exchanged = &mut exchange => exchanged,
        closed = &mut connection => match closed {
            Ok(()) => exchange.await,
            Err(error) => Err(failed(error)),
        },
    }
}

async fn through_the_server<'cluster>(
    cluster: &'cluster Cluster,
    agent: &Agent,
    request: &AgentRequest<'_>,
) -> Result<Whole<'cluster>, String> {
    let path = format!(
        "/api/v1/namespaces/{}/pods/http:{}:{}/proxy{}",
        cluster.namespace(),
        agent.name,
        agent.port,
        request.path
    );
    let request = request.builder(&path)?.body(Body::empty()).map_err(|error| error.to_string())?;
    let response = cluster.client.send(request).await.map_err(|error| describe(&error))?;
    let (parts, body) = response.into_parts();
    whole(cluster, parts, body).await
}

/// Reads the body of a response, with limits on size and time.
async fn whole<B>(cluster: &Cluster, parts: Parts, body: B) -> Result<Whole<'_>, String>
where
    B: hyper::body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let reading = async {
        let mut body = pin!(Limited::new(body, MAX_REPORT));
        let (mut read, mut long) = (Vec::new(), None);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| error.to_string())?;
            let Some(data) = frame.data_ref() else { continue };
            if read.len() + data.len() > USUAL_REPORT && long.is_none() {
                long = Some(cluster.long_answers.acquire().await.map_err(|error| error.to_string())?);
            }
            read.extend_from_slice(data);
        }
        Ok((read, long))
    };
    let read: Result<_, String> = timeout(BODY_LIMIT, reading)
        .await
        .unwrap_or_else(|_elapsed| Err(format!("timed out after {}", seconds(BODY_LIMIT))));
    let (body, long) = read?;
    Ok(Whole { status: parts.status, headers: parts.headers, body, _long: long })
}

/// Returns why the agent starts no check for this caller, if so. The API server's own responses have no such key.
fn not_on_demand(whole: &Whole<'_>) -> Option<NotOnDemand> {
    if !matches!(
        whole.status,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::SERVICE_UNAVAILABLE
    ) {
        return None;
    }
    let problem: Problem = serde_json::from_slice(&whole.body).unwrap_or_default();
    match (problem.checks_on_demand?.as_str(), whole.status) {
        ("disabled", _) => Some(NotOnDemand::Disabled),
        ("key", StatusCode::UNAUTHORIZED) => Some(NotOnDemand::KeyRequired),
        ("key", StatusCode::FORBIDDEN) => Some(NotOnDemand::KeyRejected),
        ("key", _) => Some(NotOnDemand::NoKey),
        (_, _) => None,
    }
}

fn evaluate(agent: &Agent, whole: &Whole<'_>) -> Answer {
    let Whole { status, headers, body, .. } = whole;
    let problem = || serde_json::from_slice::<Problem>(body).unwrap_or_default();
    if *status == StatusCode::TOO_MANY_REQUESTS {
        let asked = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let wait = asked.map_or(USUAL_WAIT, Duration::from_secs).min(LONGEST_WAIT);
        return Answer::Later { wait, reason: printable(&problem().error, MAX_MESSAGE) };
    }
    if *status != StatusCode::OK {
        let problem = problem();
        let configuration = problem.configuration.filter(|_| *status == StatusCode::CONFLICT);
        if let Some(Ok(configuration)) = configuration.map(ConfigurationState::try_from) {
            return Answer::OtherConfiguration(configuration);
        }
        let message = printable(&problem.error, MAX_MESSAGE);
        let separator = if message.is_empty() { "" } else { ": " };
        return Answer::Nothing(format!("it responded with {}{separator}{message}", status.as_u16()));
    }
    match NodeReport::read(&agent.node, body) {
        Ok(report) => {
            let age = headers.get(AGE).and_then(|value| value.to_str().ok()?.parse().ok());
            let path_age = path_age(&report, headers);
            Answer::Report { report: Box::new(report), age: age.map(Duration::from_secs), path_age }
        }
        Err(error) => Answer::Nothing(error.to_string()),
    }
}

/// Compares two times of the agent's clock. `None` also if the clock was set back since the path check.
fn path_age(report: &NodeReport, headers: &HeaderMap) -> Option<Duration> {
    let now = headers.get(DATE)?.to_str().ok()?;
    let now = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(now).ok()?;
    // The header has whole seconds.
    let next_second = now.checked_add(ONE_SECOND).ok()?;
    Duration::try_from(next_second.duration_since(report.path_checked_at()?)).ok()
}
