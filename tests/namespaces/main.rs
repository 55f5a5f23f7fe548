//! The real thing: network namespaces with Azure's names and ports, and in them Debian's docker-registry behind TLS,
//! unbound as the VNet's resolvers, nsd with the private zone. `check` is the real binary, on a node of its own, and in every
//! state containerd 1.6, containerd 2 and skopeo pull there, too: the verdict has to be what becomes of their pulls.
//!
//! It needs root and some packages (`packages.txt`): without them it says so and passes, unless they are demanded.
//! All traffic stays on addresses inside the namespaces; everything is gone afterwards, also what a killed run left.
//!
//! Reading order: `network` is the ground, `names` and `registry` are what stands on it, `azure` is the whole with one
//! check of it, `states` are the ways in which it is right or wrong, `pull` are the clients.

#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    reason = "a test is its own surroundings: it has a clock and an environment"
)]

mod azure;
#[path = "../lab/mod.rs"]
mod lab;
mod leftovers;
mod names;
mod network;
mod node;
mod process;
mod pull;
mod registry;
mod requirements;
mod states;
mod table;

use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use self::azure::{Azure, Outcome};
use self::requirements::Requirements;
use self::states::State;
use self::table::Table;

/// So many states are tried at once: most of their time is waiting, of checks and of clients.
const AT_ONCE: usize = 6;
/// Only the states whose name has this text.
const ONLY: &str = "ACR_VERIFIER_NAMESPACES_ONLY";
/// The table of all states, for readers of README.md.
const TABLE: &str = "tests/golden/states.md";

/// Tells something at once: what the test harness captures is not seen where the test passes.
fn tell(line: &str) {
    // Nobody reads it where standard error is closed.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Tries all states, some at once, each in namespaces that no other one has at that time. The outcomes are in their order.
fn try_all(states: &[&State], newer: Option<&Path>) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut azure = Azure::start(newer);
        let mut outcomes = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(state) = states.get(number) else { return outcomes };
            outcomes.push((number, try_one(&mut azure, state)));
        }
    };
    let mut outcomes: Vec<(usize, Outcome)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE.min(states.len())).map(|_| scope.spawn(work)).collect();
        let joined = workers.into_iter().map(thread::ScopedJoinHandle::join);
        joined.flat_map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    outcomes.sort_by_key(|(number, _)| *number);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
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
fn every_state_of_a_real_network_leads_to_its_diagnoses() {
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
            // Without the other clients there is no pull at all, which is said already.
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
    let states: Vec<_> = states.iter().filter(|state| state.name.contains(&only)).collect();
    let outcomes = try_all(&states, newer.as_deref());
    let mut wrong = Vec::new();
    let mut table = Table::default();
    for (state, Outcome { problems, pulled }) in states.iter().zip(outcomes) {
        table.add(state, pulled.as_ref(), problems.is_empty());
        wrong.extend(problems.into_iter().map(|problem| format!("{}: {problem}", state.name)));
    }
    tell(&format!("{} states in {:.1} s", states.len(), started.elapsed().as_secs_f64()));
    assert!(wrong.is_empty(), "{} problems:\n{}", wrong.len(), wrong.join("\n"));
    if only.is_empty() && pull::are_possible() && newer.is_some() {
        expectorate::assert_contents(TABLE, &table.to_string());
    }
}
