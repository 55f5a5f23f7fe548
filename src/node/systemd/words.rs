//! The syntax of systemd's files: sections, continued lines, quoted words, and the files of variables.
//!
//! Pure. Follows systemd.syntax(7) and systemd.exec(5): what systemd ignores is ignored here.

use std::iter::Peekable;
use std::str::Chars;

/// Every assignment of a unit: section, key, value. Lines that end in a backslash go on in the next one.
pub(super) fn assignments(text: &str) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    let mut section = String::new();
    let mut continued: Option<String> = None;
    for line in text.lines() {
        let trimmed = line.trim_start();
        if trimmed.starts_with(['#', ';']) {
            // Also in the middle of a continued line.
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

/// The words of a value: blanks divide them, quotation marks hold them together, backslashes are C's. What follows a mistake
/// is ignored.
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
    // A quotation that is never closed is a mistake.
    quote.is_none().then_some(word)
}

/// What follows a backslash.
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

/// `NAME=VALUE` with `%%` as a percent sign: what else a percent sign may begin names things of the unit, never a proxy.
pub(super) fn variable(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    is_name(name).then(|| (name.to_owned(), value.replace("%%", "%")))
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
}

/// The variables of a file that `EnvironmentFile=` names: a line each, quoted as in a shell, and nothing is expanded.
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

/// Passes over the rest of a line, and over the next one where a backslash joins them.
fn line(characters: &mut Peekable<Chars<'_>>) {
    while let Some(character) = characters.next() {
        match character {
            '\\' => drop(characters.next()),
            '\n' => return,
            _ => {}
        }
    }
}

/// A value up to the end of its line; blanks around it go unless they are quoted.
fn value(characters: &mut Peekable<Chars<'_>>) -> String {
    let mut value = String::new();
    // Up to here blanks are part of the value.
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

/// The rest of a text in double quotation marks: a backslash takes the meaning from what has one there.
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
