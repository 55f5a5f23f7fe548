//! Usual settings of a chart: labels, annotations, security contexts, updates, DNS, variables.

use serde_json::{Value, json};

use super::helm::{self, VARIANTS};

#[test]
fn common_labels_and_annotations_are_on_every_object() {
    let Some(programs) = helm::programs() else { return };
    let settings = [
        "--set",
        "commonLabels.team=platform,commonAnnotations.source=charts,rules.enabled=true,dashboards.enabled=true",
    ];
    for (variant, _) in VARIANTS {
        let objects = programs.objects(variant, &settings);
        let selector = &helm::the(&objects, "DaemonSet")["spec"]["selector"]["matchLabels"];
        assert!(selector.get("team").is_none(), "{variant}: a selector cannot be changed");
        for object in &objects {
            let metadata = &object["metadata"];
            assert_eq!(metadata["labels"]["team"], "platform", "{variant}: {metadata}");
            assert_eq!(metadata["annotations"]["source"], "charts", "{variant}: {metadata}");
            let template = ["/spec/template", "/spec/jobTemplate/spec/template"];
            for template in template.into_iter().filter_map(|path| object.pointer(path)) {
                assert_eq!(template["metadata"]["labels"]["team"], "platform", "{variant}");
                assert!(template["metadata"]["annotations"].get("source").is_none(), "{variant}");
            }
        }
    }
}

#[test]
fn security_contexts_are_added_to_those_of_the_chart() {
    let Some(programs) = helm::programs() else { return };
    let objects = programs.objects("everything", &[]);
    let smoke = &helm::smoke_job(&objects)["template"]["spec"];
    for pod in [helm::agent(&objects), smoke] {
        assert_eq!(
            pod["securityContext"],
            json!({
                "runAsNonRoot": true, "runAsUser": 1_000_650_000, "runAsGroup": 1_000_650_000, "fsGroup": 1_000_650_000,
                "supplementalGroups": [20_000],
                "seLinuxOptions": {"level": "s0:c26,c5"},
                "seccompProfile": {"type": "RuntimeDefault"},
            })
        );
        assert_eq!(
            pod["containers"][0]["securityContext"],
            json!({
                "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "runAsNonRoot": true,
                "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "Localhost", "localhostProfile": "profiles/agent.json"},
            })
        );
    }
}

#[test]
fn updates_follow_the_strategy() {
    let Some(programs) = helm::programs() else { return };
    for (variant, expected, limit) in [
        ("minimal", json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}}), 10),
        ("everything", json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 3}}), 3),
        (
            "cronjob",
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}}),
            10,
        ),
        ("quiet", json!({"type": "OnDelete"}), 10),
    ] {
        let objects = programs.objects(variant, &[]);
        let specification = &helm::the(&objects, "DaemonSet")["spec"];
        assert_eq!(specification["updateStrategy"], expected, "{variant}");
        assert_eq!(specification["revisionHistoryLimit"], limit, "{variant}");
    }
}

#[test]
fn variables_and_dns_settings_are_added_for_the_agents_only() {
    let Some(programs) = helm::programs() else { return };
    let objects = programs.objects("everything", &[]);
    let pod = helm::agent(&objects);
    let variables = pod["containers"][0]["env"].as_array().expect("variables");
    let names: Vec<&Value> = variables.iter().map(|variable| &variable["name"]).collect();
    assert_eq!(names[names.len() - 3..], ["NETWORK_VIEW", "KUBERNETES_SERVICE_HOST", "TEAM"]);
    assert_eq!(pod["dnsPolicy"], "Default");
    assert_eq!(
        pod["dnsConfig"],
        json!({"searches": ["contoso.internal"], "options": [{"name": "ndots", "value": "1"}]})
    );
    assert_eq!(pod["hostAliases"], json!([{"ip": "10.60.0.4", "hostnames": ["api.contoso.internal"]}]));
    let smoke = &helm::smoke_job(&objects)["template"]["spec"];
    assert!(smoke.get("dnsConfig").is_none() && smoke["containers"][0].get("env").is_none());
    let minimal = programs.objects("minimal", &[]);
    let pod = helm::agent(&minimal);
    assert!(pod.get("dnsConfig").is_none() && pod.get("hostAliases").is_none());
}

/// A map of defaults, such as the affinity, can only be removed by `null`.
#[test]
fn null_removes_the_defaults_of_lists_and_maps() {
    let Some(programs) = helm::programs() else { return };
    let objects = programs.objects("minimal", &["--set", "affinity=null,tolerations=null,nodeSelector=null"]);
    let pod = helm::agent(&objects);
    assert!(pod.get("affinity").is_none() && pod.get("tolerations").is_none(), "{pod}");
    assert_eq!(pod["nodeSelector"], json!({"kubernetes.io/os": "linux"}));
}
