//! A page of text for people: wrapping, colours, and the character set.
//!
//! Owns the form alone. All text passes through here on its way out and is cleaned here, so that no renderer can
//! forget it.

use std::io::{self, Write};

use anstyle::{AnsiColor, Color};
use textwrap::{Options, WordSplitter};

use crate::legible::{MAX_TEXT, ascii, pasteable, printable};

/// Narrower than this, wrapping hurts more than a terminal's own.
const MIN_WIDTH: usize = 40;

/// How text is written; the caller knows the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Colours, for a terminal that has them.
    pub color: bool,
    /// Characters outside of ASCII.
    pub unicode: bool,
    /// Columns to stay within; commands and single long words go beyond, so that they can be copied.
    pub width: usize,
}

/// What a piece of text is, for its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Warning,
    Bad,
    Unclear,
    Faint,
    Strong,
}

impl Tone {
    const fn style(self) -> anstyle::Style {
        let style = anstyle::Style::new();
        match self {
            Self::Good => style.fg_color(Some(Color::Ansi(AnsiColor::Green))),
            Self::Warning => style.fg_color(Some(Color::Ansi(AnsiColor::Yellow))),
            Self::Bad => style.fg_color(Some(Color::Ansi(AnsiColor::Red))).bold(),
            Self::Unclear => style.fg_color(Some(Color::Ansi(AnsiColor::Magenta))),
            Self::Faint => style.dimmed(),
            Self::Strong => style.bold(),
        }
    }
}

/// Where text is put, line by line.
pub(super) struct Page<'out, W> {
    out: &'out mut W,
    style: Style,
}

impl<'out, W: Write> Page<'out, W> {
    pub(super) fn new(out: &'out mut W, style: &Style) -> Self {
        Self { out, style: *style }
    }

    /// Columns to stay within.
    pub(super) fn width(&self) -> usize {
        self.style.width.max(MIN_WIDTH)
    }

    /// Text of our own in its colour, for the prefix of a line.
    pub(super) fn paint(&self, tone: Tone, text: &str) -> String {
        if !self.style.color {
            return text.to_owned();
        }
        let style = tone.style();
        format!("{style}{text}{style:#}")
    }

    /// A paragraph behind a painted prefix of `indent` columns; further lines hang under its beginning.
    pub(super) fn paragraph(&mut self, prefix: &str, indent: usize, text: &str) -> io::Result<()> {
        let text = self.shown(text);
        // Wrapping nothing gives nothing, not even the prefix.
        if text.is_empty() {
            return writeln!(self.out, "{}", prefix.trim_end());
        }
        let hanging = " ".repeat(indent);
        let options = Options::new(self.width())
            .initial_indent(prefix)
            .subsequent_indent(&hanging)
            .break_words(false)
            .word_splitter(WordSplitter::NoHyphenation);
        for line in textwrap::wrap(&text, options) {
            writeln!(self.out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// A line in one colour.
    pub(super) fn heading(&mut self, tone: Tone, text: &str) -> io::Result<()> {
        let line = self.paint(tone, &self.shown(text));
        writeln!(self.out, "{line}")
    }

    /// A command, whole and on one line, so that it can be pasted.
    pub(super) fn command(&mut self, indent: usize, command: &str) -> io::Result<()> {
        let command = self.folded(pasteable(command));
        writeln!(self.out, "{:indent$}{command}", "")
    }

    /// An empty line.
    pub(super) fn gap(&mut self) -> io::Result<()> {
        writeln!(self.out)
    }

    fn shown(&self, text: &str) -> String {
        self.folded(printable(text, MAX_TEXT))
    }

    fn folded(&self, text: String) -> String {
        if self.style.unicode { text } else { ascii(&text) }
    }
}
