//! The program on a cluster over real sockets: what it requests, what it concludes, and what goes wrong.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::cluster::{Cluster, Objects, Reply, agent, pod, waiting};
use super::samples;
use crate::report::samples as checks;
use acr_verifier::wire::report::Report;

const API: &str = "contoso.azurecr.io/shop/api:2";

/// The reply of a healthy agent, or of one that does not see the private zone if its node has a 1.
fn report(agent: &str) -> Reply {
    let node = agent.strip_prefix("agent-").expect("an agent");
    let image = if node.contains('1') { checks::zone_not_linked() } else { checks::healthy() };
    let mut run = checks::run(vec![image]);
    node.clone_into(&mut run.node);
    (200, serde_json::to_string(&Report::from(&run)).expect("JSON"))
}

fn text(bytes: &[u8]) -> String {
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
    let cases: [(Vec<Value>, Vec<Value>, fn(&str) -> Reply, i32, &str); 6] = [
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
fn a_missing_permission_is_named() {
    let agents = "/api/v1/namespaces/acr-verifier/pods";
    let some = || vec![waiting(pod("shop", "api", "node-0", API), "ErrImagePull", "")];
    let lists = |list: &[&'static str]| -> Vec<(&'static str, Vec<Value>)> {
        list.iter()
            .map(|&path| (path, if path == agents { vec![agent("node-0", true)] } else { some() }))
            .collect()
    };
    let pods_rule = "{apiGroups: [\"\"], resources: [pods], verbs: [list]}";
    let proxy_rule = "{apiGroups: [\"\"], resources: [pods/proxy], verbs: [get]}";
    let cases: [(&[&str], Vec<_>, i32, &str); 7] = [
        (&[], lists(&[]), 3, pods_rule),
        (&["--namespace", "shop"], lists(&["/api/v1/pods"]), 3, "denied list on pods in namespace shop"),
        (
            &["--owners"],
            lists(&["/api/v1/pods", agents]),
            3,
            "{apiGroups: [\"apps\"], resources: [deployments], verbs: [list]}",
        ),
        // Without the agents, the images are known all the same.
        (&[], lists(&["/api/v1/pods"]), 0, pods_rule),
        (&["--coverage"], lists(&["/api/v1/pods"]), 3, pods_rule),
        (&[], lists(&["/api/v1/pods", agents]), 0, proxy_rule),
        (&["--coverage"], lists(&["/api/v1/pods", agents]), 3, proxy_rule),
    ];
    for (arguments, lists, code, words) in cases {
        let output = Cluster::start(Objects { lists, special: Box::new(|_, _| None) }).discover(arguments);
        let both = text(&output.stdout) + &text(&output.stderr);
        let both = both.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {both}");
        assert!(both.contains(words), "{arguments:?}: {both}");
        assert_eq!(output.stdout.is_empty(), code == 3, "{arguments:?}");
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

/// Sixty Pods in pages of twenty, with a problem at the second page.
#[test]
fn a_list_is_complete_even_if_it_expires_or_a_page_is_too_long() {
    let pods =
        || (0..60).map(|index| pod("shop", &format!("api-{index}"), "node-0", API)).collect::<Vec<_>>();
    let gone = |token: &str| {
        (410, json!({"code": 410, "reason": "Expired", "metadata": {"continue": token}}).to_string())
    };
    let long = || (200, format!("{{\"items\": [{}", " ".repeat(17 << 20)));
    let once = AtomicUsize::new(0);
    type Answer = Box<dyn Fn(&str, &AtomicUsize) -> Option<Reply> + Send + Sync>;
    let is_second = |query: &str| query.contains("continue=20");
    let cases: [(&str, Answer, i32); 6] = [
        ("continued", Box::new(move |query, _| is_second(query).then(|| gone("30"))), 50),
        (
            "restarted",
            Box::new(move |query, once| {
                (is_second(query) && once.fetch_add(1, Ordering::Relaxed) == 0).then(|| gone(""))
            }),
            60,
        ),
        ("always expired", Box::new(move |query, _| is_second(query).then(|| gone(""))), -1),
        ("too long", Box::new(move |query, _| query.contains("limit=250").then(long)), 60),
        ("always too long", Box::new(move |_, _| Some(long())), -1),
        (
            "unavailable for a moment",
            Box::new(move |query, once| {
                let fails = is_second(query) && once.fetch_add(1, Ordering::Relaxed) == 0;
                fails.then(|| (503, json!({"message": "not now"}).to_string()))
            }),
            60,
        ),
    ];
    drop(once);
    for (name, answer, expected) in cases {
        let once = AtomicUsize::new(0);
        let cluster = Cluster::start(Objects {
            lists: vec![("/api/v1/pods", pods()), ("/api/v1/namespaces/acr-verifier/pods", vec![])],
            special: Box::new(move |path, query| {
                (path == "/api/v1/pods").then(|| answer(query, &once)).flatten()
            }),
        });
        let output = cluster.discover(&["--output", "json"]);
        if expected < 0 {
            assert_eq!(output.status.code(), Some(3), "{name}: {}", text(&output.stderr));
            continue;
        }
        assert_eq!(output.status.code(), Some(0), "{name}: {}", text(&output.stderr));
        let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(found["counts"]["pods"], expected, "{name}");
    }
}

#[test]
fn a_hostile_api_server_is_reported() {
    let endless =
        |_: &str, _: &str| Some((200, json!({"metadata": {"continue": "again"}, "items": []}).to_string()));
    let html = |_: &str, _: &str| Some((200, "<html>".to_owned()));
    let wrong =
        |_: &str, _: &str| Some((200, json!({"items": [{"spec": {"containers": "none"}}]}).to_string()));
    let deep = |_: &str, _: &str| Some((200, format!("{{\"items\": {}", "[".repeat(100_000))));
    let lost = |_: &str, _: &str| Some((500, json!({"message": "\u{1b}[31mred"}).to_string()));
    let invalid =
        |_: &str, _: &str| Some((400, json!({"message": "unable to parse requirement"}).to_string()));
    let cases: [(fn(&str, &str) -> Option<Reply>, i32, &str); 6] = [
        (endless, 3, "the list of pods exceeds 1000 pages"),
        (html, 3, "its list of pods cannot be parsed"),
        (wrong, 3, "its list of pods cannot be parsed"),
        (deep, 3, "its list of pods cannot be parsed"),
        (lost, 3, "it responded with 500 red"),
        (invalid, 2, "the API server rejected the request: unable to parse requirement"),
    ];
    for (special, code, words) in cases {
        let cluster = Cluster::start(Objects { lists: vec![], special: Box::new(special) });
        let output = cluster.discover(&["--timeout", "60s"]);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{words}: {error}");
        assert!(error.contains(words) && !error.contains("panicked"), "{words}: {error}");
        assert!(output.stdout.is_empty());
    }
}

/// Agents that do not return a valid report for their node.
#[test]
fn an_invalid_report_of_an_agent_affects_only_its_node() {
    let answer: fn(&str) -> Reply = |agent| match agent {
        "agent-node-0" => report(agent),
        "agent-node-2" => (200, "<html>".to_owned()),
        "agent-node-3" => report("agent-node-0"),
        "agent-node-4" => (200, " ".repeat(5 << 20)),
        _ => (404, json!({"error": "path not found\u{1b}[31m"}).to_string()),
    };
    let pods = (0..7).map(|index| {
        let node = format!("node-{index}");
        waiting(pod("shop", &format!("api-{index}"), &node, API), "ErrImagePull", "")
    });
    let agents = (0..6).map(|index| agent(&format!("node-{index}"), index != 5));
    let (found, code) = Cluster::of(pods.collect(), agents.collect(), answer).json(&[]);
    assert_eq!(code, Some(0));
    let states: Vec<(&str, &str)> = found["waiting"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|waiting| {
            let agent = &waiting["agent"];
            (agent["state"].as_str().expect("a state"), agent["reason"].as_str().unwrap_or_default())
        })
        .collect();
    assert_eq!(states[0].0, "reported");
    assert_eq!(states[1], ("no_report", "it responded with 404: path not found"));
    assert!(states[2].1.starts_with("its response is not a valid report"), "{states:?}");
    assert_eq!(states[3].1, "it reports as the agent of node node-0");
    assert!(states[4].1.contains("length limit exceeded"), "{states:?}");
    assert_eq!(states[5], ("not_ready", "CreateContainerConfigError"));
    assert_eq!(states[6], ("none", ""));
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

#[test]
fn an_unreachable_cluster_is_inconclusive_and_an_invalid_kubeconfig_is_not() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let folder = tempfile::tempdir().expect("a folder");
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address")
    };
    let file = |name: &str, content: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("a file");
        path.to_str().expect("UTF-8").to_owned()
    };
    let silent = crate::smoke::kubeconfig(silent.local_addr().expect("an address"));
    for (path, code, words) in [
        (file("silent", silent), 3, "the lists were not complete within 2 s"),
        (file("closed", crate::smoke::kubeconfig(closed)), 3, "cannot query the API server"),
        (file("invalid", "- a list".to_owned()), 2, "--kubeconfig"),
        (folder.path().join("absent").to_str().expect("UTF-8").to_owned(), 2, "No such file"),
    ] {
        let output = std::process::Command::new(crate::PROGRAM)
            .args(["discover", "--timeout", "2s", "--kubeconfig", &path])
            .output()
            .expect("the program starts");
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{path}: {error}");
        assert!(error.contains(words), "{path}: {error}");
    }
}

#[test]
fn ctrl_c_ends_it_cleanly() {
    let pending = |_: &str, _: &str| {
        std::thread::sleep(Duration::from_secs(3));
        Some((200, json!({"metadata": {"continue": "more"}, "items": []}).to_string()))
    };
    let cluster = Cluster::start(Objects { lists: vec![], special: Box::new(pending) });
    let mut command = cluster.command(&[]);
    let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn();
    let child = child.expect("the program starts");
    let started = Instant::now();
    while cluster.asked().is_empty() {
        assert!(started.elapsed() < Duration::from_secs(20), "nothing is requested");
        std::thread::sleep(Duration::from_millis(20));
    }
    let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
    let output = child.wait_with_output().expect("our own child");
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(
        (text(&output.stdout).as_str(), text(&output.stderr).as_str()),
        ("", "interrupted: nothing was reported\n")
    );
}
