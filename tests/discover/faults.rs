//! The program on a cluster where something is wrong: missing permissions, lists that expire, hostile answers, no cluster.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::cases::{API, report, text};
use super::cluster::{Cluster, Objects, Reply, agent, pod, waiting};

/// Decides about a request for Pods, by its query and a counter.
type Answer = Box<dyn Fn(&str, &AtomicUsize) -> Option<Reply> + Send + Sync>;
/// Decides about a request, by its path and query.
type Always = fn(&str, &str) -> Option<Reply>;

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

/// Sixty Pods in pages of twenty, with a problem at the second page.
#[test]
fn a_list_is_complete_even_if_it_expires_or_a_page_is_too_long() {
    let pods =
        || (0..60).map(|index| pod("shop", &format!("api-{index}"), "node-0", API)).collect::<Vec<_>>();
    let gone = |token: &str| {
        (410, json!({"code": 410, "reason": "Expired", "metadata": {"continue": token}}).to_string())
    };
    let long = || (200, format!("{{\"items\": [{}", " ".repeat(17 << 20)));
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
    let cases: [(Always, i32, &str); 6] = [
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
