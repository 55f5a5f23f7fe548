//! How nameservers, chains and addresses are put into words.

use std::net::IpAddr;
use std::time::Duration;

use crate::address::NameserverAddress;
use crate::image::ImageReference;
use crate::observation::{DnsAnswer, DnsFailure, DnsFailureKind, Lookup, Rcode, RecordData, Resolution};
use crate::rules::list;

/// Addresses that a sentence lists; the report has all.
const LISTED: usize = 4;
/// An answer that comes sooner makes no pull slow.
const AT_ONCE: Duration = Duration::from_secs(1);

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

/// Whether the private zone itself says that there is no record: by its SOA, or by NXDOMAIN for a name below it.
pub(super) fn denies_private_record(image: &ImageReference, answer: &DnsAnswer) -> bool {
    let Some(suffix) = image.acr_suffix() else { return false };
    let zone = format!("privatelink.{suffix}");
    let is_of_zone = |name: &str| {
        let name = name.trim_end_matches('.');
        name == zone || name.strip_suffix(&zone).is_some_and(|rest| rest.ends_with('.'))
    };
    let is_last_below = last_name(answer).is_some_and(is_of_zone);
    let is_said_by_zone = answer.soa_owner.as_deref().is_some_and(is_of_zone);
    is_last_below && (is_said_by_zone || answer.rcode == Rcode::NXDOMAIN)
}

/// What so many nameservers say that give a name no address.
pub(super) fn no_address(
    image: &ImageReference,
    host: &str,
    who: &str,
    servers: usize,
    answer: &DnsAnswer,
) -> String {
    let verb = |one: &'static str, several: &'static str| if servers == 1 { one } else { several };
    let zone = answer.soa_owner.as_ref().map(|zone| format!(", said by zone {}", zone.trim_end_matches('.')));
    let alias = privatelink_name(image, answer);
    let last = last_name(answer).unwrap_or(host);
    if let (Some(alias), None, Rcode::NOERROR) = (alias, &zone, answer.rcode) {
        let stops = if alias == last { String::new() } else { format!(", stops at {last}") };
        return format!(
            "{who} {} {host} with the alias {alias}{stops} and no address, and no zone says that there is none: the \
             alias was not followed to its end.",
            verb("answers", "answer"),
        );
    }
    let said = match answer.rcode {
        Rcode::NXDOMAIN => "does not exist (NXDOMAIN",
        _ => "has no address (NOERROR without one",
    };
    let name = match alias {
        Some(alias) if alias == last => format!("{last}, the alias of {host},"),
        Some(alias) => format!("{last}, reached from {host} through {alias},"),
        None if last == host => last.to_owned(),
        None => format!("{last}, reached from {host},"),
    };
    let meaning = match alias {
        Some(_) if denies_private_record(image, answer) => ": the private zone has no record for it",
        Some(_) => ": the private zone was not asked, or did not answer",
        None => "",
    };
    format!("{who} {} that {name} {said}{}){meaning}.", verb("says", "say"), zone.unwrap_or_default())
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

/// The questions that a nameserver did not answer in a usable way.
pub(super) fn failures(seen: &Resolution) -> Vec<(&'static str, &DnsFailure)> {
    let lookups = [("A", &seen.a), ("AAAA", &seen.aaaa)].into_iter();
    let failed = lookups.filter_map(|(question, lookup)| match lookup {
        Lookup::Failed(failure) => Some((question, failure)),
        Lookup::Answered(_) => None,
    });
    failed.collect()
}

/// The failures that matter to a pull. An AAAA that fails at once beside an answered A costs nothing: Go takes the A.
pub(super) fn troubles(seen: &Resolution) -> Vec<(&'static str, &DnsFailure)> {
    let mut troubles = failures(seen);
    let is_answered = matches!(seen.a, Lookup::Answered(_));
    troubles.retain(|(_, failure)| !(is_answered && seen.duration < AT_ONCE && is_refusal(&failure.kind)));
    troubles
}

/// Whether a pull that asks this nameserver waits until it asks another.
pub(super) fn makes_wait(seen: &Resolution) -> bool {
    seen.duration >= AT_ONCE
        || failures(seen).iter().any(|(_, failure)| failure.kind == DnsFailureKind::Timeout)
}

/// Whether a failure is an answer, after which the next nameserver is asked without a wait.
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

/// A compared resolver and what went wrong with its questions.
pub(super) fn describe_compared(seen: &Resolution) -> String {
    let name = seen.resolver.label();
    format!("{} ({name}) {}", seen.server.short(), list(&phrases(seen)))
}

/// A nameserver and what went wrong with its questions; which one is said where they did not go wrong alike.
pub(super) fn describe_failures(seen: &Resolution) -> String {
    format!("{} {}", seen.server.short(), list(&phrases(seen)))
}

fn phrases(seen: &Resolution) -> Vec<String> {
    match failures(seen).as_slice() {
        [(_, a), (_, aaaa)] if a.kind == aaaa.kind => vec![describe_failure(seen, a, "")],
        failures => failures
            .iter()
            .map(|(question, failure)| {
                describe_failure(seen, failure, &format!(" to the {question} question"))
            })
            .collect(),
    }
}

fn describe_failure(seen: &Resolution, failure: &DnsFailure, question: &str) -> String {
    let what = match &failure.kind {
        // Whoever looks into it by UDP would find the nameserver well.
        DnsFailureKind::Timeout if seen.tcp_alone => "gave no answer over TCP in time".to_owned(),
        DnsFailureKind::Timeout => "gave no answer in time".to_owned(),
        DnsFailureKind::Unreachable if seen.tcp_alone => "cannot be reached over TCP".to_owned(),
        DnsFailureKind::Unreachable => "cannot be reached".to_owned(),
        DnsFailureKind::NotSent(error) => format!("could not be asked by this node ({error})"),
        DnsFailureKind::Refused(rcode) => format!("answered {rcode}"),
        DnsFailureKind::Malformed => "sent an answer that cannot be parsed".to_owned(),
        DnsFailureKind::LameReferral => {
            "sent an empty answer without authority for the name, and offers no recursion".to_owned()
        }
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
