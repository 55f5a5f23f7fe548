//! A table of the text report: one column of text, columns of numbers, and a last column that wraps.

use std::io::{self, Write};

use textwrap::core::display_width;

use super::super::layout::{Mark, Page, Tone};

/// Rows of a table; the JSON report has all of them.
const MAX_ROWS: usize = 50;
/// Maximum width of a column in characters.
const MAX_COLUMN: usize = 90;

/// A table whose first column is text and whose last one wraps; those between are numbers.
pub(super) struct Table {
    pub(super) headings: Vec<&'static str>,
    pub(super) rows: Vec<Row>,
}

/// A line of a table; its words are the last column.
pub(super) struct Row {
    pub(super) cells: Vec<String>,
    /// The mark in front of the words, if they are a verdict.
    pub(super) mark: Option<Mark>,
    pub(super) words: String,
}

impl Table {
    pub(super) fn write<W: Write>(&self, page: &mut Page<'_, W>) -> io::Result<()> {
        let last = self.headings.len() - 1;
        let widths: Vec<usize> = (0..last)
            .map(|column| {
                let cells = self.rows.iter().map(|row| page.cell(&row.cells[column], MAX_COLUMN));
                cells.map(|cell| display_width(&cell)).max().unwrap_or(0).max(self.headings[column].len())
            })
            .collect();
        let line = |cells: &[String]| {
            let cells = cells.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
                if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            format!("  {}  ", cells.collect::<Vec<_>>().join("  "))
        };
        let headings: Vec<String> = self.headings[..last].iter().map(|&heading| heading.to_owned()).collect();
        page.heading(Tone::Faint, &format!("{}{}", line(&headings), self.headings[last]))?;
        for Row { cells, mark, words } in self.rows.iter().take(MAX_ROWS) {
            let cells: Vec<String> = cells.iter().map(|cell| page.cell(cell, MAX_COLUMN)).collect();
            let mark = mark.map(|mark| page.mark_before(mark)).unwrap_or_default();
            page.paragraph(&format!("{}{mark}", line(&cells)), 4, words)?;
        }
        let more = self.rows.len().saturating_sub(MAX_ROWS);
        if more > 0 {
            page.paragraph("  ", 4, &format!("and {more} more; the JSON report has all of them"))?;
        }
        Ok(())
    }
}
