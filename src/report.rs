//! How a run looks: to people, to programs and to pipelines.
//!
//! Owns the forms of a report and the words that they share. The renderers are [`text`], [`json`], [`junit`] and, for the
//! causes themselves, [`catalogue`]; each writes into an `io::Write` that it is given. Nothing here judges (that is `rules`)
//! or decides where a report goes (that is `check`, `agent` and `smoke`).

pub mod catalogue;
pub mod fleet;
pub mod json;
pub mod junit;
pub mod text;

mod answers;
mod finding;
mod page;
mod scalar;

use std::io::{self, Write};

use crate::cause::Cause;
use crate::run::Run;

// What the status page shares with the renderers.
pub(crate) use answers::records;
pub(crate) use finding::{ending, finding, host, server};
pub use page::Style;
pub use scalar::{Moment, Seconds, Word};
pub(crate) use text::{not_run, sentence, time};

/// Where the runbook is: each cause has a section of its name.
pub const RUNBOOK: &str = "https://github.com/acr-verifier/acr-verifier/blob/main/dashboards/runbook.md";

/// The runbook's section on a cause.
#[must_use]
pub fn runbook(cause: Cause) -> String {
    format!("{RUNBOOK}#{cause}")
}

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For programs: the contract's `acr-verifier/report/v1`.
    Json,
    /// For pipelines.
    Junit,
}

/// Writes a run in one of the forms; the style is the text's alone.
///
/// # Errors
/// What the writer gives back.
pub fn write(out: &mut impl Write, run: &Run, format: Format, style: &Style) -> io::Result<()> {
    match format {
        Format::Text => text::write(out, run, style),
        Format::Json => json::write(out, run, None),
        Format::Junit => junit::write(out, run),
    }
}
