//! What works, and how little it takes.

use super::Bench;
use crate::lab::log::Listener;
use acr_verifier::diagnosis::Verdict;
use acr_verifier::observation::{Endpoint, Stage};

#[test]
fn a_healthy_registry_passes_over_one_connection_to_each_endpoint() {
    let bench = Bench::healthy();
    let outcome = bench.check();
    outcome.expect(&[]);
    assert_eq!(outcome.verdict(), Verdict::Pass);
    for endpoint in Endpoint::ALL {
        for stage in Stage::of(endpoint) {
            assert!(outcome.observation.reached(endpoint, *stage), "{endpoint} {stage}");
        }
    }
    let blob = outcome.observation.blob.as_ref().expect("a blob was read");
    assert_eq!(blob.bytes_read, blob.size);
    assert_eq!(bench.lab.connections(Listener::Login), 1);
    assert_eq!(bench.lab.connections(Listener::Data), 1);
    assert_eq!(bench.lab.requests().len(), 6, "challenge, token, index, manifest, redirect, blob");
    assert_eq!(bench.lab.queries().len(), 4, "A and AAAA of both names");
}

/// The connection has to be idle again before the next request is sent, or a second one would be made beside it.
#[test]
fn no_check_of_many_needs_a_second_connection() {
    let bench = Bench::healthy();
    for round in 1..=25 {
        assert_eq!(bench.check().verdict(), Verdict::Pass);
        assert_eq!(bench.lab.connections(Listener::Login), round);
        assert_eq!(bench.lab.connections(Listener::Data), round);
    }
}
