//! Taking secrets out of what somebody else said.
//!
//! Owns the one way from a foreign text to one that may be shown: as it will be seen, bounded, without the secrets, and
//! only then cut. Whoever has the secrets at hand goes it at once ([`Redactor::show`]); who does not keeps what it
//! [`hear`]s, and `probe::echo` goes the rest.
//!
//! The peer chooses the texts, and of the secrets the token and the signed URL. The search therefore takes as long as the
//! text is, for each secret, whatever stands in them.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::Secret;
use crate::legible::{likeness, visible};

/// Characters that are shown of one text.
const MAX_SHOWN: usize = 300;
/// Bytes of a text that are looked at, of what can be seen of it: several times what is shown, since a secret takes more
/// room than what stands for it.
const MAX_HEARD: usize = 4 * 1024;
/// Bytes of a secret that are looked for: one bit each. What begins like a longer one is hidden as far as it could go on.
const MAX_LOOKED_FOR: usize = u64::BITS as usize;
/// The most bytes of a text that these can be: `%XX` takes three for one, a character that is shown as `?` four.
const WIDEST: usize = 4 * MAX_LOOKED_FOR;
/// Secrets that are looked for. Credentials and a token have 13 forms at most, a signed URL a dozen values.
const MAX_SECRETS: usize = 96;

/// Somebody else's text as it will be seen, bounded: what is kept of it until its secrets are taken out.
#[must_use]
pub fn hear(text: &str) -> String {
    let mut heard = String::new();
    for character in visible(text) {
        if heard.len() + character.len_utf8() > MAX_HEARD {
            break;
        }
        heard.push(character);
    }
    heard
}

/// What must not come back: texts that were sent as secrets, and that a hostile peer could repeat.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    needles: Vec<Needle>,
    /// There were more than can be looked for, so that nothing can be shown.
    overfull: bool,
}

/// A secret as it is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Needle {
    /// The secret, or its beginning.
    text: Secret,
    rest: Rest,
}

/// How a secret goes on behind what is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// Not at all.
    Nothing,
    /// Without a space.
    Word,
    /// Anyhow.
    Anything,
}

impl Redactor {
    /// Adds a secret, as it is and as it would be seen; one that is too short to be told from ordinary text is not looked
    /// for.
    pub fn hide(&mut self, secret: &Secret) {
        self.add(secret.expose());
        self.add(&visible(secret.expose()).collect::<String>());
    }

    /// Adds a secret with the forms in which a peer that has seen it could write it: as it is, and in both alphabets of
    /// base64 (RFC 4648). What has padding contains what has none.
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

    /// Somebody else's text as it may be shown.
    #[must_use]
    pub fn show(&self, text: &str) -> String {
        let mut shown: String = self.silence(text).chars().take(MAX_SHOWN).collect();
        shown.truncate(shown.trim_end().len());
        shown
    }

    /// A part of somebody else's text as it may be shown: nothing where a secret is in the whole, which could go on beyond
    /// the part.
    #[must_use]
    pub fn show_part(&self, whole: &str, part: &str) -> String {
        if self.finds(whole) { "(withheld: contains a secret)".to_owned() } else { self.show(part) }
    }

    /// Somebody else's text before it is cut, for what is picked out of it: a part of a secret is one too.
    #[must_use]
    pub fn silence(&self, text: &str) -> String {
        let heard = hear(text);
        // What begins in front of this has its end in what was heard.
        let end = heard.floor_char_boundary(MAX_HEARD - WIDEST);
        self.without(&heard, end)
    }

    /// A text without the secrets: in capitals or not, since the host of a URL has none, and as a URL has them, in
    /// percent signs (RFC 3986, section 2.1), wholly or in part.
    #[must_use]
    pub fn take_out(&self, text: &str) -> String {
        self.without(text, text.len())
    }

    /// Whether one of the secrets is in what is heard of a text.
    #[must_use]
    pub fn finds(&self, text: &str) -> bool {
        !self.find(&hear(text)).is_empty()
    }

    /// What of a text stands in front of `end`, without the secrets.
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

    /// Where the secrets are, in order; what overlaps or touches is one. All are looked for in the text as it came: one that
    /// was taken out must not hide the next.
    fn find(&self, text: &str) -> Vec<Range<usize>> {
        let mut hidden = vec![self.overfull; text.len()];
        self.mark(text.as_bytes(), &mut hidden);
        if !text.is_ascii() {
            self.mark_likeness(text, &mut hidden);
        }
        let mut found: Vec<Range<usize>> = Vec::new();
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
        for needle in &self.needles {
            needle.mark(text, hidden);
        }
    }

    /// Marks what is a secret once it is written without characters outside of ASCII, as reports are for some terminals.
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

    /// Marks the bytes of a text that belong to this secret; each of its bytes may stand for itself or in percent signs,
    /// whatever its neighbours do.
    ///
    /// Every way to read the text is followed at once, a bit for each byte of the secret (Baeza-Yates and Gonnet's
    /// shift-and): once forwards for how much of the secret may end at a place, once backwards for how much may begin.
    fn mark(&self, text: &[u8], hidden: &mut [bool]) {
        let fitting = self.fitting();
        let last = 1 << (self.text.expose().len() - 1);
        let plain = |at: usize| fitting[usize::from(text[at])];
        let escaped = |at: usize| escaped(text, at).map_or(0, |byte| fitting[usize::from(byte)]);
        // For each place: which bytes of the secret may end there, with all before them.
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
        // Here, and one to three places on: behind which bytes of the secret all others may follow.
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

    /// For each byte, where in the secret it may stand.
    fn fitting(&self) -> [u64; 256] {
        let mut fitting = [0; 256];
        for (place, byte) in self.text.expose().bytes().enumerate() {
            // In the query of a URL a plus is a space.
            let plus = if byte == b' ' { b'+' } else { byte };
            for written in [byte.to_ascii_lowercase(), byte.to_ascii_uppercase(), plus] {
                fitting[usize::from(written)] |= 1 << place;
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
