//! The chart against a real API server: its validation and its Pod Security admission.
//!
//! By dry run: the server defaults, validates and admits, and stores nothing. PodMonitors are left out, because the server has
//! no definition of them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::server::ApiServer;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Namespace in which Pod Security `restricted` warns.
const NAMESPACE: &str = "charted";

/// Values files relative to the chart, and how many of the workloads exceed Pod Security `restricted`.
const VARIANTS: [(&[&str], usize); 9] = [
    (&["ci/minimal-values.yaml"], 1),
    // With the smoke check on the host network.
    (&["ci/everything-values.yaml"], 2),
    (&["ci/quiet-values.yaml"], 1),
    (&["ci/gitops-values.yaml"], 1),
    (&["ci/cronjob-values.yaml"], 0),
    (&["values-aks-automatic.yaml", "ci/aks-automatic-values.yaml"], 0),
    (&["values-aks-automatic.yaml", "ci/aks-workload-identity-values.yaml"], 0),
    (&["values-aks-managed-identity.yaml", "ci/aks-managed-identity-values.yaml"], 1),
    (&["../manifests/values.yaml"], 1),
];

/// Returns the path of Helm, or `None` after a skip was reported.
fn helm() -> Option<PathBuf> {
    let mut command = Command::new(Path::new(ROOT).join("tests/cluster/servers"));
    if !support::is_required("ACR_VERIFIER_REQUIRE_CLUSTER") {
        command.arg("--find");
    }
    let output = command.arg("helm").stdin(Stdio::null()).output().expect("a script of ours starts");
    if output.status.success() {
        let text = String::from_utf8(output.stdout).expect("a path in UTF-8");
        return Some(Path::new(text.lines().last().expect("a folder")).join("helm"));
    }
    support::skip(
        "ACR_VERIFIER_REQUIRE_CLUSTER",
        "events",
        String::from_utf8_lossy(&output.stderr).trim_end(),
    );
    None
}

/// Renders the chart and returns its objects, except PodMonitors.
fn render(helm: &Path, files: &[&str]) -> Vec<Value> {
    let chart = Path::new(ROOT).join("deploy/chart");
    let home = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(helm);
    command.args(["template", "acr-verifier"]).arg(&chart).args(["--namespace", NAMESPACE]);
    for file in files {
        command.arg("--values").arg(chart.join(file));
    }
    let output =
        command.env_clear().env("HOME", home.path()).stdin(Stdio::null()).output().expect("helm starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("YAML in UTF-8");
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
    objects.into_iter().filter(|object| !object.is_null() && object["kind"] != "PodMonitor").collect()
}

#[test]
fn the_server_accepts_every_variant_and_pod_security_admits_the_presets() {
    let Some(server) = ApiServer::shared() else { return };
    let Some(helm) = helm() else { return };
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/warn": "restricted"}}
    });
    let created = server.kubectl_fed(&["apply", "--filename=-"], &namespace.to_string());
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
    let variants = fs::read_dir(Path::new(ROOT).join("deploy/chart/ci")).expect("a folder").count();
    assert_eq!(VARIANTS.len(), variants + 1, "every variant, and the manifests");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("objects.json");
    for (files, exceeding) in VARIANTS {
        let objects = render(&helm, files);
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        fs::write(&file, list.to_string()).expect("a file");
        let name = format!("--filename={}", file.display());
        let output = server.kubectl(&["apply", "--dry-run=server", "--output=json", &name]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{files:?}: {said}");
        assert_eq!(
            said.matches("would violate PodSecurity \"restricted").count(),
            exceeding,
            "{files:?}: {said}"
        );
        let accepted: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let accepted = accepted["items"].as_array().expect("a list");
        assert_eq!(accepted.len(), objects.len(), "{files:?}");
    }
}

/// Azure's policy for host ports sees the port of a pod on the host network, although the chart sets none.
#[test]
fn a_pod_on_the_host_network_has_a_host_port() {
    let Some(server) = ApiServer::shared() else { return };
    let Some(helm) = helm() else { return };
    for (file, expected) in [("ci/minimal-values.yaml", json!(9469)), ("ci/cronjob-values.yaml", Value::Null)]
    {
        let objects = render(&helm, &[file]);
        let agents = objects.iter().find(|object| object["kind"] == "DaemonSet").expect("the agents");
        let template = &agents["spec"]["template"];
        assert!(template["spec"]["containers"][0]["ports"][0].get("hostPort").is_none(), "{file}");
        // The namespace of the service account in `setup.yaml`.
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "agent", "namespace": "acr-verifier"}, "spec": template["spec"]
        });
        let arguments = ["create", "--dry-run=server", "--output=json", "--filename=-"];
        let output = server.kubectl_fed(&arguments, &pod.to_string());
        assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stderr));
        let accepted: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(accepted["spec"]["containers"][0]["ports"][0]["hostPort"], expected, "{file}");
    }
}

#[test]
fn the_server_accepts_the_overlay_and_the_priority_class() {
    let Some(server) = ApiServer::shared() else { return };
    let examples = Path::new(ROOT).join("deploy/examples");
    for (flag, name, count) in [("--kustomize", "kustomize", 6), ("--filename", "priority-class.yaml", 1)] {
        let source = format!("{flag}={}", examples.join(name).display());
        let output = server.kubectl(&["apply", "--dry-run=server", "--output=name", &source]);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), count, "{name}");
    }
}
