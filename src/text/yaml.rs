//! Parses YAML into a small tree with the position of every node.
//!
//! Rejects features that a configuration does not need and that would confuse an operator: duplicate keys, anchors,
//! aliases, tags, several documents, deep nesting. Types and known keys are left to the modules that read a configuration or a
//! kubeconfig. A fault names a place and never quotes the lines around it, which may contain a password.
//!
//! Builds on the parser's events rather than on serde-saphyr, which stops at the first error, and resolves what must be
//! rejected: aliases and merge keys are expanded, tags dropped, and plain scalars lose their text (`1.10` becomes 1.1,
//! `yes` true, `0x10` 16).

use std::fmt;

use granit_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};

use crate::text::quote::quote_value;

/// Deepest nesting that is accepted; a configuration needs five levels.
pub(crate) const MAX_DEPTH: usize = 32;

/// Most keys of a mapping and items of a list. Every key is compared with those before it, so this bounds the time.
const MAX_ENTRIES: usize = 1000;

/// A position in the text; both numbers start at 1, columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Position {
    /// The start of the text.
    pub(crate) const START: Self = Self { line: 1, column: 1 };

    fn of(marker: &Marker) -> Self {
        // The parser counts columns from 0.
        Self { line: marker.line().max(1), column: marker.col() + 1 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.line, self.column)
    }
}

/// One node of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) position: Position,
    pub(crate) value: Value,
}

/// The content of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// A scalar without quotation marks: a string, a number, a boolean or null.
    Plain(String),
    /// A quoted or block scalar: always a string.
    Quoted(String),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys with their values, in file order, without duplicates.
    Mapping(Vec<Entry>),
}

impl Value {
    /// Whether the value is empty.
    #[must_use]
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Plain(text) if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    /// The position of the key.
    pub(crate) position: Position,
    pub(crate) value: Node,
}

/// Something that is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) position: Position,
    /// A sentence without its full stop.
    pub(crate) message: String,
}

/// The tree of a text, as far as it was parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tree {
    /// The document; absent if the text is empty or was not parsed to its end.
    pub(crate) root: Option<Node>,
    /// Everything that is not accepted; the tree is only valid if this is empty.
    pub(crate) faults: Vec<Fault>,
}

/// Parses a text of one document.
#[must_use]
pub(crate) fn parse(text: &str) -> Tree {
    build(text, Builder::default())
}

/// Parses the first document of a text and ignores what follows.
#[must_use]
pub(crate) fn parse_first(text: &str) -> Tree {
    build(text, Builder { first_only: true, ..Builder::default() })
}

fn build(text: &str, mut builder: Builder) -> Tree {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let options = granit_parser::options! { emit_comments: false };
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((event, span)) => {
                if builder.take(event, span).is_break() {
                    break;
                }
            }
            Err(error) => {
                // The parser's messages describe the grammar and quote at most a character.
                builder.fault(Position::of(error.marker()), format!("not valid YAML: {}", error.info()));
                builder.root = None;
                break;
            }
        }
    }
    Tree { root: builder.root, faults: builder.faults }
}

/// The tree under construction: open collections, innermost last.
#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    /// Whether further documents are ignored.
    first_only: bool,
    faults: Vec<Fault>,
}

/// A collection that is not closed yet.
enum Open {
    Sequence { position: Position, items: Vec<Node> },
    Mapping { position: Position, entries: Vec<Entry>, key: Option<(String, Position)> },
}

impl Builder {
    fn fault(&mut self, position: Position, message: impl Into<String>) {
        self.faults.push(Fault { position, message: message.into() });
    }

    /// Handles one event; breaks off if continuing would be pointless.
    fn take(&mut self, event: Event<'_>, span: Span) -> std::ops::ControlFlow<()> {
        use std::ops::ControlFlow::{Break, Continue};
        let position = Position::of(&span.start);
        match event {
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Continue(()),
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents == 1 {
                    return Continue(());
                }
                if !self.first_only {
                    self.fault(position, "a second document starts here: expected only one");
                }
                Break(())
            }
            Event::Alias(_) => {
                self.fault(position, "aliases are not supported: write out the value");
                self.add(Node { position, value: Value::Plain(String::new()) })
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_decoration(position, anchor, tag.as_deref());
                let text = text.into_owned();
                let value = match style {
                    ScalarStyle::Plain => Value::Plain(text),
                    ScalarStyle::SingleQuoted
                    | ScalarStyle::DoubleQuoted
                    | ScalarStyle::Literal
                    | ScalarStyle::Folded => Value::Quoted(text),
                };
                self.add(Node { position, value })
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_decoration(position, anchor, tag.as_deref());
                self.open(position, Open::Sequence { position, items: Vec::new() })
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_decoration(position, anchor, tag.as_deref());
                self.open(position, Open::Mapping { position, entries: Vec::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::Sequence { position, items }) => {
                    self.add(Node { position, value: Value::Sequence(items) })
                }
                Some(Open::Mapping { position, entries, .. }) => {
                    self.add(Node { position, value: Value::Mapping(entries) })
                }
                None => Break(()),
            },
            // Only emitted on request.
            Event::Anchor(..) | Event::UnresolvedAlias(_) | Event::Comment(..) | _ => Continue(()),
        }
    }

    fn refuse_decoration(&mut self, position: Position, anchor: usize, tag: Option<&Tag>) {
        if anchor != 0 {
            self.fault(position, "anchors are not supported: write out the value wherever it is used");
        }
        // A tag may be a password that starts with an exclamation mark, so it is not quoted.
        if tag.is_some() {
            self.fault(
                position,
                "tags are not supported: remove the tag, or quote a value that starts with `!`",
            );
        }
    }

    fn open(&mut self, position: Position, collection: Open) -> std::ops::ControlFlow<()> {
        if matches!(self.open.last(), Some(Open::Mapping { key: None, .. })) {
            self.fault(position, "invalid key: found a list or a mapping; expected a string");
            return std::ops::ControlFlow::Break(());
        }
        if self.open.len() == MAX_DEPTH {
            self.fault(position, format!("nested too deeply: expected at most {MAX_DEPTH} levels"));
            return std::ops::ControlFlow::Break(());
        }
        self.open.push(collection);
        std::ops::ControlFlow::Continue(())
    }

    /// Adds a complete node to the innermost open collection, or sets it as the root.
    fn add(&mut self, node: Node) -> std::ops::ControlFlow<()> {
        let is_full = match self.open.last() {
            Some(Open::Sequence { items, .. }) => items.len() == MAX_ENTRIES,
            Some(Open::Mapping { entries, .. }) => entries.len() == MAX_ENTRIES,
            None => false,
        };
        if is_full || self.faults.len() > MAX_ENTRIES {
            let message = format!("too many entries: expected at most {MAX_ENTRIES} keys or items here");
            self.fault(node.position, message);
            self.root = None;
            return std::ops::ControlFlow::Break(());
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::Sequence { items, .. }) => items.push(node),
            Some(Open::Mapping { entries, key, .. }) => match key.take() {
                Some((name, position)) => match entries.iter().find(|entry| entry.key == name) {
                    None => entries.push(Entry { key: name, position, value: node }),
                    Some(first) => {
                        let message = format!(
                            "duplicate key {}: already set in line {}",
                            quote_value(&name),
                            first.position.line
                        );
                        self.fault(position, message);
                    }
                },
                None => match node.value {
                    Value::Plain(text) | Value::Quoted(text) => *key = Some((text, node.position)),
                    Value::Sequence(_) | Value::Mapping(_) => return std::ops::ControlFlow::Break(()),
                },
            },
        }
        std::ops::ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_DEPTH, Position, Value, parse};
    use proptest::prelude::*;

    fn faults(text: &str) -> Vec<String> {
        parse(text).faults.into_iter().map(|fault| format!("{}: {}", fault.position, fault.message)).collect()
    }

    #[test]
    fn positions_start_at_one() {
        let tree = parse("a: 1\nb:\n  - x\n  - {c: 'ü', d: \"e\"}\n");
        assert_eq!(tree.faults, []);
        let Some(Value::Mapping(entries)) = tree.root.map(|root| root.value) else { panic!("a mapping") };
        assert_eq!(entries[0].position, Position { line: 1, column: 1 });
        assert_eq!(entries[0].value.position, Position { line: 1, column: 4 });
        let Value::Sequence(items) = &entries[1].value.value else { panic!("a list") };
        assert_eq!(items[0].position, Position { line: 3, column: 5 });
        let Value::Mapping(inner) = &items[1].value else { panic!("a mapping") };
        assert_eq!(inner[1].key, "d");
        assert_eq!(inner[1].position, Position { line: 4, column: 14 });
        assert_eq!(inner[1].value.value, Value::Quoted("e".to_owned()));
    }

    #[test]
    fn unsupported_yaml_is_rejected() {
        for (text, expected) in [
            ("a: 1\na: 2\n", "2:1: duplicate key \"a\": already set in line 1"),
            ("a: &x 1\n", "1:7: anchors are not supported: write out the value wherever it is used"),
            (
                "a: !!str 1\n",
                "1:10: tags are not supported: remove the tag, or quote a value that starts with `!`",
            ),
            ("a: 1\n---\nb: 2\n", "2:1: a second document starts here: expected only one"),
            ("[a]: 1\n", "1:1: invalid key: found a list or a mapping; expected a string"),
        ] {
            assert_eq!(faults(text), [expected], "{text}");
        }
        assert_eq!(faults("a: &x 1\nb: *x\n").len(), 2);
        assert!(faults("a: [1\n")[0].contains("not valid YAML"));
        assert_eq!(faults("a: 1\na: 2\nb: &x 1\n").len(), 2, "every fault at once");
    }

    #[test]
    fn deep_nesting_and_many_entries_are_rejected_early() {
        let deep = format!("{}{}", "[".repeat(MAX_DEPTH + 1), "]".repeat(MAX_DEPTH + 1));
        assert!(faults(&deep)[0].contains("nested too deeply"));
        let block: String = (0..1000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
        assert!(faults(&block)[0].contains("nested too deeply"));
        assert!(!faults(&"[".repeat(1 << 20)).is_empty());
        assert!(!faults(&"- ".repeat(1 << 19)).is_empty());
        let many: String = (0..100_000).map(|number| format!("k{number}: 1\n")).collect();
        assert_eq!(faults(&many), ["1001:1: too many entries: expected at most 1000 keys or items here"]);
        assert_eq!(faults(&"- a\n".repeat(100_000)).len(), 1);
        assert!(faults(&"a: 1\n".repeat(100_000)).len() < 1100);
    }

    #[test]
    fn empty_texts_have_neither_root_nor_faults() {
        for text in ["", "\n\n", "# only a comment\n"] {
            assert_eq!(faults(text), Vec::<String>::new());
            assert!(parse(text).root.is_none_or(|root| root.value.is_null()));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn no_text_causes_a_panic(text in any::<String>()) {
            let _ = parse(&text);
        }

        #[test]
        fn nothing_like_yaml_causes_a_panic(text in "([-:?,&*!|>'\"%@`#{}\\[\\]\\\\~<=. \n\t\r]|[ab01]|---\n|\\.\\.\\.\n|- |: |\u{feff}|\u{85}|é){0,60}") {
            let _ = parse(&text);
        }
    }
}
