//! The catalogue of causes: `acr-verifier causes`, and the source of the runbook.
//!
//! Owns three forms of the same list. The words are `cause::advice`'s; commands have capitals where a report has names.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use super::page::{Page, Tone};
use super::{Style, runbook};
use crate::cause::Cause;
use crate::cause::advice::{self, Names};
use crate::observation::Stage;
use crate::verdict::Severity;
use crate::wire::Word;

/// One cause of the list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Its code, in reports and labels.
    pub cause: String,
    /// The reason of its Kubernetes Event.
    pub reason: String,
    /// How much it matters by itself.
    pub severity: Word<Severity>,
    /// The stages in which it can show.
    pub stages: Vec<Word<Stage>>,
    /// What it means for the node.
    pub meaning: String,
    /// How it is recognised.
    pub recognised_by: String,
    /// What mends it.
    pub remedy: String,
    /// What to paste into a shell, with capitals for names.
    pub commands: Vec<String>,
    /// The runbook's section.
    pub runbook: String,
}

impl From<Cause> for Entry {
    fn from(cause: Cause) -> Self {
        Self {
            cause: cause.code().to_owned(),
            reason: cause.reason(),
            severity: Word(cause.severity()),
            stages: cause.stages().iter().map(|&stage| Word(stage)).collect(),
            meaning: advice::meaning(cause).to_owned(),
            recognised_by: advice::recognised_by(cause).to_owned(),
            remedy: advice::remedy(cause).to_owned(),
            commands: advice::commands(cause, &Names::placeholders()),
            runbook: runbook(cause),
        }
    }
}

impl Entry {
    fn stage_list(&self) -> String {
        let words: Vec<&str> = self.stages.iter().map(|stage| stage.0.as_str()).collect();
        words.join(", ")
    }
}

/// The form of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatalogueFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For the runbook.
    Markdown,
}

/// Writes the catalogue.
///
/// # Errors
/// What the writer gives back.
pub fn write(out: &mut impl Write, format: CatalogueFormat, style: &Style) -> io::Result<()> {
    match format {
        CatalogueFormat::Text => write_text(out, style),
        CatalogueFormat::Json => write_json(out),
        CatalogueFormat::Markdown => write_markdown(out),
    }
}

/// Every cause, in the order in which a pull meets them.
#[must_use]
pub fn entries() -> Vec<Entry> {
    Cause::ALL.into_iter().map(Entry::from).collect()
}

/// Writes the list for people.
///
/// # Errors
/// What the writer gives back.
pub fn write_text(out: &mut impl Write, style: &Style) -> io::Result<()> {
    let mut page = Page::new(out, style);
    for entry in entries() {
        let code = page.paint(Tone::Strong, &entry.cause);
        page.paragraph(&format!("{code} "), 2, &format!("({}; {})", entry.severity.0, entry.stage_list()))?;
        page.paragraph("  ", 2, &entry.meaning)?;
        page.paragraph("  recognised by: ", 4, &entry.recognised_by)?;
        page.paragraph("  fix: ", 4, &entry.remedy)?;
        for command in &entry.commands {
            page.command(6, command)?;
        }
        page.paragraph("  more: ", 4, &entry.runbook)?;
        page.gap()?;
    }
    Ok(())
}

/// Writes the list for programs: an array.
///
/// # Errors
/// What the writer gives back.
pub fn write_json(out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &entries())?;
    writeln!(out)
}

/// Writes the runbook: a table of all causes, then a section on each. A heading that is the code alone makes the anchor
/// that [`runbook`] points to.
///
/// # Errors
/// What the writer gives back.
pub fn write_markdown(out: &mut impl Write) -> io::Result<()> {
    out.write_all(INTRODUCTION.as_bytes())?;
    writeln!(out, "| cause | stages | severity | recognised by |")?;
    writeln!(out, "| --- | --- | --- | --- |")?;
    let entries = entries();
    for entry in &entries {
        let Entry { cause, severity, recognised_by, .. } = entry;
        let cells =
            [&entry.stage_list(), severity.0.as_str(), recognised_by].map(|cell| cell.replace('|', "\\|"));
        writeln!(out, "| [`{cause}`](#{cause}) | {} |", cells.join(" | "))?;
    }
    for entry in &entries {
        write_section(out, entry)?;
    }
    Ok(())
}

const INTRODUCTION: &str = "\
<!-- Generated from src/cause/advice: change the words there, then run the tests with EXPECTORATE=overwrite. -->

# Runbook

One section for each cause that `acr-verifier` reports: in the field `cause` of a report, in the label `cause` of a
metric, and in PascalCase as the reason of a Kubernetes Event. A report and an Event carry the same commands with the
names filled in; here a word in capitals stands for each name. `acr-verifier causes` prints the same list.

In Azure Government and in China the private zone is `privatelink.azurecr.us` and `privatelink.azurecr.cn`. The data
endpoint's record in it is `REGISTRY.REGION.data`.

";

fn write_section(out: &mut impl Write, entry: &Entry) -> io::Result<()> {
    writeln!(out, "\n## {}\n", entry.cause)?;
    writeln!(out, "{}\n", entry.meaning)?;
    writeln!(out, "- Event reason: `{}`", entry.reason)?;
    writeln!(out, "- Stages: {}", entry.stage_list())?;
    writeln!(out, "- Severity: {}", entry.severity.0)?;
    writeln!(out, "- Recognised by: {}\n", entry.recognised_by)?;
    writeln!(out, "**Fix.** {}\n", entry.remedy)?;
    writeln!(out, "```sh")?;
    for command in &entry.commands {
        writeln!(out, "{command}")?;
    }
    writeln!(out, "```")
}
