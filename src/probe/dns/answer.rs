//! Extracts the facts from one DNS message as Go's resolver does, which containerd and the kubelet use.
//!
//! Header, question and answers are read record by record up to the first malformed one. The later sections show which zone
//! denies a name and why; they are ignored if malformed. Every A and AAAA of the answer section counts, whatever its owner
//! name.

use std::net::IpAddr;

use hickory_proto::rr::{Name, RecordType};
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder};

use crate::observation::{
    DnsAnswer, DnsFailure, DnsFailureKind, ExtendedError, Lookup, Rcode, Record, RecordData,
};
use crate::text::redact::bounded;

/// The longest chain seen at ACR has six hops; resolvers give up between 8 and 16.
pub(super) const MAX_CHAIN: usize = 16;
/// Far above any real answer; one over TCP could contain some four thousand.
pub(super) const MAX_ADDRESSES: usize = 256;
/// Maximum number of extended DNS errors kept per answer.
const MAX_EXTENDED_ERRORS: usize = 4;
/// Option code of an extended DNS error (RFC 8914).
const EXTENDED_ERROR_OPTION: u16 = 15;
/// The Internet class, and the types that only show which zone denies a name and why (RFC 1035, RFC 6891).
const INTERNET: u16 = 1;
const SOA: u16 = 6;
const OPT: u16 = 41;

/// The question of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::probe) struct Question {
    /// Absolute, without a search list.
    pub(in crate::probe) name: Name,
    /// A or AAAA.
    pub(in crate::probe) kind: RecordType,
}

/// A message with a valid header and question.
pub(in crate::probe) struct Message<'bytes> {
    pub(in crate::probe) id: u16,
    is_response: bool,
    pub(in crate::probe) is_truncated: bool,
    /// Whether the sender is authoritative for the name, or offers recursion.
    is_able: bool,
    /// The low four bits of the response code.
    rcode: u16,
    /// Name, type and class.
    question: (Name, u16, u16),
    /// The announced counts of answer, authority and additional records.
    counts: [u16; 3],
    /// Everything after the question.
    rest: BinDecoder<'bytes>,
}

/// The three sections after the question, as far as they could be parsed.
struct Sections<'bytes> {
    answers: Vec<Raw<'bytes>>,
    /// Whether the answer section is malformed.
    is_broken: bool,
    authorities: Vec<Raw<'bytes>>,
    additionals: Vec<Raw<'bytes>>,
}

/// A record with its raw content.
struct Raw<'bytes> {
    owner: Name,
    kind: u16,
    ttl: u32,
    data: &'bytes [u8],
    /// Positioned at the content, to resolve compressed names in it.
    content: BinDecoder<'bytes>,
}

/// The content of a record that forms CNAME chains.
enum Content {
    Alias(Name),
    Address(IpAddr),
}

impl<'bytes> Message<'bytes> {
    /// Reads header and question; `None` unless there is exactly one question.
    pub(in crate::probe) fn read(bytes: &'bytes [u8]) -> Option<Self> {
        let mut rest = BinDecoder::new(bytes);
        let id = word(&mut rest)?;
        let flags = word(&mut rest)?;
        let questions = word(&mut rest)?;
        let counts = [word(&mut rest)?, word(&mut rest)?, word(&mut rest)?];
        if questions != 1 {
            return None;
        }
        let question = (Name::read(&mut rest).ok()?, word(&mut rest)?, word(&mut rest)?);
        Some(Self {
            id,
            is_response: flags & 0x8000 != 0,
            is_truncated: flags & 0x0200 != 0,
            is_able: flags & 0x0480 != 0,
            rcode: flags & 0x000f,
            question,
            counts,
            rest,
        })
    }

    /// The repeated question.
    #[cfg(fuzzing)]
    pub(in crate::probe) fn question(&self) -> Question {
        let (name, kind, _) = &self.question;
        Question { name: name.clone(), kind: RecordType::from(*kind) }
    }

    /// Whether it answers a question; names are case-insensitive.
    pub(in crate::probe) fn answers(&self, question: &Question) -> bool {
        let (name, kind, class) = &self.question;
        self.is_response && (*kind, *class) == (question.kind.into(), INTERNET) && *name == question.name
    }

    /// The facts about the queried name.
    pub(in crate::probe) fn facts(self, question: &Question, over_tcp: bool) -> Lookup {
        let (low, is_able) = (self.rcode, self.is_able);
        let sections = self.sections();
        let option = sections.additionals.iter().find(|record| record.kind == OPT);
        let extended_errors = option.map(|option| extended_errors(option.data)).unwrap_or_default();
        // The upper eight bits of the code are in the TTL of the OPT record (RFC 6891, section 6.1.3).
        let high = option.map_or(0, |option| option.ttl >> 24 << 4);
        let rcode = Rcode(low | u16::try_from(high).unwrap_or_default());
        match sections.trouble(question, rcode, is_able).map_or_else(|| sections.chain(question), Err) {
            Ok((chain, addresses)) => Lookup::Answered(DnsAnswer {
                rcode,
                chain,
                addresses,
                soa_owner: sections.authorities.iter().find(|it| it.kind == SOA).map(|it| text_of(&it.owner)),
                extended_errors,
                over_tcp,
            }),
            Err(kind) => Lookup::Failed(DnsFailure { kind, extended_errors }),
        }
    }

    fn sections(mut self) -> Sections<'bytes> {
        let [answers, authorities, additionals] = self.counts;
        let (answers, is_broken) = records(&mut self.rest, answers);
        let (authorities, ends) =
            if is_broken { (Vec::new(), true) } else { records(&mut self.rest, authorities) };
        let additionals = if ends { Vec::new() } else { records(&mut self.rest, additionals).0 };
        Sections { answers, is_broken, authorities, additionals }
    }
}

impl Sections<'_> {
    /// Why Go would discard this answer and query the next nameserver.
    fn trouble(&self, question: &Question, rcode: Rcode, is_able: bool) -> Option<DnsFailureKind> {
        if rcode == Rcode::NXDOMAIN {
            return None;
        }
        if rcode != Rcode::NOERROR {
            return Some(DnsFailureKind::Refused(rcode));
        }
        let is_empty = self.answers.is_empty() && self.additionals.is_empty();
        if self.is_broken && !self.has(question.kind) {
            Some(DnsFailureKind::Malformed)
        } else if is_empty && !is_able {
            Some(DnsFailureKind::LameReferral)
        } else {
            None
        }
    }

    fn has(&self, kind: RecordType) -> bool {
        self.answers.iter().any(|record| record.kind == u16::from(kind))
    }

    /// Follows the chain from the queried name, and adds the addresses of all other names. Go uses none of them if the answer
    /// has no record of the queried type.
    fn chain(&self, question: &Question) -> Result<(Vec<Record>, Vec<IpAddr>), DnsFailureKind> {
        let known: Vec<(&Raw<'_>, Content)> =
            self.answers.iter().filter_map(|record| Some((record, record.content()?))).collect();
        let mut chain = follow(&question.name, &known)?;
        let mut addresses = Vec::new();
        for (record, content) in &known {
            let Content::Address(address) = content else { continue };
            if !addresses.contains(address) {
                addresses.push(*address);
            }
            if addresses.len() > MAX_ADDRESSES {
                return Err(DnsFailureKind::ChainTooLong);
            }
            let shown = record.shown(content);
            if chain.len() < MAX_CHAIN + MAX_ADDRESSES && !chain.contains(&shown) {
                chain.push(shown);
            }
        }
        if !self.has(question.kind) {
            addresses.clear();
        }
        Ok((chain, addresses))
    }
}

/// The records of the chain that starts at the queried name.
fn follow(name: &Name, known: &[(&Raw<'_>, Content)]) -> Result<Vec<Record>, DnsFailureKind> {
    let mut chain: Vec<Record> = Vec::new();
    let mut owner = name.clone();
    loop {
        let here = || known.iter().filter(|(record, _)| record.owner == owner);
        for (record, content) in here().filter(|(_, content)| matches!(content, Content::Address(_))) {
            if chain.len() < MAX_CHAIN + MAX_ADDRESSES {
                chain.push(record.shown(content));
            }
        }
        // An alias has no other data (RFC 1034, section 3.6.2), so it is followed, as resolvers do.
        let alias = here().find_map(|(record, content)| match content {
            Content::Alias(target) => Some((record.shown(content), target)),
            Content::Address(_) => None,
        });
        let Some((shown, target)) = alias else {
            return Ok(chain);
        };
        chain.push(shown);
        let target_text = text_of(target);
        if chain.iter().any(|record| record.name == target_text) {
            return Err(DnsFailureKind::CnameLoop(target_text));
        }
        if chain.len() >= MAX_CHAIN {
            return Err(DnsFailureKind::ChainTooLong);
        }
        owner = target.clone();
    }
}

impl Raw<'_> {
    fn target(&self) -> Option<Name> {
        let here = u16::try_from(self.content.index()).ok()?;
        Name::read(&mut self.content.clone(here)).ok()
    }

    /// The content, if it forms chains and is valid.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library's enum is open")]
    fn content(&self) -> Option<Content> {
        match RecordType::from(self.kind) {
            RecordType::A => self.data.first_chunk::<4>().map(|it| Content::Address(IpAddr::from(*it))),
            RecordType::AAAA => self.data.first_chunk::<16>().map(|it| Content::Address(IpAddr::from(*it))),
            RecordType::CNAME => self.target().map(Content::Alias),
            _ => None,
        }
    }

    fn shown(&self, content: &Content) -> Record {
        let data = match content {
            Content::Alias(target) => RecordData::Cname(text_of(target)),
            Content::Address(address) => RecordData::Address(*address),
        };
        Record { name: text_of(&self.owner), ttl: self.ttl, data }
    }
}

/// Reads `count` records, or those before the first malformed one; also returns whether there was one.
fn records<'bytes>(rest: &mut BinDecoder<'bytes>, count: u16) -> (Vec<Raw<'bytes>>, bool) {
    let mut records = Vec::new();
    for _ in 0..count {
        let Some(record) = record(rest) else {
            return (records, true);
        };
        records.push(record);
    }
    (records, false)
}

fn record<'bytes>(rest: &mut BinDecoder<'bytes>) -> Option<Raw<'bytes>> {
    let owner = Name::read(rest).ok()?;
    let kind = word(rest)?;
    // The class of an OPT is a size, and Go ignores the class of the others.
    word(rest)?;
    let ttl = rest.read_u32().ok()?.unverified();
    let length = word(rest)?;
    let content = rest.clone(u16::try_from(rest.index()).ok()?);
    let data = rest.read_slice(length.into()).ok()?.unverified();
    Some(Raw { owner, kind, ttl, data, content })
}

fn word(rest: &mut BinDecoder<'_>) -> Option<u16> {
    Some(rest.read_u16().ok()?.unverified())
}

/// Formats a name for reports: lower case, with the final dot, special characters escaped as in zone files: `\.` and `\032`
/// (RFC 1035, section 5.1; the library would write the number in octal).
fn text_of(name: &Name) -> String {
    let mut text = String::new();
    for label in name {
        for byte in label.iter().map(u8::to_ascii_lowercase) {
            match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'*' => text.push(char::from(byte)),
                b'!'..=b'~' => text.extend(['\\', char::from(byte)]),
                _ => text.push_str(&format!("\\{byte:03}")),
            }
        }
        text.push('.');
    }
    if text.is_empty() { ".".to_owned() } else { text }
}

/// The extended errors among the options of an OPT record, each a code, a length and its content.
fn extended_errors(mut options: &[u8]) -> Vec<ExtendedError> {
    let mut errors = Vec::new();
    while let Some(([code, length], rest)) = two_words(options) {
        let Some((content, rest)) = rest.split_at_checked(length.into()) else { break };
        if let (EXTENDED_ERROR_OPTION, Some((info, text))) = (code, content.split_first_chunk::<2>()) {
            let text = bounded(&String::from_utf8_lossy(text));
            errors.push(ExtendedError { code: u16::from_be_bytes(*info), text });
        }
        if errors.len() == MAX_EXTENDED_ERRORS {
            break;
        }
        options = rest;
    }
    errors
}

fn two_words(bytes: &[u8]) -> Option<([u16; 2], &[u8])> {
    let (&[a, b, c, d], rest) = bytes.split_first_chunk::<4>()?;
    Some(([u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])], rest))
}
