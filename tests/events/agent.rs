//! The agent as in a Pod: with the files and environment of a service account, on the real API server. Needs root for a
//! mount namespace with these files.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::server::{ApiServer, NODE};
use crate::PROGRAM;
use lab::Lab;
use lab::settings::{Settings, View};
use support::agent::{Agent, config};
use support::tell;

/// Extra time for a busy machine.
const SLACK: Duration = Duration::from_secs(8);

/// Path of the service account in a Pod.
const ACCOUNT: &str = "/run/secrets/kubernetes.io/serviceaccount";

/// Runs a command in its own mount namespace, with the service account's files at their paths in a Pod.
fn in_a_pod(server: &ApiServer, command: &Command) -> Command {
    in_a_pod_of(server, server.service_account_token(), command)
}

/// Like `in_a_pod`, with the token of another account in the same namespace.
pub(super) fn in_a_pod_of(server: &ApiServer, token: &str, command: &Command) -> Command {
    let folder = tempfile::tempdir().expect("a folder").keep();
    std::fs::write(folder.join("token"), token).expect("a file");
    let script = format!(
        "mount -t tmpfs none /run && mkdir -p {ACCOUNT} && cp \"$1\" {ACCOUNT}/ca.crt && cp \"$2\" {ACCOUNT}/token && \
         rm -r \"${{2%/*}}\" && echo acr-verifier > {ACCOUNT}/namespace && shift 2 && exec \"$@\""
    );
    let mut wrapped = Command::new("unshare");
    wrapped.args(["--mount", "sh", "-c", &script, "sh"]).arg(server.ca_file()).arg(folder.join("token"));
    wrapped.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    let url = server.url();
    let (_, port) = url.rsplit_once(':').expect("a port");
    wrapped.env("KUBERNETES_SERVICE_HOST", "127.0.0.1").env("KUBERNETES_SERVICE_PORT", port);
    wrapped.env("NODE_NAME", NODE).env("POD_NAME", "acr-verifier-x7k2p").env("POD_NAMESPACE", "acr-verifier");
    wrapped.stdin(Stdio::null()).stdout(Stdio::null());
    wrapped
}

pub(super) fn can_mount() -> bool {
    let can = support::can_mount();
    if !can {
        tell("\nSKIPPED events: the agent as a pod needs root, for a mount namespace");
    }
    can
}

fn described(server: &ApiServer, words: &[&str]) -> bool {
    let output = server.kubectl(&["describe", "node", NODE]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().any(|line| words.iter().all(|word| line.contains(word)))
}

#[track_caller]
fn wait_for(server: &ApiServer, agent: &Agent, words: &[&str], limit: Duration) {
    let started = Instant::now();
    while !described(server, words) {
        assert!(started.elapsed() < limit, "{words:?} is not described within {limit:?}: {}", agent.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_failure_is_published_once_confirmed_and_a_recovery_immediately() {
    let Some(server) = ApiServer::start() else { return };
    if !can_mount() {
        return;
    }
    let lab = Lab::start(Settings::default());
    let agent = Agent::start_as(PROGRAM, &lab, &config(&lab, "2s"), |command| in_a_pod(&server, &command));
    wait_for(
        &server,
        &agent,
        &["Normal", "RegistryVerified", "can be pulled"],
        2 * Duration::from_secs(2) + SLACK,
    );

    lab.change(|settings| settings.nameservers[0].login = View::NotLinked);
    let confirmed = ["Warning", "PrivateZoneNotLinked", "acr-verifier", "20.45.122.144"];
    wait_for(&server, &agent, &confirmed, 2 * Duration::from_secs(2) + SLACK);
    assert_eq!(agent.metric("acr_verifier_check_success"), Some(0.0));
    let published = |agent: &Agent| {
        let metrics = agent.get("/metrics").body;
        let line = metrics
            .lines()
            .find(|line| line.contains("result=\"published\""))
            .expect("it exists from the start");
        line.rsplit(' ').next().and_then(|value| value.parse::<u32>().ok()).expect("a number")
    };
    assert_eq!(published(&agent), 2);

    // An API server that does not respond delays no check.
    server.pause();
    lab.change(|settings| settings.nameservers[0].login = View::Private);
    let started = Instant::now();
    agent.wait_for("the recovery", |agent| agent.metric("acr_verifier_check_success") == Some(1.0));
    assert!(started.elapsed() < Duration::from_secs(2) + SLACK, "{:?}", started.elapsed());
    let checks = |agent: &Agent| agent.metric("acr_verifier_last_check_timestamp_seconds").expect("checked");
    let before = checks(&agent);
    agent.wait_for("two more checks", |agent| checks(agent) >= before + 4.0);
    server.resume();
    agent.wait_for("the Event", |agent| published(agent) == 3);
    assert!(!agent.log().contains(server.service_account_token()));
}

#[test]
fn events_can_be_enabled_and_disabled_without_a_restart() {
    let Some(server) = ApiServer::start() else { return };
    if !can_mount() {
        return;
    }
    let lab = Lab::start(Settings::default());
    let on = config(&lab, "1s");
    let off = format!("{on}events: {{enabled: false}}\n");
    let agent = Agent::start_as(PROGRAM, &lab, &off, |command| in_a_pod(&server, &command));
    let checks =
        |agent: &Agent| agent.metric("acr_verifier_last_check_timestamp_seconds").unwrap_or_default();
    agent.wait_for("a check", |agent| checks(agent) > 0.0);
    assert!(!described(&server, &["RegistryVerified"]), "they are off");

    agent.rewrite(&on);
    wait_for(&server, &agent, &["Normal", "RegistryVerified"], Duration::from_secs(15) + SLACK);

    agent.rewrite(&off);
    agent.wait_for("the new configuration", |agent| {
        agent.log().matches("configuration reloaded").count() == 2
    });
    lab.change(|settings| settings.nameservers[0].login = View::NotLinked);
    agent.wait_for("the failure", |agent| agent.metric("acr_verifier_check_success") == Some(0.0));
    let before = checks(&agent);
    agent.wait_for("more checks than confirm it", |agent| checks(agent) >= before + 4.0);
    assert!(!described(&server, &["PrivateZoneNotLinked"]), "they are off again");
}
