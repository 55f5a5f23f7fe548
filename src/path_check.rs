//! The outcome of a path check: which causes break the path of a pull, from DNS to TLS, at each endpoint.
//!
//! Owns the comparison of two outcomes; [`paths`] decides what follows from it. The times are `schedule`'s, the connections
//! `probe`'s.

pub mod paths;

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::cause::Cause;
use crate::diagnosis::Diagnosis;
use crate::image::ImageReference;
use crate::observation::{Endpoint, Observation, Stage};
use crate::verdict::Severity;

/// What the stages from DNS to TLS of one image showed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathOutcome {
    /// The causes at each endpoint that failed or could not be determined; absent if the endpoint was not reached.
    login: Option<BTreeSet<Cause>>,
    data: Option<BTreeSet<Cause>>,
}

pub use paths::{Compared, Paths};

/// How an outcome differs from an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathChange {
    /// The same causes, as far as both reached the endpoints.
    Unchanged,
    /// Only causes that are gone.
    Recovered,
    /// A cause that was not there before.
    Broken,
}

impl PathChange {
    /// Both values of the label `result`.
    pub const RESULTS: [&'static str; 2] = ["unchanged", "changed"];
}

/// The latest path check of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathStatus {
    /// The image.
    pub image: ImageReference,
    /// The operator's name for it.
    pub name: Option<String>,
    /// When it started.
    pub checked_at: Timestamp,
    /// Whether its outcome differs from the last whole check's.
    pub is_changed: bool,
    /// Whether the image's result does not show what it found, so that a whole check has to confirm it.
    pub is_outdated: bool,
    /// The causes that break the path; empty if it is open.
    pub causes: Vec<Cause>,
}

impl PathStatus {
    /// Returns whether the path is broken.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        !self.causes.is_empty()
    }
}

impl PathOutcome {
    /// An open path to the login server; nothing is known about the data endpoint.
    #[must_use]
    pub fn open() -> Self {
        Self { login: Some(BTreeSet::new()), data: None }
    }

    /// Returns the outcome of a whole check or of a path check.
    #[must_use]
    pub fn of(observation: &Observation, diagnoses: &[Diagnosis]) -> Self {
        let at = |endpoint| {
            let causes: BTreeSet<Cause> = diagnoses
                .iter()
                .filter(|diagnosis| diagnosis.endpoint == endpoint && diagnosis.stage <= Stage::Tls)
                .filter(|diagnosis| diagnosis.severity < Severity::Warn)
                .map(|diagnosis| diagnosis.cause)
                .collect();
            let is_reached = observation.reached(endpoint, Stage::Connect) || !causes.is_empty();
            is_reached.then_some(causes)
        };
        Self { login: at(Endpoint::Login), data: at(Endpoint::Data) }
    }

    /// Compares this outcome with an earlier one. An endpoint that one of the two did not reach counts as unchanged.
    #[must_use]
    pub fn change_from(&self, earlier: &Self) -> PathChange {
        let pairs = [(&self.login, &earlier.login), (&self.data, &earlier.data)];
        let known: Vec<_> =
            pairs.into_iter().filter_map(|(now, before)| now.as_ref().zip(before.as_ref())).collect();
        if known.iter().any(|(now, before)| !now.is_subset(before)) {
            PathChange::Broken
        } else if known.iter().any(|(now, before)| now != before) {
            PathChange::Recovered
        } else {
            PathChange::Unchanged
        }
    }

    /// Returns this outcome, with that of an earlier one for endpoints that were not reached.
    #[must_use]
    pub fn or(self, earlier: Self) -> Self {
        Self { login: self.login.or(earlier.login), data: self.data.or(earlier.data) }
    }

    /// Returns whether nothing can reach the login server.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.login.as_ref().is_some_and(|causes| !causes.is_empty())
    }

    /// Returns the causes of both endpoints.
    #[must_use]
    pub fn causes(&self) -> Vec<Cause> {
        let all: BTreeSet<Cause> = self.login.iter().chain(&self.data).flatten().copied().collect();
        all.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{PathChange, PathOutcome};
    use crate::cause::Cause;

    fn outcome(login: Option<&[Cause]>, data: Option<&[Cause]>) -> PathOutcome {
        let causes = |causes: &[Cause]| causes.iter().copied().collect();
        PathOutcome { login: login.map(causes), data: data.map(causes) }
    }

    #[test]
    fn only_a_new_cause_breaks_a_path_and_what_was_not_reached_counts_as_unchanged() {
        const ZONE: &[Cause] = &[Cause::PrivateZoneNotLinked];
        const TIMEOUT: &[Cause] = &[Cause::ConnectTimeout];
        const BOTH: &[Cause] = &[Cause::PrivateZoneNotLinked, Cause::ConnectTimeout];
        const OPEN: &[Cause] = &[];
        for (before, now, expected) in [
            ((Some(OPEN), Some(OPEN)), (Some(OPEN), Some(OPEN)), PathChange::Unchanged),
            ((Some(OPEN), Some(OPEN)), (Some(ZONE), None), PathChange::Broken),
            ((Some(OPEN), Some(OPEN)), (Some(OPEN), Some(TIMEOUT)), PathChange::Broken),
            ((Some(OPEN), None), (Some(OPEN), Some(TIMEOUT)), PathChange::Unchanged),
            ((Some(ZONE), None), (Some(ZONE), None), PathChange::Unchanged),
            ((Some(ZONE), None), (Some(TIMEOUT), None), PathChange::Broken),
            ((Some(BOTH), None), (Some(ZONE), None), PathChange::Recovered),
            ((Some(ZONE), None), (Some(OPEN), Some(OPEN)), PathChange::Recovered),
            ((Some(ZONE), Some(OPEN)), (Some(OPEN), Some(TIMEOUT)), PathChange::Broken),
            ((None, None), (Some(ZONE), None), PathChange::Unchanged),
        ] {
            let (before, now) = (outcome(before.0, before.1), outcome(now.0, now.1));
            assert_eq!(now.change_from(&before), expected, "{before:?} to {now:?}");
        }
    }

    #[test]
    fn what_a_whole_check_did_not_reach_is_kept() {
        let known = outcome(Some(&[]), Some(&[Cause::ConnectTimeout]));
        let rejected_token = outcome(Some(&[]), None);
        assert_eq!(rejected_token.or(known.clone()), known);
        assert_eq!(known.causes(), [Cause::ConnectTimeout]);
    }
}
