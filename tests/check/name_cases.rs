//! Names and addresses: every fault of nameservers, at both endpoints.

use std::net::IpAddr;
use std::time::Duration;

use acr_verifier::config::SystemResolver;

use super::{Case, case};
use lab::settings::{
    Behaviour, ChainRecord, ExtendedError, Nameserver, Rcode, RecordValue, Settings, TcpDeath, View,
};

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn addresses(list: &[&str]) -> View {
    View::Addresses(list.iter().map(|text| ip(text)).collect())
}

/// One nameserver with this behaviour.
fn behaving(name: &str, behaviour: Behaviour, expected: &[&str]) -> Case {
    case(name, move |settings| settings.nameservers[0].behaviour = behaviour.clone(), expected)
}

/// Applies one view to the login server, then to the data endpoint; `{}` is replaced with the endpoint.
fn seen(name: &str, view: &View, expected: &str) -> [Case; 2] {
    let (login, data) = (view.clone(), view.clone());
    [
        case(
            format!("{name}, login"),
            move |settings| settings.nameservers[0].login = login.clone(),
            &[&expected.replace("{}", "login")],
        ),
        case(
            format!("{name}, data"),
            move |settings| settings.nameservers[0].data = data.clone(),
            &[&expected.replace("{}", "data")],
        ),
    ]
}

/// A healthy nameserver with a second one.
fn second(name: &str, nameserver: Nameserver, expected: &[&str]) -> Case {
    case(name, move |settings| settings.nameservers.push(nameserver.clone()), expected)
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(views());
    cases.extend(behaviours());
    cases.extend(several());
    cases
}

fn views() -> Vec<Case> {
    let alias = |target: &str| {
        let chain = vec![ChainRecord {
            name: "contoso.azurecr.io".into(),
            value: RecordValue::Cname(target.into()),
            ttl: 60,
        }];
        View::Chain(chain, Rcode::NxDomain)
    };
    let rows = [
        ("zone not linked", View::NotLinked, "fail {} address private_zone_not_linked"),
        ("no private endpoint", View::NoPrivateEndpoint, "fail {} address no_private_endpoint"),
        ("record missing", View::RecordMissing, "fail {} dns private_record_missing"),
        ("record empty", View::RecordEmpty, "fail {} dns private_record_missing"),
        ("no such name", View::NoSuchName, "fail {} dns name_not_found"),
        ("loop", View::CnameLoop, "fail {} dns dns_server_failure"),
        ("chain of 40", View::LongChain(40), "fail {} dns dns_server_failure"),
        ("mixed", addresses(&["127.0.0.2", "20.45.122.144"]), "fail {} address mixed_addresses"),
        ("public AAAA", addresses(&["127.0.0.2", "2603:1030:800::1"]), "fail {} address mixed_addresses"),
        (
            "mapped public",
            addresses(&["127.0.0.2", "::ffff:20.45.122.144"]),
            "fail {} address mixed_addresses",
        ),
        ("platform address", addresses(&["168.63.129.16"]), "fail {} address reserved_address"),
        ("link-local", addresses(&["169.254.10.10"]), "fail {} address reserved_address"),
        ("unspecified", addresses(&["0.0.0.0"]), "fail {} address reserved_address"),
        (
            "reserved among valid ones",
            addresses(&["127.0.0.2", "ff02::1"]),
            "fail {} address reserved_address",
        ),
    ];
    let mut cases: Vec<Case> =
        rows.iter().flat_map(|(name, view, expected)| seen(name, view, expected)).collect();
    cases.push(case(
        "alias to an absent name",
        move |settings| settings.nameservers[0].login = alias("gone.example.net"),
        &["fail login dns name_not_found"],
    ));
    cases.extend(half_answers());
    for (name, adjusted) in [("login", "127.0.0.3/32"), ("data", "127.0.0.2/32")] {
        let expected = format!("fail {name} address unexpected_address");
        cases.push(
            case(format!("outside the expected range, {name}"), |_| {}, &[&expected])
                .adjust(move |bench| bench.task.policy.expected = vec![adjusted.parse().expect("a range")]),
        );
    }
    cases.push(
        case("loopback is reserved", |_| {}, &["fail login address reserved_address"])
            .adjust(|bench| bench.task.policy.allow_loopback = false),
    );
    cases.push(
        case("an expected range never accepts loopback", |_| {}, &["fail login address reserved_address"])
            .adjust(|bench| {
                bench.task.policy.allow_loopback = false;
                bench.task.policy.expected = vec!["127.0.0.0/8".parse().expect("a range")];
            }),
    );
    cases.push(
        case(
            "configured data endpoint without a record",
            |settings| settings.nameservers[0].data = View::RecordMissing,
            &["fail data dns private_record_missing"],
        )
        .adjust(|bench| bench.task.data_endpoints = vec![bench.lab.data_endpoint()]),
    );
    cases.push(
        case("configured data endpoint that does not exist", |_| {}, &["fail data dns name_not_found"])
            .adjust(|bench| bench.task.data_endpoints = vec!["contoso.northeurope.data.azurecr.io".into()]),
    );
    cases
}

/// Chains with a privatelink name but no usable address: the zone that denies it determines the cause.
fn half_answers() -> Vec<Case> {
    let (login, private) = ("contoso.azurecr.io", "contoso.privatelink.azurecr.io");
    let alias = |from: &str, to: &str| ChainRecord {
        name: from.into(),
        value: RecordValue::Cname(to.into()),
        ttl: 60,
    };
    let address = ChainRecord { name: private.into(), value: RecordValue::Address(ip("127.0.0.2")), ttl: 60 };
    let linked = alias(login, private);
    let beyond = vec![linked.clone(), alias(private, "we.fe.azcr.io")];
    let rows = [
        ("alias not followed, no zone", vec![linked.clone()], Rcode::NoError, "dns_server_failure"),
        (
            "NXDOMAIN below privatelink, no zone",
            vec![linked.clone()],
            Rcode::NxDomain,
            "private_record_missing",
        ),
        // Go reports no such host for NXDOMAIN, whatever else the answer contains.
        ("NXDOMAIN with an address", vec![linked, address], Rcode::NxDomain, "private_record_missing"),
        ("alias beyond privatelink, no address", beyond.clone(), Rcode::NoError, "dns_server_failure"),
        ("NXDOMAIN beyond privatelink", beyond, Rcode::NxDomain, "dns_server_failure"),
    ];
    let cases = rows.into_iter().map(|(name, records, code, cause)| {
        let view = View::Chain(records, code);
        let expected = format!("fail login dns {cause}");
        case(name, move |settings| settings.nameservers[0].login = view.clone(), &[&expected])
    });
    cases.collect()
}

fn behaviours() -> Vec<Case> {
    let refused = Behaviour::Rcode(Rcode::Refused, None);
    let failing = Behaviour::Rcode(
        Rcode::ServFail,
        Some(ExtendedError { info_code: 22, text: "No reachable authority".into() }),
    );
    let dead = |death| Behaviour::TruncatedTcpDead(death);
    vec![
        behaving("silent", Behaviour::Silent, &["fail login dns dns_timeout"]),
        behaving("closed port", Behaviour::Closed, &["fail login dns dns_timeout"]),
        behaving("wrong id only", Behaviour::WrongId, &["fail login dns dns_timeout"]),
        behaving("foreign source only", Behaviour::ForeignSource, &["fail login dns dns_timeout"]),
        behaving("wrong question only", Behaviour::WrongQuestion, &["fail login dns dns_timeout"]),
        behaving("servfail", failing, &["fail login dns dns_server_failure"]),
        behaving("refused", refused, &["fail login dns dns_server_failure"]),
        behaving("garbage", Behaviour::Garbage, &["fail login dns dns_server_failure"]),
        behaving("truncated, tcp refused", dead(TcpDeath::Refuses), &["fail login dns dns_server_failure"]),
        behaving("truncated, tcp closes", dead(TcpDeath::Closes), &["fail login dns dns_server_failure"]),
        behaving("truncated, tcp silent", dead(TcpDeath::Silent), &["fail login dns dns_server_failure"]),
        behaving("too many addresses", Behaviour::HugeAnswer(1000), &["fail login dns dns_server_failure"]),
        // All of 10.0.0.0/8, where nothing may be sent: the expected range keeps the check at the address stage.
        behaving("200 addresses", Behaviour::HugeAnswer(200), &["fail login address unexpected_address"])
            .adjust(|bench| bench.task.policy.expected = vec!["127.0.0.0/8".parse().expect("a range")]),
        behaving("spoofed, then right", Behaviour::SpoofThenAnswer, &[]),
        behaving("truncated, tcp answers", Behaviour::Truncated, &[]),
        behaving("two datagrams lost", Behaviour::DropFirst(2), &[]),
        // Go takes every address of an answer, whatever its owner name.
        behaving(
            "foreign records",
            Behaviour::AnswersUnrelatedRecords,
            &["fail login address mixed_addresses"],
        ),
        behaving("broken authority section", Behaviour::BrokenAuthority, &[]),
        behaving("broken additional section", Behaviour::BrokenOption, &[]),
        behaving("slow", Behaviour::Delay(Duration::from_millis(100)), &[]),
        behaving(
            "aaaa silent",
            Behaviour::AaaaSilent,
            &["warn login dns nameserver_failing", "warn data dns nameserver_failing"],
        ),
        // Go gets the A record at once, and nothing is slow.
        behaving("aaaa servfail", Behaviour::AaaaRcode(Rcode::ServFail), &[]),
        behaving("aaaa refused", Behaviour::AaaaRcode(Rcode::Refused), &[]),
        behaving("aaaa not implemented", Behaviour::AaaaRcode(Rcode::NotImp), &[]),
        behaving("aaaa NXDOMAIN next to a valid A", Behaviour::AaaaRcode(Rcode::NxDomain), &[]),
        behaving("out of time in dns", Behaviour::Silent, &["unknown login dns deadline_exceeded"])
            .adjust(|bench| bench.task.timeout = Duration::from_millis(300)),
        case("no nameserver", |_| {}, &["fail login dns no_nameserver"])
            .adjust(|bench| bench.task.resolvers.system = SystemResolver::Servers(Vec::new())),
        case("resolv.conf without a nameserver", |_| {}, &["fail login dns no_nameserver"]).adjust(|bench| {
            let path = bench.lab.folder().join("resolv.conf");
            std::fs::write(&path, "# No DNS servers known.\nsearch example.net\n").expect("a file");
            bench.task.resolvers.system = SystemResolver::File(path);
        }),
        case("resolv.conf that does not exist", |_| {}, &["fail login dns no_nameserver"]).adjust(|bench| {
            bench.task.resolvers.system = SystemResolver::File(bench.lab.folder().join("absent"));
        }),
    ]
}

fn several() -> Vec<Case> {
    let disagree = "warn login dns resolvers_disagree";
    let both = |first: Behaviour, second: Behaviour| {
        move |settings: &mut Settings| {
            settings.nameservers =
                vec![Nameserver::behaving(first.clone()), Nameserver::behaving(second.clone())];
        }
    };
    let compare = |bench: &mut super::Bench| {
        let servers = bench.lab.nameservers();
        bench.task.resolvers.system = SystemResolver::Servers(vec![servers[0].into()]);
        bench.task.resolvers.compare = vec![("azure".to_owned(), servers[1].into())];
    };
    vec![
        second("two that agree", Nameserver::default(), &[]),
        second(
            "second has no A, and fails for AAAA",
            Nameserver {
                behaviour: Behaviour::AaaaRcode(Rcode::ServFail),
                login: View::RecordEmpty,
                ..Nameserver::default()
            },
            &["fail login dns private_record_missing", "warn login dns resolvers_disagree"],
        ),
        second(
            "second silent",
            Nameserver::behaving(Behaviour::Silent),
            &["warn login dns nameserver_failing", "warn data dns nameserver_failing"],
        ),
        second(
            "second closed",
            Nameserver::behaving(Behaviour::Closed),
            &["warn login dns nameserver_failing", "warn data dns nameserver_failing"],
        ),
        second(
            "second refuses",
            Nameserver::behaving(Behaviour::Rcode(Rcode::Refused, None)),
            &["warn login dns nameserver_failing", "warn data dns nameserver_failing"],
        ),
        second(
            "second public",
            Nameserver::seeing(View::NotLinked),
            &["fail login address private_zone_not_linked", disagree],
        ),
        second(
            "second returns no such name",
            Nameserver::seeing(View::NoSuchName),
            &["fail login dns name_not_found", disagree],
        ),
        second(
            "second has no record of the data endpoint",
            Nameserver { data: View::RecordMissing, ..Nameserver::default() },
            &["fail data dns private_record_missing", "warn data dns resolvers_disagree"],
        ),
        case(
            "one silent, one failing",
            both(Behaviour::Silent, Behaviour::Rcode(Rcode::ServFail, None)),
            &["fail login dns dns_server_failure"],
        ),
        case("both silent", both(Behaviour::Silent, Behaviour::Closed), &["fail login dns dns_timeout"]),
        second(
            "compared resolver sees the public chain",
            Nameserver::seeing(View::NotLinked),
            &[disagree, "warn data dns resolvers_disagree"],
        )
        .adjust(compare),
        // Nothing was compared, and the check reports it.
        second(
            "compared resolver is silent",
            Nameserver::behaving(Behaviour::Silent),
            &[disagree, "warn data dns resolvers_disagree"],
        )
        .adjust(compare),
        second(
            "compared resolver does not exist",
            Nameserver::behaving(Behaviour::Closed),
            &[disagree, "warn data dns resolvers_disagree"],
        )
        .adjust(compare),
        second(
            "compared resolver refuses",
            Nameserver::behaving(Behaviour::Rcode(Rcode::Refused, None)),
            &[disagree, "warn data dns resolvers_disagree"],
        )
        .adjust(compare),
        // It returned the addresses: its AAAA answer does not matter.
        second("compared resolver is silent for AAAA", Nameserver::behaving(Behaviour::AaaaSilent), &[])
            .adjust(compare),
        second("compared resolver agrees", Nameserver::default(), &[]).adjust(compare),
    ]
}
