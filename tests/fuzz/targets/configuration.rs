//! The agent's configuration, YAML.

#![no_main]

use std::path::Path;

use acr_verifier::config::file::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match parse(Path::new("acr-verifier.yaml"), text) {
        Ok(config) => assert!(!config.images.is_empty()),
        Err(errors) => {
            let lines = errors.lines();
            assert!(!lines.is_empty(), "rejected without an error message");
            for line in lines {
                assert!(line.starts_with("acr-verifier.yaml:"), "{line}");
                assert!(line.len() < 4 * 1024 && !line.chars().any(char::is_control), "{line:?}");
            }
        }
    }
});
