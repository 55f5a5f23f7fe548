//! The report on a terminal: marks and colors only if the terminal shows them.

use std::process::Command;

use support::terminal;

use super::Bench;
use super::program::{command, run, text};
use lab::settings::View;

/// Variables of an environment.
type Variables = &'static [(&'static str, &'static str)];

/// Environments, and whether the report has marks and colors in them.
const ENVIRONMENTS: [(Variables, bool, bool); 6] = [
    (&[("TERM", "xterm-256color"), ("LANG", "en_US.UTF-8")], true, true),
    (&[("TERM", "xterm-256color"), ("LANG", "en_US.UTF-8"), ("NO_COLOR", "1")], true, false),
    (&[("TERM", "xterm-256color"), ("LC_ALL", "C"), ("LANG", "en_US.UTF-8")], false, true),
    (&[("TERM", "dumb"), ("LANG", "en_US.UTF-8")], false, false),
    (&[("TERM", "linux"), ("LANG", "en_US.UTF-8")], false, true),
    (&[("LANG", "C")], false, false),
];

fn in_environment(mut command: Command, variables: Variables) -> Command {
    for name in
        ["TERM", "LC_ALL", "LC_CTYPE", "LANG", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLORTERM", "CI"]
    {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied());
    command
}

#[test]
fn marks_and_colors_depend_on_terminal_and_environment() {
    let bench = Bench::with(|settings| settings.nameservers[0].login = View::NotLinked);
    for (variables, has_marks, has_colors) in ENVIRONMENTS {
        let mut check = command(&bench.lab);
        check.arg(bench.lab.image());
        let (status, shown) = terminal::run(in_environment(check, variables), 80, 24);
        assert_eq!(status.code(), Some(1), "{variables:?}: {shown}");
        assert_eq!(shown.contains('✗'), has_marks, "{variables:?}: {shown}");
        assert_eq!(shown.contains("FAIL"), !has_marks, "{variables:?}: {shown}");
        assert_eq!(!shown.is_ascii(), has_marks, "{variables:?}: {shown}");
        assert_eq!(shown.contains("\u{1b}["), has_colors, "{variables:?}: {shown}");
        // A pipe has neither.
        let mut check = command(&bench.lab);
        check.arg(bench.lab.image());
        let piped = text(&run(&mut in_environment(check, variables)).stdout);
        assert!(piped.is_ascii() && !piped.contains('\u{1b}'), "{variables:?}: {piped}");
        assert!(piped.starts_with("fail: "), "{piped}");
    }
}

#[test]
fn the_stages_of_passing_images_are_shown_on_request() {
    let bench = Bench::healthy();
    let images = [bench.lab.image(), bench.lab.image_of("apps/canary", ":absent")];
    let stages = |arguments: &[&str]| {
        let output = run(command(&bench.lab).args(arguments).args(&images));
        assert_eq!(output.status.code(), Some(1));
        text(&output.stdout).matches("\n  login  ").count()
    };
    assert_eq!((stages(&[]), stages(&["--details"])), (1, 2));
}
