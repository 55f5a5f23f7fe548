//! The values `$(…)` in the source of the rules: `rules.…` of the chart.
//!
//! The chart replaces them with an operator's values; here they become the defaults of its values.yaml.

use serde_json::Value;

const VALUES: &str = include_str!("../../../deploy/chart/values.yaml");

/// The names of the DaemonSets of all releases of the chart without `fullnameOverride`; the chart adds its own name.
const ANY_RELEASE: &str = "(.+-)?acr-verifier(-.+)?";

/// Replaces every value in a text with its default, or with another text.
pub(super) fn fill(text: &str, instead: &[(&str, String)]) -> String {
    let mut parts = text.split("$(");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(')').expect("the end of a name");
        let other = instead.iter().find(|(replaced, _)| *replaced == name);
        filled.push_str(&other.map_or_else(|| default(name), |(_, text)| text.clone()));
        filled.push_str(rest);
    }
    filled
}

/// Returns the default of a value.
pub(super) fn default(name: &str) -> String {
    let values: Value = serde_saphyr::from_str(VALUES).expect("the values of the chart");
    let rules = &values["rules"];
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            panic!("rules.{name} is {value}: expected a string or a number")
        }
    };
    match name {
        "name" => ANY_RELEASE.to_owned(),
        "objectivePercent" => {
            let percent = 100.0 * rules["objective"].as_f64().expect("rules.objective");
            format!("{} %", (percent * 1e6).round() / 1e6)
        }
        _ if name.starts_with("AcrVerifier") => {
            let (alert, key) = name.split_once('.').expect("an alert and a key");
            text(&rules["alerts"][alert][key])
        }
        _ => text(name.split('.').fold(rules, |at, key| &at[key])),
    }
}
