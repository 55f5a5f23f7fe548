//! Derives the expected announcements from the result of each check, following the contract.
//!
//! A separate model, so that the program is not compared with itself.

use std::collections::BTreeMap;

/// Failed checks in a row that confirm a failure (`confirmAfter` of the configuration).
pub(crate) const CONFIRM_AFTER: u32 = 2;
/// Event reason for a recovery or the first pass.
pub(crate) const VERIFIED: &str = "RegistryVerified";

/// Result of a check of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Found {
    /// Pass or warn.
    Good,
    /// Fail, with this cause.
    Bad(String),
    /// Unknown.
    #[default]
    Nothing,
}

/// Expected announcements for one image of one agent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    /// Reason of each Event by the number of the round that causes it, which identifies the Event.
    pub(crate) reasons: BTreeMap<usize, String>,
    /// Last announcement; `Nothing` before the first.
    announced: Found,
    /// Causes of the last failed checks that are not announced yet.
    waiting: Vec<String>,
}

impl Expected {
    /// Returns the reason of the newest Event.
    pub(crate) fn last(&self) -> Option<&str> {
        self.reasons.values().next_back().map(String::as_str)
    }

    /// Records a check.
    pub(crate) fn check(&mut self, round: usize, found: &Found) {
        match found {
            Found::Nothing => {}
            Found::Good => {
                self.waiting.clear();
                if self.announced != Found::Good {
                    self.announce(round, found, VERIFIED.to_owned());
                }
            }
            Found::Bad(_) if self.announced == *found => self.waiting.clear(),
            Found::Bad(cause) => {
                let is_failing = matches!(self.announced, Found::Bad(_));
                // While a failure is announced, another cause must be confirmed by itself.
                if is_failing && self.waiting.last().is_some_and(|last| last != cause) {
                    self.waiting.clear();
                }
                self.waiting.push(cause.clone());
                if self.waiting.len() >= CONFIRM_AFTER as usize {
                    self.waiting.clear();
                    self.announce(round, found, in_pascal_case(cause));
                }
            }
        }
    }

    fn announce(&mut self, round: usize, found: &Found, reason: String) {
        self.reasons.insert(round, reason);
        self.announced = found.clone();
    }
}

/// Returns `dns_timeout` as `DnsTimeout`.
fn in_pascal_case(cause: &str) -> String {
    let capitalised = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    };
    cause.split('_').map(capitalised).collect()
}
