//! Faulty resolvers and zones.

use super::{Expected, State, state};
use support::namespaces::names::{Names, data_record, login_record};
use support::namespaces::network::{AZURE_DNS, DATA, FORWARDER, LOGIN, PUBLIC_DNS};

/// The node's forwarder queries the Internet instead of Azure.
fn bypass(names: &mut Names) {
    names.forwards_to = PUBLIC_DNS;
}

fn record(name: &str) -> Vec<String> {
    vec![login_record(name.parse().expect("an address")), data_record(DATA)]
}

/// A chain so long that its answer does not fit a small datagram.
fn long_chain() -> Vec<String> {
    let hop = |letter: &str| [letter.repeat(60), letter.repeat(60), letter.repeat(60)].join(".");
    let (first, second, third) = (hop("a"), hop("b"), hop("c"));
    vec![
        format!("contoso 10 IN CNAME {first}"),
        format!("{first} 10 IN CNAME {second}"),
        format!("{second} 10 IN CNAME {third}"),
        format!("{third} 10 IN A {LOGIN}"),
        data_record(DATA),
    ]
}

fn truncating(names: &mut Names) {
    names.records = long_chain();
    names.forwarder_options = vec!["max-udp-size: 512"];
}

pub(crate) fn states() -> Vec<State> {
    let mut states = zones();
    states.extend(servers());
    states.extend(several());
    states
}

fn zones() -> Vec<State> {
    let not_linked = &["fail login address private_zone_not_linked"];
    vec![
        state("zone not linked").names(|names| names.linked = false).expects(not_linked).naming(&[
            "10.60.0.10",
            "20.45.122.144",
            "contoso.privatelink.azurecr.io",
        ]),
        State {
            mended: true,
            ..state("zone is linked while a check waits")
                .names(|names| names.linked = false)
                .arguments(&["--wait", "30s"])
        },
        state("forwarder bypasses Azure's resolver")
            .names(bypass)
            .expects(not_linked)
            .naming(&["20.45.122.144"]),
        state("forwarder bypasses Azure's resolver, with a compared resolver")
            .names(bypass)
            .arguments(&["--compare-resolver", "azure=168.63.129.16"])
            .reports("/resolutions/1/resolver", "azure")
            .reports("/resolutions/1/addresses", r#"["10.60.4.4"]"#)
            .expects(&["fail login address private_zone_not_linked", "warn login dns resolvers_disagree"]),
        // The node may use the public path, and does: this proves that the counters work.
        State {
            expected: Expected { leaves: true, ..Expected::default() },
            ..state("public address is expected")
                .names(bypass)
                .arguments(&["--expect-cidr", "20.45.122.144/32"])
        }
        .expects(&["fail login challenge access_denied"])
        .naming(&["203.0.113.7"]),
        state("zone linked and empty")
            .names(|names| names.records.clear())
            .expects(&["fail login dns private_record_missing"])
            .naming(&["contoso.privatelink.azurecr.io", "NXDOMAIN"]),
        state("data record missing")
            .names(|names| names.records = vec![login_record(LOGIN)])
            .expects(&["fail data dns private_record_missing"])
            .naming(&["contoso.westeurope.data.privatelink.azurecr.io"]),
        state("data record hidden by an empty zone")
            .names(|names| names.empty_zones = vec!["westeurope.data.privatelink.azurecr.io"])
            .expects(&["fail data dns private_record_missing"])
            .naming(&["westeurope.data.privatelink.azurecr.io"]),
        State {
            image: |_| "open.azurecr.io/apps/canary:1".to_owned(),
            ..state("no private endpoint")
                .expects(&["fail login address no_private_endpoint"])
                .naming(&["20.45.122.144"])
        },
        State {
            image: |_| "absent.azurecr.io/apps/canary:1".to_owned(),
            ..state("name unknown")
                .expects(&["fail login dns name_not_found"])
                .naming(&["absent.azurecr.io", "NXDOMAIN"])
        },
        state("record of another host")
            .pulls_fail("dial tcp 10.60.9.9:443: connect: no route to host")
            .names(|names| names.records = record("10.60.9.9"))
            .arguments(&["--expect-cidr", "10.60.4.0/24"])
            .expects(&["fail login address unexpected_address"])
            .naming(&["10.60.9.9", "10.60.4.0/24"]),
        state("record of a removed host")
            .pulls_fail("dial tcp 10.60.0.12:443: connect: connection refused")
            .names(|names| names.records = record("10.60.0.12"))
            .arguments(&["--expect-cidr", "10.60.4.0/24"])
            .expects(&["fail login address unexpected_address"]),
        state("private and public record")
            .names(|names| names.records.push(login_record("20.45.122.144".parse().expect("an address"))))
            .expects(&["fail login address mixed_addresses"])
            .by_chance("a client takes the address that happens to come first")
            .naming(&["10.60.4.4", "20.45.122.144"]),
        state("record of Azure's platform address")
            .pulls_fail("dial tcp 168.63.129.16:443: connect: connection refused")
            .names(|names| names.records = record("168.63.129.16"))
            .expects(&["fail login address reserved_address"]),
        // This node has no IPv6, and no private endpoint has it.
        state("additional IPv6 record")
            .names(|names| names.records.push("contoso 10 IN AAAA fd00:60::4".to_owned()))
            .reports("/resolutions/0/addresses", r#"["10.60.4.4","fd00:60::4"]"#),
        state("only an IPv6 record")
            .pulls_fail("connect: network is unreachable")
            .names(|names| {
                names.records = vec!["contoso 10 IN AAAA fd00:60::4".to_owned(), data_record(DATA)];
            })
            .expects(&["fail login connect network_unreachable"])
            .naming(&["[fd00:60::4]:443"]),
        state("CNAME loop")
            .names(|names| {
                names.records = vec![
                    "contoso 10 IN CNAME loop".to_owned(),
                    "loop 10 IN CNAME contoso".to_owned(),
                    data_record(DATA),
                ];
            })
            .expects(&["fail login dns dns_server_failure"]),
    ]
}

fn servers() -> Vec<State> {
    vec![
        state("DNS dropped")
            .pulls_fail("i/o timeout")
            .arriving("meta l4proto { tcp, udp } th dport 53 drop")
            .impatient()
            .expects(&["fail login dns dns_timeout"])
            .naming(&["10.60.0.10 did not answer in time"]),
        state("DNS rejected")
            .arriving("meta l4proto { tcp, udp } th dport 53 reject")
            .impatient()
            .expects(&["fail login dns dns_timeout"])
            .naming(&["10.60.0.10"]),
        state("resolver returns REFUSED to the node")
            .names(|names| names.forwarder_options = vec!["access-control: 10.60.0.100/32 refuse"])
            .expects(&["fail login dns dns_server_failure"])
            .naming(&["10.60.0.10 returned REFUSED"]),
        // Azure's private zones are not signed: a validating forwarder with a trust anchor for them treats them as bogus.
        state("resolver treats the zone as bogus")
            .names(|names| {
                names.forwarder_options = vec![concat!(
                    "trust-anchor: \"privatelink.azurecr.io. DS 1 13 2 ",
                    "0000000000000000000000000000000000000000000000000000000000000001\""
                )];
            })
            .expects(&["fail login dns dns_server_failure"])
            .naming(&["10.60.0.10 returned SERVFAIL", "extended error"]),
        state("answer needs TCP").names(truncating),
        state("answer needs TCP, which is dropped")
            .pulls_fail("dial tcp 10.60.0.10:53: i/o timeout")
            .names(truncating)
            .arriving("tcp dport 53 drop")
            .impatient()
            .expects(&["fail login dns dns_server_failure"])
            .naming(&["did not complete it over TCP"]),
        state("answer needs TCP, which is rejected")
            .pulls_fail("dial tcp 10.60.0.10:53: connect: connection refused")
            .names(truncating)
            .arriving("tcp dport 53 reject with tcp reset")
            .expects(&["fail login dns dns_server_failure"])
            .naming(&["did not complete it over TCP"]),
        // glibc's option and Go's own.
        over_tcp("options use-vc\n", "DNS over TCP only, and UDP is dropped")
            .arriving("udp dport 53 drop")
            .reports("/resolutions/0/transport", "tcp")
            .reports("/resolutions/1/transport", "tcp"),
        over_tcp("options timeout:2 tcp\n", "DNS over TCP only by Go's option, and UDP is dropped")
            .arriving("udp dport 53 drop")
            .reports("/resolutions/0/transport", "tcp"),
        over_tcp("options use-vc\n", "DNS over TCP only, and TCP is dropped")
            .pulls_fail("dial tcp 10.60.0.10:53: i/o timeout")
            .arriving("tcp dport 53 drop")
            .impatient()
            .expects(&["fail login dns dns_timeout"])
            .naming(&["10.60.0.10 did not answer over TCP in time"])
            .reports("/resolutions/0/transport", "tcp"),
        over_tcp("options use-vc\n", "DNS over TCP only, and TCP is rejected")
            .pulls_fail("dial tcp 10.60.0.10:53: connect: connection refused")
            .arriving("tcp dport 53 reject with tcp reset")
            .expects(&["fail login dns dns_timeout"])
            .naming(&["10.60.0.10 cannot be reached over TCP"]),
        // Without the option, an answer that fits a datagram is never queried over TCP.
        state("DNS over UDP, and TCP is dropped")
            .arriving("tcp dport 53 drop")
            .reports("/resolutions/0/transport", "udp"),
    ]
}

fn over_tcp(options: &'static str, name: &'static str) -> State {
    State { options, ..state(name) }
}

fn several() -> Vec<State> {
    let both = || vec![AZURE_DNS, FORWARDER];
    vec![
        State { nameservers: both(), ..state("two nameservers that agree") },
        State {
            nameservers: both(),
            ..state("two nameservers that disagree")
                .names(bypass)
                .differs("clients use the first nameserver while it answers; the other one returns the public path")
                .expects(&["fail login address private_zone_not_linked", "warn login dns resolvers_disagree"])
                .naming(&["10.60.0.10 (of 2)"])
        },
        State {
            nameservers: vec![PUBLIC_DNS, AZURE_DNS],
            ..state("a public nameserver before the right one")
                .expects(&["fail login address private_zone_not_linked", "warn login dns resolvers_disagree"])
                .naming(&["203.0.113.53 (of 2)"])
        },
        State { nameservers: Vec::new(), ..state("no nameserver").expects(&["fail login dns no_nameserver"]) },
    ]
}
