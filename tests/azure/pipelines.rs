//! The scripts of the pipelines, run with the stubs of `commands`: exit codes, retries and summaries.

use std::process::Output;

use serde_json::Value;

use super::commands::{STAND_IN, Stage, problem_of, without_jq};
use super::yaml::documents;

const AZURE_DEVOPS: &str = include_str!("../../deploy/pipelines/azure-devops.yml");
const GITHUB: &str = include_str!("../../deploy/pipelines/github-actions.yml");

/// Returns the scripts of the pipelines with their file names.
pub(super) fn scripts() -> Vec<(String, String)> {
    let mut scripts = Vec::new();
    for (file, text) in [("azure-devops.yml", AZURE_DEVOPS), ("github-actions.yml", GITHUB)] {
        let pipeline = documents(file, text).pop().expect("a document");
        collect(file, &pipeline, &mut scripts);
    }
    assert_eq!(scripts.len(), 8, "{scripts:?}");
    scripts
}

fn collect(name: &str, node: &Value, scripts: &mut Vec<(String, String)>) {
    match node {
        Value::Object(entries) => {
            for (key, value) in entries {
                match value.as_str() {
                    Some(script) if ["run", "script", "inlineScript"].contains(&key.as_str()) => {
                        scripts.push((name.to_owned(), script.to_owned()));
                    }
                    _ => collect(name, value, scripts),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(name, item, scripts)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Runs a pipeline's script with given exit codes of `acr-verifier` and output of `az aks command invoke`.
pub(super) fn played(script: &str, codes: &str, invoked: &str) -> (Stage, Output) {
    let stage = Stage::new();
    stage.put("codes", codes);
    stage.put("invoked", invoked);
    let output = play(&stage, script);
    (stage, output)
}

/// Runs a pipeline's script on a stage.
fn play(stage: &Stage, script: &str) -> Output {
    let folder = stage.path().display().to_string();
    let summary = stage.path().join("summary.md").display().to_string();
    let environment = [
        ("RESOURCEGROUP", "private-cluster-rg"),
        ("RESOURCE_GROUP", "private-cluster-rg"),
        ("CLUSTER", "private-aks-cluster"),
        ("NAMESPACE", "acr-verifier"),
        ("LOGINSERVER", "contoso.azurecr.io"),
        ("LOGIN_SERVER", "contoso.azurecr.io"),
        ("PIPELINE_WORKSPACE", folder.as_str()),
        ("AGENT_TEMPDIRECTORY", folder.as_str()),
        ("RUNNER_TEMP", folder.as_str()),
        ("GITHUB_STEP_SUMMARY", summary.as_str()),
    ];
    stage.run(script, &environment)
}

#[test]
fn pipelines_retry_an_inconclusive_result_once_and_never_a_problem() {
    if without_jq() {
        return;
    }
    let mut gates = 0;
    for (name, script) in scripts().into_iter().filter(|(_, script)| script.contains("acr-verifier smoke")) {
        gates += 1;
        for (codes, expected, asked) in
            [("0", 0, 1), ("1", 1, 1), ("2", 2, 1), ("3\n0", 0, 2), ("3\n1", 1, 2), ("3\n3", 3, 2)]
        {
            let (stage, output) = played(&script, &format!("{codes}\n"), "");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(expected), "{name} {codes:?}: {said}");
            let calls = stage.calls("acr-verifier");
            assert_eq!(calls.len(), asked, "{name} {codes:?}");
            let wrong: Vec<String> = calls.iter().filter_map(|call| problem_of(call)).collect();
            assert!(wrong.is_empty(), "{wrong:#?}");
        }
    }
    assert_eq!(gates, 2);
}

#[test]
fn pipelines_fail_if_a_registry_in_use_is_not_checked() {
    if without_jq() {
        return;
    }
    let steps: Vec<_> =
        scripts().into_iter().filter(|(_, script)| script.contains("discover --coverage")).collect();
    assert_eq!(steps.len(), 2);
    for (name, script) in steps {
        for code in [0, 1, 3] {
            let (stage, output) = played(&script, &format!("{code}\n"), "");
            assert_eq!(output.status.code(), Some(code), "{name}");
            let calls = stage.calls("acr-verifier");
            let wrong: Vec<String> = calls.iter().filter_map(|call| problem_of(call)).collect();
            assert!(calls.len() == 1 && wrong.is_empty(), "{name}: {calls:?} {wrong:#?}");
        }
    }
}

#[test]
fn pipelines_through_azure_fail_if_the_command_fails_although_az_succeeds() {
    if without_jq() {
        return;
    }
    let mut gates = 0;
    for (name, script) in scripts().into_iter().filter(|(_, script)| script.contains("command invoke")) {
        gates += 1;
        for (answer, expected, reported) in [
            (r#"{"exitCode": 0, "logs": "3 of 3 nodes"}"#, 0, "3 of 3 nodes"),
            (r#"{"exitCode": 1, "logs": "private_zone_not_linked"}"#, 1, "private_zone_not_linked"),
            (
                r#"{"exitCode": null, "logs": null, "reason": "KubernetesPerformanceError"}"#,
                1,
                "KubernetesPerf",
            ),
            (r#"{"exitCode": null, "logs": null, "provisioningState": "Running"}"#, 1, "no answer"),
            ("", 1, "no answer"),
        ] {
            let (_, output) = played(&script, "", answer);
            let shown = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(output.status.code(), Some(expected), "{name} {answer:?}: {shown}");
            assert!(shown.contains(reported), "{name} {answer:?}: {shown}");
        }
    }
    assert_eq!(gates, 2);
}

#[test]
fn pipelines_pass_only_if_the_public_endpoint_rejects_the_agent() {
    let mut jobs = 0;
    for (name, script) in scripts().into_iter().filter(|(_, script)| script.contains("acr-verifier exposure"))
    {
        jobs += 1;
        for code in [0, 1, 2, 3] {
            let stage = Stage::new();
            stage.put("exposure", &code.to_string());
            // The downloaded binary, below the folder that the script expects.
            let folder = if name == "azure-devops.yml" { "acr-verifier" } else { "program" };
            std::fs::create_dir_all(stage.path().join(folder)).expect("a folder");
            stage.put(&format!("{folder}/acr-verifier"), STAND_IN);
            let output = play(&stage, &script);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(code), "{name}: {said}");
            let calls = stage.calls("acr-verifier");
            assert_eq!(calls.len(), 1, "{name}: {calls:?}");
            assert!(calls[0].ends_with(" contoso.azurecr.io"), "{calls:?}");
            assert_eq!(problem_of(&calls[0]), None);
        }
    }
    assert_eq!(jobs, 2);
}
