//! The agent's HTTP server: connections, limits and shutdown.
//!
//! Owns how many clients may be connected and for how long. Handlers are in `routes`, common headers and checks in
//! `middleware`. Slow, endless, greedy or a thousand concurrent clients cost a bounded amount of memory and none of the main
//! loop's time: nothing here blocks, and the only change a request can make is to trigger a check.

mod admission;
mod connections;
mod fair_share;
mod middleware;
mod problem;
mod routes;
mod timed_stream;
mod waiting;

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tower::Service;

use crate::check_key::{CheckKey, KeyError};
use crate::run::CheckRun;
use crate::schedule::Postponed;
use crate::status::{AgentState, Configuration};
use connections::{Connections, Slot};
use timed_stream::TimedStream;
use waiting::Waiting;

/// Bytes of a request's head: a scraper or a browser sends one or two thousand.
const MAX_HEAD: usize = 16 * 1024;
/// Headers per request.
const MAX_HEADERS: usize = 64;
/// Pause after an `accept` error on this side, such as running out of descriptors: an immediate retry would fail too.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections that the kernel queues until they are accepted, if it allows that many (`net.core.somaxconn` is 4,096).
/// With a full queue, clients retry after 1, 3 and 7 seconds: a kubelet probe would be late for no reason.
const BACKLOG: u32 = 4_096;
/// Callers that may wait for a check at the same time; all that arrive before it starts share it.
const MAX_WAITING: usize = 32;
/// Of these, callers per address: a single client must not occupy every slot.
const MAX_WAITING_OF_ONE: usize = 8;

/// State shared with the main loop, and the queue for triggering checks.
pub struct Shared {
    /// The agent's state after the last check.
    pub status: watch::Receiver<AgentState>,
    /// Writes the metrics in the Prometheus text format.
    pub metrics: Box<dyn Fn() -> Vec<u8> + Send + Sync>,
    /// The main loop's queue of check requests. The loop enforces the rules of `POST /check`: one check at a time, a
    /// budget, and none until the registry's Retry-After has elapsed.
    pub checks: mpsc::Sender<CheckRequest>,
    /// The main loop's last heartbeat; it beats every few seconds, also during a check.
    pub heartbeat: watch::Receiver<Instant>,
    /// Returns the current time.
    pub now: fn() -> Timestamp,
    /// Who may trigger a check.
    pub access: watch::Receiver<CheckAccess>,
    /// When the latest check completed.
    pub completed: watch::Receiver<Instant>,
    /// Connection limits and timeouts.
    pub limits: Limits,
}

/// Who may trigger a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckAccess {
    /// Every client.
    Open,
    /// Clients with this key.
    Key(CheckKey),
    /// No client: a key is required, and its file has none.
    NoKey(KeyError),
    /// No client.
    Disabled,
}

/// A request for the report of a check that has not started yet.
#[derive(Debug)]
pub struct CheckRequest {
    /// The digest of the configuration that the check must use; any if absent.
    pub configuration: Option<String>,
    /// Receives the answer; the caller may have disconnected.
    pub reply: oneshot::Sender<CheckAnswer>,
}

/// The main loop's answer to a check request.
#[derive(Debug, Clone)]
pub enum CheckAnswer {
    /// The completed check; it started after the request.
    Report(Arc<CheckRun>),
    /// No check starts soon.
    Postponed(Postponed),
    /// A configuration other than the requested one is in force; nothing was checked.
    OtherConfiguration(Configuration),
}

/// Connection limits and timeouts.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Concurrent connections. One more evicts a connection that is not waiting for a check: the oldest of the address
    /// that has the most of them.
    pub connections: usize,
    /// Time to receive a request's complete head; also the idle timeout.
    pub head: Duration,
    /// Time to receive a request's body, which no endpoint needs.
    pub body: Duration,
    /// Time for the client to receive a response.
    pub write: Duration,
    /// Time for `POST /check`: the longest wait for a check to start, plus a check of twelve images that all reach their
    /// overall timeout of 60 s, four at a time.
    pub check: Duration,
    /// The age of a heartbeat at which the main loop counts as stalled.
    pub heartbeat: Duration,
    /// Time for connections to finish during shutdown.
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            head: Duration::from_secs(10),
            body: Duration::from_secs(2),
            write: Duration::from_secs(10),
            check: Duration::from_secs(5 * 60),
            heartbeat: Duration::from_secs(30),
            shutdown: Duration::from_secs(1),
        }
    }
}

/// Listens on these addresses. Port 0 selects a free port, and the same for all of them.
///
/// # Errors
/// The address that does not belong to this machine, or whose port is in use.
pub fn listen(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, (SocketAddr, io::Error)> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    for address in addresses {
        let chosen = listeners.first().and_then(|first| first.local_addr().ok());
        let port = chosen.map_or(address.port(), |chosen| chosen.port());
        let address = SocketAddr::new(address.ip(), port);
        listeners.push(listen_on(address).map_err(|error| (address, error))?);
    }
    Ok(listeners)
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Default outside Windows: connections of an agent that has just exited do not block the port for the next one.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `shutdown` completes, then lets connections finish.
pub async fn serve(listeners: Vec<TcpListener>, shared: Arc<Shared>, shutdown: impl Future) {
    let limits = shared.limits;
    let router = routes::router(shared, Waiting::new(MAX_WAITING, MAX_WAITING_OF_ONE));
    let open = Arc::new(Connections::new(limits.connections));
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    // The listener that is polled first, in turn: none keeps the others from being accepted.
    let mut first = 0;
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            _ = &mut shutdown => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "connection task failed");
                }
                continue;
            }
            accepted = accept(&listeners, first) => accepted,
        };
        first = (first + 1) % listeners.len().max(1);
        match accepted {
            Ok((socket, peer)) => {
                let Some(entered) = open.enter(peer.ip()) else {
                    tracing::debug!(%peer, "connection limit reached");
                    continue;
                };
                let connection = connect(socket, router.clone(), limits, entered, stopped.clone());
                connections.spawn(connection);
            }
            Err(error) if is_clients(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listeners);
    stop.send_replace(true);
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(limits.shutdown, ended).await.is_err() {
        tracing::debug!("closing remaining connections at shutdown");
    }
}

/// Accepts a connection on any of the listeners, in the order from `first`.
async fn accept(listeners: &[TcpListener], first: usize) -> io::Result<(TcpStream, SocketAddr)> {
    poll_fn(|context| {
        let (before, from) = listeners.split_at(first.min(listeners.len()));
        let mut accepted = from.iter().chain(before).map(|listener| listener.poll_accept(context));
        accepted.find(Poll::is_ready).unwrap_or(Poll::Pending)
    })
    .await
}

/// Serves one connection until either side closes it.
async fn connect(
    socket: TcpStream,
    router: Router,
    limits: Limits,
    entered: connections::Entered,
    mut stopped: watch::Receiver<bool>,
) {
    let slot = entered.slot();
    let service = service_fn(|mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(Arc::clone(&slot));
        let mut router = router.clone();
        async move {
            // Pipelined requests are answered one at a time, so other connections get their turn in between.
            tokio::task::yield_now().await;
            router.call(request).await
        }
    });
    let mut stream = TimedStream::new(socket, limits.write);
    {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(&mut stream), service);
        tokio::pin!(connection);
        let mut stopping = false;
        loop {
            tokio::select! {
                ended = &mut connection => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "connection closed early");
                    }
                    break;
                }
                () = slot.evicted() => return,
                _ = stopped.wait_for(|stopped| *stopped), if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
    // Draining what a crowd still sends would cost the main loop's time: leave it unread and reset the connections.
    if entered.is_crowded() {
        return;
    }
    tokio::select! {
        () = stream.close() => {}
        () = slot.evicted() => {}
    }
}

/// Whether the error only means that the client has already disconnected.
fn is_clients(error: &io::Error) -> bool {
    [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset, io::ErrorKind::Interrupted]
        .contains(&error.kind())
}
