//! A server whose main loop is simulated by the test, and a client that sends exact bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use acr_verifier::server::{CheckAccess, CheckRequest, Limits, Shared, listen, serve};
use acr_verifier::status::AgentState;
use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::states::{self, NOW};

/// Upper limit for every wait.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A running server and the main loop's ends of the shared state.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) status: watch::Sender<AgentState>,
    pub(crate) heartbeat: watch::Sender<Instant>,
    pub(crate) access: watch::Sender<CheckAccess>,
    pub(crate) completed: watch::Sender<Instant>,
    pub(crate) checks: mpsc::Receiver<CheckRequest>,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) served: JoinHandle<()>,
}

/// Limits short enough for a test to wait for.
pub(super) fn limits() -> Limits {
    Limits {
        head: Duration::from_millis(600),
        body: Duration::from_millis(300),
        write: Duration::from_millis(600),
        check: Duration::from_secs(3),
        heartbeat: Duration::from_secs(2),
        ..Limits::default()
    }
}

impl Server {
    pub(crate) fn start(status: AgentState, limits: Limits) -> Self {
        Self::with_metrics(status, limits, b"# metrics\n".to_vec())
    }

    pub(crate) fn with_metrics(status: AgentState, limits: Limits, metrics: Vec<u8>) -> Self {
        Self::writing(status, limits, move || metrics.clone())
    }

    /// Starts a server whose metrics take this long to generate.
    pub(crate) fn with_work(status: AgentState, limits: Limits, work: Duration) -> Self {
        let write = move || {
            std::thread::sleep(work);
            b"# metrics\n".to_vec()
        };
        Self::writing(status, limits, write)
    }

    fn writing(
        status: AgentState,
        limits: Limits,
        metrics: impl Fn() -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let listeners = listen(&[SocketAddr::from(([127, 0, 0, 1], 0))]).expect("a port");
        let address = listeners[0].local_addr().expect("a bound socket has an address");
        let (status, status_seen) = watch::channel(status);
        let (heartbeat, beats) = watch::channel(Instant::now());
        let (access, admitted) = watch::channel(CheckAccess::Open);
        let (completed, completions) = watch::channel(Instant::now());
        let (queue, checks) = mpsc::channel(2);
        let shared = Shared {
            status: status_seen,
            metrics: Box::new(metrics),
            checks: queue,
            heartbeat: beats,
            now: || NOW.parse::<Timestamp>().expect("a moment"),
            access: admitted,
            completed: completions,
            limits,
        };
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(serve(listeners, Arc::new(shared), stopped));
        Self { address, status, heartbeat, access, completed, checks, stop, served }
    }

    /// Starts a server that shows a healthy run.
    pub(crate) fn healthy() -> Self {
        Self::start(states::healthy(), limits())
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n")).await
    }

    pub(crate) async fn post(&self, headers: &str) -> Reply {
        ask(self.address, &post(headers)).await
    }

    pub(crate) async fn ask(&self, request: &str) -> Reply {
        ask(self.address, request).await
    }
}

pub(super) fn post(headers: &str) -> String {
    format!(
        "POST /check HTTP/1.1\r\nHost: agent:9469\r\nContent-Length: 0\r\nConnection: close\r\n{headers}\r\n"
    )
}

/// Sends a request and reads until the server closes.
pub(super) async fn ask(address: SocketAddr, request: &str) -> Reply {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    // The response may arrive and the connection close before everything is sent.
    let _told_by_the_answer = stream.write_all(request.as_bytes()).await;
    let mut text = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut text)).await.expect("the server closes in time");
    read.expect("the connection ends without a reset");
    Reply::parse(&text)
}

/// An HTTP response.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no answer: {text:?}"));
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(known, value)| known.eq_ignore_ascii_case(name).then_some(value))
    }
}
