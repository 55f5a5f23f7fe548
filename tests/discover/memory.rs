//! Memory use of a discovery in the largest AKS cluster: 50,000 Pods on 5,000 nodes.

use std::process::Stdio;

use serde_json::json;
use support::hostile::process::peak_of;

use super::cluster::{Cluster, Objects};

const PODS: usize = 50_000;
const NODES: usize = 5_000;
/// Bytes of a Pod that a discovery does not need: environment, annotations and managed fields.
const REST: usize = 4_000;
/// Limit in KiB: the program itself, a page of 250 Pods, the counts of 2,000 images, and 1,000 explanations. Measured: 38 MiB.
const ALLOWED: u64 = 48 * 1024;

fn page(query: &str) -> String {
    let number = |name: &str, default: usize| {
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs
            .into_owned()
            .find(|(key, _)| key == name)
            .map_or(default, |(_, value)| value.parse().expect("a number"))
    };
    let start = number("continue", 0);
    let end = (start + number("limit", PODS)).min(PODS);
    let rest = "x".repeat(REST);
    let items: Vec<String> = (start..end)
        .map(|index| {
            let (node, image) = (index % NODES, index % 2_000);
            let state = if index % 10 == 0 {
                json!({"waiting": {"reason": "ImagePullBackOff", "message": format!("failed {index}: {}", "y".repeat(2_000))}})
            } else {
                json!({"running": {}})
            };
            format!(
                r#"{{"metadata":{{"namespace":"team-{}","name":"pod-{index}","annotations":{{"a":"{rest}"}}}},"spec":{{"nodeName":"aks-np1-{node}","containers":[{{"name":"main","image":"contoso{}.azurecr.io/apps/app{image}:1","env":[{{"name":"A","value":"hunter2"}}]}}],"imagePullSecrets":[{{"name":"acr-{}"}}]}},"status":{{"phase":"Running","containerStatuses":[{{"name":"main","state":{state}}}]}}}}"#,
                index % 50, image % 20, index % 30
            )
        })
        .collect();
    let next = if end < PODS { end.to_string() } else { String::new() };
    format!(r#"{{"metadata":{{"continue":"{next}"}},"items":[{}]}}"#, items.join(","))
}

#[test]
fn memory_stays_bounded_with_fifty_thousand_pods() {
    let cluster = Cluster::start(Objects {
        lists: vec![("/api/v1/namespaces/acr-verifier/pods", vec![])],
        special: Box::new(|path, query| (path == "/api/v1/pods").then(|| (200, page(query)))),
    });
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("report.json");
    let arguments = ["--output", "json", "--report-file", file.to_str().expect("UTF-8")];
    let mut command = cluster.command(&arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
    let mut peak = 0;
    let status = loop {
        peak = peak_of(child.id()).unwrap_or(0).max(peak);
        if let Some(status) = child.try_wait().expect("our own child") {
            break status;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    };
    assert_eq!(status.code(), Some(0));
    let text = std::fs::read_to_string(&file).expect("the report");
    assert!(!text.contains("hunter2"), "the environment of a Pod is not read");
    let found: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        found["counts"],
        json!({"pods": PODS, "podsWithImages": PODS, "waitingPods": PODS / 10, "workloads": 0, "nodes": NODES,
            "registries": 20, "images": 2_000})
    );
    assert_eq!(found["leftOut"], json!({"images": 0, "registries": 0, "waiting": PODS / 10 - 1_000}));
    assert!(peak < ALLOWED, "peak {peak} KiB");
}
