//! The words for resolvers in messages: their addresses, their answers and their failed queries.
//!
//! Owns how a message names a resolver, and that it names the node's DNS cache as what it is.

use std::net::IpAddr;

use super::dns_failure::phrases;
use crate::address::{LOCAL_DNS_NAME, NameserverAddress};
use crate::findings::{AnswerGroup, FailedServer, Server};
use crate::observation::{DnsFailure, NodeCache, Resolver};
use crate::text::words::{list, some_of};

/// Maximum number of addresses in a sentence; the report has all.
const LISTED: usize = 4;

/// The words for the resolvers of one check.
#[derive(Clone, Copy)]
pub(super) struct Words<'facts> {
    pub(super) cache: &'facts NodeCache,
}

impl Words<'_> {
    /// Names a nameserver of the node: `10.60.0.10`, or `169.254.10.10 (AKS LocalDNS, the DNS cache of the node)`.
    pub(super) fn nameserver(self, address: &NameserverAddress) -> String {
        if self.cache.is_listener(address) {
            format!("{} ({LOCAL_DNS_NAME}, the DNS cache of the node)", address.short())
        } else {
            address.short()
        }
    }

    /// Names a resolver: `10.60.0.10`, or `168.63.129.16 (azure)` if it is a compared one.
    fn resolver(self, server: &Server) -> String {
        match &server.resolver {
            Resolver::System => self.nameserver(&server.address),
            Resolver::Compared(name) => format!("{} ({name})", server.address.short()),
        }
    }

    /// Names the resolvers of an answer.
    pub(super) fn resolvers(self, servers: &[Server]) -> String {
        list(&servers.iter().map(|server| self.resolver(server)).collect::<Vec<_>>())
    }

    /// Describes an answer and its servers: `10.60.0.10 and 10.60.0.11 returned 10.60.4.4`.
    pub(super) fn group(self, group: &AnswerGroup) -> String {
        format!("{} returned {}", self.resolvers(&group.servers), answer(group.addresses.iter().copied()))
    }

    /// Describes resolvers and their failed queries; the record type is named if the failures differ.
    pub(super) fn failed(self, servers: &[FailedServer]) -> Vec<String> {
        let phrase = |failed: &FailedServer| {
            let failures = match failed.failures.as_slice() {
                [(_, a), (_, aaaa)] if a.kind == aaaa.kind => failure(failed, a, ""),
                failures => {
                    let phrases: Vec<String> = failures
                        .iter()
                        .map(|(question, cause)| failure(failed, cause, &format!(" ({question} query)")))
                        .collect();
                    list(&phrases)
                }
            };
            format!("{} {failures}", self.resolver(&failed.server))
        };
        servers.iter().map(phrase).collect()
    }
}

fn failure(failed: &FailedServer, failure: &DnsFailure, question: &str) -> String {
    let phrase = phrases(&failure.kind, failed.tcp_only).of_server;
    let extended: Vec<String> = failure
        .extended_errors
        .iter()
        .map(|error| format!("extended error {} {}", error.code, error.text).trim_end().to_owned())
        .collect();
    let extended = if extended.is_empty() { String::new() } else { format!(" ({})", extended.join(", ")) };
    format!("{phrase}{question}{extended}")
}

/// Lists the addresses of an answer.
pub(super) fn answer(addresses: impl IntoIterator<Item = IpAddr>) -> String {
    let addresses: Vec<IpAddr> = addresses.into_iter().collect();
    if addresses.is_empty() { "no address".to_owned() } else { address_list(&addresses) }
}

/// Lists addresses.
pub(super) fn address_list(addresses: &[IpAddr]) -> String {
    some_of(&addresses.iter().map(ToString::to_string).collect::<Vec<_>>(), LISTED)
}
