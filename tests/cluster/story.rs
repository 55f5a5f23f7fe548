//! The operator's steps in order, with their expected results.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::whole::{Cluster, UNLINKED, wait};
use super::{discover, identity, node_files, quick_start, reach, runbook, waiting};

/// A step, with its name.
type Step = (&'static str, fn(&Cluster));

/// All steps in order: each leaves the cluster as the next one needs it.
pub(crate) const STEPS: [Step; 19] = [
    ("the README's quick start, with the nodes' identity and without a Secret", quick_start::run),
    ("helm upgrade --install, agents Ready on all nodes", install),
    ("kubectl describe node shows the Event", events),
    ("the agent answers for its node, as in the runbook", runbook::ask_the_agent),
    ("agents follow changes of node files, and write nothing", node_files::follow),
    ("a Pod's image is pulled through the private endpoint", pull),
    ("discover needs exactly the documented permissions", discover::permissions),
    ("a Pod's image is pulled with the node's identity until its role is removed", identity::pull),
    ("the accounts have only the documented permissions", rights),
    ("broken DNS on one node fails only its checks and pulls", one_node),
    ("helm test and smoke pass after the fix", repaired),
    ("discover explains Pods that wait for a data record and a tag", waiting::explains_record_and_tag),
    ("a Secret is rotated without a restart", rotation),
    ("cordoned nodes and nodes without the image are reported", states),
    ("upgrade, rollback: the agents stop and start quickly", upgrade),
    ("the smoke check as a Job runs at every upgrade, and as a CronJob", modes),
    ("agents listen on their node and loopback, and a key admits the smoke check", reach::limited),
    ("Pod Security: restricted accepts the preset, baseline fails", pod_security),
    ("uninstall leaves nothing behind", uninstall),
];

pub(super) const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/chart");
const NAMESPACE: &str = "--namespace=acr-verifier";
const SOON: Duration = Duration::from_secs(60);
/// Timeout of a smoke check that is expected to fail, and so runs to its deadline. An agent pauses for five seconds between
/// checks, and a check takes longer on a busy machine.
const RED: &str = "20s";
/// Differences from the README: a short interval, and the certificate authority of this registry.
pub(super) const QUICK: [&str; 7] = [
    "--set=config.schedule.interval=10s",
    "--set=config.images[0].privateEndpoint.cidrs={10.60.4.0/24}",
    "--set=config.tls.caConfigMap.name=registry-ca",
    "--set=config.tls.caConfigMap.key=ca.pem",
    "--set=updateStrategy.minReadySeconds=1",
    "--set=smoke.timeout=20s",
    "--set=smoke.ttlSecondsAfterFinished=5",
];

fn settings(image: &str) -> Vec<String> {
    let own = [
        format!("--set=config.images[0].image={image}"),
        "--set=config.images[0].credentials.secretName=acr-pull".to_owned(),
    ];
    own.into_iter().chain(QUICK.map(str::to_owned)).collect()
}

fn prepare(cluster: &Cluster, namespace: &str, level: &str) {
    cluster.kubectl(&["create", "namespace", namespace]);
    let label = format!("pod-security.kubernetes.io/enforce={level}");
    cluster.kubectl(&["label", "namespace", namespace, &label]);
    write_secret(cluster, namespace);
    let file = format!("--from-file=ca.pem={}", cluster.path().join("authorities.pem").display());
    let namespace = format!("--namespace={namespace}");
    cluster.kubectl(&["create", "configmap", "registry-ca", &namespace, &file]);
}

/// Creates or replaces the Secret as in the README.
fn write_secret(cluster: &Cluster, namespace: &str) {
    let namespace = format!("--namespace={namespace}");
    let (username, password) = (cluster.inside.username(), cluster.inside.password());
    let entries = json!({"auths": {"contoso.azurecr.io": {"username": username, "password": password}}});
    let entries_file = cluster.path().join("config.json");
    std::fs::write(&entries_file, entries.to_string()).expect("a file");
    let from = format!("--from-file=.dockerconfigjson={}", entries_file.display());
    let create = ["create", "secret", "docker-registry", "acr-pull", &namespace, &from];
    let text = cluster.kubectl(&[&create[..], &["--dry-run=client", "--output=json"]].concat());
    let file = cluster.path().join("secret.json");
    std::fs::write(&file, text).expect("a file");
    cluster.kubectl(&["apply", "--filename", file.to_str().expect("UTF-8")]);
}

pub(super) fn install_as(cluster: &Cluster, release: &str, namespace: &str, more: &[&str]) {
    let namespace = format!("--namespace={namespace}");
    let settings = settings(&cluster.inside.image());
    let mut arguments = vec!["upgrade", "--install", release, CHART, namespace.as_str()];
    arguments.extend(settings.iter().map(String::as_str));
    arguments.extend(more);
    cluster.helm(&arguments);
}

pub(super) fn rolled_out(cluster: &Cluster, daemon_set: &str, namespace: &str) {
    let (set, namespace) = (format!("daemonset/{daemon_set}"), format!("--namespace={namespace}"));
    cluster.kubectl(&["rollout", "status", &set, &namespace, "--timeout=120s"]);
}

fn install(cluster: &Cluster) {
    let before = objects(cluster);
    std::fs::write(cluster.path().join("before.json"), json!(before).to_string()).expect("a file");
    prepare(cluster, "acr-verifier", "privileged");
    install_as(cluster, "acr-verifier", "acr-verifier", &[]);
    rolled_out(cluster, "acr-verifier", "acr-verifier");
    assert_eq!(agents(cluster).len(), 3);
}

/// Returns the agents' Pods by node: name, uid and restarts.
pub(super) fn agents(cluster: &Cluster) -> Vec<(String, String, String, i64)> {
    let pods = cluster.kubectl(&[
        "get",
        "pods",
        NAMESPACE,
        "--selector=app.kubernetes.io/component=agent",
        "--output=json",
    ]);
    let pods: Value = serde_json::from_str(&pods).expect("JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut agents: Vec<_> = pods["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|pod| {
            let restarts = pod["status"]["containerStatuses"][0]["restartCount"].as_i64().unwrap_or(-1);
            let (name, uid) = (text(&pod["metadata"]["name"]), text(&pod["metadata"]["uid"]));
            (text(&pod["spec"]["nodeName"]), name, uid, restarts)
        })
        .collect();
    agents.sort();
    agents
}

fn events(cluster: &Cluster) {
    for worker in &cluster.workers {
        wait("RegistryVerified", SOON, || described(cluster, &worker.name, "RegistryVerified"));
        let text = cluster.kubectl(&["describe", "node", &worker.name]);
        let line = text.lines().find(|line| line.contains("RegistryVerified")).expect("it was there");
        assert!(line.contains("Normal") && line.contains("acr-verifier"), "{line}");
    }
}

fn described(cluster: &Cluster, node: &str, word: &str) -> bool {
    cluster.kubectl(&["describe", "node", node]).lines().any(|line| line.contains(word))
}

fn pull(cluster: &Cluster) {
    cluster.start_pod("acr-verifier", "tool", 0, "apps/tool:1", Some("acr-pull"));
    cluster.kubectl(&["wait", "--for=condition=Ready", "pod/tool", NAMESPACE, "--timeout=60s"]);
    cluster.kubectl(&["delete", "pod", "tool", NAMESPACE]);
    assert_eq!(cluster.public_packets(), 0, "something took the public path");
}

/// Returns the permissions of an account beyond those of every account.
fn rights_of(cluster: &Cluster, account: &str, namespace: &str) -> BTreeSet<String> {
    let list = |account: &str| -> BTreeSet<String> {
        let account = format!("--as=system:serviceaccount:acr-verifier:{account}");
        let namespace = format!("--namespace={namespace}");
        let text = cluster.kubectl(&["auth", "can-i", "--list", "--no-headers", &account, &namespace]);
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    };
    &list(account) - &list("default")
}

fn rights(cluster: &Cluster) {
    let rules = |lines: &[&str]| -> BTreeSet<String> { lines.iter().map(|&line| line.to_owned()).collect() };
    let agent = |namespace: &str| rights_of(cluster, "acr-verifier", namespace);
    assert_eq!(agent("default"), rules(&["events.events.k8s.io [] [] [create patch]"]));
    assert_eq!(agent("acr-verifier"), rules(&[]));
    assert_eq!(agent("kube-system"), rules(&[]));
    let smoke = |namespace: &str| rights_of(cluster, "acr-verifier-smoke", namespace);
    let nodes = "nodes [] [] [list]";
    assert_eq!(
        smoke("acr-verifier"),
        rules(&["daemonsets.apps [] [] [get list]", nodes, "pods [] [] [list]"])
    );
    assert_eq!(smoke("default"), rules(&[nodes]));
}

/// Returns the report of a smoke check from outside the cluster.
fn smoke_json(cluster: &Cluster, namespace: &str, timeout: &str) -> (Option<i32>, Value) {
    let (code, text) = cluster.smoke(&["--namespace", namespace, "--timeout", timeout, "--output", "json"]);
    let report = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    (code, report)
}

fn one_node(cluster: &Cluster) {
    let broken = &cluster.workers[2].name;
    cluster.break_names(2, UNLINKED);
    let (code, report) = smoke_json(cluster, "acr-verifier", RED);
    assert_eq!(code, Some(1), "{report:#}");
    let groups = report["groups"].as_array().expect("groups");
    assert_eq!(groups.len(), 1, "{report:#}");
    assert_eq!(groups[0]["cause"], "private_zone_not_linked");
    assert_eq!(groups[0]["nodes"], json!([broken]));
    assert_eq!((&report["counts"]["pass"], &report["counts"]["fail"]), (&json!(2), &json!(1)));
    let properties: Vec<&Value> =
        groups[0]["differences"].as_array().expect("a list").iter().map(|found| &found["property"]).collect();
    assert_eq!(properties, ["agentPool", "subnet"]);
    let (_, text) = cluster.smoke(&["--timeout", RED]);
    assert!(text.contains("1 of 3 nodes: private_zone_not_linked (login.address)"), "{text}");
    assert_eq!(cluster.public_packets(), 0, "an agent took the public path");

    let metrics = |index| cluster.ask(index, "/metrics");
    assert!(metrics(2).contains(&format!(
        "acr_verifier_cause{{cause=\"private_zone_not_linked\",node=\"{broken}\",registry=\"contoso.azurecr.io\",severity=\"fail\"}} 1"
    )));
    assert!(cluster.ask(2, "/report").contains("private_zone_not_linked"));
    for index in [0, 1] {
        assert!(!metrics(index).contains("acr_verifier_cause{"), "node {index} is not broken");
    }
    wait("the Event", SOON, || described(cluster, broken, "PrivateZoneNotLinked"));
    for worker in &cluster.workers[..2] {
        assert!(!described(cluster, &worker.name, "PrivateZoneNotLinked"), "{} is not broken", worker.name);
    }
    // `helm test` fails as well, from inside the cluster.
    let tested = cluster.try_helm(&["test", "acr-verifier", NAMESPACE, "--timeout=120s"]);
    assert!(!tested.status.success(), "{}", String::from_utf8_lossy(&tested.stdout));
    // Real pulls match the verdicts: they fail on the broken node and work elsewhere.
    cluster.start_pod("acr-verifier", "refused", 2, "apps/tool:1", Some("acr-pull"));
    cluster.start_pod("acr-verifier", "granted", 0, "apps/tool:1", Some("acr-pull"));
    cluster.kubectl(&["wait", "--for=condition=Ready", "pod/granted", NAMESPACE, "--timeout=60s"]);
    wait("the pull to fail", SOON, || {
        let text = cluster.kubectl(&["describe", "pod", "refused", NAMESPACE]);
        text.contains("Failed to pull image") && text.contains("403")
    });
    waiting::explains_unlinked_zone(cluster);
    assert!(cluster.public_packets() > 0, "the pull took some other path");
    cluster.kubectl(&["delete", "pod", "refused", "granted", NAMESPACE]);
    // The next Event must come from the recovery.
    cluster.kubectl(&["delete", "events", "--all", "--namespace=default"]);
    cluster.restore_names(2);
}

fn repaired(cluster: &Cluster) {
    let (code, text) = cluster.smoke(&["--timeout", "60s"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("pass: of 3 nodes that should run the agent, 3 can pull."), "{text}");
    let output = cluster.helm(&["test", "acr-verifier", NAMESPACE, "--timeout=120s", "--logs=false"]);
    assert!(output.contains("Succeeded"), "{output}");
    let broken = &cluster.workers[2].name;
    wait("the recovery", SOON, || described(cluster, broken, "RegistryVerified"));
}

fn rotation(cluster: &Cluster) {
    let before = agents(cluster);
    // Disable the old password first, as after a leak.
    cluster.inside.change(|settings| "the-second-password".clone_into(&mut settings.credentials.password));
    let (code, report) = smoke_json(cluster, "acr-verifier", RED);
    assert_eq!(code, Some(1), "{report:#}");
    assert_eq!(report["groups"][0]["cause"], "credentials_rejected");
    assert_eq!(report["groups"][0]["nodes"].as_array().expect("nodes").len(), 3);
    waiting::explains_rejected_token(cluster);
    write_secret(cluster, "acr-verifier");
    let (code, report) = smoke_json(cluster, "acr-verifier", "100s");
    assert_eq!(code, Some(0), "{report:#}");
    assert_eq!(agents(cluster), before, "the same Pods without a restart");
    assert!(!report.to_string().contains("the-second-password"));
}

fn states(cluster: &Cluster) {
    let (cordoned, without) = (&cluster.workers[0].name, &cluster.workers[1].name);
    cluster.kubectl(&["cordon", cordoned]);
    for image in cluster.workers[1].containerd(&["images", "list", "--quiet"]).lines() {
        if image.contains("acr-verifier") {
            cluster.workers[1].containerd(&["images", "remove", "--sync", image]);
        }
    }
    let pod = agents(cluster).into_iter().find(|(node, ..)| node == without).expect("its agent").1;
    cluster.kubectl(&["delete", "pod", &pod, NAMESPACE]);
    wait("the missing image", SOON, || cluster.kubectl(&["get", "pods", NAMESPACE]).contains("ImagePull"));
    let (code, report) = smoke_json(cluster, "acr-verifier", RED);
    assert_eq!(code, Some(1), "{report:#}");
    let nodes = report["nodes"].as_array().expect("nodes");
    let node = |name: &str| nodes.iter().find(|node| node["node"] == name).expect("the node");
    assert_eq!(
        (&node(cordoned)["cordoned"], &node(cordoned)["verdict"]),
        (&json!(true), &json!("pass")),
        "{report:#}"
    );
    assert_eq!(node(without)["state"], "unready");
    let reason = node(without)["reason"].as_str().expect("a reason").to_owned();
    assert!(["ErrImagePull", "ImagePullBackOff"].contains(&reason.as_str()), "{reason}");
    cluster.kubectl(&["uncordon", cordoned]);
    cluster.import_agent(1);
    let pod = agents(cluster).into_iter().find(|(node, ..)| node == without).expect("its agent").1;
    cluster.kubectl(&["delete", "pod", &pod, NAMESPACE]);
    let (code, report) = smoke_json(cluster, "acr-verifier", "60s");
    assert_eq!(code, Some(0), "{report:#}");
}

fn upgrade(cluster: &Cluster) {
    let before = agents(cluster);
    let pod = &before[0].1;
    let started = Instant::now();
    cluster.kubectl(&["delete", "pod", pod, NAMESPACE]);
    assert!(started.elapsed() < Duration::from_secs(8), "shutdown took {:?}", started.elapsed());
    install_as(cluster, "acr-verifier", "acr-verifier", &["--set=log.format=json"]);
    // The smoke check waits for the new revision and ignores Pods of the old one.
    let (code, report) = smoke_json(cluster, "acr-verifier", "120s");
    assert_eq!(code, Some(0), "{report:#}");
    let after = agents(cluster);
    assert!(before.iter().zip(&after).all(|(before, after)| before.2 != after.2), "{after:?}");
    cluster.helm(&["rollback", "acr-verifier", NAMESPACE]);
    rolled_out(cluster, "acr-verifier", "acr-verifier");
    assert!(after.iter().zip(&agents(cluster)).all(|(before, after)| before.2 != after.2));
}

fn modes(cluster: &Cluster) {
    let succeeded = |job: &str| {
        let path = "--output=jsonpath={.status.succeeded}";
        String::from_utf8_lossy(&cluster.try_kubectl(&["get", "job", job, NAMESPACE, path]).stdout) == "1"
    };
    let mut seen = BTreeSet::new();
    for _ in 0..2 {
        install_as(cluster, "acr-verifier", "acr-verifier", &["--set=smoke.mode=job"]);
        let jobs = cluster.kubectl(&["get", "jobs", NAMESPACE, "--output=name"]);
        let jobs: Vec<&str> = jobs.lines().filter(|job| job.contains("acr-verifier-smoke-")).collect();
        assert_eq!(jobs.len(), 1, "Helm deletes the previous Job: {jobs:?}");
        let job = jobs[0].trim_start_matches("job.batch/").to_owned();
        wait("the Job to succeed", SOON, || succeeded(&job));
        assert!(seen.insert(job), "{seen:?}");
    }
    install_as(cluster, "acr-verifier", "acr-verifier", &["--set=smoke.mode=cronjob"]);
    cluster.kubectl(&["create", "job", "now", "--from=cronjob/acr-verifier-smoke", NAMESPACE]);
    wait("the check to succeed", SOON, || succeeded("now"));
    // The probes can be executed in the image. One may meet a container that has just ended.
    let unhealthy = cluster.kubectl(&["get", "events", NAMESPACE, "--field-selector=reason=Unhealthy"]);
    let errored = |event: &str| event.contains("errored") && !event.contains("no running task found");
    assert!(!unhealthy.lines().any(errored), "{unhealthy}");
    install_as(cluster, "acr-verifier", "acr-verifier", &[]);
}

fn pod_security(cluster: &Cluster) {
    let preset = format!("--values={CHART}/values-aks-automatic.yaml");
    prepare(cluster, "restricted", "restricted");
    install_as(cluster, "acr-verifier", "restricted", &[&preset]);
    rolled_out(cluster, "acr-verifier", "restricted");
    let (code, report) = smoke_json(cluster, "restricted", "60s");
    assert_eq!(code, Some(0), "{report:#}");
    for node in report["nodes"].as_array().expect("nodes") {
        assert_eq!(node["report"]["networkView"], "pod");
    }
    let output =
        cluster.helm(&["test", "acr-verifier", "--namespace=restricted", "--timeout=120s", "--logs=false"]);
    assert!(output.contains("Succeeded"), "{output}");
    cluster.helm(&["uninstall", "acr-verifier", "--namespace=restricted", "--wait"]);

    prepare(cluster, "baseline", "baseline");
    install_as(cluster, "acr-verifier", "baseline", &[]);
    wait("the rejection", SOON, || {
        let text = cluster.kubectl(&["get", "events", "--namespace=baseline"]);
        text.contains("violates PodSecurity") && text.contains("hostNetwork=true")
    });
    cluster.helm(&["uninstall", "acr-verifier", "--namespace=baseline", "--wait"]);
    cluster.kubectl(&["delete", "namespace", "restricted", "baseline"]);
}

/// Lists all objects of the cluster except Events and leases.
fn objects(cluster: &Cluster) -> BTreeSet<String> {
    let kinds = cluster.kubectl(&["api-resources", "--verbs=list", "--output=name"]);
    let passing = ["events", "events.events.k8s.io", "leases.coordination.k8s.io"];
    let kinds: Vec<&str> = kinds.lines().filter(|kind| !passing.contains(kind)).collect();
    let columns = "--output=custom-columns=KIND:.kind,NAMESPACE:.metadata.namespace,NAME:.metadata.name";
    let text = cluster.kubectl(&["get", &kinds.join(","), "--all-namespaces", "--no-headers", columns]);
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

fn uninstall(cluster: &Cluster) {
    cluster.helm(&["uninstall", "acr-verifier", NAMESPACE, "--wait"]);
    // The operator created these.
    discover::remove(cluster);
    cluster.kubectl(&["delete", "namespace", "acr-verifier"]);
    let before: BTreeSet<String> = std::fs::read_to_string(cluster.path().join("before.json"))
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .expect("the first step wrote it");
    wait("nothing to be left", SOON, || objects(cluster) == before);
    assert_eq!(cluster.public_packets_of_agents(), 0, "an agent took the public path");
}
