//! `null`, by which Helm removes a default of the chart.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::conflicts;
use super::helm;

/// Settings with which every template of the chart renders something.
const WHOLE: [&str; 7] = [
    "hostNetwork=false",
    "nodeFiles.enabled=true",
    "networkPolicy.enabled=true",
    "rules.enabled=true",
    "dashboards.enabled=true",
    "podMonitor.azureMonitor=true",
    "podMonitor.prometheusOperator=true",
];

fn paths(prefix: &str, value: &Value, found: &mut BTreeSet<String>) {
    if let Some(map) = value.as_object() {
        for (key, inner) in map {
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            paths(&path, inner, found);
            found.insert(path);
        }
    }
}

/// Returns whether a rendered object has a value that was not filled in.
fn is_incomplete(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.contains("$(") || text.contains("<nil>") || text.contains("<no value>"),
        Value::Array(items) => items.iter().any(is_incomplete),
        Value::Object(members) => members.values().any(is_incomplete),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// `null` removes a default: it is rejected by name, or the rest renders.
#[test]
fn null_is_rejected_by_name_or_means_none() {
    let Some(programs) = helm::programs() else { return };
    let values = fs::read_to_string(helm::chart().join("values.yaml")).expect("the values");
    let mut keys = BTreeSet::new();
    paths("", &helm::parse(&values)[0], &mut keys);
    let (mut rejected, mut wrong) = (0, Vec::new());
    for key in &keys {
        let setting = format!("{key}=null");
        let message = match conflicts::render(&programs, &[&WHOLE[..], &[&setting]].concat()) {
            Ok(text) => {
                if helm::parse(&text).iter().any(is_incomplete) {
                    wrong.push(format!("{key}: the objects are incomplete"));
                }
                continue;
            }
            Err(message) => message,
        };
        rejected += 1;
        let name = key.rsplit('.').next().expect("a name");
        let is_named =
            message.contains(&format!("missing property '{name}'")) || message.contains(key.as_str());
        if !is_named
            || ["nil pointer", "wrong type", "error calling"].iter().any(|trace| message.contains(trace))
        {
            wrong.push(format!("{key}: {message}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rejected > 100 && rejected < keys.len(), "{rejected} of {}", keys.len());
}
