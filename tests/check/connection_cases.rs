//! Failing connections, handshakes and missing responses, at both endpoints and in every stage that waits.

use std::time::Duration;

use super::{Case, case};
use lab::answers::{Delivery, Step};
use lab::settings::{Certificate, Endpoint, Settings, TlsVersions, Transport, View};

/// The stage and endpoint of a step.
const fn place(step: Step) -> &'static str {
    match step {
        Step::Challenge => "login challenge",
        Step::Exchange | Step::Token => "login token",
        Step::Manifest => "login manifest",
        Step::BlobRedirect | Step::Blob => "data blob",
    }
}

/// Applies one change to the login server, then to the data endpoint; `{}` is replaced with the endpoint.
fn at_both(
    name: &str,
    change: impl Fn(&mut Endpoint) + Copy + Send + Sync + 'static,
    expected: &str,
) -> [Case; 2] {
    // An empty line means no diagnosis.
    let lines = |endpoint: &str| expected.replace("{}", endpoint);
    let (login, data) = (lines("login"), lines("data"));
    let list = |line: &str| if line.is_empty() { vec![] } else { vec![line.to_owned()] };
    let (login, data) = (list(&login), list(&data));
    [
        case(format!("{name}, login"), move |settings: &mut Settings| change(&mut settings.login), &[])
            .expecting(&login.iter().map(String::as_str).collect::<Vec<_>>()),
        case(format!("{name}, data"), move |settings: &mut Settings| change(&mut settings.data), &[])
            .expecting(&data.iter().map(String::as_str).collect::<Vec<_>>()),
    ]
}

fn transport(name: &str, transport: Transport, expected: &str) -> [Case; 2] {
    at_both(name, move |endpoint| endpoint.transport = transport, expected)
}

fn certificate(certificate: Certificate, expected: &str) -> [Case; 2] {
    at_both(&format!("{certificate:?}"), move |endpoint| endpoint.certificate = certificate, expected)
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(transport("closed", Transport::Closed, "fail {} connect connect_refused"));
    cases.extend(transport("queue full", Transport::AcceptQueueFull, "fail {} connect connect_timeout"));
    cases.extend(transport("reset on accept", Transport::ResetOnAccept, "fail {} tls connection_reset"));
    cases.extend(transport("closed on accept", Transport::CloseOnAccept, "fail {} tls connection_reset"));
    cases.extend(transport(
        "reset in handshake",
        Transport::ResetInHandshake,
        "fail {} tls connection_reset",
    ));
    cases.extend(transport("silent handshake", Transport::SilentAfterAccept, "fail {} tls response_timeout"));
    cases.extend(transport("plain HTTP", Transport::PlainHttp, "fail {} tls tls_handshake_failed"));
    cases.extend(certificate(Certificate::Untrusted, "fail {} tls certificate_untrusted"));
    cases.extend(certificate(Certificate::SelfSigned, "fail {} tls certificate_untrusted"));
    cases.extend(certificate(Certificate::MissingIntermediate, "fail {} tls certificate_untrusted"));
    cases.extend(certificate(Certificate::WrongName, "fail {} tls certificate_name_mismatch"));
    cases.extend(certificate(Certificate::Expired, "fail {} tls certificate_expired"));
    cases.extend(certificate(Certificate::NotYetValid, "fail {} tls certificate_not_yet_valid"));
    cases.extend(certificate(Certificate::ExpiresIn(13), "warn {} tls certificate_expiring"));
    cases.extend(certificate(Certificate::ExpiresIn(15), ""));
    cases.extend(certificate(Certificate::Endless, ""));
    cases.extend(certificate(Certificate::UntrustedEndless, "fail {} tls certificate_untrusted"));
    // WebPKI does not support dates before 1970; the issuer is still evidence.
    cases.extend(certificate(Certificate::UntrustedAncient, "fail {} tls tls_handshake_failed"));
    cases.extend(at_both("TLS 1.2 only", |endpoint| endpoint.tls = TlsVersions::Only12, ""));
    cases.extend(at_both("TLS 1.3 only", |endpoint| endpoint.tls = TlsVersions::Only13, ""));
    cases.extend(several_addresses());
    for step in Step::ALL {
        cases.extend(deliveries(step));
    }
    cases
}

fn several_addresses() -> Vec<Case> {
    let addresses = |list: &'static [&'static str]| {
        move |settings: &mut Settings| {
            let parsed = list.iter().map(|text| text.parse().expect("an address")).collect();
            settings.nameservers[0].login = View::Addresses(parsed);
        }
    };
    vec![
        case(
            "first address refuses",
            addresses(&["127.0.0.9", "127.0.0.2"]),
            &["warn login connect connect_refused"],
        ),
        case(
            "two refuse",
            addresses(&["127.0.0.8", "127.0.0.9", "127.0.0.2"]),
            &["warn login connect connect_refused"],
        ),
        case(
            "every address refuses",
            addresses(&["127.0.0.8", "127.0.0.9"]),
            &["fail login connect connect_refused"],
        ),
        // The kernel has no TCP route to a broadcast address, and loopback has such an address.
        case("no route", addresses(&["127.255.255.255"]), &["fail login connect network_unreachable"]),
        case(
            "no route, then refused",
            addresses(&["127.255.255.255", "127.0.0.9"]),
            &["fail login connect network_unreachable", "fail login connect connect_refused"],
        ),
        case("mapped IPv6", addresses(&["::ffff:127.0.0.2"]), &[]),
    ]
}

/// Every way in which the delivery of a response can fail, at one step.
fn deliveries(step: Step) -> Vec<Case> {
    let place = place(step);
    let with = |delivery: Delivery, cause: &str| {
        let severity = if cause == "deadline_exceeded" { "unknown" } else { "fail" };
        let expected = format!("{severity} {place} {cause}");
        let name = format!("{delivery:?} at {step:?}");
        case(name, move |settings| settings.deliver(step, delivery), &[&expected])
    };
    // The first request is a HEAD, whose response has no body to truncate. Silence after it affects the next request.
    let within_a_body = if step == Step::Challenge {
        vec![
            with(Delivery::ResetMidBody, "").expecting(&[]),
            with(Delivery::CloseMidBody, "").expecting(&[]),
            with(Delivery::SilentMidBody, "").expecting(&["fail login token response_timeout"]),
        ]
    } else {
        vec![
            with(Delivery::ResetMidBody, "connection_reset"),
            with(Delivery::CloseMidBody, "connection_reset"),
            with(Delivery::SilentMidBody, "response_timeout"),
        ]
    };
    let mut cases = vec![
        with(Delivery::ResetAfterRequest, "connection_reset"),
        with(Delivery::CloseAfterRequest, "connection_reset"),
        with(Delivery::SilentAfterRequest, "response_timeout"),
        with(Delivery::Dripping(Duration::from_secs(1)), "response_timeout"),
        with(Delivery::EndlessHeaders, "not_a_registry"),
        with(Delivery::HugeHeader, "not_a_registry"),
        with(Delivery::NotHttp, "not_a_registry"),
        with(Delivery::SilentAfterRequest, "deadline_exceeded").adjust(|bench| {
            bench.task.timeout = Duration::from_millis(900);
            bench.task.stage_timeout = Duration::from_secs(5);
        }),
        case(format!("closing at {step:?}"), move |settings| settings.deliver(step, Delivery::Closing), &[]),
        case(
            format!("delayed at {step:?}"),
            move |settings| settings.deliver(step, Delivery::Delayed(Duration::from_millis(200))),
            &[],
        ),
    ];
    cases.extend(within_a_body);
    let endless = match step {
        // The body of a challenge or a redirect is read up to a limit and ignored.
        Step::Challenge | Step::BlobRedirect => None,
        Step::Exchange | Step::Token => Some("not_a_registry"),
        Step::Manifest => Some("manifest_invalid"),
        Step::Blob => Some("digest_mismatch"),
    };
    cases.extend(endless.map(|cause| with(Delivery::EndlessBody, cause)));
    cases
}
