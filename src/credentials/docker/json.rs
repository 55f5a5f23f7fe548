//! JSON as Go's `encoding/json` reads it into the kubelet's types.
//!
//! Owns what a usual reader does otherwise: keys without case, keys that come twice, values that nobody needs and that may be
//! anything, half surrogates and bytes that are not UTF-8. Which keys there are is `docker`'s.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Go reads no deeper nesting.
const MAX_DEPTH: usize = 10_000;
/// What Go puts in place of what is not Unicode.
const REPLACEMENT: &str = "\\ufffd";

/// Why a text is not what Go would read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JsonError {
    /// No JSON at all, from this place on.
    Syntax { line: usize, column: usize },
    /// JSON of another type than the one that is needed.
    Type,
}

/// The keys and values of an object, in their order, with all that come twice.
pub(super) type Fields<'text> = Vec<(String, &'text RawValue)>;

/// A document as text, with what is not Unicode replaced.
pub(super) fn text_of(bytes: &[u8]) -> String {
    replace_half_surrogates(&text_of_bytes(bytes))
}

/// Bytes as text, with a replacement for each that is not UTF-8.
pub(super) fn text_of_bytes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

/// Reads a whole document; its values are read when they are needed.
pub(super) fn document(text: &str) -> Result<&RawValue, JsonError> {
    let document: &RawValue = serde_json::from_str(text)
        .map_err(|error| JsonError::Syntax { line: error.line(), column: error.column() })?;
    if is_too_deep(text) { Err(JsonError::Syntax { line: 1, column: 1 }) } else { Ok(document) }
}

/// The fields of an object; none for `null`, which Go reads as nothing.
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

/// A text; none for `null`, which leaves what was there before.
pub(super) fn string(value: &RawValue) -> Result<Option<String>, JsonError> {
    match value.get().as_bytes().first() {
        Some(b'n') => Ok(None),
        Some(b'"') => serde_json::from_str(value.get()).map(Some).map_err(|_| JsonError::Type),
        _ => Err(JsonError::Type),
    }
}

/// Whether a key is a field's name to Go: it looks at no case, and at two letters that have one of ASCII as their other case.
pub(super) fn is_field(key: &str, field: &str) -> bool {
    let fold = |character: char| match character {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    key.chars().map(fold).eq(field.chars().map(fold))
}

/// An object whose values have not been read yet.
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

/// Escapes of half a surrogate pair, which Go replaces and other readers refuse. A backslash is in strings only.
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

/// Whether a document is nested deeper than Go reads.
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
