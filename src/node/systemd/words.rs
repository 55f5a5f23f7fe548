//! The syntax of systemd's files: sections, line continuations, quoted words, and environment files.
//!
//! Pure. Follows systemd.syntax(7) and systemd.exec(5), and ignores what systemd ignores. Parsers of INI files do not: they
//! have other rules for continuations, comments, quotes and repeated keys.

use std::iter::Peekable;
use std::str::Chars;

/// All assignments of a unit: section, key, value. A trailing backslash continues a line.
pub(super) fn assignments(text: &str) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    let mut section = String::new();
    let mut continued: Option<String> = None;
    for line in text.lines() {
        let trimmed = line.trim_start();
        if trimmed.starts_with(['#', ';']) {
            // Even within a continued line.
            continue;
        }
        let whole = match continued.take() {
            Some(before) => format!("{before} {trimmed}"),
            None => trimmed.to_owned(),
        };
        if let Some(before) = whole.strip_suffix('\\') {
            continued = Some(before.to_owned());
            continue;
        }
        assign(whole.trim_end(), &mut section, &mut found);
    }
    if let Some(whole) = continued {
        assign(whole.trim_end(), &mut section, &mut found);
    }
    found
}

fn assign(line: &str, section: &mut String, found: &mut Vec<(String, String, String)>) {
    if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        name.clone_into(section);
    } else if let Some((key, value)) = line.split_once('=') {
        found.push((section.clone(), key.trim().to_owned(), value.trim().to_owned()));
    }
}

/// Splits a value into words at blanks, with quoting and C escapes. The rest after a syntax error is ignored.
pub(super) fn split(value: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut characters = value.chars().peekable();
    loop {
        while characters.next_if(char::is_ascii_whitespace).is_some() {}
        if characters.peek().is_none() {
            return words;
        }
        let Some(word) = word(&mut characters) else { return words };
        words.push(word);
    }
}

fn word(characters: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut word = String::new();
    let mut quote = None;
    while let Some(character) = characters.next() {
        match character {
            '\\' => word.push(escape(characters)?),
            mark if quote == Some(mark) => quote = None,
            mark @ ('"' | '\'') if quote.is_none() => quote = Some(mark),
            blank if blank.is_ascii_whitespace() && quote.is_none() => return Some(word),
            other => word.push(other),
        }
    }
    // An unclosed quote is an error.
    quote.is_none().then_some(word)
}

/// Decodes the escape after a backslash.
fn escape(characters: &mut Peekable<Chars<'_>>) -> Option<char> {
    Some(match characters.next()? {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        's' => ' ',
        same @ ('\\' | '"' | '\'') => same,
        'x' => number(characters, 2, 16)?,
        'u' => number(characters, 4, 16)?,
        'U' => number(characters, 8, 16)?,
        digit @ '0'..='7' => {
            let rest = number(characters, 2, 8)?;
            char::from_u32(digit.to_digit(8)? * 64 + u32::from(rest))?
        }
        _ => return None,
    })
}

fn number(characters: &mut Peekable<Chars<'_>>, digits: usize, base: u32) -> Option<char> {
    let mut value: u32 = 0;
    for _ in 0..digits {
        value = value.checked_mul(base)?.checked_add(characters.next()?.to_digit(base)?)?;
    }
    char::from_u32(value)
}

/// Parses `NAME=VALUE`, with `%%` as a percent sign. Other specifiers describe the unit, never a proxy.
pub(super) fn variable(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    is_name(name).then(|| (name.to_owned(), value.replace("%%", "%")))
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
}

/// Parses an `EnvironmentFile=`: one variable per line, quoted as in a shell, without expansion.
pub(super) fn file(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut characters = text.chars().peekable();
    while characters.peek().is_some() {
        while characters.next_if(char::is_ascii_whitespace).is_some() {}
        if characters.peek().is_some_and(|first| matches!(first, '#' | ';')) {
            line(&mut characters);
            continue;
        }
        let mut name = String::new();
        let mut is_assignment = false;
        while let Some(character) = characters.next_if(|character| *character != '\n') {
            if character == '=' {
                is_assignment = true;
                break;
            }
            name.push(character);
        }
        if is_assignment {
            let value = value(&mut characters);
            let name = name.trim();
            if is_name(name) {
                found.push((name.to_owned(), value));
            }
        }
    }
    found
}

/// Skips the rest of a line, and the next one after a backslash.
fn line(characters: &mut Peekable<Chars<'_>>) {
    while let Some(character) = characters.next() {
        match character {
            '\\' => drop(characters.next()),
            '\n' => return,
            _ => {}
        }
    }
}

/// Reads a value up to the end of its line; unquoted blanks around it are trimmed.
fn value(characters: &mut Peekable<Chars<'_>>) -> String {
    let mut value = String::new();
    // Blanks up to here are part of the value.
    let mut kept = 0;
    while let Some(character) = characters.next() {
        match character {
            '\n' | '\r' => break,
            '\'' => {
                value.extend(characters.by_ref().take_while(|character| *character != '\''));
                kept = value.len();
            }
            '"' => {
                quoted(characters, &mut value);
                kept = value.len();
            }
            '\\' => {
                if let Some(escaped) = characters.next()
                    && escaped != '\n'
                {
                    value.push(escaped);
                    kept = value.len();
                }
            }
            blank if blank.is_ascii_whitespace() => {
                if !value.is_empty() {
                    value.push(blank);
                }
            }
            other => {
                value.push(other);
                kept = value.len();
            }
        }
    }
    value.truncate(kept);
    value
}

/// Reads the rest of a double-quoted string; a backslash escapes special characters.
fn quoted(characters: &mut Peekable<Chars<'_>>, value: &mut String) {
    while let Some(character) = characters.next() {
        match character {
            '"' => return,
            '\\' => match characters.next() {
                Some(escaped @ ('"' | '\\' | '`' | '$')) => value.push(escaped),
                Some('\n') | None => {}
                Some(other) => value.extend(['\\', other]),
            },
            other => value.push(other),
        }
    }
}
