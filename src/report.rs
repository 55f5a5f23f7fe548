//! Renders the result of a run for people, programs and pipelines.
//!
//! Owns the output formats and the wording that they share. The renderers of a check are [`text`], [`json`] and [`junit`];
//! [`fleet`], [`exposure`] and [`discover`] render the results of the other commands, and [`catalogue`] the list of causes.
//! Each writes to a given `io::Write`. Evaluation is elsewhere, and the commands decide where a report goes.

pub mod catalogue;
pub mod discover;
pub mod exposure;
pub mod fleet;
pub mod json;
pub mod junit;
pub mod text;

mod dns_summary;
mod layout;
mod problem;
mod sentence;
mod stage_summary;

use std::io::{self, Write};

use clap::ValueEnum;

pub use crate::cause::{RUNBOOK, runbook};
use crate::run::CheckRun;

// Shared by the renderers and the status page.
pub(crate) use dns_summary::records;
pub use layout::Style;
pub(crate) use sentence::sentence;
pub(crate) use stage_summary::{ending, finding, host, scope, server};
pub(crate) use text::not_run;

/// The output format of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Human-readable text.
    Text,
    /// JSON for programs, with the schema acr-verifier/report/v1.
    Json,
    /// JUnit XML for the test results of a pipeline.
    Junit,
}

/// The images whose stages the text report shows, if it is about several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Details {
    /// Those that do not pass.
    #[default]
    Problems,
    /// All of them.
    All,
}

/// Writes a run in the given format. Only [`Format::Text`] uses the details and the style.
///
/// # Errors
/// Returns the writer's error.
pub fn write(
    out: &mut impl Write,
    run: &CheckRun,
    format: Format,
    details: Details,
    style: &Style,
) -> io::Result<()> {
    match format {
        Format::Text => text::write(out, run, details, style),
        Format::Json => json::write(out, run, None),
        Format::Junit => junit::write(out, run),
    }
}
