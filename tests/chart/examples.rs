//! The examples for platform tools: their objects, and what the chart renders with their values.
//!
//! Argo CD, Flux, External Secrets and the CSI driver do not run here. `custom-resources.json` has the fields of their objects.

use std::fs;
use std::path::Path;

use acr_verifier::config::{Config, file};
use acr_verifier::credentials::{CredentialFiles, Found};
use acr_verifier::image::ImageReference;
use serde_json::{Value, json};

use super::helm::{self, Programs, VARIANTS};

const RESOURCES: &str = include_str!("custom-resources.json");
const IMAGE: &str = "contoso.azurecr.io/apps/canary:1";
const CLIENT_ID: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";

fn objects(name: &str) -> Vec<Value> {
    let text = fs::read_to_string(helm::path("deploy/examples").join(name)).expect("an example");
    helm::parse(&text)
}

/// Returns what is wrong with the specification of a custom resource, or `None` if its kind is not one.
fn violations(object: &Value) -> Option<Vec<String>> {
    let text = |key: &str| object[key].as_str().expect("a text");
    let kind = format!("{}/{}", text("apiVersion"), text("kind"));
    let mut schema: Value = serde_json::from_str(RESOURCES).expect("JSON");
    schema["kinds"].get(&kind)?;
    schema["$ref"] = json!(format!("#/kinds/{}", kind.replace('/', "~1")));
    let validator = jsonschema::draft7::new(&schema).expect("a schema");
    let errors = validator.iter_errors(&object["spec"]);
    Some(errors.map(|error| format!("{}: {error}", error.instance_path)).collect())
}

/// Renders the chart with values, as a GitOps tool does.
fn render(programs: &Programs, values: &Value) -> Vec<Value> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("values.yaml");
    fs::write(&file, values.to_string()).expect("a file");
    let arguments = ["--values", file.to_str().expect("UTF-8")];
    let text = programs.template(&helm::chart(), &arguments).unwrap_or_else(|error| panic!("{error}"));
    let objects = helm::parse(&text);
    let image = helm::agent(&objects)["containers"][0]["image"].as_str().expect("an image").to_owned();
    assert!(image.starts_with("fabrikam.azurecr.io/"), "{image} is not one of the operator's own");
    objects
}

fn configuration(objects: &[Value]) -> Config {
    file::parse(Path::new("config.yaml"), helm::configuration(objects)).expect("the agent accepts it")
}

#[test]
fn custom_resources_have_only_known_fields() {
    let folder = helm::path("deploy/examples");
    let mut checked = Vec::new();
    for name in [
        "argo-cd/application.yaml",
        "argo-cd/applicationset.yaml",
        "flux/release.yaml",
        "external-secrets/external-secret.yaml",
        "secrets-store-csi/secret-provider-class.yaml",
    ] {
        assert!(folder.join(name).exists(), "{name}");
        for object in objects(name) {
            let Some(wrong) = violations(&object) else { continue };
            assert!(wrong.is_empty(), "{name}: {wrong:#?}");
            let mut typo = object.clone();
            typo["spec"]["valeus"] = json!({});
            assert!(violations(&typo).is_some_and(|wrong| !wrong.is_empty()), "{name}: a typo is found");
            checked.push(object["kind"].as_str().expect("a kind").to_owned());
        }
    }
    let kinds = [
        "Application",
        "ApplicationSet",
        "OCIRepository",
        "HelmRelease",
        "ExternalSecret",
        "SecretProviderClass",
    ];
    assert_eq!(checked, kinds);
}

#[test]
fn pod_monitors_have_only_fields_of_both_kinds() {
    let Some(programs) = helm::programs() else { return };
    let mut checked = 0;
    for (variant, _) in VARIANTS {
        for object in programs.objects(variant, &[]) {
            let Some(wrong) = violations(&object) else { continue };
            assert!(wrong.is_empty(), "{variant}: {wrong:#?}");
            checked += 1;
        }
    }
    assert_eq!(checked, 3);
}

/// Asserts that the smoke check is a hook of Argo CD, which then waits for it and does not recreate it.
fn assert_post_sync(objects: &[Value]) {
    let job = helm::the(objects, "Job");
    let annotations = &job["metadata"]["annotations"];
    assert_eq!(annotations["argocd.argoproj.io/hook"], "PostSync");
    assert!(annotations.get("helm.sh/hook").is_none(), "{annotations}");
    assert_eq!(job["spec"]["ttlSecondsAfterFinished"], 300);
}

#[test]
fn the_application_installs_the_chart_of_this_version() {
    let Some(programs) = helm::programs() else { return };
    let application = objects("argo-cd/application.yaml").remove(0);
    assert_eq!(application["spec"]["source"]["targetRevision"], env!("CARGO_PKG_VERSION"));
    let objects = render(&programs, &application["spec"]["source"]["helm"]["valuesObject"]);
    assert_post_sync(&objects);
    assert_eq!(configuration(&objects).images.len(), 1);
    let namespace = &application["spec"]["syncPolicy"]["managedNamespaceMetadata"]["labels"];
    assert_eq!(helm::agent(&objects)["hostNetwork"], true);
    assert_eq!(namespace["pod-security.kubernetes.io/enforce"], "privileged");
}

#[test]
fn the_application_set_fills_in_the_annotations_of_a_cluster() {
    let Some(programs) = helm::programs() else { return };
    let set = objects("argo-cd/applicationset.yaml").remove(0);
    let values = &set["spec"]["template"]["spec"]["source"]["helm"]["valuesObject"];
    assert_eq!(set["spec"]["template"]["spec"]["source"]["targetRevision"], env!("CARGO_PKG_VERSION"));
    let annotations = |values: [&str; 3]| {
        let names = ["acr-verifier/image", "acr-verifier/client-id", "acr-verifier/endpoint-cidr"];
        names
            .into_iter()
            .zip(values)
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect::<Vec<_>>()
    };
    let fill = |annotations: Vec<(String, String)>| {
        let text = annotations.into_iter().fold(values.to_string(), |text, (name, value)| {
            let placeholder = format!(r#"{{{{ index .metadata.annotations \"{name}\" }}}}"#);
            assert_eq!(text.matches(&placeholder).count(), 1, "{name}");
            text.replace(&placeholder, &value)
        });
        assert!(!text.contains("{{"), "{text}");
        serde_json::from_str::<Value>(&text).expect("JSON")
    };
    let objects = render(&programs, &fill(annotations([IMAGE, CLIENT_ID, "10.60.4.0/24"])));
    assert_post_sync(&objects);
    assert!(helm::configuration(&objects).contains(CLIENT_ID));
    // A cluster without an annotation gets an empty value, which the chart rejects.
    for missing in [["", CLIENT_ID, "10.60.4.0/24"], [IMAGE, "", "10.60.4.0/24"], [IMAGE, CLIENT_ID, ""]] {
        let setting = format!("config={}", fill(annotations(missing))["config"]);
        let rejected = programs.template(&helm::chart(), &["--set-json", &setting]);
        assert!(rejected.is_err(), "{missing:?}");
    }
}

#[test]
fn the_helm_release_runs_the_smoke_check_and_gives_it_time() {
    let Some(programs) = helm::programs() else { return };
    let all = objects("flux/release.yaml");
    let release = helm::the(&all, "HelmRelease");
    let source = helm::the(&all, "OCIRepository");
    assert_eq!(release["spec"]["chartRef"]["name"], source["metadata"]["name"]);
    assert_eq!(source["spec"]["ref"]["tag"], env!("CARGO_PKG_VERSION"));
    assert_eq!(release["spec"]["test"]["enable"], true);
    for action in ["install", "upgrade"] {
        assert_eq!(release["spec"][action]["remediation"]["ignoreTestFailures"], true, "the agents remain");
    }
    let objects = render(&programs, &release["spec"]["values"]);
    let job = helm::the(&objects, "Job");
    assert_eq!(job["metadata"]["annotations"]["helm.sh/hook"], "test");
    let deadline = job["spec"]["activeDeadlineSeconds"].as_u64().expect("seconds");
    assert_eq!(release["spec"]["timeout"], "10m");
    assert!(deadline < 600, "{deadline}");
    let namespace = helm::the(&all, "Namespace");
    assert_eq!(namespace["metadata"]["name"], release["metadata"]["namespace"]);
}

#[test]
fn the_overlay_replaces_the_configuration_and_keeps_the_role_in_default() {
    let Some(programs) = helm::programs() else { return };
    let folder = helm::path("deploy/examples/kustomize");
    let text = programs.kubectl(&["kustomize", folder.to_str().expect("UTF-8")]).expect("it builds");
    let objects = helm::parse(&text);
    let config = configuration(&objects);
    assert_eq!(config.images.len(), 1);
    assert!(helm::configuration(&objects).contains("managedIdentity"));
    let map = helm::the(&objects, "ConfigMap");
    assert_eq!(map["metadata"]["name"], "acr-verifier", "the agents reload it: no hash in its name");
    for kind in ["Role", "RoleBinding"] {
        assert_eq!(helm::the(&objects, kind)["metadata"]["namespace"], "default", "{kind}");
    }
    let pod = helm::agent(&objects);
    let container = &pod["containers"][0];
    let image = container["image"].as_str().expect("an image");
    assert!(image.starts_with("fabrikam.azurecr.io/acr-verifier/acr-verifier:"), "{image}");
    assert_eq!(pod["priorityClassName"], "system-node-critical");
    assert_eq!(container["resources"]["limits"], json!({"cpu": "100m", "memory": "100Mi"}));
    let secrets =
        pod["volumes"].as_array().expect("volumes").iter().filter(|volume| volume.get("secret").is_some());
    assert_eq!(secrets.count(), 0);
    // Every mount has its volume.
    for mount in container["volumeMounts"].as_array().expect("mounts") {
        let mut volumes = pod["volumes"].as_array().expect("volumes").iter();
        assert!(volumes.any(|volume| volume["name"] == mount["name"]), "{mount}");
    }
    assert_eq!(container["ports"][0]["containerPort"], config.server.address.port());
}

/// Renders a Go template with the functions that External Secrets and Helm share.
fn go_template(programs: &Programs, template: &str, values: &Value) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let put = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    };
    put("Chart.yaml", "{apiVersion: v2, name: template, version: 0.1.0}");
    put("values.yaml", &values.to_string());
    let template = format!(
        "{{{{- define \"it\" }}}}{template}{{{{ end -}}}}\ntext: {{{{ include \"it\" .Values | quote }}}}\n"
    );
    put("templates/it.yaml", &template);
    let text = programs.template(folder.path(), &[]).expect("it renders");
    helm::parse(&text)[0]["text"].as_str().expect("a text").to_owned()
}

fn found_in(folder: &Path) -> Found {
    let image: ImageReference = IMAGE.parse().expect("an image");
    let files = CredentialFiles { paths: vec![folder.to_owned()], expires_at: None };
    files.read(&image).expect("the agent accepts it")
}

#[test]
fn the_external_secret_is_what_the_agent_reads() {
    let Some(programs) = helm::programs() else { return };
    let external = objects("external-secrets/external-secret.yaml").remove(0);
    let (target, data) = (&external["spec"]["target"], &external["spec"]["data"]);
    let fetched =
        json!({"username": "canary", "password": "a-secret \"word\\", "expiresAt": "2027-05-01T00:00:00Z"});
    let keys: Vec<&Value> =
        data.as_array().expect("a list").iter().map(|entry| &entry["secretKey"]).collect();
    assert_eq!(keys, ["username", "password", "expiresAt"]);
    let folder = tempfile::tempdir().expect("a folder");
    for (key, template) in target["template"]["data"].as_object().expect("a map") {
        let text = go_template(&programs, template.as_str().expect("a text"), &fetched);
        fs::write(folder.path().join(key), text).expect("a file");
    }
    let found = found_in(folder.path());
    let credentials = found.attempts[0].credentials.as_ref().expect("an entry for the registry");
    assert_eq!(credentials.username, "canary");
    assert_eq!(Some(credentials.password.expose()), fetched["password"].as_str());
    assert!(found.expires_at.is_some());
    // The chart mounts this Secret.
    let values = objects("external-secrets/values.yaml").remove(0);
    let rendered = render(&programs, &values);
    let volumes = helm::agent(&rendered)["volumes"].as_array().expect("volumes").clone();
    assert!(volumes.iter().any(|volume| volume["secret"]["secretName"] == target["name"]), "{volumes:?}");
    assert_eq!(external["metadata"]["name"], target["name"]);
}

#[test]
fn the_files_of_the_csi_driver_are_what_the_agent_reads() {
    let Some(programs) = helm::programs() else { return };
    let class = objects("secrets-store-csi/secret-provider-class.yaml").remove(0);
    let listed = helm::parse(class["spec"]["parameters"]["objects"].as_str().expect("a text")).remove(0);
    let folder = tempfile::tempdir().expect("a folder");
    for entry in listed["array"].as_array().expect("a list") {
        let entry = helm::parse(entry.as_str().expect("a text")).remove(0);
        assert_eq!(entry["objectType"], "secret");
        let alias = entry["objectAlias"].as_str().expect("a file name");
        fs::write(folder.path().join(alias), format!("{alias}-value")).expect("a file");
    }
    let found = found_in(folder.path());
    let credentials = found.attempts[0].credentials.as_ref().expect("both files");
    assert_eq!(
        (credentials.username.as_str(), credentials.password.expose()),
        ("username-value", "password-value")
    );
    let values = objects("secrets-store-csi/values.yaml").remove(0);
    let rendered = render(&programs, &values);
    let pod = helm::agent(&rendered);
    let volumes = pod["volumes"].as_array().expect("volumes").iter();
    let mut csi =
        volumes.filter_map(|volume| volume["csi"]["volumeAttributes"]["secretProviderClass"].as_str());
    assert_eq!(csi.next(), class["metadata"]["name"].as_str());
    let mounts = pod["containers"][0]["volumeMounts"].to_string();
    assert!(
        mounts.contains("/mnt/acr-pull") && helm::configuration(&rendered).contains("path: /mnt/acr-pull")
    );
}
