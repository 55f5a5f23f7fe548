//! Kubernetes Events against a real API server: etcd and kube-apiserver on loopback, with RBAC, and nothing else.
//!
//! A binary of its own, since it needs programs that not every machine has: `tests/cluster/servers` finds or builds them.
//! Without them every test here says `SKIPPED events: …` and passes; `ACR_VERIFIER_REQUIRE_CLUSTER=1` makes it a failure and
//! builds what is missing.

#![allow(
    clippy::disallowed_methods,
    reason = "a test is its own surroundings: it has a clock and an environment"
)]

mod agent;
mod certificates;
mod claims;
mod client;
mod harness;
mod process;
mod programs;
mod proxy;
mod publisher;
mod server;
mod smoke;

// What the other test binary has as well: the private registry, and an agent's process.
#[path = "../agent/process.rs"]
#[allow(dead_code, reason = "the tests of the agent use more of it")]
mod agent_process;
#[path = "../lab/mod.rs"]
mod lab;
