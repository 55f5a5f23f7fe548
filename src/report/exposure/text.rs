//! The text report of `exposure`: the verdict on each registry first, then what it does not cover.

use std::io::{self, Write};

use super::super::Style;
use super::super::layout::{Mark, Page, Tone};
use super::{requested, runbook, second};
use crate::public_endpoint::settings::{NOT_VISIBLE, SETTINGS, Setting, settings_command};
use crate::public_endpoint::{Exposure, ExposureRun, Probe, RegistryExposure};
use crate::text::sanitize::{MAX_WORD, printable};
use crate::text::words::taken;

/// Column at which commands start.
const COMMAND_COLUMN: usize = 6;
/// Columns of the longest key of [`SETTINGS`].
const KEY_WIDTH: usize = 16;

/// Writes a run as text.
///
/// # Errors
/// Returns the writer's error.
pub fn write(out: &mut impl Write, run: &ExposureRun, style: &Style) -> io::Result<()> {
    let mut page = Page::new(out, style);
    for registry in &run.registries {
        write_registry(&mut page, registry)?;
        page.gap()?;
    }
    if run.registries.len() > 1 {
        write_summary(&mut page, run)?;
        page.gap()?;
    }
    let sentences = format!("{} Started at {}.", requested(run).join(" "), second(run.started_at));
    page.paragraph("Sent: ", 2, &sentences)?;
    page.gap()?;
    write_not_visible(&mut page, run)
}

fn write_registry<W: Write>(page: &mut Page<'_, W>, registry: &RegistryExposure) -> io::Result<()> {
    let verdict = registry.verdict();
    let prefix = format!("{} ", page.verdict(mark(verdict), &format!("{}:", words(verdict))));
    page.paragraph(&prefix, 2, &registry.message())?;
    for probe in &registry.probes {
        write_probe(page, probe)?;
    }
    let Some(remedy) = registry.remedy() else { return Ok(()) };
    let prefix = format!("  {} ", page.paint(Tone::Strong, "fix:"));
    page.paragraph(&prefix, 4, &remedy)?;
    if verdict == Exposure::Exposed {
        let show = settings_command(&registry.name);
        for command in registry.commands().iter().filter(|command| **command != show) {
            page.command(COMMAND_COLUMN, command)?;
        }
    }
    page.paragraph("  more: ", 4, &runbook())
}

fn write_probe<W: Write>(page: &mut Page<'_, W>, probe: &Probe) -> io::Result<()> {
    let prefix = format!("    {}  ", page.mark(mark(probe.verdict())));
    let indent = 4 + page.mark_width() + 2;
    let time = format!("{}, {}", second(probe.at), taken(probe.duration));
    page.paragraph(&prefix, indent, &format!("{} ({time}): {}", probe.subject(), probe.message()))?;
    let id = probe.outcome.answer().and_then(|answer| answer.correlation_id.as_deref());
    match id.map(|id| printable(id, MAX_WORD)) {
        Some(id) => page.paragraph(&format!("{:indent$}correlation id: ", ""), indent, &id),
        None => Ok(()),
    }
}

fn write_summary<W: Write>(page: &mut Page<'_, W>, run: &ExposureRun) -> io::Result<()> {
    let count = |verdict| run.registries.iter().filter(|registry| registry.verdict() == verdict).count();
    let parts: Vec<String> = Exposure::ALL
        .into_iter()
        .rev()
        .filter(|verdict| count(*verdict) > 0)
        .map(|verdict| format!("{} {}", count(verdict), words(verdict)))
        .collect();
    let prefix = format!("{} ", page.verdict(mark(run.verdict()), &format!("{}:", words(run.verdict()))));
    page.paragraph(&prefix, 2, &format!("{} registries: {}.", run.registries.len(), parts.join(", ")))
}

/// Lists what no request from outside can see, and the settings to read instead.
fn write_not_visible<W: Write>(page: &mut Page<'_, W>, run: &ExposureRun) -> io::Result<()> {
    page.heading(Tone::Strong, "Not visible from here:")?;
    for sentence in NOT_VISIBLE {
        page.paragraph("  - ", 4, sentence)?;
    }
    page.paragraph("", 0, "The settings of the registry show the rest:")?;
    let name = match &run.registries[..] {
        [only] => only.name.as_str(),
        _ => "REGISTRY",
    };
    page.command(COMMAND_COLUMN, &settings_command(name))?;
    page.paragraph("", 0, "They should read:")?;
    for Setting { key, expected, .. } in SETTINGS {
        page.paragraph(&format!("  {key:<KEY_WIDTH$}  "), 4 + KEY_WIDTH, expected)?;
    }
    Ok(())
}

const fn mark(verdict: Exposure) -> Mark {
    match verdict {
        Exposure::Refused => Mark::Good,
        Exposure::NotTested => Mark::Unclear,
        Exposure::Exposed => Mark::Bad,
    }
}

/// Returns the verdict in words.
const fn words(verdict: Exposure) -> &'static str {
    match verdict {
        Exposure::Refused => "refused",
        Exposure::NotTested => "not tested",
        Exposure::Exposed => "exposed",
    }
}
