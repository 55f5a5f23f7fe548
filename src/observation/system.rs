//! Why the node's own operating system did not do what it was asked.

use std::fmt;

/// An error of the operating system that is no statement about the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SystemError {
    /// The number, as the system gives it; absent where the library gives none.
    pub number: Option<i32>,
    /// Its name and what it means; absent for one that is seldom seen.
    pub name: Option<(&'static str, &'static str)>,
}

impl fmt::Display for SystemError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name, self.number) {
            (Some((name, meaning)), _) => write!(formatter, "{name}, {meaning}"),
            (None, Some(number)) => write!(formatter, "errno {number}"),
            (None, None) => formatter.write_str("an error without a number"),
        }
    }
}
