//! Small crowds of every kind at the port of a real agent: it keeps checking, responds to the kubelet, and recovers when they
//! have left. `tests/bench/hostile` does the same with 10,000 connections.

use std::time::Duration;

use crate::PROGRAM;
use lab::Lab;
use lab::answers::Step;
use lab::settings::Settings;
use support::agent::{Agent, config};
use support::hostile::crowd::{Crowd, press};
use support::hostile::process::peak_of;

/// More than the agent accepts at a time.
const CONNECTIONS: usize = 350;
const STAY: Duration = Duration::from_millis(1_500);
/// 256 connections, as many more as are accepted before the evicted ones are closed, and the agent's own.
const DESCRIPTORS: usize = 400;
/// Allowed memory for 400 connections in KiB: a head of 16 KiB each, the responses, and the tasks.
const MEMORY: u64 = 16 * 1024;
/// For an unoptimized build on a busy machine; the release needs one second.
const PATIENCE: Duration = Duration::from_secs(8);

#[test]
fn crowds_at_the_port_cost_little_and_never_stop_the_checks() {
    let lab = Lab::start(Settings::default());
    let agent = Agent::start(PROGRAM, &lab, &config(&lab, "1s"));
    agent.wait_for("the first check", |agent| agent.get("/report").status == 200);
    let before_crowds = peak_of(agent.id()).expect("it runs");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for crowd in Crowd::ALL {
        let before = lab.requests_of(Step::Challenge).len();
        let toll = runtime.block_on(press(crowd, agent.address, agent.id(), CONNECTIONS, STAY));
        let checks = lab.requests_of(Step::Challenge).len() - before;
        let measured = format!("{crowd:?}: {checks} checks, {toll:?}, {before_crowds} KiB before");
        assert!(toll.connections >= CONNECTIONS, "{measured}");
        assert_eq!((toll.threads, toll.unanswered), (1, 0), "{measured}");
        assert!(toll.descriptors < DESCRIPTORS, "{measured}");
        assert!(toll.peak < before_crowds + MEMORY, "{measured}");
        assert!(toll.slowest < PATIENCE && toll.recovered < PATIENCE, "{measured}");
        assert!(checks > 0, "{measured}");
    }
}
