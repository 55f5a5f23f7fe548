//! Reads the documents: headings with GitHub's anchors, links, blocks of code, tables.
//!
//! The one reader of Markdown for all suites. What a block or a table must contain is up to them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// Folders without documents.
const SKIPPED: [&str; 6] = [".git", "fuzz", "golden", "node_modules", "src", "target"];

/// A document, or a part of one.
#[derive(Debug, Clone)]
pub struct Page {
    /// Below the repository.
    pub path: String,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    pub level: HeadingLevel,
    pub text: String,
    /// As GitHub generates it: a repeated one has a number.
    pub anchor: String,
    range: Range<usize>,
}

#[derive(Debug, Clone)]
pub struct Block {
    pub language: String,
    pub text: String,
}

/// A cell of a table: its plain text, and the code in it.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    pub text: String,
    pub code: Vec<String>,
}

/// Returns the repository.
pub fn root() -> PathBuf {
    Path::new(ROOT).canonicalize().expect("the repository")
}

/// Returns every document of the repository, sorted by path.
pub fn pages() -> Vec<Page> {
    let mut paths = Vec::new();
    collect(&root(), &mut paths);
    paths.sort();
    let name =
        |path: &PathBuf| path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
    paths.iter().map(|path| Page::read(&name(path))).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !SKIPPED.contains(&name.as_ref()) {
            collect(&path, paths);
        } else if name.ends_with(".md") {
            paths.push(path);
        }
    }
}

impl Page {
    #[track_caller]
    pub fn read(path: &str) -> Self {
        let text =
            std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { path: path.to_owned(), text }
    }

    /// What the parser finds, each with its bytes.
    pub fn events(&self) -> impl Iterator<Item = (Event<'_>, Range<usize>)> {
        Parser::new_ext(&self.text, Options::ENABLE_TABLES).into_offset_iter()
    }

    pub fn headings(&self) -> Vec<Heading> {
        let mut headings: Vec<Heading> = Vec::new();
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut open: Option<(HeadingLevel, String, Range<usize>)> = None;
        for (event, range) in self.events() {
            match (event, &mut open) {
                (Event::Start(Tag::Heading { level, .. }), _) => open = Some((level, String::new(), range)),
                (Event::Text(text) | Event::Code(text), Some((_, heading, _))) => heading.push_str(&text),
                (Event::End(TagEnd::Heading(_)), _) => {
                    let (level, text, range) = open.take().expect("it began");
                    let lower = text.to_lowercase().replace(' ', "-");
                    let kept: String = lower
                        .chars()
                        .filter(|letter| letter.is_alphanumeric() || "-_".contains(*letter))
                        .collect();
                    let count = seen.entry(kept.clone()).or_default();
                    let anchor = if *count == 0 { kept } else { format!("{kept}-{count}") };
                    *count += 1;
                    headings.push(Heading { level, text, anchor, range });
                }
                _ => {}
            }
        }
        headings
    }

    /// Returns the part below a heading, up to the next one of its level or above.
    #[must_use]
    #[track_caller]
    pub fn section(&self, heading: &str) -> Self {
        let headings = self.headings();
        let mut rest = headings.iter().skip_while(|found| found.text != heading);
        let found = rest.next().unwrap_or_else(|| panic!("{}: there is no heading `{heading}`", self.path));
        let end =
            rest.find(|next| next.level <= found.level).map_or(self.text.len(), |next| next.range.start);
        Self { path: self.path.clone(), text: self.text[found.range.end..end].to_owned() }
    }

    /// Returns the targets of links and images, also of those in HTML.
    pub fn links(&self) -> Vec<String> {
        let attribute = |html: &str| -> Vec<String> {
            let values = html.split(" src=\"").skip(1).chain(html.split(" srcset=\"").skip(1));
            values.filter_map(|value| value.split('"').next().map(str::to_owned)).collect()
        };
        let targets = |(event, _)| match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                vec![dest_url.to_string()]
            }
            Event::Html(html) | Event::InlineHtml(html) => attribute(&html),
            Event::Start(_)
            | Event::End(_)
            | Event::Text(_)
            | Event::Code(_)
            | Event::InlineMath(_)
            | Event::DisplayMath(_)
            | Event::FootnoteReference(_)
            | Event::SoftBreak
            | Event::HardBreak
            | Event::Rule
            | Event::TaskListMarker(_) => Vec::new(),
        };
        self.events().flat_map(targets).collect()
    }

    /// Returns all blocks of code.
    pub fn all_blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for (event, _) in self.events() {
            match (event, &mut open) {
                (Event::Start(Tag::CodeBlock(kind)), _) => {
                    let language = match kind {
                        CodeBlockKind::Fenced(language) => language.to_string(),
                        CodeBlockKind::Indented => String::new(),
                    };
                    open = Some(Block { language, text: String::new() });
                }
                (Event::Text(text), Some(block)) => block.text.push_str(&text),
                (Event::End(TagEnd::CodeBlock), _) => blocks.push(open.take().expect("it began")),
                _ => {}
            }
        }
        blocks
    }

    /// Returns the blocks of a language.
    pub fn blocks(&self, language: &str) -> Vec<String> {
        self.all_blocks()
            .into_iter()
            .filter(|block| block.language == language)
            .map(|block| block.text)
            .collect()
    }

    /// Returns the lines of all scripts, with continued lines and open pipes joined.
    pub fn commands(&self) -> Vec<String> {
        let scripts = self
            .all_blocks()
            .into_iter()
            .filter(|block| ["sh", "console"].contains(&block.language.as_str()));
        let joined = scripts.map(|block| block.text.replace("\\\n", " ").replace("|\n", "| "));
        joined.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    /// Returns the code within the text.
    pub fn spans(&self) -> Vec<String> {
        let code = |(event, _)| {
            let Event::Code(code) = event else { return None };
            Some(code.replace('\n', " "))
        };
        self.events().filter_map(code).collect()
    }

    /// Returns the rows of all tables, without their heads.
    pub fn rows(&self) -> Vec<Vec<Cell>> {
        let mut rows: Vec<Vec<Cell>> = Vec::new();
        let mut is_body = false;
        for (event, _) in self.events() {
            match (event, rows.last_mut(), is_body) {
                (Event::End(TagEnd::TableHead), ..) => is_body = true,
                (Event::End(TagEnd::Table), ..) => is_body = false,
                (Event::Start(Tag::TableRow), ..) => rows.push(Vec::new()),
                (Event::Start(Tag::TableCell), Some(row), true) => row.push(Cell::default()),
                (Event::Text(text), Some(row), true) => {
                    row.last_mut().expect("a cell").text.push_str(&text);
                }
                (Event::Code(code), Some(row), true) => {
                    let cell = row.last_mut().expect("a cell");
                    cell.text.push_str(&code);
                    cell.code.push(code.to_string());
                }
                _ => {}
            }
        }
        rows
    }
}
