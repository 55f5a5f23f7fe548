//! Where the project's words are: sources, documents, and what the program prints.

use std::path::{Path, PathBuf};
use std::process::Command;

use proc_macro2::{Punct, Spacing, TokenStream, TokenTree};
use regex::Regex;
use syn::visit::Visit;

/// Folders of the repository with text.
const FOLDERS: [&str; 8] = [".cargo", ".ci", ".github", "dashboards", "deploy", "docs", "src", "tests"];
/// Files of the root that are not ours to word.
const FOREIGN: [&str; 2] = ["Cargo.lock", "LICENSE"];
/// Folders and files below them that hold data, dependencies, pictures or the words themselves.
const DATA: [&str; 9] = [
    "dashboards/pictures",
    "tests/browser/package-lock.json",
    "tests/fuzz/Cargo.lock",
    "tests/fuzz/corpus",
    "tests/fuzz/dictionaries",
    "tests/fuzz/target",
    "tests/keyring/cases.json",
    "tests/language",
    "tests/language.rs",
];
const TEXT: [&str; 14] =
    ["bicep", "go", "json", "md", "mjs", "prom", "py", "rs", "sh", "toml", "tpl", "txt", "xml", "yaml"];

/// A text with its source and the line where it begins there.
pub(super) struct Text {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) content: String,
}

pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every text of the repository and of the program: a file, the name of a test, or what a command prints.
pub(super) fn all() -> Vec<Text> {
    let mut texts: Vec<Text> = files().into_iter().map(|path| read(&path)).collect();
    for (name, source) in rust() {
        let named = |(line, test): (usize, String)| Text {
            name: name.clone(),
            line,
            content: test.replace('_', " "),
        };
        texts.extend(test_names(&source).into_iter().map(named));
    }
    texts.extend(printed());
    texts
}

/// Every Rust file below `src` and `tests`, by its name in the repository.
pub(super) fn rust() -> Vec<(String, String)> {
    let is_rust = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    files().into_iter().filter(is_rust).map(|path| (name_of(&path), source(&path))).collect()
}

fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let entries =
        std::fs::read_dir(root()).expect("the repository").map(|entry| entry.expect("an entry").path());
    files.extend(entries.filter(|path| path.is_file() && !FOREIGN.contains(&name_of(path).as_str())));
    for folder in FOLDERS {
        add(&root().join(folder), &mut files);
    }
    files.retain(|path| is_text(path));
    files.sort();
    files
}

fn add(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        let name = name_of(&path);
        if DATA.contains(&name.as_str()) || name.ends_with("node_modules") {
            continue;
        }
        if path.is_dir() {
            add(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// Scripts have no extension.
fn is_text(path: &Path) -> bool {
    path.extension()
        .is_none_or(|extension| extension == "yml" || TEXT.iter().any(|known| extension == *known))
}

fn name_of(path: &Path) -> String {
    path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned()
}

fn source(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn read(path: &Path) -> Text {
    let name = name_of(path);
    let content = source(path);
    if path.extension().is_none_or(|extension| extension != "rs") {
        return Text { name, line: 1, content };
    }
    // Strings of tests are mostly input, and what others say.
    let content = without_code(&content, name.starts_with("src/"));
    Text { name, line: 1, content }
}

/// What the program prints about itself.
fn printed() -> Vec<Text> {
    let commands: [&[&str]; 13] = [
        &["--help"],
        &["check", "-h"],
        &["check", "--help"],
        &["agent", "--help"],
        &["smoke", "--help"],
        &["exposure", "--help"],
        &["causes", "--help"],
        &["completions", "--help"],
        &["man", "--help"],
        &["man"],
        &["causes"],
        &["causes", "--output", "json"],
        &["causes", "--output", "markdown"],
    ];
    let print = |arguments: &&[&str]| Text {
        name: format!("`acr-verifier {}`", arguments.join(" ")),
        line: 1,
        content: output(arguments),
    };
    commands.iter().map(print).collect()
}

/// What the program writes to standard output.
pub(super) fn output(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_acr-verifier"));
    let output =
        command.args(arguments).env_clear().env("COLUMNS", "100").output().expect("the program starts");
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Blanks out everything but comments, and text in quotes where `quotes` is set. Code in a comment is between backticks.
fn without_code(source: &str, quotes: bool) -> String {
    let code = Regex::new("`[^`\n]*`").expect("a pattern");
    let comment = |text: &str| code.replace_all(text, "``").into_owned();
    let mut kept = String::new();
    let mut end = 0;
    for token in leaves(source.parse().expect("Rust")) {
        let range = token.span().byte_range();
        // A documentation comment is several tokens, each of which spans the comment.
        if range.start < end {
            continue;
        }
        let text = &source[range.clone()];
        kept += &comment(&source[end..range.start]);
        end = range.end;
        if text.starts_with("//") || text.starts_with("/*") {
            kept += &comment(text);
        } else if quotes && matches!(token, TokenTree::Literal(_)) && text.ends_with(['"', '#']) {
            kept += text;
        } else {
            kept.push('\u{1}');
            kept.extend(text.matches('\n'));
        }
    }
    kept + &comment(&source[end..])
}

/// The tokens, with the contents of groups in place of the groups.
fn leaves(tokens: TokenStream) -> Vec<TokenTree> {
    let leaves = tokens.into_iter().flat_map(|token| match token {
        TokenTree::Group(group) => {
            let edge = |span| {
                let mut edge = Punct::new('|', Spacing::Alone);
                edge.set_span(span);
                TokenTree::Punct(edge)
            };
            let (open, close) = (edge(group.span_open()), edge(group.span_close()));
            [vec![open], self::leaves(group.stream()), vec![close]].concat()
        }
        TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => vec![token],
    });
    leaves.collect()
}

/// The names of tests, with their lines.
fn test_names(source: &str) -> Vec<(usize, String)> {
    struct Names(Vec<(usize, String)>);

    impl<'ast> Visit<'ast> for Names {
        fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
            let is_test = |attribute: &syn::Attribute| {
                attribute.path().segments.last().is_some_and(|segment| segment.ident == "test")
            };
            if item.attrs.iter().any(is_test) {
                self.0.push((item.sig.ident.span().start().line, item.sig.ident.to_string()));
            }
        }
    }

    let mut names = Names(Vec::new());
    names.visit_file(&syn::parse_file(source).expect("Rust"));
    names.0
}
