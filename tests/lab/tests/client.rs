//! A raw client: HTTP over TLS and DNS without abstraction, for the tests of the lab itself.
//!
//! Reads responses byte for byte, with the case and order of header names. The program's own client hides what these tests
//! check.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring::default_provider};

use lab::Lab;
use lab::answers::Step;

/// How long a test waits for a response that must not arrive: long on loopback, short for a test.
pub(crate) const PATIENCE: Duration = Duration::from_millis(400);
/// How long it waits for an expected response, long enough for a busy machine.
const DNS_PATIENCE: Duration = Duration::from_millis(1_500);

/// A byte stream, with TLS or without.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// One connection.
pub(crate) struct Client(Box<dyn Stream>);

/// A raw response.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    /// Connects to the endpoint of a step and trusts the lab's root.
    pub(crate) async fn connect(lab: &Lab, step: Step) -> io::Result<Self> {
        let (address, name) = match step {
            Step::Blob => (lab.data_address(), lab.data_endpoint()),
            Step::Challenge | Step::Exchange | Step::Token | Step::Manifest | Step::BlobRedirect => {
                (lab.login_address(), lab.login_server())
            }
        };
        Self::connect_to(address, &name, lab.ca_pem()).await
    }

    /// Connects without TLS.
    pub(crate) async fn connect_plainly(address: SocketAddr) -> io::Result<Self> {
        Ok(Self(Box::new(TcpStream::connect(address).await?)))
    }

    /// Connects to a name at an address and trusts one root.
    pub(crate) async fn connect_to(address: SocketAddr, name: &str, root: &str) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(root.as_bytes()).map_err(io::Error::other)?)
            .map_err(io::Error::other)?;
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let stream = TcpStream::connect(address).await?;
        Ok(Self(Box::new(TlsConnector::from(Arc::new(config)).connect(name, stream).await?)))
    }

    pub(crate) async fn get(
        &mut self,
        host: &str,
        target: &str,
        headers: &[(&str, &str)],
    ) -> io::Result<Reply> {
        self.send("GET", host, target, headers, "").await
    }

    /// Sends any method; the response to `HEAD` has no body.
    pub(crate) async fn send(
        &mut self,
        method: &str,
        host: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> io::Result<Reply> {
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        request.push_str(body);
        self.0.write_all(request.as_bytes()).await?;
        self.read(method == "HEAD").await
    }

    async fn read(&mut self, head_only: bool) -> io::Result<Reply> {
        let mut bytes = Vec::new();
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 64];
            let mut head = httparse::Response::new(&mut headers);
            if let httparse::Status::Complete(length) = head.parse(&bytes).map_err(io::Error::other)? {
                let reply = Reply {
                    status: head.code.unwrap_or_default(),
                    headers: head
                        .headers
                        .iter()
                        .map(|it| (it.name.to_owned(), String::from_utf8_lossy(it.value).into_owned()))
                        .collect(),
                    body: Vec::new(),
                };
                let rest = bytes.split_off(length);
                if head_only {
                    return Ok(reply);
                }
                return self.read_body(reply, rest).await;
            }
            self.more(&mut bytes).await?;
        }
    }

    async fn read_body(&mut self, mut reply: Reply, mut bytes: Vec<u8>) -> io::Result<Reply> {
        if let Some(length) = reply.header("Content-Length") {
            let length: usize = length.parse().map_err(io::Error::other)?;
            while bytes.len() < length {
                self.more(&mut bytes).await?;
            }
            reply.body = bytes;
            return Ok(reply);
        }
        loop {
            while let httparse::Status::Complete((start, length)) =
                httparse::parse_chunk_size(&bytes).map_err(|_| io::Error::other("not a chunk"))?
            {
                let length = usize::try_from(length).map_err(io::Error::other)?;
                if bytes.len() < start + length + 2 {
                    break;
                }
                reply.body.extend_from_slice(&bytes[start..start + length]);
                bytes.drain(..start + length + 2);
                if length == 0 {
                    return Ok(reply);
                }
            }
            self.more(&mut bytes).await?;
        }
    }

    async fn more(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        let read = timeout(Duration::from_secs(5), self.0.read_buf(bytes)).await??;
        if read == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

/// Sends one request over a new connection.
pub(crate) async fn get(lab: &Lab, step: Step, target: &str, headers: &[(&str, &str)]) -> io::Result<Reply> {
    let host = if step == Step::Blob { lab.data_endpoint() } else { lab.registry() };
    Client::connect(lab, step).await?.get(&host, target, headers).await
}

/// Requests a token with the lab's credentials.
pub(crate) async fn ask_for_token(lab: &Lab, repository: &str) -> io::Result<Reply> {
    let basic = format!("Basic {}", STANDARD.encode(format!("{}:{}", lab.username(), lab.password())));
    let target = format!("/oauth2/token?service={}&scope=repository%3A{repository}%3Apull", lab.registry());
    get(lab, Step::Token, &target, &[("Authorization", &basic)]).await
}

/// The value of an `Authorization` header with a fresh token.
pub(crate) async fn bearer(lab: &Lab, repository: &str) -> io::Result<String> {
    let reply = ask_for_token(lab, repository).await?;
    let answer: serde_json::Value = serde_json::from_slice(&reply.body).map_err(io::Error::other)?;
    let token = answer["access_token"].as_str().or(answer["token"].as_str());
    Ok(format!("Bearer {}", token.ok_or_else(|| io::Error::other("no token"))?))
}

/// Sends one query over UDP and returns the first datagram from the server.
pub(crate) async fn ask(server: SocketAddr, name: &str, kind: RecordType) -> io::Result<Message> {
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    socket.connect(server).await?;
    socket.send(&question(name, kind)).await?;
    let mut buffer = [0; 4_096];
    let length = timeout(DNS_PATIENCE, socket.recv(&mut buffer)).await??;
    Message::from_vec(&buffer[..length]).map_err(io::Error::other)
}

/// Sends one query over TCP.
pub(crate) async fn ask_by_tcp(server: SocketAddr, name: &str, kind: RecordType) -> io::Result<Message> {
    let mut stream = TcpStream::connect(server).await?;
    let question = question(name, kind);
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], &question].concat()).await?;
    let length = timeout(DNS_PATIENCE, stream.read_u16()).await??;
    let mut answer = vec![0; length.into()];
    stream.read_exact(&mut answer).await?;
    Message::from_vec(&answer).map_err(io::Error::other)
}

/// The ID of every query.
pub(crate) const ID: u16 = 0x1A2B;

fn question(name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::new(ID, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    let mut name = Name::from_ascii(name).expect("tests ask for names");
    name.set_fqdn(true);
    message.add_query(Query::query(name, kind));
    let mut edns = Edns::new();
    edns.set_max_payload(1_232);
    message.set_edns(edns);
    message.to_vec().expect("a question is short")
}
