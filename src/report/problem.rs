//! The block that explains a problem: what is wrong, the fix, its commands, and where to read more.
//!
//! Owns the order and labels of the block for all text formats. Markdown and HTML mark it up in their own way, from the same
//! values.

use std::borrow::Cow;
use std::io::{self, Write};

use super::layout::{Page, Tone};
use super::runbook;
use crate::diagnosis::Diagnosis;
use crate::fleet::advice::Advice;
use crate::text::sanitize::{MAX_TEXT, MAX_WORD, pasteable, printable};
use crate::verdict::Severity;

/// Column at which commands start.
const COMMAND_COLUMN: usize = 6;

/// A problem, as every format shows it.
#[derive(Debug)]
pub(crate) struct Problem<'facts> {
    pub(crate) severity: Severity,
    /// The node that the values come from, if they differ between nodes.
    pub(crate) node: Option<Cow<'facts, str>>,
    pub(crate) message: &'facts str,
    pub(crate) remedy: &'facts str,
    pub(crate) commands: &'facts [String],
    pub(crate) correlation_id: Option<&'facts str>,
    /// Further sentences: how the affected nodes differ from the others.
    pub(crate) differences: Vec<String>,
    /// URL of the runbook section, if there is one.
    pub(crate) runbook: Option<Cow<'facts, str>>,
}

impl<'facts> From<&'facts Diagnosis> for Problem<'facts> {
    fn from(diagnosis: &'facts Diagnosis) -> Self {
        Self {
            severity: diagnosis.severity,
            node: None,
            message: &diagnosis.message,
            remedy: &diagnosis.remedy,
            commands: &diagnosis.commands,
            correlation_id: diagnosis.correlation_id.as_deref(),
            differences: Vec::new(),
            runbook: Some(runbook(diagnosis.cause).into()),
        }
    }
}

impl<'facts> Problem<'facts> {
    /// Returns the problem of a node, or of a group of nodes.
    pub(crate) fn of_nodes(advice: &'facts Advice, severity: Severity) -> Self {
        Self {
            severity,
            node: None,
            message: &advice.message,
            remedy: &advice.remedy,
            commands: &advice.commands,
            correlation_id: None,
            differences: Vec::new(),
            runbook: advice.runbook.as_deref().map(Cow::Borrowed),
        }
    }

    const fn label(&self) -> &'static str {
        match self.severity {
            Severity::Fail | Severity::Unknown => "problem",
            Severity::Warn => "warning",
        }
    }

    const fn tone(&self) -> Tone {
        match self.severity {
            Severity::Fail => Tone::Bad,
            Severity::Unknown => Tone::Unclear,
            Severity::Warn => Tone::Warning,
        }
    }

    /// Writes the block for people, with wrapped sentences and commands that can be pasted.
    pub(super) fn write<W: Write>(&self, page: &mut Page<'_, W>) -> io::Result<()> {
        let label = match &self.node {
            Some(node) => format!("{} ({node}):", self.label()),
            None => format!("{}:", self.label()),
        };
        let prefix = format!("  {} ", page.paint(self.tone(), &label));
        page.paragraph(&prefix, 4, self.message)?;
        let prefix = format!("  {} ", page.paint(Tone::Strong, "fix:"));
        page.paragraph(&prefix, 4, self.remedy)?;
        for command in self.commands {
            page.command(COMMAND_COLUMN, command)?;
        }
        if let Some(id) = self.correlation_id {
            page.paragraph("  correlation id: ", 4, &printable(id, MAX_WORD))?;
        }
        for difference in &self.differences {
            page.paragraph("  differs: ", 4, difference)?;
        }
        match &self.runbook {
            Some(runbook) => page.paragraph("  more: ", 4, runbook),
            None => Ok(()),
        }
    }

    /// Returns the block as plain lines, for the description of a failed test case.
    pub(super) fn lines(&self) -> String {
        let mut lines = vec![
            format!("{}: {}", self.label(), printable(self.message, MAX_TEXT)),
            format!("fix: {}", printable(self.remedy, MAX_TEXT)),
        ];
        lines.extend(self.commands.iter().map(|command| format!("    {}", pasteable(command))));
        lines.extend(
            self.correlation_id.iter().map(|id| format!("correlation id: {}", printable(id, MAX_TEXT))),
        );
        lines.extend(self.runbook.iter().map(|runbook| format!("more: {}", printable(runbook, MAX_TEXT))));
        lines.join("\n")
    }
}
