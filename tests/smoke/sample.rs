//! A sample of a large fleet: which nodes are checked whole, and what shows that the path of the others is open.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::on_demand::pass_on;
use super::{Cluster, Reply, http, name, named, report_of};
use crate::PROGRAM;
use lab::Lab;
use lab::settings::{Settings, View};
use support::agent::{Agent, config};

/// Completion of the last whole check of a simulated agent, in seconds before its response.
const LAST_CHECK: u64 = 300;

/// The age of a path check in seconds and its causes, if there was one.
type PathCheck = Option<(i64, &'static [&'static str])>;

/// The reports of real checks.
struct Checked {
    good: Value,
    bad: Value,
}

impl Checked {
    fn of_a_lab() -> Self {
        let lab = Lab::start(Settings::default());
        let good = report_of(&lab);
        lab.change(|settings| settings.nameservers[0].login = View::NotLinked);
        Self { good, bad: report_of(&lab) }
    }
}

/// The response of an agent to `GET /report`, with a path check of this age in seconds and these causes.
fn last_report(report: &Value, index: usize, path: PathCheck) -> Reply {
    let now = Timestamp::now();
    let mut report = named(report, index);
    if let Some((age, causes)) = path {
        let checked_at = now - Duration::from_secs(age.unsigned_abs());
        report["images"][0]["path"] = json!({"checkedAt": checked_at, "changed": false, "causes": causes});
    }
    let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT");
    let headers = format!("\r\nDate: {date}\r\nAge: {LAST_CHECK}\r\n");
    Reply::Raw(http(200, &report.to_string()).replacen("\r\n", &headers, 1))
}

fn json_of(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    })
}

/// Returns the indices of the nodes on which a check was triggered.
fn triggered(cluster: &Cluster) -> BTreeSet<usize> {
    let asked = cluster.asked.lock().expect("no panic");
    let checks = asked.iter().filter(|target| target.ends_with("/check"));
    checks.filter_map(|target| super::agent_of(target)).map(|(index, _)| index).collect()
}

#[test]
fn a_sample_has_nodes_of_every_pool_and_zone_and_the_rest_an_open_path() {
    let Checked { good, .. } = Checked::of_a_lab();
    let answer = move |index: usize, path: &str, _: &[String]| match path {
        "/check" => Reply::Report(named(&good, index)),
        _ => last_report(&good, index, Some((1, &[]))),
    };
    let cluster = Cluster::serving(400, Box::new(answer));
    let output = cluster.smoke(&["--timeout", "24s", "--output", "json"]);
    let report = json_of(&output);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let sample = json!({"nodes": 12, "placements": 12, "placementsMissing": 0, "ofEach": 1});
    assert_eq!(report["sample"], sample);
    let counts = ["expected", "pass", "pathOpen", "noReport"].map(|key| report["counts"][key].clone());
    assert_eq!(counts, [400, 12, 388, 0]);
    let of_placement = |index: &usize| (index % 4, index / 4 % 3);
    let placements: BTreeSet<_> = triggered(&cluster).iter().map(of_placement).collect();
    assert_eq!((triggered(&cluster).len(), placements.len()), (12, 12));
    let checked: BTreeSet<usize> = (0..400)
        .filter(|&index| {
            let nodes = report["nodes"].as_array().expect("nodes");
            let node = nodes.iter().find(|node| node["node"] == name(index)).expect("every node");
            node.get("proof").is_none()
        })
        .collect();
    assert_eq!(checked, triggered(&cluster), "every other node shows that only its path was checked");
}

#[test]
fn a_small_fleet_is_checked_whole() {
    let Checked { good, .. } = Checked::of_a_lab();
    let cluster = Cluster::start(200, Box::new(move |index| Reply::Report(named(&good, index))));
    let output = cluster.smoke(&["--timeout", "60s", "--output", "json"]);
    let report = json_of(&output);
    assert_eq!((&report["counts"]["pass"], report.get("sample")), (&json!(200), None), "{report}");
    assert_eq!(triggered(&cluster).len(), 200);
}

/// The images of the first report decide: with two in one registry, 200 nodes are too many.
#[test]
fn several_images_make_a_fleet_large() {
    let Checked { good, .. } = Checked::of_a_lab();
    let answer = move |index: usize, path: &str, _: &[String]| {
        let mut report = good.clone();
        let image = report["images"][0].clone();
        report["images"] = vec![image; 2].into();
        if path == "/check" {
            return Reply::Report(named(&report, index));
        }
        let path = json!({"checkedAt": Timestamp::now(), "changed": false, "causes": []});
        for image in report["images"].as_array_mut().expect("images") {
            image["path"] = path.clone();
        }
        last_report(&report, index, None)
    };
    let cluster = Cluster::serving(200, Box::new(answer));
    let output = cluster.smoke(&["--timeout", "46s", "--output", "json"]);
    let report = json_of(&output);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((&report["sample"]["nodes"], &report["counts"]["pass"]), (&json!(12), &json!(12)));
}

/// After a change of the configuration or a restart, no report proves anything: `auto` checks every node before the deadline, a
/// number only as many as fit the budget.
#[test]
fn nodes_without_a_check_are_checked_whole_before_the_deadline() {
    let Checked { good, .. } = Checked::of_a_lab();
    let smoke = |arguments: &[&str]| {
        let good = good.clone();
        let answer = move |index: usize, path: &str, _: &[String]| match path {
            "/check" => Reply::Report(named(&good, index)),
            _ => Reply::Raw(http(503, r#"{"error": "the first check has not completed yet"}"#)),
        };
        let cluster = Cluster::serving(320, Box::new(answer));
        let output = cluster.smoke(&[&["--output", "json"], arguments].concat());
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), json_of(&output), errors, triggered(&cluster).len())
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (code, report, errors, checks) = smoke(&["--timeout", "46s"]);
            assert_eq!((code, &report["counts"]["pass"]), (Some(0), &json!(320)), "{errors}");
            assert_eq!(checks, 320);
            assert_eq!(errors.matches("more than a fifth of the registry's reads").count(), 1, "{errors}");
        });
        scope.spawn(|| {
            let (code, report, errors, checks) = smoke(&["--timeout", "20s", "--sample", "12"]);
            assert_eq!(code, Some(1), "{errors}");
            assert!((12..=22).contains(&checks), "{checks} checks in 20 s");
            assert_eq!(report["counts"]["pass"], checks, "{report}");
            assert!(!errors.contains("more than a fifth"), "{errors}");
        });
    });
}

/// The first and the later responses of an agent outside the sample, and what the smoke check makes of them.
struct Case {
    name: &'static str,
    /// Whether the last whole check passed, and the age and causes of the path check.
    reports: [(bool, PathCheck); 2],
    /// Whether a whole check passes; `None` if none may be triggered.
    check: Option<bool>,
    verdict: &'static str,
    proof: Option<&'static str>,
    reason: Option<&'static str>,
}

const CASES: [Case; 6] = [
    Case {
        name: "a path check before the smoke check is waited for",
        reports: [(true, Some((200, &[]))), (true, Some((1, &[])))],
        check: None,
        verdict: "pass",
        proof: Some("path"),
        reason: None,
    },
    Case {
        name: "an old path check never counts",
        reports: [(true, Some((200, &[]))), (true, Some((210, &[])))],
        check: None,
        verdict: "fail",
        proof: None,
        reason: Some("it has not checked the path since the smoke check started"),
    },
    Case {
        name: "without a path check, an old whole check never counts",
        reports: [(true, None), (true, None)],
        check: None,
        verdict: "fail",
        proof: None,
        reason: Some("it has not checked the path since the smoke check started"),
    },
    Case {
        name: "a broken path is checked whole",
        reports: [(true, Some((1, &["private_zone_not_linked"]))); 2],
        check: Some(false),
        verdict: "fail",
        proof: None,
        reason: None,
    },
    Case {
        name: "a failure of the last check is checked again",
        reports: [(false, Some((1, &[]))); 2],
        check: Some(true),
        verdict: "pass",
        proof: None,
        reason: None,
    },
    Case {
        name: "a failure of the last check counts",
        reports: [(false, Some((1, &[]))); 2],
        check: Some(false),
        verdict: "fail",
        proof: None,
        reason: None,
    },
];

#[test]
fn a_node_outside_the_sample_counts_only_with_an_open_path_and_a_last_check_that_passed() {
    let checked = Checked::of_a_lab();
    // Each waits for its timeout.
    std::thread::scope(|scope| {
        for case in CASES {
            scope.spawn(|| case.hold(&checked));
        }
    });
}

impl Case {
    /// Checks four pools with a node each, of which the sample has one.
    fn hold(self, checked: &Checked) {
        let Self { name, reports, check, verdict, proof, reason } = self;
        let reads: Mutex<BTreeMap<usize, usize>> = Mutex::default();
        let (healthy, broken) = (checked.good.clone(), checked.bad.clone());
        let outside: Arc<Mutex<BTreeSet<usize>>> = Arc::default();
        let recorded = Arc::clone(&outside);
        let answer = move |index: usize, path: &str, _: &[String]| {
            if path == "/check" {
                let is_outside = recorded.lock().expect("no panic").contains(&index);
                let is_good = !is_outside || check == Some(true);
                return Reply::Report(named(if is_good { &healthy } else { &broken }, index));
            }
            recorded.lock().expect("no panic").insert(index);
            let mut reads = reads.lock().expect("no panic");
            let read = reads.entry(index).or_default();
            *read += 1;
            let (is_good, path) = reports[(*read - 1).min(1)];
            last_report(if is_good { &healthy } else { &broken }, index, path)
        };
        let cluster = Cluster::serving(4, Box::new(answer));
        let output = cluster.smoke(&["--sample", "1", "--timeout", "13s", "--output", "json"]);
        let report = json_of(&output);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(i32::from(verdict == "fail")), "{name}: {errors}");
        let outside = outside.lock().expect("no panic").clone();
        assert_eq!(outside.len(), 3, "{name}");
        let checked: Vec<usize> = triggered(&cluster).intersection(&outside).copied().collect();
        assert_eq!(checked.len(), if check.is_some() { 3 } else { 0 }, "{name}: {checked:?}");
        for index in outside {
            let nodes = report["nodes"].as_array().expect("nodes");
            let node = nodes.iter().find(|node| node["node"] == super::name(index)).expect("every node");
            assert_eq!(node["verdict"], verdict, "{name}: {node}");
            assert_eq!(node["proof"].as_str(), proof, "{name}: {node}");
            assert_eq!(node["reason"].as_str(), reason, "{name}: {node}");
        }
        if verdict == "fail" && reason.is_none() {
            assert_eq!(report["groups"][0]["cause"], "private_zone_not_linked", "{name}: {report}");
        }
    }
}

/// Two real agents that check their path every second, and a smoke check of one of them.
#[test]
fn a_real_agent_outside_the_sample_shows_whether_its_path_is_open() {
    let lab = Lab::start(Settings::default());
    let agents: Vec<Agent> = (0..2)
        .map(|index| {
            let text = config(&lab, "1h").replace("pathInterval: 1h", "pathInterval: 1s");
            let agent = Agent::start_as(PROGRAM, &lab, &text, |mut command| {
                command.env("NODE_NAME", name(index));
                command
            });
            agent.wait_for("a path check", |agent| agent.get("/report").body.contains("checkedAt"));
            agent
        })
        .collect();
    let addresses: Vec<_> = agents.iter().map(|agent| agent.address).collect();
    let requests: Arc<Mutex<Vec<(usize, String)>>> = Arc::default();
    let recorded = Arc::clone(&requests);
    let answer = move |index: usize, path: &str, head: &[String]| {
        recorded.lock().expect("no panic").push((index, path.to_owned()));
        pass_on(addresses[index], path, head)
    };
    let cluster = Cluster::serving(2, Box::new(answer));
    let smoke = || {
        requests.lock().expect("no panic").clear();
        let output = cluster.smoke(&["--sample", "1", "--timeout", "20s", "--output", "json"]);
        (output.status.code(), json_of(&output))
    };
    let (code, report) = smoke();
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(report["counts"]["pass"], 1, "{report}");
    assert_eq!(report["counts"]["pathOpen"], 1, "{report}");
    let checks = |index: usize| {
        let requests = requests.lock().expect("no panic");
        requests.iter().filter(|(asked, path)| *asked == index && path == "/check").count()
    };
    assert_eq!(checks(0) + checks(1), 1, "the other one was only read");

    lab.change(|settings| settings.nameservers[0].login = View::NotLinked);
    let (code, report) = smoke();
    assert_eq!(code, Some(1), "{report}");
    assert_eq!(report["counts"]["fail"], 2, "{report}");
    assert_eq!(report["groups"][0]["cause"], "private_zone_not_linked", "{report}");
    let first = |index: usize| {
        let requests = requests.lock().expect("no panic");
        requests.iter().find(|(asked, _)| *asked == index).expect("a request").1.clone()
    };
    let firsts = BTreeSet::from([first(0), first(1)]);
    assert_eq!(firsts, BTreeSet::from(["/check".to_owned(), "/report".to_owned()]));
}
