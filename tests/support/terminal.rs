//! A pseudo-terminal: what a program prints when an operator runs it in a terminal.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Runs a program whose standard output and standard error are a terminal of this size. Returns what it wrote, with its
/// escape sequences and the line feeds that it wrote.
pub fn run(mut command: Command, columns: u16, lines: u16) -> (ExitStatus, String) {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&terminal).expect("the terminal is ours");
    unlockpt(&terminal).expect("the terminal can be unlocked");
    let name = ptsname(&terminal, Vec::new()).expect("its name").into_string().expect("UTF-8");
    let size = Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal, size).expect("the terminal has a size");
    let side = || -> OwnedFd {
        open(Path::new(&name), OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("the program's side")
    };
    command.stdin(Stdio::null()).stdout(side()).stderr(side());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // Its copies of the terminal would keep it open.
    drop(command);
    let mut bytes = Vec::new();
    // The end of a terminal without a program is an error (EIO).
    let _ = File::from(terminal).read_to_end(&mut bytes);
    let status = child.wait().expect("a child can be waited for");
    (status, String::from_utf8(bytes).expect("UTF-8").replace("\r\n", "\n"))
}
