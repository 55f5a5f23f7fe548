//! Resolves a question in a nameserver's view: records, rcode, and the denying zone.
//!
//! Owns the chains as observed on Azure. Pure: `dns.rs` owns sockets and faults.

use std::net::{IpAddr, Ipv4Addr};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{A, AAAA, CNAME, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::settings::{ChainRecord, Nameserver, Place, RecordValue, View};

/// The public address of login servers in the observed chains.
pub const PUBLIC_LOGIN: Ipv4Addr = Ipv4Addr::new(20, 45, 122, 144);
/// The public address of data endpoints in the observed chains.
pub const PUBLIC_DATA: Ipv4Addr = Ipv4Addr::new(40, 89, 120, 3);

/// The TTL of the CNAME to the privatelink name if the zone is linked.
const LINKED_TTL: u32 = 1_783;
/// The same if it is not linked, and of the CNAME that follows.
const PUBLIC_TTL: u32 = 2_881;
const TRAFFIC_MANAGER_TTL: u32 = 300;
const ADDRESS_TTL: u32 = 10;

/// The sections of an answer.
#[derive(Clone, Debug)]
pub struct Finding {
    pub code: ResponseCode,
    pub answers: Vec<Record>,
    pub authorities: Vec<Record>,
}

/// A name of the registry, with everything that differs between login server and data endpoint.
struct Subject {
    name: String,
    private_name: String,
    address: IpAddr,
    public: [(&'static str, u32); 3],
    public_address: Ipv4Addr,
}

/// The records of a view, and whether the end of its chain exists.
struct Zone {
    records: Vec<ChainRecord>,
    end_exists: bool,
}

/// Answers a question from a nameserver's two views.
pub fn look_up(place: &Place, server: &Nameserver, name: &Name, kind: RecordType) -> Finding {
    for (subject, view) in [(login(place), &server.login), (data(place), &server.data)] {
        if let View::Chain(records, code) = view {
            if same(&subject.name, name) {
                let answers = records.iter().filter(|record| suits(record, kind)).map(to_record).collect();
                return Finding { code: super::dns::code(*code), answers, authorities: Vec::new() };
            }
            continue;
        }
        let zone = zone(&subject, view);
        let known = zone.records.iter().any(|record| same(&record.name, name) || points_to(record, name));
        if known {
            return follow(place, &zone, name, kind);
        }
    }
    Finding { code: ResponseCode::NXDomain, answers: Vec::new(), authorities: vec![soa(&place.suffix)] }
}

/// Follows the CNAMEs, as a recursive server does.
fn follow(place: &Place, zone: &Zone, name: &Name, kind: RecordType) -> Finding {
    let mut answers = Vec::new();
    let mut current = name.to_string();
    // One round of a loop is enough: resolvers forward that.
    for _ in 0..=zone.records.len() {
        let here: Vec<_> = zone.records.iter().filter(|record| same_text(&record.name, &current)).collect();
        let next = here.iter().find_map(|record| match &record.value {
            RecordValue::Cname(target) => Some((*record, target)),
            RecordValue::Address(_) => None,
        });
        if let Some((record, target)) = next {
            answers.push(to_record(record));
            if kind == RecordType::CNAME || same_text(target, name.to_string().as_str()) {
                return Finding { code: ResponseCode::NoError, answers, authorities: Vec::new() };
            }
            current.clone_from(target);
            continue;
        }
        let found: Vec<_> =
            here.iter().filter(|record| suits(record, kind)).map(|record| to_record(record)).collect();
        if !found.is_empty() {
            answers.extend(found);
            return Finding { code: ResponseCode::NoError, answers, authorities: Vec::new() };
        }
        let code =
            if here.is_empty() && !zone.end_exists { ResponseCode::NXDomain } else { ResponseCode::NoError };
        let authority = if current.contains("privatelink") { place.private_zone() } else { parent(&current) };
        return Finding { code, answers, authorities: vec![soa(&authority)] };
    }
    Finding { code: ResponseCode::NoError, answers, authorities: Vec::new() }
}

fn zone(subject: &Subject, view: &View) -> Zone {
    let linked = cname(&subject.name, &subject.private_name, LINKED_TTL);
    let with_addresses = |addresses: &[IpAddr]| {
        let records = addresses.iter().map(|it| address(&subject.private_name, *it));
        Zone { records: std::iter::once(linked.clone()).chain(records).collect(), end_exists: true }
    };
    match view {
        View::Private => with_addresses(&[subject.address]),
        View::Addresses(addresses) => with_addresses(addresses),
        View::NotLinked => {
            let mut records = vec![cname(&subject.name, &subject.private_name, PUBLIC_TTL)];
            records.extend(public(subject, &subject.private_name));
            Zone { records, end_exists: true }
        }
        View::NoPrivateEndpoint => Zone { records: public(subject, &subject.name), end_exists: true },
        View::RecordMissing => Zone { records: vec![linked], end_exists: false },
        View::RecordEmpty => Zone { records: vec![linked], end_exists: true },
        View::NoSuchName => Zone { records: Vec::new(), end_exists: false },
        View::Chain(records, _) => Zone { records: records.clone(), end_exists: true },
        View::CnameLoop => {
            let back = cname(&subject.private_name, &subject.name, LINKED_TTL);
            Zone { records: vec![linked, back], end_exists: true }
        }
        View::LongChain(length) => {
            let hop = |number: usize| match number {
                0 => subject.name.clone(),
                1 => subject.private_name.clone(),
                more => format!("hop-{more}.{}", subject.private_name),
            };
            let mut records: Vec<_> = (0..*length)
                .map(|number| cname(&hop(number), &hop(number + 1), TRAFFIC_MANAGER_TTL))
                .collect();
            records.push(address(&hop(*length), subject.address));
            Zone { records, end_exists: true }
        }
    }
}

fn login(place: &Place) -> Subject {
    Subject {
        name: place.login_server(),
        private_name: place.login_private_name(),
        address: place.login_address,
        public: [
            ("we.fe.azcr.io", PUBLIC_TTL),
            ("we-acr-reg.trafficmanager.net", TRAFFIC_MANAGER_TTL),
            ("r1007we.westeurope.cloudapp.azure.com", TRAFFIC_MANAGER_TTL),
        ],
        public_address: PUBLIC_LOGIN,
    }
}

fn data(place: &Place) -> Subject {
    Subject {
        name: place.data_endpoint(),
        private_name: place.data_private_name(),
        address: place.data_address,
        public: [
            ("we-0.data.azcr.io", PUBLIC_TTL),
            ("we-acr-dp.trafficmanager.net", TRAFFIC_MANAGER_TTL),
            ("d0831we.westeurope.cloudapp.azure.com", TRAFFIC_MANAGER_TTL),
        ],
        public_address: PUBLIC_DATA,
    }
}

/// The public chain of a name.
fn public(subject: &Subject, from: &str) -> Vec<ChainRecord> {
    let mut records = Vec::new();
    let mut from = from;
    for (to, ttl) in subject.public {
        records.push(cname(from, to, ttl));
        from = to;
    }
    records.push(address(from, IpAddr::V4(subject.public_address)));
    records
}

fn cname(name: &str, target: &str, ttl: u32) -> ChainRecord {
    ChainRecord { name: name.to_owned(), value: RecordValue::Cname(target.to_owned()), ttl }
}

fn address(name: &str, address: IpAddr) -> ChainRecord {
    ChainRecord { name: name.to_owned(), value: RecordValue::Address(address), ttl: ADDRESS_TTL }
}

fn suits(record: &ChainRecord, kind: RecordType) -> bool {
    match record.value {
        RecordValue::Address(IpAddr::V4(_)) => kind == RecordType::A,
        RecordValue::Address(IpAddr::V6(_)) => kind == RecordType::AAAA,
        RecordValue::Cname(_) => true,
    }
}

/// The record on the wire.
pub fn to_record(record: &ChainRecord) -> Record {
    let data = match &record.value {
        RecordValue::Address(IpAddr::V4(address)) => RData::A(A(*address)),
        RecordValue::Address(IpAddr::V6(address)) => RData::AAAA(AAAA(*address)),
        RecordValue::Cname(target) => RData::CNAME(CNAME(absolute(target))),
    };
    Record::from_rdata(absolute(&record.name), record.ttl, data)
}

fn soa(zone: &str) -> Record {
    let host = format!("azureprivatedns.{}", zone.trim_end_matches('.'));
    let data = SOA::new(
        absolute(&host),
        absolute("azureprivatedns-host.microsoft.com"),
        1,
        3_600,
        300,
        2_419_200,
        10,
    );
    Record::from_rdata(absolute(zone), ADDRESS_TTL, RData::SOA(data))
}

/// Makes a name absolute.
pub fn absolute(text: &str) -> Name {
    let mut name = Name::from_ascii(text).expect("the lab's names are names");
    name.set_fqdn(true);
    name
}

fn points_to(record: &ChainRecord, name: &Name) -> bool {
    matches!(&record.value, RecordValue::Cname(target) if same(target, name))
}

fn same(text: &str, name: &Name) -> bool {
    same_text(text, &name.to_string())
}

/// Compares names case-insensitively, ignoring the final dot.
fn same_text(one: &str, other: &str) -> bool {
    one.trim_end_matches('.').eq_ignore_ascii_case(other.trim_end_matches('.'))
}

fn parent(name: &str) -> String {
    name.split_once('.').map_or(".", |(_, parent)| parent).to_owned()
}
