//! The answer of a public endpoint: the first byte selects the chunk size, the rest is the raw response.

#![no_main]

use acr_verifier_fuzz::{CHECK, evaluate_probe};
use libfuzzer_sys::fuzz_target;

/// Chunk sizes: everything at once, or so small that every element is split somewhere.
const PIECES: [usize; 2] = [1 << 16, 11];

fuzz_target!(|bytes: &[u8]| {
    let Some((first, answer)) = bytes.split_first() else { return };
    let piece = PIECES[usize::from(*first) % PIECES.len()];
    evaluate_probe(CHECK.with(|check| check.public_answer(answer, piece)));
});
