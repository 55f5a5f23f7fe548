//! Nameservers: their views of the lab's names, and their faults.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A nameserver with its own view of both names.
#[derive(Clone, Debug)]
pub struct Nameserver {
    /// Read once, at the start; `None` selects a free port of 127.0.0.1.
    pub address: Option<SocketAddr>,
    pub behaviour: Behaviour,
    pub login: View,
    pub data: View,
}

impl Default for Nameserver {
    fn default() -> Self {
        Self { address: None, behaviour: Behaviour::Answer, login: View::Private, data: View::Private }
    }
}

impl Nameserver {
    /// A nameserver with the same view of both names.
    pub fn seeing(view: View) -> Self {
        Self { login: view.clone(), data: view, ..Self::default() }
    }

    /// A nameserver with correct views and this behaviour.
    pub fn behaving(behaviour: Behaviour) -> Self {
        Self { behaviour, ..Self::default() }
    }
}

/// A nameserver's view of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum View {
    /// The healthy chain: the privatelink name with the address of the lab's endpoint.
    Private,
    /// The healthy chain with these addresses instead, IPv4 as A and IPv6 as AAAA, in this order.
    Addresses(Vec<IpAddr>),
    /// A private endpoint exists, but this nameserver does not see the zone: privatelink, then the public chain.
    NotLinked,
    /// The registry has no private endpoint: the public chain without a privatelink name.
    NoPrivateEndpoint,
    /// The zone is linked, the record is absent: CNAME to the privatelink name, which is NXDOMAIN.
    RecordMissing,
    /// The privatelink name exists and has no address: CNAME, then an empty NOERROR.
    RecordEmpty,
    /// NXDOMAIN for the name itself.
    NoSuchName,
    /// These records and this rcode, verbatim; of A and AAAA only the queried type.
    Chain(Vec<ChainRecord>, Rcode),
    /// Two CNAMEs that point to each other.
    CnameLoop,
    /// This many CNAMEs before the right address.
    LongChain(usize),
}

/// A record of a custom chain. Names without a final dot are also absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainRecord {
    pub name: String,
    pub value: RecordValue,
    pub ttl: u32,
}

/// The data of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordValue {
    /// A or AAAA, by the family.
    Address(IpAddr),
    Cname(String),
}

/// How a nameserver handles a query, before its view applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers by its view.
    Answer,
    /// Reads and never answers, over UDP and TCP.
    Silent,
    /// Does not listen: UDP gets ICMP port unreachable, TCP a RST.
    Closed,
    /// Answers every query with this code and no records.
    Rcode(Rcode, Option<ExtendedError>),
    /// Answers with the correct ID and unparsable bytes.
    Garbage,
    /// Answers correctly except for the transaction ID.
    WrongId,
    /// Answers correctly from another port.
    ForeignSource,
    /// Answers correctly but repeats another question.
    WrongQuestion,
    /// Sends a forged answer (wrong ID, a public address) and then the correct one.
    SpoofThenAnswer,
    /// Sets TC over UDP and answers over TCP.
    Truncated,
    /// Sets TC over UDP, and TCP fails.
    TruncatedTcpDead(TcpDeath),
    /// Ignores the first datagrams of each question (name and type), then answers. A change of settings restarts the count.
    DropFirst(usize),
    /// Answers A and never AAAA.
    AaaaSilent,
    /// Answers A, and AAAA immediately with this code and no records.
    AaaaRcode(Rcode),
    /// Answers correctly, followed by an SOA with malformed data.
    BrokenAuthority,
    /// Answers correctly, followed by an OPT that extends beyond the message.
    BrokenOption,
    /// Answers correctly after this delay.
    Delay(Duration),
    /// Answers correctly once every nameserver was queried for A and AAAA of the name: never for sequential queries.
    Together,
    /// Adds records of other names to the answer section.
    AnswersUnrelatedRecords,
    /// Answers A with this many addresses of 10.0.0.0/8, which only fit over TCP.
    HugeAnswer(usize),
    /// Sets TC over UDP, and over TCP sends an answer at one byte per second.
    TcpDrips,
    /// Sets TC over UDP, and over TCP sends 64 KiB of records of other names.
    TcpCrowded,
    /// An answer whose record's name points to itself.
    CompressionLoop,
    /// Answers each question (name and type) correctly once, then with these addresses. A change restarts the count.
    Rebinds(Vec<IpAddr>),
    /// Answers each question (name and type) from an old view first, as a cache does. A change restarts the count.
    ServesStale(Stale),
}

/// The old answers of a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    pub view: View,
    /// The TTL of every record; 0 if they have expired.
    pub ttl: u32,
    /// How often each question is answered from the old view.
    pub times: usize,
}

/// How a nameserver's TCP fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpDeath {
    /// No listener: RST.
    Refuses,
    /// Accepts and closes.
    Closes,
    /// Accepts, reads and never answers.
    Silent,
}

/// The rcodes of a lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rcode {
    NoError,
    FormErr,
    ServFail,
    NxDomain,
    NotImp,
    Refused,
    NotAuth,
}

/// An extended DNS error (RFC 8914), sent if the query has EDNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtendedError {
    pub info_code: u16,
    pub text: String,
}
