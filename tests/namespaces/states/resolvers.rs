//! Nameservers with answers that unbound never sends: the lab's own, at a routed or link-local address.

use std::net::IpAddr;

use super::{State, state};
use lab::settings::{Behaviour, ChainRecord, Rcode, RecordValue, Settings, TcpDeath, View};
use support::namespaces::network::{LOGIN, ODD_DNS, PUBLIC_LOGIN};

/// The lab's nameserver is the node's only one.
fn odd(name: &'static str, change: fn(&mut Settings)) -> State {
    State { nameservers: vec![ODD_DNS], ..state(name).endpoints(change) }
}

/// The nameserver on the node's link is its only one.
fn on_the_link(name: &'static str, options: &'static str) -> State {
    State { nameservers: Vec::new(), options, ..state(name) }
}

fn behave(settings: &mut Settings, behaviour: Behaviour) {
    settings.nameservers[0].behaviour = behaviour;
}

/// The healthy chain, followed by a record of another name.
fn with_foreign_record(settings: &mut Settings, owner: &str) {
    let record = |name: &str, value| ChainRecord { name: name.to_owned(), value, ttl: 60 };
    let address = |address| RecordValue::Address(IpAddr::V4(address));
    let private = "contoso.privatelink.azurecr.io";
    let records = vec![
        record("contoso.azurecr.io", RecordValue::Cname(private.to_owned())),
        record(private, address(LOGIN)),
        record(owner, address(PUBLIC_LOGIN)),
    ];
    settings.nameservers[0].login = View::Chain(records, Rcode::NoError);
}

pub(crate) fn states() -> Vec<State> {
    let mut states = vec![
        odd("answer with the public record of another name", |settings| {
            with_foreign_record(settings, "other.example");
        })
        .expects(&["fail login address mixed_addresses"])
        .by_chance("Go uses every address of an answer, whatever its owner name, sorted by its own rules")
        .naming(&["10.60.4.4", "20.45.122.144"]),
        odd("answer with a public record next to the alias", |settings| {
            with_foreign_record(settings, "contoso.azurecr.io");
        })
        .expects(&["fail login address mixed_addresses"])
        .by_chance("Go uses every address of an answer, whatever its owner name, sorted by its own rules")
        .naming(&["10.60.4.4", "20.45.122.144"]),
        odd("answer with a broken authority section", |settings| {
            behave(settings, Behaviour::BrokenAuthority);
        }),
        odd("answer with a broken additional section", |settings| {
            behave(settings, Behaviour::BrokenOption);
        }),
        odd("AAAA is SERVFAIL immediately", |settings| {
            behave(settings, Behaviour::AaaaRcode(Rcode::ServFail));
        }),
        odd("AAAA is REFUSED immediately", |settings| behave(settings, Behaviour::AaaaRcode(Rcode::Refused))),
        odd("AAAA is not implemented", |settings| behave(settings, Behaviour::AaaaRcode(Rcode::NotImp))),
        odd("AAAA is NXDOMAIN", |settings| behave(settings, Behaviour::AaaaRcode(Rcode::NxDomain))),
        odd("forged answer before the right one", |settings| behave(settings, Behaviour::SpoofThenAnswer)),
        odd("truncated answer, and TCP closes", |settings| {
            behave(settings, Behaviour::TruncatedTcpDead(TcpDeath::Closes));
        })
        .pulls_fail("lookup contoso.azurecr.io on 10.60.0.13:53")
        .expects(&["fail login dns dns_server_failure"]),
    ];
    states.extend([
        on_the_link("nameserver on the node's link", "nameserver fe80::53%eth0\n"),
        on_the_link("nameserver on the node's link, over TCP", "nameserver fe80::53%eth0\noptions use-vc\n"),
        on_the_link("nameserver line that starts with a blank", "  nameserver 10.60.0.10\n"),
    ]);
    states
}
