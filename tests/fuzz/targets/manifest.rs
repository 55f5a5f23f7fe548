//! A manifest, an index or a configuration; the content type stands in the first line.

#![no_main]

use acr_verifier::probe::fuzz;
use acr_verifier_fuzz::judge;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (content_type, body) = bytes.split_at(end);
    judge(fuzz::manifest(std::str::from_utf8(content_type).ok(), body));
});
