//! Compares the answers of several resolvers about one name.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::words::listed;
use super::{AnswerClass, class_of};
use crate::observation::{Endpoint, Resolution, Resolver};
use crate::text::words::list;

/// The result of a comparison, worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Comparison {
    /// Nothing to compare: fewer than two answers about any name.
    Nothing,
    /// All resolvers returned the same addresses.
    Alike,
    /// A compared resolver gave no usable answer and was not compared.
    Incomplete,
    /// Answers differ.
    Different,
}

/// Compares the answers about every name of an endpoint.
#[must_use]
pub fn compare(endpoint: Endpoint, resolutions: &[Resolution]) -> Comparison {
    let of_endpoint = || resolutions.iter().filter(|seen| seen.endpoint == endpoint);
    let hosts: BTreeSet<&str> = of_endpoint().map(|seen| seen.host.as_str()).collect();
    let compared = hosts.into_iter().map(|host| {
        let seen: Vec<&Resolution> = of_endpoint().filter(|seen| seen.host == host).collect();
        let answers = answers(&seen);
        let is_usable = |seen: &&Resolution| !matches!(class_of(seen), AnswerClass::Failed);
        if !seen.iter().copied().filter(|seen| seen.resolver == Resolver::System).any(|seen| is_usable(&seen))
        {
            // Without an answer of the node's own nameservers, there is nothing to compare with.
            Comparison::Incomplete
        } else if answers.len() > 1 {
            Comparison::Different
        } else if !unanswered(&seen).is_empty() {
            Comparison::Incomplete
        } else if answers.iter().any(|(_, servers)| servers.len() > 1) {
            Comparison::Alike
        } else {
            Comparison::Nothing
        }
    });
    compared.max().unwrap_or(Comparison::Nothing)
}

/// Groups the resolvers by the addresses they returned.
pub(super) fn answers(seen: &[&Resolution]) -> Vec<(BTreeSet<IpAddr>, Vec<String>)> {
    let mut answers: Vec<(BTreeSet<IpAddr>, Vec<String>)> = Vec::new();
    for resolution in seen {
        let addresses: BTreeSet<IpAddr> = match class_of(resolution) {
            AnswerClass::Addresses(addresses) => addresses.iter().map(IpAddr::to_canonical).collect(),
            AnswerClass::NoAddress(_) => BTreeSet::new(),
            AnswerClass::Failed => continue,
        };
        let who = match &resolution.resolver {
            Resolver::System => resolution.server.short(),
            Resolver::Compared(name) => format!("{} ({name})", resolution.server.short()),
        };
        match answers.iter_mut().find(|(known, _)| *known == addresses) {
            Some((_, servers)) => servers.push(who),
            None => answers.push((addresses, vec![who])),
        }
    }
    answers
}

/// Returns the compared resolvers without a usable answer.
pub(super) fn unanswered<'seen>(seen: &[&'seen Resolution]) -> Vec<&'seen Resolution> {
    let is_compared = |seen: &&Resolution| seen.resolver != Resolver::System;
    seen.iter()
        .copied()
        .filter(is_compared)
        .filter(|seen| matches!(class_of(seen), AnswerClass::Failed))
        .collect()
}

/// Describes an answer and its servers: `10.60.0.10 and 10.60.0.11 returned 10.60.4.4`.
pub(super) fn describe((addresses, servers): &(BTreeSet<IpAddr>, Vec<String>)) -> String {
    let addresses =
        if addresses.is_empty() { "no address".to_owned() } else { listed(addresses.iter().copied()) };
    format!("{} returned {addresses}", list(servers))
}
