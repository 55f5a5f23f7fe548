//! Sample runs of `exposure`, for the goldens of its reports.

use std::net::IpAddr;
use std::time::Duration;

use acr_verifier::observation::{Answer, Reason, Sender, TrustedBy};
use acr_verifier::public_endpoint::outcome::Gap;
use acr_verifier::public_endpoint::{AddressFamily, ExposureRun, Outcome, Probe, RegistryExposure};
use jiff::Timestamp;

pub(super) const LOGIN: &str = "contoso.azurecr.io";
const REGIONAL: &str = "contoso.westeurope.geo.azurecr.io";
const V4: &str = "20.45.122.144";
const V6: &str = "2603:1030:1::90";

fn moment() -> Timestamp {
    "2026-11-23T02:06:00.25Z".parse().expect("a moment")
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// The answer of the registry's firewall.
pub(super) fn firewall() -> Outcome {
    Outcome::Refused(Answer {
        status: 403,
        codes: vec!["DENIED".to_owned()],
        message: Some("client with IP '203.0.113.7' is not allowed access.".to_owned()),
        seen_address: Some(address("203.0.113.7")),
        correlation_id: Some("6a1f0a52-3f0e-4d0b-9d0e-0c4a7c1f2b11".to_owned()),
        sender: Sender::Registry,
        reason: Reason::Firewall,
        ..Answer::default()
    })
}

pub(super) fn challenge() -> Outcome {
    Outcome::Exposed(Answer { status: 401, sender: Sender::Registry, ..Answer::default() })
}

pub(super) fn probe(host: &str, at: &str, outcome: Outcome) -> Probe {
    let address = address(at);
    Probe {
        host: host.to_owned(),
        family: Some(if address.is_ipv4() { AddressFamily::V4 } else { AddressFamily::V6 }),
        address: Some(address),
        other_addresses: Vec::new(),
        outcome,
        trusted_by: Some(TrustedBy::System),
        at: moment(),
        duration: Duration::from_micros(48_250),
    }
}

/// A probe that sent nothing.
fn unsent(host: &str, gap: Gap) -> Probe {
    let probe = probe(host, V4, Outcome::NotTested(gap));
    Probe { address: None, trusted_by: None, duration: Duration::from_micros(2_100), ..probe }
}

fn registry(name: &str, probes: Vec<Probe>) -> RegistryExposure {
    RegistryExposure { registry: format!("{name}.azurecr.io"), name: name.to_owned(), is_given: true, probes }
}

pub(super) fn run(registries: Vec<RegistryExposure>) -> ExposureRun {
    ExposureRun {
        started_at: moment(),
        duration: Duration::from_micros(61_500),
        unused_proxy: None,
        loopback_is_public: false,
        registries,
    }
}

/// Refused in both families.
pub(super) fn refused() -> ExposureRun {
    run(vec![registry("contoso", vec![probe(LOGIN, V4, firewall()), probe(LOGIN, V6, firewall())])])
}

/// Refused over IPv4 and exposed over IPv6, behind a proxy that was not used.
pub(super) fn exposed() -> ExposureRun {
    let mut v6 = probe(LOGIN, V6, challenge());
    v6.other_addresses = vec![address("2603:1030:1::91")];
    let run = run(vec![registry("contoso", vec![probe(LOGIN, V4, firewall()), v6])]);
    ExposureRun { unused_proxy: Some("HTTPS_PROXY"), ..run }
}

/// A place that sees the private zone.
pub(super) fn private() -> ExposureRun {
    run(vec![registry("contoso", vec![unsent(LOGIN, Gap::Private(vec![address("10.60.4.4")]))])])
}

/// Three registries with three verdicts, and a regional endpoint.
pub(super) fn several() -> ExposureRun {
    let page = Answer {
        status: 403,
        message: Some("Access denied".to_owned()),
        sender: Sender::Page,
        ..Answer::default()
    };
    let mut page = probe("fabrikam.azurecr.io", V4, Outcome::NotTested(Gap::Answered(page)));
    page.trusted_by = Some(TrustedBy::CaFile);
    let regional = registry("contoso", vec![probe(REGIONAL, V4, firewall())]);
    run(vec![
        RegistryExposure { is_given: false, ..regional },
        registry("fabrikam", vec![page]),
        registry("northwind", vec![probe("northwind.azurecr.io", V4, challenge())]),
    ])
}
