//! The types of machine-readable reports, and their scalars.
//!
//! Owns names and serialisation, for writers and readers alike: the agent and `check` write reports, `smoke` reads them.
//! `report::json` converts a run into these types.

pub mod report;

mod scalar;

pub use scalar::{Moment, Seconds, Word};
