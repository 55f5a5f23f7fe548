//! Secret strings.
//!
//! Owns the type that holds passwords, tokens and signed URLs. It prints as `[redacted]` and cannot be serialized; only
//! `expose` returns the text. [`text::redact`](crate::text::redact) finds secrets in other texts.

use std::fmt;

/// A string that prints as `[redacted]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// Returns the secret, for the code that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the secret is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

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
