//! Nameservers: what each knows of the lab's names, and how it misbehaves.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// One nameserver with its own view of both names.
#[derive(Clone, Debug)]
pub struct Nameserver {
    /// Read once, at the start; none takes a free port of 127.0.0.1.
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
    /// A nameserver that gives both names the same view.
    pub fn seeing(view: View) -> Self {
        Self { login: view.clone(), data: view, ..Self::default() }
    }

    /// A nameserver that would answer rightly, were it not for this behaviour.
    pub fn behaving(behaviour: Behaviour) -> Self {
        Self { behaviour, ..Self::default() }
    }
}

/// What a nameserver knows of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum View {
    /// The healthy chain: the privatelink name with the address where the endpoint of the lab listens.
    Private,
    /// The healthy chain with these addresses instead, IPv4 as A and IPv6 as AAAA, in this order.
    Addresses(Vec<IpAddr>),
    /// A private endpoint exists, this nameserver does not see the zone: privatelink, then the public chain.
    NotLinked,
    /// The registry has no private endpoint: the public chain without a privatelink name.
    NoPrivateEndpoint,
    /// The zone is linked, the record is absent: CNAME to the privatelink name, which is NXDOMAIN.
    RecordMissing,
    /// The privatelink name exists and has no address: CNAME, then an empty NOERROR.
    RecordEmpty,
    /// NXDOMAIN for the name itself.
    NoSuchName,
    /// These records and this rcode, word for word; of A and AAAA only what was asked for.
    Chain(Vec<ChainRecord>, Rcode),
    /// Two CNAMEs that point to each other.
    CnameLoop,
    /// This many CNAMEs before the right address.
    LongChain(usize),
}

/// One record of a free-form chain. Names without a closing dot are absolute all the same.
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

/// What a nameserver does with a query, before its view counts.
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
    /// Answers with the right id and bytes that no parser takes.
    Garbage,
    /// Answers rightly but for the transaction id.
    WrongId,
    /// Answers rightly from another port than the one that was asked.
    ForeignSource,
    /// Answers rightly but repeats another question.
    WrongQuestion,
    /// Sends a forged answer (wrong id, a public address) and then the right one.
    SpoofThenAnswer,
    /// Sets TC over UDP and answers over TCP.
    Truncated,
    /// Sets TC over UDP, and TCP comes to nothing.
    TruncatedTcpDead(TcpDeath),
    /// Ignores the first datagrams of each question (name and type), then answers. A change of settings counts anew.
    DropFirst(usize),
    /// Answers A and never AAAA.
    AaaaSilent,
    /// Answers A, and AAAA at once with this code and no records.
    AaaaRcode(Rcode),
    /// Answers rightly, with an SOA behind the answers whose data cannot be read.
    BrokenAuthority,
    /// Answers rightly, with an OPT behind the answers that goes on beyond the message.
    BrokenOption,
    /// Answers rightly after this long.
    Delay(Duration),
    /// Answers rightly once A and AAAA of the name were asked of every nameserver: never to who asks one after the other.
    Together,
    /// Adds records of names nobody asked for to the answer section.
    AnswersUnrelatedRecords,
    /// Answers A with this many addresses of 10.0.0.0/8, which only TCP carries.
    HugeAnswer(usize),
    /// Sets TC over UDP, and over TCP sends a byte a second of an answer.
    TcpDrips,
    /// Sets TC over UDP, and over TCP sends 64 KiB of records of names nobody asked for.
    TcpCrowded,
    /// An answer whose record's name points to itself.
    CompressionLoop,
    /// Answers each question (name and type) rightly once, and then with these addresses. A change counts anew.
    Rebinds(Vec<IpAddr>),
}

/// In which way TCP of a nameserver comes to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpDeath {
    /// No listener: RST.
    Refuses,
    /// Accepts and closes.
    Closes,
    /// Accepts, reads and stays silent.
    Silent,
}

/// The rcodes that a lab gives.
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

/// An extended DNS error (RFC 8914), sent where the query has EDNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtendedError {
    pub info_code: u16,
    pub text: String,
}
