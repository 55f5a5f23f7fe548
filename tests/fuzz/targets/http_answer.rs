//! A response of the registry: the first byte selects the request and the chunk size, the rest is the raw response.

#![no_main]

use acr_verifier::probe::fuzz::Reading;
use acr_verifier_fuzz::{CHECK, evaluate};
use libfuzzer_sys::fuzz_target;

const READINGS: [Reading; 6] = [
    Reading::Challenge,
    Reading::Token,
    Reading::Manifest,
    Reading::Digest,
    Reading::Redirect,
    Reading::Blob,
];
/// Chunk sizes: everything at once, or so small that every element is split somewhere.
const PIECES: [usize; 2] = [1 << 16, 11];

fuzz_target!(|bytes: &[u8]| {
    let Some((first, answer)) = bytes.split_first() else {
        return;
    };
    let first = usize::from(*first);
    let reading = READINGS[first % READINGS.len()];
    let piece = PIECES[first / READINGS.len() % PIECES.len()];
    evaluate(CHECK.with(|check| check.http_answer(reading, answer, piece)));
});
