//! The nodes that a fault affects, as the rules of the group `acr-verifier.outage` record them once a minute.
//!
//! Owns what makes them an outage, and when nodes recover from a fault of seconds. `alerts` compares the expressions.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::alerts::Exposed;

/// Age of a check that counts as one of the newest.
const NEW: Duration = Duration::from_secs(40);

/// Minutes after which an outage pages even if the newest checks pass.
const MINUTES: usize = 15;

/// The affected nodes of a registry, as recorded in an evaluation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Affected {
    nodes: BTreeSet<usize>,
    /// Whether it was an outage in this evaluation and in those of the last minutes.
    outages: [bool; MINUTES],
    is_recovering: bool,
}

impl Affected {
    /// Returns what the next evaluation records about the nodes. Only known results show whether nodes recover.
    pub(crate) fn next(
        &self,
        all: &[(usize, Exposed)],
        is_affected: impl Fn(&Exposed) -> bool,
        is_known: impl Fn(&Exposed) -> bool,
        now: Duration,
    ) -> Self {
        let affected = |(_, seen): &&(usize, Exposed)| is_affected(seen);
        let is_new = |(_, seen): &&(usize, Exposed)| now.saturating_sub(seen.checked_at) <= NEW;
        let nodes: BTreeSet<usize> = all.iter().filter(affected).map(|(node, _)| *node).collect();
        let share = nodes.len() as f64 / all.len() as f64;
        let is_outage = nodes.len() >= 2 && (nodes.len() >= 10 || share >= 0.2);
        let passing_again = self.nodes.difference(&nodes).count();
        let most_pass_again = passing_again as f64 > 0.5 * self.nodes.len() as f64 && !self.outages[1];
        let known = || all.iter().filter(|(_, seen)| is_known(seen));
        let just_checked = known().filter(is_new).count() as f64;
        let failed = all.iter().filter(is_new).filter(affected).count() as f64;
        let predicted = just_checked * nodes.len() as f64 / known().count() as f64;
        let newest_pass = 10.0 * (1.0 + failed) <= predicted && !self.outages[MINUTES - 1];
        let mut outages = self.outages;
        outages.rotate_right(1);
        outages[0] = is_outage;
        Self { nodes, outages, is_recovering: most_pass_again || newest_pass }
    }

    /// Whether the nodes are enough for an outage.
    pub(crate) const fn is_outage(&self) -> bool {
        self.outages[0]
    }

    /// Whether the condition of the alert holds.
    pub(crate) const fn pages(&self) -> bool {
        self.is_outage() && !self.is_recovering
    }
}
