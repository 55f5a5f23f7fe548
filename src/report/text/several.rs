//! The text report on several images: a line for each, their problems, then the evidence.
//!
//! Equal problems of several images of one registry are shown once, with the images that have them. The stages of an image
//! that passes are omitted unless [`Details::All`] is set; the sentence that states what its pass covers is not.

use std::cmp::Reverse;
use std::io::{self, Write};

use textwrap::core::display_width;

use super::super::layout::{Page, Tone};
use super::super::problem::Problem;
use super::super::sentence::{place, sentence};
use super::{Details, titled, verdict_line, write_stages};
use crate::diagnosis::Diagnosis;
use crate::run::{CheckRun, ImageResult, located_at};
use crate::text::sanitize::MAX_WORD;
use crate::text::words::{plural, some_of, taken};
use crate::verdict::Verdict;

/// Images with a line of their own in the summary, so that the problems stay on the first screen.
const MAX_ROWS: usize = 10;
/// Images that are named for a problem.
const MAX_NAMED: usize = 5;
/// Columns kept for the cause: the longest code.
const CAUSE_COLUMNS: usize = 26;

/// Writes a run over several images, or over none.
pub(super) fn write<W: Write>(page: &mut Page<'_, W>, run: &CheckRun, details: Details) -> io::Result<()> {
    if run.images.is_empty() {
        return verdict_line(page, run.verdict(), "no image was checked.");
    }
    let summary = format!(
        "{} checked from {} in {}: {}.",
        plural(run.images.len(), "image"),
        place(run),
        taken(run.duration),
        counts(run.images.iter().map(ImageResult::verdict))
    );
    verdict_line(page, run.verdict(), &summary)?;
    write_rows(page, run, details)?;
    for problem in shared_problems(&run.images) {
        page.gap()?;
        problem.write(page)?;
    }
    for checked in &run.images {
        page.gap()?;
        verdict_line(page, checked.verdict(), &sentence(run, checked))?;
        if has_stages(checked, details) {
            write_stages(page, checked)?;
        }
    }
    if run.images.iter().any(|checked| !has_stages(checked, details)) {
        page.gap()?;
        page.heading(Tone::Faint, "--details also shows the stages of images that pass.")?;
    }
    Ok(())
}

fn has_stages(checked: &ImageResult, details: Details) -> bool {
    match details {
        Details::All => true,
        Details::Problems => checked.verdict() != Verdict::Pass,
    }
}

/// `1 failed, 2 passed`
fn counts(verdicts: impl Iterator<Item = Verdict>) -> String {
    let verdicts: Vec<Verdict> = verdicts.collect();
    let count = |wanted| verdicts.iter().filter(|verdict| **verdict == wanted).count();
    let parts: Vec<String> = [
        (Verdict::Fail, "failed"),
        (Verdict::Unknown, "unknown"),
        (Verdict::Warn, "with warnings"),
        (Verdict::Pass, "passed"),
    ]
    .into_iter()
    .filter(|&(verdict, _)| count(verdict) > 0)
    .map(|(verdict, words)| format!("{} {words}", count(verdict)))
    .collect();
    parts.join(", ")
}

/// Writes a line for each image, the worst first: its verdict, and its cause or duration.
fn write_rows<W: Write>(page: &mut Page<'_, W>, run: &CheckRun, details: Details) -> io::Result<()> {
    let mut images: Vec<&ImageResult> = run.images.iter().collect();
    images.sort_by_key(|checked| Reverse(checked.verdict()));
    let shown = match details {
        Details::Problems if images.len() > MAX_ROWS => MAX_ROWS - 1,
        Details::Problems | Details::All => images.len(),
    };
    let (shown, more) = images.split_at(shown);
    let verdict_of = |checked: &&ImageResult| {
        let verdict = checked.verdict();
        page.verdict(verdict.into(), verdict.as_str())
    };
    let verdicts: Vec<String> = shown.iter().map(verdict_of).collect();
    let names: Vec<String> = shown.iter().map(|checked| page.cell(&titled(checked), MAX_WORD)).collect();
    let of_verdict = verdicts.iter().map(|verdict| display_width(verdict)).max().unwrap_or(0);
    let indent = 2 + of_verdict + 2;
    // A longer name has a line of its own.
    let longest = page.width().saturating_sub(indent + 2 + CAUSE_COLUMNS);
    let widths = names.iter().map(|name| display_width(name));
    let of_name = widths.filter(|width| *width <= longest).max().unwrap_or(0);
    for ((checked, verdict), name) in shown.iter().zip(&verdicts).zip(&names) {
        let prefix = format!("  {verdict}{:gap$}  ", "", gap = of_verdict - display_width(verdict));
        let outcome = match checked.diagnoses.first() {
            Some(first) => first.cause.code().to_owned(),
            None => taken(checked.observation.duration),
        };
        if let Some(gap) = of_name.checked_sub(display_width(name)) {
            page.paragraph(&format!("{prefix}{name}{:gap$}  ", ""), indent, &outcome)?;
        } else {
            page.paragraph(&prefix, indent, name)?;
            page.paragraph(&" ".repeat(indent + 2), indent + 2, &outcome)?;
        }
    }
    if more.is_empty() {
        return Ok(());
    }
    let counts = counts(more.iter().map(|checked| checked.verdict()));
    page.paragraph("  ", 4, &format!("and {} more: {counts}", more.len()))
}

/// A problem of one or several images of a registry.
struct Shared<'run> {
    images: Vec<&'run ImageResult>,
    diagnosis: &'run Diagnosis,
}

impl Shared<'_> {
    /// Whether another diagnosis of the registry is the same problem. The registry numbers its responses, so the correlation
    /// id is that of the first image.
    fn is_same(&self, checked: &ImageResult, other: &Diagnosis) -> bool {
        let known = self.diagnosis;
        self.images.iter().any(|of| of.image.host() == checked.image.host())
            && (known.cause, known.severity, located_at(known))
                == (other.cause, other.severity, located_at(other))
            && (&known.message, &known.remedy, &known.commands)
                == (&other.message, &other.remedy, &other.commands)
    }

    fn write<W: Write>(&self, page: &mut Page<'_, W>) -> io::Result<()> {
        let (endpoint, stage) = located_at(self.diagnosis);
        let prefix = page.paint(Tone::Strong, &format!("{} at {endpoint}.{stage}:", self.diagnosis.cause));
        let images = match &self.images[..] {
            [only] => titled(only),
            [first, ..] => {
                let host = format!("{}/", first.image.host());
                let names: Vec<String> = self.images.iter().map(|checked| titled(checked)).collect();
                let names: Vec<&str> =
                    names.iter().map(|name| name.strip_prefix(&host).unwrap_or(name)).collect();
                format!("{} of {}", some_of(&names, MAX_NAMED), first.image.host())
            }
            [] => String::new(),
        };
        page.paragraph_or_below(&format!("{prefix} "), 2, &images)?;
        Problem::from(self.diagnosis).write(page)
    }
}

/// Returns the problems of all images, the most severe and most common first.
fn shared_problems(images: &[ImageResult]) -> Vec<Shared<'_>> {
    let mut problems: Vec<Shared<'_>> = Vec::new();
    for checked in images {
        for diagnosis in &checked.diagnoses {
            match problems.iter_mut().find(|problem| problem.is_same(checked, diagnosis)) {
                Some(problem) => problem.images.push(checked),
                None => problems.push(Shared { images: vec![checked], diagnosis }),
            }
        }
    }
    problems.sort_by_key(|problem| (problem.diagnosis.severity, Reverse(problem.images.len())));
    problems
}
