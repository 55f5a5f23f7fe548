//! Compared resolvers: queried in addition to the node's own, without delaying the check, and without guessing their answers.

use std::time::{Duration, Instant};

use acr_verifier::config::SystemResolver;
use acr_verifier::findings::Comparison;
use acr_verifier::observation::{Endpoint, Resolver, Stage};

use super::{Bench, Outcome};
use lab::settings::{Behaviour, Nameserver, View};

/// Maximum duration of a check without waiting, on a busy machine: a tenth of the per-stage timeout.
const PROMPT: Duration = Duration::from_secs(3);

/// A lab whose second nameserver is compared, with a per-stage timeout that no check should reach.
fn bench(second: &Nameserver, configured: bool) -> Bench {
    let mut bench = Bench::with(|settings| settings.nameservers.push(second.clone()));
    let servers = bench.lab.nameservers();
    bench.task.resolvers.system = SystemResolver::Servers(vec![servers[0].into()]);
    bench.task.resolvers.compare = vec![("azure".to_owned(), servers[1].into())];
    bench.task.stage_timeout = Duration::from_secs(30);
    bench.task.timeout = Duration::from_secs(60);
    if configured {
        bench.task.data_endpoints = vec![bench.lab.data_endpoint()];
    }
    bench
}

fn comparisons(outcome: &Outcome) -> [Comparison; 2] {
    Endpoint::ALL.map(|endpoint| outcome.comparisons.of(endpoint))
}

#[test]
fn a_silent_compared_resolver_is_reported_without_delaying_the_check() {
    for behaviour in [Behaviour::Silent, Behaviour::Closed] {
        for configured in [false, true] {
            let bench = bench(&Nameserver::behaving(behaviour.clone()), configured);
            let started = Instant::now();
            let outcome = bench.check();
            let taken = started.elapsed();
            assert!(taken < PROMPT, "{behaviour:?}: {taken:?}");
            outcome.expect(&["warn login dns resolvers_disagree", "warn data dns resolvers_disagree"]);
            assert_eq!(comparisons(&outcome), [Comparison::Incomplete; 2]);
            // The duration of the stage excludes the wait for compared resolvers.
            for mark in outcome.observation.marks.iter().filter(|mark| mark.stage == Stage::Dns) {
                assert!(mark.duration < Duration::from_millis(450), "{mark:?}");
            }
            for diagnosis in &outcome.diagnoses {
                let Some(rest) = diagnosis.message.strip_prefix("The compared resolver ") else {
                    panic!("{}", diagnosis.message);
                };
                assert!(rest.contains("(azure) did not answer in time for contoso."), "{rest}");
                assert!(diagnosis.remedy.contains("`resolvers.compare`"), "{}", diagnosis.remedy);
            }
        }
    }
}

/// If the name fails at once, the compared resolver still has time to answer.
#[test]
fn a_compared_resolver_can_answer_after_the_check_has_failed() {
    let second = Nameserver::behaving(Behaviour::Delay(Duration::from_millis(100)));
    let bench = bench(&second, false);
    bench.lab.change(|settings| settings.nameservers[0].login = View::NoSuchName);
    let outcome = bench.check();
    outcome.expect(&["fail login dns name_not_found", "warn login dns resolvers_disagree"]);
    assert_eq!(comparisons(&outcome), [Comparison::Different, Comparison::Nothing]);
    assert!(outcome.diagnoses[1].message.starts_with("The resolvers disagree about "));
}

/// Datagrams get lost: a resolver that answers the third attempt is not silent.
#[test]
fn two_lost_datagrams_do_not_make_a_compared_resolver_silent() {
    let bench = bench(&Nameserver::behaving(Behaviour::DropFirst(2)), false);
    bench.check().expect(&[]);
}

/// Each compared answer follows the node's own answer for the same name, whenever it arrived.
#[test]
fn resolutions_are_ordered_by_name() {
    let bench = bench(&Nameserver::behaving(Behaviour::Delay(Duration::from_millis(50))), true);
    let outcome = bench.check();
    outcome.expect(&[]);
    assert_eq!(comparisons(&outcome), [Comparison::Alike; 2]);
    let order: Vec<_> = outcome
        .observation
        .resolutions
        .iter()
        .map(|seen| (seen.endpoint, seen.resolver != Resolver::System))
        .collect();
    let expected =
        [(Endpoint::Login, false), (Endpoint::Login, true), (Endpoint::Data, false), (Endpoint::Data, true)];
    assert_eq!(order, expected);
}

/// A single answer does not count as an agreement.
#[test]
fn a_single_nameserver_is_not_compared() {
    let outcome = Bench::healthy().check();
    assert_eq!(comparisons(&outcome), [Comparison::Nothing; 2]);
}
