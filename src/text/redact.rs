//! Redacts secrets in untrusted text.
//!
//! Owns the only path from untrusted to displayable text: sanitize, bound, redact, and only then cut. Code that has the secrets
//! does all of it at once ([`Redactor::show`]); other code keeps the bounded text of [`bounded`], and `probe::echo` redacts it
//! later.
//!
//! The peer chooses the texts, and also two of the secrets: the token and the signed URL. The search is therefore linear in the
//! text for each secret, whatever they contain.
//!
//! Not built on `aho-corasick`: it needs one decoded form of the text, but each byte may be escaped or not. A peer that
//! escapes only some of the escapes in a signed URL again (`%2B…%252F`) would reveal its signature; a test holds this. The
//! automaton would also copy the secrets into memory that is not overwritten.

mod jwt;
mod urls;

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::sanitize::{is_plain, likeness, visible};
use crate::secret::Secret;

pub use urls::without_secrets_of_urls;

/// Maximum number of displayed characters per text.
const MAX_SHOWN: usize = 300;
/// Maximum number of visible bytes searched per text: several times what is displayed, since a secret is longer than its
/// replacement.
const MAX_BOUNDED: usize = 4 * 1024;
/// Maximum number of bytes of a secret that are matched, one bit each. After a match, the rest of a longer secret is hidden too.
const MAX_LOOKED_FOR: usize = u64::BITS as usize;
/// Maximum length of a match in the text: `%XX` takes three bytes for one, a character displayed as `?` four.
const WIDEST: usize = 4 * MAX_LOOKED_FOR;
/// Maximum number of secrets. Credentials and a token have at most 13 forms, a signed URL a dozen values.
const MAX_SECRETS: usize = 96;

/// Sanitizes and bounds untrusted text that is stored until it is redacted.
#[must_use]
pub fn bounded(text: &str) -> String {
    let start = text.get(..MAX_BOUNDED).unwrap_or(text);
    if is_plain(start) {
        return start.to_owned();
    }
    let mut kept = String::new();
    for character in visible(text) {
        if kept.len() + character.len_utf8() > MAX_BOUNDED {
            break;
        }
        kept.push(character);
    }
    kept
}

/// The secrets that were sent, and that a hostile peer could echo.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    needles: Vec<Needle>,
    /// There were too many secrets, so nothing may be shown.
    overfull: bool,
}

/// A secret to search for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Needle {
    /// The secret, or its first bytes.
    text: Secret,
    rest: Rest,
}

/// The continuation of a secret after the matched bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// None.
    Nothing,
    /// Without spaces.
    Word,
    /// Any characters.
    Anything,
}

impl Redactor {
    /// Adds a secret, raw and sanitized. One that is too short to distinguish from ordinary text is ignored.
    pub fn hide(&mut self, secret: &Secret) {
        self.add(secret.expose());
        if !is_plain(secret.expose()) {
            self.add(&visible(secret.expose()).collect::<String>());
        }
    }

    /// Adds a secret in every form in which a peer could echo it: raw, and in both base64 alphabets (RFC 4648). The unpadded
    /// form also matches the padded one.
    pub fn hide_encoded(&mut self, secret: &Secret) {
        self.hide(secret);
        for encoded in [STANDARD_NO_PAD.encode(secret.expose()), URL_SAFE_NO_PAD.encode(secret.expose())] {
            self.add(&encoded);
        }
    }

    fn add(&mut self, secret: &str) {
        const SHORTEST: usize = 4;
        if secret.len() < SHORTEST {
            return;
        }
        let needle = Needle::new(secret);
        if self.needles.contains(&needle) {
            return;
        }
        if self.needles.len() == MAX_SECRETS {
            self.overfull = true;
            return;
        }
        self.needles.push(needle);
    }

    /// Returns untrusted text that is safe to show.
    #[must_use]
    pub fn show(&self, text: &str) -> String {
        let mut shown: String = self.redact(text).chars().take(MAX_SHOWN).collect();
        shown.truncate(shown.trim_end().len());
        shown
    }

    /// Returns a part of untrusted text that is safe to show. Withholds it if the whole contains a secret, which could extend
    /// beyond the part.
    #[must_use]
    pub fn show_part(&self, whole: &str, part: &str) -> String {
        if self.finds(whole) { "(withheld: contains a secret)".to_owned() } else { self.show(part) }
    }

    /// Redacts untrusted text without cutting it, so that parts can be extracted: part of a secret is also secret.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let kept = bounded(text);
        // A secret that starts before this point ends within the stored text.
        let end = kept.floor_char_boundary(MAX_BOUNDED - WIDEST);
        self.without(&kept, end)
    }

    /// Redacts a text, matching case-insensitively, since URL hosts are lower case, and with any characters percent-encoded
    /// (RFC 3986, section 2.1).
    #[must_use]
    pub fn take_out(&self, text: &str) -> String {
        self.without(text, text.len())
    }

    /// Whether the bounded text contains a secret.
    #[must_use]
    pub fn finds(&self, text: &str) -> bool {
        !self.find(&bounded(text)).is_empty()
    }

    /// The text before `end`, redacted.
    fn without(&self, text: &str, end: usize) -> String {
        let mut shown = String::with_capacity(end);
        let mut copied = 0;
        for hidden in self.find(text).into_iter().take_while(|hidden| hidden.start < end) {
            shown.push_str(&text[copied..hidden.start]);
            shown.push_str("[redacted]");
            copied = hidden.end;
        }
        shown.push_str(text.get(copied..end).unwrap_or_default());
        shown
    }

    /// Finds the secrets in order; overlapping or adjacent ones are merged. All are searched in the original text: removing one
    /// must not hide the next.
    fn find(&self, text: &str) -> Vec<Range<usize>> {
        let mut hidden = vec![self.overfull; text.len()];
        self.mark(text.as_bytes(), &mut hidden);
        if !text.is_ascii() {
            self.mark_likeness(text, &mut hidden);
        }
        let mut found: Vec<Range<usize>> = Vec::new();
        if !hidden.contains(&true) {
            return found;
        }
        for (start, character) in text.char_indices() {
            let end = start + character.len_utf8();
            if !hidden[start..end].contains(&true) {
                continue;
            }
            match found.last_mut() {
                Some(last) if last.end == start => last.end = end,
                Some(_) | None => found.push(start..end),
            }
        }
        found
    }

    fn mark(&self, text: &[u8], hidden: &mut [bool]) {
        let has_escapes = text.contains(&b'%');
        for needle in self.needles.iter().filter(|needle| needle.may_be_in(text, has_escapes)) {
            needle.mark(text, hidden);
        }
        jwt::mark(text, hidden);
    }

    /// Marks secrets that only appear after replacing non-ASCII characters, as reports do for some terminals.
    fn mark_likeness(&self, text: &str, hidden: &mut [bool]) {
        let mut folded = Vec::with_capacity(text.len());
        let mut origins = Vec::with_capacity(text.len());
        for (start, character) in text.char_indices() {
            let as_it_is = &text[start..start + character.len_utf8()];
            folded.extend_from_slice(likeness(character).unwrap_or(as_it_is).as_bytes());
            origins.resize(folded.len(), start);
        }
        let mut marked = vec![false; folded.len()];
        self.mark(&folded, &mut marked);
        for (start, _) in origins.into_iter().zip(marked).filter(|(_, marked)| *marked) {
            hidden[start] = true;
        }
    }
}

impl Needle {
    fn new(secret: &str) -> Self {
        let start = &secret[..secret.floor_char_boundary(MAX_LOOKED_FOR)];
        let rest = match secret.len() > start.len() {
            false => Rest::Nothing,
            true if secret.contains(' ') => Rest::Anything,
            true => Rest::Word,
        };
        Self { text: Secret::new(start.to_owned()), rest }
    }

    /// Returns `false` only if a text cannot contain this secret: it is too short, or without escapes and without two bytes that
    /// could be the first of the secret. Most texts are dismissed here, at a fraction of the search's cost.
    fn may_be_in(&self, text: &[u8], has_escapes: bool) -> bool {
        let secret = self.text.expose().as_bytes();
        let [first, second, ..] = *secret else { return true };
        let fits = |secret: u8, written: u8| {
            secret.eq_ignore_ascii_case(&written) || (secret == b' ' && written == b'+')
        };
        text.len() >= secret.len()
            && (has_escapes || text.windows(2).any(|pair| fits(first, pair[0]) && fits(second, pair[1])))
    }

    /// Marks the bytes of a text that belong to this secret; each byte may be literal or percent-encoded, independently.
    ///
    /// Follows all interpretations at once, with one bit per byte of the secret (Baeza-Yates and Gonnet's shift-and): forwards
    /// for the prefixes that may end at a position, backwards for the suffixes that may begin there.
    fn mark(&self, text: &[u8], hidden: &mut [bool]) {
        let fitting = self.fitting();
        let last = 1 << (self.text.expose().len() - 1);
        let plain = |at: usize| fitting[usize::from(text[at])];
        let escaped = |at: usize| escaped(text, at).map_or(0, |byte| fitting[usize::from(byte)]);
        // For each position: the prefixes of the secret that may end there.
        let mut ending = vec![0_u64; text.len() + ESCAPE + 1];
        for at in 0..text.len() {
            let next = (ending[at] << 1) | 1;
            ending[at + 1] |= next & plain(at);
            ending[at + ESCAPE] |= next & escaped(at);
        }
        let is_end = |at: usize| ending[at] & last != 0;
        if !(1..=text.len()).any(is_end) {
            return;
        }
        // For this and the next three positions: the prefixes after which the whole rest may follow.
        let mut followed = [last; ESCAPE + 1];
        for at in (0..text.len()).rev() {
            followed.rotate_right(1);
            let next = (ending[at] << 1) | 1;
            let by_plain = plain(at) & followed[1];
            let by_escape = escaped(at) & followed[ESCAPE];
            followed[0] = last | (by_plain >> 1) | (by_escape >> 1);
            if next & by_escape != 0 {
                hidden[at..at + ESCAPE].fill(true);
            } else if next & by_plain != 0 {
                hidden[at] = true;
            }
        }
        let mut goes_on = false;
        for at in 1..text.len() {
            goes_on = match self.rest {
                Rest::Nothing => return,
                Rest::Word => (goes_on || is_end(at)) && text[at] != b' ',
                Rest::Anything => goes_on || is_end(at),
            };
            hidden[at] |= goes_on;
        }
    }

    /// For each byte, its possible positions in the secret.
    fn fitting(&self) -> [u64; 256] {
        let mut fitting = [0; 256];
        for (place, byte) in self.text.expose().bytes().enumerate() {
            fitting[usize::from(byte.to_ascii_lowercase())] |= 1 << place;
            fitting[usize::from(byte.to_ascii_uppercase())] |= 1 << place;
            // In the query of a URL a plus is a space.
            if byte == b' ' {
                fitting[usize::from(b'+')] |= 1 << place;
            }
        }
        fitting
    }
}

/// The length of `%XX`.
const ESCAPE: usize = 3;

/// The byte of the `%XX` that starts here.
fn escaped(text: &[u8], at: usize) -> Option<u8> {
    let &[b'%', first, second] = text.get(at..at + ESCAPE)? else { return None };
    let digit = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(digit(first)? * 16 + digit(second)?).ok()
}

#[cfg(test)]
mod tests;
