//! The commands of the walkthrough and of the chart's README, and the stubs that also run the scripts of the pipelines.
//!
//! A real shell runs them with stubs for the programs that they call, which record their arguments. The parsers of
//! the Azure CLI and of the program then parse the recorded commands. Nothing here connects to Azure.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use acr_verifier::cli;
use serde_json::Value;
use support::markdown::pages;
use tempfile::TempDir;

use super::pipelines::{played, scripts};
use super::{CHART, PIPELINES, WALK_THROUGH, parsed_in, skip};

/// Records its name and arguments, one quoted line per call; reads its exit code from the list `codes`.
pub(super) const STAND_IN: &str = r#"#!/usr/bin/env bash
# In one write: the commands of a pipe run at the same time.
line=$(printf '%q' "${0##*/}"; printf ' %q' "$@")
printf '%s\n' "$line" >>"$STAND_INS/calls"
case "${0##*/} $*" in
"az acr token credential generate"*)
    echo '{"username": "DemoToken", "passwords": [{"name": "password1", "value": "a-secret \"word"}]}' ;;
"az aks command invoke"*) cat "$STAND_INS/invoked" ;;
"az acr show"*loginServer*) echo contoso.azurecr.io ;;
"az acr show"*roleAssignmentMode*) cat "$STAND_INS/mode" ;;
"az aks show"*issuerUrl*) echo https://canadacentral.oic.prod-aks.azure.com/00000000-0000-0000-0000-000000000000/ ;;
"az aks show"*kubeletidentity* | "az identity show"*) echo 3f2504e0-4f89-41d3-9a0c-0305e82c3301 ;;
"az network nic show"*) cat "$STAND_INS/interface" ;;
"az "*"--query id"* | "az network private-endpoint show"*) echo /subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/r/providers/Microsoft.A/b/c ;;
"kubectl create secret docker-registry"*) cat >"$STAND_INS/secret" ;;
"kubectl create secret generic"*) cat >"$STAND_INS/key" ;;
"acr-verifier smoke"* | "acr-verifier discover"*)
    read -r code <"$STAND_INS/codes"
    sed -i 1d "$STAND_INS/codes"
    exit "$code" ;;
"acr-verifier exposure"*)
    while [[ $# -gt 0 ]]; do
        [[ $1 != --report-file ]] || echo report >"$2"
        shift
    done
    exit "$(cat "$STAND_INS/exposure")" ;;
esac
"#;

/// The network interface of a private endpoint: its addresses by name.
const INTERFACE: &str = r#"{"ipConfigurations": [
{"privateIPAddress": "10.60.4.4", "privateLinkConnectionProperties": {"fqdns": ["contoso.westeurope.data.azurecr.io"]}},
{"privateIPAddress": "10.60.4.5", "privateLinkConnectionProperties": {"fqdns": ["contoso.azurecr.io"]}}]}"#;

/// Documents whose `az` commands other tests run.
const OWN_TESTS: [&str; 5] = [
    "dashboards/logs.md",
    "dashboards/runbook.md",
    "deploy/azure/README.md",
    "deploy/chart/README.md",
    "deploy/pipelines/README.md",
];

/// A folder with the stubs, first in the `PATH` of the scripts.
pub(super) struct Stage {
    folder: TempDir,
}

impl Stage {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let stage = Self { folder };
        std::fs::create_dir_all(stage.path().join("bin")).expect("a folder");
        std::fs::create_dir_all(stage.path().join("deploy")).expect("a folder");
        for name in ["bin/az", "bin/kubectl", "bin/helm", "bin/acr-verifier", "bin/skopeo", "deploy/image"] {
            let path = stage.path().join(name);
            std::fs::write(&path, STAND_IN).expect("a file");
            let done = Command::new("chmod").arg("755").arg(&path).status().expect("chmod runs");
            assert!(done.success());
        }
        stage.put("calls", "");
        stage.put("exposure", "0");
        stage.put("interface", INTERFACE);
        stage.put("invoked", r#"{"exitCode": 0, "logs": "pass"}"#);
        stage
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn put(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("a file");
    }

    pub(super) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap_or_default()
    }

    pub(super) fn run(&self, script: &str, environment: &[(&str, &str)]) -> Output {
        let path =
            format!("{}:{}", self.path().join("bin").display(), std::env::var("PATH").expect("a path"));
        Command::new("bash")
            .args(["-c", script])
            .current_dir(self.path())
            .env_clear()
            .envs(environment.iter().copied())
            .env("PATH", path)
            .env("HOME", self.path())
            .env("STAND_INS", self.path())
            .stdin(Stdio::null())
            .output()
            .expect("bash runs")
    }

    /// Returns the calls of one program, quoted for a shell.
    pub(super) fn calls(&self, program: &str) -> Vec<String> {
        let calls = self.read("calls");
        let of_it = |line: &&str| line.split(' ').next() == Some(program);
        calls.lines().filter(of_it).map(str::to_owned).collect()
    }
}

/// Skips the test if jq, which the scripts need, is missing.
pub(super) fn without_jq() -> bool {
    let found = Command::new("jq").arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        skip("jq is missing: the walkthrough and the pipelines cannot be run with stubs");
    }
    !found
}

/// Runs all blocks of the walkthrough, in the layout with the registry's own VNet.
fn walked() -> Stage {
    walked_with("LegacyRegistryPermissions")
}

/// Runs all blocks of the walkthrough with a registry of this role assignment mode.
fn walked_with(mode: &str) -> Stage {
    let stage = Stage::new();
    stage.put("codes", "0\n");
    stage.put("mode", mode);
    let script = format!("set -euo pipefail\n{}", WALK_THROUGH.blocks("sh").concat());
    let output = stage.run(&script, &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    stage
}

/// Runs all blocks of the chart's README.
fn installed() -> Stage {
    let stage = Stage::new();
    stage.put("codes", "0\n");
    let script = format!("set -euo pipefail\n{}", CHART.blocks("sh").concat());
    let output = stage.run(&script, &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    stage
}

/// Parses a command line of the program and returns the error, if any.
pub(super) fn problem_of(call: &str) -> Option<String> {
    let words: Vec<&str> = call.split(' ').map(|word| word.trim_matches('\'')).collect();
    cli::parse(words.into_iter().map(OsString::from)).err().map(|error| format!("{call}: {error}"))
}

#[test]
fn every_block_is_a_valid_script() {
    let scripts = [WALK_THROUGH, PIPELINES, CHART].into_iter().flat_map(|document| document.blocks("sh"));
    let mut read = 0;
    for script in scripts {
        let output = Command::new("bash").args(["-n", "-c", script]).output().expect("bash runs");
        assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
        read += 1;
    }
    assert!(read > 15, "{read}");
}

#[test]
fn the_walkthrough_completes_and_keeps_the_password_out_of_arguments() {
    if without_jq() {
        return;
    }
    let stage = walked();
    let calls = stage.read("calls");
    assert!(!calls.contains("a-secret"), "{calls}");
    let secret: Value = serde_json::from_str(&stage.read("secret")).expect("the Secret is JSON");
    let entry = &secret["auths"]["contoso.azurecr.io"];
    assert_eq!(
        (entry["username"].as_str(), entry["password"].as_str()),
        (Some("DemoToken"), Some("a-secret \"word"))
    );
    assert!(!stage.path().join("config.json").exists(), "the password is left in a file");
    let wrong: Vec<String> = stage.calls("acr-verifier").iter().filter_map(|call| problem_of(call)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(stage.calls("helm").len() >= 2 && stage.calls("acr-verifier").len() >= 2, "{calls}");
}

#[test]
fn the_readme_of_the_chart_keeps_the_password_out_of_arguments() {
    if without_jq() {
        return;
    }
    let stage = installed();
    let calls = stage.read("calls");
    assert!(!calls.contains("a-secret"), "{calls}");
    let secret: Value = serde_json::from_str(&stage.read("secret")).expect("the Secret is JSON");
    let expected = serde_json::json!({"username": "DemoToken", "password": "a-secret \"word"});
    assert_eq!(secret["auths"]["contoso.azurecr.io"], expected);
    let key = stage.read("key");
    assert_eq!(key.trim_end().len(), 64, "the key for checks on demand passes through a pipe too");
    assert!(!calls.contains(key.trim_end()), "{calls}");
}

#[test]
fn identities_get_the_role_that_the_registry_honors() {
    if without_jq() {
        return;
    }
    let roles = [
        ("LegacyRegistryPermissions", "AcrPull"),
        ("AbacRepositoryPermissions", r"Container\ Registry\ Repository\ Reader"),
    ];
    for (mode, role) in roles {
        let calls = walked_with(mode).calls("az");
        let assigned: Vec<&String> =
            calls.iter().filter(|call| call.starts_with("az role assignment create")).collect();
        assert_eq!(assigned.len(), 2, "{calls:#?}");
        let expected = format!("--role {role} --scope /subscriptions/");
        assert!(assigned.iter().all(|call| call.contains(&expected)), "{assigned:#?}");
    }
}

#[test]
fn the_agents_get_the_addresses_of_the_network_interface() {
    if without_jq() {
        return;
    }
    let stage = walked();
    let read = acr_verifier::config::expect_file::parse(stage.read("nic.json").as_bytes());
    assert_eq!(read.expect("what --expect-file accepts").names().count(), 2);
    let installed = stage.calls("helm").concat().replace('\\', "");
    let addresses = r#"config.images[0].privateEndpoint.addresses={"contoso.westeurope.data.azurecr.io":["10.60.4.4"],"contoso.azurecr.io":["10.60.4.5"]}"#;
    assert!(installed.contains(addresses), "{installed}");
}

/// The chart names the service account after the release, in the namespace that it is installed in.
#[test]
fn the_federated_credential_is_for_the_service_account_of_the_chart() {
    if without_jq() {
        return;
    }
    let stage = walked();
    let calls = stage.calls("az");
    let created = calls.iter().find(|call| call.contains("federated-credential create"));
    let created = created.expect("the walkthrough creates it");
    assert!(created.contains("--subject system:serviceaccount:acr-verifier:acr-verifier "), "{created}");
    assert!(created.contains("--audiences api://AzureADTokenExchange"), "{created}");
    let installed = stage.calls("helm");
    let installed = installed.iter().find(|call| call.contains("workload-identity.yaml"));
    let installed = installed.expect("the walkthrough installs the chart");
    assert!(installed.starts_with("helm upgrade --install acr-verifier "), "{installed}");
    assert!(installed.contains("--namespace acr-verifier "), "{installed}");
}

#[test]
fn the_azure_cli_parses_every_command() {
    if without_jq() {
        return;
    }
    let installed = installed();
    let mut calls = [walked().calls("az"), installed.calls("az")].concat();
    for (name, script) in scripts().into_iter().filter(|(_, script)| script.contains("az aks ")) {
        let stage = played(&script, "0\n", r#"{"exitCode": 0, "logs": "pass"}"#).0;
        assert_eq!(stage.calls("az").is_empty(), script.contains("discover --coverage"), "{name}");
        calls.extend(stage.calls("az"));
    }
    let stage = Stage::new();
    let names =
        [("RESOURCE_GROUP", "r"), ("PRIVATE_ENDPOINT", "e"), ("IMAGE", "contoso.azurecr.io/apps/canary:1")];
    let output = stage.run(&format!("set -euo pipefail\n{}", PIPELINES.blocks("sh").concat()), &names);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Other documents, whose blocks do not depend on each other.
    for page in pages().iter().filter(|page| !OWN_TESTS.contains(&page.path.as_str())) {
        for block in
            page.blocks("sh").iter().filter(|block| block.lines().any(|line| line.starts_with("az ")))
        {
            let output = stage.run(&format!("set -euo pipefail\n{block}"), &[]);
            assert!(output.status.success(), "{}: {}", page.path, String::from_utf8_lossy(&output.stderr));
        }
    }
    calls.extend(stage.calls("az"));
    assert!(calls.len() >= 34, "{calls:#?}");
    let wrong: Vec<String> = stage.calls("acr-verifier").iter().filter_map(|call| problem_of(call)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    // Parameters of a policy are in a file that the README writes.
    match parsed_in(&calls, installed.path()) {
        Ok(rejected) => assert!(rejected.is_empty(), "{rejected}"),
        Err(reason) => skip(&reason),
    }
}
