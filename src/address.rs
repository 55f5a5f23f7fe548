//! Classifies addresses as private, public, reserved or unexpected.
//!
//! Has its own table, because `is_private` in common libraries accepts loopback and link-local. It follows the IANA
//! special-purpose registries (RFC 6890) as far as they matter to a private endpoint. Knows nothing of chains or causes, and of
//! names only which addresses the operator expects for them.

mod expected;
mod nameserver;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

pub use expected::{ExpectedAddresses, MAX_ADDRESSES, MAX_NAMES, TooManyAddresses};
pub use nameserver::{DNS_PORT, NameserverAddress, NameserverAddressError};

/// Azure's platform address: DNS, DHCP and health probes of every VNet. No registry can use it.
pub const AZURE_PLATFORM: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

/// The listeners of AKS LocalDNS, the DNS cache on the node: for the node and Pods with `dnsPolicy: Default`, which forwards to
/// the VNet's DNS servers, and for the other Pods, which forwards to the cluster's DNS.
pub const LOCAL_DNS: [Ipv4Addr; 2] = [Ipv4Addr::new(169, 254, 10, 10), Ipv4Addr::new(169, 254, 10, 11)];

/// The name of that cache in texts.
pub const LOCAL_DNS_NAME: &str = "AKS LocalDNS";

/// Ranges that count as private: RFC 1918, shared address space (RFC 6598) and unique local (RFC 4193).
pub const PRIVATE_RANGES: [&str; 5] =
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"];

/// Ranges that no endpoint can use: "this network", loopback, link-local, multicast and above, and Azure's platform
/// address.
pub const RESERVED_RANGES: [&str; 9] = [
    "0.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "224.0.0.0/3",
    "168.63.129.16/32",
    "::/128",
    "::1/128",
    "fe80::/10",
    "ff00::/8",
];

/// The class of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// In the private ranges, and an expected address of the name, or in an expected range, if any are set.
    Private,
    /// On the Internet.
    Public,
    /// Loopback, link-local, multicast, unspecified, or Azure's platform address.
    Reserved,
    /// Private, but not an expected address of the name, or outside all expected ranges.
    Unexpected,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 4] = [Self::Private, Self::Public, Self::Reserved, Self::Unexpected];

    /// The name in reports and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Public => "public",
            Self::Reserved => "reserved",
            Self::Unexpected => "unexpected",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// Which addresses are accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    /// The operator's ranges of the private endpoint; if empty, any private address is accepted. They always count as private
    /// (VNets may use public space), but a reserved address is never accepted.
    pub expected: Vec<IpNet>,
    /// The addresses of the private endpoint by name. A name with an entry accepts only these, whatever their range; a reserved
    /// address is never accepted. A name without an entry is classified by the ranges.
    pub exact: ExpectedAddresses,
    /// Treat loopback as private: for a registry on the same machine, such as the test lab. Never for a node.
    pub allow_loopback: bool,
}

impl AddressPolicy {
    /// Classifies an address that a name resolves to. An IPv4-mapped IPv6 address is evaluated as its IPv4 address.
    #[must_use]
    pub fn classify(&self, name: &str, address: IpAddr) -> Scope {
        let address = address.to_canonical();
        if is_reserved(address) && !(self.allow_loopback && address.is_loopback()) {
            return Scope::Reserved;
        }
        let in_range = self.expected.iter().any(|range| range.contains(&address));
        let (is_expected, is_ours) = match self.exact.of(name) {
            // An address of another name, or of the expected ranges, is the operator's own: it is wrong, but not public.
            Some(addresses) => {
                (addresses.contains(&address), in_range || self.exact.owners(address).next().is_some())
            }
            None => (in_range || (self.expected.is_empty() && is_private_or_loopback(address)), in_range),
        };
        if is_expected {
            Scope::Private
        } else if is_ours || is_private_or_loopback(address) {
            Scope::Unexpected
        } else {
            Scope::Public
        }
    }
}

fn is_private_or_loopback(address: IpAddr) -> bool {
    is_private(address) || address.is_loopback()
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || (v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

/// Returns whether no endpoint can have the address: one of [`RESERVED_RANGES`].
#[must_use]
pub fn is_reserved(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let first = v4.octets()[0];
            v4 == AZURE_PLATFORM || v4.is_loopback() || v4.is_link_local() || first == 0 || first >= 224
        }
        IpAddr::V6(v6) => {
            v6 == Ipv6Addr::UNSPECIFIED || v6.is_loopback() || v6.is_unicast_link_local() || v6.is_multicast()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AddressPolicy, ExpectedAddresses, PRIVATE_RANGES, RESERVED_RANGES, Scope};
    use ipnet::IpNet;
    use proptest::prelude::*;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    const NAME: &str = "contoso.azurecr.io";
    const OTHER: &str = "contoso.westeurope.data.azurecr.io";

    fn in_any(ranges: &[&str], address: IpAddr) -> bool {
        ranges.iter().any(|range| range.parse::<IpNet>().expect("a range of our own").contains(&address))
    }

    #[test]
    fn addresses_at_range_edges_are_classified() {
        let policy = AddressPolicy::default();
        for (address, scope) in [
            ("9.255.255.255", Scope::Public),
            ("10.0.0.0", Scope::Private),
            ("10.255.255.255", Scope::Private),
            ("100.63.255.255", Scope::Public),
            ("100.64.0.0", Scope::Private),
            ("100.127.255.255", Scope::Private),
            ("100.128.0.0", Scope::Public),
            ("126.255.255.255", Scope::Public),
            ("127.0.0.1", Scope::Reserved),
            ("168.63.129.15", Scope::Public),
            ("168.63.129.16", Scope::Reserved),
            ("169.254.10.10", Scope::Reserved),
            ("172.15.255.255", Scope::Public),
            ("172.16.0.0", Scope::Private),
            ("172.31.255.255", Scope::Private),
            ("172.32.0.0", Scope::Public),
            ("192.168.0.1", Scope::Private),
            ("223.255.255.255", Scope::Public),
            ("224.0.0.1", Scope::Reserved),
            ("255.255.255.255", Scope::Reserved),
            ("0.0.0.0", Scope::Reserved),
            ("::", Scope::Reserved),
            ("::1", Scope::Reserved),
            ("fbff::1", Scope::Public),
            ("fc00::1", Scope::Private),
            ("fdff::1", Scope::Private),
            ("fe80::1", Scope::Reserved),
            ("ff02::1", Scope::Reserved),
            ("2603:1030::1", Scope::Public),
            ("::ffff:10.0.0.4", Scope::Private),
            ("::ffff:20.45.122.144", Scope::Public),
            ("::ffff:127.0.0.1", Scope::Reserved),
        ] {
            let parsed: IpAddr = address.parse().expect("an address");
            assert_eq!(policy.classify(NAME, parsed), scope, "{address}");
        }
    }

    #[test]
    fn expected_ranges_count_as_private_except_for_reserved_addresses() {
        let policy = AddressPolicy {
            expected: vec!["20.0.0.0/8".parse().expect("a range"), "0.0.0.0/0".parse().expect("a range")],
            ..AddressPolicy::default()
        };
        assert_eq!(policy.classify(NAME, "20.45.122.144".parse().expect("an address")), Scope::Private);
        assert_eq!(policy.classify(NAME, "127.0.0.1".parse().expect("an address")), Scope::Reserved);
        assert_eq!(policy.classify(NAME, "168.63.129.16".parse().expect("an address")), Scope::Reserved);
    }

    #[test]
    fn loopback_is_accepted_only_if_allowed_and_expected() {
        let lab = AddressPolicy {
            expected: vec!["127.0.0.2/32".parse().expect("a range")],
            allow_loopback: true,
            ..AddressPolicy::default()
        };
        assert_eq!(lab.classify(NAME, "127.0.0.2".parse().expect("an address")), Scope::Private);
        assert_eq!(lab.classify(NAME, "127.0.0.9".parse().expect("an address")), Scope::Unexpected);
        assert_eq!(lab.classify(NAME, "169.254.0.1".parse().expect("an address")), Scope::Reserved);
    }

    fn exact(entries: &[(&str, &[IpAddr])]) -> ExpectedAddresses {
        let mut expected = ExpectedAddresses::default();
        for (name, addresses) in entries {
            addresses.iter().for_each(|address| expected.add(name, *address).expect("room for it"));
        }
        expected
    }

    #[test]
    fn a_name_with_expected_addresses_accepts_only_these() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let policy = AddressPolicy {
            expected: vec!["10.60.4.0/24".parse().expect("a range"), "20.0.0.0/24".parse().expect("a range")],
            exact: exact(&[
                (NAME, &[ip("10.60.4.5"), ip("20.45.0.5")]),
                (OTHER, &[ip("20.45.0.4"), ip("::1")]),
            ]),
            ..AddressPolicy::default()
        };
        for (address, scope) in [
            ("10.60.4.5", Scope::Private),
            ("::ffff:10.60.4.5", Scope::Private),
            ("20.45.0.5", Scope::Private),
            // In an expected range, but not an address of this name.
            ("10.60.4.9", Scope::Unexpected),
            ("20.0.0.9", Scope::Unexpected),
            // An address of the other name, in public space.
            ("20.45.0.4", Scope::Unexpected),
            ("fd00::5", Scope::Unexpected),
            ("20.45.122.144", Scope::Public),
            ("127.0.0.1", Scope::Reserved),
        ] {
            assert_eq!(policy.classify(NAME, ip(address)), scope, "{address}");
        }
        assert_eq!(policy.classify(OTHER, ip("::1")), Scope::Reserved, "even if it is expected");
        for (address, scope) in
            [("10.60.4.9", Scope::Private), ("10.60.9.9", Scope::Unexpected), ("20.45.0.5", Scope::Public)]
        {
            assert_eq!(
                policy.classify("contoso.northeurope.data.azurecr.io", ip(address)),
                scope,
                "{address}"
            );
        }
    }

    /// The first and last address of a range, and the neighbours outside.
    fn edges(range: &str) -> Vec<IpAddr> {
        let range: IpNet = range.parse().expect("a range of our own");
        match range {
            IpNet::V4(range) => {
                let (first, last) = (range.network().to_bits(), range.broadcast().to_bits());
                let bits = [Some(first), Some(last), first.checked_sub(1), last.checked_add(1)];
                bits.into_iter().flatten().map(|bits| IpAddr::V4(Ipv4Addr::from(bits))).collect()
            }
            IpNet::V6(range) => {
                let (first, last) = (range.network().to_bits(), range.broadcast().to_bits());
                let bits = [Some(first), Some(last), first.checked_sub(1), last.checked_add(1)];
                bits.into_iter().flatten().map(|bits| IpAddr::V6(Ipv6Addr::from(bits))).collect()
            }
        }
    }

    #[test]
    fn documented_ranges_match_the_classification_at_both_edges() {
        let all = [&PRIVATE_RANGES[..], &RESERVED_RANGES[..]].concat();
        let mut looked_at = 0;
        for address in all.iter().flat_map(|range| edges(range)) {
            let documented = match address.to_canonical() {
                canonical if in_any(&RESERVED_RANGES, canonical) => Scope::Reserved,
                canonical if in_any(&PRIVATE_RANGES, canonical) => Scope::Private,
                _ => Scope::Public,
            };
            assert_eq!(AddressPolicy::default().classify(NAME, address), documented, "{address}");
            looked_at += 1;
        }
        assert!(looked_at > 50, "{looked_at}");
    }

    fn any_address() -> impl Strategy<Value = IpAddr> {
        let all = [&PRIVATE_RANGES[..], &RESERVED_RANGES[..]].concat();
        let near = prop::sample::select(all.iter().flat_map(|range| edges(range)).collect::<Vec<_>>());
        prop_oneof![any::<IpAddr>(), near, any::<u32>().prop_map(|bits| IpAddr::V4(bits.into()))]
    }

    fn any_range() -> impl Strategy<Value = IpNet> {
        (any_address(), any::<u8>()).prop_map(|(address, prefix)| {
            let longest = if address.is_ipv4() { 32 } else { 128 };
            IpNet::new(address, prefix % (longest + 1)).expect("a prefix of the family").trunc()
        })
    }

    proptest! {
        #[test]
        fn every_address_is_in_exactly_one_class_under_every_policy(
            address in any_address(),
            expected in proptest::collection::vec(any_range(), 0..3),
            allow_loopback in any::<bool>(),
        ) {
            let policy = AddressPolicy { expected: expected.clone(), allow_loopback, ..AddressPolicy::default() };
            let canonical = address.to_canonical();
            let inside = expected.iter().any(|range| range.contains(&canonical));
            let scope = policy.classify(NAME, address);
            let is_reserved = in_any(&RESERVED_RANGES, canonical) && !(allow_loopback && canonical.is_loopback());
            let is_private = in_any(&PRIVATE_RANGES, canonical) || canonical.is_loopback();
            prop_assert_eq!(scope == Scope::Reserved, is_reserved);
            prop_assert_eq!(scope == Scope::Private, !is_reserved && (inside || (is_private && expected.is_empty())));
            prop_assert_eq!(scope == Scope::Unexpected, !is_reserved && is_private && !inside && !expected.is_empty());
            prop_assert_eq!(scope == Scope::Public, !is_reserved && !is_private && !inside);
        }

        #[test]
        fn an_answer_is_accepted_if_it_is_a_subset_of_the_expected_addresses(
            addresses in proptest::collection::vec(any_address(), 1..5),
            answer in proptest::collection::vec(any_address(), 0..3),
            chosen in any::<u8>(),
            ranges in proptest::collection::vec(any_range(), 0..2),
        ) {
            let policy = AddressPolicy { expected: ranges, exact: exact(&[(NAME, &addresses)]), ..AddressPolicy::default() };
            let known = addresses.iter().enumerate().filter(|(index, _)| chosen & (1 << index) != 0);
            let answer: Vec<IpAddr> = known.map(|(_, address)| *address).chain(answer).collect();
            let accepted = answer.iter().all(|address| policy.classify(NAME, *address) == Scope::Private);
            let canonical: Vec<IpAddr> = addresses.iter().map(IpAddr::to_canonical).collect();
            let is_good = |address: &IpAddr| {
                canonical.contains(&address.to_canonical()) && !in_any(&RESERVED_RANGES, address.to_canonical())
            };
            prop_assert_eq!(accepted, answer.iter().all(is_good));
        }

        #[test]
        fn ipv4_mapped_addresses_are_classified_as_ipv4(
            bits in any::<u32>(),
            expected in proptest::collection::vec(any_range(), 0..3),
            allow_loopback in any::<bool>(),
        ) {
            let policy = AddressPolicy { expected, allow_loopback, ..AddressPolicy::default() };
            let address = Ipv4Addr::from(bits);
            prop_assert_eq!(policy.classify(NAME, address.to_ipv6_mapped().into()), policy.classify(NAME, address.into()));
        }

        #[test]
        fn every_address_is_classified_by_the_documented_ranges(bits in any::<u128>(), v4 in any::<bool>()) {
            let address = if v4 { IpAddr::V4(Ipv4Addr::from((bits & 0xffff_ffff) as u32)) } else { IpAddr::V6(Ipv6Addr::from(bits)) };
            let canonical = address.to_canonical();
            let scope = AddressPolicy::default().classify(NAME, address);
            let documented = if in_any(&RESERVED_RANGES, canonical) { Scope::Reserved }
                else if in_any(&PRIVATE_RANGES, canonical) { Scope::Private } else { Scope::Public };
            prop_assert_eq!(scope, documented);
        }

        #[test]
        fn an_address_in_an_expected_range_is_never_public(bits in any::<u32>(), prefix in 0u8..=32) {
            let address = IpAddr::V4(Ipv4Addr::from(bits));
            let expected = IpNet::new(address, prefix).expect("a prefix of IPv4").trunc();
            let policy = AddressPolicy { expected: vec![expected], ..AddressPolicy::default() };
            let before = AddressPolicy::default().classify(NAME, address);
            let after = policy.classify(NAME, address);
            prop_assert_eq!(after == Scope::Reserved, before == Scope::Reserved);
            prop_assert!(after == Scope::Reserved || after == Scope::Private);
        }
    }
}
