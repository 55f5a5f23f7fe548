//! Azure identities instead of Secrets: what the chart renders for them, and the contradictions that it rejects.

use std::path::Path;

use acr_verifier::config::file;
use serde_json::{Value, json};

use super::helm::{self, Programs, VARIANTS};
use super::manifests::notes;

/// The label that the webhook of workload identity selects pods by.
const LABEL: &str = "azure.workload.identity/use";
const CLIENT_ID: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
/// Service account annotation of workload identity, as a setting for Helm.
const ANNOTATION: &str = r"serviceAccount.annotations.azure\.workload\.identity/client-id";

/// One image with these credentials, as arguments for Helm.
fn image(credentials: &Value) -> [String; 2] {
    let images = json!([{"image": "contoso.azurecr.io/apps/canary:1", "credentials": credentials}]);
    ["--set-json".to_owned(), format!("config.images={images}")]
}

/// Renders a chart without values files, with one image and additional settings.
fn render(programs: &Programs, credentials: &Value, settings: &[&str]) -> Result<Vec<Value>, String> {
    let [flag, images] = image(credentials);
    let mut arguments = vec![flag.as_str(), &images];
    arguments.extend(settings.iter().flat_map(|setting| ["--set-string", setting]));
    programs.template(&helm::chart(), &arguments).map(|text| helm::parse(&text))
}

fn labels(objects: &[Value]) -> &Value {
    &helm::the(objects, "DaemonSet")["spec"]["template"]["metadata"]["labels"]
}

#[test]
fn images_with_an_identity_need_no_secret() {
    let Some(programs) = helm::programs() else { return };
    let expected = [
        (
            "managed-identity",
            vec![json!({"managedIdentity": {"clientId": CLIENT_ID}}), json!({"managedIdentity": {}})],
        ),
        ("workload-identity", vec![json!({"workloadIdentity": {}})]),
    ];
    for (variant, expected) in expected {
        let objects = programs.objects(variant, &[]);
        let configuration = helm::parse(helm::configuration(&objects)).remove(0);
        let images = configuration["images"].as_array().expect("images");
        let credentials: Vec<&Value> = images.iter().map(|image| &image["credentials"]).collect();
        assert_eq!(credentials, expected.iter().collect::<Vec<_>>(), "{variant}");
        let pod = helm::agent(&objects);
        let volumes = pod["volumes"].as_array().expect("volumes");
        assert!(volumes.iter().all(|volume| volume.get("secret").is_none()), "{variant}: {volumes:?}");
        let mounts = pod["containers"][0]["volumeMounts"].to_string();
        assert!(!mounts.contains("/var/run/secrets/acr-verifier"), "{variant}: {mounts}");
    }
}

#[test]
fn only_workload_identity_adds_the_label_of_its_webhook() {
    let Some(programs) = helm::programs() else { return };
    for (variant, _) in VARIANTS {
        let objects = programs.objects(variant, &[]);
        let uses_it = variant == "workload-identity";
        assert_eq!(labels(&objects).get(LABEL), uses_it.then(|| json!("true")).as_ref(), "{variant}");
        let labelled = json!(objects).to_string().matches(LABEL).count();
        assert_eq!(labelled, usize::from(uses_it), "{variant}: no selector, and no other pod");
    }
    let objects = programs.objects("workload-identity", &[]);
    assert_eq!(labels(&objects)["example.com/team"], "platform", "the operator's own labels remain");
    let accounts = objects.iter().filter(|object| object["kind"] == "ServiceAccount");
    let annotated: Vec<&Value> =
        accounts.filter(|account| account["metadata"].get("annotations").is_some()).collect();
    assert_eq!(annotated.len(), 1, "only the agent's account");
    assert_eq!(
        annotated[0]["metadata"]["annotations"],
        json!({"azure.workload.identity/client-id": CLIENT_ID})
    );
    assert_eq!(helm::agent(&objects)["serviceAccountName"], annotated[0]["metadata"]["name"]);
}

/// The kubelet gives a projected token to the pod's user and its `fsGroup`, whatever mode the webhook sets.
#[test]
fn the_token_of_the_webhook_is_readable_for_the_agent() {
    let Some(programs) = helm::programs() else { return };
    let objects = programs.objects("workload-identity", &[]);
    let context = &helm::agent(&objects)["securityContext"];
    assert_eq!((&context["runAsUser"], &context["fsGroup"]), (&json!(65532), &json!(65532)));
}

#[test]
fn another_identity_replaces_the_pods_and_other_annotations_do_not() {
    let Some(programs) = helm::programs() else { return };
    let template = |variant: &str, settings: &[&str]| {
        let arguments: Vec<&str> = settings.iter().flat_map(|setting| ["--set-string", setting]).collect();
        let objects = programs.objects(variant, &arguments);
        helm::the(&objects, "DaemonSet")["spec"]["template"].clone()
    };
    let other = format!("{ANNOTATION}=00000000-0000-0000-0000-000000000000");
    let tenant = ANNOTATION.replace("client-id", "tenant-id=00000000-0000-0000-0000-000000000000");
    let before = template("workload-identity", &[]);
    for setting in [other.as_str(), &tenant] {
        assert_ne!(template("workload-identity", &[setting]), before, "{setting}");
    }
    let unrelated = "serviceAccount.annotations.example=1";
    assert_eq!(template("workload-identity", &[unrelated]), before);
    assert_eq!(template("minimal", &[&other]), template("minimal", &[]), "without workload identity");
}

#[test]
fn the_network_policy_allows_imds_only_for_a_managed_identity() {
    let Some(programs) = helm::programs() else { return };
    let egress = |credentials: &Value| {
        let [flag, images] = image(credentials);
        let arguments = [
            flag.as_str(),
            &images,
            "--set",
            "hostNetwork=false,networkPolicy.enabled=true,managedIdentity.allowPodNetwork=true",
            "--set-string",
            &format!("{ANNOTATION}={CLIENT_ID}"),
        ];
        let objects = helm::parse(&programs.template(&helm::chart(), &arguments).expect("it renders"));
        helm::the(&objects, "NetworkPolicy")["spec"]["egress"].as_array().expect("rules").clone()
    };
    let imds = json!({
        "to": [{"ipBlock": {"cidr": "169.254.169.254/32"}}],
        "ports": [{"protocol": "TCP", "port": 80}]
    });
    let entra = json!({"ports": [{"protocol": "TCP", "port": 443}]});
    let managed = egress(&json!({"managedIdentity": {}}));
    assert!(managed.contains(&imds), "{managed:?}");
    for other in [json!({"workloadIdentity": {}}), json!({"secretName": "acr-pull"})] {
        let rules = egress(&other);
        assert!(rules.contains(&entra) && !rules.contains(&imds), "{other}: {rules:?}");
    }
}

#[test]
fn contradictory_identities_are_rejected() {
    let Some(programs) = helm::programs() else { return };
    let managed = json!({"managedIdentity": {}});
    let workload = json!({"workloadIdentity": {}});
    let annotation = format!("{ANNOTATION}={CLIENT_ID}");
    let with = |base: &Value, key: &str, value: Value| {
        let mut credentials = base.clone();
        credentials[key] = value;
        credentials
    };
    let expires = || json!("2027-05-01T00:00:00Z");
    let cases: [(Value, &[&str], &[&str]); 16] = [
        (json!({}), &[], &["/config/images/0/credentials", "minProperties"]),
        (json!(null), &[], &["/config/images/0/credentials", "null"]),
        (json!({"managedIdentity": null}), &[], &["/credentials/managedIdentity", "null"]),
        (with(&managed, "path", json!("/x")), &[], &["/credentials/path", "managedIdentity is set"]),
        (with(&managed, "secretName", json!("x")), &[], &["/secretName", "managedIdentity is set"]),
        (with(&managed, "expiresAt", expires()), &[], &["/expiresAt", "managedIdentity is set"]),
        (
            with(&managed, "workloadIdentity", json!({})),
            &[],
            &["/workloadIdentity", "managedIdentity is set"],
        ),
        (with(&workload, "path", json!("/x")), &[&annotation], &["/path", "workloadIdentity is set"]),
        (
            with(&workload, "secretName", json!("x")),
            &[&annotation],
            &["/secretName", "workloadIdentity is set"],
        ),
        (with(&workload, "expiresAt", expires()), &[&annotation], &["/expiresAt", "workloadIdentity is set"]),
        (
            json!({"managedIdentity": {"clientId": "kubelet"}}),
            &[],
            &["/managedIdentity/clientId", "'kubelet'"],
        ),
        (json!({"managedIdentity": {"resourceId": "/x"}}), &[], &["'resourceId' not allowed"]),
        (json!({"workloadIdentity": {"clientId": CLIENT_ID}}), &[&annotation], &["'clientId' not allowed"]),
        (workload.clone(), &[], &["azure.workload.identity/client-id", "serviceAccount.annotations", "\"\""]),
        (
            workload.clone(),
            &[r"serviceAccount.annotations.azure\.workload\.identity/client-id=agent"],
            &["serviceAccount.annotations", "\"agent\"", "the client ID"],
        ),
        (
            workload.clone(),
            &[&annotation, r"podLabels.azure\.workload\.identity/use=false"],
            &["podLabels", "\"false\"", "which the chart sets"],
        ),
    ];
    for (credentials, settings, fragments) in cases {
        let Err(message) = render(&programs, &credentials, settings) else {
            panic!("{credentials} {settings:?} is accepted");
        };
        for fragment in fragments {
            assert!(message.contains(fragment), "{credentials} should report {fragment}:\n{message}");
        }
    }
    render(&programs, &workload, &[&annotation, r"podLabels.azure\.workload\.identity/use=true"])
        .expect("the same label is accepted");
}

#[test]
fn a_managed_identity_needs_the_host_network_or_explicit_consent() {
    let Some(programs) = helm::programs() else { return };
    let [flag, images] = image(&json!({"managedIdentity": {}}));
    let render =
        |settings: &str| programs.template(&helm::chart(), &[flag.as_str(), &images, "--set", settings]);
    let message = render("hostNetwork=false").expect_err("IMDS may be blocked");
    for fragment in ["managedIdentity", "hostNetwork: true", "managedIdentity.allowPodNetwork: true"] {
        assert!(message.contains(fragment), "{message}");
    }
    render("hostNetwork=false,managedIdentity.allowPodNetwork=true").expect("explicit consent");
}

#[test]
fn an_identity_pulls_only_from_azure_container_registries() {
    let Some(programs) = helm::programs() else { return };
    for (host, is_accepted) in [
        ("contoso.azurecr.io", true),
        ("contoso.westeurope.geo.azurecr.io:443", true),
        ("Contoso.azurecr.us:8443", true),
        ("contoso.azurecr.cn", true),
        ("registry.contoso.internal", false),
        ("contoso.azurecr.io.example.com", false),
        ("azurecr.io", false),
    ] {
        let images = json!([{"image": format!("{host}/canary:1"), "credentials": {"managedIdentity": {}}}]);
        let setting = format!("config.images={images}");
        let rendered = programs.template(&helm::chart(), &["--set-json", &setting]);
        assert_eq!(rendered.is_ok(), is_accepted, "{host}");
        let by_agent = file::parse(Path::new("config.yaml"), &json!({"images": images}).to_string());
        assert_eq!(by_agent.is_ok(), is_accepted, "{host}");
        if let Err(message) = rendered {
            let named = format!("{host}/canary:1");
            assert!(
                message.contains(&named) && message.contains("azurecr.io, azurecr.us or azurecr.cn"),
                "{message}"
            );
        }
    }
}

#[test]
fn the_notes_name_the_role_and_the_federated_credential() {
    let Some(managed) = notes("managed-identity", &[]) else { return };
    for fragment in ["AcrPull", "Container Registry Repository Reader", "identityProfile.kubeletidentity"] {
        assert!(managed.contains(fragment), "{fragment}:\n{managed}");
    }
    for absent in ["WARNING", "create secret", "workloadIdentity"] {
        assert!(!managed.contains(absent), "{absent}:\n{managed}");
    }
    let on_pod_network =
        notes("managed-identity", &["--set", "hostNetwork=false,managedIdentity.allowPodNetwork=true"]);
    let on_pod_network = on_pod_network.expect("as before");
    assert!(on_pod_network.contains("WARNING: the agents request its token from IMDS"), "{on_pod_network}");
    let workload = notes("workload-identity", &[]).expect("as before");
    for fragment in [
        CLIENT_ID,
        "system:serviceaccount:acr-verifier:acr-verifier",
        "api://AzureADTokenExchange",
        "oidcIssuerProfile.issuerUrl",
        "entra_unreachable",
    ] {
        assert!(workload.contains(fragment), "{fragment}:\n{workload}");
    }
    assert!(!workload.contains("kubectl annotate") && !workload.contains("create secret"), "{workload}");
    let foreign = ["--set", "serviceAccount.create=false,serviceAccount.name=shared"];
    let foreign = notes("workload-identity", &foreign).expect("as before");
    assert!(foreign.contains("kubectl annotate serviceaccount shared --namespace acr-verifier"), "{foreign}");
    assert!(foreign.contains("system:serviceaccount:acr-verifier:shared"), "{foreign}");
    let without = ["--set-json", r#"serviceAccount={"create":false,"annotations":null}"#];
    let without = notes("workload-identity", &without).expect("annotations are optional");
    assert!(without.contains("the identity of the service account"), "{without}");
}
