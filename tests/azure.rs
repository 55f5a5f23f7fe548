//! The Azure walkthrough, the chart's README and the pipelines: every row of the table of omitted steps is reproduced in the lab, and every
//! command, key and file is valid. `documents` follows their links.
//!
//! Covers what can be tested without Azure. The effect of the `az` commands is not tested.

mod commands;
mod files;
mod identities;
mod logs;
mod pipelines;
mod rotation;
mod steps;
mod yaml;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A document with its path relative to the root.
pub(crate) struct Document {
    pub(crate) path: &'static str,
    pub(crate) text: &'static str,
}

pub(crate) const WALK_THROUGH: Document =
    Document { path: "deploy/azure/README.md", text: include_str!("../deploy/azure/README.md") };
pub(crate) const PIPELINES: Document =
    Document { path: "deploy/pipelines/README.md", text: include_str!("../deploy/pipelines/README.md") };
pub(crate) const CHART: Document =
    Document { path: "deploy/chart/README.md", text: include_str!("../deploy/chart/README.md") };

impl Document {
    /// Returns the fenced blocks of a language.
    pub(crate) fn blocks(&self, language: &str) -> Vec<&'static str> {
        let opening = format!("```{language}\n");
        let end = |text: &'static str| text.find("\n```").map_or(text.len(), |end| end + 1);
        self.text.split(opening.as_str()).skip(1).map(|text| &text[..end(text)]).collect()
    }

    /// Returns the fenced text block after a marker.
    pub(crate) fn marked(&self, marker: &str) -> &'static str {
        let opening = format!("<!-- {marker} -->\n```text\n");
        let start = self.text.find(&opening).unwrap_or_else(|| panic!("{}: no `{marker}`", self.path));
        self.text[start + opening.len()..].split("```").next().unwrap_or_default()
    }
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

/// Reports a skipped test.
#[track_caller]
pub(crate) fn skip(reason: &str) {
    support::skip("ACR_VERIFIER_REQUIRE_AZURE_TOOLS", "azure", reason);
}

/// Returns the Python of the parsers, or why there is none.
pub(crate) fn python() -> Result<PathBuf, String> {
    let found = Command::new(root().join("tests/azure/tools")).arg("--find").output().expect("bash runs");
    if !found.status.success() {
        return Err(String::from_utf8_lossy(&found.stderr).trim().to_owned());
    }
    Ok(Path::new(String::from_utf8_lossy(&found.stdout).trim()).join("bin/python"))
}

/// Parses `az` calls, each quoted for a shell, with the Azure CLI's own parser. Returns what it rejects, nothing if all parse.
///
/// # Errors
/// The reason why there is no parser.
pub(crate) fn parsed(calls: &[String]) -> Result<String, String> {
    parsed_in(calls, &root())
}

/// The same, with the folder of the files that the calls name.
pub(crate) fn parsed_in(calls: &[String], folder: &Path) -> Result<String, String> {
    let mut parser = Command::new(python()?)
        .arg(root().join("tests/azure/arguments.py"))
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python runs");
    parser.stdin.take().expect("a pipe").write_all(calls.join("\n").as_bytes()).expect("the parser reads");
    let output = parser.wait_with_output().expect("the parser ends");
    let summary = String::from_utf8_lossy(&output.stderr).into_owned();
    let rejected = String::from_utf8_lossy(&output.stdout).into_owned();
    let all = format!("{0} of {0} commands", calls.len());
    assert_eq!(output.status.success(), rejected.is_empty(), "{summary}");
    assert!(!output.status.success() || summary.contains(&all), "{summary}");
    Ok(rejected)
}
