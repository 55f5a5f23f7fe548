//! Reads JSON into a type as Go's `encoding/json` does, which is how containerd reads manifests and configurations.
//!
//! A value of the wrong type in any known field rejects the manifest, even in a field that no pull needs; unknown fields are
//! ignored. `null` equals absent, names are case-insensitive, and duplicate names are read in order. Values are slices of the
//! document, so nothing is copied unless requested. Pure. serde's derived types differ: they compare the case of names, reject
//! duplicates, and accept `null` only for an `Option`.

use std::fmt;

use base64::Engine as _;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Maximum nesting depth in Go (`maxNestingDepth` of its scanner).
const MAX_DEPTH: usize = 10_000;

/// A Go type, as far as parsing distinguishes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `string`.
    Text,
    /// `int` and `int64`.
    Integer,
    /// `bool`.
    Flag,
    /// `time.Time`.
    Time,
    /// `[]byte`.
    Bytes,
    /// A slice.
    List(&'static Self),
    /// A map with string keys.
    Map(&'static Self),
    /// A struct, or a pointer to one.
    Object(&'static [Field]),
    /// Parsed by the caller.
    Own,
}

/// A field's name in JSON, and its type.
pub(super) type Field = (&'static str, Kind);

/// A fault in a document, and its path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Fault {
    path: String,
    what: String,
}

impl Fault {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { path: String::new(), what: what.into() }
    }

    /// Prefixes the path with the name of the level above.
    pub(super) fn within(mut self, name: &str) -> Self {
        let separator = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{name}{separator}{}", self.path);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.path.is_empty() { "" } else { " " };
        write!(formatter, "{}{separator}{}", self.path, self.what)
    }
}

/// Parses a document. Invalid UTF-8 was replaced before, as Go does in strings; elsewhere both reject it.
pub(super) fn document(text: &str) -> Result<&RawValue, Fault> {
    if is_too_deep(text) {
        return Err(Fault::new(format!("is nested deeper than {MAX_DEPTH} levels")));
    }
    serde_json::from_str(text).map_err(|error| {
        Fault::new(format!("is not JSON (line {}, column {})", error.line(), error.column()))
    })
}

/// Whether brackets nest deeper than Go allows; Go checks this first.
fn is_too_deep(text: &str) -> bool {
    let (mut depth, mut is_text, mut is_escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b'[' | b'{' if !is_text => depth += 1,
            b']' | b'}' if !is_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

/// Reads an object: each known field is checked against its type, then passed on. A `null` has no fields.
pub(super) fn object<'json>(
    raw: &'json RawValue,
    fields: &[Field],
    mut each: impl FnMut(&'static str, &'json RawValue) -> Result<(), Fault>,
) -> Result<(), Fault> {
    entries(raw, |key, value| {
        let Some((name, kind)) = find(fields, &key) else { return Ok(()) };
        check(kind, value).and_then(|()| each(name, value)).map_err(|fault| fault.within(name))
    })
}

/// Reads a list element by element. A `null` has no elements.
pub(super) fn list<'json>(
    raw: &'json RawValue,
    mut each: impl FnMut(&'json RawValue) -> Result<(), Fault>,
) -> Result<(), Fault> {
    if is_null(raw) {
        return Ok(());
    }
    if !raw.get().starts_with('[') {
        return Err(unexpected(raw, "a list"));
    }
    let mut index = 0_usize;
    let mut fault = None;
    let outcome = serde_json::Deserializer::from_str(raw.get()).deserialize_seq(Elements {
        each: |element| {
            let read = each(element).map_err(|fault: Fault| fault.within(&format!("[{index}]")));
            index += 1;
            read
        },
        fault: &mut fault,
    });
    finished(outcome, fault)
}

/// Reads a string; empty for `null`.
pub(super) fn text(raw: &RawValue) -> Result<String, Fault> {
    if is_null(raw) {
        return Ok(String::new());
    }
    if !raw.get().starts_with('"') {
        return Err(unexpected(raw, "a string"));
    }
    let mut reader = serde_json::Deserializer::from_str(raw.get());
    Key::deserialize(&mut reader).map(|Key(text)| text).map_err(|_| unexpected(raw, "a string"))
}

/// Reads an integer; `None` for `null`.
pub(super) fn integer(raw: &RawValue) -> Result<Option<i64>, Fault> {
    if is_null(raw) {
        return Ok(None);
    }
    raw.get().parse().map(Some).map_err(|_| unexpected(raw, "a whole number"))
}

pub(super) fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// Checks a value against a type.
fn check(kind: Kind, raw: &RawValue) -> Result<(), Fault> {
    if is_null(raw) {
        return Ok(());
    }
    match kind {
        Kind::Own => Ok(()),
        Kind::Text if raw.get().starts_with('"') => Ok(()),
        Kind::Text => Err(unexpected(raw, "a string")),
        Kind::Integer => integer(raw).map(drop),
        Kind::Flag if matches!(raw.get(), "true" | "false") => Ok(()),
        Kind::Flag => Err(unexpected(raw, "true or false")),
        Kind::Time => {
            let is_time = text(raw).is_ok_and(|text| is_time(&text));
            if is_time { Ok(()) } else { Err(unexpected(raw, "a time such as 2027-05-01T00:00:00Z")) }
        }
        // Go also accepts an array of numbers.
        Kind::Bytes if raw.get().starts_with('[') => list(raw, |element| match integer(element)? {
            None | Some(0..=255) => Ok(()),
            Some(_) => Err(Fault::new("is not a byte")),
        }),
        Kind::Bytes => {
            let encoded = text(raw)?.replace(['\r', '\n'], "");
            let decoded = LENIENT.decode(encoded);
            decoded.map(drop).map_err(|_| Fault::new("is a string that is not base64"))
        }
        Kind::List(kind) => list(raw, |element| check(*kind, element)),
        // The names are untrusted, and not repeated in the message.
        Kind::Map(kind) => entries(raw, |_, value| {
            check(*kind, value).map_err(|fault| Fault::new(format!("has an entry that {fault}")))
        }),
        Kind::Object(fields) => object(raw, fields, |_, _| Ok(())),
    }
}

/// Like Go's standard encoding, which ignores trailing bits.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Reads an object, entry by entry.
fn entries<'json>(
    raw: &'json RawValue,
    mut each: impl FnMut(String, &'json RawValue) -> Result<(), Fault>,
) -> Result<(), Fault> {
    if is_null(raw) {
        return Ok(());
    }
    if !raw.get().starts_with('{') {
        return Err(unexpected(raw, "an object"));
    }
    let mut fault = None;
    let outcome = serde_json::Deserializer::from_str(raw.get())
        .deserialize_map(Entries { each: |key, value| each(key, value), fault: &mut fault });
    finished(outcome, fault)
}

/// Returns the fault that stopped parsing. Without one it cannot fail, since the document was parsed before.
fn finished(outcome: serde_json::Result<()>, fault: Option<Fault>) -> Result<(), Fault> {
    match fault {
        Some(fault) => Err(fault),
        None => outcome.map_err(|_| Fault::new("is not JSON")),
    }
}

/// Passes on the elements of a list until one has a fault.
struct Elements<'fault, Each> {
    each: Each,
    fault: &'fault mut Option<Fault>,
}

impl<'de, Each> Visitor<'de> for Elements<'_, Each>
where
    Each: FnMut(&'de RawValue) -> Result<(), Fault>,
{
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<List: SeqAccess<'de>>(mut self, mut elements: List) -> Result<(), List::Error> {
        while let Some(element) = elements.next_element::<&RawValue>()? {
            if let Err(found) = (self.each)(element) {
                *self.fault = Some(found);
                return Err(List::Error::custom("a fault was found"));
            }
        }
        Ok(())
    }
}

/// Passes on the entries of an object until one has a fault.
struct Entries<'fault, Each> {
    each: Each,
    fault: &'fault mut Option<Fault>,
}

impl<'de, Each> Visitor<'de> for Entries<'_, Each>
where
    Each: FnMut(String, &'de RawValue) -> Result<(), Fault>,
{
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<Map: MapAccess<'de>>(mut self, mut entries: Map) -> Result<(), Map::Error> {
        while let Some((Key(key), value)) = entries.next_entry::<Key, &RawValue>()? {
            if let Err(found) = (self.each)(key, value) {
                *self.fault = Some(found);
                return Err(Map::Error::custom("a fault was found"));
            }
        }
        Ok(())
    }
}

/// A string as Go reads it: invalid characters, such as half of a surrogate pair, are replaced.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<Reader: Deserializer<'de>>(reader: Reader) -> Result<Self, Reader::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Key;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Key, E> {
                Ok(Key(String::from_utf8_lossy(bytes).into_owned()))
            }
        }
        reader.deserialize_bytes(Bytes)
    }
}

/// Finds the field that Go would fill: names are case-insensitive, including two non-ASCII letters that fold to ASCII.
fn find(fields: &[Field], key: &str) -> Option<Field> {
    let is_exact = |(name, _): &&Field| *name == key;
    let is_alike = |(name, _): &&Field| folded(name).eq(folded(key));
    fields.iter().find(is_exact).or_else(|| fields.iter().find(is_alike)).copied()
}

fn folded(name: &str) -> impl Iterator<Item = char> {
    let lower = name.chars().flat_map(char::to_lowercase);
    lower.map(|character| if character == 'ſ' { 's' } else { character })
}

fn unexpected(raw: &RawValue, expected: &str) -> Fault {
    let found = match raw.get().as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b't' | b'f') => "true or false",
        _ => "a number",
    };
    let found = if found == expected { "another" } else { found };
    Fault::new(format!("is {found}, expected {expected}"))
}

/// RFC 3339 as Go's `time.Time` accepts it in JSON: upper-case letters, a point before fractions, no leap second.
fn is_time(text: &str) -> bool {
    let Some((date, rest)) = text.split_at_checked(19) else { return false };
    let is_shaped = date.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 | 16 => byte == b':',
        _ => byte.is_ascii_digit(),
    });
    if !is_shaped {
        return false;
    }
    let number = |range: std::ops::Range<usize>| date[range].parse::<i8>().unwrap_or(i8::MAX);
    let year = date[..4].parse::<i16>().unwrap_or(i16::MAX);
    let is_date = jiff::civil::Date::new(year, number(5..7), number(8..10)).is_ok();
    if !is_date || number(11..13) > 23 || number(14..16) > 59 || number(17..19) > 59 {
        return false;
    }
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|character: char| character.is_ascii_digit());
            if zone.len() == fraction.len() {
                return false;
            }
            zone
        }
        None => rest,
    };
    is_zone(zone)
}

fn is_zone(zone: &str) -> bool {
    let Some((hour, minute)) = zone.strip_prefix(['+', '-']).and_then(|offset| offset.split_once(':')) else {
        return zone == "Z";
    };
    let below = |text: &str, end: u8| {
        text.len() == 2
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && text.parse::<u8>().is_ok_and(|number| number < end)
    };
    below(hour, 24) && below(minute, 60)
}
