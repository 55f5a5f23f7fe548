//! Permissions of the service accounts: exactly what each needs, in the right scope.

use serde_json::{Value, json};

use super::helm::{self, VARIANTS};

/// Returns every rule with the kind, the namespace and the account it is granted to.
fn rules(objects: &[Value]) -> Vec<Value> {
    let mut found = Vec::new();
    for binding in
        objects.iter().filter(|object| object["kind"].as_str().is_some_and(|kind| kind.ends_with("Binding")))
    {
        let kind = binding["roleRef"]["kind"].as_str().expect("a kind");
        let role = objects
            .iter()
            .find(|role| {
                role["kind"] == kind
                    && role["metadata"]["name"] == binding["roleRef"]["name"]
                    && role["metadata"]["namespace"] == binding["metadata"]["namespace"]
            })
            .expect("the role of a binding");
        let subjects = binding["subjects"].as_array().expect("subjects");
        assert_eq!(subjects.len(), 1);
        assert_eq!(
            (&subjects[0]["kind"], &subjects[0]["namespace"]),
            (&json!("ServiceAccount"), &json!("acr-verifier"))
        );
        found.push(json!([kind, role["metadata"]["namespace"], subjects[0]["name"], role["rules"]]));
    }
    found
}

#[test]
fn each_account_has_exactly_the_permissions_it_needs() {
    let Some(programs) = helm::programs() else { return };
    let events = json!([
        "Role", "default", "acr-verifier",
        [{"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]}]
    ]);
    for (variant, _) in VARIANTS {
        let account = if variant == "everything" { "pull-gate" } else { "acr-verifier-smoke" };
        let nodes = json!([
            "ClusterRole", null, account,
            [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}]
        ]);
        let namespace = json!([
            "Role", "acr-verifier", account,
            [
                {"apiGroups": ["apps"], "resources": ["daemonsets"], "verbs": ["get", "list"]},
                {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
            ]
        ]);
        let expected = match variant {
            "quiet" => vec![],
            "manifests" => vec![&events],
            _ => vec![&nodes, &events, &namespace],
        };
        let objects = programs.objects(variant, &[]);
        assert_eq!(rules(&objects).iter().collect::<Vec<_>>(), expected, "{variant}");
        let roles = objects
            .iter()
            .filter(|object| object["kind"].as_str().is_some_and(|kind| kind.ends_with("Role")));
        assert_eq!(roles.count(), expected.len(), "{variant}: no role without a binding");
    }
}

#[test]
fn helm_leaves_only_the_job_which_its_ttl_removes() {
    let Some(programs) = helm::programs() else { return };
    for (variant, _) in VARIANTS {
        let objects = programs.objects(variant, &[]);
        let hooks: Vec<&Value> = objects
            .iter()
            .filter(|object| object["metadata"]["annotations"].get("helm.sh/hook").is_some())
            .collect();
        let has_hook = !["quiet", "manifests", "gitops", "cronjob"].contains(&variant);
        assert_eq!(hooks.len(), usize::from(has_hook), "{variant}");
        for hook in hooks {
            assert_eq!(hook["kind"], "Job");
            let annotations = &hook["metadata"]["annotations"];
            assert_eq!(annotations["helm.sh/hook"], "test", "{variant}");
            assert_eq!(annotations["helm.sh/hook-delete-policy"], "before-hook-creation", "{variant}");
            assert!(hook["spec"]["ttlSecondsAfterFinished"].as_u64().is_some_and(|seconds| seconds <= 600));
        }
    }
}

#[test]
fn a_token_is_mounted_only_where_the_api_server_is_used() {
    let Some(programs) = helm::programs() else { return };
    for (variant, _) in VARIANTS {
        let objects = programs.objects(variant, &[]);
        for account in objects.iter().filter(|object| object["kind"] == "ServiceAccount") {
            assert_eq!(account["automountServiceAccountToken"], false, "{variant}");
        }
        let pod = helm::agent(&objects);
        assert_eq!(pod["automountServiceAccountToken"], false, "{variant}");
        let has_token = pod["volumes"].to_string().contains("serviceAccountToken");
        assert_eq!(has_token, variant != "quiet", "{variant}");
    }
}

#[test]
fn two_releases_have_no_object_in_common() {
    let Some(programs) = helm::programs() else { return };
    let names = |namespace: &str, release: &str| {
        let file = helm::values_of("minimal").remove(0);
        let chart = helm::chart();
        let chart = chart.to_str().expect("UTF-8");
        let text = programs.helm(&["template", release, chart, "--namespace", namespace, "--values", &file]);
        let objects = helm::parse(&text.expect("it renders"));
        let name = |object: &Value| {
            format!("{} {} {}", object["kind"], object["metadata"]["namespace"], object["metadata"]["name"])
        };
        objects.iter().map(name).collect::<Vec<_>>()
    };
    let first = names("one", "acr-verifier");
    for (namespace, release) in [("two", "acr-verifier"), ("one", "second")] {
        for name in names(namespace, release) {
            assert!(!first.contains(&name), "{namespace}/{release}: {name}");
        }
    }
}
