//! Answers that a nameserver could send, in any order and of any length.

mod scopes;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use hickory_proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, SOA, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::Instant;

use super::answer::{self, MAX_ADDRESSES, MAX_CHAIN, Question};
use super::{Nameserver, Patience, resolve};
use crate::address::NameserverAddress;
use crate::observation::{DnsFailureKind, Endpoint, Lookup, RecordData, Resolution, Resolver};

fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).expect("a name");
    name.set_fqdn(true);
    name
}

fn hop(number: usize) -> Name {
    name(&format!("hop-{number}.privatelink.azurecr.io"))
}

fn alias(from: &Name, to: &Name) -> Record {
    Record::from_rdata(from.clone(), 60, RData::CNAME(CNAME(to.clone())))
}

fn address(owner: &Name, address: IpAddr) -> Record {
    let data = match address {
        IpAddr::V4(address) => RData::A(A(address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(address)),
    };
    Record::from_rdata(owner.clone(), 10, data)
}

/// An answer as sent by a recursive nameserver.
fn answer(records: Vec<Record>) -> Message {
    let mut message = Message::response(1, OpCode::Query);
    message.metadata.recursion_available = true;
    message.add_query(Query::query(hop(0), RecordType::A));
    message.add_answers(records);
    message
}

fn read_bytes(name: &Name, bytes: &[u8]) -> Lookup {
    let question = Question { name: name.clone(), kind: RecordType::A };
    let message = answer::Message::read(bytes).expect("header and question");
    assert!(message.answers(&question));
    message.facts(&question, true)
}

/// Encodes and decodes an answer.
fn read_answer(name: &Name, message: &Message) -> Lookup {
    read_bytes(name, &message.to_vec().expect("a message"))
}

fn read(records: Vec<Record>) -> Lookup {
    read_answer(&hop(0), &answer(records))
}

/// A chain of `hops` aliases that ends in these addresses.
fn chain(hops: usize, ends: &[IpAddr]) -> Vec<Record> {
    let aliases = (0..hops).map(|number| alias(&hop(number), &hop(number + 1)));
    aliases.chain(ends.iter().map(|end| address(&hop(hops), *end))).collect()
}

/// Records of names that were not queried, and of types that form no chain.
fn strangers(number: u8) -> Vec<Record> {
    let stranger = name(&format!("stranger-{number}.example"));
    vec![
        address(&stranger, IpAddr::V4(Ipv4Addr::new(203, 0, 113, number))),
        alias(&stranger, &hop(0)),
        Record::from_rdata(hop(0), 60, RData::TXT(TXT::new(vec!["10.0.0.1".to_owned()]))),
    ]
}

proptest! {
    #[test]
    fn record_order_affects_neither_chain_nor_addresses(
        (sorted, shuffled) in (0..12_usize, proptest::collection::vec(any::<IpAddr>(), 0..12), 0..4_u8)
            .prop_flat_map(|(hops, ends, number)| {
                let mut records = chain(hops, &ends);
                records.extend((0..number).flat_map(strangers));
                (Just(records.clone()), Just(records).prop_shuffle())
            }),
        capitals in any::<bool>(),
    ) {
        let (Lookup::Answered(sorted), Lookup::Answered(mut shuffled)) = (read(sorted), read(shuffled)) else {
            return Err(TestCaseError::fail("a chain that can be followed"));
        };
        // Names are case-insensitive (RFC 4343).
        let asked = if capitals { name(&hop(0).to_ascii().to_uppercase()) } else { hop(0) };
        let again = read_answer(&asked, &answer(chain(3, &[])));
        prop_assert!(matches!(again, Lookup::Answered(answer) if answer.chain.len() == 3));
        let aliases = |answer: &crate::observation::DnsAnswer| -> Vec<crate::observation::Record> {
            let cnames = answer.chain.iter().filter(|record| matches!(record.data, RecordData::Cname(_)));
            cnames.cloned().collect()
        };
        prop_assert_eq!(aliases(&sorted), aliases(&shuffled));
        let found = |addresses: &[IpAddr]| addresses.iter().copied().collect::<BTreeSet<_>>();
        prop_assert_eq!(found(&sorted.addresses), found(&shuffled.addresses));
        // The chain is in order, regardless of the order of its records.
        shuffled.chain.retain(|record| matches!(record.data, RecordData::Cname(_)));
        for pair in shuffled.chain.windows(2) {
            prop_assert_eq!(&pair[0].data, &RecordData::Cname(pair[1].name.clone()));
        }
    }

    #[test]
    fn arbitrary_alias_graphs_are_bounded(
        pairs in proptest::collection::vec((0..24_usize, 0..24_usize), 0..40),
        ends in proptest::collection::vec((0..24_usize, any::<IpAddr>()), 0..40),
        code in any::<u16>(),
    ) {
        let aliases = pairs.iter().map(|(from, to)| alias(&hop(*from), &hop(*to)));
        let addresses = ends.iter().map(|(owner, end)| address(&hop(*owner), *end));
        let mut message = answer(aliases.chain(addresses).collect());
        message.metadata.response_code = ResponseCode::from_low(u8::try_from(code & 15).expect("four bits"));
        let lookup = read_answer(&hop(0), &message);
        let is_usable = [ResponseCode::NoError, ResponseCode::NXDomain].contains(&message.metadata.response_code);
        match lookup {
            Lookup::Answered(answer) => {
                prop_assert!(is_usable);
                prop_assert!(answer.chain.len() <= MAX_CHAIN + MAX_ADDRESSES);
                let aliases = answer.chain.iter().filter(|record| matches!(record.data, RecordData::Cname(_)));
                let mut owners: Vec<&str> = aliases.map(|record| record.name.as_str()).collect();
                let visited = owners.len();
                owners.sort_unstable();
                owners.dedup();
                prop_assert_eq!(owners.len(), visited, "a name was passed twice");
            }
            Lookup::Failed(failure) => {
                let fits = match failure.kind {
                    DnsFailureKind::CnameLoop(_) | DnsFailureKind::ChainTooLong => is_usable,
                    DnsFailureKind::Refused(_) => !is_usable,
                    DnsFailureKind::Timeout
                    | DnsFailureKind::Unreachable
                    | DnsFailureKind::NotSent(_)
                    | DnsFailureKind::Malformed
                    | DnsFailureKind::LameReferral
                    | DnsFailureKind::TruncatedWithoutTcp => false,
                };
                prop_assert!(fits, "{:?}", failure);
            }
        }
    }
}

#[test]
fn chains_and_lists_are_followed_up_to_their_limits() {
    let end = [IpAddr::V4(Ipv4Addr::new(10, 60, 4, 4))];
    for (hops, expected) in [(0, true), (MAX_CHAIN - 1, true), (MAX_CHAIN, false), (1_000, false)] {
        assert_eq!(matches!(read(chain(hops, &end)), Lookup::Answered(_)), expected, "{hops} hops");
    }
    for (count, expected) in [(MAX_ADDRESSES, true), (MAX_ADDRESSES + 1, false), (3_000, false)] {
        let many: Vec<IpAddr> = (0..u32::try_from(count).expect("few"))
            .map(|bits| Ipv4Addr::from(0x0a00_0000 | bits).into())
            .collect();
        assert_eq!(matches!(read(chain(2, &many)), Lookup::Answered(_)), expected, "{count} addresses");
    }
    let circle = vec![alias(&hop(0), &hop(1)), alias(&hop(1), &hop(2)), alias(&hop(2), &hop(0))];
    let Lookup::Failed(failure) = read(circle) else { panic!("a circle has no end") };
    assert_eq!(failure.kind, DnsFailureKind::CnameLoop("hop-0.privatelink.azurecr.io.".to_owned()));
    let Lookup::Failed(failure) = read(vec![alias(&hop(0), &hop(0))]) else { panic!("a circle has no end") };
    assert_eq!(failure.kind, DnsFailureKind::CnameLoop("hop-0.privatelink.azurecr.io.".to_owned()));
}

fn v4(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Go uses the addresses of any owner name; reports list the chain first.
#[test]
fn every_address_of_the_answer_section_counts() {
    let (private, public) = (v4("10.60.4.4"), v4("20.45.122.144"));
    let stranger = name("other.example");
    let aaaa = v4("2603:1030::1");
    let linked = || chain(1, &[private]);
    let with = |record: Record| linked().into_iter().chain([record]).collect::<Vec<_>>();
    let rows = [
        ("an A of another name", with(address(&stranger, public)), vec![private, public]),
        ("the queried name's own A next to its alias", with(address(&hop(0), public)), vec![public, private]),
        ("an AAAA of another name in the answer to A", with(address(&stranger, aaaa)), vec![private, aaaa]),
        ("only an A of another name", vec![address(&stranger, public)], vec![public]),
        ("the same address twice", with(address(&stranger, private)), vec![private]),
        ("only an AAAA in the answer to A: Go finds no A", vec![address(&hop(0), aaaa)], vec![]),
    ];
    for (what, records, expected) in rows {
        let Lookup::Answered(answer) = read(records.clone()) else { panic!("{what}: an answer") };
        let found: BTreeSet<IpAddr> = answer.addresses.iter().copied().collect();
        assert_eq!(found, expected.into_iter().collect(), "{what}");
        let addresses = records.iter().filter(|record| record.record_type() != RecordType::CNAME).count();
        let shown =
            answer.chain.iter().filter(|record| matches!(record.data, RecordData::Address(_))).count();
        assert_eq!(shown, addresses, "{what}: every address is shown with its owner");
    }
}

/// A raw record with arbitrary content.
fn raw(kind: u16, length: u16, data: &[u8]) -> Vec<u8> {
    let head = [&[0xC0, 0x0C][..], &kind.to_be_bytes(), &[0, 1, 0, 0, 0, 60], &length.to_be_bytes()].concat();
    [&head[..], data].concat()
}

/// A message with the question, the announced counts of the sections, and their bytes.
fn message(counts: [u8; 3], records: &[u8]) -> Vec<u8> {
    let mut bytes = answer(Vec::new()).to_vec().expect("a message");
    for (place, count) in [7, 9, 11].into_iter().zip(counts) {
        bytes[place] = count;
    }
    bytes.extend_from_slice(records);
    bytes
}

#[test]
fn malformed_records_after_the_answers_are_ignored() {
    let good = || raw(1, 4, &[10, 60, 4, 4]);
    let soa = |length| raw(6, length, &[1, 2, 3]);
    let with = |record: Vec<u8>| [good(), record].concat();
    let found = Some(vec![v4("10.60.4.4")]);
    let rows = [
        ("nothing malformed", message([1, 0, 0], &good()), found.clone()),
        ("a malformed SOA", message([1, 1, 0], &with(soa(3))), found.clone()),
        ("an SOA that extends beyond the message", message([1, 1, 0], &with(soa(300))), found.clone()),
        ("an announced authority record is missing", message([1, 1, 0], &good()), found.clone()),
        (
            "an OPT that extends beyond the message",
            message([1, 0, 1], &with(raw(41, 99, &[]))),
            found.clone(),
        ),
        ("a name that points to itself", message([1, 0, 1], &with(vec![0xC0, 33, 0, 1])), found.clone()),
        ("trailing bytes", message([1, 0, 0], &with(vec![255; 40])), found.clone()),
        (
            "a malformed TXT before it",
            message([2, 0, 0], &[raw(16, 2, &[9, 9]), good()].concat()),
            found.clone(),
        ),
        ("an answer that is cut off after an A", message([2, 0, 0], &with(vec![0xC0])), found),
        ("an answer that is cut off immediately", message([1, 0, 0], &[0xC0]), None),
        ("an announced answer is missing", message([1, 0, 0], &[]), None),
        ("an A of two bytes at the end", message([1, 0, 0], &raw(1, 4, &[10, 60])), None),
    ];
    for (what, bytes, expected) in rows {
        let found = match read_bytes(&hop(0), &bytes) {
            Lookup::Answered(answer) => Some(answer.addresses),
            Lookup::Failed(failure) => {
                assert_eq!(failure.kind, DnsFailureKind::Malformed, "{what}");
                None
            }
        };
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn negative_answers_keep_the_denying_zone() {
    let zone = name("privatelink.azurecr.io");
    let soa = SOA::new(zone.clone(), zone.clone(), 1, 1, 1, 1, 1);
    let mut message = answer(chain(1, &[]));
    message.metadata.response_code = ResponseCode::NXDomain;
    message.add_authority(Record::from_rdata(zone, 10, RData::SOA(soa)));
    let Lookup::Answered(answer) = read_answer(&hop(0), &message) else { panic!("an answer") };
    assert_eq!(answer.soa_owner.as_deref(), Some("privatelink.azurecr.io."));
    assert!(answer.addresses.is_empty());
}

/// Go and glibc skip such a server.
#[test]
fn an_empty_answer_without_authority_and_recursion_is_a_referral() {
    for (recursion, authority, expected) in [(false, false, true), (true, false, false), (false, true, false)]
    {
        let mut message = answer(Vec::new());
        message.metadata.recursion_available = recursion;
        message.metadata.authoritative = authority;
        let lookup = read_answer(&hop(0), &message);
        let is_referral =
            matches!(&lookup, Lookup::Failed(failure) if failure.kind == DnsFailureKind::LameReferral);
        assert_eq!(is_referral, expected, "{lookup:?}");
    }
}

/// A nameserver on loopback with UDP and TCP at one port.
async fn nameserver() -> (UdpSocket, TcpListener, Nameserver) {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let address = udp.local_addr().expect("it is bound");
        // A port that is free for UDP may be taken for TCP.
        if let Ok(tcp) = TcpListener::bind(address).await {
            let address = address.into();
            return (udp, tcp, Nameserver { resolver: Resolver::System, address, tcp_only: true });
        }
    }
}

/// Queries it while `doing` runs, which is cancelled after the answer.
async fn asked(nameserver: &Nameserver, limit: Duration, doing: impl Future<Output = ()>) -> Resolution {
    let until = Instant::now() + limit;
    let host = hop(0).to_ascii();
    let nameservers = [nameserver.clone()];
    tokio::select! {
        mut resolutions = resolve(Endpoint::Login, &host, &nameservers, Patience::until(until)) => resolutions.remove(0),
        () = doing => unreachable!("a nameserver does not end"),
    }
}

async fn read_question(stream: &mut TcpStream) -> Message {
    let length = stream.read_u16().await.expect("a length");
    let mut bytes = vec![0; length.into()];
    stream.read_exact(&mut bytes).await.expect("a question");
    Message::from_vec(&bytes).expect("a question")
}

#[tokio::test]
async fn no_datagram_is_sent_if_only_tcp_is_used() {
    let (udp, tcp, nameserver) = nameserver().await;
    let answering = async {
        loop {
            let (mut stream, _) = tcp.accept().await.expect("a connection");
            let question = read_question(&mut stream).await;
            let mut message = Message::response(question.metadata.id, OpCode::Query);
            message.metadata.recursion_available = true;
            message.add_queries(question.queries.clone());
            if question.queries[0].query_type() == RecordType::A {
                message.add_answers([address(&hop(0), IpAddr::V4(Ipv4Addr::new(10, 60, 4, 4)))]);
            }
            let bytes = message.to_vec().expect("a message");
            stream.write_u16(u16::try_from(bytes.len()).expect("short")).await.expect("a client");
            stream.write_all(&bytes).await.expect("a client");
        }
    };
    let resolution = asked(&nameserver, Duration::from_secs(5), answering).await;
    assert_eq!(resolution.addresses(), ["10.60.4.4".parse::<IpAddr>().expect("an address")]);
    assert!(resolution.tcp_only);
    for lookup in resolution.lookups() {
        assert!(matches!(lookup, Lookup::Answered(answer) if answer.over_tcp), "{lookup:?}");
    }
    udp.try_recv(&mut [0; 512]).expect_err("a datagram came");
}

#[tokio::test]
async fn a_nameserver_without_tcp_times_out_if_only_tcp_is_used() {
    let kinds = |resolution: &Resolution| {
        resolution.lookups().map(|lookup| match lookup {
            Lookup::Failed(failure) => failure.kind.clone(),
            Lookup::Answered(answer) => panic!("{answer:?}"),
        })
    };
    let limit = Duration::from_millis(300);
    let (udp, tcp, nameserver) = nameserver().await;
    let silent = asked(&nameserver, limit, std::future::pending()).await;
    assert_eq!(kinds(&silent), [DnsFailureKind::Timeout, DnsFailureKind::Timeout]);
    let closing = async {
        loop {
            let (mut stream, _) = tcp.accept().await.expect("a connection");
            read_question(&mut stream).await;
        }
    };
    // The two connections left in the queue by the first round also bring their queries.
    let closed = asked(&nameserver, Duration::from_secs(5), closing).await;
    assert_eq!(kinds(&closed), [DnsFailureKind::Unreachable, DnsFailureKind::Unreachable]);
    drop(tcp);
    let refused = asked(&nameserver, limit, std::future::pending()).await;
    assert_eq!(kinds(&refused), [DnsFailureKind::Unreachable, DnsFailureKind::Unreachable]);
    udp.try_recv(&mut [0; 512]).expect_err("a datagram came");
}
