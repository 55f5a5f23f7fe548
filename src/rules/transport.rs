//! Explains connections and certificates: failed attempts, handshakes and timeouts.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Case, Expectation, WARN_BEFORE, diagnosis, host_of};
use crate::cause::{self, Cause};
use crate::diagnosis::Diagnosis;
use crate::observation::{
    Certificate, ConnectFailure, Endpoint, Fault, Observation, Proxied, Stage, TlsFailure,
};
use crate::text::words::{self, list};
use crate::verdict::Severity;

/// A finding about the connection to an endpoint, with its evidence.
enum Finding<'facts> {
    /// Connection attempts failed alike.
    NotConnected {
        failure: ConnectFailure,
        addresses: Vec<SocketAddr>,
        /// The address that connected, if any did: the failure is then only a warning.
        used: Option<SocketAddr>,
    },
    /// containerd would reach the endpoint through a proxy, whatever the result on the verified path.
    ProxyBypassed(&'facts Proxied),
    /// The accepted certificate expires soon.
    CertificateExpiring { certificate: &'facts Certificate, left: Duration },
}

/// Returns the diagnoses of connection attempts and of an accepted certificate.
pub(super) fn diagnoses(
    expectation: &Expectation,
    endpoint: Endpoint,
    observation: &Observation,
) -> Vec<Diagnosis> {
    let host = host_of(observation, endpoint);
    let findings = evaluate(expectation, endpoint, observation);
    findings.iter().map(|finding| diagnose(expectation, (endpoint, host), finding)).collect()
}

/// Evaluates connection attempts and the accepted certificate.
fn evaluate<'facts>(
    expectation: &Expectation,
    endpoint: Endpoint,
    observation: &'facts Observation,
) -> Vec<Finding<'facts>> {
    let mut findings = not_connected(endpoint, observation);
    let mut proxied = observation.proxied.iter().filter(|proxied| proxied.endpoint == endpoint);
    findings.extend(proxied.next().map(Finding::ProxyBypassed));
    let rejected = observation
        .failure
        .as_ref()
        .is_some_and(|failure| failure.endpoint == endpoint && matches!(failure.fault, Fault::Tls(_)));
    let session = observation.tls_of(endpoint).filter(|_| !rejected);
    if let Some(certificate) = session.and_then(|session| session.certificate.as_ref()) {
        let left = certificate.not_after.duration_since(expectation.now);
        let left = Duration::try_from(left).unwrap_or_default();
        if left < WARN_BEFORE {
            findings.push(Finding::CertificateExpiring { certificate, left });
        }
    }
    findings
}

/// Returns one finding for each kind of failed connection attempt.
fn not_connected(endpoint: Endpoint, observation: &Observation) -> Vec<Finding<'static>> {
    let attempts = || observation.attempts.iter().filter(|attempt| attempt.endpoint == endpoint);
    let used = attempts().find(|attempt| attempt.failure.is_none()).map(|attempt| attempt.address);
    let mut kinds: Vec<(ConnectFailure, Vec<SocketAddr>)> = Vec::new();
    for (failure, address) in attempts().filter_map(|attempt| Some((attempt.failure?, attempt.address))) {
        match kinds.iter_mut().find(|(known, _)| *known == failure) {
            Some((_, addresses)) => addresses.push(address),
            None => kinds.push((failure, vec![address])),
        }
    }
    let finding = |(failure, addresses)| Finding::NotConnected { failure, addresses, used };
    kinds.into_iter().map(finding).collect()
}

/// Turns a finding into a diagnosis.
fn diagnose(
    expectation: &Expectation,
    (endpoint, host): (Endpoint, Option<&str>),
    finding: &Finding<'_>,
) -> Diagnosis {
    let diagnosis = |cause, stage, host, message| {
        diagnosis(&expectation.image, cause, (endpoint, stage), host, None, message)
    };
    match finding {
        Finding::NotConnected { failure, addresses, used } => {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            let whose = format!("{} ({})", list(&addresses), host.unwrap_or_default());
            let message = match used {
                Some(address) => format!("{}; {address} was used instead.", describe(*failure, &whose)),
                None => format!("{}.", describe(*failure, &whose)),
            };
            let mut diagnosis = diagnosis(connect_cause(*failure), Stage::Connect, host, message);
            if let ConnectFailure::NotOpened(_) = failure {
                diagnosis.severity = Severity::Unknown;
                cause::NOT_OPENED_REMEDY.clone_into(&mut diagnosis.remedy);
                diagnosis.commands = cause::not_opened_commands();
            }
            if used.is_some() {
                diagnosis.severity = Severity::Warn;
            }
            diagnosis
        }
        Finding::ProxyBypassed(Proxied { host, proxy, endpoint: _ }) => {
            let message = format!(
                "containerd on this node connects to {host} through the proxy {proxy}: its NO_PROXY does not cover the \
                 name."
            );
            diagnosis(Cause::ProxyBypassed, Stage::Connect, Some(host), message)
        }
        Finding::CertificateExpiring { certificate, left } => {
            let message = format!(
                "The certificate of {} expires on {} (in {}); it was issued by {}.",
                host.unwrap_or_default(),
                certificate.not_after,
                words::left(*left),
                certificate.issuer
            );
            diagnosis(Cause::CertificateExpiring, Stage::Tls, host, message)
        }
    }
}

const fn connect_cause(failure: ConnectFailure) -> Cause {
    match failure {
        ConnectFailure::Timeout => Cause::ConnectTimeout,
        // Refused by the node's operating system, not by the peer: this is the closest cause, and the verdict is `unknown`.
        ConnectFailure::Refused | ConnectFailure::NotOpened(_) => Cause::ConnectRefused,
        ConnectFailure::Unreachable => Cause::NetworkUnreachable,
    }
}

/// Returns whether the failed connection attempts explain why there is no connection.
pub(super) fn attempts_explain(endpoint: Endpoint, observation: &Observation) -> bool {
    let mut attempts = observation.attempts.iter().filter(|attempt| attempt.endpoint == endpoint).peekable();
    attempts.peek().is_some() && attempts.all(|attempt| attempt.failure.is_some())
}

/// Describes a missing connection without any attempt: still a failure, never a pass.
pub(super) fn explain_unconnected(case: &Case<'_>) -> String {
    format!("This node could not attempt a connection to {}.", case.peer())
}

fn describe(failure: ConnectFailure, whose: &str) -> String {
    match failure {
        ConnectFailure::Timeout => {
            format!("The connection to {whose} timed out; containerd gives up after 30 s")
        }
        ConnectFailure::Refused => {
            format!("The connection to {whose} was refused: nothing listens there, or a firewall rejects it")
        }
        ConnectFailure::Unreachable => {
            format!("This node has no route to {whose}, or its route drops or prohibits the traffic")
        }
        ConnectFailure::NotOpened(error) => {
            format!("This node could not open a connection to {whose}: {error}; nothing was sent")
        }
    }
}

/// Returns a sentence if the data endpoint resolves to the login server's address, as with a wildcard record.
fn shared(case: &Case<'_>) -> String {
    let address = |endpoint| case.observation.tls_of(endpoint).map(|session| session.address);
    let (login, data) = (address(Endpoint::Login), address(Endpoint::Data));
    if case.failure.endpoint != Endpoint::Data || data.is_none() || login != data {
        return String::new();
    }
    format!(
        " The login server {} has the same address, but a private endpoint has one address for each name.",
        case.expectation.image.host()
    )
}

/// Explains why a handshake failed.
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
            let end = validity(certificate, |certificate| certificate.not_after, "expired");
            (Cause::CertificateExpired, format!("The certificate of {peer}, issued by {issuer}, {end}."))
        }
        TlsFailure::NotYetValid => {
            let phrase = "is not yet valid: its validity starts";
            let begin = validity(certificate, |certificate| certificate.not_before, phrase);
            let message = format!(
                "The certificate of {peer}, issued by {issuer}, {begin}, in the future by this node's clock."
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
        || format!("{verb} on an unreadable date"),
        |certificate| format!("{verb} on {}", date(certificate)),
    )
}

/// The awaited response of each stage.
const fn awaited(stage: Stage) -> &'static str {
    match stage {
        Stage::Dns | Stage::Address | Stage::Connect => "a response",
        Stage::Tls => "the TLS handshake",
        Stage::Challenge => "the response to the first HEAD request",
        Stage::Token => "the token",
        Stage::Manifest => "the manifest",
        Stage::Blob => "the blob",
    }
}

pub(super) fn explain_timeout(case: &Case<'_>, limit: Duration) -> String {
    let waits_on = match case.failure.stage {
        // containerd's own limit for a handshake.
        Stage::Tls => "containerd gives up after 10 s",
        Stage::Dns | Stage::Address | Stage::Connect | Stage::Challenge | Stage::Token | Stage::Manifest => {
            "containerd would wait longer"
        }
        Stage::Blob => "containerd would keep waiting as long as bytes arrive every few minutes",
    };
    format!(
        "{} accepted the connection but did not complete {} within {}; {waits_on}.",
        case.peer(),
        awaited(case.failure.stage),
        words::limit(limit)
    )
}

pub(super) fn explain_reset(case: &Case<'_>) -> String {
    format!(
        "{} or a device on the path closed the connection before {} was complete.",
        case.peer(),
        awaited(case.failure.stage)
    )
}

pub(super) fn explain_deadline(case: &Case<'_>, limit: Duration) -> String {
    format!(
        "The overall timeout ({}) elapsed in stage {} of the {} endpoint, before the per-stage timeout: whether a pull \
         works is unknown, because containerd would wait longer.",
        words::limit(limit),
        case.failure.stage,
        case.failure.endpoint
    )
}
