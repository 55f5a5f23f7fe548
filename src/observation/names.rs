//! What nameservers said: facts about names.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::{Endpoint, SystemError};
use crate::address::NameserverAddress;

/// Who was asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resolver {
    /// A nameserver of the node: what the kubelet uses, so its answers are judged.
    System,
    /// A resolver to compare with, under the operator's name for it: told, never judged.
    Compared(String),
}

impl Resolver {
    /// The label: `system`, or the operator's name.
    #[must_use]
    pub fn label(&self) -> &str {
        match self {
            Self::System => "system",
            Self::Compared(name) => name,
        }
    }
}

/// The answers of one nameserver about one name: the A and the AAAA question, asked at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// Whose name it is.
    pub endpoint: Endpoint,
    /// The name, without the final dot.
    pub host: String,
    /// On whose behalf the nameserver was asked.
    pub resolver: Resolver,
    /// The nameserver.
    pub server: NameserverAddress,
    /// Whether it was asked over TCP alone, as `use-vc` in resolv.conf wants it.
    pub tcp_alone: bool,
    /// What it said to the A question.
    pub a: Lookup,
    /// What it said to the AAAA question.
    pub aaaa: Lookup,
    /// Until both answers were there, or were given up.
    pub duration: Duration,
}

impl Resolution {
    /// Both lookups, A first.
    #[must_use]
    pub fn lookups(&self) -> [&Lookup; 2] {
        [&self.a, &self.aaaa]
    }

    /// Every address that the nameserver gave, A first, each once. What stands beside NXDOMAIN is none, as for Go: the
    /// name does not exist, whatever else the answer holds.
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

/// The outcome of one question to one nameserver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// The nameserver answered NOERROR or NXDOMAIN with a chain that could be followed.
    Answered(DnsAnswer),
    /// It did not, or what it said cannot be used.
    Failed(DnsFailure),
}

/// A usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsAnswer {
    /// `NOERROR` or `NXDOMAIN`.
    pub rcode: Rcode,
    /// The records from the asked name on, in the order of the chain, then the addresses of other names: Go's resolver,
    /// by which containerd and the kubelet resolve, takes every address of the answer, whoever owns it.
    pub chain: Vec<Record>,
    /// Every address of the answer section, each once.
    pub addresses: Vec<IpAddr>,
    /// The owner of the SOA record of a negative answer (RFC 2308): the zone that said no.
    pub soa_owner: Option<String>,
    /// Extended DNS errors (RFC 8914).
    pub extended_errors: Vec<ExtendedError>,
    /// Whether it came over TCP: the datagram was truncated, or none was sent.
    pub over_tcp: bool,
}

/// A nameserver that gave no usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsFailure {
    /// Why not.
    pub kind: DnsFailureKind,
    /// Extended DNS errors (RFC 8914) that came with it.
    pub extended_errors: Vec<ExtendedError>,
}

/// Why a nameserver gave no usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsFailureKind {
    /// No answer in time after the resends; a closed port shows the same.
    Timeout,
    /// The question could not even be sent: no route to the nameserver, or none of its port's TCP.
    Unreachable,
    /// The node's own system did not send the question, for another reason.
    NotSent(SystemError),
    /// An answer code other than NOERROR and NXDOMAIN.
    Refused(Rcode),
    /// The answer cannot be parsed.
    Malformed,
    /// An empty answer of a server that has no authority for the name and offers no recursion: Go and glibc ask the next.
    LameReferral,
    /// The datagram was truncated and TCP did not complete the answer (RFC 7766).
    TruncatedWithoutTcp,
    /// The chain of CNAMEs comes back to a name that it has passed.
    CnameLoop(String),
    /// The chain is longer than any real one.
    ChainTooLong,
}

/// An answer code of RFC 1035 and RFC 6895.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rcode(pub u16);

impl Rcode {
    /// No error.
    pub const NOERROR: Self = Self(0);
    /// The nameserver could not find out.
    pub const SERVFAIL: Self = Self(2);
    /// The nameserver does not know this kind of question.
    pub const NOTIMP: Self = Self(4);
    /// The nameserver does not answer this client, or not this question.
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
    /// The nameserver's own words, cut to a bounded length, without control characters.
    pub text: String,
}

/// One record of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The owner, lower case, with the final dot.
    pub name: String,
    /// Time to live in seconds, as it came: a cached answer has less than the zone says.
    pub ttl: u32,
    /// What it holds.
    pub data: RecordData,
}

/// What a record of a chain holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordData {
    /// Another name for the owner, lower case, with the final dot.
    Cname(String),
    /// An address of the owner (A or AAAA).
    Address(IpAddr),
}
