//! Healthy registries, and the minimal cost of their checks.

use std::collections::BTreeSet;

use super::Bench;
use acr_verifier::observation::{Endpoint, Request, Stage};
use acr_verifier::verdict::Verdict;
use lab::log::Listener;
use lab::settings::{Behaviour, Nameserver};

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
    let methods: Vec<String> = bench.lab.requests().into_iter().map(|request| request.method).collect();
    assert_eq!(
        methods,
        ["HEAD", "POST", "GET", "HEAD", "GET", "GET", "GET", "GET"],
        "the same requests as containerd sends to ACR"
    );
    let request = |endpoint, stage, status| Request { endpoint, stage, status: Some(status) };
    assert_eq!(
        outcome.observation.requests,
        [
            request(Endpoint::Login, Stage::Challenge, 401),
            request(Endpoint::Login, Stage::Token, 400),
            request(Endpoint::Login, Stage::Token, 200),
            request(Endpoint::Login, Stage::Manifest, 200),
            request(Endpoint::Login, Stage::Manifest, 200),
            request(Endpoint::Login, Stage::Manifest, 200),
            request(Endpoint::Login, Stage::Blob, 307),
            request(Endpoint::Data, Stage::Blob, 200),
        ]
    );
    assert_eq!(bench.lab.queries().len(), 4, "A and AAAA of both names");
}

/// The connection has to be idle again before the next request is sent; otherwise the client would open a second one.
#[test]
fn repeated_checks_use_one_connection_to_each_endpoint() {
    let bench = Bench::healthy();
    for round in 1..=25 {
        assert_eq!(bench.check().verdict(), Verdict::Pass);
        assert_eq!(bench.lab.connections(Listener::Login), round);
        assert_eq!(bench.lab.connections(Listener::Data), round);
    }
}

/// Counts the round trips of `probe.rs`: simultaneous queries count once, sequential requests count separately.
#[test]
fn a_healthy_check_waits_for_fourteen_round_trips() {
    let together = Nameserver::behaving(Behaviour::Together);
    let bench = Bench::with(|settings| settings.nameservers = vec![together.clone(), together]);
    bench.check().expect(&[]);
    let queries = bench.lab.queries();
    let names: BTreeSet<&str> = queries.iter().map(|query| query.name.as_str()).collect();
    assert_eq!(queries.len(), names.len() * 4, "A and AAAA of two nameservers, once: {queries:#?}");
    let connections = bench.lab.all_connections();
    for connection in &connections {
        assert_eq!(connection.tls_version.as_deref(), Some("TLSv1_3"), "TLS 1.2 takes one more");
    }
    // TCP and TLS of each connection.
    assert_eq!(names.len() + 2 * connections.len() + bench.lab.requests().len(), 14);
}

#[test]
fn the_name_of_a_configured_data_endpoint_is_queried_once() {
    let mut bench = Bench::healthy();
    bench.task.data_endpoints = vec![bench.lab.data_endpoint()];
    bench.check().expect(&[]);
    assert_eq!(bench.lab.queries().len(), 4, "A and AAAA of both names");
}
