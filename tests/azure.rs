//! The Azure walkthrough, the chart's README and the pipelines: every row of the table of omitted steps is reproduced in the lab, and every
//! command, link, key and file is valid.
//!
//! Covers what can be tested without Azure. The effect of the `az` commands is not tested.

mod commands;
mod files;
mod identities;
mod steps;
mod yaml;

use std::path::{Path, PathBuf};

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
pub(crate) const EXAMPLES: Document =
    Document { path: "deploy/examples/README.md", text: include_str!("../deploy/examples/README.md") };

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
