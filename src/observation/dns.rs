//! Facts about names: the answers of nameservers.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::{Endpoint, SystemError};
use crate::address::NameserverAddress;

/// The kind of resolver that was queried.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resolver {
    /// A nameserver of the node: the kubelet uses it, so its answers are evaluated.
    System,
    /// A resolver to compare with, under the operator's name for it: differences are reported, its answers not evaluated.
    Compared(String),
}

impl Resolver {
    /// Returns the label: `system`, or the operator's name.
    #[must_use]
    pub fn label(&self) -> &str {
        match self {
            Self::System => "system",
            Self::Compared(name) => name,
        }
    }
}

/// The answers of one nameserver for one name: the A and AAAA queries, sent at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// The endpoint that the name belongs to.
    pub endpoint: Endpoint,
    /// The name, without the final dot.
    pub host: String,
    /// The kind of resolver.
    pub resolver: Resolver,
    /// The nameserver's address.
    pub server: NameserverAddress,
    /// Whether it was queried only over TCP, as configured by `use-vc` in resolv.conf.
    pub tcp_only: bool,
    /// The result of the A query.
    pub a: Lookup,
    /// The result of the AAAA query.
    pub aaaa: Lookup,
    /// The time until both queries were answered or timed out.
    pub duration: Duration,
}

impl Resolution {
    /// Returns both lookups, A first.
    #[must_use]
    pub fn lookups(&self) -> [&Lookup; 2] {
        [&self.a, &self.aaaa]
    }

    /// Returns every address in the answers, A first, each once. Addresses in an NXDOMAIN answer are ignored, as in Go: the
    /// name does not exist, whatever else the answer contains.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        let mut addresses = Vec::new();
        for lookup in self.lookups() {
            if let Lookup::Answered(answer) = lookup
                && answer.rcode != Rcode::NXDOMAIN
            {
                for address in &answer.addresses {
                    if !addresses.contains(address) {
                        addresses.push(*address);
                    }
                }
            }
        }
        addresses
    }
}

/// The result of one query to one nameserver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// The nameserver returned NOERROR or NXDOMAIN with a valid chain.
    Answered(DnsAnswer),
    /// The nameserver did not answer, or its answer is unusable.
    Failed(DnsFailure),
}

/// A usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsAnswer {
    /// `NOERROR` or `NXDOMAIN`.
    pub rcode: Rcode,
    /// The records from the queried name on, in the order of the chain, then the addresses of other names: Go's resolver, which
    /// containerd and the kubelet use, takes every address of the answer, whatever its owner name.
    pub chain: Vec<Record>,
    /// Every address of the answer section, each once.
    pub addresses: Vec<IpAddr>,
    /// The owner of the SOA record of a negative answer (RFC 2308): the zone that denies the name.
    pub soa_owner: Option<String>,
    /// Extended DNS errors (RFC 8914).
    pub extended_errors: Vec<ExtendedError>,
    /// Whether the answer came over TCP: the datagram was truncated, or none was sent.
    pub over_tcp: bool,
}

/// A query without a usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsFailure {
    /// The kind of failure.
    pub kind: DnsFailureKind,
    /// Extended DNS errors (RFC 8914) of the answer.
    pub extended_errors: Vec<ExtendedError>,
}

/// Why a nameserver gave no usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsFailureKind {
    /// No answer in time after all resends; a closed port looks the same.
    Timeout,
    /// The query could not be sent: no route to the nameserver, or no TCP connection to its port.
    Unreachable,
    /// The node's operating system did not send the query, for another reason.
    NotSent(SystemError),
    /// A response code other than NOERROR and NXDOMAIN.
    Refused(Rcode),
    /// The answer cannot be parsed.
    Malformed,
    /// An empty, non-authoritative answer of a server without recursion: Go and glibc query the next server.
    LameReferral,
    /// The datagram was truncated and TCP did not complete the answer (RFC 7766).
    TruncatedWithoutTcp,
    /// The CNAME chain loops back to this name.
    CnameLoop(String),
    /// The CNAME chain or the address list is implausibly long.
    ChainTooLong,
}

/// A response code of RFC 1035 and RFC 6895.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rcode(pub u16);

impl Rcode {
    /// No error.
    pub const NOERROR: Self = Self(0);
    /// The nameserver failed to answer the query.
    pub const SERVFAIL: Self = Self(2);
    /// The nameserver does not support this kind of query.
    pub const NOTIMP: Self = Self(4);
    /// The nameserver rejects this client or this query.
    pub const REFUSED: Self = Self(5);
    /// The name does not exist.
    pub const NXDOMAIN: Self = Self(3);
}

impl fmt::Display for Rcode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => formatter.pad("NOERROR"),
            1 => formatter.pad("FORMERR"),
            2 => formatter.pad("SERVFAIL"),
            3 => formatter.pad("NXDOMAIN"),
            4 => formatter.pad("NOTIMP"),
            5 => formatter.pad("REFUSED"),
            code => formatter.pad(&format!("RCODE{code}")),
        }
    }
}

/// An extended DNS error (RFC 8914).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtendedError {
    /// The info code of the IANA registry.
    pub code: u16,
    /// The nameserver's own text, truncated, without control characters.
    pub text: String,
}

/// One record of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The owner, lower case, with the final dot.
    pub name: String,
    /// Time to live in seconds, as received: a cached answer has less than the zone's value.
    pub ttl: u32,
    /// The data of the record.
    pub data: RecordData,
}

/// The data of a record in a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordData {
    /// The target of the alias, lower case, with the final dot.
    Cname(String),
    /// An address of the owner (A or AAAA).
    Address(IpAddr),
}
