//! Facts about AKS LocalDNS, the DNS cache on the node: its listeners, where it forwards to, and its second answers.
//!
//! Its cache is the plugin `cache` of CoreDNS with `serve_stale`. For up to an hour it returns an expired answer, in which every
//! record has a TTL of 0, and then queries its upstream; only the next answer is fresh.

use std::net::IpAddr;

use super::{DnsAnswer, Endpoint, Rcode};
use crate::address::NameserverAddress;

/// The DNS cache of the node. Without listeners, no nameserver of the node is the cache.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeCache {
    /// The node's nameservers that are listeners of the cache.
    pub listeners: Vec<NameserverAddress>,
    /// The servers that it forwards to, from the node's own files; empty if unknown.
    pub upstreams: Vec<NameserverAddress>,
    /// Whether it is compared although the operator has configured no comparison.
    pub compared_by_default: bool,
    /// The answers that replaced, or failed to replace, an expired or negative one.
    pub second_answers: Vec<SecondAnswer>,
}

/// The answer to a second A query to the cache, a moment after the first one. Without names: nothing in it is a server's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondAnswer {
    /// The endpoint that the name belongs to.
    pub endpoint: Endpoint,
    /// The name, without the final dot.
    pub host: String,
    /// The listener.
    pub server: NameserverAddress,
    /// The addresses; empty if the answer denies that the name has one.
    pub addresses: Vec<IpAddr>,
    /// Whether it has expired.
    pub has_expired: bool,
}

impl NodeCache {
    /// Returns whether a nameserver is a listener of the cache.
    #[must_use]
    pub fn is_listener(&self, server: &NameserverAddress) -> bool {
        self.listeners.contains(server)
    }

    /// Returns whether the cache forwards to this server, as far as known.
    #[must_use]
    pub fn forwards_to(&self, server: &NameserverAddress) -> bool {
        self.upstreams.contains(server)
    }

    /// Returns the last second answer of a listener about a name.
    #[must_use]
    pub fn second_answer(
        &self,
        endpoint: Endpoint,
        host: &str,
        server: &NameserverAddress,
    ) -> Option<&SecondAnswer> {
        let is_wanted = |answer: &&SecondAnswer| {
            answer.endpoint == endpoint && answer.host == host && answer.server == *server
        };
        self.second_answers.iter().rfind(is_wanted)
    }
}

impl SecondAnswer {
    /// Returns whether the answer is of use to a pull and within its lifetime.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        !self.addresses.is_empty() && !self.has_expired
    }
}

impl DnsAnswer {
    /// Returns the addresses, in canonical form and in answer order; none of a name that does not exist.
    #[must_use]
    pub fn usable_addresses(&self) -> Vec<IpAddr> {
        match self.rcode {
            Rcode::NXDOMAIN => Vec::new(),
            _ => self.addresses.iter().map(IpAddr::to_canonical).collect(),
        }
    }

    /// Returns whether a cache has kept the answer beyond its lifetime: every record has a TTL of 0. The cache of AKS LocalDNS
    /// gives every other answer a TTL of at least 1 second. Unknown, and `false`, for an answer without records.
    #[must_use]
    pub fn has_expired(&self) -> bool {
        !self.chain.is_empty() && self.chain.iter().all(|record| record.ttl == 0)
    }
}
