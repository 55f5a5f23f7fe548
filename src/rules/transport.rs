//! Connections and certificates: what attempts, handshakes and silences mean.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Case, Expectation, WARN_BEFORE, diagnosis, host_of, list, seconds};
use crate::cause::{self, Cause};
use crate::diagnosis::{Diagnosis, Severity};
use crate::observation::{Certificate, ConnectFailure, Endpoint, Fault, Observation, Stage, TlsFailure};

/// The diagnoses of the attempts to connect, and of a certificate that was accepted.
pub(super) fn judge(
    expectation: &Expectation,
    endpoint: Endpoint,
    observation: &Observation,
) -> Vec<Diagnosis> {
    let mut diagnoses = connections(expectation, endpoint, observation);
    diagnoses.extend(proxy_bypassed(expectation, endpoint, observation));
    let rejected = observation
        .failure
        .as_ref()
        .is_some_and(|failure| failure.endpoint == endpoint && matches!(failure.fault, Fault::Tls(_)));
    if !rejected {
        diagnoses.extend(certificate_expiring(expectation, endpoint, observation));
    }
    diagnoses
}

/// An endpoint that containerd would reach through a proxy: a warning, whatever the verified path is like.
fn proxy_bypassed(
    expectation: &Expectation,
    endpoint: Endpoint,
    observation: &Observation,
) -> Option<Diagnosis> {
    let proxied = observation.proxied.iter().find(|proxied| proxied.endpoint == endpoint)?;
    let (host, proxy) = (&proxied.host, &proxied.proxy);
    let message = format!(
        "containerd on this node connects to {host} through the proxy {proxy}: its NO_PROXY does not cover the name."
    );
    let place = (endpoint, Stage::Connect);
    Some(diagnosis(&expectation.image, Cause::ProxyBypassed, place, Some(host), None, message))
}

const fn connect_cause(failure: ConnectFailure) -> Cause {
    match failure {
        ConnectFailure::Timeout => Cause::ConnectTimeout,
        // Not refused by the peer, but by the node's own system: no other cause is as near, and its verdict is `unknown`.
        ConnectFailure::Refused | ConnectFailure::NotOpened(_) => Cause::ConnectRefused,
        ConnectFailure::Unreachable => Cause::NetworkUnreachable,
    }
}

/// Addresses that could not be connected to: failures where none could, warnings where a later one could.
fn connections(expectation: &Expectation, endpoint: Endpoint, observation: &Observation) -> Vec<Diagnosis> {
    let attempts = observation.attempts.iter().filter(|attempt| attempt.endpoint == endpoint);
    let connected = attempts.clone().find(|attempt| attempt.failure.is_none()).map(|attempt| attempt.address);
    let failed: Vec<(SocketAddr, ConnectFailure)> =
        attempts.filter_map(|attempt| attempt.failure.map(|failure| (attempt.address, failure))).collect();
    let mut diagnoses = Vec::new();
    for (index, (_, failure)) in failed.iter().enumerate() {
        if failed[..index].iter().any(|(_, earlier)| earlier == failure) {
            continue;
        }
        let alike = failed.iter().filter(|(_, other)| other == failure);
        let addresses: Vec<String> = alike.map(|(address, _)| address.to_string()).collect();
        let host = host_of(observation, endpoint);
        let whose = format!("{} of {}", list(&addresses), host.unwrap_or_default());
        let message = match connected {
            Some(address) => format!("{}; {address} was used instead.", describe(*failure, &whose)),
            None => format!("{}.", describe(*failure, &whose)),
        };
        let (image, cause) = (&expectation.image, connect_cause(*failure));
        let mut diagnosis = diagnosis(image, cause, (endpoint, Stage::Connect), host, None, message);
        if let ConnectFailure::NotOpened(_) = failure {
            diagnosis.severity = Severity::Unknown;
            cause::NOT_OPENED_REMEDY.clone_into(&mut diagnosis.remedy);
            diagnosis.commands = cause::not_opened_commands();
        }
        if connected.is_some() {
            diagnosis.severity = Severity::Warn;
        }
        diagnoses.push(diagnosis);
    }
    diagnoses
}

/// Whether the attempts to connect explain by themselves that there is no connection.
pub(super) fn tells(endpoint: Endpoint, observation: &Observation) -> bool {
    let mut attempts = observation.attempts.iter().filter(|attempt| attempt.endpoint == endpoint).peekable();
    attempts.peek().is_some() && attempts.all(|attempt| attempt.failure.is_some())
}

/// No connection, and no attempt to make one that would say why: a failure all the same, never a pass.
pub(super) fn explain_unconnected(case: &Case<'_>) -> String {
    format!("No connection to {} could even be tried from this node.", case.peer())
}

fn describe(failure: ConnectFailure, whose: &str) -> String {
    match failure {
        ConnectFailure::Timeout => {
            format!("No answer from {whose} to the attempt to connect; containerd gives up after 30 s")
        }
        ConnectFailure::Refused => {
            format!("The connection to {whose} is refused: nothing listens there, or a filter rejects it")
        }
        ConnectFailure::Unreachable => {
            format!("This node has no route to {whose}, or one that drops or forbids the traffic")
        }
        ConnectFailure::NotOpened(error) => {
            format!("This node itself opened no connection to {whose}: {error}; nothing was sent")
        }
    }
}

fn certificate_expiring(
    expectation: &Expectation,
    endpoint: Endpoint,
    observation: &Observation,
) -> Option<Diagnosis> {
    let certificate = observation.tls_of(endpoint)?.certificate.as_ref()?;
    let left = Duration::try_from(certificate.not_after.duration_since(expectation.now)).unwrap_or_default();
    if left >= WARN_BEFORE {
        return None;
    }
    let host = host_of(observation, endpoint);
    let message = format!(
        "The certificate of {} ends on {} (in {}); it was issued by {}.",
        host.unwrap_or_default(),
        certificate.not_after,
        days(left),
        certificate.issuer
    );
    Some(diagnosis(
        &expectation.image,
        Cause::CertificateExpiring,
        (endpoint, Stage::Tls),
        host,
        None,
        message,
    ))
}

/// A time that is left, in whole days or hours.
pub(super) fn days(left: Duration) -> String {
    let hours = left.as_secs() / 3600;
    match hours {
        0 => "less than an hour".to_owned(),
        1 => "1 hour".to_owned(),
        2..=47 => format!("{hours} hours"),
        _ => format!("{} days", hours / 24),
    }
}

/// The data endpoint at the login server's address, as under a wildcard record: a sentence that says so.
fn shared(case: &Case<'_>) -> String {
    let address = |endpoint| case.observation.tls_of(endpoint).map(|session| session.address);
    let (login, data) = (address(Endpoint::Login), address(Endpoint::Data));
    if case.failure.endpoint != Endpoint::Data || data.is_none() || login != data {
        return String::new();
    }
    format!(
        " The login server {} has the same address: a private endpoint has one for each of the two names.",
        case.expectation.image.host()
    )
}

/// Why a handshake failed.
pub(super) fn explain_tls(case: &Case<'_>, failure: &TlsFailure) -> (Cause, String) {
    let peer = case.peer();
    let session = case.observation.tls_of(case.failure.endpoint);
    let certificate = session.and_then(|session| session.certificate.as_ref());
    let issuer = certificate.map_or("an unreadable issuer", |certificate| certificate.issuer.as_str());
    match failure {
        TlsFailure::Untrusted => (
            Cause::CertificateUntrusted,
            format!("The certificate of {peer} was issued by {issuer}, which this machine does not trust."),
        ),
        TlsFailure::NameMismatch => {
            let names = certificate.map(|certificate| certificate.names.clone()).unwrap_or_default();
            let names = if names.is_empty() { "no DNS name".to_owned() } else { list(&names) };
            let message = format!(
                "The certificate of {peer} is valid for {names}, and was issued by {issuer}.{}",
                shared(case)
            );
            (Cause::CertificateNameMismatch, message)
        }
        TlsFailure::Expired => {
            let end = validity(certificate, |certificate| certificate.not_after, "ended");
            (Cause::CertificateExpired, format!("The certificate of {peer}, issued by {issuer}, {end}."))
        }
        TlsFailure::NotYetValid => {
            let begin = validity(certificate, |certificate| certificate.not_before, "begins");
            let message = format!(
                "The certificate of {peer}, issued by {issuer}, {begin}, by this node's clock in the future."
            );
            (Cause::CertificateNotYetValid, message)
        }
        TlsFailure::Handshake(text) => {
            let whose = certificate
                .map(|certificate| format!("; its certificate was issued by {}", certificate.issuer));
            let whose = whose.unwrap_or_default();
            (Cause::TlsHandshakeFailed, format!("The TLS handshake with {peer} failed: {text}{whose}."))
        }
    }
}

fn validity(
    certificate: Option<&Certificate>,
    date: impl Fn(&Certificate) -> jiff::Timestamp,
    verb: &str,
) -> String {
    certificate.map_or_else(
        || format!("{verb} at an unreadable date"),
        |certificate| format!("{verb} on {}", date(certificate)),
    )
}

/// What was being waited for, in each stage that waits for an answer.
const fn awaited(stage: Stage) -> &'static str {
    match stage {
        Stage::Dns | Stage::Address | Stage::Connect => "an answer",
        Stage::Tls => "the TLS handshake",
        Stage::Challenge => "the answer to the first HEAD",
        Stage::Token => "the token",
        Stage::Manifest => "the manifest",
        Stage::Blob => "the blob",
    }
}

pub(super) fn explain_timeout(case: &Case<'_>, limit: Duration) -> String {
    let waits_on = match case.failure.stage {
        // Its own limit of a handshake.
        Stage::Tls => "containerd gives up after 10 s",
        Stage::Dns | Stage::Address | Stage::Connect | Stage::Challenge | Stage::Token | Stage::Manifest => {
            "containerd would wait longer"
        }
        Stage::Blob => "containerd would wait as long as bytes arrive every few minutes",
    };
    format!(
        "{} accepted the connection and did not complete {} within {}; {waits_on}.",
        case.peer(),
        awaited(case.failure.stage),
        seconds(limit)
    )
}

pub(super) fn explain_reset(case: &Case<'_>) -> String {
    format!(
        "{}, or something on the way, closed the connection before {} was complete.",
        case.peer(),
        awaited(case.failure.stage)
    )
}

pub(super) fn explain_deadline(case: &Case<'_>, limit: Duration) -> String {
    format!(
        "The timeout of the whole check, {}, elapsed in stage {} of the {} endpoint, before that stage's own timeout: \
         whether a pull works is unknown, since containerd would wait longer.",
        seconds(limit),
        case.failure.stage,
        case.failure.endpoint
    )
}
