//! Writes the report of a smoke check to standard output and to the files that the operator named.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;

use super::Options;
use crate::fleet::Fleet;
use crate::output;
use crate::report::Style;
use crate::report::fleet::{self as report, Format};
use crate::terminal;

/// Writes the report to standard output and to the given files. Standard output gets it even if a file cannot be written.
pub(super) fn write(fleet: &Fleet, options: &Options) -> anyhow::Result<()> {
    let style = terminal::style();
    let printed = terminal::print_with(|out| report::write(out, fleet, options.format, &style));
    let printed = printed.context("cannot write the report to standard output");
    let plain = Style { color: false, unicode: false, width: terminal::UNKNOWN_WIDTH };
    if let Some(path) = &options.report_file {
        let written = output::replace_with(path, |out| report::write(out, fleet, options.format, &plain));
        written.with_context(|| format!("cannot write the report to {}", path.display()))?;
    }
    if let Some(path) = &options.summary_file {
        let mut text = Vec::new();
        report::write(&mut text, fleet, Format::Markdown, &plain)?;
        append(path, &text).with_context(|| format!("cannot append the summary to {}", path.display()))?;
    }
    printed
}

/// Appends, since other steps of a pipeline write their summaries to the same file.
fn append(path: &Path, text: &[u8]) -> std::io::Result<()> {
    OpenOptions::new().create(true).append(true).open(path)?.write_all(text)
}
