//! The body of a token service's answer, with the token in it.

#![no_main]

use acr_verifier::probe::fuzz;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| fuzz::token(body));
