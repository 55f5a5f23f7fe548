//! Agents that start no check on demand, or only with a key: real agents behind the API server of these tests.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Cluster, Reply, http, name, named, report_of};
use crate::PROGRAM;
use lab::Lab;
use lab::settings::{Settings, View};
use support::agent::{Agent, config};

const KEY: &str = "planted-key-0123456789abcdef";
const OTHER: &str = "planted-key-fedcba9876543210";

/// Passes a request on as the API server does: without `Authorization`.
pub(super) fn pass_on(agent: SocketAddr, path: &str, head: &[String]) -> Reply {
    let method = head[0].split(' ').next().expect("a method");
    let headers: String = head[1..]
        .iter()
        .filter(|line| !line.to_ascii_lowercase().starts_with("authorization:"))
        .map(|line| format!("{line}\r\n"))
        .collect();
    let mut stream = TcpStream::connect(agent).expect("the agent listens");
    write!(stream, "{method} {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n")
        .expect("the agent reads");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("the agent answers");
    Reply::Raw(response)
}

/// A real agent of the only node, behind a cluster that records the methods and paths of the requests.
struct Bench {
    lab: Lab,
    agent: Agent,
    cluster: Cluster,
    requests: Arc<Mutex<Vec<String>>>,
    folder: TempDir,
}

impl Bench {
    fn start(interval: &str, checks: &str) -> Self {
        let (lab, folder) = (Lab::start(Settings::default()), TempDir::new().expect("a folder"));
        std::fs::write(folder.path().join("key"), format!("{KEY}\n")).expect("a file");
        std::fs::write(folder.path().join("other"), OTHER).expect("a file");
        let key_file = if checks == "key" {
            format!(", keyFile: {}", folder.path().join("key").display())
        } else {
            String::new()
        };
        let text = config(&lab, interval)
            .replace("\"127.0.0.1:0\"", &format!("\"127.0.0.1:0\", checksOnDemand: {checks}{key_file}"));
        let agent = Agent::start_as(PROGRAM, &lab, &text, |mut command| {
            command.env("NODE_NAME", name(0)).arg("-vvv");
            command
        });
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (recorded, address) = (Arc::clone(&requests), agent.address);
        let answer = move |_, path: &str, head: &[String]| {
            let method = head[0].split(' ').next().expect("a method");
            recorded.lock().expect("no panic").push(format!("{method} {path}"));
            pass_on(address, path, head)
        };
        let cluster = Cluster::serving(1, Box::new(answer));
        Self { lab, agent, cluster, requests, folder }
    }

    fn smoke(&self, arguments: &[&str]) -> (Output, Value, String) {
        let output = self.cluster.smoke(&[&["--output", "json"], arguments].concat());
        let errors = String::from_utf8(output.stderr.clone()).expect("UTF-8");
        let report = serde_json::from_slice(&output.stdout).unwrap_or_default();
        for text in [&errors, &self.agent.log(), &String::from_utf8_lossy(&output.stdout).into_owned()] {
            assert!(!text.contains("planted-key"), "{text}");
        }
        (output, report, errors)
    }

    fn path(&self, file: &str) -> String {
        self.folder.path().join(file).display().to_string()
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no panic").clone()
    }
}

#[test]
fn a_key_triggers_a_check_on_every_node() {
    let bench = Bench::start("1h", "key");
    let (output, report, errors) = bench.smoke(&["--timeout", "20s", "--key-file", &bench.path("key")]);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert_eq!(report["nodes"][0]["state"], "reported");
    assert_eq!(bench.requests(), ["POST /check"], "the first request is enough");
    assert!(!errors.contains("regular"), "{errors}");
}

/// The gate stays a gate: only a check that started after the smoke check counts.
#[test]
fn without_a_check_on_demand_the_next_regular_check_decides() {
    for (checks, arguments, note) in [
        ("disabled", vec![], "its configuration disables checks on demand"),
        ("key", vec![], "it requires a key for checks on demand (--key-file)"),
        ("key", vec!["--key-file", "other"], "it rejected the key for checks on demand"),
    ] {
        let bench = Bench::start("3s", checks);
        bench.agent.wait_for("an earlier pass", |agent| agent.get("/report").status == 200);
        bench.lab.change(|settings| settings.nameservers[0].login = View::NotLinked);
        let other = bench.path("other");
        let arguments: Vec<&str> =
            arguments.into_iter().map(|word| if word == "other" { other.as_str() } else { word }).collect();
        let (output, report, errors) = bench.smoke(&[&["--timeout", "20s"], &arguments[..]].concat());
        assert_eq!(output.status.code(), Some(1), "{checks}: {errors}");
        let node = &report["nodes"][0];
        assert_eq!(
            (&node["state"], &node["verdict"]),
            (&json!("reported"), &json!("fail")),
            "{checks}: {node}"
        );
        assert_eq!(errors.matches(note).count(), 1, "once: {errors}");
        assert!(errors.contains("waiting for regular checks instead"), "{errors}");
        let requests = bench.requests();
        assert_eq!(requests[0], "POST /check");
        assert!(requests[1..].iter().all(|request| request == "GET /report"), "{requests:?}");

        bench.lab.change(|settings| settings.nameservers[0].login = View::Private);
        let (output, report, errors) = bench.smoke(&[&["--timeout", "20s"], &arguments[..]].concat());
        assert_eq!(output.status.code(), Some(0), "{checks}: {errors}");
        assert_eq!(report["nodes"][0]["verdict"], "pass");
    }
}

#[test]
fn a_node_without_a_regular_check_before_the_timeout_is_stale() {
    let bench = Bench::start("1h", "disabled");
    bench.agent.wait_for("the first check", |agent| agent.get("/report").status == 200);
    let (output, report, errors) = bench.smoke(&["--timeout", "8s"]);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    let node = &report["nodes"][0];
    let reason =
        "its configuration disables checks on demand, and no regular check has started and completed since";
    assert_eq!((&node["state"], &node["reason"]), (&json!("stale"), &json!(reason)), "{node}");
    let text = bench.cluster.smoke(&["--timeout", "2s"]).stdout;
    let text = String::from_utf8(text).expect("UTF-8").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("with a --timeout longer than the interval between two checks"), "{text}");
}

/// The agent is untrusted: an age that it does not report, or an old one, is never a fresh pass.
#[test]
fn a_report_of_unknown_age_is_not_fresh() {
    let good = report_of(&Lab::start(Settings::default()));
    let answer = move |index: usize, path: &str, _: &[String]| {
        if path == "/check" {
            return Reply::Raw(http(403, r#"{"error": "off", "checksOnDemand": "disabled"}"#));
        }
        let report = http(200, &named(&good, index).to_string());
        let age = ["", "Age: old\r\n", "Age: -1\r\n", "Age: 600\r\n"][index];
        Reply::Raw(report.replacen("\r\n", &format!("\r\n{age}"), 1))
    };
    let cluster = Cluster::serving(4, Box::new(answer));
    let output = cluster.smoke(&["--timeout", "8s", "--output", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["counts"]["pass"], 0, "{report}");
    let nodes = report["nodes"].as_array().expect("nodes");
    assert!(nodes.iter().all(|node| node["state"] == "stale"), "{report}");
}

/// A denial by the API server is not an answer of an agent.
#[test]
fn a_denial_by_the_api_server_names_the_missing_permission() {
    let denied =
        json!({"kind": "Status", "message": "pods \"agent-0\" is forbidden", "code": 403}).to_string();
    let cluster = Cluster::serving(1, Box::new(move |_, _, _| Reply::Raw(http(403, &denied))));
    let output = cluster.smoke(&["--timeout", "8s"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{errors}");
    assert!(errors.contains("resources: [pods/proxy], verbs: [create]"), "{errors}");
}

#[test]
fn an_unusable_key_file_is_invalid_usage() {
    let folder = TempDir::new().expect("a folder");
    let write = |name: &str, content: &[u8]| {
        std::fs::write(folder.path().join(name), content).expect("a file");
    };
    write("empty", b"\r\n");
    write("large", &[b'k'; 2048]);
    write("short", b"planted-short\n");
    write("binary", b"planted-key-\xff\xfe-0123456789");
    let cluster = Cluster::start(1, Box::new(|_| Reply::Nothing));
    let cases = [
        ("absent", "cannot read it: No such file"),
        ("empty", "it is empty"),
        ("large", "it is too large"),
        ("short", "the key has 13 characters"),
        ("binary", "characters other than visible ASCII"),
        (".", "it is not a regular file"),
    ];
    for (file, reason) in cases {
        let path = folder.path().join(file);
        let output = cluster.smoke(&["--key-file", Path::to_str(&path).expect("UTF-8")]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{file}: {errors}");
        assert!(errors.contains("for '--key-file <PATH>'") && errors.contains(reason), "{file}: {errors}");
        assert!(
            errors.contains("expected a file with a key of 16 to 256 visible ASCII characters"),
            "{errors}"
        );
        assert!(!errors.contains("planted"), "{errors}");
    }
}
