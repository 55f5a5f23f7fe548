//! The data endpoint: returns blobs for signed links, otherwise 403.
//!
//! Owns the blob step; `links.rs` creates the links. `GET /` without a link is also a 403 at a real data endpoint.

use super::answers::{Answer, BlobFault, Step};
use super::canned;
use super::http::Incoming;
use super::links::Subject;
use super::response::Response;
use super::settings::Settings;
use super::shared::Shared;

/// Answers a request at the data endpoint.
pub fn respond(shared: &Shared, settings: &Settings, request: &Incoming) -> Response {
    let link = shared.links.resolve(request.query());
    let (repository, digest) = link.clone().unwrap_or_default();
    if let Answer::Canned(canned) = &settings.blob.answer {
        let asked = format!("https://{}{}", shared.authority(&shared.place.data_endpoint()), request.target);
        let subject = Subject { repository: &repository, digest: &digest, asked: &asked };
        return canned::respond(shared, Step::Blob, canned, &subject);
    }
    let fault = if let Answer::Faulty(fault) = &settings.blob.answer { Some(*fault) } else { None };
    let blob = shared.content.repository(&repository).and_then(|repository| repository.blob(&digest));
    match blob {
        Some(bytes) if request.path() == "/" && fault == Some(BlobFault::WholeAsPart) => {
            part(bytes, 0, bytes.len() - 1)
        }
        Some(bytes) if request.path() == "/" && fault == Some(BlobFault::HalfAsPart) => {
            part(bytes, 0, bytes.len() / 2)
        }
        Some(bytes) if request.path() == "/" && fault != Some(BlobFault::SignatureRefused) => {
            serve(request, altered(bytes, fault))
        }
        _ => canned::storage_error(
            403,
            "AuthenticationFailed",
            "Server failed to authenticate the request. Make sure the value of the signature is formed correctly.",
        ),
    }
}

fn altered(bytes: &[u8], fault: Option<BlobFault>) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    match fault {
        None | Some(BlobFault::SignatureRefused | BlobFault::WholeAsPart | BlobFault::HalfAsPart) => {}
        Some(BlobFault::WrongBytes) => {
            // The last byte, so that only a client that reads to the end notices.
            if let Some(last) = bytes.last_mut() {
                *last ^= 1;
            }
        }
        Some(BlobFault::MoreBytes) => bytes.extend_from_slice(&[0; 100]),
        Some(BlobFault::FewerBytes) => bytes.truncate(bytes.len() / 2),
        Some(BlobFault::Empty) => bytes.clear(),
    }
    bytes
}

const BINARY: &str = "application/octet-stream";

/// The bytes of an inclusive range.
fn part(bytes: &[u8], from: usize, to: usize) -> Response {
    let own = [("Content-Range", format!("bytes {from}-{to}/{}", bytes.len()))];
    Response::data(206, BINARY, &own, bytes[from..=to].to_vec())
}

fn serve(request: &Incoming, bytes: Vec<u8>) -> Response {
    let Some(range) = request.header("Range").and_then(|range| range.strip_prefix("bytes=")) else {
        return Response::data(200, BINARY, &[], bytes);
    };
    let length = bytes.len();
    let bounds = range.split_once('-').and_then(|(from, to)| {
        let from = from.parse::<usize>().ok()?;
        let to = if to.is_empty() { length.checked_sub(1)? } else { to.parse().ok()? };
        (from <= to && from < length).then(|| (from, to.min(length - 1)))
    });
    match bounds {
        Some((from, to)) => part(&bytes, from, to),
        None => Response::data(416, BINARY, &[("Content-Range", format!("bytes */{length}"))], Vec::new()),
    }
}
