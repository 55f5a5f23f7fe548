//! The shape of the documents: a short front page, and pages that begin with their answer.

use pulldown_cmark::{Event, Tag, TagEnd};
use support::markdown::{Page, pages};

/// Lines of the front page.
const MOST_LINES: usize = 200;
/// The answer of a page is within its first lines.
const FIRST_LINES: usize = 5;
/// Letters of an answer; less is a heading in other words.
const LEAST_LETTERS: usize = 100;
/// Pages that are not for reading from the top.
const OTHERS: [&str; 4] = [".github/", "CHANGELOG.md", "CONTRIBUTING.md", "dashboards/runbook.md"];

#[test]
fn the_front_page_is_short() {
    let lines = Page::read("README.md").text.lines().count();
    assert!(lines <= MOST_LINES, "{lines} lines");
}

#[test]
fn the_front_page_has_the_headings_of_the_field() {
    let headings: Vec<String> =
        Page::read("README.md").headings().into_iter().map(|heading| heading.text).collect();
    for expected in [
        "Quick start",
        "Install",
        "How it works",
        "Security",
        "Documentation",
        "Comparison",
        "Benchmarks",
        "Limitations",
        "Contributing",
    ] {
        assert!(headings.iter().any(|heading| heading == expected), "{expected} is not in {headings:?}");
    }
}

#[test]
fn pages_begin_with_their_answer() {
    let mut read = 0;
    for page in pages().iter().filter(|page| !OTHERS.iter().any(|other| page.path.starts_with(other))) {
        assert!(first_prose(page).chars().count() >= LEAST_LETTERS, "{}: {}", page.path, first_prose(page));
        read += 1;
    }
    assert!(read >= 20, "{read}");
}

/// The text of the first paragraph, if it begins in the first lines below the title.
fn first_prose(page: &Page) -> String {
    let mut text = String::new();
    let mut is_prose = false;
    for (event, range) in page.events() {
        let is_early = page.text[..range.start].lines().count() < FIRST_LINES;
        match (event, is_prose) {
            (Event::Start(Tag::Paragraph), _) => is_prose = is_early,
            (Event::End(TagEnd::Paragraph), true) => break,
            (Event::Text(part) | Event::Code(part), true) => text.push_str(&part),
            _ => {}
        }
    }
    text
}
