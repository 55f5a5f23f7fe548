//! Tests of the lab itself: its healthy responses are those of ACR, and its faults behave as named.

#![allow(clippy::disallowed_methods, reason = "a test may use the clock and the environment")]

mod client;
mod fidelity;
mod identity_client;
mod identity_faults;
mod identity_sequences;
mod misbehaviour;
mod recordings;
mod requests;
