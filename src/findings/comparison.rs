//! Compares the answers of several resolvers about one name.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::answer::{AnswerClass, class_of, failed_server, is_failed, server_of};
use super::{AnswerGroup, FailedServer, Server};
use crate::observation::{Endpoint, NodeCache, Resolution, Resolver};

/// The result of a comparison, worst last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Comparison {
    /// Nothing to compare: fewer than two answers about any name.
    #[default]
    Nothing,
    /// All resolvers returned the same addresses.
    Alike,
    /// A compared resolver gave no usable answer and was not compared.
    Incomplete,
    /// Answers differ.
    Different,
}

/// The worst result about any name of each endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Comparisons {
    login: Comparison,
    data: Comparison,
}

impl Comparisons {
    /// Returns the result of an endpoint.
    #[must_use]
    pub const fn of(&self, endpoint: Endpoint) -> Comparison {
        match endpoint {
            Endpoint::Login => self.login,
            Endpoint::Data => self.data,
        }
    }

    /// Adds the result about one name of an endpoint.
    pub(super) fn add(&mut self, endpoint: Endpoint, result: Comparison) {
        let worst = match endpoint {
            Endpoint::Login => &mut self.login,
            Endpoint::Data => &mut self.data,
        };
        *worst = result.max(*worst);
    }
}

/// The answers about one name.
pub(super) struct Compared {
    /// Whether one of the node's own nameservers answered: otherwise, there is nothing to compare with.
    is_answered: bool,
    /// The resolvers, grouped by the addresses they returned.
    pub(super) groups: Vec<AnswerGroup>,
    /// The compared resolvers without a usable answer.
    pub(super) unanswered: Vec<FailedServer>,
}

impl Compared {
    /// Compares the answers about one name.
    pub(super) fn of(seen: &[&Resolution]) -> Self {
        let is_compared = |seen: &Resolution| seen.resolver != Resolver::System;
        let silent = seen.iter().filter(|seen| is_compared(seen) && is_failed(seen));
        Self {
            is_answered: seen.iter().any(|seen| !is_compared(seen) && !is_failed(seen)),
            groups: groups(seen),
            unanswered: silent.map(|seen| failed_server(seen)).collect(),
        }
    }

    /// Returns whether all resolvers but the node's cache agree.
    pub(super) fn differs_only_from(&self, cache: &NodeCache) -> bool {
        let is_other = |server: &Server| !cache.is_listener(&server.address);
        self.groups.iter().filter(|group| group.servers.iter().any(is_other)).count() <= 1
    }

    /// Returns the result for the name.
    pub(super) fn result(&self) -> Comparison {
        if !self.is_answered {
            Comparison::Incomplete
        } else if self.groups.len() > 1 {
            Comparison::Different
        } else if !self.unanswered.is_empty() {
            Comparison::Incomplete
        } else if self.groups.iter().any(|group| group.servers.len() > 1) {
            Comparison::Alike
        } else {
            Comparison::Nothing
        }
    }
}

/// Groups the resolvers by the addresses they returned.
fn groups(seen: &[&Resolution]) -> Vec<AnswerGroup> {
    let mut groups: Vec<AnswerGroup> = Vec::new();
    for resolution in seen {
        let addresses: BTreeSet<IpAddr> = match class_of(resolution) {
            AnswerClass::Addresses(addresses) => addresses.iter().map(IpAddr::to_canonical).collect(),
            AnswerClass::NoAddress(_) => BTreeSet::new(),
            AnswerClass::Failed => continue,
        };
        let server = server_of(resolution);
        match groups.iter_mut().find(|group| group.addresses == addresses) {
            Some(group) => group.servers.push(server),
            None => groups.push(AnswerGroup { addresses, servers: vec![server] }),
        }
    }
    groups
}
