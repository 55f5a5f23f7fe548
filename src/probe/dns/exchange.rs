//! One question to one nameserver over sockets of its own: UDP with resends, then TCP where the datagram was truncated.
//!
//! Takes from the network only what answers the question that was sent (RFC 5452): sender, id and question. What does not
//! is left lying and the wait goes on, as Go's resolver does it. What an answer says is `answer`'s.

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

/// Sends of one question.
pub(super) const SENDS: u32 = 4;
/// Payload that fits every path without fragments (DNS flag day 2020, RFC 9715).
const UDP_PAYLOAD: u16 = 1232;

/// Asks, and waits for an answer that can be used.
pub(super) async fn exchange(
    server: &NameserverAddress,
    question: &Question,
    tcp_alone: bool,
    patience: Patience,
) -> Result<Lookup, DnsFailureKind> {
    let until = patience.until;
    let server = socket_address(server);
    let Some(request) = Outgoing::new(question) else {
        return Err(DnsFailureKind::Malformed);
    };
    if tcp_alone {
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

/// Where a nameserver is, with the number that its interface has at this moment.
pub(super) fn socket_address(server: &NameserverAddress) -> SocketAddr {
    match (server.socket, &server.scope) {
        (SocketAddr::V6(address), Some(scope)) => {
            SocketAddrV6::new(*address.ip(), address.port(), 0, system::interface(scope)).into()
        }
        (address, _) => address,
    }
}

/// A question as it is sent.
struct Outgoing {
    id: u16,
    bytes: Vec<u8>,
}

impl Outgoing {
    /// A question with an id by chance, with recursion and EDNS; nothing where the name does not fit a message.
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

/// Over UDP; nothing where the answer was truncated.
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
    // A port by chance, from the kernel. Not connected: a server that comes back within the limit still answers.
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

/// Waits for the datagram that answers; notes whether one came from the right sender that cannot be read.
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
        // The scope is left out: the kernel fills it in, also where none was needed.
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

/// Over TCP, where the kernel sends again what is lost. An answer that is truncated even so is taken for what is in it, as
/// glibc and Go take it.
async fn over_tcp(
    server: SocketAddr,
    question: &Question,
    request: &Outgoing,
    until: Instant,
) -> Result<Lookup, DnsFailureKind> {
    let exchange = async {
        let mut stream = TcpStream::connect(server).await?;
        let length = u16::try_from(request.bytes.len()).map_err(io::Error::other)?;
        // In one piece: some servers read no further than the first segment.
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

/// What an error of a socket says about a nameserver.
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
