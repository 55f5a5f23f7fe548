//! The program as a process: exit codes, what goes to which stream, and the texts of the help.

use std::path::Path;
use std::process::{Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_acr-verifier");
const IMAGE: &str = "contoso.azurecr.io/apps/canary:1";

/// Runs the program with nothing of this machine's settings, and a terminal that is 100 characters wide.
fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM)
        .args(arguments)
        .env_clear()
        .env("COLUMNS", "100")
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Runs the program on bad input: exit code 2, nothing on standard output. Gives what it complains about.
fn complaints(arguments: &[&str]) -> String {
    let output = run(arguments);
    let complaints = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {complaints}");
    assert_eq!(text(&output.stdout), "", "{arguments:?}");
    assert!(complaints.contains("error: "), "{arguments:?}: {complaints}");
    assert!(!complaints.contains("panicked"), "{arguments:?}: {complaints}");
    complaints
}

fn folder_with(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).expect("a file");
    }
    folder
}

#[test]
fn help_reads_as_it_was_written() {
    for (name, arguments) in [
        ("help", vec!["--help"]),
        ("check", vec!["check", "--help"]),
        ("check-short", vec!["check", "-h"]),
        ("agent", vec!["agent", "--help"]),
        ("smoke", vec!["smoke", "--help"]),
        ("causes", vec!["causes", "--help"]),
        ("completions", vec!["completions", "--help"]),
        ("man", vec!["man", "--help"]),
    ] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(text(&output.stderr), "", "{arguments:?}");
        let help = text(&output.stdout);
        assert!(help.contains("Examples:"), "{arguments:?}");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{arguments:?}: {help}");
        assert!(!help.contains("--password"), "{arguments:?}");
        expectorate::assert_contents(format!("tests/golden/cli/{name}.txt"), &help);
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let output = run(&["--version"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), concat!("acr-verifier ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn bad_usage_exits_2_and_writes_nothing_to_standard_output() {
    for (arguments, expected) in [
        (vec![], "requires a subcommand"),
        (vec!["chek"], "a similar subcommand exists: 'check'"),
        (vec!["check"], "there is nothing to check"),
        (vec!["smoke", "--namespace", "Team_A"], "`Team_A`; allowed is a namespace"),
        (vec!["smoke", "--selector", " "], "allowed is labels"),
        (vec!["smoke", "--timeout", "5"], "--timeout: "),
        (vec!["smoke", "--kubeconfig", "/nowhere/config"], "--kubeconfig: "),
        (vec!["smoke", "--report-file", "/nowhere/report.xml"], "--report-file: "),
        (vec!["smoke", "--output", "yaml"], "text, json, junit, markdown"),
        (vec!["check", ""], "the registry is missing"),
        (vec!["check", "--colour", IMAGE], "`--colour`: there is no such flag; did you mean `--color`?"),
        (vec!["check", "app:1"], "the registry is missing"),
        (vec!["check", "contoso/app:1"], "start with its login server"),
        (vec!["check", "https://contoso.azurecr.io/app"], "an image reference cannot start with `https://`"),
        (vec!["check", "contoso.azurecr.io/App"], "it is lower case, `app`"),
        (vec!["check", "contoso.azurecr.io/app:"], "is not a valid tag"),
        (vec!["check", "contoso.azurecr.io/app@sha256:1"], "is not a valid digest"),
        (vec!["check", "contoso.azurecr.io:x/app"], "`x` is not a valid port"),
        (vec!["check", IMAGE, "--expect-cidr", "10.60.4.4/24"], "inside the range 10.60.4.0/24"),
        (vec!["check", IMAGE, "--timeout", "30"], "--timeout: found `30`"),
        (vec!["check", IMAGE, "--wait", "0s"], "--wait: found `0s`"),
        (vec!["check", IMAGE, "--timeout"], "a value is required"),
        (vec!["check", IMAGE, "--strict=yes"], "unexpected value 'yes'"),
        (vec!["check", IMAGE, "--timeout", "1s", "--timeout", "2s"], "cannot be used multiple times"),
        (vec!["check", IMAGE, "--output", "xml"], "--output: found `xml`; allowed is text, json, junit"),
        (vec!["check", IMAGE, "--log-format", "xml"], "--log-format: found `xml`; allowed is text, json"),
        (vec!["check", IMAGE, "--nameserver", "dns.example"], "--nameserver: found `dns.example`"),
        (vec!["check", IMAGE, "--compare-resolver", "10.0.0.1"], "allowed is NAME=ADDRESS"),
        (vec!["check", IMAGE, "--data-endpoint", "https://a.io"], "--data-endpoint: found `https://a.io`"),
        (vec!["check", IMAGE, "--credentials", "/nowhere"], "there is nothing at `/nowhere`"),
        (vec!["check", IMAGE, "--ca-file", "/nowhere"], "--ca-file: found `/nowhere`"),
        (vec!["check", IMAGE, "--resolv-conf", "/nowhere"], "--resolv-conf: found `/nowhere`"),
        (vec!["check", IMAGE, "--report-file", "/nowhere/report.xml"], "whose folder does not exist"),
        (vec!["check", "--config", "/nowhere"], "/nowhere: the file cannot be read"),
        (vec!["check", IMAGE, "--password", "hunter2"], "a password is never an argument"),
        (vec!["causes", "--output", "yaml"], "--output: found `yaml`; allowed is text, json, markdown"),
        (vec!["causes", "extra"], "unexpected argument 'extra'"),
        (vec!["completions"], "<SHELL>"),
        (vec!["completions", "cmd"], "invalid value 'cmd'"),
        (vec!["man", "--output", "x"], "`--output`: there is no such flag"),
    ] {
        let complaints = complaints(&arguments);
        assert!(complaints.contains(expected), "{arguments:?}: {complaints}");
        assert!(complaints.contains("--help'."), "{arguments:?}: {complaints}");
        assert!(!complaints.contains("hunter2"), "{arguments:?}: {complaints}");
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let folder = folder_with(&[("unknown", b"hunter2")]);
    let credentials = folder.path().display().to_string();
    let mut arguments = vec!["check", "app:1", "https://contoso.azurecr.io/app", "--expect-cidr", "all"];
    arguments.extend(["--timeout", "5", "--color", "red", "--credentials", &credentials, "-p", "hunter2"]);
    arguments.extend(["--output", "xml", "--ca-file", "/nowhere"]);
    let complaints = complaints(&arguments);
    assert_eq!(complaints.matches("error: ").count(), 9, "{complaints}");
    for argument in [
        "IMAGE",
        "--expect-cidr",
        "--timeout",
        "--color",
        "--credentials",
        "--password",
        "--output",
        "--ca-file",
    ] {
        assert!(complaints.contains(&format!("error: {argument}: ")), "{argument}: {complaints}");
    }
    assert!(!complaints.contains("hunter2"), "{complaints}");
}

#[test]
fn a_bad_configuration_is_told_with_its_places() {
    let config = b"images:\n  - image: app\n    nam: x\nschedule: {interval: 5}\n";
    let folder = folder_with(&[("config.yaml", config), ("binary.yaml", b"\xff\xfe\x00")]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let complaints = |name: &str| complaints(&["check", "--config", &path(name)]);
    let found = complaints("config.yaml");
    for expected in
        [":2:12: images[0].image: found `app`", ":3:5: images[0]: found the unknown key `nam`", ":4:22: "]
    {
        assert!(found.contains(&format!("error: {}{expected}", path("config.yaml"))), "{expected}: {found}");
    }
    assert!(complaints("binary.yaml").contains("the file is not UTF-8"));
}

#[test]
fn words_that_are_not_utf8_are_wrong_usage() {
    use std::os::unix::ffi::OsStrExt;
    let bad = std::ffi::OsStr::from_bytes(b"contoso.azurecr.io/\xff");
    for flag in [None, Some("--timeout"), Some("--output"), Some("--credentials"), Some("--password")] {
        let output =
            Command::new(PROGRAM).arg("check").args(flag).arg(bad).env_clear().output().expect("it starts");
        assert_eq!(output.status.code(), Some(2), "{flag:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn completions_are_scripts_that_their_shells_can_read() {
    let folder = tempfile::tempdir().expect("a folder");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        let script = text(&output.stdout);
        assert!(script.contains("report-file") && !script.contains("password"), "{shell}");
        let file = folder.path().join(shell);
        std::fs::write(&file, script).expect("a file");
        if shell == "bash" {
            assert_parses(&file);
        }
    }
}

fn assert_parses(script: &Path) {
    let output = Command::new("bash").arg("-n").arg(script).output().expect("bash starts");
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let output = run(&["man"]);
    assert_eq!(output.status.code(), Some(0));
    let manual = text(&output.stdout);
    for title in ["acr-verifier", "acr-verifier-check", "acr-verifier-causes", "acr-verifier-completions"] {
        assert!(manual.contains(&format!(".TH {title} 1 ")), "{title}");
    }
    assert!(manual.contains("EXAMPLES") && !manual.contains("EXTRA") && !manual.contains("password\\fR"));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    for arguments in [["completions", "zsh"].as_slice(), &["man"], &["causes"], &["check", "--help"]] {
        let mut child = Command::new(PROGRAM)
            .args(arguments)
            .env_clear()
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("the program ends");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
        assert_eq!(text(&output.stderr), "", "{arguments:?}");
    }
}
