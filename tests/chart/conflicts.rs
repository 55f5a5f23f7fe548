//! Values that contradict the chart's own objects, and `null`.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::helm::{self, Programs};

/// Settings added to the minimal values as JSON, and what the message must contain: key, value and expectation.
const CASES: [(&[&str], &[&str]); 59] = [
    // Labels and annotations.
    (
        &[r#"podLabels={"app.kubernetes.io/name":"other"}"#],
        &["\"app.kubernetes.io/name\" in podLabels", "selectors depend on it"],
    ),
    (
        &[r#"commonLabels={"app.kubernetes.io/component":"x"}"#],
        &["\"app.kubernetes.io/component\" in commonLabels"],
    ),
    (
        &[r#"podMonitor.additionalLabels={"helm.sh/chart":"x"}"#],
        &["\"helm.sh/chart\" in podMonitor.additionalLabels"],
    ),
    (
        &[r#"commonLabels={"team":"a"}"#, r#"podLabels={"team":"b"}"#],
        &["\"team\" in podLabels", "duplicate key", "commonLabels has it too"],
    ),
    (&[r#"commonLabels={"kubernetes.azure.com/managedby":"aks"}"#], &["in commonLabels", "reserved for AKS"]),
    (
        &[r#"commonLabels={"azure.workload.identity/use":"true"}"#],
        &["azure.workload.identity/use", "commonLabels", "the smoke check"],
    ),
    (
        &[r#"commonAnnotations={"helm.sh/hook":"test"}"#],
        &["\"helm.sh/hook\" in commonAnnotations", "smoke.annotations"],
    ),
    (
        &[r#"commonAnnotations={"argocd.argoproj.io/hook":"Sync"}"#],
        &["\"argocd.argoproj.io/hook\" in commonAnnotations", "every object into a hook"],
    ),
    (
        &[r#"podAnnotations={"acr-verifier/start-settings":"x"}"#],
        &["\"acr-verifier/start-settings\" in podAnnotations", "the chart sets it"],
    ),
    (
        &["prometheusAnnotations=true", r#"podAnnotations={"prometheus.io/port":"1"}"#],
        &["\"prometheus.io/port\" in podAnnotations", "the chart sets it"],
    ),
    // Volumes, mounts and variables.
    (
        &[r#"extraVolumes=[{"name":"config","emptyDir":{}}]"#],
        &["extraVolumes[0].name", "\"config\"", "another name"],
    ),
    (&[r#"extraVolumes=[{"name":"api-token","emptyDir":{}}]"#], &["extraVolumes[0].name", "\"api-token\""]),
    (
        &[r#"extraVolumes=[{"name":"node-etc-systemd","emptyDir":{}}]"#],
        &["extraVolumes[0].name", "\"node-etc-systemd\""],
    ),
    (
        &[r#"extraVolumes=[{"name":"credentials-f61820ddb6","emptyDir":{}}]"#],
        &["extraVolumes[0].name", "\"credentials-f61820ddb6\""],
    ),
    (
        &[r#"extraVolumes=[{"name":"a","emptyDir":{}},{"name":"a","emptyDir":{}}]"#],
        &["extraVolumes[1].name", "duplicate name"],
    ),
    (
        &[r#"extraVolumeMounts=[{"name":"a","mountPath":"/mnt/a"}]"#],
        &["extraVolumeMounts[0].name", "\"a\"", "no such volume"],
    ),
    (&[VOLUME, r#"extraVolumeMounts=[{"name":"a","mountPath":"/etc/acr-verifier"}]"#], &COVERS_CONFIG),
    (&[VOLUME, r#"extraVolumeMounts=[{"name":"a","mountPath":"/etc/acr-verifier/"}]"#], &COVERS_CONFIG),
    (&[VOLUME, r#"extraVolumeMounts=[{"name":"a","mountPath":"/mnt/../etc"}]"#], &COVERS_CONFIG),
    (&[VOLUME, r#"extraVolumeMounts=[{"name":"a","mountPath":"/"}]"#], &COVERS_CONFIG),
    (
        &[VOLUME, r#"extraVolumeMounts=[{"name":"a","mountPath":"/host/etc/ssl"}]"#],
        &["mountPath", "/host of the chart"],
    ),
    (
        &[VOLUME, r#"extraVolumeMounts=[{"name":"a","mountPath":"/var/run/secrets/acr-verifier/acr-pull"}]"#],
        &["mountPath", "/var/run/secrets/acr-verifier/acr-pull of the chart"],
    ),
    (
        &[
            VOLUME,
            r#"extraVolumeMounts=[{"name":"a","mountPath":"/mnt/a"},{"name":"a","mountPath":"/mnt/a/"}]"#,
        ],
        &["extraVolumeMounts[1].mountPath", "duplicate path"],
    ),
    (&[r#"extraEnv=[{"name":"NETWORK_VIEW","value":"node"}]"#], &["extraEnv[0].name", "\"NETWORK_VIEW\""]),
    (
        &[r#"extraEnv=[{"name":"SSL_CERT_FILE","value":"/x"}]"#],
        &["extraEnv[0].name", "\"SSL_CERT_FILE\"", "config.tls"],
    ),
    (
        &[r#"extraEnv=[{"name":"A","value":"1"},{"name":"A","value":"2"}]"#],
        &["extraEnv[1].name", "duplicate variable"],
    ),
    (
        &[r#"extraEnv=[{"name":"A","value":"1","valueFrom":{}}]"#],
        &["extraEnv[0]", "value cannot be used with valueFrom"],
    ),
    // Security contexts.
    (
        &[r#"podSecurityContext={"runAsUser":0}"#],
        &["podSecurityContext.runAsUser", "as root", "an ID from 1"],
    ),
    (&[r#"podSecurityContext={"fsGroup":0}"#], &["podSecurityContext.fsGroup", "an ID from 1"]),
    (
        &[r#"podSecurityContext={"supplementalGroups":[0]}"#],
        &["podSecurityContext.supplementalGroups", "root's group"],
    ),
    (
        &[r#"podSecurityContext={"runAsNonRoot":false}"#],
        &["podSecurityContext.runAsNonRoot", "expected true"],
    ),
    (
        &[r#"podSecurityContext={"seccompProfile":{"type":"Unconfined"}}"#],
        &["podSecurityContext.seccompProfile.type", "\"Unconfined\"", "RuntimeDefault or Localhost"],
    ),
    (&[r#"podSecurityContext={"sysctls":[]}"#], &["/podSecurityContext", "'sysctls' not allowed"]),
    (&[r#"securityContext={"runAsGroup":0}"#], &["securityContext.runAsGroup", "an ID from 1"]),
    (
        &[r#"securityContext={"readOnlyRootFilesystem":false}"#],
        &["securityContext.readOnlyRootFilesystem", "expected true"],
    ),
    (
        &[r#"securityContext={"allowPrivilegeEscalation":true}"#],
        &["securityContext.allowPrivilegeEscalation"],
    ),
    (&[r#"securityContext={"privileged":true}"#], &["securityContext.privileged", "expected false"]),
    (
        &[r#"securityContext={"capabilities":{"add":["NET_RAW"]}}"#],
        &["securityContext.capabilities", "drop: [ALL]"],
    ),
    (&[r#"securityContext={"capabilities":{"drop":[]}}"#], &["securityContext.capabilities", "drop: [ALL]"]),
    // Updates, nodes, DNS.
    (
        &[r#"updateStrategy={"maxUnavailable":0,"maxSurge":1}"#],
        &["updateStrategy.maxSurge cannot be used with hostNetwork", "listen on port 9469"],
    ),
    (
        &["hostNetwork=false", "updateStrategy.maxSurge=1"],
        &["updateStrategy.maxSurge cannot be used with maxUnavailable 10%", "maxUnavailable: 0"],
    ),
    (
        &["hostNetwork=false", r#"updateStrategy={"type":"OnDelete","maxSurge":1}"#],
        &["updateStrategy.maxSurge cannot be used with type OnDelete"],
    ),
    (&["updateStrategy.maxUnavailable=0"], &["updateStrategy.maxUnavailable", "a number from 1"]),
    (&[r#"nodeSelector={"kubernetes.io/os":"windows"}"#], &["\"windows\"", "nodeSelector", "Linux only"]),
    // The agents' server.
    (
        &["hostNetwork=false", r#"config.server={"address":"node:9469"}"#],
        &[
            "\"node:9469\" for config.server.address",
            "on the pod network",
            "hostNetwork: true",
            "0.0.0.0:9469",
        ],
    ),
    (
        &[r#"config.server={"checksOnDemand":"key"}"#],
        &["checksOnDemand key requires config.server.keySecret", "the name of a Secret"],
    ),
    (
        &[r#"config.server={"keySecret":{"name":"check-key"}}"#],
        &["config.server.keySecret cannot be used with checksOnDemand open", "checksOnDemand: key"],
    ),
    (
        &[r#"config.server={"checksOnDemand":"disabled","keySecret":{"name":"check-key"}}"#],
        &["config.server.keySecret cannot be used with checksOnDemand disabled"],
    ),
    (
        &[r#"config.server={"checksOnDemand":"disabled"}"#, r#"config.schedule={"interval":"5m"}"#],
        &["smoke.timeout 3m", "waits for a regular check", "360 s apart", "smoke.enabled: false"],
    ),
    (
        &[r#"config.server={"checksOnDemand":"disabled"}"#, r#"config.schedule={"interval":"170s"}"#],
        &["smoke.timeout 3m", "waits for a regular check", "204 s apart", "smoke.enabled: false"],
    ),
    (
        &[r#"config.server={"checksOnDemand":"disabled"}"#, r#"config.schedule={"fleetSize":5000}"#],
        &["smoke.timeout 3m", "waits for a regular check", "810 s apart", "smoke.enabled: false"],
    ),
    (
        &[r#"extraVolumes=[{"name":"check-key","emptyDir":{}}]"#],
        &["\"check-key\" for extraVolumes[0].name", "another name"],
    ),
    (
        &[
            r#"extraVolumes=[{"name":"mine","emptyDir":{}}]"#,
            r#"extraVolumeMounts=[{"name":"mine","mountPath":"/var/run/secrets/acr-verifier-check-key"}]"#,
        ],
        &["extraVolumeMounts[0].mountPath", "it would cover /var/run/secrets/acr-verifier-check-key"],
    ),
    (&[r#"extraEnv=[{"name":"NODE_IPS","value":"10.224.0.4"}]"#], &["extraEnv[0].name", "\"NODE_IPS\""]),
    (&[r#"dnsConfig={"nameservers":["10.0.0.10"]}"#], &["dnsConfig.nameservers", "config.resolvers.compare"]),
    (
        &[r#"hostAliases=[{"ip":"10.60.4.4","hostnames":["Contoso.azurecr.io"]}]"#],
        &["hostAliases[0].hostnames", "\"Contoso.azurecr.io\"", "only by DNS"],
    ),
    // Scraping and the smoke check.
    (&[r#"podMonitor.scrapeTimeout="90s""#], &["podMonitor.scrapeTimeout", "\"90s\"", "at most 60s"]),
    (
        &[r#"smoke.annotations={"argocd.argoproj.io/hook":"PostSync"}"#],
        &["smoke.annotations", "cannot be used with smoke.mode test", "smoke.mode: job"],
    ),
    (&[r#"smoke.serviceAccount.name="acr-verifier""#], &["smoke.serviceAccount.name", "another name"]),
];
const VOLUME: &str = r#"extraVolumes=[{"name":"a","emptyDir":{}}]"#;
const COVERS_CONFIG: [&str; 3] =
    ["extraVolumeMounts[0].mountPath", "/etc/acr-verifier of the chart", "another path"];

fn render(programs: &Programs, settings: &[&str]) -> Result<String, String> {
    let files = helm::values_of("minimal");
    let mut arguments = vec!["--values", files[0].as_str()];
    arguments.extend(settings.iter().flat_map(|setting| ["--set-json", setting]));
    programs.template(&helm::chart(), &arguments)
}

#[test]
fn contradictions_are_rejected_with_key_value_and_expectation() {
    let Some(programs) = helm::programs() else { return };
    let mut missing = Vec::new();
    for (settings, fragments) in CASES {
        match render(&programs, settings) {
            Ok(_) => missing.push(format!("{settings:?} is accepted")),
            Err(message) => {
                let absent = fragments.iter().filter(|fragment| !message.contains(**fragment));
                missing.extend(
                    absent.map(|fragment| format!("{settings:?} should report {fragment}:\n{message}")),
                );
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn similar_values_without_a_contradiction_are_accepted() {
    let Some(programs) = helm::programs() else { return };
    for settings in [
        &[VOLUME, r#"extraVolumeMounts=[{"name":"a","mountPath":"/etc/acr-verifier-extra"}]"#][..],
        &[VOLUME, r#"extraVolumeMounts=[{"name":"a","mountPath":"/var/run/secrets/acr-verifier/vault"}]"#],
        &[VOLUME, r#"extraVolumeMounts=[{"name":"a","mountPath":"/host"}]"#, "nodeFiles.enabled=false"],
        &[r#"commonAnnotations={"argocd.argoproj.io/sync-wave":"1","helm.sh/resource-policy":"keep"}"#],
        &[r#"podLabels={"app.kubernetes.io/owner":"platform"}"#],
        &[r#"nodeSelector={"kubernetes.io/os":"linux"}"#],
        &[r#"podMonitor.scrapeTimeout="60s""#],
        &[r#"securityContext={"capabilities":{"drop":["ALL"]},"privileged":false}"#],
        &["smoke.enabled=false", r#"smoke.annotations={"helm.sh/hook":"post-install"}"#],
    ] {
        render(&programs, settings).unwrap_or_else(|error| panic!("{settings:?}: {error}"));
    }
}

/// By their outcome: `auto` creates a PodMonitor if the cluster has the API.
#[test]
fn annotations_for_scraping_are_rejected_next_to_a_pod_monitor() {
    let Some(programs) = helm::programs() else { return };
    let files = helm::values_of("minimal");
    let (azure, operator) = ("azmonitoring.coreos.com/v1/PodMonitor", "monitoring.coreos.com/v1/PodMonitor");
    for (arguments, expected) in [
        (vec![], None),
        (vec!["--api-versions", azure], Some("a PodMonitor of azmonitoring.coreos.com:")),
        (vec!["--api-versions", operator], Some("a PodMonitor of monitoring.coreos.com:")),
        (vec!["--api-versions", azure, "--set", "podMonitor.azureMonitor=false"], None),
        (vec!["--set", "podMonitor.prometheusOperator=true"], Some("a PodMonitor of monitoring.coreos.com:")),
    ] {
        let all = [&["--values", files[0].as_str(), "--set", "prometheusAnnotations=true"][..], &arguments]
            .concat();
        let error = programs.template(&helm::chart(), &all).err();
        assert_eq!(error.is_some(), expected.is_some(), "{arguments:?}: {error:?}");
        if let (Some(error), Some(expected)) = (error, expected) {
            assert!(error.contains(expected) && error.contains("scraped twice"), "{arguments:?}: {error}");
        }
    }
}

fn paths(prefix: &str, value: &Value, found: &mut BTreeSet<String>) {
    if let Some(map) = value.as_object() {
        for (key, inner) in map {
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            paths(&path, inner, found);
            found.insert(path);
        }
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
        let Err(message) = render(&programs, &[&format!("{key}=null")]) else { continue };
        rejected += 1;
        let name = key.rsplit('.').next().expect("a name");
        let is_named =
            message.contains(&format!("missing property '{name}'")) || message.contains(key.as_str());
        if !is_named || message.contains("nil pointer") || message.contains("wrong type") {
            wrong.push(format!("{key}: {message}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rejected > 50 && rejected < keys.len(), "{rejected} of {}", keys.len());
}
