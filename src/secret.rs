//! Secret strings.
//!
//! Owns the type that holds passwords, tokens and signed URLs. It prints as `[redacted]` and cannot be serialized; only
//! `expose` returns the text. [`text::redact`](crate::text::redact) finds secrets in other texts.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

/// A string that prints as `[redacted]`, and is overwritten in memory when it is dropped.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// Returns the secret, for the code that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether the secret is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn debug_output_hides_the_secret() {
        let printed = format!(
            "{0:?} {0:#?} {1:?}",
            Secret::new("hunter2".to_owned()),
            Some(Secret::new("hunter2".to_owned()))
        );
        assert!(!printed.contains("hunter2"), "{printed}");
    }
}
