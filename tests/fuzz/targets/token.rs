//! The body of a token response.

#![no_main]

use acr_verifier_fuzz::{CHECK, evaluate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| evaluate(CHECK.with(|check| check.token(body))));
