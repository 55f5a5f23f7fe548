//! A nameserver on real sockets: UDP and TCP on one port, with every faulty behaviour.
//!
//! Owns sockets, framing and behaviour. `zones.rs` resolves names, [`messages`] builds messages. A nameserver that does not
//! listen keeps its port: see `open_udp`.

mod messages;

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::messages::{encode, fit, refusal, skeleton};
use super::authorities;
use super::lies::{self, FORGED_ADDRESS};
use super::log::{Protocol, Query};
use super::places;
use super::settings::{Behaviour, Nameserver, TcpDeath};
use super::shared::Shared;
use super::zones::{self, absolute};

pub use messages::code;

/// An idle TCP connection is closed after this long.
const TCP_IDLE: Duration = Duration::from_secs(10);
/// More concurrent queries or connections than any test has; further ones are dropped.
const MOST_AT_A_TIME: usize = 256;
/// As many fit in the 64 KiB of a message.
const MOST_ADDRESSES: usize = 3_000;
/// The polling interval of the query log.
const LOOK: Duration = Duration::from_millis(1);

/// One nameserver.
struct Server {
    shared: Arc<Shared>,
    index: usize,
    ignored: Mutex<Ignored>,
}

/// How often each question was ignored since the settings with that number.
#[derive(Default)]
struct Ignored {
    since: u64,
    times: HashMap<(String, RecordType), usize>,
}

/// The response on the wire.
enum Reaction {
    Nothing,
    Send(Vec<Vec<u8>>),
    SendFromElsewhere(Vec<u8>),
}

/// Serves until the lab stops; opens and closes the sockets according to the behaviour.
pub async fn serve(shared: Arc<Shared>, index: usize, place: places::Reserved, seat: usize) {
    let server = Arc::new(Server { shared: Arc::clone(&shared), index, ignored: Mutex::default() });
    let mut changes = shared.changes();
    let mut first = place.udp;
    loop {
        let (number, listens) = {
            let current = changes.borrow_and_update();
            (current.number, listens(&current.settings.nameservers[index].behaviour))
        };
        let mut tasks = JoinSet::new();
        match open_udp(first.take(), place.address, listens.udp).await {
            Ok(socket) => tasks.spawn(Arc::clone(&server).datagrams(Arc::new(socket), listens.udp)),
            Err(error) => panic!("nameserver {index} cannot have UDP at {}: {error}", place.address),
        };
        if listens.tcp {
            match places::listen(place.address, 128).await {
                Ok(listener) => tasks.spawn(Arc::clone(&server).streams(listener)),
                Err(error) => panic!("nameserver {index} cannot have TCP at {}: {error}", place.address),
            };
        }
        shared.acknowledge(seat, number);
        loop {
            if changes.changed().await.is_err() {
                return;
            }
            let current = Arc::clone(&changes.borrow_and_update());
            if self::listens(&current.settings.nameservers[index].behaviour) != listens {
                changes.mark_changed();
                break;
            }
            shared.acknowledge(seat, current.number);
        }
        tasks.shutdown().await;
    }
}

/// Which sockets a behaviour has open.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Listens {
    udp: bool,
    tcp: bool,
}

fn listens(behaviour: &Behaviour) -> Listens {
    Listens {
        udp: *behaviour != Behaviour::Closed,
        tcp: !matches!(behaviour, Behaviour::Closed | Behaviour::TruncatedTcpDead(TcpDeath::Refuses)),
    }
}

/// The UDP socket. A closed one is connected to a peer that never sends: the port stays reserved, and the kernel returns port
/// unreachable to all others, as if it were closed.
async fn open_udp(first: Option<UdpSocket>, address: SocketAddr, open: bool) -> io::Result<UdpSocket> {
    let socket = match first {
        Some(socket) => socket,
        None => places::patiently(|| async { UdpSocket::bind(address).await }).await?,
    };
    if !open {
        socket.connect(SocketAddr::new(address.ip(), 1)).await?;
    }
    Ok(socket)
}

impl Server {
    async fn datagrams(self: Arc<Self>, socket: Arc<UdpSocket>, open: bool) {
        if !open {
            // Only reserves the port.
            std::future::pending::<()>().await;
        }
        let mut tasks = JoinSet::new();
        let mut buffer = [0; 4_096];
        loop {
            // An ICMP error of an earlier answer appears here; it is ignored.
            let Ok((length, peer)) = socket.recv_from(&mut buffer).await else { continue };
            while tasks.try_join_next().is_some() {}
            if tasks.len() < MOST_AT_A_TIME {
                let query = buffer[..length].to_vec();
                tasks.spawn(Arc::clone(&self).datagram(Arc::clone(&socket), query, peer));
            }
        }
    }

    async fn datagram(self: Arc<Self>, socket: Arc<UdpSocket>, query: Vec<u8>, peer: SocketAddr) {
        // A client that has disconnected is ignored, here and below.
        match self.react(&query, Protocol::Udp).await {
            Reaction::Nothing => {}
            Reaction::Send(messages) => {
                for message in messages {
                    let _ = socket.send_to(&message, peer).await;
                }
            }
            Reaction::SendFromElsewhere(message) => {
                let Ok(own) = socket.local_addr() else { return };
                if let Ok(other) = UdpSocket::bind(SocketAddr::new(own.ip(), 0)).await {
                    let _ = other.send_to(&message, peer).await;
                }
            }
        }
    }

    async fn streams(self: Arc<Self>, listener: TcpListener) {
        let mut tasks = JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            while tasks.try_join_next().is_some() {}
            if tasks.len() < MOST_AT_A_TIME {
                let server = Arc::clone(&self);
                tasks.spawn(async move { server.stream(stream).await });
            }
        }
    }

    async fn stream(self: Arc<Self>, mut stream: TcpStream) -> io::Result<()> {
        loop {
            if self.behaviour() == Behaviour::TruncatedTcpDead(TcpDeath::Closes) {
                return stream.shutdown().await;
            }
            let length = timeout(TCP_IDLE, stream.read_u16()).await??;
            let mut query = vec![0; length.into()];
            timeout(TCP_IDLE, stream.read_exact(&mut query)).await??;
            if self.behaviour() == Behaviour::TcpDrips {
                stream.write_u16(512).await?;
                for _ in 0..512 {
                    stream.write_u8(0).await?;
                    sleep(Duration::from_secs(1)).await;
                }
            }
            match self.react(&query, Protocol::Tcp).await {
                Reaction::Nothing => {}
                Reaction::Send(messages) => {
                    for message in messages {
                        let length = u16::try_from(message.len()).map_err(io::Error::other)?;
                        stream.write_all(&[&length.to_be_bytes()[..], &message].concat()).await?;
                    }
                }
                // A connection has no other source port.
                Reaction::SendFromElsewhere(_) => return Ok(()),
            }
        }
    }

    fn behaviour(&self) -> Behaviour {
        self.shared.settings().settings.nameservers[self.index].behaviour.clone()
    }

    /// Logs a query and applies the behaviour.
    async fn react(&self, bytes: &[u8], protocol: Protocol) -> Reaction {
        let Ok(query) = Message::from_vec(bytes) else { return Reaction::Nothing };
        let Some(question) = query.queries.first() else { return Reaction::Nothing };
        let kind = question.query_type();
        self.shared.log.queries.push(Query {
            nameserver: self.index,
            protocol,
            name: question.name().to_string(),
            kind: kind.to_string(),
        });
        let current = self.shared.settings();
        if let Some(authorities::Answer::Silence) =
            authorities::look_up(&self.shared, &current.settings, question.name(), kind)
        {
            return Reaction::Nothing;
        }
        let behaviour = self.behaviour();
        let udp = protocol == Protocol::Udp;
        let right = || fit(&query, self.answer(&query), udp);
        let one = |message: &Message| Reaction::Send(vec![encode(message)]);
        match behaviour {
            Behaviour::Silent => Reaction::Nothing,
            // Unreachable for a closed socket, except one that was just closed.
            Behaviour::Closed => Reaction::Nothing,
            Behaviour::TruncatedTcpDead(_) if !udp => Reaction::Nothing,
            Behaviour::AaaaSilent if kind == RecordType::AAAA => Reaction::Nothing,
            Behaviour::AaaaRcode(code) if kind == RecordType::AAAA => one(&refusal(&query, code, None)),
            Behaviour::BrokenAuthority => Reaction::Send(vec![lies::with_broken_authority(right())]),
            Behaviour::BrokenOption => Reaction::Send(vec![lies::with_broken_option(right())]),
            Behaviour::DropFirst(count) if udp && self.still_ignores(&query, count) => Reaction::Nothing,
            Behaviour::Answer
            | Behaviour::AaaaSilent
            | Behaviour::AaaaRcode(_)
            | Behaviour::DropFirst(_)
            | Behaviour::HugeAnswer(_)
            | Behaviour::AnswersUnrelatedRecords => one(&right()),
            Behaviour::Rcode(code, extended) => one(&refusal(&query, code, extended.as_ref())),
            Behaviour::Garbage => {
                let mut garbage = query.metadata.id.to_be_bytes().to_vec();
                // Counts of 65,535 each and a name that points into itself.
                garbage.extend_from_slice(&[
                    0x81, 0x80, 255, 255, 255, 255, 255, 255, 255, 255, 0xC0, 0x0C, 0, 1,
                ]);
                Reaction::Send(vec![garbage])
            }
            Behaviour::WrongId => {
                let mut message = right();
                message.metadata.id = message.metadata.id.wrapping_add(1);
                one(&message)
            }
            Behaviour::WrongQuestion => {
                let mut message = right();
                for question in &mut message.queries {
                    question.set_name(absolute("www.fabrikam.example"));
                }
                one(&message)
            }
            Behaviour::ForeignSource => Reaction::SendFromElsewhere(encode(&right())),
            Behaviour::SpoofThenAnswer => {
                let mut forged = skeleton(&query);
                forged.metadata.id = forged.metadata.id.wrapping_add(1);
                let name = question.name().clone();
                forged.add_answer(Record::from_rdata(name, 60, RData::A(A(FORGED_ADDRESS))));
                Reaction::Send(vec![encode(&forged), encode(&right())])
            }
            Behaviour::Truncated
            | Behaviour::TruncatedTcpDead(_)
            | Behaviour::TcpDrips
            | Behaviour::TcpCrowded
                if udp =>
            {
                one(&right().truncate())
            }
            Behaviour::Truncated | Behaviour::TruncatedTcpDead(_) | Behaviour::TcpDrips => one(&right()),
            Behaviour::TcpCrowded => one(&lies::crowded(right())),
            Behaviour::CompressionLoop => {
                let mut asked = skeleton(&query);
                asked.edns = None;
                Reaction::Send(vec![lies::looped(&encode(&asked))])
            }
            Behaviour::ServesStale(stale) if self.still_ignores(&query, stale.times) => {
                let mut message = self.answer_of(&query, &Nameserver::seeing(stale.view));
                message.answers.iter_mut().for_each(|record| record.ttl = stale.ttl);
                one(&message)
            }
            Behaviour::ServesStale(_) => one(&right()),
            Behaviour::Rebinds(_) if self.still_ignores(&query, 1) => one(&right()),
            Behaviour::Rebinds(addresses) => one(&lies::elsewhere(skeleton(&query), &addresses)),
            Behaviour::Delay(delay) => {
                sleep(delay).await;
                one(&right())
            }
            Behaviour::Together => {
                while !self.is_queried_everywhere(&question.name().to_string()) {
                    sleep(LOOK).await;
                }
                one(&right())
            }
        }
    }

    /// Whether every nameserver was queried for both families of a name.
    fn is_queried_everywhere(&self, name: &str) -> bool {
        let servers = 0..self.shared.settings().settings.nameservers.len();
        let is_asked = |server, kind| {
            self.shared
                .log
                .queries
                .any(|query| query.nameserver == server && query.name == name && query.kind == kind)
        };
        servers.into_iter().all(|server| is_asked(server, "A") && is_asked(server, "AAAA"))
    }

    fn still_ignores(&self, query: &Message, count: usize) -> bool {
        let number = self.shared.settings().number;
        let mut ignored = self.ignored.lock().unwrap_or_else(PoisonError::into_inner);
        if ignored.since != number {
            *ignored = Ignored { since: number, ..Ignored::default() };
        }
        let question =
            query.queries.first().map(|it| (it.name().to_lowercase().to_string(), it.query_type()));
        let Some(question) = question else { return false };
        let so_far = ignored.times.entry(question).or_default();
        *so_far += 1;
        *so_far <= count
    }

    /// The answer of the current view.
    fn answer(&self, query: &Message) -> Message {
        self.answer_of(query, &self.shared.settings().settings.nameservers[self.index])
    }

    /// The answer of a view, with the records added by the behaviour.
    fn answer_of(&self, query: &Message, settings: &Nameserver) -> Message {
        let current = self.shared.settings();
        let mut message = skeleton(query);
        let Some(question) = query.queries.first() else { return message };
        let (name, kind) = (question.name(), question.query_type());
        let finding = match authorities::look_up(&self.shared, &current.settings, name, kind) {
            Some(authorities::Answer::Found(finding)) => finding,
            // Already ignored above.
            Some(authorities::Answer::Silence) => return message,
            None => zones::look_up(&self.shared.place, settings, name, kind),
        };
        message.metadata.response_code = finding.code;
        message.add_answers(finding.answers);
        message.add_authorities(finding.authorities);
        let owner =
            message.answers.last().map_or_else(|| question.name().clone(), |record| record.name.clone());
        if let Behaviour::HugeAnswer(count) = settings.behaviour
            && question.query_type() == RecordType::A
        {
            let numbers = (0..u32::try_from(count).unwrap_or(u32::MAX)).take(MOST_ADDRESSES);
            message.add_answers(numbers.map(|number| {
                let address = Ipv4Addr::from_bits(Ipv4Addr::new(10, 1, 0, 0).to_bits() + number);
                Record::from_rdata(owner.clone(), 10, RData::A(A(address)))
            }));
        }
        if settings.behaviour == Behaviour::AnswersUnrelatedRecords {
            let stranger = absolute("www.fabrikam.example");
            message.add_answer(Record::from_rdata(stranger, 60, RData::A(A(FORGED_ADDRESS))));
        }
        message
    }
}
