//! The text report, to be read at three in the morning: verdict, cause and fix first, then the evidence.
//!
//! For one image: the verdict and what it covers, each problem with its fix and commands to paste, then a line per stage with
//! its duration and finding. [`several`] puts a summary before the problems of several images.

mod several;

use std::io::{self, Write};

use textwrap::core::display_width;

use super::layout::{Mark, Page, Tone};
use super::problem::Problem;
use super::sentence::sentence;
use super::stage_summary::{self, finding};
use super::{Details, Style};
use crate::run::{CheckRun, Extent, ImageResult, StageReport, StageStatus};
use crate::text::sanitize::{MAX_WORD, printable};
use crate::text::words::taken;
use crate::verdict::{Severity, Verdict};

/// Columns taken by the stage and its duration, including the gaps before and between them and around the mark.
const STAGE_COLUMNS: usize = 4 + 2 + 9 + 1 + 7 + 2;
/// Below this width, continuation lines of findings move to the left, as they do for a digest that does not fit.
const NARROW: usize = 80;
/// Minimum indentation of those: below the marks.
const MIN_COLUMN: usize = 6;

/// Writes a run as text.
///
/// # Errors
/// Returns the writer's error.
pub fn write(out: &mut impl Write, run: &CheckRun, details: Details, style: &Style) -> io::Result<()> {
    let mut page = Page::new(out, style);
    match &run.images[..] {
        [only] => write_one(&mut page, run, only),
        _ => several::write(&mut page, run, details),
    }
}

fn write_one<W: Write>(page: &mut Page<'_, W>, run: &CheckRun, checked: &ImageResult) -> io::Result<()> {
    verdict_line(page, checked.verdict(), &sentence(run, checked))?;
    for diagnosis in &checked.diagnoses {
        Problem::from(diagnosis).write(page)?;
    }
    page.gap()?;
    page.heading(Tone::Strong, &titled(checked))?;
    write_stages(page, checked)
}

/// Returns an image with the operator's name for it.
fn titled(checked: &ImageResult) -> String {
    let name = checked.name.as_deref().map(|name| format!(" ({})", printable(name, MAX_WORD)));
    format!("{}{}", checked.image, name.unwrap_or_default())
}

fn verdict_line<W: Write>(page: &mut Page<'_, W>, verdict: Verdict, sentence: &str) -> io::Result<()> {
    let prefix = format!("{} ", page.verdict(verdict.into(), &format!("{verdict}:")));
    page.paragraph(&prefix, 2, sentence)
}

fn write_stages<W: Write>(page: &mut Page<'_, W>, checked: &ImageResult) -> io::Result<()> {
    let stages = checked.stages();
    for of_endpoint in stages.chunk_by(|one, other| one.endpoint == other.endpoint) {
        let endpoint = of_endpoint[0].endpoint;
        let host = stage_summary::host(checked, endpoint).unwrap_or_default();
        page.paragraph("  ", 9, &format!("{:<5}  {host}", endpoint.as_str()))?;
        let reason = |report: &StageReport<'_>| match report.status {
            StageStatus::Skipped => Some(not_run(checked, report)),
            StageStatus::Ok | StageStatus::Warning | StageStatus::Failed => None,
        };
        for alike in of_endpoint.chunk_by(|one, other| reason(one).is_some() && reason(one) == reason(other))
        {
            match (alike, reason(&alike[0])) {
                ([_, _, ..], Some(reason)) => write_skipped(page, alike, &reason)?,
                _ => write_stage(page, checked, &alike[0])?,
            }
        }
    }
    Ok(())
}

/// Writes stages that did not run for the same reason in one line.
fn write_skipped<W: Write>(
    page: &mut Page<'_, W>,
    stages: &[StageReport<'_>],
    reason: &str,
) -> io::Result<()> {
    let names: Vec<&str> = stages.iter().map(|report| report.stage.as_str()).collect();
    let prefix = format!("    {}  ", page.mark(Mark::Skipped));
    page.paragraph(&prefix, stage_column(page), &format!("{}: {reason}", names.join(", ")))
}

fn write_stage<W: Write>(
    page: &mut Page<'_, W>,
    checked: &ImageResult,
    report: &StageReport<'_>,
) -> io::Result<()> {
    let unclear = report.diagnoses.first().is_some_and(|first| first.severity == Severity::Unknown);
    let mark = match report.status {
        StageStatus::Ok => Mark::Good,
        StageStatus::Warning => Mark::Warning,
        StageStatus::Failed if unclear => Mark::Unclear,
        StageStatus::Failed => Mark::Bad,
        StageStatus::Skipped => Mark::Skipped,
    };
    let time = report.duration.map(taken).unwrap_or_default();
    let prefix = format!("    {}  {:<9} {time:>7}  ", page.mark(mark), report.stage.as_str());
    let mut lines = match report.status {
        StageStatus::Skipped => vec![not_run(checked, report)],
        StageStatus::Ok | StageStatus::Warning | StageStatus::Failed => finding(checked, report),
    };
    if lines.is_empty() {
        lines.extend(report.diagnoses.first().map(|first| first.cause.code().replace('_', " ")));
    }
    let words = lines.iter().flat_map(|line| line.split(' '));
    let widest = words.map(display_width).max().unwrap_or(0);
    let usual = STAGE_COLUMNS + page.mark_width();
    let column = if page.width() < NARROW || usual + widest > page.width() {
        page.width().saturating_sub(widest).clamp(MIN_COLUMN, stage_column(page))
    } else {
        usual
    };
    let hanging = " ".repeat(column);
    page.paragraph_or_below(&prefix, column, lines.first().map_or("", String::as_str))?;
    for line in lines.iter().skip(1) {
        page.paragraph(&hanging, column, line)?;
    }
    Ok(())
}

/// Returns the column at which the names of stages start.
fn stage_column<W: Write>(page: &Page<'_, W>) -> usize {
    4 + page.mark_width() + 2
}

/// Returns why a stage did not run, for a place where the failed stage is visible as well.
pub(crate) fn not_run(checked: &ImageResult, report: &StageReport<'_>) -> String {
    // The failed stage above is reason enough.
    if checked.decisive().is_some() && checked.extent == Extent::Whole {
        "not reached".to_owned()
    } else {
        checked.skip_reason(report.endpoint, report.stage)
    }
}
