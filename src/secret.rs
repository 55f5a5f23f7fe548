//! A text that must not be seen.
//!
//! Owns the one type that passwords, tokens and signed URLs are kept in. It prints as `[redacted]` everywhere and has
//! no serialisation; the only way to the text is to ask for it by name. Finding it in other texts is `redactor`'s.

mod redactor;

use std::fmt;

pub use redactor::{Redactor, hear};

/// A text that prints as `[redacted]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text into hiding.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
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
    fn never_prints_its_text() {
        let printed = format!(
            "{0:?} {0:#?} {1:?}",
            Secret::new("hunter2".to_owned()),
            Some(Secret::new("hunter2".to_owned()))
        );
        assert!(!printed.contains("hunter2"), "{printed}");
    }
}
