//! Values that the chart rejects, and its messages.

use std::fs;

use super::helm::{self, Programs};

/// Settings added to the minimal values, and what the message must contain: key, value and expectation.
const CASES: [(&[&str], &[&str]); 49] = [
    (&["config.images=null"], &["config.images", "[]", "1 to 100"]),
    (&["config.images[0].image=nginx"], &["/config/images/0/image", "'nginx'", "pattern"]),
    (
        &["config.images[0].image=contoso.azurecr.io/Apps:1"],
        &["/config/images/0/image", "contoso.azurecr.io/Apps:1"],
    ),
    (
        &["config.images[0].image=https://contoso.azurecr.io/a"],
        &["config.images[0].image", "\"https://contoso.azurecr.io/a\"", "LOGIN_SERVER"],
    ),
    (
        &["config.images[0].image=contoso/a"],
        &["config.images[0].image", "\"contoso/a\"", "LOGIN_SERVER/REPOSITORY"],
    ),
    (
        &["config.images[0].image=contoso.azurecr.io/-a"],
        &["config.images[0].image", "\"contoso.azurecr.io/-a\"", "LOGIN_SERVER"],
    ),
    (&["config.images[0].name=a b"], &["/config/images/0/name", "'a b'"]),
    (
        &["config.images[1].image=contoso.azurecr.io/apps/canary:1"],
        &["config.images[1].image", "duplicate image", "a name for each"],
    ),
    (
        &[
            "config.images[0].name=x",
            "config.images[1].name=x",
            "config.images[1].image=contoso.azurecr.io/b",
        ],
        &["config.images[1].name", "\"x\"", "duplicate name"],
    ),
    (
        &[
            "config.images[1].image=contoso.azurecr.io/b",
            "config.images[1].credentials.expiresAt=2027-05-01T00:00:00Z",
        ],
        &["config.images[1].credentials", "one of secretName, path, managedIdentity and workloadIdentity"],
    ),
    (
        &["config.images[0].credentials.path=/x"],
        &["config.images[0].credentials", "secretName cannot be used with path"],
    ),
    (
        &["config.images[0].credentials.secretName=", "config.images[0].credentials.path=/x"],
        &["/config/images/0/credentials/secretName"],
    ),
    (
        &["config.images[1].image=contoso.azurecr.io/b", "config.images[1].credentials.path=/x"],
        &["config.images[1].credentials.path", "\"/x\"", "extraVolumeMounts"],
    ),
    (&["config.images[0].credentials.secretName=Acr"], &["/config/images/0/credentials/secretName", "'Acr'"]),
    (
        &["config.images[0].credentials.expiresAt=tomorrow"],
        &["/config/images/0/credentials/expiresAt", "'tomorrow'"],
    ),
    (
        &["config.images[0].privateEndpoint.cidrs[0]=10.60.4.5/24"],
        &["config.images[0].privateEndpoint.cidrs", "\"10.60.4.5/24\"", "10.60.4.0/24"],
    ),
    (
        &["config.images[0].privateEndpoint.cidrs[0]=10.60.4.0"],
        &["/config/images/0/privateEndpoint/cidrs/0", "'10.60.4.0'"],
    ),
    (
        &["config.images[0].privateEndpoint.cidrs[0]=10.60.4.0/33"],
        &["privateEndpoint.cidrs", "\"10.60.4.0/33\"", "a CIDR"],
    ),
    (&["config.images[0].privateEndpoint.cidrs=null"], &["/config/images/0/privateEndpoint", "cidrs"]),
    (&["config.images[0].privateEndpoint.cidr=10.60.4.0/24"], &["/config/images/0/privateEndpoint", "cidr"]),
    (
        &[r"config.images[0].privateEndpoint.addresses.contoso\.azurecr\.io[0]=10.60.4.0/24"],
        &["/config/images/0/privateEndpoint/addresses/contoso.azurecr.io/0", "'10.60.4.0/24'"],
    ),
    (
        &[r"config.images[0].privateEndpoint.addresses.contoso\.azurecr\.io[0]=10.60.4.300"],
        &["privateEndpoint.addresses.contoso.azurecr.io", "\"10.60.4.300\"", "an IP address"],
    ),
    (
        &[r"config.images[0].privateEndpoint.addresses.contoso\.azurecr\.io[0]=127.0.0.1"],
        &["privateEndpoint.addresses.contoso.azurecr.io", "\"127.0.0.1\"", "a reserved address"],
    ),
    (
        &[r"config.images[0].privateEndpoint.addresses.https://contoso\.azurecr\.io[0]=10.60.4.5"],
        &["config.images[0].privateEndpoint.addresses", "\"https://contoso.azurecr.io\"", "a host name"],
    ),
    (
        &[
            r"config.images[0].privateEndpoint.addresses.contoso\.azurecr\.io[0]=10.60.4.5",
            r"config.images[0].privateEndpoint.addresses.Contoso\.azurecr\.io\.[0]=10.60.4.5",
        ],
        &["config.images[0].privateEndpoint.addresses", "duplicate name", "whatever its case or final dot"],
    ),
    (
        &[r"config.images[0].privateEndpoint.addresses.fabrikam\.azurecr\.io[0]=10.60.4.5"],
        &["config.images[0].privateEndpoint.addresses", "fabrikam.azurecr.io is not a name of the registry"],
    ),
    (&["config.images[0].dataEndpoints[0]=https://x"], &["/config/images/0/dataEndpoints/0", "'https://x'"]),
    (
        &["config.images[0].dataEndpoints[0]=10.0.0.1"],
        &["config.images[0].dataEndpoints", "\"10.0.0.1\"", "a host name"],
    ),
    (&["config.resolvers.compare.azure=dns.example"], &["/config/resolvers/compare/azure", "'dns.example'"]),
    (
        &["config.resolvers.compare.azure=10.0.0.300"],
        &["config.resolvers.compare.azure", "\"10.0.0.300\"", "an IP address"],
    ),
    (
        &["config.resolvers.compare.system=10.0.0.1"],
        &["config.resolvers.compare", "invalid name system", "another name"],
    ),
    (&["config.schedule.interval=60"], &["/config/schedule/interval", "want string"]),
    (&["config.schedule.interval=500ms"], &["config.schedule.interval", "\"500ms\"", "from 1s to 24h"]),
    (&["config.schedule.timeout=25h"], &["config.schedule.timeout", "\"25h\"", "from 1ms to 24h"]),
    (&["config.schedule.stageTimeout=61s"], &["config.schedule.stageTimeout", "\"61s\"", "at most", "60s"]),
    (&["config.schedule.budgetPerMinute=100"], &["config.schedule.budgetPerMinute", "fleetSize"]),
    (&["config.schedule.jitter=2"], &["/config/schedule/jitter", "2", "1"]),
    (
        &["config.server.address=0.0.0.0:9000"],
        &["config.server.address", "\"0.0.0.0:9000\"", "9469", "the same port"],
    ),
    (&["config.server.address=127.0.0.1:9469"], &["/config/server/address", "'127.0.0.1:9469'"]),
    (&["config.imagse=1"], &["/config", "'imagse' not allowed"]),
    (&["hostnetwork=true"], &["'hostnetwork' not allowed"]),
    (&["port=80"], &["/port", "got 80", "1,024"]),
    (&["image.tag=latest"], &["image.tag", "\"latest\"", "the tag of a version"]),
    (&["image.repository=a@sha256:00", "image.digest=x"], &["/image/repository", "/image/digest"]),
    (
        &["image.registry=Contoso.azurecr.io:443"],
        &["image.registry", "config.images[0]", "another registry", "allowSameRegistry"],
    ),
    (&["networkPolicy.enabled=true"], &["networkPolicy.enabled", "cannot be used with hostNetwork"]),
    (
        &["prometheusAnnotations=true", "podMonitor.azureMonitor=true"],
        &["prometheusAnnotations", "cannot be used with a PodMonitor"],
    ),
    (
        &["podLabels.kubernetes\\.azure\\.com/managedby=aks"],
        &["podLabels", "\"kubernetes.azure.com/managedby\"", "reserved"],
    ),
    (&["config.tls.caFile=/x.pem"], &["config.tls.caFile", "\"/x.pem\"", "caConfigMap"]),
];

fn refusal(programs: &Programs, settings: &[&str]) -> String {
    let files = helm::values_of("minimal");
    let mut arguments = vec!["--values", files[0].as_str()];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    programs.template(&helm::chart(), &arguments).expect_err(&format!("{settings:?} is rejected"))
}

#[test]
fn invalid_values_are_rejected_with_key_value_and_expectation() {
    let Some(programs) = helm::programs() else { return };
    let mut missing = Vec::new();
    for (settings, fragments) in CASES {
        let message = refusal(&programs, settings);
        let absent = fragments.iter().filter(|fragment| !message.contains(**fragment));
        missing.extend(absent.map(|fragment| format!("{settings:?} should report {fragment}:\n{message}")));
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn all_contradictions_are_reported_at_once() {
    let Some(programs) = helm::programs() else { return };
    let settings = [
        "networkPolicy.enabled=true",
        "config.schedule.budgetPerMinute=1",
        "image.registry=contoso.azurecr.io",
    ];
    let message = refusal(&programs, &settings);
    assert!(message.contains("3 invalid value(s) for acr-verifier"), "{message}");
}

#[test]
fn a_password_is_rejected_and_not_echoed() {
    let Some(programs) = helm::programs() else { return };
    for place in [
        "config.images[0].credentials.password",
        "config.images[0].credentials.username",
        "config.images[0].password",
        "imagePullSecrets[0].password",
        "image.password",
        "password",
    ] {
        let message = refusal(&programs, &[&format!("{place}=planted-Secret-1")]);
        assert!(message.contains("not allowed"), "{place}: {message}");
        assert!(!message.contains("planted-Secret-1"), "{place}: {message}");
    }
}

#[test]
fn missing_dashboards_and_rules_are_rejected() {
    let Some(programs) = helm::programs() else { return };
    let copy = helm::copy();
    fs::remove_dir_all(copy.path().join("files")).expect("the folder is there");
    let files = helm::values_of("minimal");
    for (setting, fragment) in
        [("dashboards.enabled=true", "files/dashboards/*.json"), ("rules.enabled=true", "files/rules/*.yaml")]
    {
        let arguments = ["--values", files[0].as_str(), "--set", setting];
        let message = programs.template(copy.path(), &arguments).expect_err("it is rejected");
        assert!(message.contains(fragment), "{message}");
    }
}
