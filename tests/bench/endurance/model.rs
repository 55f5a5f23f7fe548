//! What has to be announced, by the contract alone: told from what each check found, and held against the Events.
//!
//! Owns a model of its own, so that the program is not compared with itself.

use std::collections::BTreeMap;

/// Failed checks in a row that confirm a failure (`confirmAfter` of the configuration).
pub(crate) const CONFIRM_AFTER: u32 = 2;
/// The reason of an Event about a recovery, or the first pass.
pub(crate) const VERIFIED: &str = "RegistryVerified";

/// What a check found of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Pass or warn.
    Good,
    /// Fail, by this cause.
    Bad(String),
    /// It could not be judged.
    Nothing,
}

/// One image at one agent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    /// The reason of each Event, by the number of the round that brings it about: together they tell one from all others.
    pub(crate) reasons: BTreeMap<usize, String>,
    /// What the last one told: none, all is well (no cause), or a cause.
    told: Option<Option<String>>,
    /// The last checks that failed and are not told yet.
    waiting: Vec<String>,
}

impl Expected {
    /// The reason of the newest Event.
    pub(crate) fn last(&self) -> Option<&str> {
        self.reasons.values().next_back().map(String::as_str)
    }

    /// Takes a check up.
    pub(crate) fn check(&mut self, round: usize, found: &Found) {
        match found {
            Found::Nothing => {}
            Found::Good => {
                self.waiting.clear();
                if self.told != Some(None) {
                    self.tell(round, None);
                }
            }
            Found::Bad(cause) if self.told == Some(Some(cause.clone())) => self.waiting.clear(),
            Found::Bad(cause) => {
                let is_failing = matches!(self.told, Some(Some(_)));
                // Of an announced failure another cause is announced when it is confirmed by itself.
                if is_failing && self.waiting.last().is_some_and(|last| last != cause) {
                    self.waiting.clear();
                }
                self.waiting.push(cause.clone());
                if self.waiting.len() >= CONFIRM_AFTER as usize {
                    self.waiting.clear();
                    self.tell(round, Some(cause.clone()));
                }
            }
        }
    }

    fn tell(&mut self, round: usize, cause: Option<String>) {
        let reason = cause.as_deref().map_or_else(|| VERIFIED.to_owned(), in_pascal_case);
        self.reasons.insert(round, reason);
        self.told = Some(cause);
    }
}

/// `dns_timeout` as `DnsTimeout`.
fn in_pascal_case(cause: &str) -> String {
    let capitalised = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    };
    cause.split('_').map(capitalised).collect()
}
