//! Path checks: what they find between two whole checks, and that they send no request to the registry.

use lab::Lab;
use lab::settings::{Certificate, Settings, Transport, View};
use support::agent::{Agent, config};

use super::verdict;
use crate::PROGRAM;

/// Whole checks an hour apart, path checks every second.
fn start(lab: &Lab) -> Agent {
    let agent =
        Agent::start(PROGRAM, lab, &config(lab, "1h").replace("pathInterval: 1h", "pathInterval: 1s"));
    agent.wait_for("the first pass", |agent| agent.metric("acr_verifier_check_success") == Some(1.0));
    agent
}

fn path_checks(agent: &Agent, result: &str) -> u64 {
    let metrics = agent.get("/metrics").body;
    let line = metrics
        .lines()
        .find(|line| line.starts_with("acr_verifier_path_checks_total{") && line.contains(result));
    line.and_then(|line| line.rsplit(' ').next()).and_then(|value| value.parse().ok()).unwrap_or_default()
}

type Fault = (&'static str, fn(&mut Settings));

/// Faults of each free stage, at both endpoints, with the cause that a whole check reports.
const FAULTS: [Fault; 7] = [
    ("private_record_missing", |settings| settings.nameservers[0].login = View::RecordMissing),
    ("private_zone_not_linked", |settings| settings.nameservers[0].login = View::NotLinked),
    ("connect_refused", |settings| settings.login.transport = Transport::Closed),
    ("certificate_expired", |settings| settings.login.certificate = Certificate::Expired),
    ("private_record_missing", |settings| settings.nameservers[0].data = View::RecordMissing),
    ("connect_refused", |settings| settings.data.transport = Transport::Closed),
    ("certificate_untrusted", |settings| settings.data.certificate = Certificate::Untrusted),
];

#[test]
fn path_checks_send_no_request_and_report_their_age() {
    let lab = Lab::start(Settings::default());
    let agent = start(&lab);
    let (requests, connections) = (lab.requests().len(), lab.all_connections().len());
    let before = path_checks(&agent, "unchanged");
    agent.wait_for("three path checks", |agent| path_checks(agent, "unchanged") >= before + 4);
    assert_eq!(lab.requests().len(), requests, "free for the registry");
    assert!(lab.all_connections().len() >= connections + 6, "both endpoints were connected to");
    assert_eq!(path_checks(&agent, "\"changed\""), 0);
    let report = agent.get("/report").json();
    let path = &report["images"][0]["path"];
    assert_eq!((&path["changed"], &path["causes"]), (&false.into(), &serde_json::json!([])));
    assert!(path["checkedAt"].as_str() > report["startedAt"].as_str(), "{report}");
    assert!(agent.get("/").body.contains("Path check (DNS, address, TCP, TLS)"));
}

/// Breaks the path, waits for a whole check that reports the cause, and restores it.
fn break_and_restore((cause, fault): Fault) {
    let lab = Lab::start(Settings::default());
    let agent = start(&lab);
    let before = path_checks(&agent, "unchanged");
    agent.wait_for("a path check", |agent| path_checks(agent, "unchanged") > before);
    let mut healthy = Settings::default();
    lab.change(|settings| {
        healthy = settings.clone();
        fault(settings);
    });
    agent.wait_for(cause, |agent| agent.get("/report").json()["images"][0]["diagnoses"][0]["cause"] == cause);
    assert_eq!(agent.metric("acr_verifier_check_success"), Some(0.0), "{cause}");
    assert!(path_checks(&agent, "\"changed\"") >= 1, "{cause}");
    lab.change(|settings| *settings = healthy);
    agent.wait_for("the recovery", |agent| agent.metric("acr_verifier_check_success") == Some(1.0));
    assert_eq!(verdict(&agent.get("/report")), "pass", "{cause}");
}

#[test]
fn a_broken_path_is_checked_whole_at_once_and_its_recovery_too() {
    std::thread::scope(|scope| {
        for fault in FAULTS {
            scope.spawn(move || break_and_restore(fault));
        }
    });
}

/// What needs a request is found by whole checks: a path check must not claim it.
#[test]
fn a_rejected_token_is_found_by_whole_checks_only() {
    let lab = Lab::start(Settings::default());
    let agent = start(&lab);
    lab.change(|settings| settings.credentials.password = "another".into());
    let before = path_checks(&agent, "unchanged");
    agent.wait_for("path checks", |agent| path_checks(agent, "unchanged") >= before + 2);
    assert_eq!(verdict(&agent.get("/report")), "pass");
    assert_eq!(verdict(&agent.post("/check")), "fail");
    agent.wait_for("a path check", |agent| {
        agent.get("/report").json()["images"][0]["path"]["changed"] == false
    });
    assert_eq!(verdict(&agent.get("/report")), "fail", "an open path is no pass");
}

/// A fleet of this size gets its first regular check after hours.
#[test]
fn a_path_that_is_broken_at_the_start_is_checked_whole_at_once() {
    let lab = Lab::start(Settings::default());
    lab.change(|settings| settings.nameservers[0].login = View::NotLinked);
    let text = config(&lab, "1h").replace("pathInterval: 1h", "pathInterval: 1s, fleetSize: 100000");
    let agent = Agent::start(PROGRAM, &lab, &text);
    agent.wait_for("the failure", |agent| agent.metric("acr_verifier_check_success") == Some(0.0));
    assert!(lab.requests().is_empty());
}

/// A whole check over an open login path sends requests, and this fleet uses its whole budget for the regular ones.
#[test]
fn a_broken_data_endpoint_waits_for_the_budget_of_a_fleet() {
    let lab = Lab::start(Settings::default());
    let text = config(&lab, "1h").replace("pathInterval: 1h", "pathInterval: 1s, fleetSize: 100000");
    let agent = Agent::start(PROGRAM, &lab, &text);
    assert_eq!(verdict(&agent.post("/check")), "pass");
    let requests = lab.requests().len();
    lab.change(|settings| settings.data.transport = Transport::Closed);
    let path = |agent: &Agent| agent.get("/report").json()["images"][0]["path"].clone();
    agent.wait_for("the path check", |agent| path(agent)["causes"] == serde_json::json!(["connect_refused"]));
    let before = path_checks(&agent, "\"changed\"");
    agent.wait_for("more of them", |agent| path_checks(agent, "\"changed\"") >= before + 3);
    assert_eq!(lab.requests().len(), requests, "no node exceeds its share");
    assert_eq!(verdict(&agent.get("/report")), "pass", "the report states what the whole check found");
    assert_eq!(path(&agent)["changed"], true, "and that it is out of date");
    assert_eq!(verdict(&agent.post("/check")), "fail");
}

/// The report is of the old configuration until the next whole check, which may be hours away.
#[test]
fn path_checks_of_a_new_configuration_are_not_reported_for_the_images_of_the_old_one() {
    let lab = Lab::start(Settings::default());
    let text = config(&lab, "1h").replace("pathInterval: 1h", "pathInterval: 1s, fleetSize: 100000");
    let agent = Agent::start(PROGRAM, &lab, &text);
    assert_eq!(verdict(&agent.post("/check")), "pass");
    agent.wait_for("a path check", |agent| path_checks(agent, "unchanged") >= 1);
    agent.replace(&text.replace("name: canary", "name: other"));
    agent.wait_for("a path check of the new one", |agent| {
        let metrics = agent.get("/metrics").body;
        metrics.lines().any(|line| line.starts_with("acr_verifier_path_checks_total{image=\"other\""))
    });
    let image = agent.get("/report").json()["images"][0].clone();
    assert_eq!((&image["name"], &image["path"]), (&"canary".into(), &serde_json::Value::Null));
}
