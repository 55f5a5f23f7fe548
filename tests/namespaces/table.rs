//! The table of all states: what the verdict says, what real clients could do, and why they differ where they do.

use std::fmt;

use super::pull::{Client, Difference, Pulled};
use super::states::State;

/// What is told of every state that was tried.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

struct Row {
    name: &'static str,
    verdict: String,
    claim: Option<bool>,
    right: bool,
    /// Whether each client pulled, and what was declared of it.
    clients: Option<[(bool, Option<Difference>); 2]>,
}

impl Table {
    /// Adds a state; `right` where everything was as expected.
    pub(crate) fn add(&mut self, state: &State, pulled: Option<&Pulled>, right: bool) {
        let declared = |client| {
            let mut differences = state.differences.iter();
            differences.find(|it| it.client.is_none_or(|named| named == client)).copied()
        };
        let verdict = match state.cause() {
            "pass" => "pass".to_owned(),
            cause => format!("{}: `{cause}`", state.verdict()),
        };
        let clients = pulled.map(|pulled| {
            [
                (pulled.containerd.is_ok(), declared(Client::Containerd)),
                (pulled.skopeo.is_ok(), declared(Client::Skopeo)),
            ]
        });
        self.rows.push(Row { name: state.name, verdict, claim: state.claim(), right, clients });
    }

    /// In how many states a client came out as the verdict says, of those in which it was not declared otherwise.
    fn agreement(&self, client: usize) -> (usize, usize) {
        let judged = self.rows.iter().filter_map(|row| Some((row.claim?, row.clients?[client])));
        let plain: Vec<bool> = judged
            .filter(|(_, (_, declared))| declared.is_none())
            .map(|(claim, (pulled, _))| claim == pulled)
            .collect();
        (plain.iter().filter(|agrees| **agrees).count(), plain.len())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let right = self.rows.iter().filter(|row| row.right).count();
        let (one, of_one) = self.agreement(0);
        let (other, of_other) = self.agreement(1);
        writeln!(
            formatter,
            "# Every state of a real network, the verdict, and what became of real pulls\n\n\
             Written by `EXPECTORATE=overwrite tests/bench/truth`.\n\n\
             {} states, {right} with the right diagnoses; the verdict is what became of the pull: containerd {one} of \
             {of_one}, skopeo {other} of {of_other}.\n",
            self.rows.len()
        )?;
        writeln!(formatter, "| state | verdict | containerd | skopeo | differs on purpose |")?;
        writeln!(formatter, "| --- | --- | --- | --- | --- |")?;
        for row in &self.rows {
            let told = |client: usize| match row.clients.map(|clients| clients[client]) {
                Some((_, Some(Difference { always: false, .. }))) => "as chance has it",
                Some((true, _)) => "pulls",
                Some((false, _)) => "fails",
                None => "not tried",
            };
            let mut reasons: Vec<&str> =
                row.clients.iter().flatten().filter_map(|(_, it)| it.map(|it| it.reason)).collect();
            reasons.dedup();
            if row.claim.is_none() {
                reasons.push("no claim is made");
            }
            let wrong = if row.right { "" } else { " **(not as expected)**" };
            writeln!(
                formatter,
                "| {}{wrong} | {} | {} | {} | {} |",
                row.name,
                row.verdict,
                told(0),
                told(1),
                reasons.join("; ")
            )?;
        }
        Ok(())
    }
}
