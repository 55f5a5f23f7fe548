//! A parser for Prometheus's text format, as far as the tests need it.

use std::collections::BTreeMap;

/// One sample line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: f64,
}

/// The content of one scrape.
#[derive(Debug)]
pub(super) struct Scrape {
    pub(super) samples: Vec<Sample>,
    pub(super) help: BTreeMap<String, String>,
    pub(super) kinds: BTreeMap<String, String>,
}

impl Scrape {
    pub(super) fn parse(text: &str) -> Self {
        let mut scrape = Self { samples: Vec::new(), help: BTreeMap::new(), kinds: BTreeMap::new() };
        for line in text.lines() {
            if let Some((name, help)) = said(line, "# HELP ") {
                assert_eq!(scrape.help.insert(name, help), None, "duplicate: {line}");
            } else if let Some((name, kind)) = said(line, "# TYPE ") {
                assert_eq!(scrape.kinds.insert(name, kind), None, "duplicate: {line}");
            } else {
                scrape.samples.push(sample(line));
            }
        }
        scrape
    }

    /// Returns the samples of a name that have at least these labels.
    pub(super) fn all(&self, name: &str, labels: &[(&str, &str)]) -> Vec<&Sample> {
        let has = |sample: &&Sample| {
            sample.name == name
                && labels
                    .iter()
                    .all(|(label, value)| sample.labels.get(*label).is_some_and(|has| has == value))
        };
        self.samples.iter().filter(has).collect()
    }

    /// Returns the value of the only such sample, if any.
    #[track_caller]
    pub(super) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let found = self.all(name, labels);
        assert!(found.len() <= 1, "{name} {labels:?} is not one: {found:#?}");
        found.first().map(|sample| sample.value)
    }

    /// Returns the series of a registry; for histograms each bucket, the sum and the count.
    pub(super) fn of(&self, registry: &str, image: Option<&str>) -> Vec<&Sample> {
        let owned = |sample: &&Sample| {
            sample.labels.get("registry").is_some_and(|has| has == registry)
                && sample.labels.get("image").map(String::as_str) == image
        };
        self.samples.iter().filter(owned).collect()
    }
}

/// Parses a HELP or TYPE line into name and text.
fn said(line: &str, mark: &str) -> Option<(String, String)> {
    let (name, said) = line.strip_prefix(mark)?.split_once(' ')?;
    Some((name.to_owned(), said.to_owned()))
}

fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').expect("a series and a value");
    let value = value.parse().expect("a number");
    let Some((name, rest)) = series.split_once('{') else {
        return Sample { name: series.to_owned(), labels: BTreeMap::new(), value };
    };
    let mut labels = BTreeMap::new();
    let mut rest = rest.strip_suffix('}').expect("the end of the labels");
    while !rest.is_empty() {
        let (label, after) = rest.split_once("=\"").expect("a label and its value");
        let end = end_of_quote(after);
        let known = labels.insert(label.to_owned(), after[..end].to_owned());
        assert_eq!(known, None, "twice in {line}");
        rest = after[end + 1..].trim_start_matches(',');
    }
    Sample { name: name.to_owned(), labels, value }
}

/// Returns the end of a quoted value: the first quote that is not escaped.
fn end_of_quote(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.expect("a closing quote")
}
