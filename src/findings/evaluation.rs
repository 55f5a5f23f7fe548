//! Evaluates the answers of the node's nameservers about one name.

use std::collections::BTreeSet;
use std::mem::discriminant;
use std::net::IpAddr;

use super::answer::{
    AnswerClass, chain_privatelink, class_of, denies_private_record, failed_server, is_failed, is_troubled,
    last_name, makes_wait, privatelink_name,
};
use super::{AddressFault, FailedServer, Finding, NameFindings, Negative, NegativeKind};
use crate::address::{AddressPolicy, NameserverAddress, Scope};
use crate::image::ImageReference;
use crate::observation::{DnsAnswer, DnsFailureKind, Endpoint, Resolution};

/// The kinds of negative answers, in the order of their findings.
const NEGATIVE: [NegativeKind; 3] =
    [NegativeKind::PrivateRecordMissing, NegativeKind::NameNotFound, NegativeKind::NotFollowed];

/// The answers of the node's nameservers about one name, and what they are evaluated against.
pub(super) struct Evaluation<'facts> {
    pub(super) image: &'facts ImageReference,
    pub(super) host: &'facts str,
    pub(super) policy: &'facts AddressPolicy,
    pub(super) answers: &'facts [&'facts Resolution],
}

impl Evaluation<'_> {
    /// Returns the findings about the name, except for the comparison.
    pub(super) fn of_name(&self, endpoint: Endpoint) -> NameFindings {
        let failed: Vec<FailedServer> = self.servers(is_failed);
        let findings = if failed.len() == self.answers.len() {
            vec![without_answer(failed)]
        } else {
            let mut findings = self.negative();
            findings.extend(self.wrong_addresses());
            findings.extend(self.failing());
            findings
        };
        NameFindings {
            endpoint,
            host: self.host.to_owned(),
            nameservers: self.answers.len(),
            findings,
            accepted: self.accepted(),
        }
    }

    /// Returns the nameservers with a property, each with its failed queries.
    fn servers(&self, has_property: fn(&Resolution) -> bool) -> Vec<FailedServer> {
        self.answers.iter().filter(|seen| has_property(seen)).map(|seen| failed_server(seen)).collect()
    }

    /// Returns one finding for each kind of negative answer.
    fn negative(&self) -> Vec<Finding> {
        let answers = self.answers.iter().filter_map(|seen| match class_of(seen) {
            AnswerClass::NoAddress(answer) => Some((negative_kind(self.image, answer), &seen.server, answer)),
            AnswerClass::Addresses(_) | AnswerClass::Failed => None,
        });
        let answers: Vec<(NegativeKind, &NameserverAddress, &DnsAnswer)> = answers.collect();
        let findings = NEGATIVE.into_iter().filter_map(|kind| {
            let mut alike = answers.iter().filter(|(other, _, _)| *other == kind).peekable();
            let (_, _, answer) = alike.peek()?;
            Some(Finding::Negative(Negative {
                kind,
                rcode: answer.rcode,
                zone: answer.soa_owner.as_ref().map(|zone| zone.trim_end_matches('.').to_owned()),
                privatelink: privatelink_name(self.image, answer).map(str::to_owned),
                last: last_name(answer).map(str::to_owned),
                servers: alike.map(|(_, server, _)| (*server).clone()).collect(),
            }))
        });
        findings.collect()
    }

    /// Returns one finding for each kind of wrong address.
    fn wrong_addresses(&self) -> Vec<Finding> {
        let mut wrong: Vec<(AddressFault, Vec<NameserverAddress>)> = Vec::new();
        for seen in self.answers {
            let Some(fault) = self.address_fault(seen) else { continue };
            match wrong.iter_mut().find(|(known, _)| discriminant(known) == discriminant(&fault)) {
                Some((known, servers)) => {
                    servers.push(seen.server.clone());
                    merge(known, fault);
                }
                None => wrong.push((fault, vec![seen.server.clone()])),
            }
        }
        wrong.sort();
        wrong.into_iter().map(|(fault, servers)| Finding::Wrong { fault, servers }).collect()
    }

    fn address_fault(&self, seen: &Resolution) -> Option<AddressFault> {
        let AnswerClass::Addresses(addresses) = class_of(seen) else { return None };
        let with = |is_wanted: fn(Scope) -> bool| -> Vec<IpAddr> {
            addresses
                .iter()
                .copied()
                .filter(|address| is_wanted(self.policy.classify(self.host, *address)))
                .collect()
        };
        let reserved = with(|scope| scope == Scope::Reserved);
        if !reserved.is_empty() {
            return Some(AddressFault::Reserved(reserved));
        }
        let public = with(|scope| scope == Scope::Public);
        if !public.is_empty() {
            let private = with(|scope| scope != Scope::Public);
            return Some(if !private.is_empty() {
                AddressFault::Mixed { private, public }
            } else if let Some(privatelink) = chain_privatelink(self.image, seen) {
                AddressFault::NotLinked { public, privatelink }
            } else {
                AddressFault::NoPrivateEndpoint(public)
            });
        }
        let addresses = with(|scope| scope == Scope::Unexpected);
        if addresses.is_empty() {
            return None;
        }
        Some(match self.policy.exact.of(self.host) {
            None => AddressFault::OutsideRanges { addresses, expected: self.policy.expected.clone() },
            Some(expected) => AddressFault::NotOfEndpoint {
                owners: self.owners(&addresses),
                addresses,
                expected: expected.to_vec(),
                right: with(|scope| scope == Scope::Private),
            },
        })
    }

    /// Returns the names that are expected to have one of these addresses, each once.
    fn owners(&self, addresses: &[IpAddr]) -> Vec<String> {
        let owners: BTreeSet<&str> =
            addresses.iter().flat_map(|address| self.policy.exact.owners(*address)).collect();
        owners.into_iter().map(str::to_owned).collect()
    }

    fn failing(&self) -> Option<Finding> {
        let servers = self.servers(is_troubled);
        let makes_wait = self.answers.iter().any(|seen| is_troubled(seen) && makes_wait(seen));
        (!servers.is_empty()).then_some(Finding::Failing { servers, makes_wait })
    }

    /// Returns the private and expected addresses of all nameservers, each once.
    fn accepted(&self) -> Vec<IpAddr> {
        let mut accepted = Vec::new();
        for address in self.answers.iter().flat_map(|seen| seen.addresses()) {
            let address = address.to_canonical();
            if self.policy.classify(self.host, address) == Scope::Private && !accepted.contains(&address) {
                accepted.push(address);
            }
        }
        accepted
    }
}

/// Adds another nameserver's fault of the same kind. Public answers differ from query to query, and those of the first
/// nameserver are evidence enough; private addresses that are not the endpoint's show which records are wrong.
fn merge(known: &mut AddressFault, fault: AddressFault) {
    if let (
        AddressFault::NotOfEndpoint { addresses, right, owners, expected: _ },
        AddressFault::NotOfEndpoint { addresses: more, right: more_right, owners: more_owners, expected: _ },
    ) = (known, fault)
    {
        add_new(addresses, more);
        add_new(right, more_right);
        add_new(owners, more_owners);
    }
}

fn add_new<T: PartialEq>(known: &mut Vec<T>, more: Vec<T>) {
    for item in more {
        if !known.contains(&item) {
            known.push(item);
        }
    }
}

fn negative_kind(image: &ImageReference, answer: &DnsAnswer) -> NegativeKind {
    if privatelink_name(image, answer).is_none() {
        NegativeKind::NameNotFound
    } else if denies_private_record(image, answer) {
        NegativeKind::PrivateRecordMissing
    } else {
        NegativeKind::NotFollowed
    }
}

/// Returns the finding about a name for which no nameserver gave a usable answer.
fn without_answer(failed: Vec<FailedServer>) -> Finding {
    let all = |is_wanted: fn(&DnsFailureKind) -> bool| {
        failed.iter().flat_map(|failed| &failed.failures).all(|(_, failure)| is_wanted(&failure.kind))
    };
    let is_not_sent = |kind: &DnsFailureKind| matches!(kind, DnsFailureKind::NotSent(_));
    let is_silent = |kind: &DnsFailureKind| {
        matches!(kind, DnsFailureKind::Timeout | DnsFailureKind::Unreachable | DnsFailureKind::NotSent(_))
    };
    if all(is_not_sent) {
        Finding::NotSent(failed)
    } else if all(is_silent) {
        Finding::Silent(failed)
    } else {
        Finding::Unresolved(failed)
    }
}
