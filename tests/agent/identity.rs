//! An agent that pulls with an identity: it checks continuously, follows the renewed token file, and shows no token.

use crate::PROGRAM;
use lab::Lab;
use lab::log::Listener;
use lab::settings::{Assertion, Identity, Rights, Settings, Validity};
use support::agent::{Agent, config};

/// Starts an agent whose image is pulled with this source of credentials.
fn start(lab: &Lab, credentials: &str) -> Agent {
    let path = format!("{{path: {}}}", lab.secret_folder().display());
    let text = config(lab, "1s").replace(&path, credentials);
    assert!(text.contains(credentials), "{text}");
    Agent::start_as(PROGRAM, lab, &text, |mut command| {
        command.arg("-vvv").arg("--lab-imds").arg(lab.imds().to_string());
        command.arg("--lab-entra").arg(lab.entra().to_string());
        command.env("SSL_CERT_FILE", lab.public_roots()).envs(lab.workload_variables());
        command
    })
}

/// The first cause of the last report.
fn cause(agent: &Agent) -> String {
    let report = agent.get("/report");
    if report.status != 200 {
        return "no report".to_owned();
    }
    let cause = &report.json()["images"][0]["diagnoses"][0]["cause"];
    cause.as_str().map_or_else(|| cause.to_string(), str::to_owned)
}

fn shows_no_token(lab: &Lab, agent: &Agent) {
    let pages: String = ["/report", "/metrics", "/"].map(|path| agent.get(path).body).concat();
    let shown = agent.log() + &pages;
    for secret in lab.secrets() {
        assert!(!shown.contains(&secret), "{secret}");
    }
}

#[test]
fn an_agent_with_the_nodes_identity_notices_a_removed_role() {
    let lab = Lab::start(Settings { identity: Identity::on_loopback(), ..Settings::default() });
    let agent = start(&lab, "{managedIdentity: {}}");
    agent.wait_for("a pass", |agent| cause(agent) == "null");
    lab.change(|settings| settings.identity.rights = Rights::None);
    agent.wait_for("the missing role", |agent| cause(agent) == "pull_role_missing");
    assert!(agent.get("/metrics").body.contains("cause=\"pull_role_missing\""));
    lab.change(|settings| settings.identity.rights = Rights::Pull);
    agent.wait_for("the recovery", |agent| cause(agent) == "null");
    assert!(lab.requests_at(Listener::Entra).is_empty());
    shows_no_token(&lab, &agent);
}

#[test]
fn an_agent_with_a_workload_identity_reads_the_renewed_token() {
    let lab = Lab::start(Settings { identity: Identity::on_loopback(), ..Settings::default() });
    lab.project(&Assertion { validity: Validity::Expired, ..lab.accepted_assertion() });
    let agent = start(&lab, "{workloadIdentity: {}}");
    agent.wait_for("the expired token", |agent| cause(agent) == "identity_rejected");
    lab.project(&lab.accepted_assertion());
    agent.wait_for("the recovery", |agent| cause(agent) == "null");
    assert!(lab.requests_at(Listener::Imds).is_empty());
    shows_no_token(&lab, &agent);
}
