//! The modes of the smoke check: a hook of Helm, a Job of the release, a CronJob.

use serde_json::{Value, json};

use super::helm::{self, Programs};
use super::manifests::notes;

const MODE: [(&str, &str); 3] = [("test", "Job"), ("job", "Job"), ("cronjob", "CronJob")];

fn render(programs: &Programs, settings: &[&str]) -> Vec<Value> {
    let arguments: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
    programs.objects("minimal", &arguments)
}

#[test]
fn every_mode_runs_the_same_check() {
    let Some(programs) = helm::programs() else { return };
    let template = |mode: &str| {
        let objects = render(&programs, &[&format!("smoke.mode={mode}")]);
        helm::smoke_job(&objects)["template"].clone()
    };
    for (mode, kind) in MODE {
        let objects = render(&programs, &[&format!("smoke.mode={mode}")]);
        let workload = helm::the(&objects, kind);
        let is_hook = workload["metadata"]["annotations"].get("helm.sh/hook").is_some();
        assert_eq!(is_hook, mode == "test", "{mode}");
        assert_eq!(template(mode), template("test"), "{mode}");
        let name = workload["metadata"]["name"].as_str().expect("a name");
        assert!(name.starts_with("acr-verifier-smoke"), "{mode}: {name}");
    }
}

/// A Job cannot be changed: what changes its template must change its name.
#[test]
fn a_job_of_the_release_has_a_new_name_for_other_content() {
    let Some(programs) = helm::programs() else { return };
    let job = |settings: &[&str]| {
        let objects = render(&programs, &[&["smoke.mode=job"], settings].concat());
        let job = helm::the(&objects, "Job");
        (job["metadata"]["name"].as_str().expect("a name").to_owned(), job["spec"].clone())
    };
    let (before, specification) = job(&[]);
    assert_eq!(job(&[]), (before.clone(), specification.clone()), "deterministic");
    for setting in [
        "config.images[0].image=contoso.azurecr.io/apps/canary:2",
        "smoke.timeout=4m",
        "smoke.sample=all",
        "smoke.sample=500",
        "image.tag=0.1.1",
        "commonLabels.team=platform",
        "smoke.tolerations=null",
    ] {
        let (name, changed) = job(&[setting]);
        assert_ne!(changed, specification, "{setting}");
        assert_ne!(name, before, "{setting}");
    }
    // Annotations can be changed.
    assert_eq!(job(&["smoke.annotations.team=platform"]), (before, specification));
}

#[test]
fn names_are_short_enough_for_their_kinds() {
    let Some(programs) = helm::programs() else { return };
    let name = "a".repeat(50);
    // Kubernetes' own limits.
    for ((mode, kind), limit) in MODE.into_iter().zip([63, 63, 52]) {
        let settings = [format!("fullnameOverride={name}"), format!("smoke.mode={mode}")];
        let objects = render(&programs, &settings.each_ref().map(String::as_str));
        let found = helm::the(&objects, kind)["metadata"]["name"].as_str().expect("a name");
        assert!(found.len() <= limit && found.contains("-smoke"), "{mode}: {found}");
    }
}

/// GitOps tools and Helm recreate a deleted object of the release, but not a hook.
#[test]
fn only_hooks_have_a_ttl() {
    let Some(programs) = helm::programs() else { return };
    let argo_cd = r"smoke.annotations.argocd\.argoproj\.io/hook=PostSync";
    let post_install = r"smoke.annotations.helm\.sh/hook=post-install\,post-upgrade";
    let cases: [(&[&str], Option<u64>); 5] = [
        (&["smoke.mode=test"], Some(300)),
        (&["smoke.mode=job"], None),
        (&["smoke.mode=job", argo_cd, "smoke.ttlSecondsAfterFinished=60"], Some(60)),
        (&["smoke.mode=job", post_install], Some(300)),
        (&["smoke.mode=cronjob"], None),
    ];
    for (settings, expected) in cases {
        let objects = render(&programs, settings);
        let found = helm::smoke_job(&objects).get("ttlSecondsAfterFinished").and_then(Value::as_u64);
        assert_eq!(found, expected, "{settings:?}");
    }
}

#[test]
fn annotations_are_those_of_the_mode_and_of_the_values() {
    let Some(programs) = helm::programs() else { return };
    let objects = programs.objects("gitops", &[]);
    assert_eq!(
        helm::the(&objects, "Job")["metadata"]["annotations"],
        json!({
            "argocd.argoproj.io/hook": "PostSync",
            "argocd.argoproj.io/hook-delete-policy": "BeforeHookCreation",
        })
    );
    let objects = programs.objects("everything", &[]);
    assert_eq!(
        helm::the(&objects, "Job")["metadata"]["annotations"],
        json!({
            "helm.sh/hook": "test",
            "helm.sh/hook-delete-policy": "before-hook-creation",
            "example.com/owner": "platform",
            "example.com/source": "platform-charts",
        })
    );
}

#[test]
fn a_cron_job_does_not_overlap_and_keeps_failed_checks() {
    let Some(programs) = helm::programs() else { return };
    let objects = programs.objects("cronjob", &[]);
    let specification = &helm::the(&objects, "CronJob")["spec"];
    assert_eq!(specification["schedule"], "*/30 * * * *");
    assert_eq!(specification["concurrencyPolicy"], "Forbid");
    assert_eq!(specification["failedJobsHistoryLimit"], 3);
    assert_eq!(specification["jobTemplate"]["metadata"]["labels"]["app.kubernetes.io/component"], "smoke");
}

#[test]
fn the_check_can_run_on_system_pools_with_settings_of_its_own() {
    let Some(programs) = helm::programs() else { return };
    let tolerations = json!([{"key": "CriticalAddonsOnly", "operator": "Exists"}]);
    let objects = programs.objects("minimal", &[]);
    let pod = &helm::smoke_job(&objects)["template"]["spec"];
    assert_eq!(pod["tolerations"], tolerations);
    assert!(pod.get("affinity").is_none() && pod.get("priorityClassName").is_none(), "{pod}");
    // Reserved on the managed system pools of AKS Automatic.
    let objects = programs.objects("aks-automatic", &[]);
    assert!(helm::smoke_job(&objects)["template"]["spec"].get("tolerations").is_none());
    let objects = programs.objects("everything", &[]);
    let pod = &helm::smoke_job(&objects)["template"]["spec"];
    assert_eq!(pod["priorityClassName"], "system-cluster-critical");
    assert_eq!(pod["serviceAccountName"], "pull-gate");
    assert!(pod["affinity"]["nodeAffinity"].is_object(), "{pod}");
    assert!(helm::agent(&objects)["affinity"].to_string().contains("virtual-kubelet"), "the agents' own");
}

#[test]
fn an_existing_account_is_bound_and_not_created() {
    let Some(programs) = helm::programs() else { return };
    let objects =
        render(&programs, &["smoke.serviceAccount.create=false", "smoke.serviceAccount.name=shared"]);
    let accounts = objects.iter().filter(|object| object["kind"] == "ServiceAccount");
    let names: Vec<&Value> = accounts.map(|account| &account["metadata"]["name"]).collect();
    assert_eq!(names, ["acr-verifier"]);
    let bound = |object: &&Value| object["subjects"][0]["name"] == "shared";
    assert_eq!(objects.iter().filter(bound).count(), 2, "in the namespace and in the cluster");
}

#[test]
fn the_notes_fit_the_mode() {
    for (mode, present, absent) in [
        ("test", "helm test acr-verifier", "kubectl create job"),
        ("job", "kubectl logs job/acr-verifier-smoke-", "helm test"),
        ("cronjob", "kubectl create job smoke --from=cronjob/acr-verifier-smoke", "helm test"),
    ] {
        let Some(text) = notes("minimal", &["--set", &format!("smoke.mode={mode}")]) else { return };
        assert!(text.contains(present) && !text.contains(absent), "{mode}:\n{text}");
    }
}
