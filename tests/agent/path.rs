//! Path checks: what they find between two whole checks, and that they send no request to the registry.

use lab::Lab;
use lab::settings::{Certificate, Settings, Transport, View};
use serde_json::Value;
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

/// Faults of each free stage at the login server, with the cause that a whole check reports.
const FAULTS: [Fault; 4] = [
    ("private_record_missing", |settings| settings.nameservers[0].login = View::RecordMissing),
    ("private_zone_not_linked", |settings| settings.nameservers[0].login = View::NotLinked),
    ("connect_refused", |settings| settings.login.transport = Transport::Closed),
    ("certificate_expired", |settings| settings.login.certificate = Certificate::Expired),
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

/// A fleet of this size gets its next regular check after hours: no request is left for any other.
fn start_in_a_fleet(lab: &Lab) -> Agent {
    let text = config(lab, "1h").replace("pathInterval: 1h", "pathInterval: 1s, fleetSize: 100000");
    Agent::start(PROGRAM, lab, &text)
}

fn image(agent: &Agent) -> Value {
    agent.get("/report").json()["images"][0].clone()
}

/// Breaks the path, waits for the result, and restores the path.
fn break_and_restore((cause, fault): Fault) {
    let lab = Lab::start(Settings::default());
    let agent = start_in_a_fleet(&lab);
    assert_eq!(verdict(&agent.post("/check")), "pass", "{cause}");
    let whole = agent.get("/report").json()["startedAt"].clone();
    let requests = lab.requests().len();
    let mut healthy = Settings::default();
    lab.change(|settings| {
        healthy = settings.clone();
        fault(settings);
    });
    agent.wait_for(cause, |agent| image(agent)["diagnoses"][0]["cause"] == cause);
    assert_eq!(agent.metric("acr_verifier_check_success"), Some(0.0), "{cause}");
    let found = agent.get("/report").json();
    assert_eq!(found["images"][0]["extent"], "path", "{found}");
    assert!(found["startedAt"].as_str() > whole.as_str(), "{found}");
    let page = agent.get("/").body;
    assert!(page.contains("Found by a path check") && page.contains(cause), "{page}");
    let whole_check = text_of(&agent.post("/check").json());
    assert_eq!(text_of(&found), whole_check, "a whole check has the same message");
    lab.change(|settings| *settings = healthy);
    // That check has found the path broken as well, so only another one shows that pulls work.
    agent.wait_for("the recovery", |agent| image(agent)["path"]["changed"] == true);
    assert_eq!(verdict(&agent.get("/report")), "fail", "an open path is no pass");
    assert!(agent.get("/").body.contains("the path is open. A whole check follows."));
    assert_eq!(lab.requests().len(), requests, "{cause}: a path check sends none");
    assert_eq!(verdict(&agent.post("/check")), "pass", "{cause}");
}

#[test]
fn after_a_short_fault_the_last_whole_check_holds_again() {
    let lab = Lab::start(Settings::default());
    let agent = start_in_a_fleet(&lab);
    assert_eq!(verdict(&agent.post("/check")), "pass");
    let last_check = |agent: &Agent| agent.metric("acr_verifier_last_check_timestamp_seconds");
    let (requests, whole) = (lab.requests().len(), last_check(&agent));
    lab.change(|settings| settings.login.transport = Transport::Closed);
    agent.wait_for("the failure", |agent| agent.metric("acr_verifier_check_success") == Some(0.0));
    assert!(last_check(&agent) > whole);
    lab.change(|settings| settings.login.transport = Transport::default());
    agent.wait_for("the recovery", |agent| agent.metric("acr_verifier_check_success") == Some(1.0));
    assert_eq!((lab.requests().len(), last_check(&agent)), (requests, whole), "as old as it is");
    let image = image(&agent);
    assert_eq!((&image["verdict"], &image["path"]["changed"]), (&"pass".into(), &false.into()));
    assert!(image["startedAt"].is_string() && image["extent"].is_null(), "{image}");
    assert!(agent.get("/").body.contains("Checked whole at"));
}

/// A redirect decides which data endpoint a pull uses, and this fleet uses its whole budget for the regular checks.
#[test]
fn a_broken_data_endpoint_waits_for_a_whole_check() {
    let lab = Lab::start(Settings::default());
    let agent = start_in_a_fleet(&lab);
    assert_eq!(verdict(&agent.post("/check")), "pass");
    let requests = lab.requests().len();
    lab.change(|settings| settings.data.transport = Transport::Closed);
    agent.wait_for("the path check", |agent| {
        image(agent)["path"]["causes"] == serde_json::json!(["connect_refused"])
    });
    let before = path_checks(&agent, "\"changed\"");
    agent.wait_for("more of them", |agent| path_checks(agent, "\"changed\"") >= before + 3);
    assert_eq!(lab.requests().len(), requests, "no node exceeds its share");
    assert_eq!(verdict(&agent.get("/report")), "pass", "the report states what the whole check found");
    assert_eq!(image(&agent)["path"]["changed"], true, "and that it is out of date");
    assert_eq!(verdict(&agent.post("/check")), "fail");
}

/// The causes, messages and fixes of a report.
fn text_of(report: &Value) -> Vec<(Value, Value, Value)> {
    let of = |diagnosis: &Value| {
        (diagnosis["cause"].clone(), diagnosis["message"].clone(), diagnosis["remedy"].clone())
    };
    report["images"][0]["diagnoses"].as_array().expect("diagnoses").iter().map(of).collect()
}

#[test]
fn a_broken_path_is_reported_without_a_request() {
    std::thread::scope(|scope| {
        for fault in FAULTS {
            scope.spawn(move || break_and_restore(fault));
        }
    });
}

#[test]
fn a_whole_check_follows_a_recovery_if_the_budget_permits() {
    let lab = Lab::start(Settings::default());
    let agent = start(&lab);
    lab.change(|settings| settings.login.transport = Transport::Closed);
    agent.wait_for("the failure", |agent| agent.metric("acr_verifier_check_success") == Some(0.0));
    lab.change(|settings| settings.login.transport = Transport::default());
    agent.wait_for("the recovery", |agent| agent.metric("acr_verifier_check_success") == Some(1.0));
    assert_eq!(verdict(&agent.get("/report")), "pass");
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
    agent.wait_for("a path check", |agent| image(agent)["path"]["changed"] == false);
    assert_eq!(verdict(&agent.get("/report")), "fail", "an open path is no pass");
}

#[test]
fn a_path_that_is_broken_at_the_start_is_reported_at_once() {
    let lab = Lab::start(Settings::default());
    lab.change(|settings| settings.nameservers[0].login = View::NotLinked);
    let agent = start_in_a_fleet(&lab);
    agent.wait_for("the failure", |agent| agent.metric("acr_verifier_check_success") == Some(0.0));
    assert!(lab.requests().is_empty());
}

/// A registry that got the password in a whole check repeats it in a path check.
#[test]
fn secrets_in_a_certificate_are_hidden() {
    const PASSWORD: &str = "hunter2hunter2";
    let mut settings = Settings::default();
    settings.credentials.password = PASSWORD.to_owned();
    let lab = Lab::start(settings);
    let agent = start_in_a_fleet(&lab);
    assert_eq!(verdict(&agent.post("/check")), "pass");
    lab.change(|settings| settings.login.certificate = Certificate::Saying("hunter2hunter2.example"));
    agent.wait_for("the cause", |agent| image(agent)["diagnoses"][0]["cause"] == "certificate_name_mismatch");
    for path in ["/report", "/", "/metrics"] {
        assert!(!agent.get(path).body.contains(PASSWORD), "{path}");
    }
    assert_eq!(image(&agent)["extent"], "path");
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
    let image = image(&agent);
    assert_eq!((&image["name"], &image["path"]), (&"canary".into(), &Value::Null));
}
