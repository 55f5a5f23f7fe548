//! A text that must not be seen.
//!
//! Owns the one type that passwords, tokens and signed URLs are kept in. It prints as `[redacted]` everywhere and has
//! no serialisation; the only way to the text is to ask for it by name.

use std::fmt;
use std::ops::Range;

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

    /// A text without the secrets: in capitals or not, since the host of a URL has none, and as a URL has them, in
    /// percent signs (RFC 3986, section 2.1), wholly or in part.
    #[must_use]
    pub fn apply(&self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        let mut copied = 0;
        for hidden in self.find(text) {
            shown.push_str(&text[copied..hidden.start]);
            shown.push_str("[redacted]");
            copied = hidden.end;
        }
        shown.push_str(&text[copied..]);
        shown
    }

    /// Whether one of the secrets is in a text.
    #[must_use]
    pub fn finds(&self, text: &str) -> bool {
        !self.find(text).is_empty()
    }

    /// Where the secrets are, in order; what overlaps or touches is one. All are looked for in the text as it came: one that
    /// was taken out must not hide the next.
    fn find(&self, text: &str) -> Vec<Range<usize>> {
        let starts = text.char_indices().map(|(start, _)| start);
        let at =
            |start| self.0.iter().filter_map(move |secret| end_of(text.as_bytes(), start, secret.expose()));
        let found = starts.filter_map(|start| at(start).max().map(|end| start..text.ceil_char_boundary(end)));
        let mut merged: Vec<Range<usize>> = Vec::new();
        for range in found {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                Some(_) | None => merged.push(range),
            }
        }
        merged
    }
}

/// Where a secret ends that starts here; each of its bytes may stand for itself or in percent signs, whatever its neighbours
/// do.
fn end_of(text: &[u8], start: usize, secret: &str) -> Option<usize> {
    let mut at = start;
    for (index, wanted) in secret.bytes().enumerate() {
        let written = *text.get(at)?;
        let plain = written.eq_ignore_ascii_case(&wanted) || (written == b'+' && wanted == b' ');
        if written == b'%' && escaped(text, at).is_some_and(|byte| byte.eq_ignore_ascii_case(&wanted)) {
            // A percent sign of the secret's own, and one that stands for it, look alike at first.
            if let Some(end) = plain.then(|| end_of(text, at + 1, secret.get(index + 1..)?)).flatten() {
                return Some(end);
            }
            at += "%XX".len();
        } else if plain {
            at += 1;
        } else {
            return None;
        }
    }
    Some(at)
}

/// The byte of the `%XX` that starts here.
fn escaped(text: &[u8], at: usize) -> Option<u8> {
    let digits = text.get(at + 1..at + 3)?;
    let digit = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use proptest::prelude::*;

    use super::{Redactor, Secret};

    #[test]
    fn a_redactor_takes_every_occurrence_out() {
        let mut redactor = Redactor::default();
        redactor.hide(&Secret::new("hunter2".to_owned()));
        redactor.hide(&Secret::new("a".to_owned()));
        assert_eq!(redactor.apply("hunter2 and hunter2, a bat"), "[redacted] and [redacted], a bat");
    }

    #[test]
    fn a_redactor_knows_a_secret_in_the_forms_of_a_url_and_leaves_its_neighbours() {
        let mut redactor = Redactor::default();
        redactor.hide_encoded(&Secret::new("p+ss w/rd=é".to_owned()));
        redactor.hide(&Secret::new("rd=é and more".to_owned()));
        for (text, shown) in [
            ("a p+ss w/rd=é!", "a [redacted]!"),
            ("a p%2Bss%20w%2frd%3D%C3%A9!", "a [redacted]!"),
            ("a p+ss+w/rd=é!", "a [redacted]!"),
            ("https://P+SS W/RD=é.example", "https://[redacted].example"),
            ("p+ss w/rd=é and more", "[redacted]"),
            ("cCtzcyB3L3JkPcOp and CCTZCYB3L3JKPCOP", "[redacted] and [redacted]"),
            ("p+ss w/rd=è 100% %zz %C3 %", "p+ss w/rd=è 100% %zz %C3 %"),
        ] {
            assert_eq!(redactor.apply(text), shown);
            assert_eq!(redactor.finds(text), text != shown);
        }
    }

    /// Characters of one to four bytes, and what base64 and URLs are made of.
    fn character() -> impl Strategy<Value = char> {
        prop_oneof![4 => prop::sample::select(vec!['a', 'B', '7', '+', '/', '=', '-', '%', ' ', ':', 'é', '€', '🔑']),
            1 => any::<char>()]
    }

    fn word(lengths: std::ops::Range<usize>) -> impl Strategy<Value = String> {
        proptest::collection::vec(character(), lengths).prop_map(String::from_iter)
    }

    /// Every character for which the pattern says so in percent signs, with capital or small digits.
    fn percent(text: &str, pattern: u64) -> String {
        let encoded = text.chars().enumerate().map(|(index, character)| {
            let bits = pattern.rotate_right(u32::try_from(index % 64).expect("below 64"));
            let mut bytes = [0; 4];
            let bytes = character.encode_utf8(&mut bytes).bytes();
            match bits & 3 {
                0 => character.to_string(),
                1 => bytes.map(|byte| format!("%{byte:02x}")).collect(),
                _ => bytes.map(|byte| format!("%{byte:02X}")).collect(),
            }
        });
        encoded.collect()
    }

    proptest! {
        #[test]
        fn no_form_of_a_secret_survives_whatever_surrounds_it(
            secret in word(4..40),
            other in word(4..40),
            (before, after) in (word(0..20), word(0..20)),
            pattern in any::<u64>(),
            overlap in 0_usize..40,
        ) {
            let mut redactor = Redactor::default();
            redactor.hide_encoded(&Secret::new(other.clone()));
            redactor.hide_encoded(&Secret::new(secret.clone()));
            let forms = [
                secret.clone(),
                secret.to_ascii_lowercase(),
                STANDARD.encode(&secret),
                URL_SAFE.encode(&secret),
                percent(&secret, pattern),
                percent(&STANDARD.encode(&secret), pattern),
            ];
            for form in forms {
                let shown = redactor.apply(&format!("{before}{form}{after}"));
                prop_assert!(shown.contains("[redacted]"), "{}", shown);
                // What stood before and behind may have been part of an occurrence, and the padding of base64 tells nothing.
                let left = shown.replace("[redacted]", "");
                prop_assert!(left.len() <= before.len() + "%3D%3D".len() + after.len(), "{}", shown);
            }
            // Two that overlap: neither leaves a piece of itself behind.
            let start: String = other.chars().take(overlap).collect();
            let both = format!("{start}{secret}");
            let mut overlapping = Redactor::default();
            overlapping.hide(&Secret::new(format!("{start}{}", secret.chars().next().expect("four at least"))));
            overlapping.hide(&Secret::new(secret));
            let shown = overlapping.apply(&both);
            prop_assert!(shown == "[redacted]" || shown == format!("{start}[redacted]"), "{}", shown);
        }

        #[test]
        fn a_text_without_a_secret_stays_as_it_is(secret in "[a-z]{4,20}", text in "[0-9%+ é€🔑]{0,80}") {
            let mut redactor = Redactor::default();
            redactor.hide(&Secret::new(secret));
            prop_assert_eq!(redactor.apply(&text), text);
        }
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
