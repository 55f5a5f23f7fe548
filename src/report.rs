//! The report of a check.

pub mod catalogue;

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// `acr-verifier/report/v1`.
    Json,
    /// For pipelines.
    Junit,
}
