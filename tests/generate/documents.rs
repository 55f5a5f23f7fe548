//! The generated parts of the documents: tables between two comments, and the picture of the stages.
//!
//! Owns where they go. The rows come from the program: `keys` has those of the configuration, the program's own declarations
//! those of the metrics.

mod keys;
mod stages;

use std::path::Path;

use acr_verifier::metrics::write_reference;

use crate::File;

/// Generates the documents with their current tables, and the picture.
pub(crate) fn files() -> Vec<File> {
    let mut metrics = Vec::new();
    write_reference(&mut metrics).expect("memory takes everything");
    let metrics = String::from_utf8(metrics).expect("text");
    vec![
        with("docs/metrics.md", "metrics", &metrics),
        with("docs/configuration.md", "keys", &keys::table()),
        stages::file(),
    ]
}

/// Returns a document with another text between the comments of this name.
fn with(path: &str, name: &str, text: &str) -> File {
    let document = std::fs::read_to_string(Path::new(crate::ROOT).join(path)).expect(path);
    let (begin, end) =
        (format!("<!-- generated: {name} -->\n"), format!("<!-- end of generated: {name} -->\n"));
    let (before, rest) = document.split_once(&begin).unwrap_or_else(|| panic!("{path}: no {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{path}: no {end}"));
    File::new(path, format!("{before}{begin}\n{}\n\n{end}{after}", text.trim()))
}
