//! An answer of the registry: the first byte says to which request, the rest is HTTP as on the wire.

#![no_main]

use acr_verifier::probe::fuzz::Reading;
use acr_verifier_fuzz::{DESK, judge};
use hyper::Response;
use libfuzzer_sys::fuzz_target;

const READINGS: [Reading; 6] = [
    Reading::Challenge,
    Reading::Token,
    Reading::Manifest,
    Reading::Digest,
    Reading::Redirect,
    Reading::Blob,
];

fuzz_target!(|bytes: &[u8]| {
    let Some((first, answer)) = bytes.split_first() else {
        return;
    };
    let mut fields = [httparse::EMPTY_HEADER; 100];
    let mut head = httparse::Response::new(&mut fields);
    let Ok(httparse::Status::Complete(length)) = head.parse(answer) else {
        return;
    };
    let mut response = Response::builder().status(head.code.unwrap_or(200));
    for field in head.headers.iter() {
        response = response.header(field.name, field.value);
    }
    let Ok(response) = response.body(answer[length..].to_vec()) else {
        return;
    };
    let reading = READINGS[usize::from(*first) % READINGS.len()];
    judge(DESK.with(|desk| desk.http_answer(reading, response)));
});
