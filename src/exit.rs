//! The exit status that `check` and `smoke` share.

use crate::verdict::Verdict;

/// The result of a command, which determines the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// Every verdict is pass, or warn without `--strict`.
    Good,
    /// A problem was found.
    Problem,
    /// At least one verdict is unknown and none is fail.
    Inconclusive,
    /// Interrupted by Ctrl-C.
    Interrupted,
}

impl ExitStatus {
    /// Returns the status for a verdict.
    #[must_use]
    pub const fn of(verdict: Verdict, strict: bool) -> Self {
        match verdict {
            Verdict::Pass => Self::Good,
            Verdict::Warn if strict => Self::Problem,
            Verdict::Warn => Self::Good,
            Verdict::Unknown => Self::Inconclusive,
            Verdict::Fail => Self::Problem,
        }
    }

    /// Returns the exit code; after Ctrl-C it is the shell's code for SIGINT.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::Problem => 1,
            Self::Inconclusive => 3,
            Self::Interrupted => 130,
        }
    }
}
