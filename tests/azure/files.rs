//! Chart values and the Bicep file of the documents.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::yaml::documents;
use super::{PIPELINES, WALK_THROUGH, python, root, skip};

/// Returns the walkthrough's values files with their shell variables replaced.
fn values() -> Vec<Value> {
    let mut files = Vec::new();
    for text in WALK_THROUGH.text.split("\ncat >").skip(1) {
        let (name, text) = text.split_once(" <<END\n").expect("a file");
        let mut text = text.split("\nEND\n").next().expect("it ends").to_owned();
        for (variable, value) in [
            ("$LOGIN_SERVER/$CANARY", "contoso.azurecr.io/apps/canary"),
            ("$SECRET", "acr-pull"),
            ("$EXPIRES_AT", "2027-02-20T22:00:00Z"),
            ("$ENDPOINT_CIDR", "10.60.4.0/24"),
            ("$REGISTRY.$LOCATION", "contoso.canadacentral"),
            ("$KUBELET_CLIENT_ID", "3f2504e0-4f89-41d3-9a0c-0305e82c3301"),
            ("$AGENT_CLIENT_ID", "3f2504e0-4f89-41d3-9a0c-0305e82c3301"),
        ] {
            text = text.replace(variable, value);
        }
        assert!(!text.contains('$'), "{name}: {text}");
        files.push(documents(name, &text).pop().expect("a document"));
    }
    let sources = ["secretName", "managedIdentity", "workloadIdentity"];
    let found = files.iter().map(|file| &file["config"]["images"][0]["credentials"]);
    assert!(found.zip(sources).all(|(credentials, source)| credentials.get(source).is_some()), "{files:?}");
    assert_eq!(files.len(), sources.len());
    files
}

#[test]
fn values_match_the_chart() {
    let folder = root().join("deploy/chart");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("the chart has it");
    let schema: Value = serde_json::from_str(&read("values.schema.json")).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let values = values();
    let wrong: Vec<String> = values
        .iter()
        .flat_map(|values| validator.iter_errors(values))
        .filter(|error| !error.to_string().contains("required property"))
        .map(|error| format!("{}: {error}", error.instance_path))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let known = documents("values.yaml", &read("values.yaml")).pop().expect("a document");
    let named = [WALK_THROUGH.text, PIPELINES.text].concat();
    let set = named.split("--set ").skip(1).filter_map(|text| text.split('=').next());
    let reported = [
        "image.allowSameRegistry",
        "smoke.enabled",
        "smoke.timeout",
        "smoke.retries",
        "smoke.ttlSecondsAfterFinished",
    ];
    for key in set.chain(reported) {
        let key = key.trim_start_matches('\'').split('[').next().unwrap_or_default();
        assert!(named.contains(key), "{key}");
        assert!(
            known.pointer(&format!("/{}", key.replace('.', "/"))).is_some(),
            "the chart has no value {key}"
        );
    }
}

#[test]
fn bicep_parses_and_has_the_parameters_of_the_walkthrough() {
    let path = root().join("deploy/azure/main.bicep");
    let text = std::fs::read_to_string(&path).expect("the file");
    let blocks = WALK_THROUGH.blocks("sh");
    let given: Vec<&str> = blocks
        .into_iter()
        .filter(|block| block.contains("main.bicep"))
        .flat_map(str::lines)
        .filter_map(|line| line.trim().strip_prefix("--parameters "))
        .flat_map(|line| line.split(' '))
        .filter_map(|word| word.split_once('=').map(|(name, _)| name))
        .collect();
    assert!(given.len() >= 11, "{given:?}");
    for name in given {
        assert!(text.contains(&format!("\nparam {name} ")), "{name}");
    }
    match bicep_resources(Path::new("deploy/azure/main.bicep")) {
        Ok(parsed) => {
            assert_eq!(parsed, text.lines().filter(|line| line.starts_with("resource ")).count());
        }
        Err(reason) => skip(&reason),
    }
}

/// Parses a Bicep file below the root and counts its resources.
///
/// # Errors
/// The reason why there is no parser.
pub(super) fn bicep_resources(path: &Path) -> Result<usize, String> {
    let program = "import sys; from pycep import BicepParser; \
                   print(len(BicepParser().parse(text=open(sys.argv[1]).read())['resources']))";
    let output = Command::new(python()?).args(["-c", program]).arg(root().join(path)).output();
    let output = output.expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number"))
}
