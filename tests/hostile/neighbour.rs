//! Small crowds at the port of a real agent, in every way that a neighbour could think of: it goes on checking, answers the
//! kubelet, and is itself again when they have gone. `tests/bench/hostile` has the same with 10,000 connections.

use std::time::Duration;

use super::crowd::{Crowd, press};
use super::process::peak_of;
use crate::agent::process::{Agent, config};
use crate::lab::Lab;
use crate::lab::answers::Step;
use crate::lab::settings::Settings;

/// More than the agent takes at a time.
const CONNECTIONS: usize = 350;
const STAY: Duration = Duration::from_millis(1_500);
/// 256 connections, as many more as one turn takes in before those that have to go know it, and the agent's own.
const DESCRIPTORS: usize = 400;
/// What 400 connections may cost, in KiB: a head of 16 KiB each, what is written back, and the tasks.
const MEMORY: u64 = 16 * 1024;
/// A build without optimisation on a busy machine; for the release it is one second.
const PATIENCE: Duration = Duration::from_secs(8);

#[test]
fn a_crowd_at_the_port_costs_little_and_keeps_nobody_from_checking() {
    let lab = Lab::start(Settings::default());
    let agent = Agent::start(&lab, &config(&lab, "1s"));
    agent.wait_for("the first check", |agent| agent.get("/report").status == 200);
    let alone = peak_of(agent.id()).expect("it runs");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for crowd in Crowd::ALL {
        let before = lab.requests_of(Step::Challenge).len();
        let toll = runtime.block_on(press(crowd, agent.address, agent.id(), CONNECTIONS, STAY));
        let checks = lab.requests_of(Step::Challenge).len() - before;
        let told = format!("{crowd:?}: {checks} checks, {toll:?}, {alone} KiB alone");
        assert!(toll.connections >= CONNECTIONS, "{told}");
        assert_eq!((toll.threads, toll.unanswered), (1, 0), "{told}");
        assert!(toll.descriptors < DESCRIPTORS, "{told}");
        assert!(toll.peak < alone + MEMORY, "{told}");
        assert!(toll.slowest < PATIENCE && toll.recovered < PATIENCE, "{told}");
        assert!(checks > 0, "{told}");
    }
}
