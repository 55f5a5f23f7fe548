//! A node's resolv.conf.

#![no_main]

use acr_verifier::probe::fuzz;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| fuzz::nameservers(&String::from_utf8_lossy(bytes)));
