//! Resolvers that are compared: asked beside the node's own, never waited for on the way, and never taken for what they
//! did not say.

use std::time::{Duration, Instant};

use acr_verifier::config::SystemResolver;
use acr_verifier::observation::{Endpoint, Resolver, Stage};
use acr_verifier::rules::names::{Comparison, compare};

use super::{Bench, Outcome};
use crate::lab::settings::{Behaviour, Nameserver, View};

/// What a check may take on a busy machine that waits for nothing: a tenth of the limit of a stage.
const PROMPT: Duration = Duration::from_secs(3);

/// A lab whose second nameserver is compared, with a limit that nobody should wait for.
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
    Endpoint::ALL.map(|endpoint| compare(endpoint, &outcome.observation.resolutions))
}

#[test]
fn a_compared_resolver_that_does_not_answer_costs_no_waiting_and_is_said() {
    for behaviour in [Behaviour::Silent, Behaviour::Closed] {
        for configured in [false, true] {
            let bench = bench(&Nameserver::behaving(behaviour.clone()), configured);
            let started = Instant::now();
            let outcome = bench.check();
            let taken = started.elapsed();
            assert!(taken < PROMPT, "{behaviour:?}: {taken:?}");
            outcome.expect(&["warn login dns resolvers_disagree", "warn data dns resolvers_disagree"]);
            assert_eq!(comparisons(&outcome), [Comparison::Incomplete; 2]);
            // What the check itself took has no part of the wait for the others.
            for mark in outcome.observation.marks.iter().filter(|mark| mark.stage == Stage::Dns) {
                assert!(mark.duration < Duration::from_millis(450), "{mark:?}");
            }
            for diagnosis in &outcome.diagnoses {
                let Some(said) = diagnosis.message.strip_prefix("The compared resolver ") else {
                    panic!("{}", diagnosis.message);
                };
                assert!(said.contains("(azure) did not answer in time for contoso."), "{said}");
                assert!(diagnosis.remedy.contains("`resolvers.compare`"), "{}", diagnosis.remedy);
            }
        }
    }
}

/// A name that fails at once leaves the compared resolver the time to answer all the same.
#[test]
fn a_compared_resolver_has_its_time_where_the_check_itself_is_over_at_once() {
    let second = Nameserver::behaving(Behaviour::Delay(Duration::from_millis(100)));
    let bench = bench(&second, false);
    bench.lab.change(|settings| settings.nameservers[0].login = View::NoSuchName);
    let outcome = bench.check();
    outcome.expect(&["fail login dns name_not_found", "warn login dns resolvers_disagree"]);
    assert_eq!(comparisons(&outcome), [Comparison::Different, Comparison::Nothing]);
    assert!(outcome.diagnoses[1].message.starts_with("The resolvers disagree about "));
}

/// Datagrams get lost: a resolver that answers the third of a question is no silent one.
#[test]
fn a_compared_resolver_may_lose_two_datagrams() {
    let bench = bench(&Nameserver::behaving(Behaviour::DropFirst(2)), false);
    bench.check().expect(&[]);
}

/// Each stands behind the node's own of the same name, whenever its answer came.
#[test]
fn the_order_of_the_report_is_that_of_the_names() {
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

/// What there is nothing to compare with is not alike.
#[test]
fn one_nameserver_alone_agrees_with_nobody() {
    let outcome = Bench::healthy().check();
    assert_eq!(comparisons(&outcome), [Comparison::Nothing; 2]);
}
