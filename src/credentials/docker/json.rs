//! JSON as Go's `encoding/json` reads it into the kubelet's types.
//!
//! Owns the differences from a usual JSON parser: case-insensitive keys, repeated keys, unused values of any type, lone
//! surrogates and bytes that are not UTF-8. The keys themselves are defined in `docker`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Deepest nesting that Go accepts.
const MAX_DEPTH: usize = 10_000;
/// Go's replacement for invalid Unicode.
const REPLACEMENT: &str = "\\ufffd";

/// Why Go would reject a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JsonError {
    /// Invalid JSON from this position on.
    Syntax { line: usize, column: usize },
    /// Valid JSON of another type than expected.
    Type,
}

/// The keys and values of an object in document order, including repeated ones.
pub(super) type Fields<'text> = Vec<(String, &'text RawValue)>;

/// A document as text, with invalid Unicode replaced.
pub(super) fn text_of(bytes: &[u8]) -> String {
    replace_half_surrogates(&text_of_bytes(bytes))
}

/// Bytes as text, with every byte that is not UTF-8 replaced.
pub(super) fn text_of_bytes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

/// Parses a document; its values are parsed on demand.
pub(super) fn document(text: &str) -> Result<&RawValue, JsonError> {
    let document: &RawValue = serde_json::from_str(text)
        .map_err(|error| JsonError::Syntax { line: error.line(), column: error.column() })?;
    if is_too_deep(text) { Err(JsonError::Syntax { line: 1, column: 1 }) } else { Ok(document) }
}

/// The fields of an object; `None` for `null`, which Go treats as absent.
pub(super) fn object(value: &RawValue) -> Result<Option<Fields<'_>>, JsonError> {
    match value.get().as_bytes().first() {
        Some(b'n') => Ok(None),
        Some(b'{') => match serde_json::from_str::<Object<'_>>(value.get()) {
            Ok(Object(fields)) => Ok(Some(fields)),
            Err(error) => Err(JsonError::Syntax { line: error.line(), column: error.column() }),
        },
        _ => Err(JsonError::Type),
    }
}

/// A string; `None` for `null`, which leaves the previous value in place.
pub(super) fn string(value: &RawValue) -> Result<Option<String>, JsonError> {
    match value.get().as_bytes().first() {
        Some(b'n') => Ok(None),
        Some(b'"') => serde_json::from_str(value.get()).map(Some).map_err(|_| JsonError::Type),
        _ => Err(JsonError::Type),
    }
}

/// Whether Go takes a key for this field: case is ignored, also for the two non-ASCII letters that fold to `s` and `k`.
pub(super) fn is_field(key: &str, field: &str) -> bool {
    let fold = |character: char| match character {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    key.chars().map(fold).eq(field.chars().map(fold))
}

/// An object whose values are not parsed yet.
struct Object<'text>(Fields<'text>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// Replaces escapes of lone surrogates, as Go does; other parsers reject them. A backslash occurs only in strings.
fn replace_half_surrogates(text: &str) -> String {
    let code = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        digits
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit())
            .then(|| u16::from_str_radix(digits, 16).ok())
            .flatten()
    };
    let mut replaced = String::with_capacity(text.len());
    let mut rest = 0;
    while let Some(position) = text[rest..].find('\\') {
        let at = rest + position;
        replaced.push_str(&text[rest..at]);
        let (piece, length) = match code(at) {
            Some(0xd800..=0xdbff) if code(at + 6).is_some_and(|low| (0xdc00..=0xdfff).contains(&low)) => {
                (&text[at..at + 12], 12)
            }
            Some(0xd800..=0xdfff) => (REPLACEMENT, 6),
            Some(_) => (&text[at..at + 6], 6),
            None => {
                let behind = text[at + 1..].chars().next().map_or(0, char::len_utf8);
                (&text[at..=at + behind], 1 + behind)
            }
        };
        replaced.push_str(piece);
        rest = at + length;
    }
    replaced.push_str(&text[rest..]);
    replaced
}

/// Whether a document is nested deeper than Go accepts.
fn is_too_deep(text: &str) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    text.bytes().any(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > MAX_DEPTH
    })
}
