//! Responses with broken framing, which no HTTP client can parse.
//!
//! Owns the bytes; `http.rs` sends them.

use super::answers::Delivery;
use super::response::Response;

/// The bytes of a response with the broken framing of a delivery, if it has one.
pub fn broken(response: &Response, delivery: Delivery) -> Option<Vec<u8>> {
    let body = response.body.as_slice();
    let bytes = match delivery {
        Delivery::TwoLengths => {
            let lengths = [body.len().to_string(), (body.len() + 1).to_string()];
            [&with(response, "Content-Length", &lengths).head(), body].concat()
        }
        Delivery::LengthNoNumber => {
            [&with(response, "Content-Length", &["many".to_owned()]).head(), body].concat()
        }
        Delivery::StatusNoNumber => {
            let head = String::from_utf8_lossy(&response.head()).into_owned();
            let status = response.status.to_string();
            [head.replacen(&status, "fine", 1).as_bytes(), body].concat()
        }
        Delivery::HeaderWithoutColon => {
            let head = String::from_utf8_lossy(&response.head()).into_owned();
            [head.replacen("\r\n", "\r\nthis is no header\r\n", 1).as_bytes(), body].concat()
        }
        Delivery::ChunkNoNumber => {
            let head = with(response, "Transfer-Encoding", &["chunked".to_owned()]).head();
            [&head, b"many\r\n".as_slice(), body, b"\r\n0\r\n\r\n"].concat()
        }
        Delivery::NotHttp => b"SSH-2.0-OpenSSH_9.9\r\n\0\0\0\0\r\n\r\n".to_vec(),
        Delivery::Whole
        | Delivery::Delayed(_)
        | Delivery::ResetAfterRequest
        | Delivery::CloseAfterRequest
        | Delivery::SilentAfterRequest
        | Delivery::ResetMidBody
        | Delivery::CloseMidBody
        | Delivery::SilentMidBody
        | Delivery::Dripping(_)
        | Delivery::BodyDripping(_)
        | Delivery::EndlessHeaders
        | Delivery::EndlessLine
        | Delivery::EndlessInterim
        | Delivery::EndlessBody
        | Delivery::HugeBody
        | Delivery::EndlessKeyUpdates
        | Delivery::HugeHeader
        | Delivery::Closing => return None,
    };
    Some(bytes)
}

/// The same response with only these values of a framing header.
fn with(response: &Response, name: &str, values: &[String]) -> Response {
    let mut other = response.clone().without("Content-Length").without("Transfer-Encoding");
    other.headers.extend(values.iter().map(|value| (name.to_owned(), value.clone())));
    other
}
