//! Pod Security and AKS Deployment Safeguards, checked on the rendered objects.
//!
//! The rules are rewritten from Kubernetes' Pod Security Standards and Microsoft's documentation of the safeguards, because
//! no admission controller runs here.

use acr_verifier::config::file;
use serde_json::{Value, json};

use super::helm::{self, VARIANTS};

/// Returns the pods of a rendering: kind of the owner, metadata and specification.
fn pods(objects: &[Value]) -> Vec<(&str, &Value, &Value)> {
    objects
        .iter()
        .filter_map(|object| {
            let paths = ["/spec/template", "/spec/jobTemplate/spec/template"];
            let template = paths.into_iter().find_map(|path| object.pointer(path))?;
            Some((object["kind"].as_str().expect("a kind"), &template["metadata"], &template["spec"]))
        })
        .collect()
}

/// Returns the violations of Pod Security `restricted`.
fn violations_of_restricted(pod: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for key in ["hostNetwork", "hostPID", "hostIPC"] {
        if pod.get(key).is_some_and(|value| *value != json!(false)) {
            found.push(key.to_owned());
        }
    }
    let allowed = [
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ];
    for volume in pod["volumes"].as_array().expect("volumes") {
        let kinds = volume.as_object().expect("a volume").keys().filter(|key| *key != "name");
        found.extend(kinds.filter(|kind| !allowed.contains(&kind.as_str())).cloned());
    }
    let of_pod = &pod["securityContext"];
    if of_pod["runAsNonRoot"] != true || of_pod["runAsUser"].as_u64().is_none_or(|user| user <= 10_000) {
        found.push("user".to_owned());
    }
    if of_pod["seccompProfile"]["type"] != "RuntimeDefault" {
        found.push("seccomp".to_owned());
    }
    for container in pod["containers"].as_array().expect("containers") {
        let context = &container["securityContext"];
        if context["allowPrivilegeEscalation"] != false || context.get("privileged").is_some() {
            found.push("privileges".to_owned());
        }
        if context["capabilities"] != json!({"drop": ["ALL"]}) {
            found.push("capabilities".to_owned());
        }
        if context["readOnlyRootFilesystem"] != true {
            found.push("root file system".to_owned());
        }
        let ports = container["ports"].as_array().into_iter().flatten();
        if ports.clone().any(|port| port.get("hostPort").is_some()) {
            found.push("hostPort".to_owned());
        }
    }
    found
}

#[test]
fn only_the_host_network_and_node_files_exceed_restricted() {
    let Some(programs) = helm::programs() else { return };
    for (variant, _) in VARIANTS {
        let objects = programs.objects(variant, &[]);
        let pods = pods(&objects);
        assert!(!pods.is_empty(), "{variant}");
        for (kind, _, pod) in pods {
            let on_host = match kind {
                "DaemonSet" => helm::is_on_host(variant),
                _ => variant == "everything",
            };
            let mut expected = if on_host { vec!["hostNetwork"] } else { vec![] };
            if on_host && kind == "DaemonSet" {
                expected.extend(["hostPath"; 5]);
            }
            assert_eq!(violations_of_restricted(pod), expected, "{variant}: {kind}");
        }
    }
}

/// Returns the pod's paths on the node, with their mount paths and hostPath types.
fn node_paths(pod: &Value) -> Vec<(&str, &str, &str)> {
    let volumes = pod["volumes"].as_array().expect("volumes").iter();
    volumes
        .filter_map(|volume| {
            let path = volume["hostPath"]["path"].as_str()?;
            let mounts = pod["containers"][0]["volumeMounts"].as_array().expect("mounts").iter();
            let mount = mounts.clone().find(|mount| mount["name"] == volume["name"]).expect("it is mounted");
            assert_eq!(mount["readOnly"], true, "{path}");
            assert!(mount.get("subPath").is_none(), "{path}: Kubernetes renews no subPath");
            let kind = volume["hostPath"]["type"].as_str().expect("a type");
            Some((path, mount["mountPath"].as_str().expect("a path"), kind))
        })
        .collect()
}

#[test]
fn only_files_that_containerd_reads_are_mounted_and_no_type_creates_a_path() {
    let Some(programs) = helm::programs() else { return };
    let expected = [
        ("/etc/resolv.conf", "/host/etc/resolv.conf", "File"),
        ("/run/systemd/resolve", "/host/run/systemd/resolve", ""),
        ("/etc/ssl/certs", "/host/etc/ssl/certs", "Directory"),
        ("/etc/systemd", "/host/etc/systemd", "Directory"),
        ("/etc/containerd", "/host/etc/containerd", "Directory"),
    ];
    for (variant, set, is_mounted) in [
        ("minimal", "nodeFiles.enabled=auto", true),
        ("everything", "nodeFiles.enabled=true", true),
        ("manifests", "nodeFiles.enabled=auto", true),
        ("minimal", "nodeFiles.enabled=false", false),
        ("minimal", "hostNetwork=false", false),
        ("aks-automatic", "port=9469", false),
    ] {
        let objects = programs.objects(variant, &["--set", set]);
        let paths = node_paths(helm::agent(&objects));
        assert_eq!(paths, if is_mounted { &expected[..] } else { &[] }, "{variant} {set}");
        let configured = helm::configuration(&objects).contains("root: /host");
        assert_eq!(configured, is_mounted, "{variant} {set}");
    }
}

#[test]
fn other_node_paths_are_rejected() {
    let Some(programs) = helm::programs() else { return };
    let files = helm::values_of("minimal");
    let render = |path: &str, kind: &str| {
        let (path, kind) =
            (format!("nodeFiles.paths[0].path={path}"), format!("nodeFiles.paths[0].type={kind}"));
        let arguments = ["--values", &files[0], "--set", &path, "--set", &kind];
        programs.template(&helm::chart(), &arguments)
    };
    for path in [
        "/",
        "/etc",
        "/etc/kubernetes",
        "/var/lib/kubelet",
        "/run",
        "/etc/ssl/../kubernetes",
        "/etc/sslx",
        "/root",
        "/etc/docker",
        "/run/systemd",
        "etc/ssl",
    ] {
        assert!(render(path, "Directory").is_err(), "{path}");
    }
    for kind in ["DirectoryOrCreate", "FileOrCreate", "Socket"] {
        assert!(render("/etc/ssl/certs", kind).is_err(), "{kind}");
    }
    for path in [
        "/etc/pki/ca-trust/extracted/pem",
        "/etc/containerd/certs.d",
        "/usr/lib/systemd/system",
        "/etc/resolv.conf",
    ] {
        render(path, "Directory").unwrap_or_else(|error| panic!("{path}: {error}"));
    }
}

#[test]
fn the_check_for_restricted_detects_violations() {
    let good = json!({
        "volumes": [{"name": "a", "secret": {}}],
        "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"securityContext": {
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}}}]
    });
    assert_eq!(violations_of_restricted(&good), Vec::<String>::new());
    for (pointer, value, expected) in [
        ("", json!({"hostPID": true}), "hostPID"),
        ("/volumes/0", json!({"hostPath": {}}), "hostPath"),
        ("/securityContext", json!({"runAsUser": 0}), "user"),
        ("/securityContext", json!({"seccompProfile": {"type": "Unconfined"}}), "seccomp"),
        ("/containers/0/securityContext", json!({"privileged": true}), "privileges"),
        (
            "/containers/0/securityContext",
            json!({"capabilities": {"drop": ["ALL"], "add": ["NET_RAW"]}}),
            "capabilities",
        ),
        ("/containers/0", json!({"ports": [{"hostPort": 1}]}), "hostPort"),
    ] {
        let mut bad = good.clone();
        let target = bad.pointer_mut(pointer).and_then(Value::as_object_mut).expect("an object");
        target.extend(value.as_object().expect("an object").clone());
        assert_eq!(violations_of_restricted(&bad), [expected]);
    }
}

#[test]
fn every_container_has_resources_a_pinned_image_and_both_probes() {
    let Some(programs) = helm::programs() else { return };
    for (variant, _) in VARIANTS {
        for (kind, _, pod) in pods(&programs.objects(variant, &[])) {
            for container in pod["containers"].as_array().expect("containers") {
                for of in ["requests", "limits"] {
                    for what in ["cpu", "memory"] {
                        assert!(
                            container["resources"][of][what].is_string(),
                            "{variant}: {kind} {of} {what}"
                        );
                    }
                }
                let image = container["image"].as_str().expect("an image");
                let (_, version) = image.rsplit_once('/').expect("a registry");
                assert!(version.contains(':') && !version.ends_with(":latest"), "{image}");
                let (path, command) = ("/httpGet/port", json!({"command": ["/acr-verifier", "--version"]}));
                for probe in ["livenessProbe", "readinessProbe"] {
                    let probe = &container[probe];
                    if kind == "DaemonSet" {
                        assert_eq!(probe.pointer(path), Some(&json!("http")), "{variant}: {probe}");
                        assert!(probe["httpGet"].get("host").is_none(), "{variant}: {probe}");
                    } else {
                        assert_eq!(probe["exec"], command, "{variant}: {kind}: {probe}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_aks_automatic_preset_requests_the_minimum_and_has_no_broad_tolerations() {
    let Some(programs) = helm::programs() else { return };
    let enough =
        json!({"requests": {"cpu": "100m", "memory": "100Mi"}, "limits": {"cpu": "100m", "memory": "100Mi"}});
    for variant in ["aks-automatic", "workload-identity"] {
        let objects = programs.objects(variant, &[]);
        for (kind, _, pod) in pods(&objects) {
            assert_eq!(pod["containers"][0]["resources"], enough, "{variant}: {kind}");
            for toleration in pod["tolerations"].as_array().into_iter().flatten() {
                assert!(
                    toleration["key"].is_string() && toleration["operator"] == "Equal",
                    "{variant}: {kind}: {toleration}"
                );
            }
        }
    }
}

#[test]
fn labels_are_the_recommended_ones_and_not_reserved() {
    let Some(programs) = helm::programs() else { return };
    for (variant, _) in VARIANTS {
        let objects = programs.objects(variant, &[]);
        let of_objects = objects.iter().map(|object| &object["metadata"]);
        for metadata in of_objects.chain(pods(&objects).into_iter().map(|(_, metadata, _)| metadata)) {
            let labels = metadata["labels"].as_object().expect("labels");
            for name in ["name", "instance", "version", "component", "managed-by", "part-of"] {
                assert!(labels.contains_key(&format!("app.kubernetes.io/{name}")), "{variant}: {metadata}");
            }
            let annotations = metadata["annotations"].as_object().into_iter().flat_map(|map| map.keys());
            for key in labels.keys().chain(annotations) {
                assert!(!key.contains("kubernetes.azure.com"), "{variant}: {key}");
            }
        }
        let selector = &helm::the(&objects, "DaemonSet")["spec"]["selector"]["matchLabels"];
        let selector = selector.as_object().expect("labels");
        for (kind, metadata, _) in pods(&objects) {
            let is_selected = selector.iter().all(|(key, value)| metadata["labels"][key] == *value);
            assert_eq!(is_selected, kind == "DaemonSet", "{variant}: {kind}");
        }
    }
}

#[test]
fn no_secret_is_ever_rendered() {
    let Some(programs) = helm::programs() else { return };
    for (variant, _) in VARIANTS {
        let objects = programs.objects(variant, &[]);
        assert!(objects.iter().all(|object| object["kind"] != "Secret"), "{variant}");
        let text = json!(objects).to_string();
        for word in ["\"password\"", "\"username\"", "\"auths\"", ".dockerconfigjson"] {
            assert!(!text.contains(word), "{variant}: {word}");
        }
    }
}

#[test]
fn the_smoke_check_job_fails_on_a_problem_and_retries_an_inconclusive_result() {
    let Some(programs) = helm::programs() else { return };
    let objects = programs.objects("everything", &[]);
    let job = helm::the(&objects, "Job");
    assert_eq!(
        job["spec"]["podFailurePolicy"]["rules"][0],
        json!({"action": "FailJob", "onExitCodes": {"containerName": "smoke", "operator": "In", "values": [1, 2]}})
    );
    assert_eq!(job["spec"]["backoffLimit"], 3);
    assert_eq!(job["spec"]["activeDeadlineSeconds"], (600 + 30) * 4);
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(pod["restartPolicy"], "Never");
    assert_eq!(
        pod["containers"][0]["args"],
        json!([
            "smoke",
            "--namespace",
            "acr-verifier",
            "--selector",
            "app.kubernetes.io/name=acr-verifier,app.kubernetes.io/instance=acr-verifier,app.kubernetes.io/component=agent",
            "--timeout",
            "10m",
            "--sample",
            "100",
            "--key-file",
            "/var/run/secrets/acr-verifier-check-key/key",
            "--expect-config",
            file::digest(helm::configuration(&objects))
        ])
    );
}
