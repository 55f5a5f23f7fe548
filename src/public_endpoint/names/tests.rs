use std::net::IpAddr;
use std::time::Duration;

use proptest::prelude::*;

use super::{AddressFamily, Plan, evaluate};
use crate::address::{AddressPolicy, NameserverAddress, Scope};
use crate::observation::{
    DnsAnswer, DnsFailure, DnsFailureKind, Endpoint, Lookup, Rcode, Resolution, Resolver,
};
use crate::public_endpoint::outcome::{Gap, GapKind};

const HOST: &str = "contoso.azurecr.io";

fn answered(rcode: Rcode, addresses: &[IpAddr]) -> Lookup {
    Lookup::Answered(DnsAnswer {
        rcode,
        chain: Vec::new(),
        addresses: addresses.to_vec(),
        soa_owner: None,
        extended_errors: Vec::new(),
        over_tcp: false,
    })
}

/// A lookup as written in the tables: addresses, `-` for none, `nx` for NXDOMAIN, `?` for no answer.
fn lookup(text: &str) -> Lookup {
    match text {
        "?" => Lookup::Failed(DnsFailure { kind: DnsFailureKind::Timeout, extended_errors: Vec::new() }),
        "nx" => answered(Rcode::NXDOMAIN, &[]),
        "-" => answered(Rcode::NOERROR, &[]),
        addresses => {
            let addresses: Vec<IpAddr> =
                addresses.split(' ').map(|address| address.parse().expect("an address")).collect();
            answered(Rcode::NOERROR, &addresses)
        }
    }
}

fn resolution(a: Lookup, aaaa: Lookup) -> Resolution {
    Resolution {
        endpoint: Endpoint::Login,
        host: HOST.to_owned(),
        resolver: Resolver::System,
        server: NameserverAddress::parse_ip("10.0.0.10", 53).expect("an address"),
        tcp_only: false,
        a,
        aaaa,
        duration: Duration::ZERO,
    }
}

fn shown(plan: &Plan) -> String {
    match plan {
        Plan::Request { family, address, others } => format!("{family} {} {others:?}", address.get()),
        Plan::Nothing { family, gap } => {
            let family = family.map_or("-", AddressFamily::as_str);
            format!("{family} {}", gap.kind().as_str())
        }
    }
}

/// The A and AAAA lookups of each nameserver, and the plans.
type Row = (&'static [(&'static str, &'static str)], &'static [&'static str]);

#[test]
fn each_family_has_one_request_or_one_reason() {
    let table: [Row; 16] = [
        (&[], &["- no_nameserver"]),
        (&[("20.45.122.144", "-")], &["IPv4 20.45.122.144 []"]),
        (&[("20.45.122.144", "2603:1030::1")], &["IPv4 20.45.122.144 []", "IPv6 2603:1030::1 []"]),
        (&[("-", "2603:1030::1")], &["IPv6 2603:1030::1 []"]),
        (&[("20.45.122.144 20.45.122.145", "-")], &["IPv4 20.45.122.144 [20.45.122.145]"]),
        (&[("10.60.4.4", "-")], &["IPv4 private_answer"]),
        (&[("10.60.4.4", "2603:1030::1")], &["IPv4 private_answer", "IPv6 2603:1030::1 []"]),
        (&[("10.60.4.4 20.45.122.144", "-")], &["IPv4 20.45.122.144 []"]),
        (&[("127.0.0.1", "-")], &["IPv4 reserved_answer"]),
        (&[("168.63.129.16 10.60.4.4", "::1")], &["IPv4 private_answer", "IPv6 reserved_answer"]),
        (&[("nx", "nx")], &["- name_not_found"]),
        (&[("-", "-")], &["- name_not_found"]),
        (&[("?", "?")], &["- not_resolved"]),
        (&[("20.45.122.144", "?")], &["IPv4 20.45.122.144 []", "IPv6 not_resolved"]),
        (&[("?", "?"), ("20.45.122.144", "-")], &["IPv4 20.45.122.144 []"]),
        (&[("10.60.4.4", "-"), ("20.45.122.144", "-")], &["IPv4 20.45.122.144 []"]),
    ];
    for (servers, expected) in table {
        let resolutions: Vec<Resolution> =
            servers.iter().map(|(a, aaaa)| resolution(lookup(a), lookup(aaaa))).collect();
        let plans: Vec<String> = evaluate(&resolutions, false).iter().map(shown).collect();
        assert_eq!(plans, expected, "{servers:?}");
    }
}

#[test]
fn one_unanswered_family_without_any_address_is_not_an_absent_name() {
    for (a, aaaa, expected) in [
        ("-", "?", GapKind::NotResolved),
        ("?", "-", GapKind::NotResolved),
        ("nx", "?", GapKind::NameNotFound),
        ("?", "nx", GapKind::NameNotFound),
    ] {
        let plans = evaluate(&[resolution(lookup(a), lookup(aaaa))], false);
        let [Plan::Nothing { family: None, gap }] = &plans[..] else { panic!("{plans:?}") };
        assert_eq!(gap.kind(), expected, "{a} {aaaa}");
    }
}

#[test]
fn only_a_laboratory_counts_loopback_as_public() {
    let resolutions = [resolution(lookup("127.0.0.2"), lookup("::1"))];
    let plans: Vec<String> = evaluate(&resolutions, true).iter().map(shown).collect();
    assert_eq!(plans, ["IPv4 127.0.0.2 []", "IPv6 ::1 []"]);
    let plans: Vec<String> = evaluate(&resolutions, false).iter().map(shown).collect();
    assert_eq!(plans, ["IPv4 reserved_answer", "IPv6 reserved_answer"]);
}

proptest! {
    #[test]
    fn no_request_goes_to_an_address_that_is_not_public(
        a in proptest::collection::vec(any::<u32>().prop_map(|bits| IpAddr::V4(bits.into())), 0..4),
        aaaa in proptest::collection::vec(any::<u128>().prop_map(|bits| IpAddr::V6(bits.into())), 0..4),
        mapped in any::<u32>(),
    ) {
        let mut aaaa = aaaa;
        aaaa.push(IpAddr::V6(std::net::Ipv4Addr::from(mapped).to_ipv6_mapped()));
        let plans = evaluate(&[resolution(answered(Rcode::NOERROR, &a), answered(Rcode::NOERROR, &aaaa))], false);
        prop_assert!(!plans.is_empty());
        for plan in plans {
            match plan {
                Plan::Request { address, others, .. } => {
                    for address in others.into_iter().chain([address.get()]) {
                        prop_assert_eq!(AddressPolicy::default().classify("", address), Scope::Public);
                    }
                }
                Plan::Nothing { gap, .. } => {
                    prop_assert!(matches!(gap, Gap::Private(_) | Gap::Reserved(_)), "{:?}", gap);
                }
            }
        }
    }
}
