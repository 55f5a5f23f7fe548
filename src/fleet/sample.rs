//! Chooses the nodes of a large fleet that a smoke check checks whole.
//!
//! Owns the rule that every placement (node pool, zone and subnet) is represented, and the order of the checks. Pure: the salt is
//! an argument, so that the same arguments give the same sample, and another smoke check tests other nodes.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::Topology;

/// Nodes of each placement in a sample, if the limit allows it: one that fails by chance does not hide the others.
pub const LEAST_OF_EACH: usize = 3;

/// Where a node is, as far as its labels show it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Placement {
    agent_pool: Option<String>,
    zone: Option<String>,
    subnet: Option<String>,
}

/// A node that can be in the sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Name of the node.
    pub name: String,
    /// Where it is.
    pub placement: Placement,
}

/// A sample of a fleet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample {
    /// Names of the nodes in the order in which they are checked: first one of each placement, then a second, and so on.
    pub nodes: Vec<String>,
    /// What the sample represents.
    pub summary: SampleSummary,
}

/// What a sample represents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SampleSummary {
    /// Number of nodes in the sample.
    pub nodes: usize,
    /// Number of placements in the fleet.
    pub placements: usize,
    /// Number of placements without a node in the sample, because they are more than its limit.
    pub missing: usize,
    /// Nodes of each represented placement, or all of those with fewer.
    pub of_each: usize,
}

impl From<&Topology> for Placement {
    /// A subnet that was derived from an address is left out: it is only a part of the real one.
    fn from(topology: &Topology) -> Self {
        Self {
            agent_pool: topology.agent_pool.clone(),
            zone: topology.zone.clone(),
            subnet: topology.subnet.clone().filter(|_| !topology.is_subnet_derived),
        }
    }
}

/// Returns the number of placements.
#[must_use]
pub fn placements(candidates: &[Candidate]) -> usize {
    candidates.iter().map(|candidate| &candidate.placement).collect::<BTreeSet<_>>().len()
}

/// Selects at most `limit` nodes: as many of each placement as the limit allows up to [`LEAST_OF_EACH`], the rest by a hash of
/// the salt and the name.
#[must_use]
pub fn select(candidates: &[Candidate], limit: usize, salt: &str) -> Sample {
    let placed = by_placement(candidates, salt);
    let of_each = (1..=LEAST_OF_EACH).rev().find(|&most| size(&placed, most) <= limit).unwrap_or(1);
    let mut nodes: Vec<&str> = Vec::new();
    for place in 0..of_each {
        let mut round: Vec<(u64, &str)> =
            placed.values().filter_map(|ranked| ranked.get(place)).copied().collect();
        round.sort_unstable();
        nodes.extend(round.into_iter().map(|(_, name)| name));
    }
    let mut rest: Vec<(u64, &str)> =
        placed.values().flat_map(|ranked| ranked.iter().skip(of_each)).copied().collect();
    rest.sort_unstable();
    nodes.extend(rest.into_iter().map(|(_, name)| name));
    nodes.truncate(limit);
    let summary = SampleSummary {
        nodes: nodes.len(),
        placements: placed.len(),
        missing: placed.len().saturating_sub(limit),
        of_each,
    };
    Sample { nodes: nodes.into_iter().map(str::to_owned).collect(), summary }
}

/// Returns the nodes that restore the minimum of each placement after nodes left or joined, at most as many as the sample had.
#[must_use]
pub fn replacements(
    candidates: &[Candidate],
    sampled: &BTreeSet<String>,
    summary: &SampleSummary,
    salt: &str,
) -> Vec<String> {
    let present = candidates.iter().filter(|candidate| sampled.contains(&candidate.name)).count();
    let mut added: Vec<String> = Vec::new();
    for ranked in by_placement(candidates, salt).values() {
        let known = ranked.iter().filter(|(_, name)| sampled.contains(*name)).count();
        let others = ranked.iter().filter(|(_, name)| !sampled.contains(*name));
        added.extend(others.take(summary.of_each.saturating_sub(known)).map(|(_, name)| (*name).to_owned()));
    }
    added.truncate(summary.nodes.saturating_sub(present));
    added
}

/// Returns the nodes of each placement in the order of their hashes.
fn by_placement<'fleet>(
    candidates: &'fleet [Candidate],
    salt: &str,
) -> BTreeMap<&'fleet Placement, Vec<(u64, &'fleet str)>> {
    let mut placed: BTreeMap<&Placement, Vec<(u64, &str)>> = BTreeMap::new();
    for candidate in candidates {
        let ranked = placed.entry(&candidate.placement).or_default();
        ranked.push((rank(salt, &candidate.name), &candidate.name));
    }
    for ranked in placed.values_mut() {
        ranked.sort_unstable();
    }
    placed
}

fn size(placed: &BTreeMap<&Placement, Vec<(u64, &str)>>, of_each: usize) -> usize {
    placed.values().map(|ranked| ranked.len().min(of_each)).sum()
}

fn rank(salt: &str, name: &str) -> u64 {
    let hash = Sha256::new().chain_update(salt).chain_update([0]).chain_update(name).finalize();
    hash.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::{Candidate, LEAST_OF_EACH, Placement, SampleSummary, placements, replacements, select};
    use crate::fleet::Topology;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn candidate(index: usize, pools: usize, zones: usize) -> Candidate {
        let topology = Topology {
            agent_pool: Some(format!("np{}", index % pools)),
            zone: Some(format!("westeurope-{}", index / pools % zones)),
            subnet: Some("vnet/snet-a".to_owned()),
            ..Topology::default()
        };
        Candidate { name: format!("aks-{index:06}"), placement: Placement::from(&topology) }
    }

    fn fleet(nodes: usize, pools: usize, zones: usize) -> Vec<Candidate> {
        (0..nodes).map(|index| candidate(index, pools, zones)).collect()
    }

    fn of_each(fleet: &[Candidate], nodes: &[String]) -> BTreeMap<Placement, usize> {
        let mut counts = BTreeMap::new();
        for candidate in fleet {
            let count: &mut usize = counts.entry(candidate.placement.clone()).or_default();
            *count += usize::from(nodes.contains(&candidate.name));
        }
        counts
    }

    #[test]
    fn a_sample_is_the_same_for_the_same_salt_and_another_for_another() {
        let fleet = fleet(6_000, 4, 3);
        let first = select(&fleet, 62, "2026-11-23T02:05:55Z");
        assert_eq!(first, select(&fleet, 62, "2026-11-23T02:05:55Z"));
        let expected = SampleSummary { nodes: 62, placements: 12, missing: 0, of_each: 3 };
        assert_eq!(first.summary, expected);
        let second = select(&fleet, 62, "2026-11-23T02:06:55Z");
        let common = first.nodes.iter().filter(|node| second.nodes.contains(node)).count();
        assert!(common < 6, "{common} of 62 nodes are in both");
    }

    #[test]
    fn the_first_checks_are_in_different_placements() {
        let fleet = fleet(6_000, 4, 3);
        let first = &select(&fleet, 500, "salt").nodes[..12];
        assert!(of_each(&fleet, first).values().all(|&count| count == 1), "{first:?}");
    }

    #[test]
    fn more_placements_than_the_limit_are_counted_as_missing() {
        let sample = select(&fleet(6_000, 100, 3), 200, "salt");
        assert_eq!(sample.summary, SampleSummary { nodes: 200, placements: 300, missing: 100, of_each: 1 });
    }

    #[test]
    fn a_subnet_derived_from_an_address_is_no_placement() {
        let of = |subnet: &str, is_subnet_derived| Candidate {
            name: subnet.to_owned(),
            placement: Placement::from(&Topology {
                subnet: Some(subnet.to_owned()),
                is_subnet_derived,
                ..Topology::default()
            }),
        };
        assert_eq!(placements(&[of("10.0.0.0/24", true), of("10.0.1.0/24", true)]), 1);
        assert_eq!(placements(&[of("vnet/a", false), of("vnet/b", false)]), 2);
    }

    #[test]
    fn a_node_that_left_is_replaced_in_its_placement() {
        let mut fleet = fleet(1_200, 4, 3);
        let sample = select(&fleet, 36, "salt");
        let gone = sample.nodes[0].clone();
        fleet.retain(|candidate| candidate.name != gone);
        let sampled: BTreeSet<String> = sample.nodes.iter().cloned().collect();
        let added = replacements(&fleet, &sampled, &sample.summary, "salt");
        assert_eq!(added.len(), 1, "{added:?}");
        let all: Vec<String> = sample.nodes.into_iter().chain(added).collect();
        assert!(of_each(&fleet, &all).values().all(|&count| count == 3));
    }

    proptest! {
        #[test]
        fn every_placement_is_represented_and_the_limit_is_never_exceeded(
            nodes in 0_usize..400, pools in 1_usize..8, zones in 1_usize..4, limit in 1_usize..100, salt in ".{0,9}",
        ) {
            let fleet = fleet(nodes, pools, zones);
            let sample = select(&fleet, limit, &salt);
            let unique: BTreeSet<&String> = sample.nodes.iter().collect();
            prop_assert_eq!(unique.len(), sample.nodes.len());
            prop_assert_eq!(sample.nodes.len(), limit.min(nodes));
            let counts = of_each(&fleet, &sample.nodes);
            let missing = counts.values().filter(|&&count| count == 0).count();
            prop_assert_eq!(missing, sample.summary.missing);
            if missing == 0 {
                let of = sample.summary.of_each;
                prop_assert!(of == LEAST_OF_EACH || counts.values().sum::<usize>() <= limit);
                for (placement, &count) in &counts {
                    let all = fleet.iter().filter(|candidate| candidate.placement == *placement).count();
                    prop_assert!(count >= all.min(of));
                }
            }
        }
    }
}
