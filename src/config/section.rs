//! Walks through the sections and keys of a configuration file and collects every problem.
//!
//! Owns the errors that any key can have: an unknown key with the nearest known one, a list instead of a string, a number
//! out of bounds. The keys themselves are defined in `file`.

use std::fmt;
use std::path::{Path, PathBuf};

use strsim::osa_distance;

use super::value::Refusal;
use crate::text::quote::{quote, quote_value};
use crate::text::yaml::{Fault, Node, Position, Value};

/// Problems shown for one file; with more than that it is probably the wrong file.
const MAX_SHOWN: usize = 50;

/// All errors of a configuration file; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    path: PathBuf,
    problems: Vec<Problem>,
}

/// An error in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    position: Option<Position>,
    message: String,
}

impl ConfigErrors {
    /// The only problem of a file that could not be read.
    pub(super) fn unreadable(path: &Path, message: String) -> Self {
        let problem = Problem { position: None, message };
        Self { path: path.to_owned(), problems: vec![problem] }
    }

    /// One line for each problem: `FILE:LINE:COLUMN: invalid value …`.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let path = self.path.display();
        self.lines_with(|position| match position {
            Some(position) => format!("{path}:{position}: "),
            None => format!("{path}: "),
        })
    }

    /// One line for each problem, without the file, which the reader knows: `line 4: invalid value …`.
    #[must_use]
    pub fn by_line(&self) -> Vec<String> {
        self.lines_with(|position| {
            position.map_or_else(String::new, |position| format!("line {}: ", position.line))
        })
    }

    fn lines_with(&self, place: impl Fn(Option<Position>) -> String) -> Vec<String> {
        let shown = self
            .problems
            .iter()
            .take(MAX_SHOWN)
            .map(|problem| format!("{}{}", place(problem.position), problem.message));
        let left = self.problems.len().saturating_sub(MAX_SHOWN);
        let rest = (left > 0).then(|| format!("{}and {left} more problems", place(None)));
        shown.chain(rest).collect()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.lines().join("\n"))
    }
}

impl std::error::Error for ConfigErrors {}

/// The problems found so far.
#[derive(Default)]
pub(super) struct Reader {
    problems: Vec<Problem>,
}

/// A value with the path of keys that leads to it.
#[derive(Clone)]
pub(super) struct Field<'tree> {
    /// `images[0].credentials.path`.
    pub(super) key: String,
    pub(super) node: &'tree Node,
}

/// A mapping whose keys are known.
pub(super) struct Section<'tree> {
    key: String,
    position: Position,
    fields: Vec<(&'tree str, Field<'tree>)>,
}

impl Reader {
    /// Starts with the faults of the YAML itself.
    pub(super) fn from_faults(faults: Vec<Fault>) -> Self {
        let problem = |fault: Fault| Problem { position: Some(fault.position), message: fault.message };
        Self { problems: faults.into_iter().map(problem).collect() }
    }

    /// Returns the value, or all problems in the order of the file.
    pub(super) fn finish<T>(mut self, path: &Path, value: Option<T>) -> Result<T, ConfigErrors> {
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            Some(_) | None => {
                self.problems.sort_by_key(|problem| problem.position);
                Err(ConfigErrors { path: path.to_owned(), problems: self.problems })
            }
        }
    }

    /// Whether no problem was found so far.
    pub(super) const fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    /// Records a problem at a position.
    pub(super) fn refuse_at(&mut self, position: Position, message: String) {
        self.problems.push(Problem { position: Some(position), message });
    }

    /// Records an invalid value.
    pub(super) fn refuse(&mut self, field: &Field<'_>, refusal: &Refusal) {
        self.refuse_at(field.node.position, refusal.about(&field.key));
    }

    /// Opens a mapping and rejects unknown keys. An empty value is a mapping without keys.
    pub(super) fn section<'tree>(&mut self, field: &Field<'tree>, known: &[&str]) -> Option<Section<'tree>> {
        let mut fields = Vec::new();
        for (name, position, inner) in self.entries(field, known)? {
            if known.contains(&name) {
                fields.push((name, inner));
            } else {
                self.refuse_at(position, unknown_key(name, &field.key, known));
            }
        }
        Some(Section { key: field.key.clone(), position: field.node.position, fields })
    }

    /// The entries of a mapping whose keys the operator chooses; `examples` shows possible ones.
    pub(super) fn entries<'tree>(
        &mut self,
        field: &Field<'tree>,
        examples: &[&str],
    ) -> Option<Vec<(&'tree str, Position, Field<'tree>)>> {
        match &field.node.value {
            Value::Mapping(entries) => {
                let inner = |key: &str| join(&field.key, key);
                let entry = entries.iter().map(|entry| {
                    let inner = Field { key: inner(&entry.key), node: &entry.value };
                    (entry.key.as_str(), entry.position, inner)
                });
                Some(entry.collect())
            }
            value if value.is_null() => Some(Vec::new()),
            Value::Plain(_) | Value::Quoted(_) | Value::Sequence(_) => {
                let expected = match examples {
                    [] => "an empty mapping, {}".to_owned(),
                    keys => format!("a mapping with the keys {}", keys.join(", ")),
                };
                self.refuse(field, &Refusal::unquoted(kind(&field.node.value), expected));
                None
            }
        }
    }

    /// The items of a list. An empty value is an empty list.
    pub(super) fn items<'tree>(&mut self, field: &Field<'tree>, of: &str) -> Option<Vec<Field<'tree>>> {
        match &field.node.value {
            Value::Sequence(items) => {
                let item = |(index, node)| Field { key: format!("{}[{index}]", field.key), node };
                Some(items.iter().enumerate().map(item).collect())
            }
            value if value.is_null() => Some(Vec::new()),
            Value::Plain(_) | Value::Quoted(_) | Value::Mapping(_) => {
                self.refuse(field, &Refusal::unquoted(kind(&field.node.value), format!("a list of {of}")));
                None
            }
        }
    }

    /// A string that `parse` accepts.
    pub(super) fn text<T>(
        &mut self,
        field: &Field<'_>,
        parse: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Option<T> {
        let parsed = match &field.node.value {
            value if value.is_null() => parse(""),
            Value::Plain(text) | Value::Quoted(text) => parse(text),
            // Only to learn which form is expected: the value is not a string.
            Value::Sequence(_) | Value::Mapping(_) => {
                parse("").map_err(|refusal| Refusal::unquoted(kind(&field.node.value), refusal.expected))
            }
        };
        match parsed {
            Ok(value) => Some(value),
            Err(refusal) if field.node.value.is_null() => {
                self.refuse(field, &Refusal::unquoted(EMPTY, refusal.expected));
                None
            }
            Err(refusal) => {
                self.refuse(field, &refusal);
                None
            }
        }
    }

    /// A number or boolean that `parse` accepts; between quotation marks it is a string.
    pub(super) fn plain<T>(
        &mut self,
        field: &Field<'_>,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let refusal = match &field.node.value {
            value if value.is_null() => Refusal::unquoted(EMPTY, expected),
            Value::Plain(text) => match parse(text) {
                Some(value) => return Some(value),
                None => Refusal::new(text, expected),
            },
            Value::Quoted(text) => Refusal::new(text, expected).because("it is a string"),
            Value::Sequence(_) | Value::Mapping(_) => Refusal::unquoted(kind(&field.node.value), expected),
        };
        self.refuse(field, &refusal);
        None
    }
}

impl<'tree> Section<'tree> {
    /// The value of a key, if present.
    pub(super) fn get(&self, name: &str) -> Option<&Field<'tree>> {
        self.fields.iter().find(|(key, _)| *key == name).map(|(_, field)| field)
    }

    /// The value of a required key.
    pub(super) fn require(&self, reader: &mut Reader, name: &str) -> Option<&Field<'tree>> {
        let field = self.get(name);
        if field.is_none() {
            reader.refuse_at(self.position, format!("missing key {}", join(&self.key, name)));
        }
        field
    }
}

/// Why an empty value is invalid.
const EMPTY: &str = "it is empty";

/// The type of a value. The value itself is not shown: it may be a password in the wrong place.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Plain(_) | Value::Quoted(_) => "found a string",
        Value::Sequence(_) => "found a list",
        Value::Mapping(_) => "found a mapping",
    }
}

fn join(path: &str, key: &str) -> String {
    let plain = !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    let key = if plain && key.len() <= 63 { key.to_owned() } else { quote(key) };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

fn unknown_key(name: &str, path: &str, known: &[&str]) -> String {
    const SECRETS: [&str; 5] = ["password", "username", "user", "token", "auth"];
    let lower = name.to_ascii_lowercase();
    let place = if path.is_empty() { String::new() } else { format!(" in {path}") };
    let unknown = format!("unknown key {}{place}", quote_value(name));
    if SECRETS.contains(&lower.as_str()) {
        return format!(
            "{unknown}: credentials do not belong in the configuration; store them in a Secret and set \
             credentials.path to the folder where it is mounted"
        );
    }
    // Every known key is shorter, so the rest of a longer one cannot bring it nearer.
    let start: String = lower.chars().take(64).collect();
    // A key that differs in more than half of its letters, or in more than three, is a different word.
    let nearest = known
        .iter()
        .map(|candidate| (osa_distance(&start, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= (lower.len() / 2).min(3))
        .min_by_key(|(distance, _)| *distance);
    let hint = nearest.map(|(_, key)| format!(" (did you mean \"{key}\"?)")).unwrap_or_default();
    match known {
        [] => format!("{unknown}: expected no keys"),
        [only] => format!("{unknown}{hint}: expected {only}"),
        several => format!("{unknown}{hint}: expected one of {}", several.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::unknown_key;

    #[test]
    fn an_unknown_key_suggests_the_nearest_known_one() {
        let unknown_key = |name, known: &[&str]| unknown_key(name, "tls", known);
        assert!(unknown_key("intervall", &["interval", "jitter"]).contains("did you mean \"interval\"?"));
        assert_eq!(
            unknown_key("CaFile", &["caFile"]),
            "unknown key \"CaFile\" in tls (did you mean \"caFile\"?): expected caFile"
        );
        assert!(!unknown_key("colour", &["interval", "jitter"]).contains("did you mean"));
        assert!(unknown_key("password", &["path"]).contains("do not belong in the configuration"));
    }
}
