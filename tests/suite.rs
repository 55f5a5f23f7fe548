//! The one integration-test binary: everything runs over real sockets against the lab.

#![allow(
    clippy::disallowed_methods,
    reason = "a test is its own surroundings: it has a clock and an environment"
)]

mod agent;
mod alerts;
mod architecture;
mod azure;
mod browser;
mod chart;
mod check;
mod cli;
mod community;
mod dashboards;
mod discover;
mod documents;
mod exposure;
mod fleet;
mod generated;
mod hostile;
mod image;
mod kubernetes;
mod language;
mod metrics;
mod observations;
#[cfg(target_os = "linux")]
mod pictures;
mod plugin;
mod release;
mod report;
mod rules;
mod runbook;
mod server;
mod smoke;
mod summary;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_acr-verifier");
