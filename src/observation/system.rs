//! Errors of the node's operating system.

use std::fmt;

/// An error of the operating system that says nothing about the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SystemError {
    /// The error number; absent if the library provides none.
    pub number: Option<i32>,
    /// Its name and meaning; absent for rare errors.
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
