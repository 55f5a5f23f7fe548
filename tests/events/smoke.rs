//! The smoke check against a real API server: nodes and Pods in every state, real agents at the Pod addresses, and an account
//! with only the documented permissions.
//!
//! There are no kubelets: the tests write the states. Requests through the API server's proxy need Pods at addresses that it
//! accepts, and are tested with real nodes in `tests/cluster`.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::PROGRAM;
use serde_json::{Value, json};

use super::agent::{can_mount, in_a_pod_of};
use super::process::free_port;
use super::server::{ApiServer, NODE};
use lab::Lab;
use lab::settings::{Settings, View};
use support::agent::{Agent, config};

/// The documented permissions of a smoke check in a Pod.
const ACCOUNT: &str = include_str!("smoke.yaml");

/// A cluster with objects written by the test.
struct Cluster {
    server: ApiServer,
    port: u16,
    token: String,
}

impl Cluster {
    fn start() -> Option<Self> {
        let server = ApiServer::start()?;
        if !can_mount() {
            return None;
        }
        let port = free_port();
        let apply = |text: &str| succeed(&server.kubectl_fed(&["apply", "--filename=-"], text));
        apply(ACCOUNT);
        apply(&daemon_set(port).to_string());
        let token = server.token_of("smoke");
        // Created by the server's setup.
        succeed(&server.kubectl(&["delete", "node", NODE]));
        Some(Self { server, port, token })
    }

    fn uid(&self) -> String {
        let output = self.server.kubectl(&[
            "get",
            "daemonset",
            "acr-verifier",
            "--namespace=acr-verifier",
            "--output=jsonpath={.metadata.uid}",
        ]);
        String::from_utf8(output.stdout).expect("a uid")
    }

    fn node(&self, name: &str, pool: &str, changes: &Value) {
        let mut node = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": {
                "kubernetes.io/os": "linux", "kubernetes.azure.com/agentpool": pool,
                "kubernetes.azure.com/network-name": "aks-vnet",
                "kubernetes.azure.com/network-subnet": format!("snet-{pool}")}},
            "spec": {}
        });
        merge(&mut node, changes);
        succeed(&self.server.kubectl_fed(&["create", "--filename=-"], &node.to_string()));
        let ready = !name.contains("not-ready");
        let status = json!({"status": {"conditions": [{
            "type": "Ready", "status": if ready { "True" } else { "Unknown" },
            "reason": if ready { "KubeletReady" } else { "NodeStatusUnknown" }}]}});
        let patch = ["patch", "node", name, "--subresource=status", "--type=merge", "--patch"];
        succeed(&self.server.kubectl(&[&patch[..], &[&status.to_string()]].concat()));
    }

    fn pod(&self, node: &str, address: &str, waiting: Option<&str>) {
        let name = format!("acr-verifier-{node}");
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "acr-verifier",
                "labels": {"app.kubernetes.io/name": "acr-verifier", "pod-template-generation": "1"},
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "acr-verifier",
                    "uid": self.uid(), "controller": true}]},
            "spec": {"nodeName": node, "serviceAccountName": "smoke", "containers": [{"name": "agent", "image": "none"}]}
        });
        succeed(&self.server.kubectl_fed(&["create", "--filename=-"], &pod.to_string()));
        let state = match waiting {
            Some(reason) => json!({"waiting": {"reason": reason}}),
            None => json!({"running": {}}),
        };
        let ready = if waiting.is_some() { "False" } else { "True" };
        let status = json!({"status": {
            "phase": if waiting.is_some() { "Pending" } else { "Running" },
            "podIP": address, "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": [{"name": "agent", "image": "none", "imageID": "", "restartCount": 0,
                "ready": waiting.is_none(), "state": state}]}});
        let patch = [
            "patch",
            "pod",
            &name,
            "--namespace=acr-verifier",
            "--subresource=status",
            "--type=merge",
            "--patch",
        ];
        succeed(&self.server.kubectl(&[&patch[..], &[&status.to_string()]].concat()));
    }

    /// Starts an agent at the address of a node's Pod.
    fn agent(&self, lab: &Lab, node: &str, address: &str) -> Agent {
        let listen = format!("{address}:{}", self.port);
        let text = config(lab, "1h").replace("127.0.0.1:0", &listen);
        let node = node.to_owned();
        Agent::start_as(PROGRAM, lab, &text, move |mut command| {
            command.env("NODE_NAME", node);
            command
        })
    }

    /// Runs a smoke check as in a Pod with this account.
    fn smoke_as(&self, token: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_acr-verifier"));
        command.arg("smoke").args(arguments).arg("-vvv");
        in_a_pod_of(&self.server, token, &command)
            .stdout(Stdio::piped())
            .output()
            .expect("the program starts")
    }

    fn smoke(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.smoke_as(&self.token, arguments);
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(!text.contains(&self.token) && !log.contains(&self.token), "the token leaks");
        assert!(!text.is_empty(), "{log}");
        (output.status.code(), text)
    }
}

fn daemon_set(port: u16) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {"name": "acr-verifier", "namespace": "acr-verifier", "labels": {"app.kubernetes.io/name": "acr-verifier"}},
        "spec": {
            "selector": {"matchLabels": {"app.kubernetes.io/name": "acr-verifier"}},
            "template": {
                "metadata": {"labels": {"app.kubernetes.io/name": "acr-verifier"}},
                "spec": {
                    "nodeSelector": {"kubernetes.io/os": "linux"},
                    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
                    "containers": [{"name": "agent", "image": "none", "ports": [{"name": "http", "containerPort": port}]}]}}}
    })
}

fn merge(target: &mut Value, changes: &Value) {
    match (target, changes) {
        (Value::Object(target), Value::Object(changes)) => {
            for (key, value) in changes {
                merge(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (target, changes) => *target = changes.clone(),
    }
}

#[track_caller]
fn succeed(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Sets the status that the DaemonSet controller would set.
fn observe(cluster: &Cluster) {
    let status = json!({"status": {"observedGeneration": 1, "currentNumberScheduled": 0, "numberMisscheduled": 0,
        "desiredNumberScheduled": 0, "numberReady": 0}});
    succeed(&cluster.server.kubectl(&[
        "patch",
        "daemonset",
        "acr-verifier",
        "--namespace=acr-verifier",
        "--subresource=status",
        "--type=merge",
        "--patch",
        &status.to_string(),
    ]));
}

fn states(report: &Value) -> Vec<String> {
    let nodes = report["nodes"].as_array().expect("nodes");
    let mut states: Vec<String> = nodes
        .iter()
        .map(|node| {
            let text = |key: &str| node[key].as_str().unwrap_or("-").to_owned();
            format!("{} {} {} {}", text("node"), text("state"), text("verdict"), text("reason"))
        })
        .collect();
    states.sort();
    states
}

#[test]
fn every_node_state_is_reported() {
    let Some(cluster) = Cluster::start() else { return };
    observe(&cluster);
    let good = Lab::start(Settings::default());
    let bad = Lab::start(Settings::default());
    bad.change(|settings| settings.nameservers[0].login = View::NotLinked);

    cluster.node("good", "np1", &json!({}));
    cluster.node(
        "cordoned",
        "np1",
        &json!({"spec": {"unschedulable": true,
        "taints": [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]}}),
    );
    cluster.node("broken", "np2", &json!({}));
    cluster.node("missing", "np1", &json!({}));
    cluster.node("unready", "np1", &json!({}));
    cluster.node("unreachable", "np1", &json!({}));
    cluster.node("impostor", "np1", &json!({}));
    cluster.node("not-ready", "np1", &json!({}));
    cluster.node(
        "tolerated",
        "np1",
        &json!({"spec": {"taints": [
        {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}]}}),
    );
    cluster.node(
        "tainted",
        "np1",
        &json!({"spec": {"taints": [
        {"key": "kubernetes.azure.com/scalesetpriority", "value": "spot", "effect": "NoSchedule"}]}}),
    );
    cluster.node("windows", "win", &json!({"metadata": {"labels": {"kubernetes.io/os": "windows"}}}));
    cluster.node("virtual", "aci", &json!({"metadata": {"labels": {"type": "virtual-kubelet"}}}));
    for (node, address, waiting) in [
        ("good", "127.0.9.1", None),
        ("cordoned", "127.0.9.2", None),
        ("broken", "127.0.9.3", None),
        ("unready", "127.0.9.4", Some("ImagePullBackOff")),
        ("unreachable", "127.0.9.5", None),
        ("impostor", "127.0.9.1", None),
        ("not-ready", "127.0.9.7", None),
        ("tolerated", "127.0.9.8", None),
    ] {
        cluster.pod(node, address, waiting);
    }
    let _agents = [
        cluster.agent(&good, "good", "127.0.9.1"),
        cluster.agent(&good, "cordoned", "127.0.9.2"),
        cluster.agent(&bad, "broken", "127.0.9.3"),
        cluster.agent(&good, "tolerated", "127.0.9.8"),
    ];

    let (code, text) = cluster.smoke(&["--timeout", "12s", "--output", "json"]);
    let report: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(code, Some(1), "{text}");
    let port = cluster.port;
    assert_eq!(
        states(&report),
        [
            "broken reported fail -".to_owned(),
            "cordoned reported pass -".to_owned(),
            "good reported pass -".to_owned(),
            "impostor unreachable fail it reports as the agent of node good".to_owned(),
            "missing missing fail -".to_owned(),
            "not-ready node_not_ready fail NodeStatusUnknown".to_owned(),
            "tainted excluded - taint kubernetes.azure.com/scalesetpriority=spot:NoSchedule is not tolerated"
                .to_owned(),
            "tolerated reported pass -".to_owned(),
            format!("unreachable unreachable fail cannot connect to 127.0.9.5:{port} (connection refused)"),
            "unready unready fail ImagePullBackOff".to_owned(),
            "virtual excluded - virtual node".to_owned(),
            "windows excluded - not selected: kubernetes.io/os=linux".to_owned(),
        ]
    );
    let counts = &report["counts"];
    assert_eq!(counts["expected"], 9);
    assert_eq!((&counts["pass"], &counts["fail"], &counts["noReport"]), (&json!(3), &json!(1), &json!(5)));
    let group = &report["groups"]
        .as_array()
        .expect("groups")
        .iter()
        .find(|group| group["cause"] == "private_zone_not_linked");
    let group = group.expect("a group of the broken node");
    assert_eq!(group["nodes"], json!(["broken"]));
    assert_eq!(group["differences"][0]["property"], "agentPool");
    assert_eq!(group["differences"][1]["bad"], json!(["aks-vnet/snet-np2"]));
    let cordoned = report["nodes"].as_array().expect("nodes").iter().find(|node| node["node"] == "cordoned");
    assert_eq!(cordoned.expect("the node")["cordoned"], true);
}

#[test]
fn repairs_and_node_changes_are_seen_before_the_deadline() {
    let Some(cluster) = Cluster::start() else { return };
    observe(&cluster);
    let lab = Lab::start(Settings::default());
    lab.change(|settings| settings.nameservers[0].login = View::NotLinked);
    cluster.node("first", "np1", &json!({}));
    cluster.node("leaving", "np1", &json!({}));
    cluster.pod("first", "127.0.9.11", None);
    let _agent = cluster.agent(&lab, "first", "127.0.9.11");

    let mut smoke = Command::new(env!("CARGO_BIN_EXE_acr-verifier"));
    smoke.args(["smoke", "--timeout", "60s", "--output", "json"]);
    let mut smoke = in_a_pod_of(&cluster.server, &cluster.token, &smoke);
    let running = smoke.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    std::thread::sleep(Duration::from_secs(2));
    succeed(&cluster.server.kubectl(&["delete", "node", "leaving"]));
    // A node that joins and has no Pod yet is listed and delays nothing.
    cluster.node("joining", "np1", &json!({}));
    std::thread::sleep(Duration::from_secs(4));
    lab.change(|settings| settings.nameservers[0].login = View::Private);
    let output = running.wait_with_output().expect("our own child");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{text} {}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(states(&report), ["first reported pass -", "joining missing - -", "leaving left - -"]);
    assert_eq!(report["counts"]["joinedLate"], 1);

    // The pass of a deleted Pod does not apply to its successor.
    succeed(&cluster.server.kubectl(&["delete", "node", "joining"]));
    succeed(&cluster.server.kubectl(&[
        "delete",
        "pod",
        "acr-verifier-first",
        "--namespace=acr-verifier",
        "--force",
    ]));
    let (code, text) = cluster.smoke(&["--timeout", "3s", "--output", "json"]);
    assert_eq!(code, Some(1), "{text}");
    assert_eq!(states(&serde_json::from_str(&text).expect("JSON")), ["first missing fail -"]);
}

#[test]
fn missing_permissions_are_inconclusive_and_named() {
    let Some(cluster) = Cluster::start() else { return };
    observe(&cluster);
    let run = |token: &str, arguments: &[&str]| {
        let output = cluster.smoke_as(token, arguments);
        assert_eq!(output.stdout, b"", "no report without results");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    // The agents' own account may only write Events.
    let (code, log) = run(&cluster.server.token_of("acr-verifier"), &[]);
    assert_eq!(code, Some(3), "{log}");
    assert!(
        log.contains(r#"this RBAC rule: {apiGroups: ["apps"], resources: [daemonsets], verbs: [list]}"#),
        "{log}"
    );
    let (code, log) = run(&cluster.token, &["--selector", "app=other"]);
    assert_eq!(code, Some(2), "{log}");
    assert!(log.contains("no DaemonSet matches app=other in namespace acr-verifier"), "{log}");
    let (code, log) = run(&cluster.token, &["--selector", "a b c"]);
    assert_eq!(code, Some(2), "{log}");
    let (code, log) = run("not-a-token", &[]);
    assert_eq!(code, Some(3), "{log}");
    assert!(log.contains("401"), "{log}");
    // No node should run an agent: nothing was checked, so nothing passes.
    let (code, text) = cluster.smoke(&["--timeout", "2s"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("nothing was checked"), "{text}");
    cluster.server.stop();
    let (code, log) = run(&cluster.token, &[]);
    assert_eq!(code, Some(3), "{log}");
    assert!(log.contains("cannot query the API server"), "{log}");
}
