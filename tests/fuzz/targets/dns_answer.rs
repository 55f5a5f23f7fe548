//! One message of a nameserver.

#![no_main]

use acr_verifier::probe::fuzz;
use acr_verifier_fuzz::evaluate;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(observation) = fuzz::dns_answer(bytes) {
        evaluate(observation);
    }
});
