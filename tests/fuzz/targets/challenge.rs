//! `WWW-Authenticate` headers, one per line; the last line is also used as a `Location`.

#![no_main]

use acr_verifier_fuzz::{CHECK, evaluate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    CHECK.with(|check| check.headers(&lines)).into_iter().for_each(evaluate);
});
