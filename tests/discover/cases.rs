//! The program on a cluster over real sockets: what it requests, and what it concludes.

use serde_json::{Value, json};

use super::cluster::{Cluster, Objects, Reply, agent, pod, waiting};
use super::samples;
use crate::report::samples as checks;
use acr_verifier::wire::report::Report;

pub(super) const API: &str = "contoso.azurecr.io/shop/api:2";

/// The reply of a healthy agent, or of one that does not see the private zone if its node has a 1.
pub(super) fn report(agent: &str) -> Reply {
    let node = agent.strip_prefix("agent-").expect("an agent");
    let image = if node.contains('1') { checks::zone_not_linked() } else { checks::healthy() };
    let mut run = checks::run(vec![image]);
    node.clone_into(&mut run.node);
    (200, serde_json::to_string(&Report::from(&run)).expect("JSON"))
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Three Pods on two nodes: one runs, two wait on a node whose agent does not see the private zone.
fn two_nodes() -> Cluster {
    let pods = vec![
        pod("shop", "api-0", "node-0", API),
        waiting(pod("shop", "api-1", "node-1", API), "ErrImagePull", samples::TIMEOUT),
        waiting(pod("shop", "api-2", "node-1", API), "ImagePullBackOff", samples::TIMEOUT),
    ];
    Cluster::of(pods, vec![agent("node-0", true), agent("node-1", true)], report)
}

/// Pods and agents, the reply of an agent by its name, the exit code, and what the report contains.
type CoverageCase = (Vec<Value>, Vec<Value>, fn(&str) -> Reply, i32, &'static str);

#[test]
fn waiting_pods_are_explained_by_the_agent_of_their_node() {
    let cluster = two_nodes();
    let (found, code) = cluster.json(&[]);
    assert_eq!(code, Some(0), "a waiting Pod is a finding about the cluster");
    assert_eq!(found["counts"]["waitingPods"], 2);
    for waiting in found["waiting"].as_array().expect("a list") {
        assert_eq!(waiting["conclusion"], "explained", "{waiting:#}");
        assert_eq!(waiting["kubelet"]["cause"], "connect_timeout");
        assert_eq!(waiting["agent"]["cause"], "private_zone_not_linked");
        assert!(!waiting["fixes"][0]["commands"].as_array().expect("a list").is_empty());
    }
    assert_eq!(
        found["registries"][0],
        json!({"registry": "contoso.azurecr.io", "images": 1, "pods": 3,
        "waitingPods": 2, "nodes": 2, "checked": true, "verdict": "fail"})
    );
    let asked = cluster.asked();
    let reports = asked.iter().filter(|target| target.ends_with("/proxy/report")).count();
    assert_eq!(reports, 1, "one request for both Pods, which also shows the registries: {asked:?}");
    assert!(!asked.iter().any(|target| target.contains("secrets")), "{asked:?}");
}

#[test]
fn one_pod_decides_the_exit_code() {
    let pods = vec![
        pod("shop", "api-0", "node-0", API),
        waiting(pod("shop", "api-1", "node-0", API), "ErrImagePull", samples::NOT_FOUND),
        waiting(pod("shop", "crash", "node-0", API), "CrashLoopBackOff", "back-off"),
    ];
    let cluster = Cluster::start(Objects {
        lists: vec![
            ("/api/v1/namespaces/shop/pods", pods),
            ("/api/v1/namespaces/acr-verifier/pods", vec![agent("node-0", true)]),
        ],
        special: Box::new(|path, _| path.ends_with("/proxy/report").then(|| report("agent-node-0"))),
    });
    for (name, code, words) in [
        ("shop/api-0", 0, "Pod api-0 does not wait for an image of a registry."),
        ("shop/crash", 0, "Its containers wait for another reason: CrashLoopBackOff."),
        ("shop/api-1", 1, "The kubelet's message shows manifest_not_found"),
    ] {
        let output = cluster.discover(&["--pod", name]);
        let text = text(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(output.status.code(), Some(code), "{name}: {text}");
        assert!(text.contains(words), "{name}: {text}");
    }
    let output = cluster.discover(&["--pod", "shop/none"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stderr), "error: there is no Pod none in namespace shop\n");
    assert!(cluster.asked().iter().any(|target| target.contains("fieldSelector=metadata.name%3Dnone")));
}

#[test]
fn coverage_decides_the_exit_code() {
    let fabrikam = || pod("shop", "web", "node-0", "fabrikam.azurecr.io/web:1");
    let silent = |_: &str| (503, json!({"error": "the first check has not completed yet"}).to_string());
    let ready = || vec![agent("node-0", true)];
    let cases: [CoverageCase; 6] = [
        (vec![pod("a", "b", "node-0", API)], ready(), report, 0, "The agents check every registry in use"),
        (vec![fabrikam()], ready(), report, 1, "The agents do not check fabrikam.azurecr.io"),
        (vec![fabrikam()], vec![], report, 1, "There is no agent in namespace acr-verifier"),
        (
            vec![fabrikam()],
            ready(),
            silent,
            3,
            "it responded with 503: the first check has not completed yet",
        ),
        (vec![fabrikam()], vec![agent("node-0", false)], report, 3, "no agent is ready"),
        (
            vec![pod("a", "b", "node-0", "mcr.microsoft.com/x:1")],
            vec![],
            report,
            0,
            "No Pod uses an image of an Azure Container Registry (1 Pod read).",
        ),
    ];
    for (pods, agents, report, code, words) in cases {
        let output = Cluster::of(pods, agents, report).discover(&["--coverage"]);
        let text = text(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(output.status.code(), Some(code), "{words}: {text}");
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn values_need_only_the_pods() {
    let lists = vec![("/api/v1/pods", vec![pod("shop", "api", "node-0", API)])];
    let cluster = Cluster::start(Objects { lists, special: Box::new(|_, _| None) });
    let output = cluster.discover(&["--output", "values"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("    - image: \"contoso.azurecr.io/shop/api:2\""));
    assert_eq!(cluster.asked(), ["/api/v1/pods?limit=250", "/api/v1/nodes?limit=100",]);
}

#[test]
fn owners_add_the_images_of_cronjobs_and_idle_workloads() {
    let template = |image: &str| {
        json!({"spec": {"containers": [{"name": "main", "image": image}],
        "imagePullSecrets": [{"name": "acr-pull"}]}})
    };
    let workload = |name: &str, image: &str| {
        json!({"metadata": {"namespace": "data", "name": name},
        "spec": {"replicas": 0, "template": template(image)}})
    };
    let mut owned = workload("owned", "contoso.azurecr.io/owned:1");
    owned["metadata"]["ownerReferences"] = json!([{"controller": true}]);
    let mut finished = workload("finished", "contoso.azurecr.io/finished:1");
    finished["status"] = json!({"conditions": [{"type": "Complete", "status": "True"}]});
    let cron = json!({"metadata": {"namespace": "data", "name": "nightly"},
        "spec": {"jobTemplate": {"spec": {"template": template("contoso.azurecr.io/nightly:1")}}}});
    let cluster = Cluster::start(Objects {
        lists: vec![
            ("/api/v1/pods", vec![]),
            ("/api/v1/namespaces/acr-verifier/pods", vec![]),
            ("/apis/apps/v1/deployments", vec![workload("idle", "contoso.azurecr.io/idle:1")]),
            ("/apis/apps/v1/statefulsets", vec![]),
            ("/apis/apps/v1/daemonsets", vec![]),
            ("/apis/apps/v1/replicasets", vec![owned.clone()]),
            ("/apis/batch/v1/jobs", vec![owned, finished, workload("job", "contoso.azurecr.io/job:1")]),
            ("/apis/batch/v1/cronjobs", vec![cron]),
        ],
        special: Box::new(|_, _| None),
    });
    let (found, code) = cluster.json(&["--owners"]);
    assert_eq!(code, Some(0));
    let images: Vec<(&str, &str)> = found["images"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|image| (image["image"].as_str().expect("a text"), image["example"].as_str().expect("a text")))
        .collect();
    assert_eq!(
        images,
        [
            ("contoso.azurecr.io/idle:1", "Deployment data/idle"),
            ("contoso.azurecr.io/job:1", "Job data/job"),
            ("contoso.azurecr.io/nightly:1", "CronJob data/nightly"),
        ]
    );
    assert_eq!(
        found["images"][0]["pullSecrets"],
        json!([{"namespace": "data", "name": "acr-pull", "users": 1}])
    );
}

#[test]
fn all_kinds_of_containers_and_references_count() {
    let mut all = pod("shop", "api", "node-0", API);
    let digest = samples::DIGEST;
    all["spec"]["initContainers"] =
        json!([{"name": "init", "image": format!("contoso.azurecr.io/init@{digest}")}]);
    all["spec"]["ephemeralContainers"] =
        json!([{"name": "debug", "image": "registry.contoso.internal/debug:1"}]);
    all["status"]["initContainerStatuses"] = json!([{"name": "init",
        "state": {"waiting": {"reason": "ErrImagePull", "message": "x"}}}]);
    let mut both = pod("shop", "both", "node-0", &format!("contoso.azurecr.io/both:1@{digest}"));
    both["spec"]["imagePullSecrets"] = json!([{"name": "acr-pull"}]);
    let mut finished = pod("shop", "done", "node-0", "contoso.azurecr.io/done:1");
    finished["status"]["phase"] = "Succeeded".into();
    let cluster = Cluster::of(vec![all, both, finished], vec![], report);
    let (found, _) = cluster.json(&["--registry-suffix", ".contoso.internal"]);
    let images: Vec<&str> = found["images"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|image| image["image"].as_str().expect("a text"))
        .collect();
    let expected = [
        &format!("contoso.azurecr.io/both:1@{digest}"),
        &format!("contoso.azurecr.io/init@{digest}"),
        API,
        "registry.contoso.internal/debug:1",
    ];
    assert_eq!(images, expected);
    assert_eq!(found["waiting"][0]["container"], "init");
    assert_eq!(found["waiting"][0]["conclusion"], "no_agent");
}

#[test]
fn a_report_file_has_the_same_content() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("images.json");
    let output = two_nodes().discover(&["--output", "json", "--report-file", file.to_str().expect("UTF-8")]);
    assert_eq!(std::fs::read(&file).expect("the report"), output.stdout);
}
