//! The Azure CLI's JSON of a private endpoint, `--expect-file`.

#![no_main]

use acr_verifier::address::{AddressPolicy, MAX_ADDRESSES, MAX_NAMES, Scope};
use acr_verifier::config::expect_file::{EXPECTED, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| match parse(bytes) {
    Ok(exact) => {
        assert!((1..=MAX_NAMES).contains(&exact.names().count()));
        let policy = AddressPolicy { exact: exact.clone(), allow_loopback: true, ..Default::default() };
        for (name, addresses) in exact.iter() {
            assert!((1..=MAX_ADDRESSES).contains(&addresses.len()), "{name}");
            assert!(!name.ends_with('.') && !name.chars().any(|character| character.is_ascii_uppercase()));
            for address in addresses {
                assert_eq!(policy.classify(name, *address), Scope::Private, "{name} {address}");
            }
        }
    }
    Err(refusal) => {
        let error = refusal.about("--expect-file");
        assert!(error.ends_with(&format!("; expected {EXPECTED}")), "{error}");
        assert!(error.len() < 4 * 1024 && !error.chars().any(char::is_control), "{error:?}");
    }
});
