//! The body of a token response.

#![no_main]

use acr_verifier_fuzz::{DESK, judge};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| judge(DESK.with(|desk| desk.token(body))));
