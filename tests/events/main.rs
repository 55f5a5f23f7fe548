//! Kubernetes Events and the chart against a real API server: only etcd and kube-apiserver on loopback, with RBAC.
//!
//! A separate binary, since it needs programs that not every machine has: `tests/cluster/servers` finds or builds them.
//! Without them, every test prints `SKIPPED events: …` and passes. `ACR_VERIFIER_REQUIRE_CLUSTER=1` builds what is missing and
//! turns a skip into a failure.

#![allow(clippy::disallowed_methods, reason = "tests may use the clock and the environment")]

mod agent;
mod chart;
mod claims;
mod client;
mod documents;
mod harness;
mod process;
mod programs;
mod proxy;
mod publisher;
mod server;
mod smoke;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_acr-verifier");
