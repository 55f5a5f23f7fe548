//! Standard output and standard error: how wide and how plain they are, and what a closed one means.
//!
//! Owns the only places that write to them. What is written is `report`'s and `cli`'s.

use std::io::{self, BufWriter, IsTerminal, Write};

use anstream::Stdout;

use crate::report::Style;

/// Wide enough for a whole answer on a line where nobody knows the width, such as a log.
pub const UNKNOWN_WIDTH: usize = 100;

/// How text looks on this standard output. Colours are taken out on the way where `--color`, `NO_COLOR` or the terminal
/// say so.
#[must_use]
pub fn style() -> Style {
    let width = terminal_size::terminal_size_of(io::stdout())
        .map_or(UNKNOWN_WIDTH, |(width, _)| usize::from(width.0));
    Style { color: true, unicode: io::stdout().is_terminal(), width }
}

/// Writes to standard output; a reader that has seen enough, such as `head`, is no error.
///
/// # Errors
/// Standard output cannot be written to.
pub fn print(text: &[u8]) -> io::Result<()> {
    print_with(|out| out.write_all(text))
}

/// Writes to standard output what is too long to be put together first.
///
/// # Errors
/// Standard output cannot be written to.
pub fn print_with(write: impl FnOnce(&mut BufWriter<Stdout>) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::new(anstream::stdout());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// A line for people on standard error; where that is closed nobody is left to tell.
pub fn note(line: &str) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// What went wrong, on standard error.
pub fn complain(message: &str) {
    let style = anstyle::AnsiColor::Red.on_default().bold();
    note(&format!("{style}error:{style:#} {message}"));
}

/// Lines on standard error that are drawn anew in their place: only where somebody watches.
#[derive(Debug, Default)]
pub struct Live {
    /// Lines of the last picture.
    drawn: usize,
}

impl Live {
    /// Draws the lines that `lines` makes for this width; what does not fit the terminal's height is left out.
    pub fn draw(&mut self, lines: impl FnOnce(usize) -> Vec<String>) {
        if !io::stderr().is_terminal() {
            return;
        }
        let (width, height) = terminal_size::terminal_size_of(io::stderr())
            .map_or((UNKNOWN_WIDTH, 24), |(width, height)| (usize::from(width.0), usize::from(height.0)));
        // A line that fills the last column would wrap on some terminals.
        let mut lines = lines(width.saturating_sub(1));
        lines.truncate(height.saturating_sub(1));
        self.clear();
        self.drawn = lines.len();
        note(&lines.join("\n"));
    }

    /// Takes the last picture away.
    pub fn clear(&mut self) {
        if self.drawn > 0 {
            // Up to its first line, and from there everything away (ECMA-48: CPL, ED).
            let _ = write!(anstream::stderr(), "\x1b[{}F\x1b[J", self.drawn);
            self.drawn = 0;
        }
    }
}

/// A line of progress: only where somebody watches.
pub fn progress(line: &str) {
    if io::stderr().is_terminal() {
        note(line);
    }
}
