//! The one integration-test binary: everything runs over real sockets against the lab.

mod check;
mod cli;
mod lab;
mod readme;
mod report;

// Tests of the lab itself, which the example that shares `lab` does not carry.
#[path = "lab/client.rs"]
mod client;
#[path = "lab/fidelity.rs"]
mod fidelity;
#[path = "lab/misbehaviour.rs"]
mod misbehaviour;
#[path = "lab/recordings.rs"]
mod recordings;
