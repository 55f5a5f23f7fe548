//! Sanitizes untrusted text for display.
//!
//! Output contains text from nameservers, certificates and registries, which may be hostile. None of it may move the cursor,
//! color a line, forge a new line or change the reading direction. The JSON and XML libraries do their own escaping.
//! `anstream` removes escape sequences, but leaves invisible characters and those that change the direction.

/// Maximum length of displayed text in characters: several times any genuine sentence.
pub(crate) const MAX_TEXT: usize = 1_000;
/// Maximum length of a name, digest or other word from the network in characters: a host name has at most 253.
pub(crate) const MAX_WORD: usize = 300;

/// Returns one line of at most `limit` visible characters.
#[must_use]
pub fn printable(text: &str, limit: usize) -> String {
    let mut characters = visible(text);
    let mut cleaned: String = characters.by_ref().take(limit).collect();
    if characters.next().is_some() {
        cleaned.push('…');
    }
    cleaned
}

/// The visible characters of a text, on one line: terminal sequences are removed entirely, line breaks, tabs and other
/// whitespace become spaces, and all other invisible characters are removed.
pub(crate) fn visible(text: &str) -> impl Iterator<Item = char> {
    let mut characters = text.chars().peekable();
    std::iter::from_fn(move || {
        loop {
            match characters.next()? {
                plain @ ' '..='~' => return Some(plain),
                '\u{1b}' => skip_escape(&mut characters),
                '\u{9b}' => skip_control_sequence(&mut characters),
                character if character.is_whitespace() => return Some(' '),
                character if is_invisible(character) => {}
                character => return Some(character),
            }
        }
    })
}

/// Whether a text is entirely printable ASCII, so that [`visible`] changes nothing.
pub(crate) fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Sanitizes a suggested command. It is never cut, since half a command does something else.
pub(crate) fn pasteable(command: &str) -> String {
    printable(command, usize::MAX)
}

/// Replaces all non-ASCII characters.
pub(crate) fn ascii(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for character in text.chars() {
        match likeness(character) {
            Some(likeness) => folded.push_str(likeness),
            None => folded.push(character),
        }
    }
    folded
}

/// The ASCII replacement of a character: similar signs for common punctuation, a question mark for anything else.
pub(crate) const fn likeness(character: char) -> Option<&'static str> {
    Some(match character {
        '…' => "...",
        '→' => "->",
        '–' | '—' => "-",
        '‘' | '’' => "'",
        '“' | '”' => "\"",
        character if character.is_ascii() => return None,
        _ => "?",
    })
}

/// Controls (C0, DEL, C1), Unicode's `Default_Ignorable_Code_Point` (directional marks, zero-width spaces, variation
/// selectors, fillers, tags), annotation marks, and noncharacters.
pub(crate) fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fdd0}'..='\u{fdef}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
        || u32::from(character) & 0xfffe == 0xfffe
}

/// Skips what follows an ESC (ECMA-48): a control sequence, a string up to its terminator, or a single function.
fn skip_escape(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match characters.next() {
        Some('[') => skip_control_sequence(characters),
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(character) = characters.next() {
                if character == '\u{7}' || character == '\u{9c}' {
                    break;
                }
                if character == '\u{1b}' {
                    characters.next_if_eq(&'\\');
                    break;
                }
            }
        }
        Some(' '..='/') => {
            characters.next();
        }
        Some(_) | None => {}
    }
}

/// Skips parameters and intermediates up to the final character; any other character ends an incomplete sequence.
fn skip_control_sequence(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while characters.next_if(|character| (' '..='?').contains(character)).is_some() {}
    characters.next_if(|character| ('@'..='~').contains(character));
}

#[cfg(test)]
mod tests {
    use super::{ascii, printable};
    use proptest::prelude::*;

    #[test]
    fn terminal_sequences_are_removed_and_other_text_is_kept() {
        for (text, shown) in [
            ("plain", "plain"),
            ("a\u{1b}[31mred\u{1b}[0m b", "ared b"),
            ("title\u{1b}]0;owned\u{7}!", "title!"),
            ("link\u{1b}]8;;http://evil\u{1b}\\!", "link!"),
            ("c1\u{9b}2Jscreen", "c1screen"),
            ("line\nforged\r\tcolumn", "line forged  column"),
            ("right\u{202e}left", "rightleft"),
            ("bell\u{7}del\u{7f}nul\0", "belldelnul"),
            ("no\u{a0}break wide\u{3000}space", "no break wide space"),
            ("hun\u{200b}t\u{fe0f}e\u{3164}r\u{fffe}2", "hunter2"),
            ("end\u{1b}", "end"),
            ("end\u{1b}[", "end"),
            ("charset\u{1b}(0x", "charsetx"),
        ] {
            assert_eq!(printable(text, 100), shown, "{text:?}");
        }
    }

    #[test]
    fn long_text_is_cut_with_an_ellipsis() {
        assert_eq!(printable("abcdef", 6), "abcdef");
        assert_eq!(printable("abcdefg", 6), "abcdef…");
        assert_eq!(ascii(&printable("Größe…", 6)), "Gr??e...");
    }

    proptest! {
        #[test]
        fn sanitized_text_contains_no_control_characters(text in any::<String>(), limit in 0usize..50) {
            let shown = printable(&text, limit);
            prop_assert!(!shown.chars().any(char::is_control));
            prop_assert!(shown.chars().count() <= limit + 1);
            prop_assert!(ascii(&shown).is_ascii());
            let whole = printable(&text, usize::MAX);
            prop_assert_eq!(printable(&whole, usize::MAX), whole);
        }
    }
}
