//! A proxy in front of the API server that presents its certificate and injects faults.
//!
//! Owns the faults and the log of requests. Forwards every other request whole, one at a time per connection; does not
//! support watches. Runs on its own thread, so that a test may block.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::client::http_client;
use super::server::ApiServer;

const MOST_HEADERS: usize = 64;
/// Far larger than an Event.
const LARGEST_REQUEST: usize = 1 << 20;
/// Headers that belong to one connection or to the framing of one message.
const NOT_PASSED_ON: [&str; 4] = ["host", "connection", "content-length", "transfer-encoding"];

/// A fault injected into a request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The proxy responds with this status and, if set, this `Retry-After` in seconds. The server never gets the request.
    Answer { status: u16, retry_after: Option<u32> },
    /// The server processes the request, and the connection breaks before the response.
    AnswerLost,
}

/// A request and the status of its response; `None` if the response was lost.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) body: Value,
    pub(crate) status: Option<u16>,
}

/// A running proxy. It ends when dropped.
pub(crate) struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    over: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    upstream: reqwest::Client,
    upstream_url: String,
    faults: Mutex<VecDeque<Fault>>,
    asked: Mutex<Vec<Asked>>,
}

impl FaultProxy {
    pub(crate) fn start(server: &ApiServer) -> Self {
        let shared = Arc::new(Shared {
            upstream: http_client(server),
            upstream_url: server.url(),
            faults: Mutex::default(),
            asked: Mutex::default(),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket can do that");
        let address = listener.local_addr().expect("it is bound");
        let acceptor = TlsAcceptor::from(server.certificates().server_config());
        let (over, end) = oneshot::channel();
        let served = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("it is a listener");
                tokio::select! {
                    () = accept(listener, acceptor, served) => {}
                    _ = end => {}
                }
            });
        });
        Self { address, shared, over: Some(over), thread: Some(thread) }
    }

    /// `https://127.0.0.1:PORT`
    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Queues a fault for `count` requests, after those queued before.
    pub(crate) fn next(&self, count: usize, fault: &Fault) {
        let mut faults = self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.extend(std::iter::repeat_n(fault.clone(), count));
    }

    /// Returns the requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        drop(self.over.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
        // The client notices connection errors.
        tokio::spawn(async move { serve(acceptor.accept(stream).await?, &shared).await });
    }
}

async fn serve(mut stream: TlsStream<TcpStream>, shared: &Shared) -> io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut stream, &mut buffer).await? {
        let fault = shared.faults.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let answer = match fault {
            Some(Fault::Answer { status, retry_after }) => Some((status, refusal(status, retry_after))),
            Some(Fault::AnswerLost) => {
                pass_on(shared, &request).await?;
                None
            }
            None => Some(pass_on(shared, &request).await?),
        };
        shared.asked.lock().unwrap_or_else(PoisonError::into_inner).push(Asked {
            method: request.method.to_string(),
            target: request.target,
            body: serde_json::from_slice(&request.body).unwrap_or_default(),
            status: answer.as_ref().map(|(status, _)| *status),
        });
        let Some((_, message)) = answer else { return Ok(()) };
        stream.write_all(&message).await?;
        stream.flush().await?;
    }
    stream.shutdown().await
}

struct Request {
    method: Method,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

/// Reads the next request; `None` if the client closed the connection.
async fn read(stream: &mut TlsStream<TcpStream>, buffer: &mut Vec<u8>) -> io::Result<Option<Request>> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut head = httparse::Request::new(&mut headers);
        if let httparse::Status::Complete(length) = head.parse(buffer).map_err(io::Error::other)? {
            let method = Method::from_bytes(head.method.unwrap_or_default().as_bytes());
            let request = Request {
                method: method.map_err(io::Error::other)?,
                target: head.path.unwrap_or_default().to_owned(),
                headers: head
                    .headers
                    .iter()
                    .map(|header| (header.name.to_ascii_lowercase(), header.value.to_vec()))
                    .collect(),
                body: Vec::new(),
            };
            let end = length + request.content_length()?;
            while buffer.len() < end {
                if !receive(stream, buffer).await? {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            let body = buffer[length..end].to_vec();
            buffer.drain(..end);
            return Ok(Some(Request { body, ..request }));
        }
        if !receive(stream, buffer).await? {
            return Ok(None);
        }
    }
}

/// Reads more bytes; returns false at the end of the stream.
async fn receive(stream: &mut TlsStream<TcpStream>, buffer: &mut Vec<u8>) -> io::Result<bool> {
    if buffer.len() > LARGEST_REQUEST {
        return Err(io::Error::other("the request is too large"));
    }
    Ok(stream.read_buf(buffer).await? > 0)
}

impl Request {
    fn content_length(&self) -> io::Result<usize> {
        if self.headers.iter().any(|(name, _)| name == "transfer-encoding") {
            return Err(io::Error::other("chunked request bodies are not supported"));
        }
        let value = self.headers.iter().find(|(name, _)| name == "content-length");
        let Some((_, value)) = value else { return Ok(0) };
        str::from_utf8(value).map_err(io::Error::other)?.trim().parse().map_err(io::Error::other)
    }
}

/// Forwards a request and returns the status and the whole response.
async fn pass_on(shared: &Shared, request: &Request) -> io::Result<(u16, Vec<u8>)> {
    let url = format!("{}{}", shared.upstream_url, request.target);
    let mut passed = shared.upstream.request(request.method.clone(), url).body(request.body.clone());
    for (name, value) in &request.headers {
        if !NOT_PASSED_ON.contains(&name.as_str()) {
            passed = passed.header(name, value.as_slice());
        }
    }
    let response = passed.send().await.map_err(io::Error::other)?;
    let status = response.status().as_u16();
    let mut head = format!("HTTP/1.1 {status} {status}\r\n").into_bytes();
    for (name, value) in response.headers() {
        if !NOT_PASSED_ON.contains(&name.as_str()) {
            head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
    }
    let body = response.bytes().await.map_err(io::Error::other)?;
    Ok((status, [&head, format!("content-length: {}\r\n\r\n", body.len()).as_bytes(), &body].concat()))
}

/// Returns a response in the API server's format.
fn refusal(status: u16, retry_after: Option<u32>) -> Vec<u8> {
    let reason = match status {
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        409 => "AlreadyExists",
        422 => "Invalid",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        _ => "InternalError",
    };
    let body = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": format!("injected status {status}"),
        "reason": reason,
        "details": { "retryAfterSeconds": retry_after },
        "code": status,
    })
    .to_string();
    let wait = retry_after.map_or_else(String::new, |seconds| format!("retry-after: {seconds}\r\n"));
    format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\n{wait}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
