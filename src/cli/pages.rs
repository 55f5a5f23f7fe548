//! What clap makes of the flags beside parsing: completion scripts and the manual page.
//!
//! Both are made in memory, since their makers take a full disk or a closed pipe for a reason to panic.

use clap_complete::Shell;
use clap_mangen::Man;

use super::{NAME, command};

/// The completion script of a shell.
#[must_use]
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), NAME, &mut script);
    script
}

/// The manual: the page of the program, followed by one of each command (roff).
///
/// # Panics
/// Never: memory takes everything that is written to it.
#[must_use]
pub fn manual() -> Vec<u8> {
    let mut program = command().disable_help_subcommand(true);
    program.build();
    let mut pages = Vec::new();
    for command in std::iter::once(&program).chain(program.get_subcommands()) {
        let page = Man::new(command.clone());
        page.render(&mut pages).expect("a vector takes everything that is written to it");
    }
    // What stands behind the flags is examples; its maker has no name for it.
    String::from_utf8_lossy(&pages).replace(".SH EXTRA\n", ".SH EXAMPLES\n").into_bytes()
}
