//! Values that contradict the chart's own objects.

use super::helm::{self, Programs};

/// Settings added to the minimal values as JSON, and what the message must contain: key, value and expectation.
pub(super) type Case = (&'static [&'static str], &'static [&'static str]);

const CASES: &[Case] = &[
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
        &["\"argocd.argoproj.io/hook\" in commonAnnotations", "objects of the release into hooks"],
    ),
    (
        &[r#"serviceAccount.annotations={"helm.sh/hook":"pre-install"}"#],
        &["\"helm.sh/hook\" in serviceAccount.annotations", "smoke.annotations"],
    ),
    (
        &[r#"dashboards.annotations={"argocd.argoproj.io/hook-weight":"1"}"#],
        &["\"argocd.argoproj.io/hook-weight\" in dashboards.annotations", "smoke.annotations"],
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
    (
        &[VOLUME, r#"extraVolumeMounts=[{"name":"a","mountPath":"/etc/resolv.conf"}]"#],
        &["\"/etc/resolv.conf\" for extraVolumeMounts[0].mountPath", "/etc/resolv.conf of the kubelet"],
    ),
    (
        &[VOLUME, r#"extraVolumeMounts=[{"name":"a","mountPath":"/etc"}]"#],
        &["/etc/acr-verifier of the chart", "/etc/hosts of the kubelet", "/etc/ssl/certs of the image"],
    ),
    (
        &[VOLUME, r#"extraVolumeMounts=[{"name":"a","mountPath":"/etc/ssl"}]"#],
        &["/etc/ssl/certs of the image", "config.tls adds to", "another path"],
    ),
    (
        &[VOLUME, r#"extraVolumeMounts=[{"name":"a","mountPath":"/proc"}]"#],
        &["/proc of the container runtime"],
    ),
    (
        &[r#"nodeFiles.paths=[{"path":"/etc/ssl","type":"Directory"},{"path":"/etc/ssl","type":""}]"#],
        &["\"/etc/ssl\" for nodeFiles.paths[1].path", "duplicate path"],
    ),
    (
        &[r#"extraEnv=[{"name":"SSL_CERT_FILE","value":"/x"}]"#],
        &["extraEnv[0].name", "\"SSL_CERT_FILE\"", "config.tls"],
    ),
    (
        &[r#"extraEnv=[{"name":"A","value":"1"},{"name":"A","value":"2"}]"#],
        &["extraEnv[1].name", "duplicate variable"],
    ),
    (
        &[r#"extraEnv=[{"name":"A","value":"1","valueFrom":{"fieldRef":{"fieldPath":"spec.nodeName"}}}]"#],
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
    (
        &[r#"smoke.nodeSelector={"beta.kubernetes.io/os":"windows"}"#],
        &["\"windows\" for beta.kubernetes.io/os in smoke.nodeSelector", "Linux only"],
    ),
    (
        &[
            r#"affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms=[{"matchExpressions":[{"key":"kubernetes.io/os","operator":"In","values":["windows"]}]}]"#,
        ],
        &["\"kubernetes.io/os In [windows]\" in affinity", "Linux only"],
    ),
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
    (
        &[r#"smoke.serviceAccount={"create":false,"name":"acr-verifier"}"#],
        &["\"acr-verifier\" for smoke.serviceAccount.name", "another name"],
    ),
    (
        &[
            r#"serviceAccount={"create":false,"name":"shared"}"#,
            r#"smoke.serviceAccount={"create":false,"name":"shared"}"#,
        ],
        &["\"shared\" for smoke.serviceAccount.name", "the smoke check may list nodes"],
    ),
    (
        &[r#"serviceAccount={"create":false,"name":"shared"}"#, r#"smoke.serviceAccount.name="shared""#],
        &["\"shared\" for smoke.serviceAccount.name"],
    ),
    (
        &[r#"smoke.mode="job""#, r#"smoke.annotations={"helm.sh/hook":"post-install,pre-upgrade"}"#],
        &["\"pre-upgrade\" for helm.sh/hook in smoke.annotations", "post-install, post-upgrade"],
    ),
    (
        &[r#"smoke.mode="job""#, r#"smoke.annotations={"argocd.argoproj.io/hook":"PreSync"}"#],
        &["\"PreSync\" for argocd.argoproj.io/hook in smoke.annotations", "expected PostSync"],
    ),
    (
        &[
            "hostNetwork=false",
            "networkPolicy.enabled=true",
            "smoke.hostNetwork=true",
            r#"networkPolicy.ingressFrom=[{"namespaceSelector":{}}]"#,
        ],
        &["smoke.hostNetwork cannot be used with networkPolicy.ingressFrom", "the ipBlock of the nodes"],
    ),
];
const VOLUME: &str = r#"extraVolumes=[{"name":"a","emptyDir":{}}]"#;
const COVERS_CONFIG: [&str; 3] =
    ["extraVolumeMounts[0].mountPath", "/etc/acr-verifier of the chart", "another path"];

pub(super) fn render(programs: &Programs, settings: &[&str]) -> Result<String, String> {
    let files = helm::values_of("minimal");
    let mut arguments = vec!["--values", files[0].as_str()];
    arguments.extend(settings.iter().flat_map(|setting| ["--set-json", setting]));
    programs.template(&helm::chart(), &arguments)
}

/// Asserts that each case is rejected with a message that has every fragment, and is not a trace of a template.
pub(super) fn assert_rejected(programs: &Programs, cases: &[Case]) {
    let mut wrong = Vec::new();
    for (settings, fragments) in cases {
        match render(programs, settings) {
            Ok(_) => wrong.push(format!("{settings:?} is accepted")),
            Err(message) => {
                let absent = fragments.iter().filter(|fragment| !message.contains(**fragment));
                wrong.extend(
                    absent.map(|fragment| format!("{settings:?} should report {fragment}:\n{message}")),
                );
                if ["error calling", "nil pointer", "%!"].iter().any(|trace| message.contains(trace)) {
                    wrong.push(format!("{settings:?} ends in a trace:\n{message}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn contradictions_are_rejected_with_key_value_and_expectation() {
    let Some(programs) = helm::programs() else { return };
    assert_rejected(&programs, CASES);
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
        &[r#"smoke.mode="job""#, r#"smoke.annotations={"helm.sh/hook":"post-install, post-upgrade"}"#],
        &["hostNetwork=false", "networkPolicy.enabled=true", "smoke.hostNetwork=true"],
        &[
            "hostNetwork=false",
            "networkPolicy.enabled=true",
            "smoke.hostNetwork=true",
            r#"networkPolicy.ingressFrom=[{"ipBlock":{"cidr":"10.60.0.0/22"}}]"#,
        ],
        &[r#"smoke.serviceAccount={"create":false,"name":"pull-gate"}"#],
        &[r#"extraVolumeMounts=[{"name":"a","mountPath":"/etc/ssl/own"}]"#, VOLUME],
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
