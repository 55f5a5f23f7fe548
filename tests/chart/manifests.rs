//! The rendered manifests and the chart's notes.

use std::fs;

use super::helm::{self, parse};

#[test]
fn the_manifests_are_what_the_chart_renders() {
    let Some(programs) = helm::programs() else { return };
    generate::assert_current(&[generate::manifests::file(&programs.helm_path())]);
}

#[test]
fn kustomize_builds_the_manifests() {
    let Some(programs) = helm::programs() else { return };
    let folder = helm::path("deploy/manifests");
    let text = programs.kubectl(&["kustomize", folder.to_str().expect("UTF-8")]).expect("it builds");
    let objects = parse(&text);
    let kinds: Vec<&str> = objects.iter().map(|object| object["kind"].as_str().expect("a kind")).collect();
    for kind in ["Namespace", "ServiceAccount", "Role", "RoleBinding", "ConfigMap", "DaemonSet"] {
        assert_eq!(kinds.iter().filter(|found| **found == kind).count(), 1, "{kind}");
    }
    assert_eq!(kinds.len(), 6);
    for object in &objects {
        assert_eq!(object["metadata"]["labels"]["app.kubernetes.io/managed-by"], "kustomize");
    }
    let namespace = helm::the(&objects, "Namespace");
    assert_eq!(namespace["metadata"]["name"], helm::the(&objects, "DaemonSet")["metadata"]["namespace"]);
    // The agents' Pods need it: every other level rejects the host network.
    assert_eq!(helm::agent(&objects)["hostNetwork"], true);
    assert_eq!(namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "privileged");
}

/// Renders the notes that Helm shows after an installation; it renders them only for a cluster.
pub(super) fn notes(variant: &str, arguments: &[&str]) -> Option<String> {
    let programs = helm::programs()?;
    let copy = helm::copy();
    let templates = copy.path().join("templates");
    let text = fs::read_to_string(templates.join("NOTES.txt")).expect("the notes");
    let wrapped = format!(
        "{{{{- define \"test.notes\" -}}}}\n{text}{{{{- end -}}}}\napiVersion: v1\nkind: Notes\ntext: {{{{ include \"test.notes\" . | quote }}}}\n"
    );
    fs::write(templates.join("notes.yaml"), wrapped).expect("a file");
    let files = helm::values_of(variant);
    let mut all: Vec<&str> = files.iter().flat_map(|file| ["--values", file.as_str()]).collect();
    all.extend(arguments);
    let objects = parse(&programs.template(copy.path(), &all).expect("it renders"));
    Some(helm::the(&objects, "Notes")["text"].as_str().expect("a text").to_owned())
}

#[test]
fn the_notes_list_the_next_steps() {
    let Some(minimal) = notes("minimal", &[]) else { return };
    for fragment in [
        "contoso.azurecr.io/apps/canary:1",
        "kubectl create secret docker-registry acr-pull --namespace acr-verifier",
        "kubectl rollout status daemonset/acr-verifier --namespace acr-verifier",
        "helm test acr-verifier --namespace acr-verifier --timeout 420s",
        "kubectl logs job/acr-verifier-smoke",
        "kubectl describe node NODE",
        "Nothing scrapes the metrics yet",
        "pod-security.kubernetes.io/enforce=privileged",
    ] {
        assert!(minimal.contains(fragment), "{fragment}:\n{minimal}");
    }
    assert!(!minimal.contains("WARNING"), "{minimal}");
    let unpublished = "acr-verifier:0.2.0 is not published yet";
    assert!(minimal.contains(unpublished), "{minimal}");
    let other = notes("minimal", &["--set", "image.registry=fabrikam.azurecr.io"]).expect("as before");
    assert!(!other.contains(unpublished), "{other}");
    let everything = notes("everything", &[]).expect("as before");
    assert!(
        everything
            .contains("a PodMonitor of monitoring.coreos.com and a PodMonitor of azmonitoring.coreos.com")
    );
    let quiet = notes("quiet", &[]).expect("as before");
    for (fragment, is_there) in [
        ("WARNING: the agent's own image", true),
        ("helm test", false),
        ("describe node", false),
        ("create secret", false),
    ] {
        assert_eq!(quiet.contains(fragment), is_there, "{fragment}:\n{quiet}");
    }
}
