//! The smoke check's report for people: a matrix of nodes, the failures by their causes, and the verdict.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::super::clean::MAX_WORD;
use super::super::page::{Page, Tone};
use super::super::{Style, printable};
use super::{Row, headline, rows, sentence};
use crate::diagnosis::{Severity, Verdict};
use crate::fleet::Fleet;
use crate::fleet::difference::differences;
use crate::fleet::judgement::{Group, Judgement};

/// Nodes that are shown a line each; of more, the good ones are counted by pool, and the bad ones cut.
const MAX_ROWS: usize = 40;
/// Columns before a command.
const COMMAND_COLUMN: usize = 6;
/// Widest a column of the matrix gets, in characters: the names of AKS nodes have about 35.
const MAX_COLUMN: usize = 48;

/// Writes a smoke check.
///
/// # Errors
/// What the writer gives back.
pub fn write(out: &mut impl Write, fleet: &Fleet, judgement: &Judgement, style: &Style) -> io::Result<()> {
    let mut page = Page::new(out, style);
    let heading = format!("DaemonSet {} in namespace {}", fleet.daemon_set, fleet.namespace);
    page.heading(Tone::Strong, &heading)?;
    write_matrix(&mut page, folded(rows(fleet)))?;
    for group in &judgement.groups {
        page.gap()?;
        write_group(&mut page, fleet, judgement, group)?;
    }
    page.gap()?;
    let prefix = format!("{} ", page.paint(tone(judgement.verdict), &format!("{}:", judgement.verdict)));
    page.paragraph(&prefix, 2, &sentence(fleet, judgement))
}

/// At most [`MAX_ROWS`] lines, and then what they leave out.
fn folded(rows: Vec<Row>) -> Vec<Row> {
    if rows.len() <= MAX_ROWS {
        return rows;
    }
    let (bad, rest): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row.rank < 3);
    let more = bad.len().saturating_sub(MAX_ROWS);
    let mut shown: Vec<Row> = bad.into_iter().take(MAX_ROWS).collect();
    if more > 0 {
        let node = format!("and {more} more, see the groups below");
        shown.push(line_about(1, "...", &node, "", ""));
    }
    let mut folded: BTreeMap<(u8, String, String, String), usize> = BTreeMap::new();
    for row in rest {
        *folded.entry((row.rank, row.pool, row.verdict, row.cause)).or_default() += 1;
    }
    shown.extend(
        folded
            .into_iter()
            .map(|((rank, pool, verdict, cause), count)| {
                let node = super::plural(count, "node");
                line_about(rank, &pool, &node, &verdict, &cause)
            })
            .take(MAX_ROWS),
    );
    shown
}

fn line_about(rank: u8, pool: &str, node: &str, verdict: &str, cause: &str) -> Row {
    Row {
        rank,
        pool: pool.to_owned(),
        node: node.to_owned(),
        verdict: verdict.to_owned(),
        stage: String::new(),
        cause: cause.to_owned(),
    }
}

fn write_matrix<W: Write>(page: &mut Page<'_, W>, mut rows: Vec<Row>) -> io::Result<()> {
    for row in &mut rows {
        for cell in [&mut row.pool, &mut row.node, &mut row.verdict, &mut row.stage] {
            *cell = printable(cell, MAX_COLUMN);
        }
    }
    let width = |cell: fn(&Row) -> &str, heading: &str| {
        let cells = rows.iter().map(|row| cell(row).chars().count());
        cells.max().unwrap_or(0).max(heading.len())
    };
    let pool = width(|row| &row.pool, "pool");
    let node = width(|row| &row.node, "node");
    let verdict = width(|row| &row.verdict, "verdict");
    let stage = width(|row| &row.stage, "stage");
    let heading = format!(
        "  {:<pool$}  {:<node$}  {:<verdict$}  {:<stage$}  cause",
        "pool", "node", "verdict", "stage"
    );
    page.heading(Tone::Faint, heading.trim_end())?;
    // Where the cause goes below its own beginning there has to be room for words.
    let column = 2 + pool + 2 + node + 2 + verdict + 2 + stage + 2;
    let indent = column.min(page.width() / 2);
    for row in &rows {
        let painted = page.paint(tone_of(row.rank), &format!("{:<verdict$}", row.verdict));
        let prefix =
            format!("  {:<pool$}  {:<node$}  {painted}  {:<stage$}  ", row.pool, row.node, row.stage);
        page.paragraph(&prefix, indent, &printable(&row.cause, MAX_WORD))?;
    }
    Ok(())
}

fn write_group<W: Write>(
    page: &mut Page<'_, W>,
    fleet: &Fleet,
    judgement: &Judgement,
    group: &Group,
) -> io::Result<()> {
    page.heading(Tone::Strong, &headline(group, judgement))?;
    let (tone, label) = match group.severity {
        Severity::Fail => (Tone::Bad, "problem"),
        Severity::Unknown => (Tone::Unclear, "problem"),
        Severity::Warn => (Tone::Warning, "warning"),
    };
    let label = match &group.example_of {
        Some(node) => format!("{label} ({}):", printable(node, MAX_COLUMN)),
        None => format!("{label}:"),
    };
    let prefix = format!("  {} ", page.paint(tone, &label));
    page.paragraph(&prefix, 4, &group.example.message)?;
    let prefix = format!("  {} ", page.paint(Tone::Strong, "fix:"));
    page.paragraph(&prefix, 4, &group.example.remedy)?;
    for command in &group.example.commands {
        page.command(COMMAND_COLUMN, command)?;
    }
    for difference in differences(fleet, group) {
        page.paragraph("  differs: ", 4, &difference.sentence())?;
    }
    match &group.example.runbook {
        Some(runbook) => page.paragraph("  more: ", 4, runbook),
        None => Ok(()),
    }
}

const fn tone(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Pass => Tone::Good,
        Verdict::Warn => Tone::Warning,
        Verdict::Unknown => Tone::Unclear,
        Verdict::Fail => Tone::Bad,
    }
}

const fn tone_of(rank: u8) -> Tone {
    match rank {
        0 | 1 => Tone::Bad,
        2 => Tone::Warning,
        3 => Tone::Good,
        _ => Tone::Faint,
    }
}
