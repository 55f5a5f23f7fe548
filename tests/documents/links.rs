//! Links: every file and anchor exists, in documents and in texts of the program, and every document can be reached.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use regex::Regex;
use support::markdown::{Page, pages, root};

/// Documents that other programs or people find without a link.
const FOUND_ELSEWHERE: [&str; 2] = [".github/", "tests/cluster/"];
/// Folders with texts that link to documents by their address.
const LINKING: [&str; 4] = ["dashboards", "deploy", "src", "tests/golden"];
/// Where the documents are published.
const PUBLISHED: &str =
    r"https://github\.com/acr-verifier/acr-verifier/(?:blob|tree)/main/([\w./-]+)(?:#([\w-]+))?";

/// Returns the path of a link's file below the repository, and its anchor.
fn resolved(page: &Page, link: &str) -> (String, String) {
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    if file.is_empty() {
        return (page.path.clone(), anchor.to_owned());
    }
    let mut path = PathBuf::new();
    let folder = Path::new(&page.path).parent().unwrap_or(Path::new(""));
    for part in folder.join(file).components() {
        if part == Component::ParentDir {
            assert!(path.pop(), "{}: {link} leaves the repository", page.path);
        } else {
            path.push(part);
        }
    }
    (path.to_string_lossy().into_owned(), anchor.to_owned())
}

fn is_external(link: &str) -> bool {
    ["https://", "http://127.0.0.1", "mailto:"].iter().any(|scheme| link.starts_with(scheme))
}

fn is_document(file: &str) -> bool {
    Path::new(file).extension().is_some_and(|extension| extension == "md")
}

/// Panics if a file or its heading is missing.
fn assert_exists(source: &str, file: &str, anchor: &str) {
    let path = root().join(file);
    assert!(path.exists(), "{source}: there is no {file}");
    if anchor.is_empty() {
        return;
    }
    assert!(is_document(file), "{source}: {file} has no anchors");
    let headings = Page::read(file).headings();
    assert!(headings.iter().any(|heading| heading.anchor == anchor), "{source}: {file} has no #{anchor}");
}

#[test]
fn links_resolve() {
    let mut followed = 0;
    for page in pages() {
        for link in page.links().iter().filter(|link| !is_external(link)) {
            let (file, anchor) = resolved(&page, link);
            assert_exists(&page.path, &file, &anchor);
            followed += 1;
        }
    }
    assert!(followed > 200, "{followed}");
}

#[test]
fn addresses_of_documents_in_other_texts_resolve() {
    let pattern = Regex::new(PUBLISHED).expect("a pattern");
    let mut files = Vec::new();
    for folder in LINKING {
        collect(&root().join(folder), &mut files);
    }
    let mut followed = BTreeSet::new();
    for file in files {
        // Archives and pictures are not text.
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        for found in pattern.captures_iter(&text) {
            let anchor = found.get(2).map_or("", |anchor| anchor.as_str());
            followed.insert((file.display().to_string(), found[1].to_owned(), anchor.to_owned()));
        }
    }
    assert!(followed.len() > 50, "{}", followed.len());
    let mut headings: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (source, page, anchor) in followed {
        assert!(root().join(&page).exists(), "{source}: there is no {page}");
        if !anchor.is_empty() && is_document(&page) {
            let known = headings.entry(page.clone()).or_insert_with(|| {
                Page::read(&page).headings().into_iter().map(|heading| heading.anchor).collect()
            });
            assert!(known.contains(&anchor), "{source}: {page} has no #{anchor}");
        }
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}

#[test]
fn every_document_can_be_reached_from_the_readme() {
    let pages: BTreeMap<String, Page> = pages().into_iter().map(|page| (page.path.clone(), page)).collect();
    let mut reached = BTreeSet::new();
    let mut next = vec!["README.md".to_owned()];
    while let Some(path) = next.pop() {
        let Some(page) = pages.get(&path) else { continue };
        if reached.insert(path) {
            let links = page.links();
            next.extend(links.iter().filter(|link| !is_external(link)).map(|link| resolved(page, link).0));
        }
    }
    let is_missing = |path: &&String| {
        !reached.contains(*path) && !FOUND_ELSEWHERE.iter().any(|folder| path.starts_with(folder))
    };
    let missing: Vec<&String> = pages.keys().filter(is_missing).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
