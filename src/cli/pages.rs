//! Shell completions and the manual page, generated from the flags.
//!
//! Both are generated in memory, because their generators panic on a full disk or a closed pipe.

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

/// The manual in roff: the page of the program, followed by one page for each command.
///
/// # Panics
/// Never: writing to memory does not fail.
#[must_use]
pub fn manual() -> Vec<u8> {
    let mut program = command().disable_help_subcommand(true);
    program.build();
    let mut pages = Vec::new();
    for command in std::iter::once(&program).chain(program.get_subcommands()) {
        let page = Man::new(command.clone());
        page.render(&mut pages).expect("writing to a vector does not fail");
    }
    // The text after the flags contains the examples; the generator calls it EXTRA.
    String::from_utf8_lossy(&pages).replace(".SH EXTRA\n", ".SH EXAMPLES\n").into_bytes()
}
