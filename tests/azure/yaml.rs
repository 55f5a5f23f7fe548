//! Parses YAML files of other programs as JSON.

use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// Returns the documents of a text. Plain scalars get their types by the rules of JSON; all others are strings.
pub(crate) fn documents(name: &str, text: &str) -> Vec<Value> {
    let options = granit_parser::options! { emit_comments: false };
    let mut events = Vec::new();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, _) = event.unwrap_or_else(|error| panic!("{name}: {error}"));
        events.push(event);
    }
    let mut documents = Vec::new();
    let mut rest = events.into_iter();
    while let Some(event) = rest.next() {
        if matches!(event, Event::DocumentStart(..)) {
            let first = rest.next().expect("a document has a node");
            documents.push(node(first, &mut rest));
        }
    }
    documents
}

fn node<'text>(event: Event<'text>, rest: &mut impl Iterator<Item = Event<'text>>) -> Value {
    if let Event::Scalar(text, style, ..) = event {
        let typed = (style == ScalarStyle::Plain).then(|| serde_json::from_str(&text).ok()).flatten();
        return match typed {
            Some(value) => value,
            None if style == ScalarStyle::Plain && text.is_empty() => Value::Null,
            None => Value::String(text.into_owned()),
        };
    }
    let is_list = matches!(event, Event::SequenceStart(..));
    assert!(
        is_list || matches!(event, Event::MappingStart(..)),
        "neither aliases nor tags are used: {event:?}"
    );
    let (mut items, mut entries) = (Vec::new(), Map::new());
    loop {
        let next = rest.next().expect("a collection ends");
        if matches!(next, Event::SequenceEnd | Event::MappingEnd) {
            return if is_list { Value::Array(items) } else { Value::Object(entries) };
        }
        let value = node(next, rest);
        if is_list {
            items.push(value);
            continue;
        }
        let key = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let next = rest.next().expect("a key has a value");
        let value = node(next, rest);
        assert!(entries.insert(key.clone(), value).is_none(), "duplicate key `{key}`");
    }
}
