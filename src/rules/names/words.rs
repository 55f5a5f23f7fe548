//! The phrases for nameservers, CNAME chains and addresses.

use std::net::IpAddr;
use std::time::Duration;

use crate::address::NameserverAddress;
use crate::image::ImageReference;
use crate::observation::{DnsAnswer, DnsFailure, DnsFailureKind, Lookup, Rcode, RecordData, Resolution};
use crate::text::words::list;

/// Maximum number of addresses in a sentence; the report has all.
const LISTED: usize = 4;
/// A faster answer does not slow a pull down.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Returns the first privatelink name of a chain, which shows that the registry has a private endpoint.
pub(super) fn privatelink_name<'answer>(
    image: &ImageReference,
    answer: &'answer DnsAnswer,
) -> Option<&'answer str> {
    let zone = format!(".{}.", image.private_zone()?);
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

/// Returns the last name of a CNAME chain.
pub(super) fn last_name(answer: &DnsAnswer) -> Option<&str> {
    answer.chain.iter().rev().find_map(|record| match &record.data {
        RecordData::Cname(target) => Some(target.trim_end_matches('.')),
        RecordData::Address(_) => None,
    })
}

/// Returns whether the private zone itself denies the record, by its SOA or by NXDOMAIN for a name below it.
pub(super) fn denies_private_record(image: &ImageReference, answer: &DnsAnswer) -> bool {
    let is_of_zone = |name: &str| image.is_of_private_zone(name);
    let is_last_below = last_name(answer).is_some_and(is_of_zone);
    let is_said_by_zone = answer.soa_owner.as_deref().is_some_and(is_of_zone);
    is_last_below && (is_said_by_zone || answer.rcode == Rcode::NXDOMAIN)
}

/// Describes a negative answer that one or more nameservers gave.
pub(super) fn no_address(
    image: &ImageReference,
    host: &str,
    who: &str,
    servers: usize,
    answer: &DnsAnswer,
) -> String {
    let verb = |one: &'static str, several: &'static str| if servers == 1 { one } else { several };
    let zone = answer.soa_owner.as_ref().map(|zone| format!(", from zone {}", zone.trim_end_matches('.')));
    let alias = privatelink_name(image, answer);
    let last = last_name(answer).unwrap_or(host);
    if let (Some(alias), None, Rcode::NOERROR) = (alias, &zone, answer.rcode) {
        let stops = if alias == last { String::new() } else { format!(", stopped at {last},") };
        return format!(
            "{who} returned the alias {alias} for {host}{stops} without an address or an SOA record: the alias was not \
             followed to its end."
        );
    }
    let said = match answer.rcode {
        Rcode::NXDOMAIN => "does not exist (NXDOMAIN",
        _ => "has no address (NOERROR without an address",
    };
    let name = match alias {
        Some(alias) if alias == last => format!("{last}, the alias of {host},"),
        Some(alias) => format!("{last}, reached from {host} through {alias},"),
        None if last == host => last.to_owned(),
        None => format!("{last}, reached from {host},"),
    };
    let meaning = match alias {
        Some(_) if denies_private_record(image, answer) => ": the private zone has no record for it",
        Some(_) => ": the private zone was not queried, or did not answer",
        None => "",
    };
    format!("{who} {} that {name} {said}{}){meaning}.", verb("reports", "report"), zone.unwrap_or_default())
}

pub(super) fn listed(addresses: impl Iterator<Item = IpAddr>) -> String {
    let addresses: Vec<String> = addresses.map(|address| address.to_string()).collect();
    if addresses.len() > LISTED {
        return format!("{} and {} more", addresses[..LISTED].join(", "), addresses.len() - LISTED);
    }
    list(&addresses)
}

pub(super) fn servers_of(servers: &[&NameserverAddress], asked: usize) -> String {
    let names: Vec<String> = servers.iter().map(|server| server.short()).collect();
    let noun = if servers.len() == 1 { "Nameserver" } else { "Nameservers" };
    if servers.len() == asked {
        format!("{noun} {}", list(&names))
    } else {
        format!("{noun} {} (of {asked})", list(&names))
    }
}

/// Returns the queries without a usable answer.
pub(super) fn failures(seen: &Resolution) -> Vec<(&'static str, &DnsFailure)> {
    let lookups = [("A", &seen.a), ("AAAA", &seen.aaaa)].into_iter();
    let failed = lookups.filter_map(|(question, lookup)| match lookup {
        Lookup::Failed(failure) => Some((question, failure)),
        Lookup::Answered(_) => None,
    });
    failed.collect()
}

/// Returns the failures that matter to a pull. An AAAA query that fails at once next to an answered A query costs nothing: Go
/// uses the A record.
pub(super) fn troubles(seen: &Resolution) -> Vec<(&'static str, &DnsFailure)> {
    let mut troubles = failures(seen);
    let is_answered = matches!(seen.a, Lookup::Answered(_));
    troubles.retain(|(_, failure)| !(is_answered && seen.duration < AT_ONCE && is_refusal(&failure.kind)));
    troubles
}

/// Returns whether a pull waits for this nameserver before it queries the next one.
pub(super) fn makes_wait(seen: &Resolution) -> bool {
    seen.duration >= AT_ONCE
        || failures(seen).iter().any(|(_, failure)| failure.kind == DnsFailureKind::Timeout)
}

/// Returns whether a failure is an answer, after which the next nameserver is queried without delay.
const fn is_refusal(kind: &DnsFailureKind) -> bool {
    match kind {
        DnsFailureKind::Refused(_)
        | DnsFailureKind::Malformed
        | DnsFailureKind::LameReferral
        | DnsFailureKind::CnameLoop(_)
        | DnsFailureKind::ChainTooLong => true,
        DnsFailureKind::Timeout
        | DnsFailureKind::Unreachable
        | DnsFailureKind::NotSent(_)
        | DnsFailureKind::TruncatedWithoutTcp => false,
    }
}

/// Describes a compared resolver and its failed queries.
pub(super) fn describe_compared(seen: &Resolution) -> String {
    let name = seen.resolver.label();
    format!("{} ({name}) {}", seen.server.short(), list(&phrases(seen)))
}

/// Describes a nameserver and its failed queries; the query type is named if the failures differ.
pub(super) fn describe_failures(seen: &Resolution) -> String {
    format!("{} {}", seen.server.short(), list(&phrases(seen)))
}

fn phrases(seen: &Resolution) -> Vec<String> {
    match failures(seen).as_slice() {
        [(_, a), (_, aaaa)] if a.kind == aaaa.kind => vec![describe_failure(seen, a, "")],
        failures => failures
            .iter()
            .map(|(question, failure)| describe_failure(seen, failure, &format!(" ({question} query)")))
            .collect(),
    }
}

fn describe_failure(seen: &Resolution, failure: &DnsFailure, question: &str) -> String {
    let what = match &failure.kind {
        // A test over UDP would succeed, so the message names TCP.
        DnsFailureKind::Timeout if seen.tcp_alone => "did not answer over TCP in time".to_owned(),
        DnsFailureKind::Timeout => "did not answer in time".to_owned(),
        DnsFailureKind::Unreachable if seen.tcp_alone => "cannot be reached over TCP".to_owned(),
        DnsFailureKind::Unreachable => "cannot be reached".to_owned(),
        DnsFailureKind::NotSent(error) => format!("could not be queried by this node ({error})"),
        DnsFailureKind::Refused(rcode) => format!("returned {rcode}"),
        DnsFailureKind::Malformed => "sent an answer that cannot be parsed".to_owned(),
        DnsFailureKind::LameReferral => {
            "sent an empty, non-authoritative answer and offers no recursion".to_owned()
        }
        DnsFailureKind::TruncatedWithoutTcp => {
            "sent a truncated answer and did not complete it over TCP".to_owned()
        }
        DnsFailureKind::CnameLoop(name) => {
            format!("sent a CNAME chain that loops back to {}", name.trim_end_matches('.'))
        }
        DnsFailureKind::ChainTooLong => "sent an implausibly long CNAME chain or address list".to_owned(),
    };
    let extended: Vec<String> = failure
        .extended_errors
        .iter()
        .map(|error| format!("extended error {} {}", error.code, error.text).trim_end().to_owned())
        .collect();
    let extended = if extended.is_empty() { String::new() } else { format!(" ({})", extended.join(", ")) };
    format!("{what}{question}{extended}")
}
