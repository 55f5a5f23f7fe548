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
mod dashboards;
mod fleet;
mod hostile;
mod image;
mod lab;
mod language;
mod metrics;
mod observations;
mod readme;
mod report;
mod rules;
mod runbook;
mod server;
mod smoke;
mod summary;

// Tests of the lab itself, which the example that shares `lab` does not carry.
#[path = "lab/client.rs"]
mod client;
#[path = "lab/fidelity.rs"]
mod fidelity;
#[path = "lab/identity_client.rs"]
mod identity_client;
#[path = "lab/identity_faults.rs"]
mod identity_faults;
#[path = "lab/identity_sequences.rs"]
mod identity_sequences;
#[path = "lab/misbehaviour.rs"]
mod misbehaviour;
#[path = "lab/recordings.rs"]
mod recordings;
#[path = "lab/requests.rs"]
mod requests;
