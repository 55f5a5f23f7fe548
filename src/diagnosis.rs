//! The meaning of an observation: cause, message, remedy and the resulting verdict.
//!
//! Owns the types that the rules produce and every sink consumes. Detection of causes is in `rules`.

use crate::cause::Cause;
use crate::observation::{Endpoint, Stage};
use crate::verdict::{Severity, Verdict};

/// One problem with its evidence and remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// The cause, from the closed list.
    pub cause: Cause,
    /// The severity in this check: the same cause may fail one check and only warn in another.
    pub severity: Severity,
    /// The stage in which the problem was found.
    pub stage: Stage,
    /// The endpoint at which the problem was found.
    pub endpoint: Endpoint,
    /// A full sentence with the evidence.
    pub message: String,
    /// An imperative sentence.
    pub remedy: String,
    /// Commands filled in from the observation; unknown values are placeholders in capitals.
    pub commands: Vec<String>,
    /// The registry's correlation id of the failing response, if any.
    pub correlation_id: Option<String>,
}

/// Returns the overall verdict of a list of diagnoses.
#[must_use]
pub fn verdict_of(diagnoses: &[Diagnosis]) -> Verdict {
    diagnoses.iter().map(|diagnosis| diagnosis.severity.verdict()).max().unwrap_or(Verdict::Pass)
}
