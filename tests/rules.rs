//! Properties of the rules: total, deterministic, and independent of the order of observations.

mod gate;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use acr_verifier::address::AddressPolicy;
use acr_verifier::diagnosis::verdict_of;
use acr_verifier::observation::{
    Attempt, ConnectFailure, DnsAnswer, DnsFailure, DnsFailureKind, Endpoint, Failure, Fault, Lookup, Mark,
    Observation, Rcode, Record, RecordData, Resolution, Resolver, Stage, SystemError,
};
use acr_verifier::rules::Expectation;
use acr_verifier::verdict::{Severity, Verdict};
use jiff::Timestamp;
use proptest::prelude::*;

use crate::observations::{self, diagnose};

const HOST: &str = "contoso.azurecr.io";

fn expectation() -> Expectation {
    Expectation {
        image: format!("{HOST}/apps/canary:1").parse().expect("a reference"),
        policy: AddressPolicy {
            expected: vec!["10.60.0.0/16".parse().expect("a range")],
            ..AddressPolicy::default()
        },
        now: Timestamp::UNIX_EPOCH,
    }
}

fn lookup() -> impl Strategy<Value = Lookup> {
    let address = prop_oneof![
        Just("10.60.4.4"),
        Just("10.99.0.1"),
        Just("20.45.122.144"),
        Just("168.63.129.16"),
        Just("fd00::4"),
        Just("2603:1030::1"),
        Just("::ffff:10.60.4.4"),
    ];
    let addresses = proptest::collection::vec(address, 0..3);
    let answered =
        (addresses, any::<bool>(), any::<bool>()).prop_map(|(addresses, privatelink, nxdomain)| {
            let addresses: Vec<IpAddr> =
                addresses.iter().map(|text| text.parse().expect("an address")).collect();
            let target = if privatelink { "contoso.privatelink.azurecr.io." } else { "we.fe.azcr.io." };
            let alias =
                Record { name: format!("{HOST}."), ttl: 60, data: RecordData::Cname(target.to_owned()) };
            let rcode = if nxdomain && addresses.is_empty() { Rcode::NXDOMAIN } else { Rcode::NOERROR };
            let (soa_owner, extended_errors) = (None, Vec::new());
            Lookup::Answered(DnsAnswer {
                rcode,
                chain: vec![alias],
                addresses,
                soa_owner,
                extended_errors,
                over_tcp: false,
            })
        });
    let kind = prop_oneof![
        Just(DnsFailureKind::Timeout),
        Just(DnsFailureKind::Unreachable),
        Just(DnsFailureKind::Refused(Rcode::SERVFAIL)),
        Just(DnsFailureKind::Malformed),
        Just(DnsFailureKind::LameReferral),
        Just(DnsFailureKind::NotSent(out_of_descriptors())),
        Just(DnsFailureKind::TruncatedWithoutTcp),
        Just(DnsFailureKind::ChainTooLong),
    ];
    let failed = kind.prop_map(|kind| Lookup::Failed(DnsFailure { kind, extended_errors: Vec::new() }));
    prop_oneof![3 => answered, 1 => failed]
}

fn out_of_descriptors() -> SystemError {
    SystemError { number: Some(24), name: Some(("EMFILE", "the process has no free file descriptors")) }
}

fn observation(lookups: &[(Lookup, Lookup)]) -> Observation {
    let resolutions = lookups.iter().zip(1..).map(|((a, aaaa), number)| Resolution {
        endpoint: Endpoint::Login,
        host: HOST.to_owned(),
        resolver: Resolver::System,
        server: SocketAddr::from(([10, 60, 0, number], 53)).into(),
        tcp_only: false,
        a: a.clone(),
        aaaa: aaaa.clone(),
        duration: Duration::ZERO,
    });
    Observation {
        marks: vec![Mark { endpoint: Endpoint::Login, stage: Stage::Dns, duration: Duration::ZERO }],
        resolutions: resolutions.collect(),
        ..Observation::default()
    }
}

/// Returns the diagnoses without the parts that depend on the order.
fn kinds(observation: &Observation) -> Vec<(Severity, Endpoint, Stage, &'static str)> {
    kinds_for(&expectation(), observation)
}

fn kinds_for(
    expectation: &Expectation,
    observation: &Observation,
) -> Vec<(Severity, Endpoint, Stage, &'static str)> {
    let diagnoses = diagnose(expectation, observation);
    let mut kinds: Vec<_> =
        diagnoses.iter().map(|one| (one.severity, one.endpoint, one.stage, one.cause.code())).collect();
    kinds.sort_unstable();
    kinds
}

proptest! {
    #[test]
    fn the_order_of_nameservers_does_not_change_the_causes(
        lookups in proptest::collection::vec((lookup(), lookup()), 1..4),
        shift in 0usize..3,
    ) {
        let mut other = lookups.clone();
        other.rotate_left(shift % lookups.len());
        prop_assert_eq!(kinds(&observation(&lookups)), kinds(&observation(&other)));
    }

    #[test]
    fn one_wrong_nameserver_fails_the_check_whatever_the_others_answer(
        lookups in proptest::collection::vec((lookup(), lookup()), 0..3),
        address in prop_oneof![Just("20.45.122.144"), Just("10.99.0.1"), Just("127.0.0.1")],
    ) {
        let answer = DnsAnswer {
            rcode: Rcode::NOERROR,
            chain: Vec::new(),
            addresses: vec![address.parse().expect("an address")],
            soa_owner: None,
            extended_errors: Vec::new(),
            over_tcp: false,
        };
        let wrong = (Lookup::Answered(answer.clone()), Lookup::Answered(DnsAnswer { addresses: Vec::new(), ..answer }));
        let observation = observation(&[lookups, vec![wrong]].concat());
        prop_assert_eq!(verdict_of(&diagnose(&expectation(), &observation)), Verdict::Fail);
    }

    #[test]
    fn diagnoses_are_sorted_repeatable_and_unique(
        lookups in proptest::collection::vec((lookup(), lookup()), 0..4),
    ) {
        let observation = observation(&lookups);
        let diagnoses = diagnose(&expectation(), &observation);
        prop_assert_eq!(&diagnoses, &diagnose(&expectation(), &observation));
        prop_assert!(diagnoses.is_sorted_by_key(|found| (found.severity, found.endpoint, found.stage)));
        let mut causes: Vec<_> = diagnoses.iter().map(|found| (found.endpoint, found.cause)).collect();
        let all = causes.len();
        causes.sort_unstable();
        causes.dedup();
        prop_assert_eq!(causes.len(), all);
    }

    #[test]
    fn the_first_diagnosis_decides_and_a_failure_is_never_a_pass(
        expectation in observations::expectation(),
        observation in observations::observation(),
    ) {
        let diagnoses = diagnose(&expectation, &observation);
        prop_assert_eq!(&diagnoses, &diagnose(&expectation, &observation));
        prop_assert!(diagnoses.is_sorted_by_key(|found| (found.severity, found.endpoint, found.stage)));
        let decided = diagnoses.first().map_or(Verdict::Pass, |first| first.severity.verdict());
        prop_assert_eq!(verdict_of(&diagnoses), decided);
        if let Some(failure) = &observation.failure {
            prop_assert!(matches!(decided, Verdict::Fail | Verdict::Unknown), "{:?}: {:?}", failure, diagnoses);
        }
        for diagnosis in &diagnoses {
            prop_assert!(!diagnosis.message.is_empty() && !diagnosis.remedy.is_empty());
        }
    }

    #[test]
    fn the_order_of_observations_does_not_change_the_causes(
        expectation in observations::expectation(),
        (observation, shuffled) in observations::observation().prop_flat_map(|observation| {
            let resolutions = Just(observation.resolutions.clone()).prop_shuffle();
            let attempts = Just(observation.attempts.clone()).prop_shuffle();
            let marks = Just(observation.marks.clone()).prop_shuffle();
            let seen = observation.clone();
            let shuffled = (resolutions, attempts, marks).prop_map(move |(resolutions, attempts, marks)| {
                Observation { resolutions, attempts, marks, ..seen.clone() }
            });
            (Just(observation), shuffled)
        }),
    ) {
        prop_assert_eq!(kinds_for(&expectation, &observation), kinds_for(&expectation, &shuffled));
    }
}

#[test]
fn messages_name_tcp_if_queries_use_only_tcp() {
    for (kind, expected) in [
        (DnsFailureKind::Timeout, "did not answer over TCP in time"),
        (DnsFailureKind::Unreachable, "cannot be reached over TCP"),
    ] {
        let failed = || Lookup::Failed(DnsFailure { kind: kind.clone(), extended_errors: Vec::new() });
        let mut observation = observation(&[(failed(), failed())]);
        let message = |observation: &Observation| diagnose(&expectation(), observation)[0].message.clone();
        assert!(!message(&observation).contains("TCP"), "{}", message(&observation));
        observation.resolutions[0].tcp_only = true;
        assert!(message(&observation).contains(expected), "{}", message(&observation));
    }
}

#[test]
fn an_error_for_one_query_is_not_a_timeout() {
    let failed = |kind| Lookup::Failed(DnsFailure { kind, extended_errors: Vec::new() });
    let refused = || failed(DnsFailureKind::Refused(Rcode::SERVFAIL));
    let silent = || failed(DnsFailureKind::Timeout);
    for (a, aaaa, cause, expected) in [
        (silent(), silent(), "dns_timeout", "10.60.0.1 did not answer in time."),
        (
            silent(),
            refused(),
            "dns_server_failure",
            "10.60.0.1 did not answer in time (A query) and returned SERVFAIL (AAAA query).",
        ),
        (refused(), refused(), "dns_server_failure", "10.60.0.1 returned SERVFAIL."),
    ] {
        let diagnoses = diagnose(&expectation(), &observation(&[(a, aaaa)]));
        let codes: Vec<_> = diagnoses.iter().map(|diagnosis| diagnosis.cause.code()).collect();
        assert_eq!(codes, [cause]);
        assert!(diagnoses[0].message.ends_with(expected), "{}", diagnoses[0].message);
    }
}

/// An error of the node's operating system says nothing about the network: the verdict is unknown, with the error.
#[test]
fn an_operating_system_error_is_unknown_not_a_missing_route() {
    let not_sent = || {
        let kind = DnsFailureKind::NotSent(out_of_descriptors());
        Lookup::Failed(DnsFailure { kind, extended_errors: Vec::new() })
    };
    let diagnoses = diagnose(&expectation(), &observation(&[(not_sent(), not_sent())]));
    assert_eq!(
        kinds(&observation(&[(not_sent(), not_sent())])),
        [(Severity::Unknown, Endpoint::Login, Stage::Dns, "dns_timeout")]
    );
    assert!(diagnoses[0].message.contains("could not be queried by this node (EMFILE"), "{diagnoses:?}");

    for (failure, severity, cause, said) in [
        (ConnectFailure::Unreachable, Severity::Fail, "network_unreachable", "no route to 10.60.4.4:443"),
        (
            ConnectFailure::NotOpened(out_of_descriptors()),
            Severity::Unknown,
            "connect_refused",
            "could not open a connection to 10.60.4.4:443 (contoso.azurecr.io): EMFILE, the process has no free \
             file descriptors; nothing was sent.",
        ),
    ] {
        let address = "10.60.4.4:443".parse().expect("an address");
        let mut seen = observation(&[]);
        seen.attempts.push(Attempt { endpoint: Endpoint::Login, address, failure: Some(failure) });
        seen.resolutions = observation(&[(answered_private(), answered_private())]).resolutions;
        let fault = Fault::NotConnected;
        seen.failure = Some(Failure { endpoint: Endpoint::Login, stage: Stage::Connect, fault });
        let diagnoses = diagnose(&expectation(), &seen);
        assert_eq!(kinds(&seen), [(severity, Endpoint::Login, Stage::Connect, cause)]);
        assert!(diagnoses[0].message.contains(said), "{}", diagnoses[0].message);
        let is_about_routes = diagnoses[0].commands.iter().any(|command| command.contains("ip route"));
        assert_eq!(is_about_routes, cause == "network_unreachable");
    }
}

fn answered_private() -> Lookup {
    Lookup::Answered(DnsAnswer {
        rcode: Rcode::NOERROR,
        chain: Vec::new(),
        addresses: vec!["10.60.4.4".parse().expect("an address")],
        soa_owner: None,
        extended_errors: Vec::new(),
        over_tcp: false,
    })
}

/// An AAAA query that fails at once next to a valid A answer costs a pull nothing; a slow one delays it.
#[test]
fn a_nameserver_is_failing_only_if_a_pull_waits_or_gets_no_address() {
    let failed = |kind| Lookup::Failed(DnsFailure { kind, extended_errors: Vec::new() });
    let servfail = || failed(DnsFailureKind::Refused(Rcode::SERVFAIL));
    let silent = || failed(DnsFailureKind::Timeout);
    let good = || (answered_private(), answered_private());
    let late = Duration::from_secs(2);
    for (name, lookups, duration, expected) in [
        ("AAAA refused at once", vec![(answered_private(), servfail())], Duration::ZERO, None),
        ("AAAA refused late", vec![(answered_private(), servfail())], late, Some("every pull waits for it")),
        ("AAAA silent", vec![(answered_private(), silent())], late, Some("every pull waits for it")),
        (
            "AAAA silent at the second",
            vec![good(), (answered_private(), silent())],
            Duration::ZERO,
            Some("a pull that queries it first waits for it"),
        ),
        (
            "A refused at the second",
            vec![good(), (servfail(), servfail())],
            Duration::ZERO,
            Some("pulls depend on the others"),
        ),
    ] {
        let mut seen = observation(&lookups);
        seen.resolutions.iter_mut().for_each(|resolution| resolution.duration = duration);
        let diagnoses = diagnose(&expectation(), &seen);
        match expected {
            None => assert_eq!(diagnoses, [], "{name}"),
            Some(said) => {
                assert!(diagnoses[0].message.contains(said), "{name}: {}", diagnoses[0].message);
                let query = if name.starts_with("AAAA") { "AAAA" } else { "A" };
                let dig = &diagnoses[0].commands[0];
                assert!(dig.ends_with(&format!(" {query}")), "{name}: {dig}");
            }
        }
    }
}

/// Private addresses that are not the endpoint's show which records are wrong, so those of every nameserver are listed.
#[test]
fn the_addresses_of_all_nameservers_are_in_one_diagnosis() {
    let answered = |address: &str| match answered_private() {
        Lookup::Answered(answer) => {
            let addresses = vec![address.parse().expect("an address")];
            let lookup = Lookup::Answered(DnsAnswer { addresses, ..answer });
            (lookup.clone(), lookup)
        }
        Lookup::Failed(_) => panic!("an answer"),
    };
    let mut expectation = expectation();
    expectation.policy.exact.add(HOST, "10.60.4.4".parse().expect("an address")).expect("room for it");
    let seen = observation(&[answered("10.60.4.8"), answered("10.60.4.4"), answered("10.60.4.9")]);
    let diagnoses = diagnose(&expectation, &seen);
    assert_eq!(diagnoses[0].cause.code(), "unexpected_address");
    assert_eq!(
        diagnoses[0].message,
        "Nameservers 10.60.0.1 and 10.60.0.3 (of 3) resolve contoso.azurecr.io to 10.60.4.8 and 10.60.4.9, but the \
         private endpoint has 10.60.4.4 for this name."
    );
    assert_eq!(diagnoses.iter().filter(|found| found.cause == diagnoses[0].cause).count(), 1);
}
