//! The text report of a smoke check: a matrix of nodes, the failures by cause, and the verdict.

use std::collections::BTreeMap;
use std::io::{self, Write};

use textwrap::core::display_width;

use super::super::Style;
use super::super::layout::{Mark, Page, Tone};
use super::super::problem::Problem;
use super::{MAX_COMMANDS, MAX_GROUPS, Row, headline, rows, sentence};
use crate::fleet::Fleet;
use crate::fleet::difference::{Difference, differences};
use crate::fleet::evaluation::{Evaluation, Group};
use crate::text::sanitize::{MAX_WORD, printable};
use crate::text::words::plural;
use crate::verdict::Verdict;

/// Nodes with a line of their own. Beyond that, good nodes are counted by pool and bad ones are cut.
const MAX_ROWS: usize = 40;
/// Rows shown per failure in a large fleet, so that a small failure is not buried under a large one.
const MAX_ALIKE: usize = 10;
/// Minimum width for wrapping a cause, in columns.
const MIN_CAUSE: usize = 30;
/// Maximum width of a matrix column in characters: names of AKS nodes have about 35.
const MAX_COLUMN: usize = 48;

/// Writes a smoke check as text.
///
/// # Errors
/// Returns the writer's error.
pub fn write(out: &mut impl Write, fleet: &Fleet, evaluation: &Evaluation, style: &Style) -> io::Result<()> {
    let mut page = Page::new(out, style);
    let heading = format!("DaemonSet {} in namespace {}", fleet.daemon_set, fleet.namespace);
    page.heading(Tone::Strong, &heading)?;
    write_matrix(&mut page, folded(rows(fleet)))?;
    for group in evaluation.groups.iter().take(MAX_GROUPS) {
        page.gap()?;
        write_group(&mut page, fleet, evaluation, group)?;
    }
    if evaluation.groups.len() > MAX_GROUPS {
        page.gap()?;
        let more = evaluation.groups.len() - MAX_GROUPS;
        page.paragraph("", 2, &format!("And {more} more groups; the JSON report has all of them."))?;
    }
    page.gap()?;
    let verdict = page.verdict(evaluation.verdict.into(), &format!("{}:", evaluation.verdict));
    let prefix = format!("{verdict} ");
    page.paragraph(&prefix, 2, &sentence(fleet, evaluation))
}

/// Returns all rows of a small fleet. For a larger one: some rows of each failure, the number left out, and the good nodes
/// counted by pool.
fn folded(rows: Vec<Row>) -> Vec<Row> {
    if rows.len() <= MAX_ROWS {
        return rows;
    }
    let (bad, rest): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row.rank < 3);
    let mut shown = some_of_each(bad);
    let mut folded: BTreeMap<(u8, String, String, String), usize> = BTreeMap::new();
    for row in rest {
        *folded.entry((row.rank, row.pool, row.verdict, row.cause)).or_default() += 1;
    }
    shown.extend(
        folded
            .into_iter()
            .map(|((rank, pool, verdict, cause), count)| {
                let node = plural(count, "node");
                line_about(rank, &pool, &node, &verdict, &cause)
            })
            .take(MAX_ROWS),
    );
    shown
}

/// Returns the first rows of each failure. The number of failures is bounded as well, since causes come from other programs.
fn some_of_each(bad: Vec<Row>) -> Vec<Row> {
    let mut alike: BTreeMap<(u8, String, String, String), Vec<Row>> = BTreeMap::new();
    for row in bad {
        let key = (row.rank, row.verdict.clone(), row.stage.clone(), row.cause.clone());
        alike.entry(key).or_default().push(row);
    }
    let mut shown: Vec<Row> = Vec::new();
    let mut left_out = 0;
    for ((rank, verdict, stage, cause), rows) in alike {
        if shown.len() >= MAX_ROWS {
            left_out += rows.len();
            continue;
        }
        let more = rows.len().saturating_sub(MAX_ALIKE);
        shown.extend(rows.into_iter().take(MAX_ALIKE));
        if more > 0 {
            let node = format!("and {more} more");
            shown.push(Row { stage, ..line_about(rank, "...", &node, &verdict, &cause) });
        }
    }
    if left_out > 0 {
        shown.push(line_about(1, "...", &format!("and {left_out} more"), "", "see the groups below"));
    }
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
    if rows.is_empty() {
        return Ok(());
    }
    for row in &mut rows {
        for cell in [&mut row.pool, &mut row.node, &mut row.verdict, &mut row.stage] {
            *cell = page.cell(cell, MAX_COLUMN);
        }
    }
    let width = |cell: fn(&Row) -> &str, heading: &str| {
        let cells = rows.iter().map(|row| display_width(cell(row)));
        cells.max().unwrap_or(0).max(heading.len())
    };
    let pool = width(|row| &row.pool, "pool");
    let node = width(|row| &row.node, "node");
    let verdicts: Vec<String> = rows.iter().map(|row| verdict_cell(page, row)).collect();
    let verdict = verdicts.iter().map(|cell| display_width(cell)).max().unwrap_or(0).max("verdict".len());
    let stage = width(|row| &row.stage, "stage");
    let heading = format!(
        "  {:<pool$}  {:<node$}  {:<verdict$}  {:<stage$}  cause",
        "pool", "node", "verdict", "stage"
    );
    page.heading(Tone::Faint, heading.trim_end())?;
    // A long cause wraps below its own start if there is enough space, otherwise below the node.
    let column = 2 + pool + 2 + node + 2 + verdict + 2 + stage + 2;
    let indent = if column + MIN_CAUSE <= page.width() { column } else { 2 + pool + 2 };
    for (row, cell) in rows.iter().zip(&verdicts) {
        // Color only the text and not its padding, so that lines have no trailing blanks.
        let painted = cell.clone() + &" ".repeat(verdict.saturating_sub(display_width(cell)));
        let prefix =
            format!("  {:<pool$}  {:<node$}  {painted}  {:<stage$}  ", row.pool, row.node, row.stage);
        page.paragraph(&prefix, indent, &printable(&row.cause, MAX_WORD))?;
    }
    Ok(())
}

fn write_group<W: Write>(
    page: &mut Page<'_, W>,
    fleet: &Fleet,
    evaluation: &Evaluation,
    group: &Group,
) -> io::Result<()> {
    page.heading(Tone::Strong, &headline(group, evaluation))?;
    let example = &group.example;
    let problem = Problem {
        node: group.example_of.as_ref().map(|node| page.cell(node, MAX_COLUMN).into()),
        commands: &example.commands[..example.commands.len().min(MAX_COMMANDS)],
        differences: differences(fleet, group).iter().map(Difference::sentence).collect(),
        ..Problem::of_nodes(example, group.severity)
    };
    problem.write(page)
}

/// Returns the verdict of a line with its mark. Lines that do not count have only a mark, or only a verdict.
fn verdict_cell<W: Write>(page: &Page<'_, W>, row: &Row) -> String {
    match mark_of(row) {
        Some(Mark::Skipped) | None => page.paint(Tone::Faint, &row.verdict),
        Some(mark) => page.verdict(mark, &row.verdict),
    }
}

/// Returns the mark of a line; none for the number of lines that were left out.
fn mark_of(row: &Row) -> Option<Mark> {
    match row.rank {
        0 | 1 if row.verdict == Verdict::Unknown.as_str() => Some(Mark::Unclear),
        0 | 1 if row.verdict.is_empty() => None,
        0 | 1 => Some(Mark::Bad),
        2 => Some(Mark::Warning),
        3 => Some(Mark::Good),
        _ => Some(Mark::Skipped),
    }
}
