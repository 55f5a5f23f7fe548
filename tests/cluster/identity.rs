//! Pulls with the node's identity: a real kubelet runs the credential provider of AKS, and an agent on the same node checks with
//! the same identity.
//!
//! Owns the node's configuration, as AKS writes it, and the step. Without the credential provider the step is skipped.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::story::{CHART, QUICK, rolled_out};
use super::waiting;
use super::whole::{Cluster, wait};
use lab::answers::Step;
use lab::settings::{Identity, Rights};

/// The index of the node: no other step pulls there from the registry.
pub(super) const NODE: usize = 1;
/// The namespace of the agent and of the Pods.
const NAMESPACE: &str = "--namespace=identity";
/// The agent of the other steps has the usual port of the host network.
const PORT: u16 = 9_470;
const SOON: Duration = Duration::from_secs(60);
const AZURE_JSON: &str = "/etc/kubernetes/azure.json";

/// Writes the kubelet's configuration of the credential provider, and returns the flags for it.
pub(super) fn flags(plugin: &Path, folder: &Path) -> Vec<String> {
    let patterns: Vec<String> = ["io", "cn", "de", "us"]
        .iter()
        .flat_map(|end| [format!("*.azurecr.{end}"), format!("*.*.geo.azurecr.{end}")])
        .collect();
    let configuration = json!({
        "apiVersion": "kubelet.config.k8s.io/v1", "kind": "CredentialProviderConfig",
        "providers": [{
            "name": plugin.file_name().and_then(|name| name.to_str()),
            "apiVersion": "credentialprovider.kubelet.k8s.io/v1", "defaultCacheDuration": "10m",
            "matchImages": patterns, "args": [AZURE_JSON],
        }],
    });
    let file = folder.join("credential-provider-config.yaml");
    fs::write(&file, configuration.to_string()).expect("a file");
    let programs = plugin.parent().unwrap_or(folder);
    vec![
        format!("--image-credential-provider-config={}", file.display()),
        format!("--image-credential-provider-bin-dir={}", programs.display()),
    ]
}

/// Writes the node's configuration, which the credential provider reads.
pub(super) fn configure(cluster: &Cluster) {
    let identity = Identity::default();
    let node = &cluster.workers[NODE];
    let azure_json = json!({
        "cloud": "AzurePublicCloud", "tenantId": identity.tenant, "useManagedIdentityExtension": true,
        "userAssignedIdentityID": identity.kubelet_client_id(), "aadClientId": "msi", "aadClientSecret": "msi",
    });
    node.write(AZURE_JSON, &azure_json.to_string());
    node.shell(&format!("chmod 600 {AZURE_JSON}"));
}

pub(super) fn pull(cluster: &Cluster) {
    if !cluster.has_plugin {
        return;
    }
    configure(cluster);
    install(cluster, Identity::default().kubelet_client_id());
    wait("the pass", SOON, || report(cluster)["verdict"] == "pass");
    let passed = report(cluster);
    assert_eq!(passed["images"][0]["credentials"], "managed_identity", "{passed:#}");
    cluster.start_pod("identity", "granted", NODE, "apps/tool:1", None);
    cluster.kubectl(&["wait", "--for=condition=Ready", "pod/granted", NAMESPACE, "--timeout=60s"]);
    let exchanges = cluster.inside.requests_of(Step::Exchange);
    let by_kubelet = |request: &lab::log::Request| {
        request.header("User-Agent") == Some("kubernetes-credentialprovider-acr")
    };
    assert!(exchanges.iter().any(by_kubelet), "the kubelet's credential provider made no exchange");

    cluster.inside.change(|settings| settings.identity.rights = Rights::None);
    // It has the credentials in its cache for an hour.
    cluster.workers[NODE].restart_kubelet();
    cluster.start_pod("identity", "refused", NODE, "apps/tool:1", None);
    wait("the missing role", SOON, || {
        let diagnosis = &report(cluster)["images"][0]["diagnoses"][0];
        let names_role = diagnosis["message"].as_str().is_some_and(|message| message.contains("AcrPull"));
        diagnosis["cause"] == "pull_role_missing" && diagnosis["severity"] == "fail" && names_role
    });
    wait("the pull to fail", SOON, || {
        let text = cluster.kubectl(&["describe", "pod", "refused", NAMESPACE]);
        text.contains("Failed to pull image") && text.contains("401")
    });
    waiting::explains_missing_role(cluster);
    cluster.inside.change(|settings| settings.identity.rights = Rights::Pull);
    cluster.helm(&["uninstall", "acr-verifier", NAMESPACE, "--wait"]);
    cluster.kubectl(&["delete", "namespace", "identity", "--wait=false"]);
}

/// Installs an agent on the node, next to the one that checks with a Secret.
fn install(cluster: &Cluster, client_id: &str) {
    cluster.kubectl(&["create", "namespace", "identity"]);
    cluster.kubectl(&["label", "namespace", "identity", "pod-security.kubernetes.io/enforce=privileged"]);
    let file = format!("--from-file=ca.pem={}", cluster.path().join("authorities.pem").display());
    cluster.kubectl(&["create", "configmap", "registry-ca", NAMESPACE, &file]);
    let mut arguments = vec!["install", "acr-verifier", CHART, NAMESPACE];
    let node = &cluster.workers[NODE].name;
    let own = [
        format!("--set=config.images[0].image={}", cluster.inside.image()),
        format!("--set=config.images[0].credentials.managedIdentity.clientId={client_id}"),
        format!("--set=port={PORT}"),
        format!("--set=nodeSelector.kubernetes\\.io/hostname={node}"),
    ];
    arguments.extend(QUICK);
    arguments.extend(own.iter().map(String::as_str));
    cluster.helm(&arguments);
    rolled_out(cluster, "acr-verifier", "identity");
}

/// Returns the newest report of the agent; null before its first check.
fn report(cluster: &Cluster) -> Value {
    let list = cluster.kubectl(&[
        "get",
        "pods",
        NAMESPACE,
        "--output=json",
        "--selector=app.kubernetes.io/component=agent",
    ]);
    let list: Value = serde_json::from_str(&list).expect("JSON");
    let pod = list["items"][0]["metadata"]["name"].as_str().expect("the agent's Pod");
    let path = format!("/api/v1/namespaces/identity/pods/{pod}:{PORT}/proxy/report");
    let output = cluster.try_kubectl(&["get", "--raw", &path]);
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}
