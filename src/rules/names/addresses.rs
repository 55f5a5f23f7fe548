//! The `address` stage: detects addresses that do not belong to a private endpoint.

use std::net::IpAddr;

use super::words::{chain_privatelink, listed, servers_of};
use super::{AnswerClass, Name, class_of};
use crate::address::Scope;
use crate::cause::Cause;
use crate::diagnosis::Diagnosis;
use crate::observation::{Endpoint, Resolution, Stage};
use crate::text::words::list;

/// What can be wrong with a nameserver's addresses, in order of precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wrong {
    Reserved,
    Mixed,
    NotLinked,
    NoPrivateEndpoint,
    Unexpected,
}

impl Name<'_> {
    /// Diagnoses addresses that do not belong to a private endpoint, one diagnosis for each cause.
    pub(super) fn wrong_addresses(&self, system: &[&Resolution]) -> Vec<Diagnosis> {
        let mut wrong: Vec<(Wrong, Vec<&Resolution>)> = Vec::new();
        for seen in system {
            if let AnswerClass::Addresses(addresses) = class_of(seen)
                && let Some(what) = self.wrong(seen, &addresses)
            {
                match wrong.iter_mut().find(|(known, _)| *known == what) {
                    Some((_, servers)) => servers.push(seen),
                    None => wrong.push((what, vec![seen])),
                }
            }
        }
        wrong.sort_by_key(|(what, _)| *what);
        wrong.into_iter().map(|(what, servers)| self.wrong_address(what, &servers, system.len())).collect()
    }

    fn wrong(&self, seen: &Resolution, addresses: &[IpAddr]) -> Option<Wrong> {
        let has = |scope| addresses.iter().any(|address| self.policy.classify(*address) == scope);
        if has(Scope::Reserved) {
            return Some(Wrong::Reserved);
        }
        if has(Scope::Public) {
            return Some(if has(Scope::Private) || has(Scope::Unexpected) {
                Wrong::Mixed
            } else if chain_privatelink(self.image, seen).is_some() {
                Wrong::NotLinked
            } else {
                Wrong::NoPrivateEndpoint
            });
        }
        has(Scope::Unexpected).then_some(Wrong::Unexpected)
    }

    fn wrong_address(&self, what: Wrong, servers: &[&Resolution], asked: usize) -> Diagnosis {
        let first = servers[0];
        let who = servers_of(&servers.iter().map(|seen| &seen.server).collect::<Vec<_>>(), asked);
        let verb = if servers.len() == 1 { "resolves" } else { "resolve" };
        let scoped = |scope: Scope| {
            let addresses =
                first.addresses().into_iter().filter(|address| self.policy.classify(*address) == scope);
            listed(addresses)
        };
        let host = self.host;
        let (cause, with) = match what {
            Wrong::Reserved => {
                let address = scoped(Scope::Reserved);
                (Cause::ReservedAddress, format!("{address}, a reserved address that no registry can have"))
            }
            Wrong::Mixed => {
                let addresses = first.addresses().into_iter();
                let private =
                    listed(addresses.filter(|address| self.policy.classify(*address) != Scope::Public));
                let with = format!(
                    "both private and public addresses ({private} and {}): some pulls leave the private network",
                    scoped(Scope::Public)
                );
                (Cause::MixedAddresses, with)
            }
            Wrong::NotLinked => {
                let with = format!(
                    "the public address {}, although the chain includes {}: this resolver does not see the private zone",
                    scoped(Scope::Public),
                    chain_privatelink(self.image, first).unwrap_or_default(),
                );
                (Cause::PrivateZoneNotLinked, with)
            }
            Wrong::NoPrivateEndpoint => {
                let so = match self.endpoint {
                    Endpoint::Login => "nothing shows that this registry has a private endpoint",
                    Endpoint::Data => "nothing points the data endpoint to the registry's private endpoint",
                };
                let with = format!(
                    "the public address {}, without a privatelink name in the chain: {so}",
                    scoped(Scope::Public)
                );
                (Cause::NoPrivateEndpoint, with)
            }
            Wrong::Unexpected => {
                let expected: Vec<String> = self.policy.expected.iter().map(ToString::to_string).collect();
                let with = format!(
                    "{}, which is private but outside the expected {}",
                    scoped(Scope::Unexpected),
                    list(&expected)
                );
                (Cause::UnexpectedAddress, with)
            }
        };
        self.diagnosis(cause, Stage::Address, &first.server, format!("{who} {verb} {host} to {with}."))
    }
}
