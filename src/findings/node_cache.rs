//! Whether the node's DNS cache, AKS LocalDNS, returned an answer that its upstream no longer gives.
//!
//! Owns what counts as a proof. A difference from another resolver is none: with custom DNS servers or a split horizon, both
//! answers may be right. Nor do two different public answers prove anything, because those change from query to query.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::answer::{failed_server, is_failed, server_of};
use super::{AnswerGroup, FailedServer, Finding, NameFindings};
use crate::address::{AddressPolicy, NameserverAddress, Scope};
use crate::observation::{DnsAnswer, Lookup, NodeCache, Resolution, Resolver, SecondAnswer, Stage};

/// An answer of the node's DNS cache that is out of date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaleAnswer {
    /// The listener of the cache.
    pub server: NameserverAddress,
    /// The IPv4 addresses of the answer; empty if it denies that the name has one.
    pub cached: BTreeSet<IpAddr>,
    /// The remaining lifetime in seconds; 0 if it has expired, `None` if unknown.
    pub ttl: Option<u32>,
    /// What proves it.
    pub evidence: StaleEvidence,
    /// The stage that the answer fails; `None` if a pull works with it.
    pub blocks: Option<Stage>,
}

/// The proof that a cached answer is out of date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StaleEvidence {
    /// A moment later, the cache returned the answer of these resolvers instead.
    Replaced(AnswerGroup),
    /// Every server that the cache forwards to, according to the node's own files, returned this answer.
    UpstreamDiffers(AnswerGroup),
    /// The answer has expired, the cache did not renew it, and none of these resolvers answered.
    NotRenewed(Vec<FailedServer>),
}

impl StaleAnswer {
    /// Returns whether a resolver returned another answer than the cache.
    #[must_use]
    pub const fn differs(&self) -> bool {
        match self.evidence {
            StaleEvidence::Replaced(_) | StaleEvidence::UpstreamDiffers(_) => true,
            StaleEvidence::NotRenewed(_) => false,
        }
    }
}

/// The answers of all resolvers about one name.
pub(super) struct CachedName<'facts> {
    pub(super) cache: &'facts NodeCache,
    pub(super) policy: &'facts AddressPolicy,
    pub(super) name: &'facts NameFindings,
    pub(super) seen: &'facts [&'facts Resolution],
}

impl CachedName<'_> {
    /// Returns the first answer of the cache that is proven to be out of date.
    pub(super) fn stale_answer(&self) -> Option<StaleAnswer> {
        let is_cache = |seen: &&&Resolution| {
            seen.resolver == Resolver::System && self.cache.is_listener(&seen.server) && !is_failed(seen)
        };
        self.seen.iter().filter(is_cache).find_map(|seen| self.of_listener(seen))
    }

    fn of_listener(&self, listener: &Resolution) -> Option<StaleAnswer> {
        let Lookup::Answered(answer) = &listener.a else { return None };
        let blocking = || self.name.findings.iter().filter(|finding| accuses(finding, &listener.server));
        // Another nameserver has the same fault, so the cache is not its cause.
        if blocking().any(|finding| !is_about_cache(self.cache, finding)) {
            return None;
        }
        let blocks = blocking().filter_map(Finding::blocks).min();
        let evidence = self.not_renewed(listener, answer).filter(|_| blocks.is_none());
        let evidence = evidence.or_else(|| {
            let differs = |group: &AnswerGroup| self.is_change(answer, group);
            // A remedy for the cache only helps if the fresh answer is right.
            let helps = |group: &AnswerGroup| blocks.is_none() || self.is_right(group);
            let group_of = |group: Option<AnswerGroup>| group.filter(differs).filter(helps);
            group_of(self.replacement(listener))
                .map(StaleEvidence::Replaced)
                .or_else(|| group_of(self.upstream(listener, answer)).map(StaleEvidence::UpstreamDiffers))
        })?;
        Some(StaleAnswer {
            server: listener.server.clone(),
            cached: addresses(answer),
            ttl: answer.chain.iter().map(|record| record.ttl).min(),
            evidence,
            blocks,
        })
    }

    /// The answer of the cache has expired and is still the same after the time for a refresh, and all others are silent.
    fn not_renewed(&self, listener: &Resolution, answer: &DnsAnswer) -> Option<StaleEvidence> {
        let second = self.second(listener)?;
        let is_kept = second.has_expired && is_same(second, &addresses(answer));
        let others: Vec<FailedServer> = self.others().map(failed_server).collect();
        let are_silent = !others.is_empty() && self.others().all(is_failed);
        (answer.has_expired() && is_kept && are_silent).then_some(StaleEvidence::NotRenewed(others))
    }

    /// The answer of all other resolvers, if the second answer of the cache is the same.
    fn replacement(&self, listener: &Resolution) -> Option<AnswerGroup> {
        let second = self.second(listener).filter(|second| !second.has_expired)?;
        let group = agreement(self.others().filter(|seen| !is_failed(seen)))?;
        is_same(second, &group.addresses).then_some(group)
    }

    /// The answer of all servers that the cache forwards to. A renewed answer came from one of them, so it is not stale.
    fn upstream(&self, listener: &Resolution, answer: &DnsAnswer) -> Option<AnswerGroup> {
        let is_renewed = |second: &SecondAnswer| second.is_fresh() && is_same(second, &addresses(answer));
        if self.second(listener).is_some_and(is_renewed) {
            return None;
        }
        let of = |server: &NameserverAddress| self.seen.iter().find(|seen| seen.server == *server).copied();
        let answers: Option<Vec<&Resolution>> = self.cache.upstreams.iter().map(of).collect();
        agreement(answers?.into_iter())
    }

    fn second(&self, listener: &Resolution) -> Option<&SecondAnswer> {
        self.cache.second_answer(listener.endpoint, &listener.host, &listener.server)
    }

    fn others(&self) -> impl Iterator<Item = &Resolution> {
        self.seen.iter().copied().filter(|seen| !self.cache.is_listener(&seen.server))
    }

    fn is_change(&self, answer: &DnsAnswer, group: &AnswerGroup) -> bool {
        let cached = addresses(answer);
        let is_public =
            |found: &BTreeSet<IpAddr>| found.iter().any(|address| self.scope(*address) == Scope::Public);
        cached != group.addresses && !(is_public(&cached) && is_public(&group.addresses))
    }

    fn is_right(&self, group: &AnswerGroup) -> bool {
        !group.addresses.is_empty()
            && group.addresses.iter().all(|address| self.scope(*address) == Scope::Private)
    }

    fn scope(&self, address: IpAddr) -> Scope {
        self.policy.classify(&self.name.host, address)
    }
}

/// The common answer of resolvers; `None` if they differ, one of them did not answer, or there are none.
fn agreement<'facts>(seen: impl Iterator<Item = &'facts Resolution>) -> Option<AnswerGroup> {
    let mut group: Option<AnswerGroup> = None;
    for resolution in seen {
        let Lookup::Answered(answer) = &resolution.a else { return None };
        let addresses = addresses(answer);
        let server = server_of(resolution);
        match &mut group {
            None => group = Some(AnswerGroup { addresses, servers: vec![server] }),
            Some(known) if known.addresses == addresses => known.servers.push(server),
            Some(_) => return None,
        }
    }
    group
}

fn addresses(answer: &DnsAnswer) -> BTreeSet<IpAddr> {
    answer.usable_addresses().into_iter().collect()
}

fn is_same(second: &SecondAnswer, addresses: &BTreeSet<IpAddr>) -> bool {
    second.addresses.iter().copied().collect::<BTreeSet<_>>() == *addresses
}

/// Returns whether a finding forbids a connection because of this nameserver's answer.
fn accuses(finding: &Finding, server: &NameserverAddress) -> bool {
    accused(finding).is_some_and(|servers| servers.contains(server))
}

/// Returns whether a finding forbids a connection because of answers of the cache only.
pub(super) fn is_about_cache(cache: &NodeCache, finding: &Finding) -> bool {
    accused(finding).is_some_and(|servers| servers.iter().all(|server| cache.is_listener(server)))
}

/// The nameservers whose answers forbid a connection.
fn accused(finding: &Finding) -> Option<&[NameserverAddress]> {
    match finding {
        Finding::Negative(negative) => Some(&negative.servers),
        Finding::Wrong { servers, fault: _ } => Some(servers),
        Finding::NotSent(_)
        | Finding::Silent(_)
        | Finding::Unresolved(_)
        | Finding::Failing { .. }
        | Finding::Disagreement { .. }
        | Finding::NotCompared(_)
        | Finding::StaleCache(_) => None,
    }
}
