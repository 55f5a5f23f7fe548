//! Attacks by a registry, a nameserver or a device on the path: floods, slow responses, decompression bombs and false data.
//!
//! The limits for every case (duration, forbidden destinations, secrets in the output) are asserted for all tables together.
//! Memory is measured in a separate process (`hostile`).

use std::time::Duration;

use super::content_cases::patient;
use super::{Case, case};
use lab::answers::{Canned, Delivery, Step};
use lab::settings::{Behaviour, Certificate, Endpoint, Settings, Transport, View};
use support::hostile::bombs;

const STEPS: [(Step, &str); 5] = [
    (Step::Challenge, "login challenge"),
    (Step::Token, "login token"),
    (Step::Manifest, "login manifest"),
    (Step::BlobRedirect, "data blob"),
    (Step::Blob, "data blob"),
];
/// The per-stage timeout of cases that reach it.
const IMPATIENT: Duration = Duration::from_millis(700);

pub(super) fn cases() -> Vec<Case> {
    let mut cases = connections();
    cases.extend(names());
    for (step, place) in STEPS {
        cases.extend(answers(step, place));
        cases.extend(bodies(step, place));
    }
    cases
}

fn impatient(case: Case) -> Case {
    case.adjust(|bench| bench.task.stage_timeout = IMPATIENT)
}

fn connections() -> Vec<Case> {
    let at_both = |name: &'static str, endpoint: Endpoint, cause: &str| {
        let data = endpoint.clone();
        [
            case(
                format!("{name}, login"),
                move |settings: &mut Settings| settings.login = endpoint.clone(),
                &[&format!("fail login tls {cause}")],
            ),
            case(
                format!("{name}, data"),
                move |settings: &mut Settings| settings.data = data.clone(),
                &[&format!("fail data tls {cause}")],
            ),
        ]
        .map(impatient)
    };
    let transport = |transport| Endpoint { transport, ..Endpoint::default() };
    let crowded = |count| Endpoint { certificate: Certificate::Crowded(count), ..Endpoint::default() };
    let mut cases = Vec::new();
    cases.extend(at_both("slow server hello", transport(Transport::DrippingHandshake), "response_timeout"));
    cases.extend(at_both("endless alerts", transport(Transport::EndlessAlerts), "tls_handshake_failed"));
    cases.extend(at_both(
        "endless empty records",
        transport(Transport::EndlessRecords),
        "tls_handshake_failed",
    ));
    cases.extend(at_both("a chain of 2,000 certificates", crowded(2_000), "tls_handshake_failed"));
    cases.push(case("a chain of 50 certificates", move |settings| settings.login = crowded(50), &[]));
    cases
}

fn names() -> Vec<Case> {
    let behaving = |name: &str, behaviour: Behaviour, expected: &[&str]| {
        case(name, move |settings| settings.nameservers[0].behaviour = behaviour.clone(), expected)
    };
    let failed = &["fail login dns dns_server_failure"];
    let elsewhere = ["127.0.0.44", "169.254.169.254", "20.45.122.144", "::1"];
    let elsewhere: Vec<_> = elsewhere.iter().map(|text| text.parse().expect("an address")).collect();
    vec![
        impatient(behaving("slow TCP", Behaviour::TcpDrips, failed)),
        behaving(
            "64 KiB of unrelated records over TCP",
            Behaviour::TcpCrowded,
            &["fail login address mixed_addresses"],
        ),
        behaving("3,000 addresses", Behaviour::HugeAnswer(3_000), failed),
        behaving("a name that points to itself", Behaviour::CompressionLoop, failed),
        case("a chain of 400", |settings| settings.nameservers[0].login = View::LongChain(400), failed)
            .adjust(patient),
        // Resolved once, evaluated once, then pinned: later answers for the name do not matter.
        behaving("rebinding after the first answer", Behaviour::Rebinds(elsewhere), &[])
            .adjust(|bench| bench.task.data_endpoints = vec![bench.lab.data_endpoint()]),
    ]
}

fn answers(step: Step, place: &str) -> Vec<Case> {
    let with = |delivery: Delivery, cause: &str| {
        let expected = format!("fail {place} {cause}");
        let name = format!("{delivery:?} at {step:?}");
        case(name, move |settings| settings.deliver(step, delivery), &[&expected])
    };
    let mut cases = vec![
        with(Delivery::EndlessLine, "not_a_registry"),
        impatient(with(Delivery::EndlessInterim, "response_timeout")),
        with(Delivery::EndlessKeyUpdates, "connection_reset"),
    ];
    // The first request is a HEAD, whose response has no body.
    if step != Step::Challenge {
        let dripping = with(Delivery::BodyDripping(Duration::from_secs(1)), "response_timeout");
        cases.push(impatient(dripping));
    }
    cases
}

fn bodies(step: Step, place: &str) -> Vec<Case> {
    // The body of a challenge or a redirect is read up to a limit and ignored.
    let huge = match step {
        Step::Challenge | Step::BlobRedirect => None,
        Step::Exchange | Step::Token => Some("not_a_registry"),
        Step::Manifest => Some("manifest_invalid"),
        Step::Blob => Some("digest_mismatch"),
    };
    let lines: Vec<String> = huge.iter().map(|cause| format!("fail {place} {cause}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut cases = vec![case(
        format!("10 GB at {step:?}"),
        move |settings| settings.deliver(step, Delivery::HugeBody),
        &lines,
    )];
    let error = format!("fail {place} registry_error");
    for delivery in [Delivery::HugeBody, Delivery::EndlessBody] {
        cases.push(case(
            format!("503 with {delivery:?} at {step:?}"),
            move |settings| {
                settings.answer(step, Canned::ServerError(503));
                settings.deliver(step, delivery);
            },
            &[&error],
        ));
    }
    let zipped = |status: u16| move |settings: &mut Settings| settings.answer(step, bombs::zipped(status));
    let foreign = format!("fail {place} not_a_registry");
    let zipped_error = if step == Step::Blob { &error } else { &foreign };
    cases.push(case(format!("503 with a gzip bomb at {step:?}"), zipped(503), &[zipped_error]));
    if huge.is_some() {
        cases.push(case(format!("a gzip bomb at {step:?}"), zipped(200), &lines));
    }
    cases
}
