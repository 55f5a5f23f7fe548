//! The README's installation on a cluster: from nothing to a passing check, without YAML and without a Secret.
//!
//! Owns the commands, which are read from the README, and what the lab adds to them.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use super::identity;
use super::story::agents;
use super::whole::Cluster;

const README: &str = include_str!("../../README.md");
const CHART_README: &str = include_str!("../../deploy/chart/README.md");
const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");
/// The registry of the agent's image, in which the README's readers have put it.
const REGISTRY: &str = " --set image.registry=fabrikam.azurecr.io";
/// Values in addition to the quick start's.
const LAB_VALUES: &str = "lab.json";

/// Returns the block of a document that contains a word.
pub(super) fn block_of(document: &'static str, word: &str) -> &'static str {
    let mut blocks = document.split("\n```").skip(1).step_by(2);
    let block = blocks.find(|block| block.contains(word)).expect("the document has this block");
    block.split_once('\n').expect("a language, then lines").1
}

/// Returns the commands, each on one line.
fn commands() -> Vec<String> {
    let block = block_of(README, "kubectl create namespace acr-verifier");
    assert!(CHART_README.contains(block), "the chart's README has the same commands");
    let block = block.replace("\\\n", " ");
    block.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

pub(super) fn run(cluster: &Cluster) {
    if !cluster.has_plugin {
        return;
    }
    identity::configure(cluster);
    cluster.kubectl(&["create", "namespace", "shop"]);
    cluster.start_pod("shop", "api", identity::NODE, "apps/tool:1", None);
    cluster.kubectl(&["wait", "--for=condition=Ready", "pod/api", "--namespace=shop", "--timeout=60s"]);

    let folder = cluster.path().join("quick-start");
    fs::create_dir(&folder).expect("a folder");
    symlink(format!("{REPOSITORY}/deploy"), folder.join("deploy")).expect("a link");
    let lab = json!({"updateStrategy": {"minReadySeconds": 1}});
    fs::write(folder.join(LAB_VALUES), lab.to_string()).expect("a file");
    let commands = commands();
    for command in &commands {
        let is_installation = command.starts_with("helm upgrade --install");
        let more = if is_installation { format!(" --values {LAB_VALUES}") } else { String::new() };
        // The nodes have the agent's image already.
        let command = command.replace(REGISTRY, "");
        let output = cluster.shell(&(command.clone() + &more), &folder);
        if command.starts_with("helm test") {
            assert!(output.contains("Succeeded"), "{output}");
        }
    }
    for word in ["discover", "helm upgrade --install", "helm test"] {
        assert!(commands.iter().any(|command| command.contains(word)), "{word} is in {commands:#?}");
    }

    let values = fs::read_to_string(folder.join("values.yaml")).expect("the command wrote it");
    let values: Value = serde_saphyr::from_str(&values).unwrap_or_else(|error| panic!("{error}: {values}"));
    let image = cluster.inside.image_of("apps/tool", ":1");
    let expected = json!([{"image": image, "credentials": {"managedIdentity": {}}}]);
    assert_eq!(values, json!({"config": {"images": expected}}));
    let secrets = cluster.kubectl(&["get", "secrets", "--namespace=acr-verifier", "--no-headers"]);
    assert!(secrets.lines().all(|line| line.contains("helm.sh/release.v1")), "{secrets}");
    assert_eq!(agents(cluster).len(), cluster.workers.len());
    for index in 0..cluster.workers.len() {
        let metrics = cluster.ask(index, "/metrics");
        let is_success = |line: &str| line.starts_with("acr_verifier_check_success{") && line.ends_with(" 1");
        assert!(metrics.lines().any(is_success), "{metrics}");
        assert!(cluster.ask(index, "/report").contains("\"managed_identity\""), "node {index}");
    }
    // The registry in use is checked.
    cluster.shell("acr-verifier discover --coverage", &folder);

    cluster.helm(&["uninstall", "acr-verifier", "--namespace=acr-verifier", "--wait"]);
    cluster.kubectl(&["delete", "namespace", "acr-verifier", "shop"]);
    // The next Events must come from the next agents.
    cluster.kubectl(&["delete", "events", "--all", "--namespace=default"]);
}
