//! One query to one nameserver over its own sockets: UDP with resends, then TCP if the answer was truncated.
//!
//! Accepts only a message that matches the query by sender, ID and question (RFC 5452). Like Go's resolver, it ignores any
//! other and keeps waiting. `answer` parses the content.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use hickory_proto::op::{Edns, Message as Request, Query};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout_at};

use super::Patience;
use super::answer::{Message, Question};
use crate::address::NameserverAddress;
use crate::observation::{DnsFailureKind, Lookup};
use crate::probe::system;

/// Number of sends of one query.
pub(super) const SENDS: u32 = 4;
/// Payload that fits every path without fragments (DNS flag day 2020, RFC 9715).
const UDP_PAYLOAD: u16 = 1232;

/// Sends the query and waits for a usable answer.
pub(super) async fn exchange(
    server: &NameserverAddress,
    question: &Question,
    tcp_only: bool,
    patience: Patience,
) -> Result<Lookup, DnsFailureKind> {
    let until = patience.until;
    let server = socket_address(server);
    let Some(request) = Outgoing::new(question) else {
        return Err(DnsFailureKind::Malformed);
    };
    if tcp_only {
        return over_tcp(server, question, &request, until).await;
    }
    match over_udp(server, question, &request, patience).await? {
        Some(lookup) => Ok(lookup),
        None => match over_tcp(server, question, &request, until).await {
            Ok(lookup) => Ok(lookup),
            Err(_) => Err(DnsFailureKind::TruncatedWithoutTcp),
        },
    }
}

/// The socket address of a nameserver, with the current index of its interface.
pub(super) fn socket_address(server: &NameserverAddress) -> SocketAddr {
    match (server.socket, &server.scope) {
        (SocketAddr::V6(address), Some(scope)) => {
            SocketAddrV6::new(*address.ip(), address.port(), 0, system::interface(scope)).into()
        }
        (address, _) => address,
    }
}

/// An encoded query.
struct Outgoing {
    id: u16,
    bytes: Vec<u8>,
}

impl Outgoing {
    /// Encodes a query with a random ID, recursion and EDNS; `None` if the name does not fit.
    fn new(question: &Question) -> Option<Self> {
        let mut request = Request::query();
        request.metadata.recursion_desired = true;
        request.add_query(Query::query(question.name.clone(), question.kind));
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_PAYLOAD);
        request.set_edns(edns);
        Some(Self { id: request.metadata.id, bytes: request.to_vec().ok()? })
    }
}

/// Queries over UDP; `None` if the answer was truncated.
async fn over_udp(
    server: SocketAddr,
    question: &Question,
    request: &Outgoing,
    Patience { until, resend }: Patience,
) -> Result<Option<Lookup>, DnsFailureKind> {
    let any = match server.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    // Random port from the kernel. Not connected, so that a server that recovers within the limit is still usable.
    let socket = UdpSocket::bind((any, 0)).await.map_err(|error| trouble(&error))?;
    let started = Instant::now();
    let mut unreadable = false;
    for send in 1..=SENDS {
        socket.send_to(&request.bytes, server).await.map_err(|error| trouble(&error))?;
        let next = if send == SENDS { until } else { until.min(started + resend * send) };
        match timeout_at(next, receive(&socket, server, question, request.id, &mut unreadable)).await {
            Ok(answer) => return answer.map_err(|error| trouble(&error)),
            Err(_elapsed) => {}
        }
    }
    Err(if unreadable { DnsFailureKind::Malformed } else { DnsFailureKind::Timeout })
}

/// Waits for the matching datagram; records whether the right sender sent a malformed one.
async fn receive(
    socket: &UdpSocket,
    server: SocketAddr,
    question: &Question,
    id: u16,
    unreadable: &mut bool,
) -> io::Result<Option<Lookup>> {
    let mut buffer = [0; UDP_PAYLOAD as usize];
    loop {
        let (length, sender) = socket.recv_from(&mut buffer).await?;
        let bytes = &buffer[..length];
        // The scope is ignored: the kernel always sets it, even if none was needed.
        let is_theirs =
            (sender.ip().to_canonical(), sender.port()) == (server.ip().to_canonical(), server.port());
        if !is_theirs || bytes.first_chunk() != Some(&id.to_be_bytes()) {
            continue;
        }
        let Some(message) = Message::read(bytes) else {
            *unreadable = true;
            continue;
        };
        if message.answers(question) {
            return Ok((!message.is_truncated).then(|| message.facts(question, false)));
        }
    }
}

/// Queries over TCP, where the kernel retransmits. Like glibc and Go, it uses the content of an answer that is truncated even
/// then.
async fn over_tcp(
    server: SocketAddr,
    question: &Question,
    request: &Outgoing,
    until: Instant,
) -> Result<Lookup, DnsFailureKind> {
    let exchange = async {
        let mut stream = TcpStream::connect(server).await?;
        let length = u16::try_from(request.bytes.len()).map_err(io::Error::other)?;
        // One write: some servers only read the first segment.
        stream.write_all(&[&length.to_be_bytes()[..], &request.bytes].concat()).await?;
        let length = stream.read_u16().await?;
        let mut bytes = vec![0; length.into()];
        stream.read_exact(&mut bytes).await?;
        Ok(bytes)
    };
    let bytes = match timeout_at(until, exchange).await {
        Err(_elapsed) => return Err(DnsFailureKind::Timeout),
        Ok(Err(error)) => return Err(trouble(&error)),
        Ok(Ok(bytes)) => bytes,
    };
    match Message::read(&bytes) {
        Some(message) if message.id == request.id && message.answers(question) => {
            Ok(message.facts(question, true))
        }
        Some(_) | None => Err(DnsFailureKind::Malformed),
    }
}

/// Classifies a socket error.
fn trouble(error: &io::Error) -> DnsFailureKind {
    let is_about_the_peer = matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::TimedOut
    );
    if is_about_the_peer || system::is_unreachable(error) {
        DnsFailureKind::Unreachable
    } else {
        DnsFailureKind::NotSent(system::error(error))
    }
}
