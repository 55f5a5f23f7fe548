//! A text that must not be seen.
//!
//! Owns the one type that passwords, tokens and signed URLs are kept in. It prints as `[redacted]` everywhere and has
//! no serialisation; the only way to the text is to ask for it by name.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

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

/// What must not come back: texts that were sent as secrets, and that a hostile peer could repeat.
#[derive(Debug, Clone, Default)]
pub struct Redactor(Vec<Secret>);

impl Redactor {
    /// Adds a secret; one that is too short to be told from ordinary text is not looked for.
    pub fn hide(&mut self, secret: &Secret) {
        const SHORTEST: usize = 4;
        if secret.expose().len() >= SHORTEST {
            self.0.push(secret.clone());
        }
    }

    /// Adds a secret with the forms in which a peer that has seen it could write it: as it is, and in both alphabets of
    /// base64 (RFC 4648). What has padding contains what has none.
    pub fn hide_encoded(&mut self, secret: &Secret) {
        self.hide(secret);
        for encoded in [STANDARD_NO_PAD.encode(secret.expose()), URL_SAFE_NO_PAD.encode(secret.expose())] {
            self.hide(&Secret::new(encoded));
        }
    }

    /// A text without the secrets.
    #[must_use]
    pub fn apply(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.expose(), "[redacted]"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Redactor, Secret};

    #[test]
    fn a_redactor_takes_every_occurrence_out() {
        let mut redactor = Redactor::default();
        redactor.hide(&Secret::new("hunter2".to_owned()));
        redactor.hide(&Secret::new("a".to_owned()));
        assert_eq!(redactor.apply("hunter2 and hunter2, a bat"), "[redacted] and [redacted], a bat");
    }

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
