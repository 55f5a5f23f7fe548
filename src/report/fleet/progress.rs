//! The progress table on a terminal: the number of nodes in each state by node pool.

use std::collections::BTreeMap;

use super::NO_POOL;
use crate::fleet::{Node, State};
use crate::text::sanitize::{ascii, printable};
use crate::verdict::Verdict;

/// Pools with a line of their own; AKS allows a hundred, which no terminal shows.
const MAX_POOLS: usize = 12;
/// Maximum width of a pool name: AKS allows 12 characters.
const MAX_POOL: usize = 16;

/// The number of nodes of a pool in each state.
#[derive(Debug, Default, Clone, Copy)]
struct Standing {
    good: usize,
    bad: usize,
    unclear: usize,
    waiting: usize,
}

/// Returns the lines, none wider than `width` columns. `line` comes first and shows the time left.
#[must_use]
pub fn lines(nodes: &[&Node], line: &str, width: usize) -> Vec<String> {
    let mut pools: BTreeMap<String, Standing> = BTreeMap::new();
    for node in nodes {
        let pool = node.topology.agent_pool.as_deref().unwrap_or(NO_POOL);
        let standing = pools.entry(ascii(&printable(pool, MAX_POOL))).or_default();
        let topology = match (&node.state, node.verdict()) {
            (State::Excluded(_) | State::Left, _) => continue,
            (State::Reported(_) | State::PathOpen(_), Some(Verdict::Pass | Verdict::Warn)) => {
                &mut standing.good
            }
            (State::Reported(_), Some(Verdict::Unknown)) => &mut standing.unclear,
            (State::Reported(_), Some(Verdict::Fail)) => &mut standing.bad,
            (_, _) => &mut standing.waiting,
        };
        *topology += 1;
    }
    let pool_width = pools.keys().map(|pool| pool.chars().count()).max().unwrap_or(0).max(4);
    let mut lines = vec![line.to_owned()];
    lines.push(format!(
        "  {:<pool_width$}  {:>5} {:>5} {:>7} {:>7}",
        "pool", "good", "bad", "unknown", "waiting"
    ));
    for (pool, Standing { good, bad, unclear, waiting }) in pools.iter().take(MAX_POOLS) {
        lines.push(format!("  {pool:<pool_width$}  {good:>5} {bad:>5} {unclear:>7} {waiting:>7}"));
    }
    if pools.len() > MAX_POOLS {
        lines.push(format!("  and {} more pools", pools.len() - MAX_POOLS));
    }
    lines.into_iter().map(|line| line.chars().take(width).collect()).collect()
}
