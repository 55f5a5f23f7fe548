//! A table of the text report: one column of text, columns of numbers, and a last column that wraps.

use std::io::{self, Write};

use super::super::Style;
use super::super::layout::{Page, Tone};
use crate::text::sanitize::{ascii, printable};

/// Rows of a table; the JSON report has all of them.
const MAX_ROWS: usize = 50;
/// Maximum width of a column in characters.
const MAX_COLUMN: usize = 90;

/// A table whose first column is text and whose last one wraps; those between are numbers.
pub(super) struct Table {
    pub(super) headings: Vec<&'static str>,
    pub(super) rows: Vec<(Vec<String>, String)>,
}

impl Table {
    pub(super) fn write<W: Write>(&self, page: &mut Page<'_, W>, style: &Style) -> io::Result<()> {
        let shown = |text: &str| {
            let text = printable(text, MAX_COLUMN);
            if style.unicode { text } else { ascii(&text) }
        };
        let last = self.headings.len() - 1;
        let widths: Vec<usize> = (0..last)
            .map(|column| {
                let cells = self.rows.iter().map(|(cells, _)| shown(&cells[column]).chars().count());
                cells.max().unwrap_or(0).max(self.headings[column].len())
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
        for (cells, words) in self.rows.iter().take(MAX_ROWS) {
            let prefix = line(&cells.iter().map(|cell| shown(cell)).collect::<Vec<_>>());
            page.paragraph(&prefix, 4, words)?;
        }
        let more = self.rows.len().saturating_sub(MAX_ROWS);
        if more > 0 {
            page.paragraph("  ", 4, &format!("and {more} more; the JSON report has all of them"))?;
        }
        Ok(())
    }
}
