//! The comparison of what several resolvers say of one name.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::words::listed;
use super::{Outcome, outcome};
use crate::observation::{Endpoint, Resolution, Resolver};
use crate::rules::list;

/// What a comparison came to, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Comparison {
    /// There was nothing to compare with: fewer than two answers about any name.
    Nothing,
    /// All that were asked gave the same addresses.
    Alike,
    /// A compared resolver gave no usable answer, so that it was not compared.
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
        let is_usable = |seen: &&Resolution| !matches!(outcome(seen), Outcome::Failed);
        if !seen.iter().copied().filter(|seen| seen.resolver == Resolver::System).any(|seen| is_usable(&seen))
        {
            // What the node's own nameservers do not say cannot be compared.
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

/// The addresses that were answered, with who answered them; one entry each.
pub(super) fn answers(seen: &[&Resolution]) -> Vec<(BTreeSet<IpAddr>, Vec<String>)> {
    let mut answers: Vec<(BTreeSet<IpAddr>, Vec<String>)> = Vec::new();
    for resolution in seen {
        let addresses: BTreeSet<IpAddr> = match outcome(resolution) {
            Outcome::Addresses(addresses) => addresses.iter().map(IpAddr::to_canonical).collect(),
            Outcome::NoAddress(_) => BTreeSet::new(),
            Outcome::Failed => continue,
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

/// The compared resolvers that gave no usable answer.
pub(super) fn unanswered<'seen>(seen: &[&'seen Resolution]) -> Vec<&'seen Resolution> {
    let is_compared = |seen: &&Resolution| seen.resolver != Resolver::System;
    seen.iter().copied().filter(is_compared).filter(|seen| matches!(outcome(seen), Outcome::Failed)).collect()
}

/// `10.60.0.10 and 10.60.0.11 say 10.60.4.4`.
pub(super) fn describe((addresses, servers): &(BTreeSet<IpAddr>, Vec<String>)) -> String {
    let verb = if servers.len() == 1 { "says" } else { "say" };
    let addresses = if addresses.is_empty() {
        "that there is no address".to_owned()
    } else {
        listed(addresses.iter().copied())
    };
    format!("{} {verb} {addresses}", list(servers))
}
