//! How nameservers, chains and addresses are put into words.

use std::net::{IpAddr, SocketAddr};

use crate::image::ImageReference;
use crate::observation::{DnsAnswer, DnsFailure, DnsFailureKind, Lookup, RecordData, Resolution};
use crate::rules::list;

/// Addresses that a sentence lists; the report has all.
const LISTED: usize = 4;

/// The first privatelink name of a chain: it says that some private endpoint exists for this registry.
pub(super) fn privatelink_name<'answer>(
    image: &ImageReference,
    answer: &'answer DnsAnswer,
) -> Option<&'answer str> {
    let zone = format!(".privatelink.{}.", image.acr_suffix()?);
    answer.chain.iter().find_map(|record| match &record.data {
        RecordData::Cname(target) => target.ends_with(&zone).then(|| target.trim_end_matches('.')),
        RecordData::Address(_) => None,
    })
}

pub(super) fn chain_privatelink(image: &ImageReference, seen: &Resolution) -> Option<String> {
    seen.lookups().into_iter().find_map(|lookup| match lookup {
        Lookup::Answered(answer) => privatelink_name(image, answer).map(str::to_owned),
        Lookup::Failed(_) => None,
    })
}

/// The end of a chain of aliases.
pub(super) fn last_name(answer: &DnsAnswer) -> Option<&str> {
    answer.chain.iter().rev().find_map(|record| match &record.data {
        RecordData::Cname(target) => Some(target.trim_end_matches('.')),
        RecordData::Address(_) => None,
    })
}

pub(super) fn listed(addresses: impl Iterator<Item = IpAddr>) -> String {
    let addresses: Vec<String> = addresses.map(|address| address.to_string()).collect();
    if addresses.len() > LISTED {
        return format!("{} and {} more", addresses[..LISTED].join(", "), addresses.len() - LISTED);
    }
    list(&addresses)
}

/// A nameserver as an operator writes it: without the port that all of them have.
pub(super) fn server_text(server: SocketAddr) -> String {
    if server.port() == 53 { server.ip().to_string() } else { server.to_string() }
}

pub(super) fn servers_of(servers: &[SocketAddr], asked: usize) -> String {
    let names: Vec<String> = servers.iter().map(|server| server_text(*server)).collect();
    let noun = if servers.len() == 1 { "Nameserver" } else { "Nameservers" };
    if servers.len() == asked {
        format!("{noun} {}", list(&names))
    } else {
        format!("{noun} {} (of {asked})", list(&names))
    }
}

/// The questions that a nameserver did not answer in a usable way.
pub(super) fn failures(seen: &Resolution) -> Vec<(&'static str, &DnsFailure)> {
    let lookups = [("A", &seen.a), ("AAAA", &seen.aaaa)].into_iter();
    let failed = lookups.filter_map(|(question, lookup)| match lookup {
        Lookup::Failed(failure) => Some((question, failure)),
        Lookup::Answered(_) => None,
    });
    failed.collect()
}

/// A nameserver and what went wrong with its questions; which one is said where they did not go wrong alike.
pub(super) fn describe_failures(seen: &Resolution) -> String {
    let phrases = match failures(seen).as_slice() {
        [(_, a), (_, aaaa)] if a.kind == aaaa.kind => vec![describe_failure(seen, a, "")],
        failures => failures
            .iter()
            .map(|(question, failure)| {
                describe_failure(seen, failure, &format!(" to the {question} question"))
            })
            .collect(),
    };
    format!("{} {}", server_text(seen.server), list(&phrases))
}

fn describe_failure(seen: &Resolution, failure: &DnsFailure, question: &str) -> String {
    let what = match &failure.kind {
        // Whoever looks into it by UDP would find the nameserver well.
        DnsFailureKind::Timeout if seen.tcp_alone => "gave no answer over TCP in time".to_owned(),
        DnsFailureKind::Timeout => "gave no answer in time".to_owned(),
        DnsFailureKind::Unreachable if seen.tcp_alone => "cannot be reached over TCP".to_owned(),
        DnsFailureKind::Unreachable => "cannot be reached".to_owned(),
        DnsFailureKind::Refused(rcode) => format!("answered {rcode}"),
        DnsFailureKind::Malformed => "sent an answer that cannot be parsed".to_owned(),
        DnsFailureKind::TruncatedWithoutTcp => {
            "sent a truncated answer and did not complete it over TCP".to_owned()
        }
        DnsFailureKind::CnameLoop(name) => {
            format!("sent a chain that comes back to {}", name.trim_end_matches('.'))
        }
        DnsFailureKind::ChainTooLong => {
            "sent a chain or a list of addresses that is longer than any real one".to_owned()
        }
    };
    let extended: Vec<String> = failure
        .extended_errors
        .iter()
        .map(|error| format!("extended error {} {}", error.code, error.text).trim_end().to_owned())
        .collect();
    let extended = if extended.is_empty() { String::new() } else { format!(" ({})", extended.join(", ")) };
    format!("{what}{question}{extended}")
}
