//! An API server of this test on a real socket, with the agents behind its proxy.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::smoke::kubeconfig;

/// Objects per page; a server may return fewer than requested.
const PAGE: usize = 20;

/// A response: status and body.
pub(super) type Reply = (u16, String);

/// Decides about a request for a path before the lists do; the second argument is the query.
pub(super) type Special = Box<dyn Fn(&str, &str) -> Option<Reply> + Send + Sync>;

/// The objects of a cluster by path, and the rest of its behavior.
pub(super) struct Objects {
    pub(super) lists: Vec<(&'static str, Vec<Value>)>,
    pub(super) special: Special,
}

/// A running cluster.
pub(super) struct Cluster {
    pub(super) kubeconfig: PathBuf,
    /// The requested targets, in order.
    pub(super) asked: Arc<Mutex<Vec<String>>>,
    _runtime: Runtime,
    _folder: TempDir,
}

impl Cluster {
    pub(super) fn start(objects: Objects) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (record, objects) = (Arc::clone(&asked), Arc::new(objects));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&record), Arc::clone(&objects)));
            }
        });
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("kubeconfig");
        std::fs::write(&path, kubeconfig(address)).expect("a file");
        Self { kubeconfig: path, asked, _runtime: runtime, _folder: folder }
    }

    /// A cluster with these Pods and agents, whose agents return `report` for their node.
    pub(super) fn of(pods: Vec<Value>, agents: Vec<Value>, report: fn(&str) -> Reply) -> Self {
        Self::start(Objects {
            lists: vec![("/api/v1/pods", pods), ("/api/v1/namespaces/acr-verifier/pods", agents)],
            special: Box::new(move |path, _| agent_of(path).map(report)),
        })
    }

    pub(super) fn discover(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().expect("the program starts");
        for text in [&output.stdout, &output.stderr] {
            assert!(!String::from_utf8_lossy(text).contains("a-planted-token"));
        }
        output
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(crate::PROGRAM);
        command.args(["discover", "--kubeconfig"]).arg(&self.kubeconfig).args(arguments).stdin(Stdio::null());
        command
    }

    /// Returns the JSON report and the exit code.
    pub(super) fn json(&self, arguments: &[&str]) -> (Value, Option<i32>) {
        let output = self.discover(&[&["--output", "json"], arguments].concat());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        (serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{error}")), output.status.code())
    }

    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }
}

async fn serve(stream: TcpStream, record: Arc<Mutex<Vec<String>>>, objects: Arc<Objects>) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    loop {
        let mut head = Vec::new();
        loop {
            match lines.next_line().await {
                Ok(Some(line)) if line.is_empty() => break,
                Ok(Some(line)) => head.push(line),
                Ok(None) | Err(_) => return,
            }
        }
        let mut words = head[0].split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        assert_eq!(method, "GET", "a discovery only reads");
        record.lock().expect("no panic").push(target.to_owned());
        let (status, body) = objects.answer(target);
        // In one piece: two would wait for an acknowledgement of the first.
        let reply = format!(
            "HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if write.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

impl Objects {
    fn answer(&self, target: &str) -> Reply {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if let Some(reply) = (self.special)(path, query) {
            return reply;
        }
        let Some((_, items)) = self.lists.iter().find(|(known, _)| *known == path) else {
            return denied(&format!("no rights for {path}"));
        };
        let value = |name: &str| {
            let pairs = url::form_urlencoded::parse(query.as_bytes());
            pairs.into_owned().find(|(key, _)| key == name).map(|(_, value)| value)
        };
        let start: usize = value("continue").map_or(0, |token| token.parse().expect("our own token"));
        let limit: usize = value("limit").map_or(PAGE, |limit| limit.parse().expect("a number"));
        let wanted =
            value("fieldSelector").and_then(|field| Some(field.strip_prefix("metadata.name=")?.to_owned()));
        let items: Vec<&Value> = items
            .iter()
            .filter(|item| wanted.as_ref().is_none_or(|name| item["metadata"]["name"] == **name))
            .collect();
        let end = (start + limit.min(PAGE)).min(items.len());
        let next = if end < items.len() { end.to_string() } else { String::new() };
        (200, json!({"metadata": {"continue": next}, "items": items[start..end]}).to_string())
    }
}

/// Returns the name of the agent that a path addresses.
fn agent_of(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/api/v1/namespaces/acr-verifier/pods/http:")?;
    rest.strip_suffix(":9469/proxy/report")
}

/// The response to a request without permission.
fn denied(message: &str) -> Reply {
    (403, json!({"kind": "Status", "reason": "Forbidden", "message": message}).to_string())
}

/// A running Pod with this image on a node.
pub(super) fn pod(namespace: &str, name: &str, node: &str, image: &str) -> Value {
    json!({
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"nodeName": node, "containers": [
            {"name": "main", "image": image, "env": [{"name": "PASSWORD", "value": "hunter2"}]}]},
        "status": {"phase": "Running", "containerStatuses": [{"name": "main", "state": {"running": {}}}]}
    })
}

/// The same, waiting for its image.
pub(super) fn waiting(mut pod: Value, reason: &str, message: &str) -> Value {
    pod["status"]["phase"] = "Pending".into();
    pod["status"]["containerStatuses"][0]["state"] =
        json!({"waiting": {"reason": reason, "message": message}});
    pod
}

/// The agent of a node, called `agent-NODE`.
pub(super) fn agent(node: &str, ready: bool) -> Value {
    json!({
        "metadata": {"namespace": "acr-verifier", "name": format!("agent-{node}")},
        "spec": {"nodeName": node, "containers": [
            {"name": "agent", "image": "x", "ports": [{"name": "http", "containerPort": 9469}]}]},
        "status": {"phase": "Running", "podIP": "10.0.0.1",
            "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}],
            "containerStatuses": [{"name": "agent", "state": if ready { json!({"running": {}}) }
                else { json!({"waiting": {"reason": "CreateContainerConfigError"}}) }}]}
    })
}
