//! The command as an operator runs it: waiting, interrupting, formats and the environment.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{command, report, run, text};
use lab::Lab;
use lab::answers::{Canned, Delivery, FirewallWording, Step};
use lab::settings::Settings;

const FIREWALL: Canned = Canned::Firewall(FirewallWording::Refer);

fn open() -> Lab {
    Lab::start(Settings::default())
}

fn closed() -> Lab {
    let lab = open();
    lab.change(|settings| settings.answer(Step::Challenge, FIREWALL));
    lab
}

fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
}

/// Waits until a lab has answered this many requests.
fn await_requests(lab: &Lab, count: usize) {
    while lab.requests().len() < count {
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn finish(mut child: Child) -> (Option<i32>, String, String) {
    let status = child.wait().expect("the program ends");
    let (mut out, mut error) = (String::new(), String::new());
    child.stdout.take().expect("piped").read_to_string(&mut out).expect("UTF-8");
    child.stderr.take().expect("piped").read_to_string(&mut error).expect("UTF-8");
    (status.code(), out, error)
}

#[test]
fn waiting_stops_once_the_rule_applies() {
    let lab = open();
    let child = start(command(&lab).args(["--wait", "60s"]).arg(lab.login_server()));
    await_requests(&lab, 1);
    lab.change(|settings| settings.answer(Step::Challenge, FIREWALL));
    let (code, out, error) = finish(child);
    assert_eq!((code, error.as_str()), (Some(0), ""), "{out}");
    assert!(out.starts_with("refused: "), "{out}");
    assert_eq!(lab.requests().len(), 2);
}

#[test]
fn a_short_wait_retries_once_and_ends() {
    let lab = open();
    let started = Instant::now();
    let output = run(command(&lab).args(["--wait", "5s"]).arg(lab.login_server()));
    assert_eq!(output.status.code(), Some(1));
    assert!(started.elapsed() >= Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(lab.requests().len(), 2);
}

#[test]
fn a_refused_registry_is_not_requested_again() {
    let lab = closed();
    let output = run(command(&lab).args(["--wait", "1m"]).arg(lab.login_server()));
    assert_eq!((output.status.code(), lab.requests().len()), (Some(0), 1));
}

#[test]
fn ctrl_c_interrupts_a_hanging_request_at_once() {
    let lab = open();
    lab.change(|settings| settings.deliver(Step::Challenge, Delivery::SilentAfterRequest));
    let child = start(command(&lab).args(["--timeout", "60s"]).arg(lab.login_server()));
    await_requests(&lab, 1);
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
    assert_eq!(finish(child), (Some(130), String::new(), "interrupted\n".to_owned()));
}

#[test]
fn a_proxy_of_the_environment_is_named_and_not_used() {
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let lab = closed();
        let with_proxy = |format: &str| {
            let mut command = command(&lab);
            command.env(name, "http://user:hunter2@127.0.0.1:9").args(["--output", format]);
            run(command.arg(lab.login_server()))
        };
        let (json, shown) = (with_proxy("json"), with_proxy("text"));
        assert_eq!(json.status.code(), Some(0), "{name}: {}", text(&json.stderr));
        assert_eq!(report(&json)["unusedProxy"], name);
        let words = text(&shown.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(&format!("{name} is set; the proxy was not used.")), "{words}");
        assert!(!text(&json.stdout).contains("hunter2") && !words.contains("hunter2"), "{words}");
    }
    let lab = closed();
    let report = report(&run(command(&lab).args(["--output", "json"]).arg(lab.login_server())));
    assert_eq!(report.get("unusedProxy"), None);
}

#[test]
fn the_report_is_also_written_to_a_file() {
    let lab = closed();
    for format in ["text", "json", "junit"] {
        let path = lab.folder().join(format!("exposure.{format}"));
        let mut command = command(&lab);
        command.args(["--output", format, "--report-file"]).arg(&path);
        let output = run(command.arg(lab.login_server()));
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(std::fs::read(&path).expect("the report"), output.stdout, "{format}");
    }
    let output =
        run(command(&lab).args(["--report-file", "/proc/acr-verifier-report"]).arg(lab.login_server()));
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("/proc/acr-verifier-report"), "{}", text(&output.stderr));
}

#[test]
fn piped_text_is_plain_ascii_and_the_verdict_comes_first() {
    for (lab, first, words) in [
        (closed(), "refused: ", "which it saw as 203.0.113.7"),
        (open(), "exposed: ", "az acr update --name contoso --public-network-enabled false"),
    ] {
        let output = run(command(&lab).arg(lab.login_server()));
        let shown = text(&output.stdout);
        assert!(shown.is_ascii() && !shown.contains('\u{1b}'), "{shown}");
        assert!(shown.starts_with(first), "{shown}");
        let joined = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        for expected in [words, "Not visible from here:", "az acr show --name contoso --query"] {
            assert!(joined.contains(expected), "{expected} is not in\n{shown}");
        }
        assert_eq!(text(&output.stderr), "");
    }
}
