//! Summarises a nameserver's A and AAAA answers for one name.

use crate::observation::{DnsAnswer, DnsFailureKind, Lookup, Rcode, Record, RecordData, Resolution};
use crate::rules::dns_failure::phrases;

/// Returns the records of both answers in chain order, without duplicates. Records that differ only in their TTL are the
/// same: a cache counts it down between the two queries.
pub(crate) fn records(resolution: &Resolution) -> Vec<&Record> {
    let mut records: Vec<&Record> = Vec::new();
    for record in answered(resolution).flat_map(|answer| &answer.chain) {
        if !records.iter().any(|known| known.name == record.name && known.data == record.data) {
            records.push(record);
        }
    }
    // The CNAMEs of the second answer, if it has others, belong before the addresses of the first.
    records.sort_by_key(|record| matches!(record.data, RecordData::Address(_)));
    records
}

/// Returns the usable answers, A first.
pub(super) fn answered(resolution: &Resolution) -> impl Iterator<Item = &DnsAnswer> {
    resolution.lookups().into_iter().filter_map(|lookup| match lookup {
        Lookup::Answered(answer) => Some(answer),
        Lookup::Failed(_) => None,
    })
}

/// Returns the response code for A, or for AAAA if A was not answered.
pub(super) fn rcode(resolution: &Resolution) -> Option<Rcode> {
    resolution.lookups().into_iter().find_map(|lookup| match lookup {
        Lookup::Answered(answer) => Some(answer.rcode),
        Lookup::Failed(failure) => match failure.kind {
            DnsFailureKind::Refused(rcode) => Some(rcode),
            DnsFailureKind::Timeout
            | DnsFailureKind::Unreachable
            | DnsFailureKind::NotSent(_)
            | DnsFailureKind::Malformed
            | DnsFailureKind::LameReferral
            | DnsFailureKind::TruncatedWithoutTcp
            | DnsFailureKind::CnameLoop(_)
            | DnsFailureKind::ChainTooLong => None,
        },
    })
}

/// Describes the failed queries in a phrase. Names the record type only if the other query succeeded or failed differently.
pub(super) fn trouble(resolution: &Resolution) -> Option<String> {
    let phrase = |lookup: &Lookup| match lookup {
        Lookup::Answered(_) => None,
        Lookup::Failed(failure) => Some(phrases(&failure.kind, resolution.tcp_only).summary),
    };
    match (phrase(&resolution.a), phrase(&resolution.aaaa)) {
        (None, None) => None,
        (Some(a), None) => Some(format!("A: {a}")),
        (None, Some(aaaa)) => Some(format!("AAAA: {aaaa}")),
        (Some(a), Some(aaaa)) if a == aaaa => Some(a.into_owned()),
        (Some(a), Some(aaaa)) => Some(format!("A: {a}; AAAA: {aaaa}")),
    }
}
