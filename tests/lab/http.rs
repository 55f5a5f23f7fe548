//! One connection of HTTP/1.1, over TLS or plain: reads requests, sends responses byte for byte, and interrupts them as configured.
//!
//! Owns framing, limits, keep-alive and failed deliveries. `registry.rs`, `data.rs`, `imds.rs` and `entra.rs` create the
//! responses; `listener.rs` handles everything before the first request.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use url::form_urlencoded;

use super::answers::{Delivery, Step};
use super::log::{Listener, Request};
use super::response::Response;
use super::settings::{Reuse, Settings};
use super::shared::Shared;
use super::wire::Wire;
use super::{answering, framing, listener};

/// The usual limit of a request's head.
const LARGEST_HEAD: usize = 32 << 10;
const MOST_HEADERS: usize = 100;
/// The media type of a form.
const FORM: &str = "application/x-www-form-urlencoded";
/// Only the token services and the exchange accept a body: a form.
const LARGEST_BODY: usize = 64 << 10;
/// nginx, on which openresty is based, closes after as many requests.
const MOST_REQUESTS: usize = 1_000;
/// The idle timeout between two requests.
const IDLE: Duration = Duration::from_secs(75);
const HUGE_HEADER: usize = 1 << 20;
const HUGE_BODY: u64 = 10_000_000_000;

/// A parsed request.
#[derive(Clone, Debug)]
pub struct Incoming {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Incoming {
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The fields of a form in the body, in their order; empty without one.
    pub fn form(&self) -> Vec<(String, String)> {
        let is_form = self.header("Content-Type").is_some_and(|kind| kind.starts_with(FORM));
        let body = if is_form { self.body.as_slice() } else { &[] };
        form_urlencoded::parse(body).into_owned().collect()
    }

    /// All values of a header that may be repeated.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// The state of the connection after a response.
#[derive(PartialEq, Eq)]
enum Next {
    Keep,
    Over,
}

/// Serves requests until either side closes.
pub async fn serve(
    shared: Arc<Shared>,
    listener: Listener,
    connection: usize,
    mut stream: Wire,
) -> io::Result<()> {
    let server_name = stream.server_name();
    let mut buffer = Vec::new();
    for number in 0..MOST_REQUESTS {
        let Some(incoming) = timeout(IDLE, read_request(&mut stream, &mut buffer)).await?? else { break };
        let current = shared.settings();
        let (step, response) = answering::respond(&shared, &current, listener, &incoming).await;
        shared.log.requests.push(Request {
            listener,
            step,
            method: incoming.method.clone(),
            target: incoming.target.clone(),
            headers: incoming.headers.clone(),
            form: incoming.form(),
            server_name: server_name.clone(),
            connection,
            status: response.status,
            correlation_id: response.header("X-Ms-Correlation-Request-Id").map(str::to_owned),
        });
        let reuse = listener::endpoint(&current.settings, listener).reuse;
        if number > 0 && is_cut(&mut stream, reuse, &response).await? {
            return Ok(());
        }
        let delivery = delivery(&current.settings, listener, step);
        let closing = incoming.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let delivery = if closing && delivery == Delivery::Whole { Delivery::Closing } else { delivery };
        if deliver(&mut stream, response, delivery, incoming.method == "HEAD").await? == Next::Over {
            return Ok(());
        }
        if let Reuse::ClosedAfter(pause) = reuse {
            sleep(pause).await;
            stream.shutdown().await?;
            return drain(stream.tcp()).await;
        }
    }
    stream.shutdown().await
}

/// The delivery of a response: by its step at the registry, by its service elsewhere.
fn delivery(settings: &Settings, listener: Listener, step: Option<Step>) -> Delivery {
    match listener {
        Listener::Imds => settings.identity.imds.delivery,
        Listener::Entra => settings.identity.entra.delivery,
        Listener::Login | Listener::Data | Listener::Decoy(_) => {
            step.map_or(Delivery::Whole, |step| *settings.delivery(step))
        }
    }
}

/// Closes a reused connection, if reused connections get no complete response.
async fn is_cut(stream: &mut Wire, reuse: Reuse, response: &Response) -> io::Result<bool> {
    match reuse {
        Reuse::Allowed | Reuse::ClosedAfter(_) => return Ok(false),
        Reuse::ClosedAtNext => close(stream).await?,
        Reuse::ResetAtNext => reset(stream)?,
        Reuse::ClosedWithinNext => {
            let head = response.head();
            write(stream, &head[..head.len() / 2]).await?;
            close(stream).await?;
        }
    }
    Ok(true)
}

async fn read_request(stream: &mut Wire, buffer: &mut Vec<u8>) -> io::Result<Option<Incoming>> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        if let httparse::Status::Complete(length) = request.parse(buffer).map_err(io::Error::other)? {
            let mut incoming = Incoming {
                method: request.method.unwrap_or_default().to_owned(),
                target: request.path.unwrap_or_default().to_owned(),
                headers: request
                    .headers
                    .iter()
                    .map(|header| {
                        (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned())
                    })
                    .collect(),
                body: Vec::new(),
            };
            buffer.drain(..length);
            let length =
                incoming.header("Content-Length").map_or(Ok(0), str::parse).map_err(io::Error::other)?;
            if length > LARGEST_BODY {
                return Err(io::Error::other("a body larger than the lab takes"));
            }
            while buffer.len() < length {
                if stream.read_buf(buffer).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            incoming.body = buffer.drain(..length).collect();
            return Ok(Some(incoming));
        }
        if buffer.len() > LARGEST_HEAD {
            return Err(io::Error::other("a head larger than the lab takes"));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

async fn deliver(
    stream: &mut Wire,
    mut response: Response,
    delivery: Delivery,
    head_only: bool,
) -> io::Result<Next> {
    if delivery == Delivery::HugeHeader {
        response.headers.push(("X-Padding".into(), "a".repeat(HUGE_HEADER)));
    }
    if delivery == Delivery::Closing {
        response = response.without("Connection");
        response.headers.push(("Connection".into(), "close".into()));
    }
    if let Some(bytes) = framing::broken(&response, delivery) {
        write(stream, &bytes).await?;
        close(stream).await?;
        return Ok(Next::Over);
    }
    let head = response.head();
    let body = match (head_only, response.chunked) {
        (true, _) => Vec::new(),
        (false, false) => response.body.clone(),
        (false, true) => chunks(&response.body),
    };
    let half = &body[..body.len() / 2];
    match delivery {
        Delivery::Whole | Delivery::HugeHeader => {
            write(stream, &[head, body].concat()).await?;
            return Ok(Next::Keep);
        }
        Delivery::Delayed(delay) => {
            sleep(delay).await;
            write(stream, &[head, body].concat()).await?;
            return Ok(Next::Keep);
        }
        Delivery::Closing => {
            write(stream, &[head, body].concat()).await?;
            stream.shutdown().await?;
        }
        Delivery::ResetAfterRequest => reset(stream)?,
        Delivery::CloseAfterRequest => close(stream).await?,
        Delivery::SilentAfterRequest => hold(stream).await?,
        Delivery::ResetMidBody => {
            write(stream, &[&head, half].concat()).await?;
            // A RST discards unread data: give the client time to read the first half.
            sleep(Duration::from_millis(50)).await;
            reset(stream)?;
        }
        Delivery::CloseMidBody => {
            write(stream, &[&head, half].concat()).await?;
            close(stream).await?;
        }
        Delivery::SilentMidBody => {
            write(stream, &[&head, half].concat()).await?;
            hold(stream).await?;
        }
        Delivery::Dripping(pause) => drip(stream, &[head, body].concat(), pause).await?,
        Delivery::BodyDripping(pause) => {
            write(stream, &head).await?;
            drip(stream, &body, pause).await?;
        }
        Delivery::EndlessHeaders
        | Delivery::EndlessLine
        | Delivery::EndlessInterim
        | Delivery::HugeBody
        | Delivery::EndlessKeyUpdates
        | Delivery::EndlessBody => flood(stream, response, delivery).await?,
        // Written above.
        Delivery::NotHttp
        | Delivery::TwoLengths
        | Delivery::LengthNoNumber
        | Delivery::StatusNoNumber
        | Delivery::HeaderWithoutColon
        | Delivery::ChunkNoNumber => {}
    }
    Ok(Next::Over)
}

/// Sends endlessly, as fast as it is read.
async fn flood(stream: &mut Wire, response: Response, delivery: Delivery) -> io::Result<()> {
    let head = response.head();
    let unframed = || response.clone().without("Content-Length").without("Transfer-Encoding");
    match delivery {
        Delivery::EndlessHeaders => {
            let start = head.len() - 2;
            write(stream, &head[..start]).await?;
            for number in 0_u64.. {
                write(stream, format!("X-Endless-{number}: {}\r\n", "a".repeat(1_000)).as_bytes()).await?;
            }
        }
        Delivery::EndlessLine => {
            write(stream, &head[..head.len() - 2]).await?;
            write(stream, b"X-Endless: ").await?;
            loop {
                write(stream, &[b'a'; 16 << 10]).await?;
            }
        }
        Delivery::EndlessInterim => {
            let hint = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n".repeat(256);
            loop {
                write(stream, &hint).await?;
            }
        }
        Delivery::HugeBody => {
            let mut huge = unframed();
            huge.headers.push(("Content-Length".into(), HUGE_BODY.to_string()));
            write(stream, &huge.head()).await?;
            for _ in 0..HUGE_BODY / (16 << 10) {
                write(stream, &[b' '; 16 << 10]).await?;
            }
            hold(stream).await?;
        }
        Delivery::EndlessKeyUpdates => loop {
            stream.refresh_traffic_keys()?;
            stream.flush().await?;
        },
        Delivery::EndlessBody => {
            let mut endless = unframed();
            endless.headers.push(("Transfer-Encoding".into(), "chunked".into()));
            write(stream, &endless.head()).await?;
            loop {
                write(stream, &chunk(&[b' '; 16 << 10])).await?;
            }
        }
        // These are finite.
        Delivery::Whole
        | Delivery::Delayed(_)
        | Delivery::ResetAfterRequest
        | Delivery::CloseAfterRequest
        | Delivery::SilentAfterRequest
        | Delivery::ResetMidBody
        | Delivery::CloseMidBody
        | Delivery::SilentMidBody
        | Delivery::Dripping(_)
        | Delivery::BodyDripping(_)
        | Delivery::HugeHeader
        | Delivery::NotHttp
        | Delivery::TwoLengths
        | Delivery::LengthNoNumber
        | Delivery::StatusNoNumber
        | Delivery::HeaderWithoutColon
        | Delivery::ChunkNoNumber
        | Delivery::Closing => {}
    }
    Ok(())
}

async fn write(stream: &mut Wire, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// Closes with a RST: with a linger of zero the kernel drops the connection immediately.
fn reset(stream: &mut Wire) -> io::Result<()> {
    stream.tcp().set_zero_linger()
}

/// Closes the TCP connection without TLS close_notify, like a dying process or a proxy.
async fn close(stream: &mut Wire) -> io::Result<()> {
    let stream = stream.tcp();
    stream.shutdown().await?;
    drain(stream).await
}

/// Reads until the peer closes, so that closing never causes a RST for unread bytes.
pub async fn drain(stream: &mut TcpStream) -> io::Result<()> {
    let mut sink = [0; 4_096];
    while stream.read(&mut sink).await? > 0 {}
    Ok(())
}

/// Keeps the connection open and silent until the peer closes it.
async fn hold(stream: &mut Wire) -> io::Result<()> {
    drain(stream.tcp()).await
}

async fn drip(stream: &mut Wire, bytes: &[u8], pause: Duration) -> io::Result<()> {
    for byte in bytes {
        write(stream, std::slice::from_ref(byte)).await?;
        sleep(pause).await;
    }
    Ok(())
}

fn chunks(body: &[u8]) -> Vec<u8> {
    let content = if body.is_empty() { Vec::new() } else { chunk(body) };
    [content, b"0\r\n\r\n".to_vec()].concat()
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}
