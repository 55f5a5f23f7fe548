//! Which addresses of a name get the request: public ones only.
//!
//! Owns the evaluation of a name's answers. Every nameserver counts: a public address of any of them is an address of the
//! public endpoint.

use std::fmt;
use std::net::IpAddr;

use super::outcome::{FailedQuery, Gap};
use crate::address::{AddressPolicy, Scope};
use crate::observation::{Lookup, Rcode, Resolution};

/// An address family. A registry can have a public endpoint in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressFamily {
    /// IPv4, with A records.
    V4,
    /// IPv6, with AAAA records.
    V6,
}

impl AddressFamily {
    /// Both families, in the order of the requests.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// Returns the name used in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    const fn lookup(self, resolution: &Resolution) -> &Lookup {
        match self {
            Self::V4 => &resolution.a,
            Self::V6 => &resolution.aaaa,
        }
    }
}

impl fmt::Display for AddressFamily {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// An address that may get the request: public, and from an answer of this run. Only [`evaluate`] creates it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicAddress(IpAddr);

impl PublicAddress {
    /// Returns the address.
    #[must_use]
    pub const fn get(self) -> IpAddr {
        self.0
    }
}

/// What to do about one family of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Send the request to one address.
    Request {
        /// The family.
        family: AddressFamily,
        /// The address.
        address: PublicAddress,
        /// The other public addresses of the family.
        others: Vec<IpAddr>,
    },
    /// Send nothing.
    Nothing {
        /// The family; absent if it is about the name.
        family: Option<AddressFamily>,
        /// The reason.
        gap: Gap,
    },
}

/// Evaluates the answers of all nameservers about one name. A family without any record has no plan; otherwise there is one
/// plan for each family, or one for the name. A laboratory counts loopback as public.
#[must_use]
pub fn evaluate(resolutions: &[Resolution], loopback_is_public: bool) -> Vec<Plan> {
    if resolutions.is_empty() {
        return vec![Plan::Nothing { family: None, gap: Gap::NoNameserver }];
    }
    let has_addresses = resolutions.iter().any(|resolution| !resolution.addresses().is_empty());
    if !has_addresses {
        return vec![Plan::Nothing { family: None, gap: without_addresses(resolutions) }];
    }
    let plans =
        AddressFamily::ALL.into_iter().filter_map(|family| plan(resolutions, family, loopback_is_public));
    plans.collect()
}

/// Returns why no nameserver returned an address.
fn without_addresses(resolutions: &[Resolution]) -> Gap {
    let rcodes = |family: AddressFamily| {
        resolutions.iter().filter_map(move |resolution| match family.lookup(resolution) {
            Lookup::Answered(answer) => Some(answer.rcode),
            Lookup::Failed(_) => None,
        })
    };
    // A name that does not exist has no record of any type (RFC 2308, section 2.1).
    if AddressFamily::ALL.into_iter().flat_map(rcodes).any(|rcode| rcode == Rcode::NXDOMAIN) {
        return Gap::NameNotFound { rcode: Rcode::NXDOMAIN };
    }
    if AddressFamily::ALL.into_iter().all(|family| rcodes(family).next().is_some()) {
        return Gap::NameNotFound { rcode: Rcode::NOERROR };
    }
    Gap::NotResolved(
        AddressFamily::ALL.into_iter().flat_map(|family| failures(resolutions, family)).collect(),
    )
}

fn plan(resolutions: &[Resolution], family: AddressFamily, loopback_is_public: bool) -> Option<Plan> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    let mut is_answered = false;
    for resolution in resolutions {
        let Lookup::Answered(answer) = family.lookup(resolution) else { continue };
        is_answered = true;
        if answer.rcode == Rcode::NXDOMAIN {
            continue;
        }
        for address in answer.addresses.iter().map(IpAddr::to_canonical) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    if addresses.is_empty() {
        let gap = Gap::NotResolved(failures(resolutions, family));
        return (!is_answered).then_some(Plan::Nothing { family: Some(family), gap });
    }
    let of = |scope| {
        addresses.iter().copied().filter(move |address| scope_of(*address, loopback_is_public) == scope)
    };
    let mut public = of(Scope::Public);
    if let Some(address) = public.next() {
        let others = public.collect();
        return Some(Plan::Request { family, address: PublicAddress(address), others });
    }
    let private: Vec<IpAddr> = of(Scope::Private).collect();
    let gap = if private.is_empty() { Gap::Reserved(addresses) } else { Gap::Private(private) };
    Some(Plan::Nothing { family: Some(family), gap })
}

fn scope_of(address: IpAddr, loopback_is_public: bool) -> Scope {
    if loopback_is_public && address.is_loopback() {
        return Scope::Public;
    }
    AddressPolicy::default().classify("", address)
}

fn failures(resolutions: &[Resolution], family: AddressFamily) -> Vec<FailedQuery> {
    let failed = resolutions.iter().filter_map(|resolution| match family.lookup(resolution) {
        Lookup::Failed(failure) => Some(FailedQuery {
            server: resolution.server.clone(),
            tcp_only: resolution.tcp_only,
            kind: failure.kind.clone(),
        }),
        Lookup::Answered(_) => None,
    });
    failed.collect()
}

#[cfg(test)]
mod tests;
