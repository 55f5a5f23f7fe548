//! The words for a failed DNS query.
//!
//! Owns both forms, next to each other: the one that follows the nameserver in a message, and the one that stands on its own in
//! a summary of the nameserver's answers.

use std::borrow::Cow;

use crate::observation::DnsFailureKind;

/// The two forms of one failure.
pub(crate) struct Phrases {
    /// Follows the nameserver: `did not answer in time`.
    pub(crate) of_server: Cow<'static, str>,
    /// Stands on its own: `no response in time`.
    pub(crate) summary: Cow<'static, str>,
}

/// Returns the words for a failure. A test over UDP would succeed if the nameserver was queried only over TCP, so the message
/// names TCP.
pub(crate) fn phrases(kind: &DnsFailureKind, tcp_only: bool) -> Phrases {
    let fixed =
        |of_server, summary| Phrases { of_server: Cow::Borrowed(of_server), summary: Cow::Borrowed(summary) };
    match kind {
        DnsFailureKind::Timeout if tcp_only => {
            fixed("did not answer over TCP in time", "no response in time")
        }
        DnsFailureKind::Timeout => fixed("did not answer in time", "no response in time"),
        DnsFailureKind::Unreachable if tcp_only => {
            fixed("cannot be reached over TCP", "the nameserver cannot be reached")
        }
        DnsFailureKind::Unreachable => fixed("cannot be reached", "the nameserver cannot be reached"),
        DnsFailureKind::NotSent(error) => Phrases {
            of_server: format!("could not be queried by this node ({error})").into(),
            summary: format!("the node could not send the query ({error})").into(),
        },
        DnsFailureKind::Refused(rcode) => Phrases {
            of_server: format!("returned {rcode}").into(),
            summary: format!("the nameserver responded with {rcode}").into(),
        },
        DnsFailureKind::Malformed => {
            fixed("sent an answer that cannot be parsed", "the answer cannot be parsed")
        }
        DnsFailureKind::LameReferral => fixed(
            "sent an empty, non-authoritative answer and offers no recursion",
            "the answer is empty, and the nameserver is neither authoritative nor recursive",
        ),
        DnsFailureKind::TruncatedWithoutTcp => fixed(
            "sent a truncated answer and did not complete it over TCP",
            "the answer is truncated, and the retry over TCP failed",
        ),
        DnsFailureKind::CnameLoop(name) => Phrases {
            of_server: format!("sent a CNAME chain that loops back to {}", name.trim_end_matches('.')).into(),
            summary: format!("the CNAME chain loops at {name}").into(),
        },
        DnsFailureKind::ChainTooLong => {
            fixed("sent an implausibly long CNAME chain or address list", "the CNAME chain is too long")
        }
    }
}
