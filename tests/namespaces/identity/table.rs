//! The table of all identity states: the verdict, the credential provider, the pull, and the reason for any difference.

use std::fmt;

use super::kubelet::Provided;
use super::setup::Outcome;
use super::states::{Plugin, State};
use crate::pull::Fate;

/// The results of all tried states.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<[String; 5]>,
    agreeing: usize,
    explained: usize,
    unclaimed: usize,
}

impl Table {
    /// Adds a state.
    pub(crate) fn add(&mut self, state: &State, outcome: &Outcome) {
        match (state.claim(), state.difference) {
            (None, _) => self.unclaimed += 1,
            (Some(_), Some(_)) => self.explained += 1,
            (Some(_), None) => self.agreeing += 1,
        }
        let verdict = match state.cause() {
            "pass" => "pass".to_owned(),
            cause => format!("{}: `{cause}`", state.verdict()),
        };
        let provided = match &outcome.provided {
            Provided::Credentials(_) => "provides credentials".to_owned(),
            Provided::Failed(_) | Provided::Killed if state.plugin == Plugin::FailsLate => {
                "tries for about 60 s".to_owned()
            }
            Provided::Failed(_) => format!("fails: `{}`", state.plugin_says()),
            Provided::Killed => "killed after 60 s".to_owned(),
        };
        let pulled = match &outcome.pulled {
            Fate::Pulled => "pulls".to_owned(),
            Fate::Failed(_) => format!("fails: `{}`", state.pull),
            Fate::NoEnd => "still waiting after 60 s".to_owned(),
        };
        let wrong = if outcome.problems.is_empty() { "" } else { " **(not as expected)**" };
        let reason = state.difference.unwrap_or_default().to_owned();
        self.rows.push([format!("{}{wrong}", state.name), verdict, provided, pulled, reason]);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, agreeing, explained, unclaimed } = self;
        writeln!(
            formatter,
            "# Every state of an identity, the verdict, and the outcome of the real credential provider and a real pull\n\n\
             Written by `EXPECTORATE=overwrite tests/bench/truth`.\n\n\
             In each state `acr-credential-provider` runs as the kubelet runs it, and containerd 2 pulls with the \
             credentials that it provides, or anonymously if it fails. The verdict is that of a check with the same \
             identity. {} states: in {agreeing} the verdict matches the outcome of the pull, in {explained} it differs \
             for the given reason, and in {unclaimed} it makes no claim. If a program fails, the table shows part of its \
             message.\n",
            rows.len(),
        )?;
        writeln!(formatter, "| state | verdict | credential provider | pull | difference |")?;
        writeln!(formatter, "| --- | --- | --- | --- | --- |")?;
        rows.iter().try_for_each(|row| writeln!(formatter, "| {} |", row.join(" | ")))
    }
}
