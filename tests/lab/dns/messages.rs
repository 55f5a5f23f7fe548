//! DNS messages of a healthy nameserver.

use hickory_proto::op::{Edns, Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::opt::EdnsOption;

use crate::settings::{ExtendedError, Rcode};

/// Maximum datagram size for a client without EDNS (RFC 1035, 4.2.1).
const PLAIN_DATAGRAM: usize = 512;
/// The largest datagram that is never fragmented, as servers use since DNS flag day 2020.
const LARGEST_DATAGRAM: u16 = 1_232;
/// The extended DNS error's option code (RFC 8914).
const EXTENDED_ERROR: u16 = 15;

/// An empty answer that repeats the question.
pub(super) fn skeleton(query: &Message) -> Message {
    let mut message = Message::response(query.metadata.id, OpCode::Query);
    message.metadata.recursion_desired = query.metadata.recursion_desired;
    message.metadata.recursion_available = true;
    message.add_queries(query.queries.iter().cloned());
    if query.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(LARGEST_DATAGRAM);
        message.set_edns(edns);
    }
    message
}

pub(super) fn refusal(query: &Message, rcode: Rcode, extended: Option<&ExtendedError>) -> Message {
    let mut message = skeleton(query);
    message.metadata.response_code = code(rcode);
    if let (Some(edns), Some(error)) = (message.edns.as_mut(), extended) {
        let payload = [&error.info_code.to_be_bytes()[..], error.text.as_bytes()].concat();
        edns.options_mut().insert(EdnsOption::Unknown(EXTENDED_ERROR, payload));
    }
    message
}

/// The answer, truncated if the client's datagrams are too small.
pub(super) fn fit(query: &Message, message: Message, udp: bool) -> Message {
    let largest = query.edns.as_ref().map_or(PLAIN_DATAGRAM, |edns| {
        usize::from(edns.max_payload().min(LARGEST_DATAGRAM)).max(PLAIN_DATAGRAM)
    });
    if udp && encode(&message).len() > largest { message.truncate() } else { message }
}

pub(super) fn encode(message: &Message) -> Vec<u8> {
    message.to_vec().expect("the lab's messages are sound")
}

/// The rcode on the wire.
pub fn code(rcode: Rcode) -> ResponseCode {
    match rcode {
        Rcode::NoError => ResponseCode::NoError,
        Rcode::FormErr => ResponseCode::FormErr,
        Rcode::ServFail => ResponseCode::ServFail,
        Rcode::NxDomain => ResponseCode::NXDomain,
        Rcode::NotImp => ResponseCode::NotImp,
        Rcode::Refused => ResponseCode::Refused,
        Rcode::NotAuth => ResponseCode::NotAuth,
    }
}
