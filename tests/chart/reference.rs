//! The chart's README: its table of values matches `values.yaml` and the schema.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::helm;

/// Maps with user-defined content: one row each, whatever their defaults.
const WHOLE: [&str; 9] = [
    "affinity",
    "dashboards.labels",
    "networkPolicy.apiServerPorts",
    "nodeFiles.paths",
    "resources",
    "rules.alerts",
    "smoke.resources",
    "tolerations",
    "config.images",
];

/// What the README's commands read from the network interface of a private endpoint.
const ADDRESSES: &str = r#"{"contoso.azurecr.io":["10.60.4.5"]}"#;

fn read(name: &str) -> String {
    fs::read_to_string(helm::chart().join(name)).expect("a file of the chart")
}

/// Collects every value with its default, by its path.
fn flatten(prefix: &str, value: &Value, found: &mut BTreeMap<String, Value>) {
    match value.as_object() {
        Some(map) if !map.is_empty() && !WHOLE.contains(&prefix) => {
            for (key, inner) in map {
                let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&path, inner, found);
            }
        }
        _ => drop(found.insert(prefix.to_owned(), value.clone())),
    }
}

fn defaults() -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    flatten("", &helm::parse(&read("values.yaml"))[0], &mut found);
    found
}

#[test]
fn the_readme_lists_every_value_with_its_default() {
    let readme = read("README.md");
    let table =
        readme.split("\n## Values\n").nth(1).expect("the section").split("\n## ").next().expect("its text");
    let rows: BTreeMap<&str, &str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|row| {
            let (name, rest) = row.split_once("` | ").expect("a name");
            (name, rest.split(" | ").next().expect("a default"))
        })
        .collect();
    let defaults = defaults();
    let names: Vec<&str> = defaults.keys().map(String::as_str).collect();
    assert_eq!(rows.keys().copied().collect::<Vec<_>>(), names);
    for (name, value) in &defaults {
        let shown = rows[name.as_str()];
        if shown == "see values.yaml" {
            assert!(WHOLE.contains(&name.as_str()), "{name} is short enough to be shown");
            continue;
        }
        assert_eq!(shown, format!("`{value}`"), "{name}");
    }
}

/// Returns the README's install commands, split into words.
fn installations() -> Vec<Vec<String>> {
    let readme = read("README.md").replace("\\\n", " ");
    // The values that `discover` prints are rendered in `tests/discover/values.rs`.
    let lines = readme.lines().filter(|line| !line.contains("--values values.yaml"));
    let lines = lines.filter(|line| line.starts_with("helm upgrade"));
    lines
        .map(|line| line.replace("$ADDRESSES", ADDRESSES))
        .map(|line| line.split_whitespace().map(|word| word.trim_matches(['\'', '"']).to_owned()).collect())
        .collect()
}

#[test]
fn the_readme_install_commands_render() {
    let Some(programs) = helm::programs() else { return };
    let commands = installations();
    assert_eq!(commands.len(), 6);
    let acr_pull = "path: /var/run/secrets/acr-verifier/acr-pull";
    let addresses = "contoso.azurecr.io:\n      - 10.60.4.5";
    let expected = [acr_pull, acr_pull, acr_pull, "managedIdentity:", "workloadIdentity: {}", addresses];
    for (words, expected) in commands.into_iter().zip(expected) {
        assert_eq!(
            words[..7],
            ["helm", "upgrade", "--install", "acr-verifier", "deploy/chart", "--namespace", "acr-verifier"]
        );
        let root = helm::path("");
        let arguments: Vec<String> = words[7..]
            .iter()
            .map(|word| {
                if word.starts_with("deploy/") { root.join(word).display().to_string() } else { word.clone() }
            })
            .collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let objects = helm::parse(&programs.template(&helm::chart(), &arguments).expect("it renders"));
        let configuration = helm::configuration(&objects);
        assert!(configuration.contains("image: contoso.azurecr.io/apps/canary:1"), "{configuration}");
        assert!(configuration.contains(expected), "{configuration}");
    }
}

#[test]
fn the_chart_version_is_the_program_version() {
    let chart = &helm::parse(&read("Chart.yaml"))[0];
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_schema_has_every_value_and_rejects_others() {
    let schema: Value = serde_json::from_str(&read("values.schema.json")).expect("JSON");
    for name in defaults().keys() {
        let mut place = &schema;
        for key in name.split('.') {
            if let Some(reference) = place["$ref"].as_str() {
                place = schema.pointer(reference.trim_start_matches('#')).expect("a definition");
            }
            // Label names are user-defined.
            if place["properties"].is_null() {
                break;
            }
            assert_eq!(place["additionalProperties"], false, "{name}");
            place = &place["properties"][key];
            assert!(!place.is_null(), "{name} is not in the schema");
        }
    }
}
