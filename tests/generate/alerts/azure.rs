//! The rules as Azure's rule groups: a template of Azure Resource Manager, and the same in Bicep.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Rule, groups_with, settings};

/// Converts a Prometheus duration in one unit to ISO 8601.
pub fn iso(duration: &str) -> String {
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
    let (labels, annotations) =
        (rule.labels.expect("labels"), rule.annotations.expect("annotations").portable());
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

/// A parameter that replaces a value of the chart within texts: its name, the value, and its description.
struct Setting {
    parameter: &'static str,
    value: &'static str,
    description: &'static str,
}

const SETTINGS: [Setting; 3] = [
    Setting {
        parameter: "daemonSetPattern",
        value: "name",
        description: "Names of the DaemonSets of the agents: an RE2 expression for the whole name, in which a backslash is doubled.",
    },
    Setting {
        parameter: "excludedNodes",
        value: "excludedNodes",
        description: "Nodes whose results no rule counts: an RE2 expression for the whole name, in which a backslash is doubled.",
    },
    Setting {
        parameter: "runbookUrl",
        value: "runbookUrl",
        description: "Address of the runbook that alerts link to.",
    },
];

impl Setting {
    /// What stands for the parameter within a text until it is written in one of the languages.
    fn mark(&self) -> String {
        format!("⟦{}⟧", self.parameter)
    }
}

/// Writes the parameters within all texts of a value as expressions of Azure Resource Manager.
fn with_parameters(value: Value) -> Value {
    match value {
        Value::String(text) if text.contains('⟦') => {
            let mut parts = text.split('⟦');
            let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
            let mut arguments = vec![quoted(parts.next().unwrap_or_default())];
            for part in parts {
                let (parameter, rest) = part.split_once('⟧').expect("the end of a mark");
                arguments.extend([format!("parameters('{parameter}')"), quoted(rest)]);
            }
            arguments.retain(|argument| argument != "''");
            format!("[concat({})]", arguments.join(", ")).into()
        }
        Value::Array(items) => items.into_iter().map(with_parameters).collect(),
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(key, item)| (key, with_parameters(item))).collect())
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

/// Returns each group's name and properties, with a mark for each setting.
pub fn azure_groups() -> Vec<(String, Value)> {
    let properties = |interval: &str, rules: Vec<Value>| {
        json!({
            "scopes": SCOPES.arm,
            "clusterName": NAME_OR_NULL.arm,
            "interval": iso(interval),
            "enabled": true,
            "rules": rules,
        })
    };
    let marks = SETTINGS.map(|setting| (setting.value, setting.mark()));
    groups_with(&marks)
        .into_iter()
        .map(|group| {
            (group.name, properties(&group.interval, group.rules.into_iter().map(azure_rule).collect()))
        })
        .collect()
}

/// Returns the rule groups as a template of Azure Resource Manager.
pub fn arm() -> Value {
    let groups = azure_groups().into_iter().map(|(name, properties)| {
        json!({
            "type": "Microsoft.AlertsManagement/prometheusRuleGroups",
            "apiVersion": "2023-03-01",
            "name": format!(
                "[if(empty(parameters('clusterName')), '{name}', concat('{name}.', parameters('clusterName')))]"
            ),
            "location": "[parameters('location')]",
            "properties": with_parameters(properties),
        })
    });
    let parameter = |description: &str| json!({"type": "string", "metadata": {"description": description}});
    let optional = |description: &str| json!({"type": "string", "defaultValue": "", "metadata": {"description": description}});
    let mut template = json!({
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "parameters": {
            "location": {"type": "string", "defaultValue": "[resourceGroup().location]"},
            "workspaceId": parameter(WORKSPACE),
            "clusterName": optional(CLUSTER),
            "clusterId": optional(CLUSTER_ID),
            "actionGroupId": parameter(ACTIONS),
        },
        "resources": groups.collect::<Vec<_>>(),
    });
    for setting in SETTINGS {
        template["parameters"][setting.parameter] = json!({
            "type": "string",
            "defaultValue": settings::default(setting.value),
            "metadata": {"description": setting.description},
        });
    }
    template
}

const WORKSPACE: &str = "Resource ID of the Azure Monitor workspace.";
const CLUSTER: &str = "Name of the AKS cluster: the value of the label cluster. Empty: one group of rules for all clusters of the \
                       workspace.";
const CLUSTER_ID: &str = "Resource ID of the AKS cluster, on whose page the alerts then appear. Empty: none.";
const ACTIONS: &str = "Resource ID of the action group that receives the alerts.";

/// An expression of a template, in both languages.
struct Expression {
    arm: &'static str,
    bicep: &'static str,
}

/// The workspace, and the cluster if it is given.
const SCOPES: Expression = Expression {
    arm: "[if(empty(parameters('clusterId')), createArray(parameters('workspaceId')), \
          createArray(parameters('workspaceId'), parameters('clusterId')))]",
    bicep: "empty(clusterId) ? [workspaceId] : [workspaceId, clusterId]",
};
/// Without a name, the rules evaluate the series of all clusters.
const NAME_OR_NULL: Expression = Expression {
    arm: "[if(empty(parameters('clusterName')), json('null'), parameters('clusterName'))]",
    bicep: "empty(clusterName) ? null : clusterName",
};

/// Formats a value as Bicep. An ARM parameter becomes its name.
pub fn bicep(value: &Value, depth: usize) -> String {
    let gap = "  ".repeat(depth + 1);
    let end = "  ".repeat(depth);
    match value {
        Value::String(text) => {
            if let Some(known) = [&SCOPES, &NAME_OR_NULL].into_iter().find(|known| known.arm == text) {
                return known.bicep.to_owned();
            }
            let parameter = text.strip_prefix("[parameters('").and_then(|text| text.strip_suffix("')]"));
            if let Some(parameter) = parameter {
                return parameter.to_owned();
            }
            let text = text.replace('\\', "\\\\").replace('\'', "\\'").replace("${", "\\${");
            format!("'{}'", text.replace('⟦', "${").replace('⟧', "}"))
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

/// Returns the rule groups as Bicep.
pub fn bicep_file() -> String {
    let mut text = format!(
        "// Generated by tests/generate from acr-verifier.rules.yaml.\n\nparam location string = resourceGroup().location\n\
         @description('{WORKSPACE}')\nparam workspaceId string\n@description('{CLUSTER}')\nparam clusterName string = ''\n\
         @description('{CLUSTER_ID}')\nparam clusterId string = ''\n\
         @description('{ACTIONS}')\nparam actionGroupId string\n"
    );
    for setting in SETTINGS {
        let default = bicep(&settings::default(setting.value).into(), 0);
        writeln!(
            text,
            "@description('{}')\nparam {} string = {default}",
            setting.description, setting.parameter
        )
        .expect("writing to a string cannot fail");
    }
    for (name, properties) in azure_groups() {
        let symbol = name.rsplit('.').next().expect("a name");
        write!(
            text,
            "\nresource {symbol} 'Microsoft.AlertsManagement/prometheusRuleGroups@2023-03-01' = {{\n  \
             name: empty(clusterName) ? '{name}' : '{name}.${{clusterName}}'\n  location: location\n  properties: {}\n}}\n",
            bicep(&properties, 1)
        )
        .expect("writing to a string cannot fail");
    }
    text
}
