//! The language: texts for users and contributors use the words of the field, and say one thing in one way.
//!
//! `language/words.rs` has the words. A text that needs one of them in another sense gets an exception there.

mod texts;
mod words;

use regex::{Regex, RegexBuilder};
use syn::visit::Visit;

use texts::{Text, output};
use words::{EXCEPTIONS, Exception, WORDS, Word};

/// A line break of text that is wrapped: in a document, a string of Rust, a comment of any language here.
const GAP: &str = r"(?: ?\\n|\s*\\?\s+)(?:(?:///?|//!|#)[ \t]+)?";
/// Bytes of context on either side of a word.
const CONTEXT: usize = 45;
/// What the runbook has for each cause and each alert, in this order.
const RUNBOOK_HEADINGS: [&str; 5] = ["Meaning", "Symptoms", "Confirm", "Fix", "Verify"];
const CHECK: &str = include_str!("../docs/check.md");
const RUNBOOK: &str = include_str!("../dashboards/runbook.md");

fn whole(pattern: &str) -> Regex {
    let pattern = format!(r"\b(?:{})\b", pattern.replace(' ', GAP));
    RegexBuilder::new(&pattern)
        .case_insensitive(true)
        .unicode(false)
        .build()
        .unwrap_or_else(|error| panic!("{error}"))
}

/// The patterns, compiled once, and how often each exception was needed.
struct Dictionary {
    words: Vec<(Regex, &'static str)>,
    any: Regex,
    exceptions: Vec<(Regex, usize)>,
}

impl Dictionary {
    fn new() -> Self {
        let all: Vec<&str> = WORDS.iter().map(|Word(pattern, _)| *pattern).collect();
        Self {
            words: WORDS.iter().map(|Word(pattern, instead)| (whole(pattern), *instead)).collect(),
            any: whole(&all.join("|")),
            exceptions: EXCEPTIONS.iter().map(|Exception(pattern, _)| (whole(pattern), 0)).collect(),
        }
    }

    /// Where a text has a word that is not written: `path:line: "words in context" (write: …)`, sorted by line.
    fn found(&mut self, text: &Text) -> Vec<String> {
        let Text { name, line, content } = text;
        if !self.any.is_match(content) {
            return Vec::new();
        }
        let mut found = Vec::new();
        for (word, instead) in &self.words {
            for place in word.find_iter(content) {
                let mut excepted = false;
                for (exception, used) in &mut self.exceptions {
                    if exception.find_iter(content).any(|phrase| phrase.range().contains(&place.start())) {
                        *used += 1;
                        excepted = true;
                    }
                }
                if !excepted {
                    let line = line + content[..place.start()].matches('\n').count();
                    found.push((line, context(content, place.range()), *instead));
                }
            }
        }
        found.sort_unstable();
        let found = found.into_iter();
        found.map(|(line, words, instead)| format!("{name}:{line}: \"{words}\" (write: {instead})")).collect()
    }
}

fn context(content: &str, range: std::ops::Range<usize>) -> String {
    let start = content.floor_char_boundary(range.start.saturating_sub(CONTEXT));
    let end = content.ceil_char_boundary(range.end + CONTEXT);
    let words = content[start..end].replace('\u{1}', " ");
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn texts_use_the_words_of_the_field() {
    let mut dictionary = Dictionary::new();
    let found: Vec<String> = texts::all().iter().flat_map(|text| dictionary.found(text)).collect();
    assert!(found.is_empty(), "{} places:\n{}", found.len(), found.join("\n"));
    for (Exception(pattern, reason), (_, used)) in EXCEPTIONS.iter().zip(&dictionary.exceptions) {
        assert!(*used > 0, "no text needs the exception `{pattern}` any more ({reason})");
    }
}

#[test]
fn the_dictionary_finds_words_across_lines_and_spares_good_english() {
    let mut dictionary = Dictionary::new();
    let mut found = |content: &str| {
        let text = Text { name: "a".to_owned(), line: 1, content: content.to_owned() };
        dictionary.found(&text)
    };
    for wrong in [
        "It tells which cause it was.",
        "/// runs for\n    /// ever",
        "# for\n# ever",
        "invalid; allowed \\\n   is a number",
        "The nameserver is asked.",
        "The name is no host name.",
        "Where there is none, the default applies.",
        "Only the login server alone.",
        "The certificate has ended.",
        "It stands here a second time.",
    ] {
        assert_eq!(found(wrong).len(), 1, "{wrong}");
    }
    for right in [
        "There is no port in it.",
        "`TXT` stands for text, and it distinguishes a pull from a push.",
        "The connection was refused with REFUSED by the server.",
        "The file is over 2 MB.",
        "The host is queried again whenever the file ends.",
    ] {
        assert_eq!(found(right), Vec::<String>::new(), "{right}");
    }
    let place = "one\ntwo tells three";
    assert_eq!(
        found(place),
        [r#"a:2: "one two tells three" (write: reports, logs, exposes, prints, emits)"#]
    );
}

/// A line that repeats the name of a private field is noise.
#[test]
fn comments_of_private_fields_say_more_than_their_names() {
    let mut found = Vec::new();
    for (name, source) in texts::rust() {
        let mut fields = Fields(Vec::new());
        fields.visit_file(&syn::parse_file(&source).expect("Rust"));
        found.extend(fields.0.into_iter().map(|(line, comment)| format!("{name}:{line}: \"{comment}\"")));
    }
    assert!(found.is_empty(), "{} places:\n{}", found.len(), found.join("\n"));
}

/// Comments of three words or fewer on fields of structs that are not public, with their lines.
struct Fields(Vec<(usize, String)>);

impl<'ast> Visit<'ast> for Fields {
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        for field in &item.fields {
            let comments: Vec<String> = field.attrs.iter().filter_map(comment).collect();
            let comment = comments.join(" ").trim().to_owned();
            let words: Vec<&str> = comment.split_whitespace().collect();
            let repeats =
                words.first().is_some_and(|first| ["Its", "The", "Whether", "Which"].contains(first));
            let is_public = matches!(field.vis, syn::Visibility::Public(_));
            if let Some(name) = &field.ident
                && !is_public
                && repeats
                && words.len() <= 3
            {
                self.0.push((name.span().start().line, comment));
            }
        }
    }
}

fn comment(attribute: &syn::Attribute) -> Option<String> {
    let syn::Meta::NameValue(pair) = &attribute.meta else { return None };
    let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = &pair.value else { return None };
    pair.path.is_ident("doc").then(|| text.value())
}

/// Exit codes with what each means, of lines such as `| 0 | fine |` or `  0  fine`, in which longer texts go on.
fn exit_codes(text: &str) -> Vec<(String, String)> {
    let mut codes: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        let words = line.replace(['|', '`'], " ");
        let (first, rest) = words.trim().split_once(' ').unwrap_or_default();
        let rest = rest.split_whitespace().collect::<Vec<_>>().join(" ");
        if first.parse::<u8>().is_ok() {
            codes.push((first.to_owned(), rest));
        } else if let Some((_, meaning)) = codes.last_mut() {
            *meaning = format!("{meaning} {}", words.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
    codes
}

/// The paragraph or table below a heading.
fn below<'text>(text: &'text str, heading: &str) -> &'text str {
    let start = text.find(heading).unwrap_or_else(|| panic!("there is no `{heading}`")) + heading.len();
    let text = text[start..].trim_start();
    &text[..text.find("\n\n").unwrap_or(text.len())]
}

#[test]
fn exit_codes_are_the_same_in_documents_and_help() {
    let page = exit_codes(below(CHECK, "### Exit codes\n"));
    let help = output(&["--help"]);
    let help = exit_codes(below(&help, "Exit codes:\n"));
    assert_eq!(page, help, "left: docs/check.md, right: `--help`");
    let codes: Vec<&str> = page.iter().map(|(code, _)| code.as_str()).collect();
    assert_eq!(codes, ["0", "1", "2", "3", "130"]);
}

#[test]
fn runbook_entries_have_the_same_headings() {
    let mut wrong = Vec::new();
    let (_, causes) = RUNBOOK.split_once("\n## Causes\n").expect("the entries follow the introduction");
    for entry in causes.split("\n## ").skip(1) {
        let name = entry.lines().next().unwrap_or_default();
        // A heading is a line of its own or the bold begin of a paragraph.
        let headings: Vec<&str> = entry
            .lines()
            .filter_map(|line| {
                let bold =
                    line.strip_prefix("**").and_then(|rest| rest.split_once("**")).map(|(bold, _)| bold);
                line.strip_prefix("### ").or(bold).map(|heading| heading.trim_end_matches('.'))
            })
            .collect();
        if headings != RUNBOOK_HEADINGS {
            wrong.push(format!("{name}: {headings:?}"));
        }
    }
    assert!(wrong.is_empty(), "expected {RUNBOOK_HEADINGS:?}:\n{}", wrong.join("\n"));
}
