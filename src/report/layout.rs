//! Text layout: wrapping, colors, marks and character set.
//!
//! All text is sanitised here on its way out, so no renderer can forget to do it. `textwrap` breaks the lines. Tables
//! need no library: the renderers align a few columns, and only the last one wraps.

use std::io::{self, Write};

use anstyle::{AnsiColor, Color};
use textwrap::core::display_width;
use textwrap::{Options, WordSplitter};

use crate::text::sanitize::{MAX_TEXT, ascii, pasteable, printable};
use crate::verdict::Verdict;

/// Minimum width: below it, our wrapping is harder to read than the terminal's own.
const MIN_WIDTH: usize = 40;

/// How text is written. The caller knows the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Whether to use colors.
    pub color: bool,
    /// Whether to use characters outside of ASCII.
    pub unicode: bool,
    /// Maximum line width in columns. Commands and single long words exceed it, so that they can be copied.
    pub width: usize,
}

/// The role of a piece of text, which determines its color.
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

/// A result at a glance, at the start of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Good,
    Warning,
    Bad,
    Unclear,
    Skipped,
}

impl Mark {
    pub(super) const fn tone(self) -> Tone {
        match self {
            Self::Good => Tone::Good,
            Self::Warning => Tone::Warning,
            Self::Bad => Tone::Bad,
            Self::Unclear => Tone::Unclear,
            Self::Skipped => Tone::Faint,
        }
    }

    const fn symbol(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Warning => "!",
            Self::Bad => "✗",
            Self::Unclear => "?",
            Self::Skipped => "-",
        }
    }

    const fn ascii(self) -> &'static str {
        match self {
            Self::Good => "ok  ",
            Self::Warning => "warn",
            Self::Bad => "FAIL",
            Self::Unclear => "?   ",
            Self::Skipped => "-   ",
        }
    }
}

impl From<Verdict> for Mark {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass => Self::Good,
            Verdict::Warn => Self::Warning,
            Verdict::Unknown => Self::Unclear,
            Verdict::Fail => Self::Bad,
        }
    }
}

/// Writes text line by line.
pub(super) struct Page<'out, W> {
    out: &'out mut W,
    style: Style,
}

impl<'out, W: Write> Page<'out, W> {
    pub(super) fn new(out: &'out mut W, style: &Style) -> Self {
        Self { out, style: *style }
    }

    /// Returns the maximum line width in columns.
    pub(super) fn width(&self) -> usize {
        self.style.width.max(MIN_WIDTH)
    }

    /// Colors the prefix of a line. `text` is not sanitised.
    pub(super) fn paint(&self, tone: Tone, text: &str) -> String {
        if !self.style.color {
            return text.to_owned();
        }
        let style = tone.style();
        format!("{style}{text}{style:#}")
    }

    /// Returns a mark in color. All marks of a page have the same width.
    pub(super) fn mark(&self, mark: Mark) -> String {
        self.paint(mark.tone(), if self.style.unicode { mark.symbol() } else { mark.ascii() })
    }

    /// Returns the columns that a mark takes.
    pub(super) fn mark_width(&self) -> usize {
        if self.style.unicode { 1 } else { Mark::Good.ascii().len() }
    }

    /// Returns a mark and a blank for a word that needs none in ASCII, such as a verdict.
    pub(super) fn mark_before(&self, mark: Mark) -> String {
        if self.style.unicode { self.paint(mark.tone(), mark.symbol()) + " " } else { String::new() }
    }

    /// Returns a verdict in color after its mark.
    pub(super) fn verdict(&self, mark: Mark, words: &str) -> String {
        self.mark_before(mark) + &self.paint(mark.tone(), words)
    }

    /// Returns a text for a prefix, sanitised and cut to a number of characters.
    pub(super) fn cell(&self, text: &str, limit: usize) -> String {
        self.folded(printable(text, limit))
    }

    /// Writes a paragraph after a colored prefix. Continuation lines are indented by `indent` columns.
    pub(super) fn paragraph(&mut self, prefix: &str, indent: usize, text: &str) -> io::Result<()> {
        let text = self.shown(text);
        // Wrapping an empty text would drop the prefix as well.
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

    /// Writes a paragraph that starts below its prefix if the first word does not fit next to it.
    pub(super) fn paragraph_or_below(&mut self, prefix: &str, indent: usize, text: &str) -> io::Result<()> {
        let first = text.split(' ').next().map_or(0, display_width);
        if display_width(prefix) + first <= self.width() {
            return self.paragraph(prefix, indent, text);
        }
        self.paragraph(prefix, indent, "")?;
        self.paragraph(&" ".repeat(indent), indent, text)
    }

    /// Writes a line in one color.
    pub(super) fn heading(&mut self, tone: Tone, text: &str) -> io::Result<()> {
        let line = self.paint(tone, &self.shown(text));
        writeln!(self.out, "{line}")
    }

    /// Writes a command unwrapped on one line, so that it can be pasted.
    pub(super) fn command(&mut self, indent: usize, command: &str) -> io::Result<()> {
        let command = self.folded(pasteable(command));
        writeln!(self.out, "{:indent$}{command}", "")
    }

    /// Writes an empty line.
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
