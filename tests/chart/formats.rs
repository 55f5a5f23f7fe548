//! Formats of single values that the API server or Prometheus would otherwise reject.

use super::conflicts::{self, Case};
use super::helm;

const CASES: &[Case] = &[
    // Names of objects.
    (&[r#"priorityClassName="a\n      hostPID: true""#], &["/priorityClassName", "pattern"]),
    (&[r#"smoke.priorityClassName="a\n    hostPID: true""#], &["/smoke/priorityClassName", "pattern"]),
    (&[r#"serviceAccount.name="Foo_""#], &["/serviceAccount/name", "'Foo_'"]),
    (&[r#"smoke.serviceAccount.name="a..b""#], &["/smoke/serviceAccount/name", "'a..b'"]),
    (&[r#"imagePullSecrets=[{"name":"a.-b"}]"#], &["/imagePullSecrets/0/name", "'a.-b'"]),
    // Keys of labels and annotations.
    (&[r#"commonLabels={"-x/":"a"}"#], &["\"-x/\" in commonLabels", "such as example.com/team"]),
    (&[r#"podLabels={"bad key!":"a"}"#], &["\"bad key!\" in podLabels"]),
    (&[r#"podLabels={"Example.com/team":"a"}"#], &["\"Example.com/team\" in podLabels"]),
    (&[r#"dashboards.labels={"a b":"a"}"#], &["\"a b\" in dashboards.labels"]),
    (&[r#"podMonitor.additionalLabels={"a b":"a"}"#], &["\"a b\" in podMonitor.additionalLabels"]),
    (&[r#"rules.additionalLabels={"a b":"a"}"#], &["\"a b\" in rules.additionalLabels"]),
    (&[r#"nodeSelector={"a b":"a"}"#], &["\"a b\" in nodeSelector"]),
    (&[r#"smoke.nodeSelector={"a b":"a"}"#], &["\"a b\" in smoke.nodeSelector"]),
    (&[r#"commonAnnotations={"a b":"a"}"#], &["\"a b\" in commonAnnotations"]),
    (&[r#"podAnnotations={"a/b/c":"a"}"#], &["\"a/b/c\" in podAnnotations"]),
    (&[r#"serviceAccount.annotations={"a b":"a"}"#], &["\"a b\" in serviceAccount.annotations"]),
    (&[r#"dashboards.annotations={"a b":"a"}"#], &["\"a b\" in dashboards.annotations"]),
    (&[r#"smoke.annotations={"a b":"a"}"#], &["\"a b\" in smoke.annotations"]),
    // Volumes, mounts and variables.
    (&[r#"extraVolumes=[{"emptyDir":{}}]"#], &["/extraVolumes/0", "missing property 'name'"]),
    (&[r#"extraVolumes=[{"name":"A_B","emptyDir":{}}]"#], &["/extraVolumes/0/name", "'A_B'"]),
    (&[r#"extraVolumes=[{"name":5,"emptyDir":{}}]"#], &["/extraVolumes/0/name", "want string"]),
    (&[r#"extraVolumeMounts=[{"name":1,"mountPath":"/x"}]"#], &["/extraVolumeMounts/0/name", "want string"]),
    (
        &[r#"extraVolumeMounts=[{"name":"a","mountPath":"/x","foo":1}]"#],
        &["/extraVolumeMounts/0", "'foo' not allowed"],
    ),
    (
        &[r#"extraVolumeMounts=[{"name":"a","mountPath":"/x","subPath":"y"}]"#],
        &["/extraVolumeMounts/0/subPath"],
    ),
    (
        &[r#"extraVolumeMounts=[{"name":"a","mountPath":"/x","subPathExpr":"y"}]"#],
        &["/extraVolumeMounts/0/subPathExpr"],
    ),
    (&[r#"extraVolumeMounts=[{"name":"a","mountPath":"/x:y"}]"#], &["/extraVolumeMounts/0/mountPath"]),
    (&[r#"extraEnv=[{"name":"A","valueFrom":{}}]"#], &["/extraEnv/0/valueFrom"]),
    // Security contexts.
    (&[r#"podSecurityContext={"runAsUser":2147483648}"#], &["/podSecurityContext/runAsUser"]),
    (&[r#"securityContext={"runAsGroup":4294967295}"#], &["/securityContext/runAsGroup"]),
    (
        &[r#"securityContext={"seccompProfile":{}}"#],
        &["/securityContext/seccompProfile", "missing property 'type'"],
    ),
    (
        &[r#"podSecurityContext={"seccompProfile":{"localhostProfile":"x"}}"#],
        &["/podSecurityContext/seccompProfile", "missing property 'type'"],
    ),
    (
        &[r#"securityContext={"appArmorProfile":{"type":"Localhost"}}"#],
        &["securityContext.appArmorProfile.localhostProfile", "required for type Localhost"],
    ),
    (
        &[r#"securityContext={"seccompProfile":{"type":"RuntimeDefault","localhostProfile":"x"}}"#],
        &["\"x\" for securityContext.seccompProfile.localhostProfile", "expected type: Localhost"],
    ),
    // The agent's own image.
    (&[r#"image.repository="a..b/c""#], &["\"a..b/c\" for image.repository", "tools/acr-verifier"]),
    (&[r#"image.repository="-a/_b""#], &["\"-a/_b\" for image.repository"]),
    (&[r#"image.registry="...""#], &["\"...\" for image.registry", "a host name with an optional port"]),
    (&[r#"image.registry="mirror""#], &["\"mirror\" for image.registry"]),
    (&[r#"image.registry="x.y:99999""#], &["\"x.y:99999\" for image.registry"]),
    (
        &[r#"config.images=[{"image":"contoso.azurecr.io:65536/a"}]"#],
        &["\"contoso.azurecr.io:65536/a\" for config.images[0].image"],
    ),
    // Rules and relabeling rules.
    (&[r#"rules.excludedNodes="(""#], &["\"(\" for rules.excludedNodes", "an RE2 expression such as"]),
    (&[r#"rules.excludedNodes="a)(?:b""#], &["\"a)(?:b\" for rules.excludedNodes"]),
    (&[r#"rules.excludedNodes="a\\""#], &["rules.excludedNodes", "an RE2 expression"]),
    (&[r#"rules.labels={"a b":"x"}"#], &["\"a b\" in rules.labels", "such as team"]),
    (&[r#"rules.labels={"severity":"x"}"#], &["\"severity\" in rules.labels", "rules.alerts.NAME.severity"]),
    (&[r#"podMonitor.relabelings=[{"regex":"["}]"#], &["\"[\" for podMonitor.relabelings[0].regex"]),
    (&[r#"podMonitor.metricRelabelings=[{"regex":"*"}]"#], &["podMonitor.metricRelabelings[0].regex"]),
    // Resources.
    (&[r#"resources={"requests":{"cpu":"x"}}"#], &["/resources/requests/cpu", "'x'"]),
    (
        &[r#"resources={"requests":{"cpu":"2"},"limits":{"cpu":"1"}}"#],
        &["\"2\" for resources.requests.cpu", "at most 1"],
    ),
    (
        &[r#"smoke.resources={"requests":{"memory":"1Gi"},"limits":{"memory":"1000Mi"}}"#],
        &["\"1Gi\" for smoke.resources.requests.memory", "at most 1000Mi"],
    ),
    (&[r#"resources={"requests":{"cpu":0.3}}"#], &["\"0.3\" for resources.requests.cpu", "at most 250m"]),
    // DNS.
    (&[r#"hostAliases=[{"ip":"999.1.1.1","hostnames":["a"]}]"#], &["\"999.1.1.1\" for hostAliases[0].ip"]),
    (
        &[r#"hostAliases=[{"ip":"10.0.0.1:53","hostnames":["a"]}]"#],
        &["\"10.0.0.1:53\" for hostAliases[0].ip"],
    ),
    (
        &[r#"hostAliases=[{"ip":"10.0.0.1","hostnames":["API.example"]}]"#],
        &["\"API.example\" for hostAliases[0].hostnames", "in lower case"],
    ),
    (&[r#"dnsConfig={"searches":["a b"]}"#], &["/dnsConfig/searches/0", "'a b'"]),
    (&[r#"affinity={"podAfinity":{}}"#], &["/affinity", "'podAfinity' not allowed"]),
    // The schedule of the smoke check.
    (&[r#"smoke.schedule="60 6 * * *""#], &["\"60 6 * * *\" for smoke.schedule", "minute 0-59"]),
    (&[r#"smoke.schedule="0 24 * * *""#], &["smoke.schedule", "hour 0-23"]),
    (&[r#"smoke.schedule="0 0 0 * *""#], &["smoke.schedule", "day 1-31"]),
    (&[r#"smoke.schedule="0 0 * may-jam *""#], &["smoke.schedule", "month 1-12"]),
    (&[r#"smoke.schedule="0 0 * * 7""#], &["smoke.schedule", "weekday 0-6"]),
    (&[r#"smoke.schedule="30-10 0 * * *""#], &["smoke.schedule"]),
    (&[r#"smoke.schedule="*/0 0 * * *""#], &["smoke.schedule"]),
];

#[test]
fn malformed_values_are_rejected_with_key_value_and_expectation() {
    let Some(programs) = helm::programs() else { return };
    conflicts::assert_rejected(&programs, CASES);
}

#[test]
fn unusual_values_of_the_right_format_are_accepted() {
    let Some(programs) = helm::programs() else { return };
    for settings in [
        &[r#"commonLabels={"a_b.C":"x","example.com/a":""}"#][..],
        &[r#"podAnnotations={"Example.com/team":"a b"}"#],
        &[r#"image.registry="localhost:5000""#],
        &[r#"image={"registry":"10.60.0.9:65535","repository":"a/b__c-d.e"}"#],
        &[r#"podSecurityContext={"runAsUser":2147483647}"#],
        &[r#"securityContext={"seccompProfile":{"type":"Localhost","localhostProfile":"p.json"}}"#],
        &[r#"resources={"requests":{"cpu":0.25,"memory":67108864},"limits":{"ephemeral-storage":"1G"}}"#],
        &[r#"smoke.schedule="*/5 0-6/2 1,15 JAN-mar sun-fri""#],
        &[r#"smoke.schedule="@hourly""#],
        &[r#"hostAliases=[{"ip":"fd00::4","hostnames":["a"]}]"#],
        &[r#"dnsConfig={"searches":["contoso.internal."]}"#],
        &[r#"rules.excludedNodes="(?i)aks-(gpu|arm)\\d+""#],
        &[
            r#"extraVolumes=[{"name":"a","emptyDir":{}}]"#,
            r#"extraVolumeMounts=[{"name":"a","mountPath":"/a","mountPropagation":"HostToContainer"}]"#,
        ],
    ] {
        conflicts::render(&programs, settings).unwrap_or_else(|error| panic!("{settings:?}: {error}"));
    }
}
