//! End-to-end tests on real networks: network namespaces with Azure's names and ports, Debian's docker-registry behind TLS,
//! unbound as the VNet's resolvers, nsd with the private zone, and CoreDNS as the cache on the node. `check` is the real binary on
//! a separate node. In every state containerd 1.6, containerd 2 and skopeo also pull there, and the verdict must match the outcome
//! of their pulls.
//!
//! Needs root and some packages (`packages.txt`); without them it is skipped with a message, unless it is required. All
//! traffic stays inside the namespaces; everything is removed afterwards, including leftovers of killed runs.
//!
//! Reading order: `support::namespaces` has the network and its servers, `azure` combines everything with one check, `states` are
//! the healthy and broken conditions, `pull` are the clients.

#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "a test may use the clock and the environment")]

mod azure;
mod identity;
mod node;
mod pull;
mod requirements;
mod states;
mod table;
mod workers;

use std::path::Path;
use std::time::Instant;

use support::namespaces::{leftovers, local_dns};
use support::tell;

use self::azure::{Azure, Outcome};
use self::requirements::Requirements;
use self::states::State;
use self::table::Table;

/// Number of states tried concurrently: checks and clients mostly wait.
const AT_ONCE: usize = 6;
/// Only runs states whose name contains this text.
const ONLY: &str = "ACR_VERIFIER_NAMESPACES_ONLY";
/// Where to write the table of all states, as shown in tests/bench/README.md.
const TABLE: &str = "tests/golden/states.md";

/// Tries all states, several concurrently, each in its own namespaces. Returns the outcomes in order.
fn try_all(states: &[&State], newer: Option<&Path>, coredns: Option<&Path>) -> Vec<Outcome> {
    let order: Vec<usize> = (0..states.len()).collect();
    let start = || Azure::start(newer, coredns);
    workers::try_all(&order, AT_ONCE, start, |azure, number| try_one(azure, states[number]))
}

fn try_one(azure: &mut Azure, state: &State) -> Outcome {
    let begun = Instant::now();
    let outcome = azure.try_state(state);
    let result = if outcome.problems.is_empty() { "ok    " } else { "FAILED" };
    let seconds = begun.elapsed().as_secs_f64();
    let mut lines = format!("state {:<50} {result} {:<24} {seconds:.2} s", state.name, state.cause());
    for problem in &outcome.problems {
        lines.push_str(&format!("\n{problem}"));
    }
    tell(&lines);
    outcome
}

#[test]
fn every_network_state_has_the_expected_diagnoses() {
    match requirements::met() {
        Requirements::Met => {}
        Requirements::Skip(reason) => return tell(&format!("\nSKIPPED namespaces: {reason}\n")),
        Requirements::Fail(reason) => panic!("namespaces: {reason}"),
    }
    if !pull::are_possible() {
        tell(&format!("\nSKIPPED the real pulls: needs {}\n", pull::PROGRAMS.join(", ")));
    }
    let newer = match requirements::containerd_2() {
        Ok(folder) => Some(folder),
        Err(reason) if requirements::containerd_2_is_demanded() => panic!("namespaces: {reason}"),
        Err(reason) => {
            // Without the other clients there are no pulls at all, which was already reported.
            if pull::are_possible() {
                tell(&format!("\nSKIPPED the pulls of containerd 2: {reason}\n"));
            }
            None
        }
    };
    let only = std::env::var(ONLY).unwrap_or_default();
    let started = Instant::now();
    leftovers::remove();
    let states = states::all();
    let coredns = local_dns::find();
    if let Err(reason) = &coredns {
        local_dns::skip("the states of AKS LocalDNS", reason);
    }
    let is_possible = |state: &&State| coredns.is_ok() || state.cache.is_none();
    let states: Vec<_> =
        states.iter().filter(|state| state.name.contains(&only)).filter(is_possible).collect();
    let outcomes = try_all(&states, newer.as_deref(), coredns.as_deref().ok());
    let mut wrong = Vec::new();
    let mut table = Table::default();
    for (state, Outcome { problems, pulled }) in states.iter().zip(outcomes) {
        table.add(state, pulled.as_ref(), problems.is_empty());
        wrong.extend(problems.into_iter().map(|problem| format!("{}: {problem}", state.name)));
    }
    tell(&format!("{} states in {:.1} s", states.len(), started.elapsed().as_secs_f64()));
    assert!(wrong.is_empty(), "{} problems:\n{}", wrong.len(), wrong.join("\n"));
    if only.is_empty() && pull::are_possible() && newer.is_some() && coredns.is_ok() {
        expectorate::assert_contents(TABLE, &table.to_string());
    }
}
