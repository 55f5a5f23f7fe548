//! Answers as a nameserver could send them, in any order and of any length.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use hickory_resolver::proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::Instant;

use super::{MAX_ADDRESSES, MAX_CHAIN, Nameserver, parse, read_answer, resolve};
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

/// Over the wire and back, as an answer comes.
fn answer(records: Vec<Record>) -> Message {
    let mut message = Message::response(1, OpCode::Query);
    message.add_query(Query::query(hop(0), RecordType::A));
    message.add_answers(records);
    let bytes = message.to_vec().expect("a message");
    Message::from_vec(&bytes).expect("the same message")
}

fn read(records: Vec<Record>) -> Lookup {
    read_answer(&hop(0), &answer(records), true)
}

/// A chain of so many hops, and what it ends in.
fn chain(hops: usize, ends: &[IpAddr]) -> Vec<Record> {
    let aliases = (0..hops).map(|number| alias(&hop(number), &hop(number + 1)));
    aliases.chain(ends.iter().map(|end| address(&hop(hops), *end))).collect()
}

/// Records of names that nobody asked for, and of types that make no chain.
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
    fn the_order_of_records_changes_neither_chain_nor_addresses(
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
        // Names have no case (RFC 4343).
        let asked = if capitals { name(&hop(0).to_ascii().to_uppercase()) } else { hop(0) };
        let again = read_answer(&asked, &answer(chain(3, &[])), false);
        prop_assert!(matches!(again, Lookup::Answered(answer) if answer.chain.len() == 3));
        let aliases = |answer: &crate::observation::DnsAnswer| -> Vec<crate::observation::Record> {
            let cnames = answer.chain.iter().filter(|record| matches!(record.data, RecordData::Cname(_)));
            cnames.cloned().collect()
        };
        prop_assert_eq!(aliases(&sorted), aliases(&shuffled));
        let found = |addresses: &[IpAddr]| addresses.iter().copied().collect::<BTreeSet<_>>();
        prop_assert_eq!(found(&sorted.addresses), found(&shuffled.addresses));
        // The chain itself is in order, whatever the order of its records was.
        shuffled.chain.retain(|record| matches!(record.data, RecordData::Cname(_)));
        for pair in shuffled.chain.windows(2) {
            prop_assert_eq!(&pair[0].data, &RecordData::Cname(pair[1].name.clone()));
        }
    }

    #[test]
    fn whatever_points_to_whatever_comes_to_a_bounded_end(
        pairs in proptest::collection::vec((0..24_usize, 0..24_usize), 0..40),
        ends in proptest::collection::vec((0..24_usize, any::<IpAddr>()), 0..40),
        code in any::<u16>(),
    ) {
        let aliases = pairs.iter().map(|(from, to)| alias(&hop(*from), &hop(*to)));
        let addresses = ends.iter().map(|(owner, end)| address(&hop(*owner), *end));
        let mut message = answer(aliases.chain(addresses).collect());
        message.metadata.response_code = ResponseCode::from_low(u8::try_from(code & 15).expect("four bits"));
        let lookup = read_answer(&hop(0), &message, false);
        let is_usable = [ResponseCode::NoError, ResponseCode::NXDomain].contains(&message.metadata.response_code);
        match lookup {
            Lookup::Answered(answer) => {
                prop_assert!(is_usable);
                prop_assert!(answer.chain.len() <= MAX_CHAIN + MAX_ADDRESSES);
                let mut owners: Vec<&str> = answer.chain.iter().map(|record| record.name.as_str()).collect();
                owners.dedup();
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
                    | DnsFailureKind::Malformed
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

#[test]
fn reads_the_first_three_nameservers_and_forgives_the_other_lines() {
    for (text, expected) in [
        ("nameserver 10.0.0.10\n", vec!["10.0.0.10:53"]),
        ("search a..b \u{7f}\nnameserver 10.0.0.10\noptions nonsense:x\n", vec!["10.0.0.10:53"]),
        ("nameserver\t10.0.0.1 # comment\nnameserver fd00::1\n", vec!["10.0.0.1:53", "[fd00::1]:53"]),
        (
            "nameserver 10.0.0.1\nnameserver nonsense\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.4\n",
            vec!["10.0.0.1:53", "10.0.0.2:53", "10.0.0.3:53"],
        ),
        ("# No DNS servers known.\n", vec![]),
        ("", vec![]),
    ] {
        let resolv_conf = parse(text);
        let servers: Vec<String> = resolv_conf.nameservers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, expected, "{text:?}");
        assert!(!resolv_conf.tcp_alone, "{text:?}");
    }
}

#[test]
fn reads_whether_tcp_alone_is_asked() {
    for (options, expected) in [
        ("options use-vc", true),
        ("options usevc", true),
        ("options tcp", true),
        ("options\ttimeout:1 edns0\tuse-vc", true),
        ("options timeout:1\noptions use-vc", true),
        // Both glibc and Go read on behind a `#`.
        ("options # use-vc", true),
        ("# options use-vc", false),
        ("; options use-vc", false),
        ("options no-use-vc", false),
        ("options timeout:1 attempts:2 rotate", false),
        ("search use-vc tcp", false),
        ("options", false),
    ] {
        for text in [
            format!("nameserver 10.0.0.10\n{options}\n"),
            format!("{options}\nnameserver 10.0.0.10"),
            format!("search a..b\nnameserver 10.0.0.10\n{options}"),
        ] {
            let resolv_conf = parse(&text);
            assert_eq!(resolv_conf.tcp_alone, expected, "{text:?}");
            assert_eq!(resolv_conf.nameservers, ["10.0.0.10:53".parse().expect("an address")], "{text:?}");
        }
    }
}

/// A nameserver on loopback with UDP and TCP at one port.
async fn nameserver() -> (UdpSocket, TcpListener, Nameserver) {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let address = udp.local_addr().expect("it is bound");
        // A port that is free for UDP may be somebody's for TCP.
        if let Ok(tcp) = TcpListener::bind(address).await {
            return (udp, tcp, Nameserver { resolver: Resolver::System, address, tcp_alone: true });
        }
    }
}

/// Asks it; what it is doing meanwhile ends with the answer.
async fn asked(nameserver: &Nameserver, limit: Duration, doing: impl Future<Output = ()>) -> Resolution {
    let until = Instant::now() + limit;
    let host = hop(0).to_ascii();
    let nameservers = [nameserver.clone()];
    tokio::select! {
        mut resolutions = resolve(Endpoint::Login, &host, &nameservers, until) => resolutions.remove(0),
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
async fn a_nameserver_that_is_asked_over_tcp_alone_gets_no_datagram() {
    let (udp, tcp, nameserver) = nameserver().await;
    let answering = async {
        loop {
            let (mut stream, _) = tcp.accept().await.expect("a connection");
            let question = read_question(&mut stream).await;
            let mut message = Message::response(question.metadata.id, OpCode::Query);
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
    assert!(resolution.tcp_alone);
    for lookup in resolution.lookups() {
        assert!(matches!(lookup, Lookup::Answered(answer) if answer.over_tcp), "{lookup:?}");
    }
    udp.try_recv(&mut [0; 512]).expect_err("a datagram came");
}

#[tokio::test]
async fn a_nameserver_without_tcp_gives_no_answer_where_tcp_alone_is_asked() {
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
    // The two that the first round left in the queue bring their questions, too.
    let closed = asked(&nameserver, Duration::from_secs(5), closing).await;
    assert_eq!(kinds(&closed), [DnsFailureKind::Unreachable, DnsFailureKind::Unreachable]);
    drop(tcp);
    let refused = asked(&nameserver, limit, std::future::pending()).await;
    assert_eq!(kinds(&refused), [DnsFailureKind::Unreachable, DnsFailureKind::Unreachable]);
    udp.try_recv(&mut [0; 512]).expect_err("a datagram came");
}
