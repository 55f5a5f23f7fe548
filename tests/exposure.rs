//! The check from outside: the program against a lab that plays the public side on loopback.

mod cases;
mod forms;
mod hostile;
mod program;
mod rows;
mod samples;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use acr_verifier::report::exposure::json::JSON_SCHEMA;
use serde_json::Value;

use crate::PROGRAM;
use lab::Lab;
use lab::log::{Listener, Request};
use lab::settings::Settings;

/// Returns the command line for a lab, without the registries.
fn command(lab: &Lab) -> Command {
    trusting(lab, &lab.ca_file())
}

/// The same with the roots of a file.
fn trusting(lab: &Lab, roots: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("exposure").args(["--lab-port", &lab.port().to_string()]);
    for server in lab.nameservers() {
        command.arg("--nameserver").arg(server.to_string());
    }
    command.arg("--ca-file").arg(roots);
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        command.env_remove(name);
    }
    // What a careless program would send.
    command.env("DOCKER_CONFIG", lab.credentials_folder()).stdin(Stdio::null());
    command
}

fn run(command: &mut Command) -> Output {
    command.output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Parses a report and validates it against its schema.
#[track_caller]
fn report(output: &Output) -> Value {
    let report = serde_json::from_slice(&output.stdout).expect("the report is JSON");
    assert_valid(&report);
    report
}

#[track_caller]
fn assert_valid(report: &Value) {
    let schema: Value = serde_json::from_str(JSON_SCHEMA).expect("the schema is JSON");
    let validator = jsonschema::draft202012::options().should_validate_formats(true).build(&schema);
    let validator = validator.expect("a schema of draft 2020-12");
    let errors: Vec<String> =
        validator.iter_errors(report).map(|error| format!("{}: {error}", error.instance_path)).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{report:#}");
}

/// Returns a line for each probe: verdict, reason, family, status and client address, as far as the report has them.
fn probes(report: &Value) -> Vec<String> {
    let registries = report["registries"].as_array().expect("registries");
    let probes = registries.iter().flat_map(|registry| registry["probes"].as_array().expect("probes"));
    probes
        .map(|probe| {
            let fields = ["verdict", "reason", "family", "status", "clientAddress"].map(|key| &probe[key]);
            let words = fields
                .into_iter()
                .filter(|field| !field.is_null())
                .map(|field| field.as_str().map_or_else(|| field.to_string(), str::to_owned));
            words.collect::<Vec<_>>().join(" ")
        })
        .collect()
}

/// Returns what is wrong with the requests that a lab received: only one `GET /v2/` at the login endpoint is right, with the
/// real name and without any credential.
fn violations(lab: &Lab, login_server: &str) -> Vec<String> {
    let wrong = |request: &Request| {
        let secrets = lab.secrets();
        let is_secret = |value: &str| secrets.iter().any(|secret| value.contains(secret.as_str()));
        let has_credential = request.header("Authorization").is_some()
            || request.header("Cookie").is_some()
            || is_secret(&request.target)
            || request.headers.iter().any(|(_, value)| is_secret(value));
        let is_right = (request.listener, request.method.as_str(), request.target.as_str())
            == (Listener::Login, "GET", "/v2/")
            && request.server_name.as_deref() == Some(login_server)
            && request.header("Host") == Some(format!("{login_server}:{}", lab.port()).as_str())
            && request.form.is_empty();
        (has_credential || !is_right).then(|| format!("{request:?}"))
    };
    let requests = lab.requests();
    let mut wrong: Vec<String> = requests.iter().filter_map(wrong).collect();
    if requests.len() > 1 {
        wrong.push(format!("{} requests", requests.len()));
    }
    let elsewhere = lab.connections(Listener::Data) + lab.connections(Listener::Decoy(0));
    if elsewhere > 0 || lab.connections(Listener::Login) > 1 {
        wrong.push(format!("{:?}", lab.all_connections()));
    }
    wrong
}

/// A second lab on the port of a first, for another address of the public side.
fn second_lab(first: &Lab, login: &str, data: &str, change: impl FnOnce(&mut Settings)) -> Lab {
    let mut settings = Settings::default();
    settings.place.login_address = login.parse().expect("an address");
    settings.place.data_address = data.parse().expect("an address");
    settings.place.port = Some(first.port());
    change(&mut settings);
    Lab::start(settings)
}

/// Writes the roots of two labs into one file.
fn both_roots(first: &Lab, second: &Lab) -> PathBuf {
    let path = first.folder().join("both.pem");
    std::fs::write(&path, format!("{}\n{}", first.ca_pem(), second.ca_pem())).expect("a file");
    path
}
