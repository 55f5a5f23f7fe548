//! Random values in ACR's formats: passwords, correlation IDs and signatures.
//!
//! Random, so that a secret found in an output can only come from the lab.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom as _, SystemRandom};

/// Returns random bytes.
pub fn bytes(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    SystemRandom::new().fill(&mut bytes).expect("the system has randomness");
    bytes
}

/// Upper-case hexadecimal digits, two for each byte.
pub fn hex(count: usize) -> String {
    bytes(count).iter().map(|byte| format!("{byte:02X}")).collect()
}

/// A GUID in its usual format.
pub fn guid() -> String {
    let digits = hex(16).to_lowercase();
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

/// Base64 for URLs, without padding.
pub fn url_safe(count: usize) -> String {
    URL_SAFE_NO_PAD.encode(bytes(count))
}

/// 52 characters of base64 like passwords of scope map tokens, always with the two that need escaping in a URL.
pub fn password() -> String {
    format!("{}+ACR/{}", &STANDARD.encode(bytes(30))[..35], &STANDARD.encode(bytes(12))[..12])
}
