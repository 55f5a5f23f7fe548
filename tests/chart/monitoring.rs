//! PodMonitors, annotations, dashboards and rules.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use super::helm::{self, Programs};

fn monitors(programs: &Programs, arguments: &[&str]) -> Vec<String> {
    let objects = programs.objects("minimal", arguments);
    let monitors = objects.iter().filter(|object| object["kind"] == "PodMonitor");
    monitors.map(|object| object["apiVersion"].as_str().expect("a version").to_owned()).collect()
}

#[test]
fn a_pod_monitor_is_created_if_enabled_or_detected() {
    let Some(programs) = helm::programs() else { return };
    let (operator, azure) = ("monitoring.coreos.com/v1", "azmonitoring.coreos.com/v1");
    let cases: [(&[&str], &[&str]); 6] = [
        (&[], &[]),
        (&["--api-versions", "monitoring.coreos.com/v1/PodMonitor"], &[operator]),
        (&["--api-versions", "azmonitoring.coreos.com/v1/PodMonitor"], &[azure]),
        (
            &[
                "--api-versions",
                "azmonitoring.coreos.com/v1/PodMonitor",
                "--set",
                "podMonitor.azureMonitor=false",
            ],
            &[],
        ),
        (&["--set", "podMonitor.azureMonitor=true"], &[azure]),
        (&["--set", "podMonitor.azureMonitor=true,podMonitor.prometheusOperator=true"], &[operator, azure]),
    ];
    for (arguments, expected) in cases {
        let mut found = monitors(&programs, arguments);
        found.sort_by_key(|version| version.starts_with("az"));
        assert_eq!(found, expected, "{arguments:?}");
    }
}

#[test]
fn a_pod_monitor_selects_the_agents_and_honors_their_labels() {
    let Some(programs) = helm::programs() else { return };
    let objects = programs.objects("everything", &[]);
    let agent = helm::the(&objects, "DaemonSet");
    let monitors: Vec<&Value> = objects.iter().filter(|object| object["kind"] == "PodMonitor").collect();
    assert_eq!(monitors.len(), 2);
    for monitor in monitors {
        assert_eq!(monitor["metadata"]["labels"]["release"], "monitoring");
        assert_eq!(monitor["metadata"]["namespace"], agent["metadata"]["namespace"]);
        assert_eq!(monitor["spec"]["selector"], agent["spec"]["selector"]);
        let port = &agent["spec"]["template"]["spec"]["containers"][0]["ports"][0]["name"];
        let endpoint = json!({
            "port": port, "path": "/metrics", "interval": "30s", "scrapeTimeout": "10s", "honorLabels": true,
            "relabelings": [
                {"sourceLabels": ["__meta_kubernetes_node_label_topology_kubernetes_io_zone"], "targetLabel": "zone"}
            ],
            "metricRelabelings": [
                {"sourceLabels": ["__name__"], "regex": "acr_verifier_stage_duration_seconds_bucket", "action": "drop"}
            ],
        });
        assert_eq!(monitor["spec"]["podMetricsEndpoints"], json!([endpoint]));
        assert_eq!(monitor["spec"]["sampleLimit"], 5000);
        assert_eq!(monitor["spec"]["attachMetadata"], json!({"node": true}));
        let is_azure = monitor["apiVersion"] == "azmonitoring.coreos.com/v1";
        for (key, limit) in
            [("labelLimit", 63), ("labelNameLengthLimit", 511), ("labelValueLengthLimit", 1023)]
        {
            assert_eq!(monitor["spec"].get(key), is_azure.then(|| json!(limit)).as_ref(), "{key}");
        }
    }
}

#[test]
fn a_pod_monitor_leaves_optional_settings_to_the_server() {
    let Some(programs) = helm::programs() else { return };
    let objects = programs.objects("minimal", &["--set", "podMonitor.azureMonitor=true"]);
    let spec = &helm::the(&objects, "PodMonitor")["spec"];
    let endpoint = json!({"port": "http", "path": "/metrics", "interval": "60s", "honorLabels": true});
    assert_eq!(spec["podMetricsEndpoints"], json!([endpoint]));
    assert!(spec.get("sampleLimit").is_none() && spec.get("attachMetadata").is_none(), "{spec}");
}

#[test]
fn dashboards_in_another_namespace_name_their_release() {
    let Some(programs) = helm::programs() else { return };
    for (namespace, name) in [
        ("monitoring", "acr-verifier-acr-verifier-dashboard-node"),
        ("acr-verifier", "acr-verifier-dashboard-node"),
    ] {
        let setting = format!("dashboards.enabled=true,dashboards.namespace={namespace}");
        let objects = programs.objects("minimal", &["--set", &setting]);
        let found = objects.iter().find(|object| object["metadata"]["name"] == name).expect("the dashboard");
        assert_eq!(found["metadata"]["namespace"], namespace);
    }
}

#[test]
fn annotations_name_the_port() {
    let Some(programs) = helm::programs() else { return };
    let objects = programs.objects("quiet", &["--set", "port=9500"]);
    let annotations = &helm::the(&objects, "DaemonSet")["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(annotations["prometheus.io/scrape"], "true");
    assert_eq!(annotations["prometheus.io/path"], "/metrics");
    assert_eq!(annotations["prometheus.io/port"], "9500");
}

#[test]
fn dashboards_and_rules_are_rendered_unchanged() {
    let Some(programs) = helm::programs() else { return };
    let copy = helm::copy();
    let dashboard = "{\n  \"title\": \"{{node}} of {{ .Values.port }}\"\n}\n";
    let rules = "groups:\n  - name: acr-verifier\n    rules:\n      - alert: AcrVerifierTest\n        expr: up == 0\n        annotations:\n          summary: On {{ $labels.node }}.\n";
    for (folder, name, text) in [("dashboards", "Overview.json", dashboard), ("rules", "alerts.yaml", rules)]
    {
        let folder = copy.path().join("files").join(folder);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(name), text).expect("a file");
    }
    let files = helm::values_of("minimal");
    let arguments = [
        "--values",
        files[0].as_str(),
        "--set",
        "dashboards.enabled=true,rules.enabled=true,rules.additionalLabels.release=monitoring",
    ];
    let objects = helm::parse(&programs.template(copy.path(), &arguments).expect("it renders"));
    let named =
        |name: &str| objects.iter().find(|object| object["metadata"]["name"] == name).expect("the object");
    let found = named("acr-verifier-dashboard-overview");
    assert_eq!(found["metadata"]["labels"]["grafana_dashboard"], "1");
    // YAML may keep or drop the trailing newline.
    assert_eq!(found["data"]["Overview.json"].as_str().expect("a text").trim_end(), dashboard.trim_end());
    let found = named("acr-verifier-alerts");
    assert_eq!(
        (&found["kind"], &found["metadata"]["labels"]["release"]),
        (&json!("PrometheusRule"), &json!("monitoring"))
    );
    assert_eq!(found["spec"], helm::parse(rules)[0]);
}

/// The rules of an installed chart, named `acr-verifier`.
fn installed_rules(programs: &Programs, settings: &[&str]) -> Value {
    let mut arguments = vec!["--set", "rules.enabled=true"];
    for setting in settings {
        arguments.extend(["--set-json", setting]);
    }
    let objects = programs.objects("minimal", &arguments);
    helm::the(&objects, "PrometheusRule")["spec"].clone()
}

#[test]
fn the_default_values_render_the_rules_of_the_repository() {
    let Some(programs) = helm::programs() else { return };
    assert_eq!(installed_rules(&programs, &[]), helm::parse(&generate::alerts::rules())[0]);
}

/// Every text in a value, with its key, one for each line.
fn texts(value: &Value) -> String {
    match value {
        Value::Array(items) => items.iter().map(texts).collect(),
        Value::Object(members) => {
            let lines = members.iter().map(|(key, inner)| match inner {
                Value::String(text) => format!("{key}: {text}\n"),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                    texts(inner)
                }
            });
            lines.collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => String::new(),
    }
}

#[test]
fn every_setting_of_the_rules_reaches_an_expression_or_a_text() {
    let Some(programs) = helm::programs() else { return };
    let outage = r#"rules.outage={"minNodes": 3, "nodes": 25, "ratio": 0.15}"#;
    let cases: [(&str, &[&str]); 12] = [
        (r#"rules.excludedNodes="""#, &[r#"acr_verifier_last_check_timestamp_seconds{node!~""}"#]),
        (r#"rules.excludedNodes="aks-gpu-\\d+""#, &[r#"node!~"aks-gpu-\\d+""#]),
        (outage, &["nodes_broken:count >= 3 and", ">= 25 or", ">= 0.15)"]),
        ("rules.objective=0.999", &["14.4 * (1 - 0.999)", "the objective is 99.9 %"]),
        ("rules.expiryDays=30", &["< 30 * 86400"]),
        ("rules.staleSeconds=7200", &["> 7200"]),
        ("rules.inconclusiveRatio=0.5", &["> 0.5"]),
        (
            r#"rules.runbookUrl="https://wiki.contoso.com/runbook""#,
            &["runbook_url: https://wiki.contoso.com/runbook#acrverifierchecksstale"],
        ),
        (r#"rules.alerts.AcrVerifierChecksStale={"for": "45m"}"#, &["for: 45m"]),
        (r#"rules.alerts.AcrVerifierChecksStale={"severity": "ticket"}"#, &["severity: ticket"]),
        (r#"rules.labels={"team": "platform"}"#, &["team: platform"]),
        (
            r#"fullnameOverride="pull-check""#,
            &[
                r#"daemonset=~"((.+-)?acr-verifier(-.+)?|pull-check)""#,
                r#"pod=~"((.+-)?acr-verifier(-.+)?|pull-check)-.+""#,
            ],
        ),
    ];
    for (setting, expected) in cases {
        let rules = texts(&installed_rules(&programs, &[setting]));
        for text in expected {
            assert!(rules.contains(text), "{setting}: no {text} in {rules}");
        }
        assert!(!rules.contains("$("), "{setting}: {rules}");
    }
}

#[test]
fn an_alert_that_is_switched_off_is_left_out() {
    let Some(programs) = helm::programs() else { return };
    let setting = "rules.alerts.AcrVerifierChecksStale={\"enabled\": false}";
    let rules = installed_rules(&programs, &[setting]).to_string();
    assert!(!rules.contains("AcrVerifierChecksStale") && rules.contains("AcrVerifierAgentAbsent"), "{rules}");
}

#[test]
fn every_alert_has_settings_in_values_and_schema() {
    let values = &helm::parse(&fs::read_to_string(helm::chart().join("values.yaml")).expect("values"))[0];
    let schema: Value = serde_json::from_str(
        &fs::read_to_string(helm::chart().join("values.schema.json")).expect("a schema"),
    )
    .expect("JSON");
    let known = &schema["properties"]["rules"]["properties"]["alerts"]["properties"];
    let alerts: Vec<String> = generate::alerts::alerts().into_iter().map(|(name, _)| name).collect();
    for keys in [&values["rules"]["alerts"], known] {
        let keys: BTreeSet<&String> = keys.as_object().expect("a map").keys().collect();
        assert_eq!(keys, alerts.iter().collect());
    }
}

#[test]
fn packaged_dashboards_and_rules_are_installed_on_demand() {
    let Some(programs) = helm::programs() else { return };
    for (folder, kind, setting) in [
        ("dashboards", "ConfigMap", "dashboards.enabled=true"),
        ("rules", "PrometheusRule", "rules.enabled=true"),
    ] {
        let files = fs::read_dir(helm::chart().join("files").join(folder)).expect("a folder");
        let names = files.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        let carried = names.filter(|name| !name.starts_with('.')).count();
        if carried == 0 {
            // Their rejection is tested in `refusals`.
            continue;
        }
        let objects = programs.objects("minimal", &["--set", setting]);
        let component = objects.iter().filter(|object| {
            object["kind"] == kind && object["metadata"]["labels"]["app.kubernetes.io/component"] == folder
        });
        assert_eq!(component.count(), carried, "{folder}");
    }
}
