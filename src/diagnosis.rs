//! What an observation means: cause, sentence, remedy, and the verdict that follows.
//!
//! Owns the types that the rules produce and every sink consumes. How a cause is recognised is in `rules`.

use std::fmt;

use crate::cause::Cause;
use crate::observation::{Endpoint, Stage};

/// The verdict on an image, or on all of them.
///
/// Ordered by how much it matters: the worst of several is the verdict on all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Everything that was tested works.
    Pass,
    /// The pull works, and something will break.
    Warn,
    /// It could not be judged: throttled, or not run yet.
    Unknown,
    /// The pull fails, or would leave the private path.
    Fail,
}

impl Verdict {
    /// Every verdict, best first.
    pub const ALL: [Self; 4] = [Self::Pass, Self::Warn, Self::Unknown, Self::Fail];

    /// The contract's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Unknown => "unknown",
            Self::Fail => "fail",
        }
    }

    /// What a list of diagnoses amounts to.
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

/// How much a diagnosis matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Pulls fail, or leave the private path.
    Fail,
    /// It could not be judged.
    Unknown,
    /// Pulls work, and something will break.
    Warn,
}

impl Severity {
    /// The contract's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Unknown => "unknown",
            Self::Warn => "warn",
        }
    }

    /// The verdict that one diagnosis of this severity makes.
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

/// One thing that is wrong, with its evidence and its remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// Which cause of the closed list.
    pub cause: Cause,
    /// How much it matters here: a cause that fails one check may only be a warning in another.
    pub severity: Severity,
    /// In which stage it showed.
    pub stage: Stage,
    /// At which endpoint.
    pub endpoint: Endpoint,
    /// One full sentence with the evidence.
    pub message: String,
    /// One imperative sentence.
    pub remedy: String,
    /// Exact commands, filled in from what was seen; what cannot be known stands in capitals.
    pub commands: Vec<String>,
    /// The registry's id of the failing answer.
    pub correlation_id: Option<String>,
}
