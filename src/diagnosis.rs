//! The meaning of an observation: cause, message, remedy and the resulting verdict.
//!
//! Owns the types that the rules produce and every sink consumes. Detection of causes is in `rules`.

use std::fmt;

use crate::cause::Cause;
use crate::observation::{Endpoint, Stage};

/// The verdict on one image or on all images.
///
/// Ordered from best to worst: the worst of several is the overall verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Everything tested works.
    Pass,
    /// The pull works now, but something will break.
    Warn,
    /// The result could not be determined: the registry throttles, or no check has run yet.
    Unknown,
    /// The pull fails, or would leave the private path.
    Fail,
}

impl Verdict {
    /// Every verdict, best first.
    pub const ALL: [Self; 4] = [Self::Pass, Self::Warn, Self::Unknown, Self::Fail];

    /// Returns the name used in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Unknown => "unknown",
            Self::Fail => "fail",
        }
    }

    /// Returns the overall verdict of a list of diagnoses.
    #[must_use]
    pub fn of(diagnoses: &[Diagnosis]) -> Self {
        diagnoses.iter().map(|diagnosis| diagnosis.severity.verdict()).max().unwrap_or(Self::Pass)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// The severity of a diagnosis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Pulls fail or leave the private path.
    Fail,
    /// The result could not be determined.
    Unknown,
    /// Pulls work now, but something will break.
    Warn,
}

impl Severity {
    /// Returns the name used in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Unknown => "unknown",
            Self::Warn => "warn",
        }
    }

    /// Returns the verdict that follows from one diagnosis of this severity.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Fail => Verdict::Fail,
            Self::Unknown => Verdict::Unknown,
            Self::Warn => Verdict::Warn,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

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
