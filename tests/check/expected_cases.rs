//! Expected addresses by name: every way in which an answer differs, with what the diagnosis says about it.

use acr_verifier::observation::Endpoint;

use super::{Bench, Case, case};
use lab::log::Listener;
use lab::settings::{Nameserver, Settings, View};

const LOGIN: &str = "contoso.azurecr.io";
const DATA: &str = "contoso.westeurope.data.azurecr.io";
/// The lab's own addresses.
const RIGHT: &[(&str, &str)] = &[(LOGIN, "127.0.0.2"), (DATA, "127.0.0.3")];
/// An address of another endpoint in the same range, where the lab listens for connections that must not be made.
const STALE: &str = "127.0.0.44";

/// One row: what is expected, what the nameserver returns, the diagnoses, and a part of the first message.
struct Row {
    name: &'static str,
    expected: &'static [(&'static str, &'static str)],
    login: Option<&'static [&'static str]>,
    data: Option<&'static [&'static str]>,
    diagnoses: &'static [&'static str],
    says: &'static str,
}

const UNEXPECTED: &[&str] = &["fail login address unexpected_address"];
const UNEXPECTED_DATA: &[&str] = &["fail data address unexpected_address"];
const HEALTHY: Row =
    Row { name: "exactly as expected", expected: RIGHT, login: None, data: None, diagnoses: &[], says: "" };

const ROWS: &[Row] = &[
    HEALTHY,
    Row {
        name: "one of two expected addresses",
        expected: &[(LOGIN, "127.0.0.2"), (LOGIN, "127.0.0.9"), (DATA, "127.0.0.3")],
        ..HEALTHY
    },
    Row {
        name: "expected in capitals and as IPv4-mapped IPv6",
        expected: &[("Contoso.AzureCR.io.", "::ffff:127.0.0.2")],
        ..HEALTHY
    },
    Row {
        name: "answered as IPv4-mapped IPv6 as well",
        login: Some(&["127.0.0.2", "::ffff:127.0.0.2"]),
        ..HEALTHY
    },
    Row {
        name: "a name that is not looked up is not compared",
        expected: &[(LOGIN, "127.0.0.2"), ("contoso.northeurope.data.azurecr.io", STALE)],
        ..HEALTHY
    },
    Row {
        name: "swapped, login",
        login: Some(&["127.0.0.3"]),
        data: Some(&["127.0.0.2"]),
        diagnoses: UNEXPECTED,
        says: "resolves contoso.azurecr.io to 127.0.0.3, but the private endpoint has 127.0.0.2 for this name; 127.0.0.3 \
               belongs to contoso.westeurope.data.azurecr.io: the records may be swapped.",
        ..HEALTHY
    },
    Row {
        name: "overwritten, data",
        data: Some(&["127.0.0.2"]),
        diagnoses: UNEXPECTED_DATA,
        says: "to 127.0.0.2, but the private endpoint has 127.0.0.3 for this name; 127.0.0.2 belongs to contoso.azurecr.io",
        ..HEALTHY
    },
    Row {
        name: "stale, login",
        login: Some(&[STALE]),
        diagnoses: UNEXPECTED,
        says: "resolves contoso.azurecr.io to 127.0.0.44, but the private endpoint has 127.0.0.2 for this name.",
        ..HEALTHY
    },
    Row {
        name: "stale, data",
        data: Some(&[STALE]),
        diagnoses: UNEXPECTED_DATA,
        says: "to 127.0.0.44, but the private endpoint has 127.0.0.3 for this name.",
        ..HEALTHY
    },
    Row {
        name: "a stale address next to the right one",
        login: Some(&["127.0.0.2", STALE]),
        diagnoses: UNEXPECTED,
        says: "to 127.0.0.2 and 127.0.0.44, but the private endpoint has only 127.0.0.2 for this name.",
        ..HEALTHY
    },
    Row {
        name: "the addresses of both names",
        login: Some(&[STALE, "127.0.0.3"]),
        diagnoses: UNEXPECTED,
        says: "has 127.0.0.2 for this name; at least one of them belongs to contoso.westeurope.data.azurecr.io",
        ..HEALTHY
    },
    Row {
        name: "only IPv6 expected, only IPv4 answered",
        expected: &[(LOGIN, "fd00:60::5")],
        diagnoses: UNEXPECTED,
        says: "to 127.0.0.2, but the private endpoint has only IPv6 for this name (fd00:60::5).",
        ..HEALTHY
    },
    Row {
        name: "only IPv4 expected, only IPv6 answered",
        login: Some(&["fd00:60::5"]),
        diagnoses: UNEXPECTED,
        says: "to fd00:60::5, but the private endpoint has only IPv4 for this name (127.0.0.2).",
        ..HEALTHY
    },
    Row {
        name: "IPv6 next to the expected IPv4",
        login: Some(&["127.0.0.2", "fd00:60::5"]),
        diagnoses: UNEXPECTED,
        says: "to 127.0.0.2 and fd00:60::5, but the private endpoint has only IPv4 for this name (127.0.0.2).",
        ..HEALTHY
    },
    Row {
        name: "a public address next to the expected one",
        login: Some(&["127.0.0.2", "20.45.122.144"]),
        diagnoses: &["fail login address mixed_addresses"],
        says: "both private and public addresses (127.0.0.2 and 20.45.122.144)",
        ..HEALTHY
    },
    Row {
        name: "a public address that is expected for the other name",
        expected: &[(LOGIN, "127.0.0.2"), (DATA, "20.45.122.144")],
        login: Some(&["20.45.122.144"]),
        diagnoses: UNEXPECTED,
        says: "20.45.122.144 belongs to contoso.westeurope.data.azurecr.io",
        ..HEALTHY
    },
    Row {
        name: "another public address",
        expected: &[(LOGIN, "20.45.122.144")],
        login: Some(&["20.45.122.145"]),
        diagnoses: &["fail login address private_zone_not_linked"],
        says: "to the public address 20.45.122.145",
        ..HEALTHY
    },
    Row {
        name: "a reserved address that is expected",
        expected: &[(LOGIN, "168.63.129.16")],
        login: Some(&["168.63.129.16"]),
        diagnoses: &["fail login address reserved_address"],
        says: "a reserved address that no registry can have",
        ..HEALTHY
    },
];

fn view(addresses: &[&str]) -> View {
    View::Addresses(addresses.iter().map(|text| text.parse().expect("an address")).collect())
}

fn expect(bench: &mut Bench, expected: &[(&str, &str)]) {
    for (name, address) in expected {
        let address = address.parse().expect("an address");
        bench.task.policy.exact.add(name, address).expect("room for it");
    }
}

fn case_of(row: &'static Row) -> Case {
    let arrange = |settings: &mut Settings| {
        settings.place.decoy_addresses = vec![STALE.parse().expect("an address")];
        if let Some(login) = row.login {
            settings.nameservers[0].login = view(login);
        }
        if let Some(data) = row.data {
            settings.nameservers[0].data = view(data);
        }
    };
    case(format!("expected addresses: {}", row.name), arrange, row.diagnoses)
        .adjust(|bench| expect(bench, row.expected))
}

/// Cases with ranges, several nameservers and other views.
fn others() -> Vec<Case> {
    let with = |name: &str, arrange: fn(&mut Settings), diagnoses: &[&str]| {
        case(format!("expected addresses: {name}"), arrange, diagnoses).adjust(|bench| expect(bench, RIGHT))
    };
    let ranges = |ranges: &'static str| {
        move |bench: &mut Bench| {
            bench.task.policy.expected = vec![ranges.parse().expect("a range")];
        }
    };
    vec![
        with(
            "zone not linked",
            |settings| settings.nameservers[0].login = View::NotLinked,
            &["fail login address private_zone_not_linked"],
        ),
        with(
            "no private endpoint",
            |settings| settings.nameservers[0].data = View::NoPrivateEndpoint,
            &["fail data address no_private_endpoint"],
        ),
        with(
            "no record",
            |settings| settings.nameservers[0].login = View::RecordMissing,
            &["fail login dns private_record_missing"],
        ),
        with(
            "the second nameserver has a stale record",
            |settings| settings.nameservers.push(Nameserver::seeing(view(&[STALE]))),
            &[UNEXPECTED[0], "warn login dns resolvers_disagree"],
        ),
        case("expected addresses: they override the ranges", |_| {}, &[]).adjust(move |bench| {
            ranges("10.0.0.0/8")(bench);
            expect(bench, RIGHT);
        }),
        case("expected addresses: a range does not accept others", |_| {}, UNEXPECTED).adjust(move |bench| {
            ranges("127.0.0.0/8")(bench);
            expect(bench, &[(LOGIN, "127.0.0.9")]);
        }),
        case("expected addresses: a name without an entry is in the ranges", |_| {}, &[]).adjust(
            move |bench| {
                ranges("127.0.0.2/32")(bench);
                expect(bench, &[(DATA, "127.0.0.3")]);
            },
        ),
        case("expected addresses: a name without an entry is outside the ranges", |_| {}, UNEXPECTED).adjust(
            move |bench| {
                ranges("10.0.0.0/8")(bench);
                expect(bench, &[(DATA, "127.0.0.3")]);
            },
        ),
        case(
            "expected addresses: loopback is never good on a node",
            |_| {},
            &["fail login address reserved_address"],
        )
        .adjust(|bench| {
            bench.task.policy.allow_loopback = false;
            expect(bench, RIGHT);
        }),
        case("expected addresses: a configured data endpoint", |_| {}, UNEXPECTED_DATA).adjust(|bench| {
            bench.task.data_endpoints = vec![bench.lab.data_endpoint()];
            expect(bench, &[(DATA, STALE)]);
        }),
    ]
}

pub(super) fn cases() -> Vec<Case> {
    ROWS.iter().map(case_of).chain(others()).collect()
}

#[test]
fn each_difference_is_described_with_the_commands_that_fix_it() {
    for row in ROWS.iter().filter(|row| !row.says.is_empty()) {
        let (bench, outcome) = case_of(row).run();
        let first = outcome.diagnoses.first().unwrap_or_else(|| panic!("{}: no diagnosis", row.name));
        assert!(first.message.contains(row.says), "{}: {}", row.name, first.message);
        let is_stopped_at_login = first.endpoint == Endpoint::Login;
        let connections = bench.lab.connections(Listener::Login);
        assert_eq!(connections == 0, is_stopped_at_login, "{}: {connections}", row.name);
        assert_eq!(bench.lab.connections(Listener::Data), 0, "{}", row.name);
    }
}

#[test]
fn commands_add_the_expected_record_and_remove_the_wrong_one() {
    let set = |set: &str, verb: &str, option: &str| {
        format!(
            "az network private-dns record-set {set} {verb}-record --subscription ZONE_SUBSCRIPTION --resource-group \
             ZONE_RESOURCE_GROUP --zone-name privatelink.azurecr.io --record-set-name contoso --{option}"
        )
    };
    for (login, dig, changes) in [
        (
            &[STALE][..],
            " contoso.azurecr.io A",
            vec![
                format!("{} 127.0.0.2", set("a", "add", "ipv4-address")),
                format!("{} 127.0.0.44", set("a", "remove", "ipv4-address")),
            ],
        ),
        (
            &["127.0.0.2", "fd00:60::5"],
            " contoso.azurecr.io AAAA",
            vec![format!("{} fd00:60::5", set("aaaa", "remove", "ipv6-address"))],
        ),
    ] {
        let mut bench = Bench::with(|settings| settings.nameservers[0].login = view(login));
        expect(&mut bench, RIGHT);
        let outcome = bench.check();
        outcome.expect(UNEXPECTED);
        let commands = &outcome.diagnoses[0].commands;
        assert!(commands[0].ends_with(dig), "{commands:#?}");
        let found: Vec<&String> = commands.iter().filter(|command| command.contains("-record --")).collect();
        assert_eq!(found, changes.iter().collect::<Vec<_>>());
        assert!(
            commands.iter().any(|command| command.starts_with("az network nic show --ids")),
            "{commands:#?}"
        );
        let remedy = &outcome.diagnoses[0].remedy;
        assert!(remedy.ends_with("or the expected addresses in the configuration."), "{remedy}");
    }
}
