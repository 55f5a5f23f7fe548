//! Names in rendered objects: always strings, valid for Kubernetes, and unique.

use std::collections::BTreeSet;
use std::fs;

use regex::Regex;
use serde_json::{Value, json};

use super::helm;

/// Names of objects that YAML would read as another type if they were not quoted.
const TYPED: [&str; 8] = ["123", "1e3", "0x10", "true", "no", "y", "null", "2027-05-01"];
/// Fields whose values are numbers or Booleans, by the schema of the values.
const TYPED_FIELDS: [&str; 11] = [
    "activeDeadlineSeconds",
    "backoffLimit",
    "containerPort",
    "hostNetwork",
    "maxSurge",
    "maxUnavailable",
    "minReadySeconds",
    "port",
    "revisionHistoryLimit",
    "sampleLimit",
    "ttlSecondsAfterFinished",
];

/// A value in quotes cannot change its type, and cannot add fields.
#[test]
fn every_value_of_a_template_is_quoted() {
    let starts_with_key = Regex::new(r"^[\w./-]+: ").expect("a pattern");
    let field = Regex::new(r"(?:([\w./-]+): |^- )([^{},]*)\{\{(.*?)\}\}([^\s,}\]]*)").expect("a pattern");
    let templates = helm::chart().join("templates");
    let folders = [templates.clone(), templates.join("tests")];
    let (mut seen, mut unquoted) = (0, Vec::new());
    for entry in folders.iter().flat_map(|folder| fs::read_dir(folder).expect("a folder")) {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        // Messages, not objects.
        if path.is_dir()
            || ["NOTES.txt", "_validate.tpl", "_conflicts.tpl", "_forms.tpl"].contains(&name.as_str())
        {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a template");
        for line in text.lines().map(str::trim_start) {
            let after_dash = line.strip_prefix("- ").filter(|rest| starts_with_key.is_match(rest));
            let line = after_dash.unwrap_or(line);
            if !line.starts_with("- ") && !starts_with_key.is_match(line) {
                continue;
            }
            for found in field.captures_iter(line) {
                let key = found.get(1).map_or("", |key| key.as_str());
                let is_whole = found[2].is_empty() && found[4].is_empty();
                seen += 1;
                if !(is_whole && found[3].ends_with("| quote ") || TYPED_FIELDS.contains(&key)) {
                    unquoted.push(format!("{name}: {line}"));
                }
            }
        }
    }
    assert!(unquoted.is_empty(), "{}", unquoted.join("\n"));
    assert!(seen > 90, "{seen}");
}

/// Collects the values of fields that must be strings.
fn strings<'a>(value: &'a Value, found: &mut Vec<(&'a str, &'a Value)>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        Value::Object(members) => {
            for (key, inner) in members {
                let is_map = ["labels", "annotations", "matchLabels", "nodeSelector"].contains(&key.as_str());
                if is_map {
                    found.extend(
                        inner.as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value)),
                    );
                } else if !inner.is_object()
                    && [
                        "name",
                        "namespace",
                        "secretName",
                        "priorityClassName",
                        "serviceAccountName",
                        "severity",
                    ]
                    .contains(&key.as_str())
                {
                    found.push((key, inner));
                } else {
                    strings(inner, found);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn names_keep_their_type() {
    let Some(programs) = helm::programs() else { return };
    let chart = helm::chart();
    let chart = chart.to_str().expect("UTF-8");
    for name in TYPED {
        let values = json!({
            "config": {
                "images": [{"image": "contoso.azurecr.io/a:1", "credentials": {"secretName": name}}],
                "tls": {"caConfigMap": {"name": name}},
                "server": {"checksOnDemand": "key", "keySecret": {"name": name}},
            },
            "nameOverride": name,
            "fullnameOverride": name,
            "imagePullSecrets": [{"name": name}],
            "priorityClassName": name,
            "serviceAccount": {"name": format!("{name}a")},
            "commonLabels": {"label": name},
            "rules": {"enabled": true, "alerts": {"AcrVerifierChecksStale": {"severity": "no"}}},
            "dashboards": {"enabled": true, "namespace": name},
            "podMonitor": {"azureMonitor": true},
            "smoke": {"priorityClassName": name, "serviceAccount": {"name": name}},
        });
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("values.yaml");
        fs::write(&file, values.to_string()).expect("a file");
        let file = file.to_str().expect("UTF-8");
        let text = programs
            .helm(&["template", name, chart, "--namespace", name, "--values", file])
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let objects = helm::parse(&text);
        let mut found = Vec::new();
        for object in &objects {
            strings(object, &mut found);
        }
        assert!(found.len() > 150, "{}", found.len());
        let wrong: Vec<_> = found.iter().filter(|(_, value)| !value.is_string()).collect();
        assert!(wrong.is_empty(), "{name}: {wrong:?}");
        assert_eq!(helm::agent(&objects)["priorityClassName"], name);
    }
}

/// Names of releases may have dots, and Kubernetes rejects a name that ends in one.
#[test]
fn a_truncated_name_ends_in_a_letter_or_digit() {
    let Some(programs) = helm::programs() else { return };
    let chart = helm::chart();
    let files = helm::values_of("minimal");
    for (release, mode) in [(49, "test"), (49, "job"), (45, "cronjob")] {
        let release = format!("{}.bcd", "a".repeat(release));
        let arguments = ["template", &release, chart.to_str().expect("UTF-8"), "--values", &files[0]];
        let mode = format!("smoke.mode={mode}");
        let objects =
            helm::parse(&programs.helm(&[&arguments[..], &["--set", &mode]].concat()).expect("it renders"));
        let mut names = Vec::new();
        for object in &objects {
            strings(object, &mut names);
        }
        let wrong: Vec<_> = names
            .iter()
            .filter_map(|(_, value)| value.as_str())
            .filter(|name| name.contains(".-") || name.ends_with('.'))
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}

#[test]
fn every_path_of_the_node_has_a_volume_of_its_own() {
    let Some(programs) = helm::programs() else { return };
    let long = format!("/etc/ssl/{}", "a".repeat(70));
    let paths: Vec<Value> = ["/etc/ssl/a.b", "/etc/ssl/a-b", "/etc/ssl/a/b", "/etc/ssl/A/b", "/etc/ssl/a_b"]
        .into_iter()
        .map(str::to_owned)
        .chain([format!("{long}x"), format!("{long}y")])
        .map(|path| json!({"path": path, "type": "Directory"}))
        .collect();
    let objects = programs.objects("minimal", &["--set-json", &format!("nodeFiles.paths={}", json!(paths))]);
    let volumes = helm::agent(&objects)["volumes"].as_array().expect("volumes");
    let names: BTreeSet<&str> =
        volumes.iter().map(|volume| volume["name"].as_str().expect("a name")).collect();
    assert_eq!(names.len(), volumes.len(), "{names:?}");
    let label = Regex::new("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$").expect("a pattern");
    assert!(names.iter().all(|name| label.is_match(name)), "{names:?}");
}

#[test]
fn no_variable_of_the_chart_can_be_replaced() {
    let Some(programs) = helm::programs() else { return };
    let objects = programs.objects("minimal", &[]);
    let variables = helm::agent(&objects)["containers"][0]["env"].as_array().expect("variables").clone();
    assert!(variables.len() > 5, "{variables:?}");
    for variable in variables {
        let name = variable["name"].as_str().expect("a name");
        let setting = format!(r#"extraEnv=[{{"name":"{name}","value":"x"}}]"#);
        let error = super::conflicts::render(&programs, &[&setting]).expect_err(name);
        assert!(error.contains(&format!("\"{name}\" for extraEnv[0].name: the chart sets this")), "{error}");
    }
}
