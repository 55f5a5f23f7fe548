//! The walk through a configuration file: sections, keys, and every problem on the way.
//!
//! Owns the collecting of problems and the words that hold for every key: unknown keys with the nearest known one, a
//! list where a text belongs, a number out of bounds. Which keys there are is `file`'s.

use std::fmt;
use std::path::{Path, PathBuf};

use super::value::Refusal;
use super::yaml::{Fault, Node, Position, Value};
use crate::quote::quote;

/// Problems that are shown of one file; whoever has more has mistaken the file.
const MAX_SHOWN: usize = 50;

/// Everything that is wrong with a configuration file; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    path: PathBuf,
    problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    position: Option<Position>,
    key: String,
    message: String,
}

impl ConfigErrors {
    /// The one problem of a file that could not be read at all.
    pub(super) fn unreadable(path: &Path, message: String) -> Self {
        let problem = Problem { position: None, key: String::new(), message };
        Self { path: path.to_owned(), problems: vec![problem] }
    }

    /// Each problem on a line of its own: `FILE:LINE:COLUMN: key.path: found …; allowed is …`.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let path = self.path.display();
        self.told(|position| match position {
            Some(position) => format!("{path}:{position}: "),
            None => format!("{path}: "),
        })
    }

    /// Each problem without the file, which its reader knows: `line 4: key.path: found …; allowed is …`.
    #[must_use]
    pub fn by_line(&self) -> Vec<String> {
        self.told(|position| {
            position.map_or_else(String::new, |position| format!("line {}: ", position.line))
        })
    }

    fn told(&self, place: impl Fn(Option<Position>) -> String) -> Vec<String> {
        let shown = self.problems.iter().take(MAX_SHOWN).map(|problem| {
            let separator = if problem.key.is_empty() { "" } else { ": " };
            format!("{}{}{separator}{}", place(problem.position), problem.key, problem.message)
        });
        let left = self.problems.len().saturating_sub(MAX_SHOWN);
        let rest = (left > 0).then(|| format!("{}and {left} problems more", place(None)));
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
    /// The value.
    pub(super) node: &'tree Node,
}

/// A mapping whose keys are known.
pub(super) struct Section<'tree> {
    key: String,
    position: Position,
    fields: Vec<(&'tree str, Field<'tree>)>,
}

impl Reader {
    /// What the tree itself has against it.
    pub(super) fn from_faults(faults: Vec<Fault>) -> Self {
        let problem = |fault: Fault| Problem {
            position: Some(fault.position),
            key: String::new(),
            message: fault.message,
        };
        Self { problems: faults.into_iter().map(problem).collect() }
    }

    /// The value, if there was no problem; all problems in the order of the file, if there were.
    pub(super) fn finish<T>(mut self, path: &Path, value: Option<T>) -> Result<T, ConfigErrors> {
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            Some(_) | None => {
                self.problems.sort_by_key(|problem| problem.position);
                Err(ConfigErrors { path: path.to_owned(), problems: self.problems })
            }
        }
    }

    /// Whether no problem has been found so far.
    pub(super) const fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    /// Notes a problem at a place.
    pub(super) fn refuse_at(&mut self, position: Position, key: &str, message: impl fmt::Display) {
        let problem = Problem { position: Some(position), key: key.to_owned(), message: message.to_string() };
        self.problems.push(problem);
    }

    /// Notes a problem with a value.
    pub(super) fn refuse(&mut self, field: &Field<'_>, message: impl fmt::Display) {
        self.refuse_at(field.node.position, &field.key, message);
    }

    /// Opens a mapping, and refuses the keys that are not known. Nothing written is a mapping without keys.
    pub(super) fn section<'tree>(&mut self, field: &Field<'tree>, known: &[&str]) -> Option<Section<'tree>> {
        let mut fields = Vec::new();
        for (name, position, inner) in self.entries(field, known)? {
            if known.contains(&name) {
                fields.push((name, inner));
            } else {
                self.refuse_at(position, &field.key, unknown_key(name, known));
            }
        }
        Some(Section { key: field.key.clone(), position: field.node.position, fields })
    }

    /// The entries of a mapping whose keys are the operator's own; `examples` says what they could be.
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
                let allowed = format!("a mapping with the keys {}", examples.join(", "));
                self.refuse(field, Refusal::new(kind(&field.node.value), allowed));
                None
            }
        }
    }

    /// The items of a list. Nothing written is a list without items.
    pub(super) fn items<'tree>(&mut self, field: &Field<'tree>, of: &str) -> Option<Vec<Field<'tree>>> {
        match &field.node.value {
            Value::Sequence(items) => {
                let item = |(index, node)| Field { key: format!("{}[{index}]", field.key), node };
                Some(items.iter().enumerate().map(item).collect())
            }
            value if value.is_null() => Some(Vec::new()),
            Value::Plain(_) | Value::Quoted(_) | Value::Mapping(_) => {
                self.refuse(field, Refusal::new(kind(&field.node.value), format!("a list of {of}")));
                None
            }
        }
    }

    /// A text that `parse` takes.
    pub(super) fn text<T>(
        &mut self,
        field: &Field<'_>,
        parse: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Option<T> {
        let parsed = match &field.node.value {
            value if value.is_null() => parse(""),
            Value::Plain(text) | Value::Quoted(text) => parse(text),
            // `parse` is asked for the form that is allowed; what was found is of another kind altogether.
            Value::Sequence(_) | Value::Mapping(_) => {
                parse("").map_err(|refusal| Refusal::new(kind(&field.node.value), refusal.allowed))
            }
        };
        match parsed {
            Ok(value) => Some(value),
            Err(mut refusal) => {
                if field.node.value.is_null() {
                    "nothing".clone_into(&mut refusal.found);
                }
                self.refuse(field, refusal);
                None
            }
        }
    }

    /// A number that `parse` takes; between quotation marks it is a text and none.
    pub(super) fn plain<T>(
        &mut self,
        field: &Field<'_>,
        allowed: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let found = match &field.node.value {
            value if value.is_null() => "nothing".to_owned(),
            Value::Plain(text) => match parse(text) {
                Some(value) => return Some(value),
                None => quote(text),
            },
            Value::Quoted(text) => format!("the text {}", quote(text)),
            Value::Sequence(_) | Value::Mapping(_) => kind(&field.node.value).to_owned(),
        };
        self.refuse(field, Refusal::new(found, allowed));
        None
    }
}

impl<'tree> Section<'tree> {
    /// The value of a key, when it is there.
    pub(super) fn get(&self, name: &str) -> Option<&Field<'tree>> {
        self.fields.iter().find(|(key, _)| *key == name).map(|(_, field)| field)
    }

    /// The value of a key that must be there.
    pub(super) fn require(&self, reader: &mut Reader, name: &str) -> Option<&Field<'tree>> {
        let field = self.get(name);
        if field.is_none() {
            reader.refuse_at(self.position, &join(&self.key, name), "this key is missing");
        }
        field
    }
}

/// What a value is, without showing it: where the kind is wrong, it may be a password in the wrong place.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Plain(_) | Value::Quoted(_) => "a text",
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a mapping",
    }
}

fn join(path: &str, key: &str) -> String {
    let plain = !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    let key = if plain && key.len() <= 63 { key.to_owned() } else { quote(key) };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

fn unknown_key(name: &str, known: &[&str]) -> String {
    const SECRETS: [&str; 5] = ["password", "username", "user", "token", "auth"];
    let lower = name.to_ascii_lowercase();
    if SECRETS.contains(&lower.as_str()) {
        return format!(
            "found the unknown key {}; credentials never stand in a configuration: put them into a Secret and name \
             its folder in credentials.path",
            quote(name)
        );
    }
    // Beyond half of its letters, or three of them, it is another word.
    let nearest = known
        .iter()
        .map(|candidate| (distance(&lower, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= (lower.len() / 2).min(3))
        .min_by_key(|(distance, _)| *distance);
    let hint = nearest.map(|(_, key)| format!(" (did you mean `{key}`?)")).unwrap_or_default();
    format!("found the unknown key {}{hint}; allowed is {}", quote(name), known.join(", "))
}

/// How many letters have to be put in, left out, replaced or swapped with their neighbour to make one text the other
/// (the optimal string alignment distance).
fn distance(one: &str, other: &str) -> usize {
    // A key of a configuration has less than 64 letters; what is longer is far from it anyway.
    let one: Vec<char> = one.chars().take(64).collect();
    let other: Vec<char> = other.chars().collect();
    let mut rows: Vec<Vec<usize>> = vec![(0..=other.len()).collect()];
    for line in 1..=one.len() {
        let mut row = vec![line];
        for column in 1..=other.len() {
            let (letter, candidate) = (one[line - 1], other[column - 1]);
            let replaced = rows[line - 1][column - 1] + usize::from(letter != candidate);
            let mut best = replaced.min(rows[line - 1][column] + 1).min(row[column - 1] + 1);
            let swapped = line > 1 && column > 1 && letter == other[column - 2] && candidate == one[line - 2];
            if swapped {
                best = best.min(rows[line - 2][column - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, unknown_key};

    #[test]
    fn the_nearest_key_is_suggested_and_a_strange_one_is_not() {
        assert_eq!(distance("intervall", "interval"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("nmae", "name"), 1);
        assert!(unknown_key("intervall", &["interval", "jitter"]).contains("did you mean `interval`?"));
        assert!(unknown_key("CaFile", &["caFile"]).contains("did you mean `caFile`?"));
        assert!(!unknown_key("colour", &["interval", "jitter"]).contains("did you mean"));
        assert!(unknown_key("password", &["path"]).contains("never stand in a configuration"));
    }
}
