//! A small tree of YAML with the place of everything in it.
//!
//! Owns the way from text to tree, and refuses what a configuration does not need and an operator would trip over:
//! duplicate keys, anchors, aliases, tags, several documents, deep nesting. It gives no scalar a type and knows no key:
//! that is `file`'s.

use std::fmt;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput, Tag};

use crate::quote::quote;

/// Nesting that is followed; a configuration needs five levels.
pub(super) const MAX_DEPTH: usize = 32;

/// Most keys of one mapping and most items of one list. Each key is compared with those before it, so this bounds time.
const MAX_ENTRIES: usize = 1000;

/// A place in the text; both numbers start at 1, columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    /// The line.
    pub(super) line: usize,
    /// The column.
    pub(super) column: usize,
}

impl Position {
    /// The start of the text.
    pub(super) const START: Self = Self { line: 1, column: 1 };

    fn of(marker: &Marker) -> Self {
        // The parser counts columns from 0, whatever its documentation says; a test holds it.
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
pub(super) struct Node {
    /// Where it starts.
    pub(super) position: Position,
    /// What it is.
    pub(super) value: Value,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A text without quotation marks, which may stand for a number, a boolean or nothing.
    Plain(String),
    /// A text between quotation marks, or a block of text: always a text.
    Quoted(String),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys with their values, in the order written, each key once.
    Mapping(Vec<Entry>),
}

impl Value {
    /// Whether nothing was written.
    #[must_use]
    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Plain(text) if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The key.
    pub(super) key: String,
    /// Where the key is.
    pub(super) position: Position,
    /// The value.
    pub(super) value: Node,
}

/// Something that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// Where.
    pub(super) position: Position,
    /// What, as a sentence without its full stop.
    pub(super) message: String,
}

/// The tree of a text, as far as it could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tree {
    /// The one document; absent when the text is empty or could not be read to its end.
    pub(super) root: Option<Node>,
    /// What cannot be taken; the tree counts only without any.
    pub(super) faults: Vec<Fault>,
}

/// Reads a text.
#[must_use]
pub(super) fn parse(text: &str) -> Tree {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder::default();
    let mut parser = Parser::<StrInput<'_>>::new_from_str(text);
    while let Some(event) = parser.next_event() {
        match event {
            Ok((event, span)) => {
                if builder.take(event, span).is_break() {
                    break;
                }
            }
            Err(error) => {
                // The parser's words describe the grammar and quote at most a character or a key.
                builder.fault(Position::of(error.marker()), format!("this is not YAML: {}", error.info()));
                builder.root = None;
                break;
            }
        }
    }
    Tree { root: builder.root, faults: builder.faults }
}

/// The part of the tree that is under construction: open collections, innermost last.
#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    faults: Vec<Fault>,
}

/// A collection whose end has not come.
enum Open {
    Sequence { position: Position, items: Vec<Node> },
    Mapping { position: Position, entries: Vec<Entry>, key: Option<(String, Position)> },
}

impl Builder {
    fn fault(&mut self, position: Position, message: impl Into<String>) {
        self.faults.push(Fault { position, message: message.into() });
    }

    /// Takes one event; breaks off where going on would make no sense.
    fn take(&mut self, event: Event<'_>, span: Span) -> std::ops::ControlFlow<()> {
        use std::ops::ControlFlow::{Break, Continue};
        let position = Position::of(&span.start);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Continue(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.fault(position, "a second document starts here; allowed is one");
                    return Break(());
                }
                Continue(())
            }
            Event::Alias(_) => {
                self.fault(position, "an alias is not supported; write the value out");
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
            Event::SequenceStart(anchor, tag) => {
                self.refuse_decoration(position, anchor, tag.as_deref());
                self.open(position, Open::Sequence { position, items: Vec::new() })
            }
            Event::MappingStart(anchor, tag) => {
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
        }
    }

    fn refuse_decoration(&mut self, position: Position, anchor: usize, tag: Option<&Tag>) {
        if anchor != 0 {
            self.fault(position, "an anchor is not supported; write the value out where it is needed");
        }
        if let Some(tag) = tag {
            let written = format!("{}{}", tag.handle, tag.suffix);
            self.fault(position, format!("the tag {} is not supported; leave it out", quote(&written)));
        }
    }

    fn open(&mut self, position: Position, collection: Open) -> std::ops::ControlFlow<()> {
        if matches!(self.open.last(), Some(Open::Mapping { key: None, .. })) {
            self.fault(position, "a list or a mapping stands where a key is expected; allowed is a text");
            return std::ops::ControlFlow::Break(());
        }
        if self.open.len() == MAX_DEPTH {
            self.fault(position, format!("this is nested too deeply; allowed are {MAX_DEPTH} levels"));
            return std::ops::ControlFlow::Break(());
        }
        self.open.push(collection);
        std::ops::ControlFlow::Continue(())
    }

    /// Puts a complete node where it belongs: into the innermost open collection, or at the root.
    fn add(&mut self, node: Node) -> std::ops::ControlFlow<()> {
        let is_full = match self.open.last() {
            Some(Open::Sequence { items, .. }) => items.len() == MAX_ENTRIES,
            Some(Open::Mapping { entries, .. }) => entries.len() == MAX_ENTRIES,
            None => false,
        };
        if is_full || self.faults.len() > MAX_ENTRIES {
            let message = format!("this is too long; allowed are {MAX_ENTRIES} keys or items in one place");
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
                            "the key {} stands here a second time; the first is in line {}",
                            quote(&name),
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
    fn places_count_from_one() {
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
    fn refuses_what_a_configuration_does_not_need() {
        for (text, expected) in [
            ("a: 1\na: 2\n", "2:1: the key `a` stands here a second time; the first is in line 1"),
            ("a: &x 1\n", "1:7: an anchor is not supported; write the value out where it is needed"),
            ("a: !!str 1\n", "1:10: the tag `tag:yaml.org,2002:str` is not supported; leave it out"),
            ("a: 1\n---\nb: 2\n", "2:1: a second document starts here; allowed is one"),
            ("[a]: 1\n", "1:1: a list or a mapping stands where a key is expected; allowed is a text"),
        ] {
            assert_eq!(faults(text), [expected], "{text}");
        }
        assert_eq!(faults("a: &x 1\nb: *x\n").len(), 2);
        assert!(faults("a: [1\n")[0].contains("this is not YAML"));
        assert_eq!(faults("a: 1\na: 2\nb: &x 1\n").len(), 2, "every fault at once");
    }

    #[test]
    fn nesting_and_aliases_cost_nothing() {
        let deep = "[".repeat(MAX_DEPTH + 1);
        assert!(faults(&deep)[0].contains("nested too deeply"));
        let block: String = (0..1000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
        assert!(faults(&block)[0].contains("nested too deeply"));
        assert!(!faults(&"[".repeat(1 << 20)).is_empty());
        assert!(!faults(&"- ".repeat(1 << 19)).is_empty());
        let many: String = (0..100_000).map(|number| format!("k{number}: 1\n")).collect();
        assert_eq!(faults(&many), ["1001:1: this is too long; allowed are 1000 keys or items in one place"]);
        assert_eq!(faults(&"- a\n".repeat(100_000)).len(), 1);
        assert!(faults(&"a: 1\n".repeat(100_000)).len() < 1100);
    }

    #[test]
    fn empty_texts_have_no_root_and_no_fault() {
        for text in ["", "\n\n", "# only a comment\n"] {
            assert_eq!(faults(text), Vec::<String>::new());
            assert!(parse(text).root.is_none_or(|root| root.value.is_null()));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = parse(&text);
        }

        #[test]
        fn nothing_like_yaml_makes_it_panic(text in "([-:?,&*!|>'\"%@`#{}\\[\\]\\\\~<=. \n\t\r]|[ab01]|---\n|\\.\\.\\.\n|- |: |\u{feff}|\u{85}|é){0,60}") {
            let _ = parse(&text);
        }
    }
}
