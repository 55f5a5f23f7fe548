//! Responses of IMDS, Entra ID and the exchange: the status, whether it is a page, and the body.

#![no_main]

use acr_verifier_fuzz::{CHECK, evaluate};
use libfuzzer_sys::fuzz_target;

const STATUSES: [u16; 10] = [200, 301, 400, 401, 403, 404, 410, 429, 500, 503];

fuzz_target!(|input: &[u8]| {
    let Some((head, body)) = input.split_first() else { return };
    let status = STATUSES[usize::from(head >> 1) % STATUSES.len()];
    CHECK.with(|check| check.identity(status, head & 1 == 1, body)).into_iter().for_each(evaluate);
});
