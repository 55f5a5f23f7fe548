//! A request to one agent: `POST /check`, at its Pod's address or through the API server.
//!
//! Owns the bounds in size and time, and what an answer can be. An agent's answer is a stranger's: another program may
//! listen where the agent should.

use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderMap, RETRY_AFTER};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use kube::client::Body;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Agent, Cluster, ClusterError, Of, Way, told};
use crate::legible::printable;
use crate::report::json::{Report, SCHEMA};

/// Bytes of a report: an image takes about 10 kB, and a configuration has a few of them.
const MAX_REPORT: usize = 4 << 20;
/// To connect to a Pod.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// What an agent may ask to wait for; it is held to the smoke check's own time anyway.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Where it names no time.
const USUAL_WAIT: Duration = Duration::from_secs(5);
/// Characters of a stranger's message.
const MAX_MESSAGE: usize = 200;

/// What became of a request.
#[derive(Debug)]
pub enum Answer {
    /// The agent checked, and this is its report.
    Report(Box<Report>),
    /// It cannot check now, and says when.
    Later(Duration),
    /// There is no report, and why.
    Nothing(String),
}

/// A reason of an agent's.
#[derive(Deserialize, Default)]
struct Problem {
    #[serde(default)]
    error: String,
}

/// A whole answer.
struct Whole {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// Asks an agent to check now.
///
/// # Errors
/// The API server does not let the caller through to any agent.
pub async fn check(cluster: &Cluster, agent: &Agent, limit: Duration) -> Result<Answer, ClusterError> {
    let asked = async {
        match cluster.way() {
            Way::Direct => directly(agent).await,
            Way::Proxied => through_the_server(cluster, agent).await,
        }
    };
    let whole = match timeout(limit, asked).await {
        Ok(Ok(whole)) => whole,
        Ok(Err(reason)) => return Ok(Answer::Nothing(reason)),
        Err(_elapsed) => return Ok(Answer::Nothing(format!("no answer within {} s", limit.as_secs()))),
    };
    if cluster.way() == Way::Proxied && whole.status == StatusCode::FORBIDDEN {
        let of = Of {
            resource: "pods/proxy",
            group: "",
            path: String::new(),
            namespace: Some(cluster.namespace()),
        };
        return Err(of.refusal("create", whole.status, &whole.body));
    }
    Ok(judge(agent, &whole))
}

async fn directly(agent: &Agent) -> Result<Whole, String> {
    let address = match agent.address.parse() {
        Ok(address) => std::net::SocketAddr::new(address, agent.port),
        Err(_) => return Err("its Pod has no address".to_owned()),
    };
    let stream = match timeout(CONNECT_LIMIT, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(format!("{address} cannot be connected to ({})", error.kind())),
        Err(_elapsed) => return Err(format!("{address} does not answer")),
    };
    let failed = |error: hyper::Error| format!("{address} gave no whole answer ({error})");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let request = Request::post("/check").header(HOST, address.to_string()).body(Empty::<Bytes>::new());
    let request = request.map_err(|error| error.to_string())?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(failed)?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, MAX_REPORT).collect().await;
        let body = body.map_err(|error| format!("{address} gave no whole answer ({error})"))?;
        Ok(Whole { status: parts.status, headers: parts.headers, body: body.to_bytes() })
    };
    // The connection has to be driven beside the request; both end together.
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

async fn through_the_server(cluster: &Cluster, agent: &Agent) -> Result<Whole, String> {
    let path = format!(
        "/api/v1/namespaces/{}/pods/http:{}:{}/proxy/check",
        cluster.namespace(),
        agent.name,
        agent.port
    );
    let request = Request::post(path).body(Body::empty()).map_err(|error| error.to_string())?;
    let response = cluster.client.send(request).await.map_err(|error| told(&error))?;
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, MAX_REPORT).collect().await.map_err(|error| error.to_string())?;
    Ok(Whole { status: parts.status, headers: parts.headers, body: body.to_bytes() })
}

fn judge(agent: &Agent, whole: &Whole) -> Answer {
    let Whole { status, headers, body } = whole;
    if *status == StatusCode::TOO_MANY_REQUESTS {
        let asked = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let wait = asked.map_or(USUAL_WAIT, Duration::from_secs);
        return Answer::Later(wait.min(LONGEST_WAIT));
    }
    if *status != StatusCode::OK {
        let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
        let message = printable(&problem.error, MAX_MESSAGE);
        let separator = if message.is_empty() { "" } else { ": " };
        return Answer::Nothing(format!("it answered {}{separator}{message}", status.as_u16()));
    }
    let report: Report = match serde_json::from_slice(body) {
        Ok(report) => report,
        Err(error) => {
            let error = printable(&error.to_string(), MAX_MESSAGE);
            return Answer::Nothing(format!("its answer is no report ({error})"));
        }
    };
    if report.schema != SCHEMA {
        let schema = printable(&report.schema, MAX_MESSAGE);
        return Answer::Nothing(format!("its report is of the form {schema}; this program reads {SCHEMA}"));
    }
    if report.node != agent.node {
        let node = printable(&report.node, MAX_MESSAGE);
        return Answer::Nothing(format!("it calls itself the agent of node {node}"));
    }
    Answer::Report(Box::new(report))
}
