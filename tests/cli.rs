//! The program as a process: exit codes, output streams and help.

use std::path::Path;
use std::process::{Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_acr-verifier");
const IMAGE: &str = "contoso.azurecr.io/apps/canary:1";

/// Runs the program without this machine's environment, on a terminal 100 columns wide.
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

/// Runs the program with invalid input: exit code 2, nothing on standard output. Returns standard error.
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
fn help_matches_the_golden_files() {
    for (name, arguments) in [
        ("help", vec!["--help"]),
        ("check", vec!["check", "--help"]),
        ("check-short", vec!["check", "-h"]),
        ("agent", vec!["agent", "--help"]),
        ("smoke", vec!["smoke", "--help"]),
        ("exposure", vec!["exposure", "--help"]),
        ("discover", vec!["discover", "--help"]),
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
fn version_prints_the_package_version() {
    let output = run(&["--version"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), concat!("acr-verifier ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn invalid_usage_exits_2_and_writes_nothing_to_standard_output() {
    for (arguments, expected) in [
        (vec![], "requires a subcommand"),
        (vec!["chek"], "a similar subcommand exists: 'check'"),
        (vec!["check"], "required arguments were not provided:\n  <IMAGE|--config <FILE>>"),
        (
            vec!["discover", "--pod", "api-0"],
            "invalid value 'api-0' for '--pod <NAMESPACE/NAME>': expected a namespace and the name of a Pod",
        ),
        (vec!["discover", "--pod", "a/b", "--coverage"], "cannot be used with"),
        (
            vec!["discover", "--registry-suffix", "https://contoso.internal"],
            "for '--registry-suffix <SUFFIX>': expected the end of a host name",
        ),
        (
            vec!["discover", "--registry-suffix", "a.internal", "--registry-suffix", ".a.internal"],
            "duplicate value 'a.internal' for '--registry-suffix <SUFFIX>'",
        ),
        (
            vec!["discover", "--output", "values", "--coverage"],
            "invalid value for '--coverage': it cannot be used with --output values; expected --output text or --output json",
        ),
        (
            vec!["discover", "--identity-client-id", "3fa85f64-5717-4562-b3fc-2c963f66afa6"],
            "for '--identity-client-id <ID>': expected no client id without --output values",
        ),
        (
            vec!["discover", "--output", "values", "--identity-client-id", "mine"],
            "expected a client id such as",
        ),
        (
            vec!["smoke", "--namespace", "Team_A"],
            "invalid value 'Team_A' for '--namespace <NAMESPACE>': expected a namespace",
        ),
        (vec!["smoke", "--selector", " "], "for '--selector <SELECTOR>': expected labels such as"),
        (
            vec!["smoke", "--sample", "0"],
            "invalid value '0' for '--sample <NODES>': expected all, auto, or a number",
        ),
        (vec!["smoke", "--timeout", "5"], "invalid value '5' for '--timeout <DURATION>': "),
        (vec!["smoke", "--kubeconfig", "/nowhere/config"], "for '--kubeconfig <PATH>': "),
        (vec!["smoke", "--report-file", "/nowhere/report.xml"], "for '--report-file <PATH>': "),
        (vec!["smoke", "--output", "yaml"], "text, json, junit, markdown"),
        (vec!["check", ""], "the registry is missing"),
        (vec!["check", "--colour", IMAGE], "a similar argument exists: '--color'"),
        (vec!["check", "app:1"], "the registry is missing"),
        (vec!["check", "contoso/app:1"], "start with its login server"),
        (vec!["check", "https://contoso.azurecr.io/app"], "an image reference cannot start with `https://`"),
        (vec!["check", "contoso.azurecr.io/App"], "the repository must be lower case: `app`"),
        (vec!["check", "contoso.azurecr.io/app:"], "is not a valid tag"),
        (vec!["check", "contoso.azurecr.io/app@sha256:1"], "is not a valid digest"),
        (vec!["check", "contoso.azurecr.io:x/app"], "`x` is not a valid port"),
        (vec!["check", IMAGE, "--expect-cidr", "10.60.4.4/24"], "inside the range 10.60.4.0/24"),
        (vec!["check", IMAGE, "--timeout", "30"], "invalid value '30' for '--timeout <DURATION>': "),
        (vec!["check", IMAGE, "--wait", "0s"], "invalid value '0s' for '--wait <DURATION>': "),
        (vec!["check", IMAGE, "--timeout"], "a value is required"),
        (vec!["check", IMAGE, "--strict=yes"], "unexpected value 'yes'"),
        (vec!["check", IMAGE, "--timeout", "1s", "--timeout", "2s"], "cannot be used multiple times"),
        (
            vec!["check", IMAGE, "--output", "xml"],
            "invalid value 'xml' for '--output <FORMAT>'\n  [possible values: text, json, junit]\n",
        ),
        (
            vec!["check", IMAGE, "--log-format", "xml"],
            "invalid value 'xml' for '--log-format <FORMAT>'\n  [possible values: text, json]\n",
        ),
        (
            vec!["check", IMAGE, "--nameserver", "dns.example"],
            "invalid value 'dns.example' for '--nameserver <ADDRESS[:PORT]>': ",
        ),
        (vec!["check", IMAGE, "--compare-resolver", "10.0.0.1"], "expected NAME=ADDRESS"),
        (
            vec!["check", IMAGE, "--data-endpoint", "https://a.io"],
            "invalid value 'https://a.io' for '--data-endpoint <HOST>': ",
        ),
        (vec!["check", IMAGE, "--credentials", "/nowhere"], "`/nowhere` does not exist"),
        (vec!["check", IMAGE, "--ca-file", "/nowhere"], "invalid value '/nowhere' for '--ca-file <PATH>': "),
        (
            vec!["check", IMAGE, "--resolv-conf", "/nowhere"],
            "invalid value '/nowhere' for '--resolv-conf <PATH>': ",
        ),
        (vec!["check", IMAGE, "--report-file", "/nowhere/report.xml"], "its folder does not exist"),
        (vec!["check", "--config", "/nowhere"], "/nowhere: cannot read the file: "),
        (vec!["check", IMAGE, "--password", "hunter2"], "--password is not supported: "),
        (vec!["check", IMAGE, "--pasword=hunter2"], "unexpected argument '--pasword' found"),
        (vec!["check", IMAGE, "--credentials", "pull:hunter2"], "it is not a path (not shown"),
        (
            vec!["check", "pull:hunter2@contoso.azurecr.io/app"],
            "invalid value '[redacted]@contoso.azurecr.io/app' for '[IMAGE]...': ",
        ),
        (
            vec!["causes", "--output", "yaml"],
            "invalid value 'yaml' for '--output <FORMAT>'\n  [possible values: text, json, markdown]\n",
        ),
        (vec!["causes", "extra"], "unexpected argument 'extra'"),
        (vec!["completions"], "<SHELL>"),
        (vec!["completions", "cmd"], "invalid value 'cmd'"),
        (vec!["man", "--output", "x"], "unexpected argument '--output' found"),
    ] {
        assert_complains(&arguments, expected);
    }
}

#[test]
fn invalid_usage_of_exposure_is_explained() {
    for (arguments, expected) in [
        (vec!["exposure"], "required arguments were not provided:\n  <REGISTRY>..."),
        (
            vec!["exposure", "contoso.azurecr.io/apps/canary:1"],
            "invalid value 'contoso.azurecr.io/apps/canary:1' for '<REGISTRY>...': it is an image reference",
        ),
        (vec!["exposure", "https://contoso.azurecr.io"], "it is a URL; expected the login server"),
        (vec!["exposure", "contoso.azurecr.io:443"], "it has a port"),
        (vec!["exposure", "Contoso.azurecr.io"], "it has upper-case letters"),
        (
            vec!["exposure", "contoso.westeurope.data.azurecr.io"],
            "it is a data endpoint, which answers 403 in every state of the registry and proves nothing",
        ),
        (vec!["exposure", "contoso.privatelink.azurecr.io"], "only the private side uses it"),
        (vec!["exposure", "20.45.122.144"], "it is an IP address"),
        (vec!["exposure", "[2603:1030::1]"], "it is an IP address"),
        (vec!["exposure", "registry.example"], "not the login server of an Azure Container Registry"),
        (vec!["exposure", ""], "it is not a valid host name"),
        (vec!["exposure", "pull:hunter2@contoso.azurecr.io"], "'[redacted]@contoso.azurecr.io'"),
        (
            vec!["exposure", "contoso.azurecr.io", "contoso.azurecr.io"],
            "duplicate value 'contoso.azurecr.io' for '<REGISTRY>...'",
        ),
        (vec!["exposure", "contoso.azurecr.io", "--timeout", "0s"], "for '--timeout <DURATION>': "),
        (vec!["exposure", "contoso.azurecr.io", "--wait", "soon"], "for '--wait <DURATION>': "),
        (vec!["exposure", "contoso.azurecr.io", "--ca-file", "/nowhere"], "for '--ca-file <PATH>': "),
        (vec!["exposure", "contoso.azurecr.io", "--output", "markdown"], "text, json, junit"),
        (vec!["exposure", "contoso.azurecr.io", "--lab-port", "0"], "for '--lab-port <PORT>': "),
    ] {
        assert_complains(&arguments, expected);
    }
}

#[track_caller]
fn assert_complains(arguments: &[&str], expected: &str) {
    let complaints = complaints(arguments);
    assert!(complaints.contains(expected), "{arguments:?}: {complaints}");
    assert!(complaints.contains("--help'."), "{arguments:?}: {complaints}");
    assert!(!complaints.contains("hunter2"), "{arguments:?}: {complaints}");
}

#[test]
fn more_login_servers_than_the_limit_are_rejected() {
    let servers: Vec<String> = (0..101).map(|number| format!("contoso{number}.azurecr.io")).collect();
    let mut arguments = vec!["exposure"];
    arguments.extend(servers.iter().map(String::as_str));
    let complaints = complaints(&arguments);
    let expected =
        "error: invalid value for '<REGISTRY>...': found 101 login servers; expected at most 100\n";
    assert!(complaints.starts_with(expected), "{complaints}");
}

#[test]
fn configuration_errors_are_reported_with_their_positions() {
    let config = b"images:\n  - image: app\n    nam: x\nschedule: {interval: 5}\n";
    let folder = folder_with(&[("config.yaml", config), ("binary.yaml", b"\xff\xfe\x00")]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let complaints = |name: &str| complaints(&["check", "--config", &path(name)]);
    let found = complaints("config.yaml");
    for expected in [
        ":2:12: invalid value \"app\" for images[0].image: ",
        ":3:5: unknown key \"nam\" in images[0]",
        ":4:22: invalid value \"5\" for schedule.interval: ",
    ] {
        assert!(found.contains(&format!("error: {}{expected}", path("config.yaml"))), "{expected}: {found}");
    }
    assert!(complaints("binary.yaml").contains("the file is not UTF-8"));
}

#[test]
fn arguments_that_are_not_utf8_are_invalid_usage() {
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
fn completion_scripts_are_generated_for_every_shell() {
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
fn a_closed_pipe_is_not_an_error() {
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
