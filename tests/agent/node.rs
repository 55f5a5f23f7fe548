//! What a node does to an agent that runs on it: its clock jumps, its disk is full or cannot be written, files vanish.
//! Through all of it the agent goes on to check, and tells what is.
//!
//! The clock needs libfaketime and a file system that cannot be written needs root. Without them the tests say
//! `SKIPPED agent: …` and pass; `ACR_VERIFIER_REQUIRE_NAMESPACES=1` makes that a failure.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use super::process::{Agent, config};
use crate::lab::Lab;
use crate::lab::settings::{Settings, View};

/// Debian's places of the library that fakes a clock.
const FAKETIME: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];
/// Makes every file system of a mount namespace of its own one that cannot be written, but that of processes.
const READ_ONLY: &str = r#"
set -e
while read -r _ place _; do
    case $place in
        /proc* | /sys* | /dev*) ;;
        *) mount -o remount,bind,ro "$place" ;;
    esac
done </proc/self/mounts
! (echo >"$1/written") 2>/dev/null
shift
exec "$@"
"#;
/// More than a check of the lab ever takes, in seconds.
const LONG: f64 = 30.0;

#[test]
fn a_clock_that_jumps_by_an_hour_stops_nothing_and_makes_nothing_untrue() {
    let Some(library) = FAKETIME.iter().find(|place| Path::new(place).exists()) else {
        return skip("libfaketime is not there, for a clock that jumps");
    };
    let lab = Lab::start(Settings::default());
    let offset = lab.folder().join("clock");
    fs::write(&offset, "+0").expect("a file");
    let agent = Agent::start_as(&lab, &config(&lab, "1s"), |mut command| {
        command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", &offset);
        command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        command
    });
    for seconds in ["+0", "+3600", "+0", "-3600", "+3600", "-3600", "+0"] {
        fs::write(&offset, seconds).expect("a file");
        goes_on(&agent, seconds);
        let jumped = now() + seconds.parse::<f64>().expect("a number");
        assert_eq!(agent.metric("acr_verifier_check_success"), Some(1.0), "{seconds}");
        for name in
            ["acr_verifier_last_check_timestamp_seconds", "acr_verifier_last_success_timestamp_seconds"]
        {
            let told = agent.metric(name).expect("it is told");
            assert!((jumped - told).abs() < LONG, "{seconds}: {name} is {told}, and it is {jumped}");
        }
        for line in agent.get("/metrics").body.lines().filter(|line| line.contains("duration_seconds_sum{")) {
            let took: f64 = line.rsplit(' ').next().and_then(|it| it.parse().ok()).expect("a number");
            assert!((0.0..LONG * 7.0).contains(&took), "{seconds}: {line}");
        }
        let report = agent.get("/report").json();
        let took = report["images"][0]["durationSeconds"].as_f64().expect("a duration");
        assert!((0.0..LONG).contains(&took), "{seconds}: {took}");
    }
    assert!(!agent.get("/metrics").body.contains("acr_verifier_failures_total{"), "nothing was ever wrong");
    fs::write(&offset, "-3600").expect("a file");
    finds_out(&lab, &agent);
}

/// Every line of the log is refused.
#[test]
fn a_full_disk_under_the_log_stops_nothing() {
    let lab = Lab::start(Settings::default());
    let full = fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    full.try_clone().expect("a descriptor").write_all(b"x").expect_err("it is full");
    let agent = Agent::start_unheard(&lab, &config(&lab, "1s"), full.into());
    goes_on(&agent, "full");
    finds_out(&lab, &agent);
}

#[test]
fn a_log_that_nobody_takes_any_more_stops_nothing() {
    let lab = Lab::start(Settings::default());
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let agent = Agent::start_unheard(&lab, &config(&lab, "1s"), Stdio::from(writer));
    goes_on(&agent, "heard");
    drop(reader);
    goes_on(&agent, "unheard");
    finds_out(&lab, &agent);
}

#[test]
fn where_nothing_can_be_written_everything_works() {
    let mut probe = Command::new("unshare");
    if !probe.args(["--mount", "true"]).stderr(Stdio::null()).status().is_ok_and(|it| it.success()) {
        return skip("a file system that cannot be written needs root, for a mount namespace");
    }
    let lab = Lab::start(Settings::default());
    let agent = Agent::start_as(&lab, &config(&lab, "1s"), |command| {
        let mut wrapped = Command::new("unshare");
        wrapped.args(["--mount", "sh", "-c", READ_ONLY, "sh"]).arg(lab.folder());
        wrapped.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(name, value),
                None => wrapped.env_remove(name),
            };
        }
        wrapped.stdin(Stdio::null()).stdout(Stdio::null());
        wrapped
    });
    goes_on(&agent, "read-only");
    finds_out(&lab, &agent);
    // What others write is seen all the same.
    fs::write(lab.secret_folder().join("password"), "another").expect("a file");
    agent.wait_for("the rejection", |agent| cause(agent) == "credentials_rejected");
}

/// One file after another is gone and comes back.
#[test]
fn files_that_vanish_are_told_and_nothing_else_is() {
    let lab = Lab::start(Settings::default());
    let agent = Agent::start(&lab, &config(&lab, "1s"));
    goes_on(&agent, "all there");

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
    goes_on(&agent, "no configuration");
    assert_eq!(agent.metric("acr_verifier_check_success"), Some(1.0), "the old one is used");
    agent.replace(&text);
    agent.wait_for("the configuration's return", |agent| {
        agent.metric("acr_verifier_config_last_reload_successful") == Some(1.0)
    });

    // Roots that were read stay known; the loss is told as what it is, a configuration that cannot be loaded.
    let roots = lab.ca_file();
    fs::rename(&roots, &away).expect("a rename");
    agent.replace(&format!("{text}# read again\n"));
    agent.wait_for("the loss of the roots", |agent| {
        agent.metric("acr_verifier_config_last_reload_successful") == Some(0.0)
    });
    goes_on(&agent, "no roots");
    assert_eq!(agent.metric("acr_verifier_check_success"), Some(1.0));
    fs::rename(&away, &roots).expect("a rename");
    agent.wait_for("the roots' return", |agent| {
        agent.metric("acr_verifier_config_last_reload_successful") == Some(1.0)
    });
    finds_out(&lab, &agent);
}

/// Three more checks end, the pages answer, and nothing is said to be old.
#[track_caller]
fn goes_on(agent: &Agent, when: &str) {
    let before = checks(agent);
    agent.wait_for(&format!("three checks, {when}"), |agent| checks(agent) >= before + 3.0);
    for page in ["/livez", "/readyz", "/report", "/"] {
        assert_eq!(agent.get(page).status, 200, "{page}, {when}");
    }
}

/// A fault is found and told, and so is its end.
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

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64()
}

fn skip(reason: &str) {
    let demanded = std::env::var_os("ACR_VERIFIER_REQUIRE_NAMESPACES").is_some_and(|value| value == "1");
    assert!(!demanded, "{reason}");
    writeln!(std::io::stderr(), "\nSKIPPED agent: {reason}").ok();
}
