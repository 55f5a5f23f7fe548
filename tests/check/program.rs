//! The binary against the lab, as an operator runs it.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Bench;
use lab::Lab;
use lab::answers::{Canned, Delivery, RetryAfter, Step};
use lab::settings::{Certificate, Settings, View};

/// A change to a healthy lab.
type Arrange = fn(&mut Settings);

/// Returns the command line for a lab, without the image.
pub(super) fn command(lab: &Lab) -> Command {
    with_credentials(lab, &lab.credentials_folder())
}

fn with_credentials(lab: &Lab, credentials: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_acr-verifier"));
    command.arg("check").arg("--allow-loopback");
    for server in lab.nameservers() {
        command.arg("--nameserver").arg(server.to_string());
    }
    command.arg("--ca-file").arg(lab.ca_file()).arg("--credentials").arg(credentials);
    command.stdin(Stdio::null()).env_remove("NODE_NAME").env_remove("NETWORK_VIEW");
    command
}

pub(super) fn run(command: &mut Command) -> Output {
    command.output().expect("the program starts")
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Parses the report and validates it against its schema.
#[track_caller]
pub(super) fn report(output: &Output) -> Value {
    let report: Value = serde_json::from_slice(&output.stdout).expect("the report is JSON");
    let schema: Value =
        serde_json::from_str(acr_verifier::report::json::JSON_SCHEMA).expect("the schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("the schema is valid");
    let errors: Vec<String> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{report:#}");
    report
}

#[test]
fn a_healthy_registry_exits_0_and_reports_what_was_tested() {
    let bench = Bench::healthy();
    let output = run(command(&bench.lab)
        .args(["--output", "json"])
        .arg(bench.lab.image())
        .env("NODE_NAME", "aks-np1-0"));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    let report = report(&output);
    assert_eq!(report["schema"], "acr-verifier/report/v1");
    assert_eq!(report["node"], "aks-np1-0");
    assert_eq!(report["networkView"], "node");
    assert_eq!(report["verdict"], "pass");
    let image = &report["images"][0];
    assert_eq!(image["image"], bench.lab.image());
    assert_eq!(image["diagnoses"], serde_json::json!([]));
    assert_eq!(image["stages"].as_array().map(Vec::len), Some(12));
    assert_eq!(image["manifest"]["digest"], bench.lab.digest("1"));
    assert_eq!(image["blob"]["host"], bench.lab.data_endpoint());
    assert_eq!(image["connection"]["address"], bench.lab.login_address().to_string());
}

#[test]
fn exit_codes_distinguish_problem_warning_and_inconclusive() {
    let rows: [(&str, Arrange, &[&str], i32); 5] = [
        ("fail", |settings| settings.nameservers[0].login = View::NotLinked, &[], 1),
        ("warn", |settings| settings.login.certificate = Certificate::ExpiresIn(3), &[], 0),
        ("strict", |settings| settings.login.certificate = Certificate::ExpiresIn(3), &["--strict"], 1),
        (
            "unknown",
            |settings| settings.answer(Step::Token, Canned::Throttled(RetryAfter::Seconds(1))),
            &["--strict"],
            3,
        ),
        ("no blob", |settings| settings.nameservers[0].data = View::RecordMissing, &["--no-blob"], 0),
    ];
    for (name, arrange, arguments, code) in rows {
        let bench = Bench::with(arrange);
        let output = run(command(&bench.lab).args(arguments).arg(bench.lab.image()));
        assert_eq!(output.status.code(), Some(code), "{name}\n{}", text(&output.stdout));
    }
}

#[test]
fn an_invalid_credentials_file_is_a_result_and_an_absent_path_is_invalid_usage() {
    let bench = Bench::healthy();
    let path = bench.lab.folder().join("broken.json");
    for broken in
        ["", "text", "e30=", r#"{"auths": {"r.io": {"auth": "hunter2!"}}}"#, r#"{"HttpHeaders": 5}"#]
    {
        std::fs::write(&path, broken).expect("a file");
        let output =
            run(with_credentials(&bench.lab, &path).args(["--output", "json"]).arg(bench.lab.image()));
        assert_eq!(output.status.code(), Some(1), "{broken}: {}", text(&output.stderr));
        let report = report(&output);
        assert_eq!(report["images"][0]["diagnoses"][0]["cause"], "credentials_invalid", "{broken}");
        assert!(!text(&output.stdout).contains("hunter2"), "{broken}");
    }
    let output = run(with_credentials(&bench.lab, &bench.lab.folder().join("absent")).arg(bench.lab.image()));
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
}

#[test]
fn an_anonymous_pull_is_reported_in_json_and_text() {
    let bench = Bench::with(|settings| settings.credentials.anonymous = true);
    let path = bench.lab.folder().join("config.json");
    std::fs::write(&path, r#"{"auths": {}}"#).expect("a file");
    let output = run(with_credentials(&bench.lab, &path).arg(bench.lab.image()));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    let shown = text(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(shown.contains("pulled anonymously"), "{shown}");
    let output = run(with_credentials(&bench.lab, &path).args(["--output", "json"]).arg(bench.lab.image()));
    assert_eq!(report(&output)["images"][0]["credentials"], "anonymous");
}

#[test]
fn piped_text_is_plain_ascii_with_problem_and_fix() {
    let bench = Bench::with(|settings| settings.nameservers[0].login = View::NotLinked);
    let output = run(command(&bench.lab).arg(bench.lab.image()));
    let shown = text(&output.stdout);
    assert!(shown.is_ascii(), "{shown}");
    assert!(!shown.contains('\u{1b}'), "{shown}");
    for word in [
        "problem: ",
        "fix: ",
        "20.45.122.144",
        "az network private-dns link vnet create",
        "private_zone_not_linked",
    ] {
        assert!(shown.contains(word), "{word} is not in\n{shown}");
    }
}

#[test]
fn several_images_keep_their_order_and_the_worst_verdict_counts() {
    let bench = Bench::healthy();
    let images = [bench.lab.image_of("apps/canary", ":absent"), bench.lab.image()];
    let output = run(command(&bench.lab).args(["--output", "json"]).args(&images));
    assert_eq!(output.status.code(), Some(1));
    let report = report(&output);
    let result =
        |index: usize| (report["images"][index]["image"].clone(), report["images"][index]["verdict"].clone());
    assert_eq!(result(0), (images[0].clone().into(), "fail".into()));
    assert_eq!(result(1), (images[1].clone().into(), "pass".into()));
    assert_eq!(report["verdict"], "fail");
}

#[test]
fn a_configuration_file_can_replace_the_command_line() {
    let bench = Bench::healthy();
    let lab = &bench.lab;
    let config = lab.folder().join("config.yaml");
    let yaml = format!(
        "images:\n  - image: {}\n    name: canary\n    credentials: {{path: {}}}\n    privateEndpoint: {{cidrs: \
         [127.0.0.0/8]}}\n    dataEndpoints: [{}]\ntls: {{caFile: {}}}\nschedule: {{stageTimeout: 2s}}\n",
        lab.image(),
        lab.secret_folder().display(),
        lab.data_endpoint(),
        lab.ca_file().display()
    );
    std::fs::write(&config, yaml).expect("a file");
    let nameserver = lab.nameservers()[0].to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_acr-verifier"));
    command.args(["check", "--allow-loopback", "--nameserver", &nameserver, "--output", "json", "--config"]);
    let output = run(command.arg(&config));
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stderr), text(&output.stdout));
    assert_eq!(report(&output)["images"][0]["name"], "canary");
}

#[test]
fn the_report_is_also_written_to_a_file() {
    let bench = Bench::healthy();
    for format in ["text", "json", "junit"] {
        let path = bench.lab.folder().join(format!("report.{format}"));
        let output = run(command(&bench.lab)
            .args(["--output", format, "--report-file"])
            .arg(&path)
            .arg(bench.lab.image()));
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(std::fs::read(&path).expect("the report"), output.stdout, "{format}");
    }
    let unwritable = Path::new("/proc/acr-verifier-report");
    let output = run(command(&bench.lab).arg("--report-file").arg(unwritable).arg(bench.lab.image()));
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("/proc/acr-verifier-report"), "{}", text(&output.stderr));
}

#[test]
fn an_invalid_network_view_is_rejected() {
    let bench = Bench::healthy();
    let output = run(command(&bench.lab).arg(bench.lab.image()).env("NETWORK_VIEW", "pods"));
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(2), ""));
    assert_eq!(
        text(&output.stderr),
        "error: invalid value \"pods\" for NETWORK_VIEW: expected node or pod\n"
    );
    let output =
        run(command(&bench.lab).args(["--output", "json"]).arg(bench.lab.image()).env("NETWORK_VIEW", "pod"));
    assert_eq!(report(&output)["networkView"], "pod");
}

#[test]
fn proxies_of_the_environment_are_not_used() {
    let bench = Bench::healthy();
    let mut command = command(&bench.lab);
    for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        command.env(name, "http://127.0.0.1:9");
    }
    assert_eq!(run(command.arg(bench.lab.image())).status.code(), Some(0));
}

#[test]
fn the_highest_log_level_shows_causes_and_no_secret() {
    let rows: [Arrange; 4] = [
        |_| {},
        |settings| settings.answer(Step::Token, Canned::Unauthorized),
        |settings| settings.answer(Step::Manifest, Canned::ServerError(503)),
        |settings| settings.deliver(Step::Blob, Delivery::CloseMidBody),
    ];
    for arrange in rows {
        let bench = Bench::with(arrange);
        for log_format in ["text", "json"] {
            let output =
                run(command(&bench.lab).args(["-vvv", "--log-format", log_format]).arg(bench.lab.image()));
            let shown = text(&output.stdout) + &text(&output.stderr);
            assert!(!output.stderr.is_empty(), "nothing was logged");
            for secret in bench.lab.secrets() {
                assert!(!shown.contains(&secret), "{secret} is in\n{shown}");
            }
        }
    }
}

/// Waits for a program to exit and returns its exit code and output.
fn finish(mut child: Child, limit: Duration) -> (Option<i32>, String, String) {
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("the program's status can be read") {
            break status;
        }
        if started.elapsed() > limit {
            child.kill().expect("the program can be killed");
            panic!("the program still runs after {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let mut streams = (String::new(), String::new());
    child.stdout.take().expect("piped").read_to_string(&mut streams.0).expect("UTF-8");
    child.stderr.take().expect("piped").read_to_string(&mut streams.1).expect("UTF-8");
    (status.code(), streams.0, streams.1)
}

fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
}

#[test]
fn waiting_stops_once_the_registry_is_fixed() {
    let bench = Bench::with(|settings| settings.nameservers[0].login = View::RecordMissing);
    let child = start(command(&bench.lab).args(["--wait", "60s"]).arg(bench.lab.image()));
    while bench.lab.queries().is_empty() {
        std::thread::sleep(Duration::from_millis(20));
    }
    bench.lab.change(|settings| settings.nameservers[0].login = View::Private);
    let (code, out, _) = finish(child, Duration::from_secs(30));
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("pass: "), "{out}");
}

#[test]
fn waiting_stops_once_the_time_has_elapsed() {
    let bench = Bench::with(|settings| settings.nameservers[0].login = View::RecordMissing);
    let started = Instant::now();
    let output = run(command(&bench.lab).args(["--wait", "1s"]).arg(bench.lab.image()));
    assert_eq!(output.status.code(), Some(1));
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

#[test]
fn ctrl_c_interrupts_a_hanging_check_at_once() {
    let bench = Bench::with(|settings| settings.deliver(Step::Token, Delivery::SilentAfterRequest));
    let child = start(
        command(&bench.lab).args(["--stage-timeout", "20s", "--timeout", "30s"]).arg(bench.lab.image()),
    );
    while bench.lab.requests_of(Step::Token).is_empty() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let interrupted =
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(interrupted.success());
    let (code, out, err) = finish(child, Duration::from_secs(2));
    assert_eq!((code, out.as_str(), err.as_str()), (Some(130), "", "interrupted\n"));
}

#[test]
fn the_log_has_no_invisible_characters() {
    let bench = Bench::with(|settings| {
        let body = serde_json::json!({"errors": [{"code": "DENIED", "message": "\u{202e}drawkcab\u{200b}"}]});
        let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        let canned = Canned::Raw { status: 403, headers, body: body.to_string().into_bytes() };
        settings.answer(Step::Manifest, canned);
    });
    let output = run(command(&bench.lab).arg("-vvv").arg(bench.lab.image()));
    let shown = text(&output.stdout) + &text(&output.stderr);
    assert!(text(&output.stderr).contains("drawkcab"), "{shown}");
    assert!(!shown.contains(['\u{202e}', '\u{200b}']), "{shown}");
}
