//! Clock jumps, simulated by libfaketime: only the agent's wall clock, not the kernel's timers and not the lab's clock.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::PROGRAM;
use support::can_mount;

use super::{Agent, checks, config, finds_out, keeps_checking, skip};
use lab::Lab;
use lab::settings::{Settings, View};
use support::api_server::{ApiServer, Arrived};

/// Paths of libfaketime on Debian.
const FAKETIME: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];
/// More than a check of the lab ever takes, in seconds.
const LONG: f64 = 30.0;

#[test]
fn checks_and_metrics_survive_a_clock_jump_of_an_hour() {
    let lab = Lab::start(Settings::default());
    let Some(clock) = Clock::of(&lab) else { return };
    let agent = Agent::start_as(PROGRAM, &lab, &config(&lab, "1s"), |command| clock.given_to(command));
    for seconds in ["+0", "+3600", "+0", "-3600", "+3600", "-3600", "+0"] {
        clock.jump(seconds);
        keeps_checking(&agent, seconds);
        let jumped = now() + seconds.parse::<f64>().expect("a number");
        assert_eq!(agent.metric("acr_verifier_check_success"), Some(1.0), "{seconds}");
        for name in
            ["acr_verifier_last_check_timestamp_seconds", "acr_verifier_last_success_timestamp_seconds"]
        {
            let exposed = agent.metric(name).expect("it is exposed");
            assert!((jumped - exposed).abs() < LONG, "{seconds}: {name} is {exposed} instead of {jumped}");
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
    clock.jump("-3600");
    finds_out(&lab, &agent);
}

/// A failure is announced when it starts, once an hour while it persists, and when it ends, regardless of clock jumps. The
/// hour is measured by the wall clock: a jump forward by an hour causes exactly one renewal; after a jump back, the next
/// renewal comes an hour after the clock has caught up.
#[test]
fn clock_jumps_neither_flood_nor_lose_events() {
    if !can_mount() {
        return skip("an agent as a pod has it needs root, for a mount namespace");
    }
    let lab = Lab::start(Settings::default());
    let Some(clock) = Clock::of(&lab) else { return };
    let server = ApiServer::start(lab.folder()).expect("an API server on loopback");
    let agent = Agent::start_as(PROGRAM, &lab, &config(&lab, "1s"), |command| {
        clock.given_to(server.in_a_pod("aks-np1-0", &command))
    });
    let mut expected = vec![("RegistryVerified", 0)];
    expect_events(&server, &agent, &expected, "the first pass");

    // A failure announced before the jumps is renewed once per hour of the wall clock.
    expected.push(("PrivateZoneNotLinked", 0));
    breaks(&lab, View::NotLinked);
    expect_events(&server, &agent, &expected, "a failure before the clock jumps");
    let jumps = [("+3600", 1), ("+0", 1), ("+3600", 1), ("-3600", 1), ("+7300", 2), ("+0", 2)];
    for (seconds, renewals) in jumps {
        clock.jump(seconds);
        expected[1].1 = renewals;
        expect_events(&server, &agent, &expected, &format!("the clock at {seconds}"));
    }

    // Its recovery with a clock hours before the announcement; then a failure announced with that clock.
    clock.jump("-3600");
    expected.push(("RegistryVerified", 0));
    breaks(&lab, View::Private);
    expect_events(&server, &agent, &expected, "the end after a jump back");
    expected.push(("NameNotFound", 0));
    breaks(&lab, View::NoSuchName);
    expect_events(&server, &agent, &expected, "a failure after a jump back");
    clock.jump("+0");
    expected[3].1 = 1;
    expect_events(&server, &agent, &expected, "the clock back where it was");

    // A failure and its recovery after a jump forward, with nothing afterwards.
    clock.jump("+3600");
    expected[3].1 = 2;
    expect_events(&server, &agent, &expected, "an hour forward");
    expected.push(("RegistryVerified", 0));
    breaks(&lab, View::Private);
    expect_events(&server, &agent, &expected, "the end after a jump forward");
    expected.push(("PrivateRecordMissing", 0));
    breaks(&lab, View::RecordMissing);
    expect_events(&server, &agent, &expected, "a failure after a jump forward");
    expected.push(("RegistryVerified", 0));
    breaks(&lab, View::Private);
    clock.jump("-3600");
    expect_events(&server, &agent, &expected, "its end while the clock jumps back");
    for (result, count) in [("suppressed", 0.0), ("failed", 0.0)] {
        let name = format!("acr_verifier_events_total{{node=\"aks-np1-0\",result=\"{result}\"}}");
        let metrics = agent.get("/metrics").body;
        let line = metrics.lines().find_map(|line| line.strip_prefix(&name)?.trim().parse::<f64>().ok());
        assert_eq!(line, Some(count), "{result}");
    }
}

fn breaks(lab: &Lab, view: View) {
    lab.change(|settings| settings.nameservers[0].login = view);
}

/// Expects exactly these Events in order, each with its number of renewals, and no change two checks later.
#[track_caller]
fn expect_events(server: &ApiServer, agent: &Agent, expected: &[(&str, i64)], when: &str) {
    let events = || {
        let arrived: Vec<Arrived> = server.arrived();
        for event in &arrived {
            // One attempt at creation and one per renewal: the server never rejects here.
            assert_eq!((i64::from(event.taken), event.failed()), (event.renewed + 1, 0), "{when}: {event:?}");
            assert!(!event.is_altered, "{when}: {event:?}");
        }
        arrived.into_iter().map(|event| (event.reason, event.renewed)).collect::<Vec<_>>()
    };
    let is_so = |events: &[(String, i64)]| {
        let events = events.iter().map(|(reason, renewed)| (reason.as_str(), *renewed));
        events.eq(expected.iter().copied())
    };
    agent.wait_for(&format!("{expected:?}, {when}"), |_| is_so(&events()));
    let before = checks(agent);
    agent.wait_for(&format!("two checks, {when}"), |agent| checks(agent) >= before + 2.0);
    assert!(is_so(&events()), "{when}: {:?} and not {expected:?}", events());
}

/// A fake clock for one agent.
struct Clock {
    library: &'static str,
    offset: PathBuf,
}

impl Clock {
    /// Returns an accurate clock, if the library is installed.
    fn of(lab: &Lab) -> Option<Self> {
        let Some(library) = FAKETIME.into_iter().find(|place| Path::new(place).exists()) else {
            skip("libfaketime is not there, for a clock that jumps");
            return None;
        };
        let clock = Self { library, offset: lab.folder().join("clock") };
        clock.jump("+0");
        Some(clock)
    }

    /// Sets the offset from the real time, in seconds.
    fn jump(&self, seconds: &str) {
        fs::write(&self.offset, seconds).expect("a file");
    }

    fn given_to(&self, mut command: Command) -> Command {
        command.env("LD_PRELOAD", self.library).env("FAKETIME_TIMESTAMP_FILE", &self.offset);
        command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        command
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64()
}
