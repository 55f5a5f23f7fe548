//! The agent's HTTP server: connections, their limits, and the end of both.
//!
//! Owns who may be connected and for how long. What is answered is in `routes`, what every answer has in common in
//! `guard`. Whatever clients do, slow, endless, greedy or a thousand at once, costs a bounded amount of memory and
//! nothing of the loop's time: nothing here blocks, and nothing here can change anything but ask for a check.

mod guard;
mod routes;
mod stream;
mod table;
mod turn;
mod waiting;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
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

use crate::run::Run;
use crate::schedule::Postponed;
use crate::status::{Configuration, Status};
use stream::Guarded;
use table::{Slot, Table};
use waiting::Waiting;

/// Bytes of a request's head: a scraper's or a browser's has one or two thousand.
const MAX_HEAD: usize = 16 * 1024;
/// Headers in it.
const MAX_HEADERS: usize = 64;
/// After an error of `accept` that is not the client's: no descriptors are left, and asking at once does not give any.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections that the kernel keeps until they are accepted, where it allows so many (`net.core.somaxconn` is 4,096).
/// What finds no room comes again after 1, 3 and 7 seconds: a probe of the kubelet would be late for nothing.
const BACKLOG: u32 = 4_096;
/// Callers that wait for checks at the same time; all that arrived before a check began share it.
const MAX_WAITING: usize = 32;
/// Of these, callers of one address: one client alone must not take every place.
const MAX_WAITING_OF_ONE: usize = 8;

/// What the server answers from, and whom it asks for a check.
pub struct Shared {
    /// What the last check left.
    pub status: watch::Receiver<Status>,
    /// Writes the metrics in the Prometheus text format.
    pub metrics: Box<dyn Fn() -> Vec<u8> + Send + Sync>,
    /// The loop's queue of requests for a check. It keeps the rules of `POST /check`: one check at a time, a budget, and
    /// none while the registry's Retry-After lasts.
    pub checks: mpsc::Sender<CheckRequest>,
    /// When the loop was last seen alive: it beats every few seconds, also while it checks.
    pub heartbeat: watch::Receiver<Instant>,
    /// Tells the time.
    pub now: fn() -> Timestamp,
    /// How patient the server is.
    pub limits: Limits,
}

/// A caller wants the report of a check that has not begun yet.
#[derive(Debug)]
pub struct CheckRequest {
    /// The digest of the configuration that the check must go by; none: any.
    pub configuration: Option<String>,
    /// Takes the answer; nobody may be there any more.
    pub reply: oneshot::Sender<CheckAnswer>,
}

/// What the loop says to a request for a check.
#[derive(Debug, Clone)]
pub enum CheckAnswer {
    /// The check that ran; it began after the request.
    Report(Arc<Run>),
    /// No check begins soon.
    Postponed(Postponed),
    /// Another configuration is in force than the one that was asked for; nothing was checked.
    OtherConfiguration(Configuration),
}

/// How patient the server is.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at a time. One more closes one that does not wait for a check: the oldest of the address that has
    /// the most of them.
    pub connections: usize,
    /// From the first moment that a request could come until its head is whole: a slow client's time, and an idle one's.
    pub head: Duration,
    /// For a request's body, which nothing here needs.
    pub body: Duration,
    /// For an answer to be taken.
    pub write: Duration,
    /// For `POST /check`: the longest wait for a check to begin, and a check of twelve images that all run into their limit of
    /// 60 s, four at a time.
    pub check: Duration,
    /// The age of a heartbeat at which the loop counts as stuck.
    pub heartbeat: Duration,
    /// For connections to end once the server is told to.
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

/// Listens at an address.
///
/// # Errors
/// The address is not this machine's, or its port is taken.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // As everywhere but on Windows: connections of an agent that has just ended do not keep the next one from its port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `shutdown` is over, then lets the connections end.
pub async fn serve(listener: TcpListener, shared: Arc<Shared>, shutdown: impl Future) {
    let limits = shared.limits;
    let router = routes::router(shared, Waiting::new(MAX_WAITING, MAX_WAITING_OF_ONE));
    let table = Arc::new(Table::new(limits.connections));
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            _ = &mut shutdown => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection's task ended badly");
                }
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                let Some(place) = table.enter(peer.ip()) else {
                    tracing::debug!(%peer, "no place for another connection");
                    continue;
                };
                let connection = connect(socket, router.clone(), limits, place, stopped.clone());
                connections.spawn(connection);
            }
            Err(error) if is_clients(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    stop.send_replace(true);
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(limits.shutdown, ended).await.is_err() {
        tracing::debug!("connections are cut off at the end");
    }
}

/// Serves one connection until either side ends it.
async fn connect(
    socket: TcpStream,
    router: Router,
    limits: Limits,
    place: table::Place,
    mut stopped: watch::Receiver<bool>,
) {
    let slot = place.slot();
    let service = service_fn(|mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(Arc::clone(&slot));
        let mut router = router.clone();
        async move {
            // Requests that came in one piece are answered one at a time, with everybody else in between.
            tokio::task::yield_now().await;
            router.call(request).await
        }
    });
    let mut stream = Guarded::new(socket, limits.write);
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
                        tracing::debug!(%error, "a connection ended early");
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
    // What a whole crowd still sends would take the loop's time: it is left unread, and its connections are reset.
    if place.is_crowded() {
        return;
    }
    tokio::select! {
        () = stream.close() => {}
        () = slot.evicted() => {}
    }
}

/// Whether the error is that of a client that had already gone.
fn is_clients(error: &io::Error) -> bool {
    [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset, io::ErrorKind::Interrupted]
        .contains(&error.kind())
}
