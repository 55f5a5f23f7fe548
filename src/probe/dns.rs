//! The `dns` stage: one name, A and AAAA, asked of every nameserver separately and at once.
//!
//! Works on the lower level of hickory, one question to one server: its resolver would lose the chain of a negative
//! answer, hide which server spoke, and ask two of them in parallel. Leaves to `rules` what the answers mean.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use futures_util::StreamExt;
use futures_util::future::{join, join_all};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::tcp::TcpClientStream;
use hickory_resolver::net::udp::UdpClientStream;
use hickory_resolver::net::xfer::DnsRequestSender;
use hickory_resolver::net::{DnsHandle, xfer::FirstAnswer};
use hickory_resolver::proto::op::{DnsRequest, DnsRequestOptions, Message, Query};
use hickory_resolver::proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::parse_resolv_conf;
use tokio::time::{Instant, timeout_at};

use crate::file;
use crate::observation::{
    DnsAnswer, DnsFailure, DnsFailureKind, Endpoint, ExtendedError, Lookup, Rcode, Record, RecordData,
    Resolution, Resolver,
};
use crate::secret::hear;

/// glibc and Go read three `nameserver` lines and no more (`MAXNS` of resolv.conf(5)).
const MAX_SYSTEM_NAMESERVERS: usize = 3;
/// The longest chain seen at ACR has six hops; resolvers give up between 8 and 16.
const MAX_CHAIN: usize = 16;
/// Far above any real answer; an answer over TCP could hold some four thousand.
const MAX_ADDRESSES: usize = 256;
/// Sends of one question within the stage's limit, as glibc and Go ask again before they give up.
const SENDS: u8 = 4;
/// The options of a resolv.conf that let a node ask over TCP alone: glibc knows the first, Go, by which containerd and
/// the kubelet resolve, all three.
const TCP_ALONE: [&str; 3] = ["use-vc", "usevc", "tcp"];
/// Payload that fits every path without fragments (DNS flag day 2020, RFC 9715).
const UDP_PAYLOAD: u16 = 1232;
/// A resolv.conf has a few lines; more than this is something else.
const MAX_RESOLV_CONF: u64 = 64 * 1024;
/// Info code of an extended DNS error option (RFC 8914).
const EXTENDED_ERROR_OPTION: u16 = 15;

/// Someone to ask, and on whose behalf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Nameserver {
    pub(super) resolver: Resolver,
    pub(super) address: SocketAddr,
    /// Whether it is asked over TCP alone, as the node would ask it.
    pub(super) tcp_alone: bool,
}

/// What a resolv.conf says of whom the node asks, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ResolvConf {
    /// The first three nameservers: the others are never asked.
    pub(super) nameservers: Vec<SocketAddr>,
    /// Whether they are asked over TCP alone.
    pub(super) tcp_alone: bool,
}

/// What the node's own resolver would take from its resolv.conf.
///
/// A file that cannot be read names no nameserver, as for the C library.
pub(super) fn read_resolv_conf(path: &Path) -> ResolvConf {
    let text = file::read(path, MAX_RESOLV_CONF).unwrap_or_default();
    parse(&String::from_utf8_lossy(&text))
}

/// What a resolv.conf's text says.
pub(super) fn parse(text: &str) -> ResolvConf {
    // The other lines are left out: the library refuses a whole file for a `search` that it cannot read.
    let lines: String =
        text.lines().filter(|line| line.starts_with("nameserver")).flat_map(|line| [line, "\n"]).collect();
    let nameservers = parse_resolv_conf(lines).map_or_else(
        |_| Vec::new(),
        |(config, _options)| {
            let servers = config.name_servers().iter().map(|server| SocketAddr::new(server.ip, 53));
            servers.take(MAX_SYSTEM_NAMESERVERS).collect()
        },
    );
    // The library knows none of these options. A `#` ends no line of options, neither for glibc nor for Go.
    let mut options = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next() == Some("options")).then_some(words)
    });
    let tcp_alone = options.any(|mut words| words.any(|word| TCP_ALONE.contains(&word)));
    ResolvConf { nameservers, tcp_alone }
}

/// Asks every nameserver for a name, A and AAAA, all at once.
pub(super) async fn resolve(
    endpoint: Endpoint,
    host: &str,
    nameservers: &[Nameserver],
    until: Instant,
) -> Vec<Resolution> {
    join_all(nameservers.iter().map(|nameserver| ask(endpoint, host, nameserver, until))).await
}

async fn ask(endpoint: Endpoint, host: &str, nameserver: &Nameserver, until: Instant) -> Resolution {
    let started = Instant::now();
    let (a, aaaa) = join(
        look_up(nameserver, host, RecordType::A, until),
        look_up(nameserver, host, RecordType::AAAA, until),
    )
    .await;
    Resolution {
        endpoint,
        host: host.to_owned(),
        resolver: nameserver.resolver.clone(),
        server: nameserver.address,
        tcp_alone: nameserver.tcp_alone,
        a,
        aaaa,
        duration: started.elapsed(),
    }
}

async fn look_up(nameserver: &Nameserver, host: &str, record_type: RecordType, until: Instant) -> Lookup {
    // Absolute, so that no search list is ever applied.
    let Ok(mut name) = Name::from_ascii(host) else {
        return failed(DnsFailureKind::Malformed);
    };
    name.set_fqdn(true);
    let query = Query::query(name.clone(), record_type);
    let answered = if nameserver.tcp_alone {
        query_over_tcp(nameserver.address, query, until).await.map(|message| (message, true))
    } else {
        query_over_udp(nameserver.address, query, until).await
    };
    match answered {
        Ok((message, over_tcp)) => read_answer(&name, &message, over_tcp),
        Err(kind) => failed(kind),
    }
}

const fn failed(kind: DnsFailureKind) -> Lookup {
    Lookup::Failed(DnsFailure { kind, extended_errors: Vec::new() })
}

/// One question to one server: UDP with resends, then TCP where the datagram was truncated. Says whether it took TCP.
async fn query_over_udp(
    server: SocketAddr,
    query: Query,
    until: Instant,
) -> Result<(Message, bool), DnsFailureKind> {
    let remaining = until.saturating_duration_since(Instant::now());
    let resend_after = remaining / u32::from(SENDS);
    let mut options = DnsRequestOptions::default();
    options.edns_payload_len = UDP_PAYLOAD;
    options.retry_interval = resend_after;
    let request = DnsRequest::from_query(query.clone(), options);

    let mut stream = UdpClientStream::builder(server, TokioRuntimeProvider::default())
        .with_timeout(Some(remaining))
        .with_max_retries(SENDS)
        .with_retry_interval_floor(u64::try_from(resend_after.as_millis()).unwrap_or(u64::MAX))
        .build();
    let answer = timeout_at(until, stream.send_message(request).next()).await;
    let message = match answer {
        Err(_elapsed) => return Err(DnsFailureKind::Timeout),
        Ok(None) => return Err(DnsFailureKind::Timeout),
        Ok(Some(Err(error))) => return Err(classify(&error)),
        Ok(Some(Ok(response))) => Message::from(response),
    };
    if !message.metadata.truncation {
        return Ok((message, false));
    }
    match query_over_tcp(server, query, until).await {
        Ok(message) => Ok((message, true)),
        Err(_) => Err(DnsFailureKind::TruncatedWithoutTcp),
    }
}

/// The same over TCP, where the kernel sends again what is lost.
async fn query_over_tcp(server: SocketAddr, query: Query, until: Instant) -> Result<Message, DnsFailureKind> {
    let remaining = until.saturating_duration_since(Instant::now());
    let mut options = DnsRequestOptions::default();
    options.edns_payload_len = UDP_PAYLOAD;
    let request = DnsRequest::from_query(query.clone(), options);
    // Kept until the answer is there: the provider's end is the end of the tasks that carry it.
    let provider = TokioRuntimeProvider::default();
    let exchange = async {
        let exchange = TcpClientStream::exchange(server, None, remaining, None, provider.clone()).await?;
        exchange.send(request).first_answer().await
    };
    let message = match timeout_at(until, exchange).await {
        Err(_elapsed) => return Err(DnsFailureKind::Timeout),
        Ok(Err(error)) => return Err(classify(&error)),
        Ok(Ok(response)) => Message::from(response),
    };
    // Over UDP hickory compares the question itself (RFC 5452); over TCP it does not.
    if message.queries != [query] {
        return Err(DnsFailureKind::Malformed);
    }
    if message.metadata.truncation {
        return Err(DnsFailureKind::TruncatedWithoutTcp);
    }
    Ok(message)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's enum is open")]
fn classify(error: &NetError) -> DnsFailureKind {
    match error {
        NetError::Timeout => DnsFailureKind::Timeout,
        NetError::Io(_) => DnsFailureKind::Unreachable,
        _ => DnsFailureKind::Malformed,
    }
}

/// The facts in one message about the name that was asked for.
pub(super) fn read_answer(name: &Name, message: &Message, over_tcp: bool) -> Lookup {
    let extended_errors = extended_errors(message);
    let rcode = Rcode(u16::from(message.metadata.response_code));
    if rcode != Rcode::NOERROR && rcode != Rcode::NXDOMAIN {
        return Lookup::Failed(DnsFailure { kind: DnsFailureKind::Refused(rcode), extended_errors });
    }
    match follow(name, message) {
        Ok((chain, addresses)) => Lookup::Answered(DnsAnswer {
            rcode,
            chain,
            addresses,
            soa_owner: soa_owner(message),
            extended_errors,
            over_tcp,
        }),
        Err(kind) => Lookup::Failed(DnsFailure { kind, extended_errors }),
    }
}

/// Follows the chain from the asked name; records that do not belong to it are left out.
#[expect(clippy::wildcard_enum_match_arm, reason = "the library's enum is open")]
fn follow(name: &Name, message: &Message) -> Result<(Vec<Record>, Vec<IpAddr>), DnsFailureKind> {
    let mut chain: Vec<Record> = Vec::new();
    let mut owner = name.clone();
    loop {
        let mut addresses = Vec::new();
        let mut next = None;
        for record in message.answers.iter().filter(|record| record.name == owner) {
            let data = match &record.data {
                RData::CNAME(target) if next.is_none() => {
                    next = Some(target.0.clone());
                    RecordData::Cname(text_of(&target.0))
                }
                RData::A(address) => RecordData::Address(IpAddr::V4(address.0)),
                RData::AAAA(address) => RecordData::Address(IpAddr::V6(address.0)),
                _ => continue,
            };
            if let RecordData::Address(address) = &data {
                addresses.push(*address);
            }
            chain.push(Record { name: text_of(&owner), ttl: record.ttl, data });
        }
        if addresses.len() > MAX_ADDRESSES {
            return Err(DnsFailureKind::ChainTooLong);
        }
        let Some(target) = next else {
            return Ok((chain, addresses));
        };
        // An alias has no other data (RFC 1034, section 3.6.2): a resolver follows it, and so does this.
        let target_text = text_of(&target);
        if chain.iter().any(|record| record.name == target_text) {
            return Err(DnsFailureKind::CnameLoop(target_text));
        }
        if chain.len() >= MAX_CHAIN {
            return Err(DnsFailureKind::ChainTooLong);
        }
        owner = target;
    }
}

/// A name as reports show it: lower case, with the final dot, anything odd escaped as in zone files (RFC 4343).
fn text_of(name: &Name) -> String {
    let mut name = name.to_lowercase();
    name.set_fqdn(true);
    name.to_ascii()
}

fn soa_owner(message: &Message) -> Option<String> {
    let soa = message.authorities.iter().find(|record| matches!(record.data, RData::SOA(_)))?;
    Some(text_of(&soa.name))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's enum is open")]
fn extended_errors(message: &Message) -> Vec<ExtendedError> {
    let Some(edns) = &message.edns else {
        return Vec::new();
    };
    let options = edns.options().get_all(EdnsCode::Unknown(EXTENDED_ERROR_OPTION));
    options
        .into_iter()
        .filter_map(|option| match option {
            EdnsOption::Unknown(_, data) => {
                let (code, text) = data.split_first_chunk::<2>()?;
                let text = hear(&String::from_utf8_lossy(text));
                Some(ExtendedError { code: u16::from_be_bytes(*code), text })
            }
            _ => None,
        })
        .take(4)
        .collect()
}

#[cfg(test)]
mod tests;
