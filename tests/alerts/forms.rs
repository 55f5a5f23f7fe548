//! The other forms of the rule file: Azure rule groups as ARM and Bicep, Grafana alerts. The package `generate` generates them.

use std::path::Path;
use std::process::Command;

use promql_parser::parser;
use serde_json::{Map, Value, json};

use generate::alerts::azure::{azure_groups, bicep, iso};
use generate::alerts::grafana::grafana;
use generate::alerts::{alerts, rules};

/// Azure's limits for a rule group, from the schema of `Microsoft.AlertsManagement/prometheusRuleGroups`.
const MOST_RULES: usize = 20;
const MOST_LABELS: usize = 10;
const LONGEST_ANNOTATION: usize = 1024;

#[test]
fn azure_forms_match_the_rules_within_azures_limits() {
    for (name, group) in azure_groups() {
        assert!(
            ["PT1M", "PT5M", "PT10M", "PT15M"].contains(&group["interval"].as_str().expect("an interval"))
        );
        let rules = group["rules"].as_array().expect("rules");
        assert!(!rules.is_empty() && rules.len() <= MOST_RULES, "{name} has {} rules", rules.len());
        for rule in rules {
            let none = Map::new();
            let labels = rule["labels"].as_object().unwrap_or(&none);
            assert!(labels.len() <= MOST_LABELS, "{rule}");
            for (_, text) in labels.iter().chain(rule["annotations"].as_object().unwrap_or(&none)) {
                let text = text.as_str().expect("a text");
                assert!(text.chars().count() <= LONGEST_ANNOTATION, "{text}");
                // Azure documents no functions of templates.
                assert!(!text.contains("| query") && !text.contains("externalLabels"), "{text}");
                // It would be a template expression.
                assert!(!text.starts_with('['), "{text}");
            }
        }
    }
}

#[test]
fn durations_and_texts_are_converted_for_azure() {
    let durations = ["30s", "5m", "1h", "1d", "2w"].map(iso);
    assert_eq!(durations, ["PT30S", "PT5M", "PT1H", "P1D", "P2W"]);
    assert_eq!(bicep(&json!("it's ${x} \\d"), 0), "'it\\'s \\${x} \\\\d'");
    assert_eq!(bicep(&json!({"a": ["[parameters('b')]", 1]}), 0), "{\n  a: [\n    b\n    1\n  ]\n}");
}

#[test]
fn the_bicep_form_parses_and_has_every_rule() {
    let root = crate::azure::root();
    let found = Command::new(root.join("tests/azure/tools")).arg("--find").output().expect("bash runs");
    if !found.status.success() {
        return crate::azure::skip(String::from_utf8_lossy(&found.stderr).trim());
    }
    let python = Path::new(String::from_utf8_lossy(&found.stdout).trim()).join("bin/python");
    let program = "import json, sys; from pycep import BicepParser; \
                   print(json.dumps(BicepParser().parse(text=open(sys.argv[1]).read())))";
    let output = Command::new(python)
        .args(["-c", program])
        .arg(root.join("dashboards/alerts/azure.bicep"))
        .output()
        .expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let parsed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for (name, group) in azure_groups() {
        let symbol = name.rsplit('.').next().expect("a name");
        let rules = &parsed["resources"][symbol]["config"]["properties"]["rules"];
        let expected = group["rules"].as_array().expect("rules").len();
        assert_eq!(rules.as_array().map(Vec::len), Some(expected), "{name}");
    }
}

#[test]
fn prometheusrule_matches_the_rules() {
    let object: Value =
        serde_saphyr::from_str(include_str!("../../dashboards/alerts/prometheusrule.yaml")).expect("YAML");
    let rules: Value = serde_saphyr::from_str(&rules()).expect("YAML");
    assert_eq!(object["spec"], rules);
}

#[test]
fn only_grafana_alerts_of_the_service_level_need_recording_rules() {
    let text = grafana();
    let parsed: Value = serde_saphyr::from_str(&text).expect("YAML");
    let rules = parsed["groups"][0]["rules"].as_array().expect("rules");
    assert_eq!(rules.len(), alerts().len());
    for rule in rules {
        // Grafana accepts uids of at most 40 characters.
        assert!(rule["uid"].as_str().is_some_and(|uid| uid.len() <= 40), "{rule}");
        let query = rule["data"][0]["model"]["expr"].as_str().expect("an expression");
        assert!(parser::parse(query).is_ok(), "{query}");
        let is_burn =
            rule["title"].as_str().is_some_and(|title| title.starts_with("AcrVerifierErrorBudgetBurn"));
        let recorded = ["registry:", "node:", "cluster:"].map(|level| format!("{level}acr_verifier"));
        // Grafana's templates have neither a result for `query` nor `$externalLabels`.
        let texts = rule["annotations"].to_string();
        assert!(!texts.contains("| query") && !texts.contains("externalLabels"), "{rule}");
        assert!(is_burn == recorded.iter().any(|name| query.contains(name.as_str())), "{query}");
        assert!(!query.contains('$'), "{query}");
    }
}

#[test]
fn forms_without_queries_in_templates_have_the_query_as_text() {
    let query = "This query counts the nodes that have checked in the last five minutes: count(time() - max by (cluster, node)";
    let azure =
        serde_json::to_string(&azure_groups().into_iter().map(|(_, group)| group).collect::<Vec<_>>());
    for form in [azure.expect("JSON"), grafana()] {
        assert_eq!(form.matches(query).count(), 2);
    }
    assert_eq!(rules().matches("registry:acr_verifier_nodes_checked:count%s").count(), 2);
}

#[test]
fn alerts_that_page_about_an_outage_follow_what_they_need() {
    let groups = generate::alerts::groups();
    for name in ["AcrVerifierRegistryUnreachable", "AcrVerifierPublicPathInUse"] {
        let is_alert = |rule: &generate::alerts::Rule| rule.alert.as_deref() == Some(name);
        let group = groups.iter().find(|group| group.rules.iter().any(is_alert)).expect("its group");
        let mut earlier = Vec::new();
        for rule in &group.rules {
            let needs =
                rule.expr.split(|letter: char| !(letter.is_alphanumeric() || matches!(letter, '_' | ':')));
            for needed in needs.filter(|word| word.contains(":acr_verifier")) {
                assert!(earlier.contains(&needed), "{name}: {needed} is not recorded above");
            }
            earlier.extend(rule.record.as_deref());
        }
        assert_eq!(group.interval, "1m");
    }
}
