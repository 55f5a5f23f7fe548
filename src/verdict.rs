//! The verdict on a check, and the severity of a problem.
//!
//! Owns the two closed lists and their words. `diagnosis` derives the verdict from what was found.

use std::fmt;

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
