//! Properties of the gate between the evaluation of addresses and the first connection.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use acr_verifier::address::Scope;
use acr_verifier::findings::Findings;
use acr_verifier::observation::{Endpoint, Lookup, Observation, Rcode, Resolution, Resolver, Stage};
use acr_verifier::rules::Expectation;
use acr_verifier::verdict::Severity;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{HOST, answered_private, lookup};
use crate::observations::{self, CacheChoices, cache_of, diagnose, evaluate};

const NAMES: [(Endpoint, &str); 3] = [
    (Endpoint::Login, HOST),
    (Endpoint::Data, "contoso.westeurope.data.azurecr.io"),
    (Endpoint::Data, "contoso.northeurope.data.azurecr.io"),
];

/// The answers of one to three nameservers and up to two compared resolvers about each name.
fn answers() -> impl Strategy<Value = Vec<Vec<Resolution>>> {
    // Half of the answers are good, so that many names are allowed.
    let one = || prop_oneof![lookup(), Just(answered_private())];
    let of_name = |(endpoint, host): (Endpoint, &'static str)| {
        let answers = |least| vec((one(), one(), any::<bool>()), least..=3);
        (answers(1), answers(0)).prop_map(move |(system, compared)| {
            let system = system.into_iter().map(|answers| (Resolver::System, answers));
            let name = || Resolver::Compared("azure".to_owned());
            let compared = compared.into_iter().map(|answers| (name(), answers));
            let resolutions = system.chain(compared).zip(1..).map(|((resolver, (a, aaaa, slow)), number)| {
                let server = SocketAddr::from(([10, 60, 0, number], 53)).into();
                let (host, tcp_only) = (host.to_owned(), false);
                let duration = Duration::from_secs(slow.into());
                Resolution { endpoint, host, resolver, server, tcp_only, a, aaaa, duration }
            });
            resolutions.collect()
        })
    };
    NAMES.map(of_name).to_vec()
}

fn observation_of(resolutions: impl IntoIterator<Item = Resolution>) -> Observation {
    Observation { resolutions: resolutions.into_iter().collect(), ..Observation::default() }
}

/// The addresses that a nameserver returned for a name that exists.
fn returned(seen: &Resolution) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for lookup in [&seen.a, &seen.aaaa] {
        match lookup {
            Lookup::Answered(answer) if answer.rcode != Rcode::NXDOMAIN => {
                addresses.extend(&answer.addresses);
            }
            Lookup::Answered(_) | Lookup::Failed(_) => {}
        }
    }
    addresses
}

/// Checks every name of an observation: a connection is allowed only if the node's nameservers returned private and expected
/// addresses and nothing else, and only to those addresses.
fn check_gate(expectation: &Expectation, observation: &Observation) -> Result<(), TestCaseError> {
    let findings = evaluate(expectation, observation);
    for seen in &observation.resolutions {
        let Ok(allowed) = findings.allows_connect(seen.endpoint, &seen.host) else { continue };
        let of_node: Vec<&Resolution> = observation
            .resolutions
            .iter()
            .filter(|other| (other.endpoint, &other.host) == (seen.endpoint, &seen.host))
            .filter(|other| other.resolver == Resolver::System)
            .collect();
        let mut expected = BTreeSet::new();
        for answers in of_node {
            let addresses = returned(answers);
            for address in &addresses {
                prop_assert_eq!(
                    expectation.policy.classify(&seen.host, *address),
                    Scope::Private,
                    "{}",
                    address
                );
            }
            // A nameserver that returned no address has failed: none has denied the name.
            prop_assert!(!addresses.is_empty() || matches!(answers.a, Lookup::Failed(_)), "{:?}", answers);
            expected.extend(addresses.iter().map(IpAddr::to_canonical));
        }
        let allowed: BTreeSet<IpAddr> = allowed.as_slice().iter().copied().collect();
        prop_assert!(!allowed.is_empty());
        prop_assert_eq!(allowed, expected);
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_connection_is_allowed_only_if_every_answer_is_private_and_expected(
        expectation in observations::expectation(),
        answers in answers(),
        anything in observations::observation(),
    ) {
        check_gate(&expectation, &observation_of(answers.concat()))?;
        check_gate(&expectation, &anything)?;
    }

    #[test]
    fn a_connection_is_allowed_exactly_if_no_diagnosis_of_the_name_fails(
        expectation in observations::expectation(),
        answers in answers(),
        choices in any::<CacheChoices>(),
    ) {
        for ((endpoint, host), resolutions) in NAMES.into_iter().zip(answers) {
            let mut observation = observation_of(resolutions);
            observation.node_cache = cache_of(&observation.resolutions, choices);
            let diagnoses = diagnose(&expectation, &observation);
            let fails = |stage| diagnoses.iter().any(|found| {
                found.stage == stage && matches!(found.severity, Severity::Fail | Severity::Unknown)
            });
            let stopped = [Stage::Dns, Stage::Address].into_iter().find(|stage| fails(*stage));
            prop_assert_eq!(evaluate(&expectation, &observation).allows_connect(endpoint, host).err(), stopped);
        }
    }

    /// The probe evaluates a name as soon as the node's nameservers have answered, and compares all answers at its end.
    #[test]
    fn names_evaluated_one_by_one_have_the_findings_of_the_complete_observation(
        expectation in observations::expectation(),
        answers in answers(),
    ) {
        let complete = observation_of(answers.concat());
        let of_node = complete.resolutions.iter().filter(|seen| seen.resolver == Resolver::System);
        let mut findings = Findings::default();
        for known in 1..=NAMES.len() {
            let is_known = |seen: &&Resolution| {
                NAMES[..known].contains(&(seen.endpoint, seen.host.as_str()))
            };
            let observation = observation_of(of_node.clone().filter(is_known).cloned());
            findings.evaluate(&expectation.image, &expectation.policy, &observation);
        }
        findings.compare(&expectation.policy, &complete);
        prop_assert_eq!(findings, evaluate(&expectation, &complete));
    }
}

#[test]
fn no_connection_is_allowed_to_a_name_that_was_not_evaluated() {
    let expectation = super::expectation();
    let none = evaluate(&expectation, &Observation::default());
    assert_eq!(none.allows_connect(Endpoint::Login, HOST), Err(Stage::Dns));

    let good = super::observation(&[(answered_private(), answered_private())]);
    let findings = evaluate(&expectation, &good);
    assert!(findings.allows_connect(Endpoint::Login, HOST).is_ok());
    assert_eq!(findings.allows_connect(Endpoint::Data, HOST), Err(Stage::Dns));
    assert_eq!(findings.allows_connect(Endpoint::Login, "other.azurecr.io"), Err(Stage::Dns));
}
