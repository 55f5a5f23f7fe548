//! Intentionally false DNS answers: crowded, looped, or with other names.
//!
//! Pure: `dns.rs` owns the sockets and selects the answer.

use std::net::{IpAddr, Ipv4Addr};

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::{A, AAAA};
use hickory_proto::rr::{RData, Record};

use super::zones::absolute;

/// As many as fit next to a chain in the 64 KiB of a message, each with its own name.
const MOST_STRANGERS: usize = 1_700;
/// An address that no correct answer contains.
pub const FORGED_ADDRESS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 66);

/// The answer with as many records of other names as fit.
pub fn crowded(mut message: Message) -> Message {
    message.add_answers((0..MOST_STRANGERS).map(|number| {
        let stranger = absolute(&format!("{number}.fabrikam.example"));
        Record::from_rdata(stranger, 60, RData::A(A(FORGED_ADDRESS)))
    }));
    message
}

/// One question and one answer, whose name is a pointer to itself; `asked` is the encoded message with only the question.
pub fn looped(asked: &[u8]) -> Vec<u8> {
    let mut bytes = asked.to_vec();
    // The count of answers.
    bytes[7] = 1;
    let here = u8::try_from(bytes.len()).expect("a question is short");
    bytes.extend_from_slice(&[0xC0, here, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 1]);
    bytes
}

/// An answer with these addresses for the name.
pub fn elsewhere(mut message: Message, addresses: &[IpAddr]) -> Message {
    let Some(question) = message.queries.first().cloned() else { return message };
    let records = addresses.iter().map(|address| match address {
        IpAddr::V4(address) => RData::A(A(*address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(*address)),
    });
    let of_the_type = records.filter(|data| data.record_type() == question.query_type());
    message.add_answers(of_the_type.map(|data| Record::from_rdata(question.name().clone(), 0, data)));
    message
}

/// The answer with an SOA in its authority section whose data is too short.
pub fn with_broken_authority(mut message: Message) -> Vec<u8> {
    message.authorities.clear();
    message.edns = None;
    let mut bytes = encode(&message);
    // The count of authorities.
    bytes[9] = 1;
    bytes.extend_from_slice(&[0xC0, 0x0C, 0, 6, 0, 1, 0, 0, 0, 60, 0, 3, 1, 2, 3]);
    bytes
}

/// The answer with an OPT record that announces too many bytes.
pub fn with_broken_option(mut message: Message) -> Vec<u8> {
    message.authorities.clear();
    message.edns = None;
    let mut bytes = encode(&message);
    // The count of additional records.
    bytes[11] = 1;
    bytes.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 99]);
    bytes
}

fn encode(message: &Message) -> Vec<u8> {
    message.to_vec().expect("the lab's messages are sound")
}
