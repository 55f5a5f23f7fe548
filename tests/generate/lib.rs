//! Generates the files that are shipped but not written by hand: dashboards, forms of the alerts, runbook, schema, tables and
//! picture of the documents, manifests.
//!
//! `main` writes them. The suite only compares, with [`assert_current`]. Goldens of tests are not shipped and stay with the tests.

#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "only tests use it, and names say what records are"
)]
#![allow(clippy::disallowed_methods, reason = "it reads the clock for a simulated fleet")]

pub mod alerts;
pub mod dashboards;
mod documents;
pub mod manifests;
pub mod runbook;
mod source;

use std::path::{Path, PathBuf};

/// The repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// The command that writes all files.
pub const COMMAND: &str = "cargo run --package generate";

/// A generated file.
pub struct File {
    /// Below the repository.
    pub path: String,
    text: String,
    is_equal: fn(&str, &str) -> bool,
}

impl File {
    pub fn new(path: &str, text: String) -> Self {
        Self { path: path.to_owned(), text, is_equal: |committed, generated| committed == generated }
    }

    fn target(&self) -> PathBuf {
        Path::new(ROOT).join(&self.path)
    }

    /// Whether the file in the repository is the generated one.
    pub fn is_current(&self) -> bool {
        std::fs::read_to_string(self.target()).is_ok_and(|committed| (self.is_equal)(&committed, &self.text))
    }

    pub fn write(&self) -> std::io::Result<()> {
        std::fs::write(self.target(), &self.text)
    }
}

/// Generates the files that need no other program.
pub fn files() -> Vec<File> {
    let mut files = dashboards::files();
    files.extend(alerts::files());
    files.push(File::new("dashboards/runbook.md", runbook::text()));
    files.push(source::schema());
    files.extend(documents::files());
    files
}

/// Returns the paths of those that have changed.
pub fn outdated(files: &[File]) -> Vec<&str> {
    files.iter().filter(|file| !file.is_current()).map(|file| file.path.as_str()).collect()
}

/// Fails with the names of those that have changed and the command that writes them.
#[track_caller]
pub fn assert_current(files: &[File]) {
    let outdated = outdated(files);
    assert!(outdated.is_empty(), "outdated: {}: run `{COMMAND}`, and commit the files", outdated.join(", "));
}
