//! The names of Entra ID in the lab's nameservers.
//!
//! Owns their public chain, which passes through a `privatelink` name although Entra ID has no private endpoint. It overrides
//! the views of `zones.rs`.

use std::net::{IpAddr, Ipv4Addr};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RecordType};

use super::settings::{AUTHORITIES, AuthorityNames, ChainRecord, RecordValue, Settings};
use super::shared::Shared;
use super::zones::{self, Finding};

/// The public address of Entra ID if the lab serves it at a port of its own.
pub const PUBLIC_ENTRA: Ipv4Addr = Ipv4Addr::new(20, 190, 160, 14);
const CHAIN: [(&str, u32); 3] = [
    ("login.mso.msidentity.com", 3_600),
    ("ak.privatelink.msidentity.com", 300),
    ("www.tm.ak.prd.aadg.trafficmanager.net", 300),
];

/// The answer of a nameserver to a name of Entra ID.
pub enum Answer {
    Silence,
    Found(Finding),
}

/// Answers a question for a name of Entra ID; `None` for any other name, or without Entra ID.
pub fn look_up(shared: &Shared, settings: &Settings, name: &Name, kind: RecordType) -> Option<Answer> {
    let entra = shared.identity.entra?;
    let asked = name.to_string().trim_end_matches('.').to_ascii_lowercase();
    if !AUTHORITIES.contains(&asked.as_str()) {
        return None;
    }
    let empty = |code| Finding { code, answers: Vec::new(), authorities: Vec::new() };
    Some(match settings.identity.authority_names {
        AuthorityNames::Silent => Answer::Silence,
        AuthorityNames::ServFail => Answer::Found(empty(ResponseCode::ServFail)),
        AuthorityNames::NotFound => Answer::Found(empty(ResponseCode::NXDomain)),
        AuthorityNames::Answer => {
            let own = if entra.port() == 443 { entra.ip() } else { IpAddr::V4(PUBLIC_ENTRA) };
            let records = chain(&asked, own);
            let answers = records.iter().filter(|record| suits(record, kind)).map(zones::to_record);
            Answer::Found(Finding {
                code: ResponseCode::NoError,
                answers: answers.collect(),
                authorities: Vec::new(),
            })
        }
    })
}

fn chain(name: &str, address: IpAddr) -> Vec<ChainRecord> {
    let mut records = Vec::new();
    let mut from = name;
    for (to, ttl) in CHAIN {
        records.push(ChainRecord { name: from.into(), value: RecordValue::Cname(to.into()), ttl });
        from = to;
    }
    records.push(ChainRecord { name: from.into(), value: RecordValue::Address(address), ttl: 60 });
    records
}

fn suits(record: &ChainRecord, kind: RecordType) -> bool {
    match record.value {
        RecordValue::Cname(_) => true,
        RecordValue::Address(IpAddr::V4(_)) => kind == RecordType::A,
        RecordValue::Address(IpAddr::V6(_)) => kind == RecordType::AAAA,
    }
}
