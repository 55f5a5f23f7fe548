//! The alert rules: that Prometheus takes them, that each is tested and explained, and that they name what is exported.
//!
//! Owns the forms that are written from the rule file. Without Debian's package `prometheus` the unit tests of the rules
//! say `SKIPPED prometheus: …` and pass; `ACR_VERIFIER_REQUIRE_PROMETHEUS=1` makes that a failure.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use acr_verifier::cause::Cause;
use acr_verifier::metrics::FAMILIES;
use acr_verifier::report::RUNBOOK;
use promql_parser::parser::{self, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};
use serde::Deserialize;
use serde_json::{Value, json};

const RULES: &str = include_str!("../dashboards/alerts/acr-verifier.rules.yaml");
/// What every alert has to be shown to do.
const KINDS: [&str; 5] = [
    "fires and resolves",
    "does not fire just below",
    "survives a missing series",
    "survives a restart",
    "ends when the node leaves",
];
/// Series of others: kube-state-metrics, which the add-on of AKS has by default.
const FOREIGN: [&str; 2] = ["kube_node_info", "kube_pod_container_status_waiting_reason"];

#[derive(Deserialize)]
struct File {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    name: String,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    alert: Option<String>,
    record: Option<String>,
    expr: String,
    #[serde(rename = "for")]
    wait: Option<String>,
    labels: Option<Severity>,
    annotations: Option<Annotations>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Severity {
    severity: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Annotations {
    summary: String,
    description: String,
    runbook_url: String,
}

fn groups() -> Vec<Group> {
    serde_yaml_ng::from_str::<File>(RULES).expect("a rule file").groups
}

fn alerts() -> Vec<(String, Rule)> {
    let rules = groups().into_iter().flat_map(|group| group.rules);
    rules.filter_map(|mut rule| Some((rule.alert.take()?, rule))).collect()
}

/// The files of unit tests, by path.
fn tests() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/alerts");
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut tests: Vec<_> = entries.filter(|path| path.to_string_lossy().ends_with(".test.yaml")).collect();
    tests.sort();
    tests
}

fn promtool(arguments: &[&str], files: &[PathBuf]) {
    if !crate::metrics::prometheus::installed("promtool") {
        return;
    }
    let output = Command::new("promtool").args(arguments).args(files).output().expect("promtool runs");
    let told = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&told));
}

#[test]
fn prometheus_takes_the_rules() {
    let rules = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("dashboards/alerts/acr-verifier.rules.yaml");
    promtool(&["check", "rules", "--lint=all", "--lint-fatal"], &[rules]);
}

#[test]
fn the_unit_tests_of_the_rules_pass() {
    promtool(&["test", "rules"], &tests());
}

#[test]
fn every_alert_is_tested_and_says_what_it_must() {
    let tests: Vec<String> =
        tests().iter().map(|path| std::fs::read_to_string(path).expect("a test")).collect();
    for (name, rule) in alerts() {
        let first = format!("# {name}: ");
        let file = tests
            .iter()
            .find(|test| test.starts_with(&first))
            .unwrap_or_else(|| panic!("{name} has no test"));
        for kind in KINDS {
            assert!(file.contains(&format!("\n  - name: {kind}\n")), "{name}: no test that it {kind}");
        }
        let annotations = rule.annotations.expect("annotations");
        assert!(annotations.summary.ends_with('.') && !annotations.summary.contains("{{"), "{name}");
        assert!(annotations.description.contains("{{"), "{name}");
        assert!(rule.wait.is_some(), "{name} would fire at once");
        assert_eq!(annotations.runbook_url, format!("{RUNBOOK}#{}", name.to_lowercase()));
    }
}

/// The series that an expression selects.
#[derive(Default)]
struct Selectors(Vec<VectorSelector>);

impl ExprVisitor for Selectors {
    type Error = ();

    fn pre_visit(&mut self, expr: &parser::Expr) -> Result<bool, ()> {
        if let parser::Expr::VectorSelector(selector) = expr {
            self.0.push(selector.clone());
        } else if let parser::Expr::MatrixSelector(matrix) = expr {
            self.0.push(matrix.vs.clone());
        }
        Ok(true)
    }
}

#[test]
fn the_rules_name_what_is_exported() {
    let recorded: BTreeSet<String> =
        groups().into_iter().flat_map(|group| group.rules).filter_map(|rule| rule.record).collect();
    for rule in groups().into_iter().flat_map(|group| group.rules) {
        let parsed = parser::parse(&rule.expr).unwrap_or_else(|error| panic!("{}: {error}", rule.expr));
        let mut selectors = Selectors::default();
        walk_expr(&mut selectors, &parsed).expect("a walk");
        assert!(!selectors.0.is_empty(), "{} selects nothing", rule.expr);
        for selector in selectors.0 {
            let name = selector.name.clone().expect("a selector has a name");
            let family = FAMILIES.iter().find(|family| family.name == name);
            let known = family.is_some() || recorded.contains(&name) || FOREIGN.contains(&name.as_str());
            assert!(known, "nothing exports {name}");
            for matcher in &selector.matchers.matchers {
                let Some(family) = family else { continue };
                let mut labels = family.subject.labels().iter().chain(family.labels);
                assert!(labels.any(|label| *label == matcher.name), "{name} has no label {}", matcher.name);
                if matcher.name == "cause" {
                    for code in matcher.value.split('|') {
                        assert!(Cause::ALL.iter().any(|cause| cause.code() == code), "no cause is {code}");
                    }
                }
            }
        }
    }
}

fn azure() -> Value {
    let iso = |wait: &str| format!("PT{}", wait.to_uppercase());
    let groups: Vec<Value> = groups()
        .into_iter()
        .map(|group| {
            let rules: Vec<Value> = group.rules.into_iter().map(|rule| azure_rule(rule, &iso)).collect();
            json!({
                "type": "Microsoft.AlertsManagement/prometheusRuleGroups",
                "apiVersion": "2023-03-01",
                "name": format!("[concat('{}.', parameters('clusterName'))]", group.name),
                "location": "[parameters('location')]",
                "properties": {
                    "scopes": ["[parameters('workspaceId')]"],
                    "clusterName": "[parameters('clusterName')]",
                    "interval": "PT1M",
                    "enabled": true,
                    "rules": rules,
                },
            })
        })
        .collect();
    json!({
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "parameters": {
            "location": {"type": "string", "defaultValue": "[resourceGroup().location]"},
            "workspaceId": {"type": "string", "metadata": {"description": "The Azure Monitor workspace's resource id."}},
            "clusterName": {"type": "string"},
            "actionGroupId": {"type": "string", "metadata": {"description": "The action group's resource id."}},
        },
        "resources": groups,
    })
}

fn azure_rule(rule: Rule, iso: &dyn Fn(&str) -> String) -> Value {
    let Some(alert) = rule.alert else {
        return json!({"record": rule.record, "expression": rule.expr, "enabled": true});
    };
    let (labels, annotations) = (rule.labels.expect("labels"), rule.annotations.expect("annotations"));
    let severity = match labels.severity.as_str() {
        "critical" => 1,
        "warning" => 2,
        "info" => 3,
        other => panic!("{alert}: no severity is {other}"),
    };
    json!({
        "alert": alert,
        "enabled": true,
        "expression": rule.expr,
        "for": iso(&rule.wait.expect("a wait")),
        "severity": severity,
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

#[test]
fn azure_gets_the_same_rules_within_its_limits() {
    let template = azure();
    for group in template["resources"].as_array().expect("groups") {
        let rules = group["properties"]["rules"].as_array().expect("rules");
        assert!(!rules.is_empty() && rules.len() <= 20);
        for annotation in rules.iter().filter_map(|rule| rule["annotations"].as_object()).flatten() {
            assert!(annotation.1.as_str().is_some_and(|text| text.len() <= 1024), "{annotation:?}");
        }
    }
    let text = serde_json::to_string_pretty(&template).expect("JSON") + "\n";
    expectorate::assert_contents("dashboards/alerts/azure.json", &text);
}

#[test]
fn the_operator_and_the_chart_get_the_same_rules() {
    expectorate::assert_contents("deploy/chart/files/rules/acr-verifier.rules.yaml", RULES);
    let mut text = String::from(
        "# Written by the tests from acr-verifier.rules.yaml.\napiVersion: monitoring.coreos.com/v1\n\
         kind: PrometheusRule\nmetadata:\n  name: acr-verifier\nspec:\n",
    );
    let start = RULES.find("groups:\n").expect("groups");
    for line in RULES[start..].lines() {
        writeln!(text, "  {line}").expect("a string takes everything");
    }
    expectorate::assert_contents("dashboards/alerts/prometheusrule.yaml", &text);
}

/// The alerts' part of the runbook.
pub(crate) fn runbook() -> String {
    let mut text = String::from(
        "\n# Alerts\n\nOne section for each alert of dashboards/alerts/acr-verifier.rules.yaml.\n",
    );
    for (name, rule) in alerts() {
        let (annotations, wait) = (rule.annotations.expect("annotations"), rule.wait.expect("a wait"));
        let severity = rule.labels.expect("labels").severity;
        write!(
            text,
            "\n## {name}\n\n{}\n\n- Severity: {severity}, after {wait}\n- Message: `{}`\n\n\
             Fires while this has a result, and is mended when it has none:\n\n```promql\n{}\n```\n",
            annotations.summary, annotations.description, rule.expr
        )
        .expect("a string takes everything");
    }
    text
}
