//! Standard output and standard error: their width, style and character set, and closed pipes.
//!
//! Only this module writes to them. `report` and `cli` produce the text.

use std::ffi::OsString;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use anstream::Stdout;

use crate::report::Style;

/// Width if the terminal's is unknown, such as in a log: wide enough for a DNS answer on one line.
pub const UNKNOWN_WIDTH: usize = 100;

/// Terminals without glyphs for our marks: the Linux console has at most 512, and a dumb one has unknown ones.
const FEW_GLYPHS: [&str; 2] = ["dumb", "linux"];

/// Whether the environment rules out characters outside of ASCII.
static ASCII_ONLY: AtomicBool = AtomicBool::new(false);

/// Limits the text on this standard output to ASCII unless the environment's locale is UTF-8. Call it once, at the start.
pub fn set_character_set(variable: impl Fn(&str) -> Option<OsString>) {
    ASCII_ONLY.store(!supports_unicode(variable), Ordering::Relaxed);
}

/// Evaluates the locale for characters as POSIX does: the first variable that is set and not empty.
fn supports_unicode(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let value = |name: &&str| variable(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(value).unwrap_or_default();
    let locale = locale.to_string_lossy().to_ascii_lowercase();
    let terminal = variable("TERM").unwrap_or_default();
    (locale.contains("utf-8") || locale.contains("utf8")) && !FEW_GLYPHS.iter().any(|few| terminal == *few)
}

/// The style of text on this standard output. Colors are stripped on output, depending on `--color`, `NO_COLOR` and the
/// terminal.
#[must_use]
pub fn style() -> Style {
    let width = terminal_size::terminal_size_of(io::stdout())
        .map_or(UNKNOWN_WIDTH, |(width, _)| usize::from(width.0));
    let unicode = io::stdout().is_terminal() && !ASCII_ONLY.load(Ordering::Relaxed);
    Style { color: true, unicode, width }
}

/// Writes to standard output; a pipe that the reader closes, such as `head`, is not an error.
///
/// # Errors
/// Standard output cannot be written to.
pub fn print(text: &[u8]) -> io::Result<()> {
    print_with(|out| out.write_all(text))
}

/// Writes a text to standard output that is too long to build in memory first.
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

/// Prints a line on standard error; ignored if that is closed.
pub fn note(line: &str) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// Prints an error on standard error.
pub fn complain(message: &str) {
    let style = anstyle::AnsiColor::Red.on_default().bold();
    note(&format!("{style}error:{style:#} {message}"));
}

/// Lines on standard error that are redrawn in place; only on a terminal.
#[derive(Debug, Default)]
pub struct Live {
    /// Number of lines drawn last.
    drawn: usize,
}

impl Live {
    /// Draws the lines that `lines` returns for this width; lines beyond the terminal's height are omitted.
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

    /// Erases the lines drawn last.
    pub fn clear(&mut self) {
        if self.drawn > 0 {
            // Moves to the first line and erases everything from there (ECMA-48: CPL, ED).
            let _ = write!(anstream::stderr(), "\x1b[{}F\x1b[J", self.drawn);
            self.drawn = 0;
        }
    }
}

/// Prints a progress line; only on a terminal.
pub fn progress(line: &str) {
    if io::stderr().is_terminal() {
        note(line);
    }
}

#[cfg(test)]
mod tests {
    use super::supports_unicode;

    #[test]
    fn only_a_utf8_locale_on_a_terminal_with_enough_glyphs_gets_unicode() {
        for (expected, variables) in [
            (true, &[("LANG", "en_US.UTF-8")][..]),
            (true, &[("LANG", "C.utf8"), ("TERM", "xterm-256color")]),
            (true, &[("LC_ALL", ""), ("LC_CTYPE", ""), ("LANG", "de_DE.UTF-8@euro")]),
            (true, &[("LC_ALL", "C.UTF-8"), ("LANG", "C")]),
            (true, &[("LC_CTYPE", "UTF-8")]),
            (false, &[]),
            (false, &[("LANG", "C"), ("TERM", "xterm-256color")]),
            (false, &[("LC_ALL", "POSIX"), ("LANG", "en_US.UTF-8")]),
            (false, &[("LC_CTYPE", "de_DE.ISO-8859-1"), ("LANG", "en_US.UTF-8")]),
            (false, &[("LANG", "en_US.UTF-8"), ("TERM", "dumb")]),
            (false, &[("LANG", "en_US.UTF-8"), ("TERM", "linux")]),
        ] {
            let variable = |wanted: &str| {
                let found = variables.iter().find(|(name, _)| *name == wanted);
                found.map(|(_, value)| (*value).into())
            };
            assert_eq!(supports_unicode(variable), expected, "{variables:?}");
        }
    }
}
