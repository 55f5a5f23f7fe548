//! Pulls with an identity, compared with the credential provider that AKS installs on its nodes.
//!
//! In every state the real `acr-credential-provider` runs as the kubelet runs it, containerd 2 pulls with what it provides, and
//! the program checks with the same identity. The verdict must match the outcome of the pull, or the state says why not.
//!
//! Reading order: `states` are the conditions, `setup` is the node with its registry, IMDS and Entra ID, `kubelet` runs the
//! credential provider, `table` is the result.

mod kubelet;
mod setup;
mod states;
mod table;

use std::path::{Path, PathBuf};
use std::time::Instant;

use support::namespaces::plugin;
use support::tell;

use self::setup::{Outcome, Setup};
use self::states::State;
use self::table::Table;
use crate::ONLY;
use crate::pull::Newer;
use crate::requirements::{self, Requirements};
use crate::states::Expected;
use crate::workers;

/// Number of states tried concurrently: the credential provider mostly waits.
const AT_ONCE: usize = 12;
const TABLE: &str = "tests/golden/identity-states.md";

/// The expected reports of all states.
pub(crate) fn expected() -> impl Iterator<Item = Expected> {
    states::all().into_iter().map(|state| state.expected)
}

/// Returns the credential provider and containerd 2, or why one of them is missing.
fn programs() -> Result<(PathBuf, Newer), String> {
    let plugin = plugin::find()?;
    let containerd = requirements::containerd_2()?;
    Ok((plugin, Newer::of(&containerd)))
}

/// Tries all states, the slow ones first. Returns the outcomes in the order of the states.
fn try_all(states: &[&State], plugin: &Path, containerd: &Newer) -> Vec<Outcome> {
    let mut order: Vec<usize> = (0..states.len()).collect();
    order.sort_by_key(|number| !states[*number].slow);
    workers::try_all(&order, AT_ONCE, || (), |(), number| try_one(states[number], plugin, containerd))
}

fn try_one(state: &State, plugin: &Path, containerd: &Newer) -> Outcome {
    let begun = Instant::now();
    let outcome = Setup::start(state).try_state(plugin, containerd);
    let result = if outcome.problems.is_empty() { "ok    " } else { "FAILED" };
    let seconds = begun.elapsed().as_secs_f64();
    let mut lines = format!("identity {:<47} {result} {:<24} {seconds:.2} s", state.name, state.cause());
    for problem in &outcome.problems {
        lines.push_str(&format!("\n{problem}"));
    }
    tell(&lines);
    outcome
}

#[test]
fn every_identity_state_matches_the_credential_provider_of_aks() {
    match requirements::met() {
        Requirements::Met => {}
        Requirements::Skip(reason) => return tell(&format!("\nSKIPPED identities: {reason}\n")),
        Requirements::Fail(reason) => panic!("identities: {reason}"),
    }
    let (plugin, containerd) = match programs() {
        Ok(programs) => programs,
        Err(reason) => return plugin::skip("pulls with an identity", &reason),
    };
    let only = std::env::var(ONLY).unwrap_or_default();
    let started = Instant::now();
    let states = states::all();
    let states: Vec<_> = states.iter().filter(|state| state.name.contains(&only)).collect();
    let outcomes = try_all(&states, &plugin, &containerd);
    let mut wrong = Vec::new();
    let mut table = Table::default();
    for (state, outcome) in states.iter().zip(&outcomes) {
        table.add(state, outcome);
        wrong.extend(outcome.problems.iter().map(|problem| format!("{}: {problem}", state.name)));
    }
    tell(&format!("{} identity states in {:.1} s", states.len(), started.elapsed().as_secs_f64()));
    assert!(wrong.is_empty(), "{} problems:\n{}", wrong.len(), wrong.join("\n"));
    if only.is_empty() {
        expectorate::assert_contents(TABLE, &table.to_string());
    }
}
