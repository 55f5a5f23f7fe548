//! Node problems that affect an agent: clock jumps (`clock`), a full or read-only disk (`disk`), vanishing files. The agent
//! continues to check and to report through all of them.
//!
//! The clock tests need libfaketime, those of full and read-only file systems need root. Otherwise they print
//! `SKIPPED agent: …` and pass; `ACR_VERIFIER_REQUIRE_NAMESPACES=1` makes that a failure.

mod clock;
mod disk;

use std::fs;

use crate::PROGRAM;
use lab::Lab;
use lab::settings::{Settings, View};
use support::agent::{Agent, config};

/// One file after another vanishes and returns.
#[test]
fn vanishing_files_are_reported_and_the_agent_recovers() {
    let lab = Lab::start(Settings::default());
    let agent = Agent::start(PROGRAM, &lab, &config(&lab, "1s"));
    keeps_checking(&agent, "all there");

    let secret = lab.secret_folder();
    let away = lab.folder().join("away");
    fs::rename(&secret, &away).expect("a rename");
    agent.wait_for("the loss of the Secret", |agent| cause(agent) == "credentials_missing");
    assert_eq!(agent.metric("acr_verifier_config_last_reload_successful"), Some(1.0));
    fs::rename(&away, &secret).expect("a rename");
    agent.wait_for("the Secret's return", |agent| cause(agent) == "null");

    let text = config(&lab, "1s");
    agent.remove_configuration();
    agent.wait_for("the loss of the configuration", |agent| {
        agent.metric("acr_verifier_config_last_reload_successful") == Some(0.0)
    });
    keeps_checking(&agent, "no configuration");
    assert_eq!(agent.metric("acr_verifier_check_success"), Some(1.0), "the previous one is used");
    agent.replace(&text);
    agent.wait_for("the configuration's return", |agent| {
        agent.metric("acr_verifier_config_last_reload_successful") == Some(1.0)
    });

    // Roots already loaded stay in use; the loss is reported as a configuration that cannot be loaded.
    let roots = lab.ca_file();
    fs::rename(&roots, &away).expect("a rename");
    agent.replace(&format!("{text}# read again\n"));
    agent.wait_for("the loss of the roots", |agent| {
        agent.metric("acr_verifier_config_last_reload_successful") == Some(0.0)
    });
    keeps_checking(&agent, "no roots");
    assert_eq!(agent.metric("acr_verifier_check_success"), Some(1.0));
    fs::rename(&away, &roots).expect("a rename");
    agent.wait_for("the roots' return", |agent| {
        agent.metric("acr_verifier_config_last_reload_successful") == Some(1.0)
    });
    finds_out(&lab, &agent);
}

/// Waits for three more checks, and checks that all pages respond.
#[track_caller]
fn keeps_checking(agent: &Agent, when: &str) {
    let before = checks(agent);
    agent.wait_for(&format!("three checks, {when}"), |agent| checks(agent) >= before + 3.0);
    for page in ["/livez", "/readyz", "/report", "/"] {
        assert_eq!(agent.get(page).status, 200, "{page}, {when}");
    }
}

/// Checks that a fault and its recovery are reported.
#[track_caller]
fn finds_out(lab: &Lab, agent: &Agent) {
    lab.change(|settings| settings.nameservers[0].login = View::NotLinked);
    agent.wait_for("the fault", |agent| cause(agent) == "private_zone_not_linked");
    lab.change(|settings| settings.nameservers[0].login = View::Private);
    agent.wait_for("its end", |agent| cause(agent) == "null");
}

/// The first cause of the last report, or `null`.
fn cause(agent: &Agent) -> String {
    let report = agent.get("/report").json();
    let cause = &report["images"][0]["diagnoses"][0]["cause"];
    cause.as_str().map_or_else(|| cause.to_string(), str::to_owned)
}

fn checks(agent: &Agent) -> f64 {
    let metrics = agent.get("/metrics").body;
    let lines = metrics.lines().filter(|line| line.starts_with("acr_verifier_checks_total{"));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[track_caller]
fn skip(reason: &str) {
    support::skip("ACR_VERIFIER_REQUIRE_NAMESPACES", "agent", reason);
}
