//! The agent as a process: the binary against the lab, through its HTTP API.

mod demand;
mod identity;
mod node;
mod node_files;
mod reach;

use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use crate::PROGRAM;
use serde_json::Value;

use lab::Lab;
use lab::answers::{Delivery, Step};
use lab::settings::{Settings, View};
use support::agent::{Agent, Reply, config};

/// Extra time for a busy machine.
const SLACK: Duration = Duration::from_secs(4);

fn verdict(reply: &Reply) -> Value {
    reply.json()["verdict"].clone()
}

#[test]
fn no_result_is_exposed_before_the_first_check() {
    let lab = Lab::start(Settings::default());
    let agent = Agent::start(PROGRAM, &lab, &config(&lab, "1h"));
    assert_eq!(agent.get("/livez").status, 200);
    assert_eq!(agent.get("/readyz").status, 200, "ready without a check, so a rollout need not wait for one");
    assert_eq!(agent.get("/report").status, 503);
    assert!(!agent.get("/metrics").body.contains("acr_verifier_check_success"));
    assert!(lab.all_connections().is_empty(), "the first check waits for its turn");

    let checked = agent.post("/check");
    assert_eq!((checked.status, verdict(&checked)), (200, "pass".into()));
    assert_eq!(agent.get("/report").json()["images"][0]["name"], "canary");
    assert_eq!(agent.metric("acr_verifier_check_success"), Some(1.0));
    assert_eq!(agent.metric("acr_verifier_config_last_reload_successful"), Some(1.0));
    assert!(agent.get("/").body.contains("pass"));
}

#[test]
fn metrics_follow_a_fault_and_its_recovery_within_an_interval() {
    let lab = Lab::start(Settings::default());
    let agent = Agent::start(PROGRAM, &lab, &config(&lab, "2s"));
    agent.wait_for("the first pass", |agent| agent.metric("acr_verifier_check_success") == Some(1.0));
    for (success, view) in [(0.0, View::NotLinked), (1.0, View::Private)] {
        lab.change(|settings| settings.nameservers[0].login = view);
        let started = Instant::now();
        agent.wait_for("the change", |agent| agent.metric("acr_verifier_check_success") == Some(success));
        assert!(started.elapsed() < Duration::from_secs(2) + SLACK, "{:?}", started.elapsed());
    }
    let metrics = agent.get("/metrics").body;
    assert!(
        !metrics.lines().any(|line| line.starts_with("acr_verifier_cause{")),
        "a resolved cause must disappear"
    );
    assert!(metrics.contains("acr_verifier_failures_total{"), "and counted");
}

#[test]
fn a_bad_configuration_leaves_the_previous_one_in_force() {
    let lab = Lab::start(Settings::default());
    let good = config(&lab, "1h");
    let agent = Agent::start(PROGRAM, &lab, &good);
    agent.rewrite("images: [\n");
    agent.wait_for("the refusal", |agent| {
        agent.metric("acr_verifier_config_last_reload_successful") == Some(0.0)
    });
    assert_eq!(verdict(&agent.post("/check")), "pass", "the previous one stays in force");
    let page = agent.get("/").body;
    assert!(page.contains("line 1: "), "the page lists its errors: {page}");

    // By rename, as an editor or a ConfigMap does it.
    agent.replace(&good.replace("name: canary", "name: other"));
    agent.wait_for("the new one", |agent| {
        agent.metric("acr_verifier_config_last_reload_successful") == Some(1.0)
    });
    agent.wait_for("a check of it", |agent| agent.get("/report").json()["images"][0]["name"] == "other");
    assert!(!agent.get("/metrics").body.contains("image=\"canary\""), "the series of the old name are gone");
    let rejections = agent.log().matches("configuration rejected, the previous one stays in force").count();
    assert_eq!(rejections, 1, "logged once");
}

/// ConfigMap and certificates are separate volumes and are not updated at the same moment.
#[test]
fn a_configuration_takes_effect_once_its_certificates_arrive() {
    let lab = Lab::start(Settings::default());
    let good = config(&lab, "1h");
    let agent = Agent::start(PROGRAM, &lab, &good);
    let later = lab.folder().join("later.pem");
    let reloaded = |expected| {
        move |agent: &Agent| agent.metric("acr_verifier_config_last_reload_successful") == Some(expected)
    };
    agent.rewrite(&good.replace(&lab.ca_file().display().to_string(), &later.display().to_string()));
    agent.wait_for("the refusal", reloaded(0.0));
    std::fs::copy(lab.ca_file(), &later).expect("a file");
    let started = Instant::now();
    agent.wait_for("the certificates", reloaded(1.0));
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
}

#[test]
fn a_rotated_secret_is_used_within_15_seconds_without_a_restart() {
    let lab = Lab::start(Settings::default());
    let agent = Agent::start(PROGRAM, &lab, &config(&lab, "1h"));
    assert_eq!(verdict(&agent.post("/check")), "pass");
    lab.change(|settings| settings.credentials.password = "the-new-password".into());
    std::fs::write(lab.secret_folder().join("password"), "the-old-password").expect("a file");
    let started = Instant::now();
    agent.wait_for("the rejection", |agent| verdict(&agent.get("/report")) == "fail");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());

    // As Kubernetes does it: a new file with the same name.
    let next = lab.secret_folder().join("password.next");
    std::fs::write(&next, "the-new-password").expect("a file");
    std::fs::rename(next, lab.secret_folder().join("password")).expect("a rename");
    let started = Instant::now();
    agent.wait_for("the recovery", |agent| verdict(&agent.get("/report")) == "pass");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    for secret in ["the-new-password", "the-old-password"] {
        assert!(!agent.log().contains(secret));
    }
}

/// Kubernetes swaps a symlink to a directory; the files in it keep their names.
#[test]
fn a_mounted_secret_is_reloaded_when_its_directory_is_swapped() {
    let lab = Lab::start(Settings::default());
    let mounted = lab.folder().join("mounted");
    let version = |name: &str, password: &str| {
        let folder = mounted.join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("username"), lab.username()).expect("a file");
        std::fs::write(folder.join("password"), password).expect("a file");
        let next = mounted.join("..data_tmp");
        symlink(name, &next).expect("a link");
        std::fs::rename(next, mounted.join("..data")).expect("a rename");
    };
    version("..1", &lab.password());
    for name in ["username", "password"] {
        symlink(format!("..data/{name}"), mounted.join(name)).expect("a link");
    }
    let folder = lab.secret_folder().display().to_string();
    let agent =
        Agent::start(PROGRAM, &lab, &config(&lab, "1h").replace(&folder, &mounted.display().to_string()));
    assert_eq!(verdict(&agent.post("/check")), "pass");
    version("..2", "a-wrong-password");
    let started = Instant::now();
    agent.wait_for("the rejection", |agent| verdict(&agent.get("/report")) == "fail");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    assert_eq!(agent.get("/report").json()["images"][0]["diagnoses"][0]["cause"], "credentials_rejected");
}

/// The running check has already read the old password; the next one still starts early.
#[test]
fn a_secret_rotated_during_a_check_triggers_another_check() {
    let lab = Lab::start(Settings::default());
    lab.change(|settings| settings.deliver(Step::Manifest, Delivery::Delayed(Duration::from_secs(8))));
    let patient = config(&lab, "1h").replace("jitter: 0", "jitter: 0, timeout: 40s, stageTimeout: 20s");
    let agent = Agent::start(PROGRAM, &lab, &patient);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| agent.post("/check"));
        agent.wait_for("the token", |_| !lab.requests_of(Step::Token).is_empty());
        std::fs::write(lab.secret_folder().join("password"), "a-wrong-password").expect("a file");
        assert_eq!(verdict(&running.join().expect("a caller")), "pass");
    });
    lab.change(|settings| settings.deliver(Step::Manifest, Delivery::Whole));
    let started = Instant::now();
    agent.wait_for("the rejection", |agent| verdict(&agent.get("/report")) == "fail");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
}

/// A check of 100,000 nodes within 15 s of a new Secret would be 40,000 requests a second.
#[test]
fn a_new_secret_triggers_no_extra_check_if_the_budget_is_used_up() {
    let lab = Lab::start(Settings::default());
    let fleet = config(&lab, "1h").replace("jitter: 0", "jitter: 0, fleetSize: 100000");
    let agent = Agent::start(PROGRAM, &lab, &fleet);
    assert_eq!(verdict(&agent.post("/check")), "pass");
    std::fs::write(lab.secret_folder().join("password"), "a-wrong-password").expect("a file");
    std::thread::sleep(Duration::from_secs(15));
    assert!(agent.log().contains("credential files changed"), "the change is still detected");
    assert_eq!(lab.requests_of(Step::Challenge).len(), 1, "no check starts early");
    assert_eq!(verdict(&agent.post("/check")), "fail", "the next check uses it");
}

#[test]
fn sigterm_and_ctrl_c_stop_the_agent_within_two_seconds() {
    for (signal, hanging) in [("TERM", false), ("INT", false), ("TERM", true)] {
        let lab = Lab::start(Settings::default());
        if hanging {
            lab.change(|settings| settings.deliver(Step::Token, Delivery::SilentAfterRequest));
        }
        let mut agent = Agent::start(PROGRAM, &lab, &config(&lab, "1s"));
        agent.wait_for("a check", |_| !lab.requests_of(Step::Token).is_empty());
        let started = Instant::now();
        assert_eq!(agent.stop(signal), Some(0), "{signal}, hanging: {hanging}\n{}", agent.log());
        assert!(
            started.elapsed() < Duration::from_secs(2),
            "{signal}, hanging: {hanging}: {:?}",
            started.elapsed()
        );
    }
}

#[test]
fn a_port_in_use_is_an_error_at_the_start() {
    let lab = Lab::start(Settings::default());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let text = config(&lab, "1h").replace("127.0.0.1:0", &address);
    let output = support::agent::run_to_the_end(PROGRAM, &lab, &text);
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains(&format!("cannot listen on {address}")), "{error}");
}

#[test]
fn the_log_has_one_line_per_check_and_no_secrets() {
    let lab = Lab::start(Settings::default());
    lab.change(|settings| settings.credentials.password = "another".into());
    let agent = Agent::start(PROGRAM, &lab, &config(&lab, "1h"));
    agent.post("/check");
    let log = agent.log();
    let checks: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect("the log is JSON"))
        .filter(|line: &Value| line["fields"]["verdict"].is_string())
        .collect();
    assert_eq!(checks.len(), 1, "{log}");
    let fields = &checks[0]["fields"];
    assert_eq!(fields["causes"], "credentials_rejected");
    let id = lab.requests_of(Step::Token).last().expect("a refusal").correlation_id.clone();
    assert_eq!(fields["correlation_id"].as_str(), id.as_deref(), "{log}");
    for secret in lab.secrets() {
        assert!(!log.contains(&secret), "{secret} is in {log}");
    }
    assert_eq!(log.matches("Events are disabled").count(), 1, "logged once outside a cluster");
}
