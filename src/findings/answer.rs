//! Classifies what one nameserver returned for one name.
//!
//! Owns which answers count as addresses, as a denial or as a failure, and what a CNAME chain shows about a private endpoint.

use std::net::IpAddr;
use std::time::Duration;

use super::{FailedServer, Server};
use crate::image::ImageReference;
use crate::observation::{DnsAnswer, DnsFailure, DnsFailureKind, Lookup, Rcode, RecordData, Resolution};

/// A faster answer does not slow a pull down.
const AT_ONCE: Duration = Duration::from_secs(1);

/// The combined result of a nameserver's two answers.
pub(super) enum AnswerClass<'facts> {
    /// The name has addresses.
    Addresses(Vec<IpAddr>),
    /// The nameserver denies that the name has an address.
    NoAddress(&'facts DnsAnswer),
    /// The nameserver gave no usable answer.
    Failed,
}

pub(super) fn class_of(seen: &Resolution) -> AnswerClass<'_> {
    let addresses = seen.addresses();
    if !addresses.is_empty() {
        return AnswerClass::Addresses(addresses);
    }
    match (&seen.a, &seen.aaaa) {
        // Private endpoints have no IPv6: a negative A answer decides, whatever the result of AAAA.
        (Lookup::Answered(answer), _) => AnswerClass::NoAddress(answer),
        // A name that does not exist has no record of any type (RFC 2308, section 2.1).
        (Lookup::Failed(_), Lookup::Answered(answer)) if answer.rcode == Rcode::NXDOMAIN => {
            AnswerClass::NoAddress(answer)
        }
        (Lookup::Failed(_), _) => AnswerClass::Failed,
    }
}

pub(super) fn is_failed(seen: &Resolution) -> bool {
    matches!(class_of(seen), AnswerClass::Failed)
}

pub(super) fn server_of(seen: &Resolution) -> Server {
    Server { address: seen.server.clone(), resolver: seen.resolver.clone() }
}

/// Returns a nameserver with its failed queries.
pub(super) fn failed_server(seen: &Resolution) -> FailedServer {
    let owned = |(question, failure): (_, &DnsFailure)| (question, failure.clone());
    FailedServer {
        server: server_of(seen),
        tcp_only: seen.tcp_only,
        failures: failures(seen).into_iter().map(owned).collect(),
    }
}

/// Returns the queries without a usable answer.
fn failures(seen: &Resolution) -> Vec<(&'static str, &DnsFailure)> {
    let lookups = [("A", &seen.a), ("AAAA", &seen.aaaa)].into_iter();
    let failed = lookups.filter_map(|(question, lookup)| match lookup {
        Lookup::Failed(failure) => Some((question, failure)),
        Lookup::Answered(_) => None,
    });
    failed.collect()
}

/// Returns whether a failed query matters to a pull. An AAAA query that fails at once next to an answered A query costs
/// nothing: Go uses the A record.
pub(super) fn is_troubled(seen: &Resolution) -> bool {
    let is_answered = matches!(seen.a, Lookup::Answered(_));
    let is_harmless =
        |failure: &DnsFailure| is_answered && seen.duration < AT_ONCE && is_refusal(&failure.kind);
    failures(seen).iter().any(|(_, failure)| !is_harmless(failure))
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

/// Returns the first privatelink name of either answer.
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
