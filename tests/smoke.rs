//! The smoke check on a large fleet: one HTTP server of this test replaces the API server and a thousand agents, on a
//! real socket. `tests/events` tests the Kubernetes objects on a real API server.

mod answers;
mod memory;
mod on_demand;
mod sample;

use std::collections::BTreeSet;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use lab::Lab;
use lab::settings::{Settings, View};

/// Objects per page; a server may return fewer than requested.
const PAGE: usize = 300;
/// Duration of a simulated check: three times a real one within a region.
const CHECK: Duration = Duration::from_millis(150);

/// A cluster whose kubeconfig uses plain HTTP.
struct Cluster {
    kubeconfig: std::path::PathBuf,
    asked: Arc<Mutex<BTreeSet<String>>>,
    /// Current and maximum number of concurrent requests.
    most: Arc<Mutex<(usize, usize)>>,
    _runtime: Runtime,
    _folder: TempDir,
}

/// The response of each agent.
type Answer = Box<dyn Fn(usize) -> Reply + Send + Sync>;
/// The response of each agent to a request: method and path at the agent, and the request's head.
type AnswerTo = Box<dyn Fn(usize, &str, &[String]) -> Reply + Send + Sync>;

enum Reply {
    Report(Value),
    Raw(String),
    Nothing,
}

impl Cluster {
    fn start(nodes: usize, answer: Answer) -> Self {
        Self::serving(nodes, Box::new(move |index, _, _| answer(index)))
    }

    fn serving(nodes: usize, answer: AnswerTo) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(BTreeSet::new()));
        let most = Arc::new(Mutex::new((0, 0)));
        let (asked_too, most_too, answer) = (asked.clone(), most.clone(), Arc::new(answer));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, nodes, asked_too.clone(), most_too.clone(), answer.clone()));
            }
        });
        let folder = TempDir::new().expect("a folder");
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, self::kubeconfig(address)).expect("a file");
        Self { kubeconfig, asked, most, _runtime: runtime, _folder: folder }
    }

    fn smoke(&self, arguments: &[&str]) -> Output {
        let output = Command::new(env!("CARGO_BIN_EXE_acr-verifier"))
            .args(["smoke", "-vvv", "--kubeconfig"])
            .arg(&self.kubeconfig)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("the program starts");
        for text in [&output.stdout, &output.stderr] {
            assert!(!String::from_utf8_lossy(text).contains("a-planted-token"));
        }
        output
    }
}

pub(crate) fn kubeconfig(address: std::net::SocketAddr) -> String {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "tests",
        "clusters": [{"name": "tests", "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": "tests", "user": {"token": "a-planted-token"}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
    });
    config.to_string()
}

async fn serve(
    stream: TcpStream,
    nodes: usize,
    asked: Arc<Mutex<BTreeSet<String>>>,
    most: Arc<Mutex<(usize, usize)>>,
    answer: Arc<AnswerTo>,
) {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    loop {
        let mut head = Vec::new();
        let mut length = 0_u64;
        loop {
            let mut line = String::new();
            match read.read_line(&mut line).await {
                Ok(0) | Err(_) => return,
                Ok(_) if line.trim().is_empty() => break,
                Ok(_) => head.push(line.trim().to_owned()),
            }
            let last = head.last().expect("just pushed").to_ascii_lowercase();
            if let Some(value) = last.strip_prefix("content-length: ") {
                length = value.parse().expect("a number");
            }
        }
        let mut body = Vec::new();
        (&mut read).take(length).read_to_end(&mut body).await.expect("the body");
        let target = head[0].split(' ').nth(1).expect("a target").to_owned();
        let reply = if let Some((index, path)) = agent_of(&target) {
            asked.lock().expect("no panic").insert(target.clone());
            {
                let mut most = most.lock().expect("no panic");
                most.0 += 1;
                most.1 = most.1.max(most.0);
            }
            tokio::time::sleep(CHECK).await;
            most.lock().expect("no panic").0 -= 1;
            match answer(index, &path, &head) {
                Reply::Report(report) => http(200, &report.to_string()),
                Reply::Raw(text) => text,
                Reply::Nothing => {
                    tokio::time::sleep(Duration::from_secs(3_600)).await;
                    return;
                }
            }
        } else {
            http(200, &list(&target, nodes).to_string())
        };
        if write.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn http(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Returns the index of the agent that a path addresses, and the path there.
fn agent_of(target: &str) -> Option<(usize, String)> {
    let rest = target.strip_prefix("/api/v1/namespaces/acr-verifier/pods/http:agent-")?;
    let (index, path) = rest.split_once(":9469/proxy")?;
    Some((index.parse().ok()?, path.to_owned()))
}

fn list(target: &str, nodes: usize) -> Value {
    let (path, query) = target.split_once('?').expect("a query");
    let query: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let value = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let start: usize = value("continue").map_or(0, |token| token.parse().expect("our own token"));
    let end = (start + PAGE).min(nodes);
    let next = if end < nodes { end.to_string() } else { String::new() };
    let items: Vec<Value> = match path {
        "/apis/apps/v1/namespaces/acr-verifier/daemonsets" => {
            assert_eq!(value("labelSelector").as_deref(), Some("app.kubernetes.io/name=acr-verifier"));
            return json!({"items": [{
                "metadata": {"name": "acr-verifier", "uid": "set", "generation": 1},
                "spec": {"template": {"spec": {"containers": []}}},
                "status": {"observedGeneration": 1}}]});
        }
        "/api/v1/nodes" => (start..end).map(node).collect(),
        "/api/v1/namespaces/acr-verifier/pods" => (start..end).map(pod).collect(),
        other => panic!("asked for {other}"),
    };
    json!({"metadata": {"continue": next}, "items": items})
}

fn name(index: usize) -> String {
    format!("aks-np{}-{index}", index % 4)
}

fn node(index: usize) -> Value {
    json!({
        "metadata": {"name": name(index), "labels": {
            "kubernetes.azure.com/agentpool": format!("np{}", index % 4),
            "topology.kubernetes.io/zone": format!("westeurope-{}", index / 4 % 3 + 1)}},
        "spec": {},
        "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]}
    })
}

/// A running Pod; some are not ready yet.
fn pod(index: usize) -> Value {
    let ready = if index % 97 == 13 { "False" } else { "True" };
    json!({
        "metadata": {"name": format!("agent-{index}"), "ownerReferences": [{"uid": "set"}]},
        "spec": {"nodeName": name(index)},
        "status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": [{"state": {"running": {}}}]}
    })
}

/// The report of a real check of a lab registry.
fn report_of(lab: &Lab) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_acr-verifier"))
        .args(["check", "--output", "json", "--allow-loopback", "--nameserver"])
        .arg(lab.nameservers()[0].to_string())
        .arg("--ca-file")
        .arg(lab.ca_file())
        .arg("--credentials")
        .arg(lab.secret_folder())
        .arg(lab.image())
        .output()
        .expect("the program starts");
    let mut report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    // The fake agents respond after `CHECK`, and a check in the lab may take longer on a busy machine.
    report["durationSeconds"] = (CHECK.as_secs_f64() / 2.0).into();
    report
}

fn named(report: &Value, index: usize) -> Value {
    let mut report = report.clone();
    report["node"] = name(index).into();
    report
}

#[test]
fn a_thousand_agents_respond_within_a_minute() {
    let lab = Lab::start(Settings::default());
    let good = report_of(&lab);
    lab.change(|settings| settings.nameservers[0].login = View::NotLinked);
    let bad = report_of(&lab);
    assert_eq!((&good["verdict"], &bad["verdict"]), (&json!("pass"), &json!("fail")));

    let healthy = good.clone();
    let cluster = Cluster::start(1_000, Box::new(move |index| Reply::Report(named(&healthy, index))));
    let output = cluster.smoke(&["--sample", "all", "--timeout", "60s", "--output", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&report["counts"]["pass"], &report["counts"]["expected"]), (&json!(1_000), &json!(1_000)));
    assert_eq!(cluster.asked.lock().expect("no panic").len(), 1_000);
    let (_, most) = *cluster.most.lock().expect("no panic");
    assert!(most <= 64, "{most} at the same time");

    // A quarter of them is broken: the table stays short and names what they have in common.
    let cluster = Cluster::start(
        1_000,
        Box::new(move |index| Reply::Report(named(if index % 4 == 3 { &bad } else { &good }, index))),
    );
    let output = cluster.smoke(&["--sample", "all", "--timeout", "30s"]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.lines().count() < 80, "{text}");
    assert!(text.contains("250 of 1000 nodes: private_zone_not_linked (login.address)"), "{text}");
    assert!(
        text.contains("All 250 of these nodes are in node pool np3; none of the 750 good nodes is."),
        "{text}"
    );
}

#[test]
fn an_invalid_response_affects_only_its_own_node() {
    let lab = Lab::start(Settings::default());
    let good = report_of(&lab);
    let answer = move |index| match index {
        0 => Reply::Report(named(&good, 0)),
        1 => Reply::Nothing,
        2 => Reply::Raw(http(200, "<html>not a report</html>")),
        3 => Reply::Raw(http(503, r#"{"error": "check aborted"}"#)),
        // Longer than any report: it is not read to the end.
        4 => {
            Reply::Raw(format!("HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n{}", " ".repeat(5 << 20)))
        }
        5 => {
            let mut newer = named(&good, 5);
            newer["schema"] = "acr-verifier/report/v9".into();
            Reply::Report(newer)
        }
        // It started before the smoke check.
        6 => {
            let mut older = named(&good, 6);
            older["durationSeconds"] = 500.into();
            Reply::Report(older)
        }
        _ => Reply::Report(named(&good, 0)),
    };
    let cluster = Cluster::start(8, Box::new(answer));
    let output = cluster.smoke(&["--timeout", "4s", "--output", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let states: Vec<String> = report["nodes"]
        .as_array()
        .expect("nodes")
        .iter()
        .map(|node| {
            format!("{} {}", node["state"].as_str().unwrap_or("-"), node["reason"].as_str().unwrap_or("-"))
        })
        .collect();
    // In order of their names: np0 has 0 and 4, np1 has 1 and 5, and so on.
    assert_eq!(states[0], "reported -");
    assert!(
        states[1].starts_with("unreachable ") && states[1].contains("length limit exceeded"),
        "{}",
        states[1]
    );
    assert_eq!(states[2], "stale it has not responded to the check request yet");
    assert_eq!(
        states[3],
        "unreachable its report has schema acr-verifier/report/v9: expected acr-verifier/report/v1"
    );
    assert!(states[4].starts_with("unreachable its response is not a valid report ("), "{}", states[4]);
    assert!(states[5].starts_with("stale its check started 49"), "{}", states[5]);
    assert_eq!(states[6], "unreachable it responded with 503: check aborted");
    assert_eq!(states[7], "unreachable it reports as the agent of node aks-np0-0");
}

#[test]
fn ctrl_c_reports_the_results_so_far() {
    let lab = Lab::start(Settings::default());
    let good = report_of(&lab);
    let answer = move |index| if index == 0 { Reply::Report(named(&good, 0)) } else { Reply::Nothing };
    let cluster = Cluster::start(2, Box::new(answer));
    let child = Command::new(env!("CARGO_BIN_EXE_acr-verifier"))
        .args(["smoke", "--timeout", "60s", "--kubeconfig"])
        .arg(&cluster.kubeconfig)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let started = Instant::now();
    while cluster.asked.lock().expect("no panic").len() < 2 {
        assert!(started.elapsed() < Duration::from_secs(20), "the agents are not queried");
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(10 * CHECK);
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
    let output = child.wait_with_output().expect("our own child");
    assert_eq!(output.status.code(), Some(130));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(text.contains("1 returned no fresh report") && text.contains("1 can pull"), "{text}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("interrupted"));
}

#[test]
fn report_and_summary_are_both_written() {
    let lab = Lab::start(Settings::default());
    let good = report_of(&lab);
    let cluster = Cluster::start(3, Box::new(move |index| Reply::Report(named(&good, index))));
    let folder = TempDir::new().expect("a folder");
    let (file, summary) = (folder.path().join("smoke.xml"), folder.path().join("summary.md"));
    std::fs::write(&summary, "# An earlier step\n").expect("a file");
    let output = cluster.smoke(&[
        "--output",
        "junit",
        "--report-file",
        file.to_str().expect("UTF-8"),
        "--summary-file",
        summary.to_str().expect("UTF-8"),
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(std::fs::read(&file).expect("the report"), output.stdout);
    let summary = std::fs::read_to_string(&summary).expect("the summary");
    assert!(summary.starts_with("# An earlier step\n## ✅ Registry smoke check: pass"), "{summary}");
}

#[test]
fn a_silent_api_server_is_inconclusive_after_the_timeout() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("kubeconfig");
    std::fs::write(&path, kubeconfig(listener.local_addr().expect("an address"))).expect("a file");
    let started = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_acr-verifier"))
        .args(["smoke", "--timeout", "2s", "--kubeconfig"])
        .arg(&path)
        .output()
        .expect("the program starts");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("cannot query the API server: no response within 2 s"), "{text}");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}
