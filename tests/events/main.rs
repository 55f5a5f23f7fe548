//! Kubernetes Events against a real API server: only etcd and kube-apiserver on loopback, with RBAC.
//!
//! A separate binary, since it needs programs that not every machine has: `tests/cluster/servers` finds or builds them.
//! Without them, every test prints `SKIPPED events: …` and passes. `ACR_VERIFIER_REQUIRE_CLUSTER=1` builds what is missing and
//! turns a skip into a failure.

#![allow(clippy::disallowed_methods, reason = "tests may use the clock and the environment")]

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

// Shared with the other test binary: the private registry and the agent process.
#[path = "../agent/process.rs"]
#[allow(dead_code, reason = "the tests of the agent use more of it")]
mod agent_process;
