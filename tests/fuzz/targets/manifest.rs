//! A manifest, an index or a configuration; the first line is the content type.

#![no_main]

use acr_verifier_fuzz::{CHECK, evaluate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (content_type, body) = bytes.split_at(end);
    CHECK.with(|check| check.manifest(content_type, body)).into_iter().for_each(evaluate);
});
