//! Generates other forms of the rule file: `PrometheusRule`, Azure rule groups as ARM and Bicep, Grafana alerts.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use promql_parser::parser;
use serde_json::{Map, Value, json};

use super::{RULES, Rule, groups};

/// Azure's limits for a rule group, from the schema of `Microsoft.AlertsManagement/prometheusRuleGroups`.
const MOST_RULES: usize = 20;
const MOST_LABELS: usize = 10;
const LONGEST_ANNOTATION: usize = 1024;

/// Converts a Prometheus duration in one unit to ISO 8601.
fn iso(duration: &str) -> String {
    let (number, unit) = duration.split_at(duration.len() - 1);
    assert!(number.parse::<u32>().is_ok_and(|number| number > 0), "{duration} is not a duration in one unit");
    match unit {
        "s" | "m" | "h" => format!("PT{number}{}", unit.to_uppercase()),
        "d" | "w" => format!("P{number}{}", unit.to_uppercase()),
        other => panic!("{duration}: unknown unit {other}"),
    }
}

/// Returns Azure's number for a severity.
fn severity(word: &str) -> u8 {
    match word {
        "critical" => 1,
        "warning" => 2,
        "info" => 3,
        other => panic!("unknown severity {other}"),
    }
}

fn azure_rule(rule: Rule) -> Value {
    let Some(alert) = rule.alert else {
        return json!({"record": rule.record, "expression": rule.expr, "enabled": true});
    };
    let (labels, annotations) = (rule.labels.expect("labels"), rule.annotations.expect("annotations"));
    json!({
        "alert": alert,
        "enabled": true,
        "expression": rule.expr,
        "for": iso(&rule.wait.expect("a wait")),
        "severity": severity(&labels.severity),
        "labels": {"severity": labels.severity},
        "annotations": {
            "summary": annotations.summary,
            "description": annotations.description,
            "runbook_url": annotations.runbook_url,
        },
        "actions": [{"actionGroupId": "[parameters('actionGroupId')]"}],
        "resolveConfiguration": {"autoResolved": true, "timeToResolve": "PT10M"},
    })
}

/// Returns each group's name and properties.
fn azure_groups() -> Vec<(String, Value)> {
    let properties = |interval: &str, rules: Vec<Value>| {
        json!({
            "scopes": ["[parameters('workspaceId')]"],
            "clusterName": "[parameters('clusterName')]",
            "interval": iso(interval),
            "enabled": true,
            "rules": rules,
        })
    };
    groups()
        .into_iter()
        .map(|group| {
            (group.name, properties(&group.interval, group.rules.into_iter().map(azure_rule).collect()))
        })
        .collect()
}

fn arm() -> Value {
    let groups = azure_groups().into_iter().map(|(name, properties)| {
        json!({
            "type": "Microsoft.AlertsManagement/prometheusRuleGroups",
            "apiVersion": "2023-03-01",
            "name": format!("[concat('{name}.', parameters('clusterName'))]"),
            "location": "[parameters('location')]",
            "properties": properties,
        })
    });
    let parameter = |description: &str| json!({"type": "string", "metadata": {"description": description}});
    json!({
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "parameters": {
            "location": {"type": "string", "defaultValue": "[resourceGroup().location]"},
            "workspaceId": parameter(WORKSPACE),
            "clusterName": parameter(CLUSTER),
            "actionGroupId": parameter(ACTIONS),
        },
        "resources": groups.collect::<Vec<_>>(),
    })
}

const WORKSPACE: &str = "Resource ID of the Azure Monitor workspace.";
const CLUSTER: &str = "Name of the AKS cluster: the value of the label cluster.";
const ACTIONS: &str = "Resource ID of the action group that receives the alerts.";

/// Formats a value as Bicep. An ARM parameter becomes its name.
fn bicep(value: &Value, depth: usize) -> String {
    let gap = "  ".repeat(depth + 1);
    let end = "  ".repeat(depth);
    match value {
        Value::String(text) => {
            match text.strip_prefix("[parameters('").and_then(|text| text.strip_suffix("')]")) {
                Some(parameter) => parameter.to_owned(),
                None => {
                    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'").replace("${", "\\${"))
                }
            }
        }
        Value::Array(items) => {
            let items = items.iter().map(|item| format!("{gap}{}\n", bicep(item, depth + 1)));
            format!("[\n{}{end}]", items.collect::<String>())
        }
        Value::Object(members) => {
            let members =
                members.iter().map(|(key, item)| format!("{gap}{key}: {}\n", bicep(item, depth + 1)));
            format!("{{\n{}{end}}}", members.collect::<String>())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

fn bicep_file() -> String {
    let mut text = format!(
        "// Generated by the tests from acr-verifier.rules.yaml.\n\nparam location string = resourceGroup().location\n\
         @description('{WORKSPACE}')\nparam workspaceId string\n@description('{CLUSTER}')\nparam clusterName string\n\
         @description('{ACTIONS}')\nparam actionGroupId string\n"
    );
    for (name, properties) in azure_groups() {
        let symbol = name.rsplit('.').next().expect("a name");
        write!(
            text,
            "\nresource {symbol} 'Microsoft.AlertsManagement/prometheusRuleGroups@2023-03-01' = {{\n  \
             name: '{name}.${{clusterName}}'\n  location: location\n  properties: {}\n}}\n",
            bicep(&properties, 1)
        )
        .expect("writing to a string cannot fail");
    }
    text
}

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
                // It would be a template expression.
                assert!(!text.starts_with('['), "{text}");
            }
        }
    }
    let text = serde_json::to_string_pretty(&arm()).expect("JSON") + "\n";
    expectorate::assert_contents("dashboards/alerts/azure.json", &text);
    expectorate::assert_contents("dashboards/alerts/azure.bicep", &bicep_file());
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
fn prometheusrule_and_chart_match_the_rules() {
    expectorate::assert_contents("deploy/chart/files/rules/acr-verifier.rules.yaml", RULES);
    let mut text = String::from(
        "# Generated by the tests from acr-verifier.rules.yaml.\napiVersion: monitoring.coreos.com/v1\n\
         kind: PrometheusRule\nmetadata:\n  name: acr-verifier\nspec:\n",
    );
    let start = RULES.find("groups:\n").expect("groups");
    for line in RULES[start..].lines() {
        writeln!(text, "  {line}").expect("writing to a string cannot fail");
    }
    expectorate::assert_contents("dashboards/alerts/prometheusrule.yaml", &text);
}

/// Inlines recording rules into an expression, since Grafana records nothing here.
fn written_out(expr: &str, recorded: &[(String, String)]) -> String {
    let mut text = expr.to_owned();
    // A recording rule only uses earlier ones.
    for (name, means) in recorded.iter().rev() {
        while let Some(start) = text.find(name.as_str()) {
            let rest = text[start + name.len()..].to_owned();
            // A range of a recorded series becomes a subquery with the recording interval as step.
            let (range, rest) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                Some((range, rest)) => (format!("[{range}:1m]"), rest.to_owned()),
                None => (String::new(), rest),
            };
            text = format!("{}({means}){range}{rest}", &text[..start]);
        }
    }
    text
}

fn grafana() -> String {
    let recorded: Vec<(String, String)> = groups()
        .into_iter()
        .flat_map(|group| group.rules)
        .filter_map(|rule| Some((rule.record?, rule.expr)))
        .collect();
    let mut text = String::from(
        "# Generated by the tests from acr-verifier.rules.yaml: Grafana-managed alerts for file provisioning.\n\
         # Set ACR_VERIFIER_DATASOURCE_UID in Grafana's environment to the uid of the data source. `$$` is Grafana's `$`.\n\
         apiVersion: 1\ngroups:\n  - orgId: 1\n    name: acr-verifier\n    folder: acr-verifier\n    interval: 1m\n    rules:\n",
    );
    for (name, rule) in super::alerts() {
        let expr = written_out(&rule.expr, &recorded);
        assert!(parser::parse(&expr).is_ok(), "{expr}");
        let annotations = rule.annotations.expect("annotations");
        // A JSON string is valid YAML; Grafana's templates access values by the query's name.
        let quoted =
            |text: &str| json!(text.replace("$value", "$values.A.Value").replace('$', "$$")).to_string();
        write!(
            text,
            "      - uid: {}\n        title: {name}\n        condition: B\n        for: {}\n        noDataState: OK\n        \
             execErrState: Error\n        labels:\n          severity: {}\n        annotations:\n          summary: {}\n          \
             description: {}\n          runbook_url: {}\n        data:\n          - refId: A\n            \
             datasourceUid: ${{ACR_VERIFIER_DATASOURCE_UID}}\n            relativeTimeRange: {{from: 600, to: 0}}\n            \
             model:\n              refId: A\n              instant: true\n              expr: {}\n          - refId: B\n            \
             datasourceUid: __expr__\n            model:\n              refId: B\n              type: math\n              \
             expression: is_number($${{A}})\n",
            name.to_lowercase(),
            rule.wait.expect("a wait"),
            rule.labels.expect("labels").severity,
            quoted(&annotations.summary),
            quoted(&annotations.description),
            quoted(&annotations.runbook_url),
            quoted(&expr),
        )
        .expect("writing to a string cannot fail");
    }
    text
}

#[test]
fn grafana_alerts_need_no_recording_rules() {
    let text = grafana();
    expectorate::assert_contents("dashboards/alerts/grafana.yaml", &text);
    let parsed: Value = serde_saphyr::from_str(&text).expect("YAML");
    let rules = parsed["groups"][0]["rules"].as_array().expect("rules");
    assert_eq!(rules.len(), super::alerts().len());
    for rule in rules {
        // Grafana accepts uids of at most 40 characters.
        assert!(rule["uid"].as_str().is_some_and(|uid| uid.len() <= 40), "{rule}");
        let query = rule["data"][0]["model"]["expr"].as_str().expect("an expression");
        assert!(!query.contains("registry:acr_verifier") && !query.contains('$'), "{query}");
    }
}
