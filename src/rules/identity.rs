//! Explains why an identity could not be used, and what lacks its right to pull.

use super::Case;
use crate::cause::{self, Cause, Fix, Names};
use crate::diagnosis::Diagnosis;
use crate::observation::{
    ConnectFailure, Endpoint, EntraError, Fault, Identity, IdentityFailure, IdentityFault, IdentityKind,
    IdentityService, Observation, ServiceFault, TlsFailure,
};
use crate::text::words::list;
use crate::verdict::Severity;

/// How long a kubelet keeps the credentials of an identity (cloud-provider-azure 1.36 and before).
const CACHED: &str =
    "Kubelets that cached credentials may still pull for up to 60 minutes (5 before Kubernetes 1.36).";

/// Warns of an identity that could not be used, while an anonymous pull works.
pub(super) fn warn(expectation: &super::Expectation, observation: &Observation) -> Option<Diagnosis> {
    let IdentityFailure { failure, token, correlation_id } = observation.identity_failure.as_ref()?;
    // Token and correlation id are now those of the anonymous pull.
    let then =
        Observation { token: token.clone(), correlation_id: correlation_id.clone(), ..observation.clone() };
    let mut warning = super::explain(expectation, failure, &then)?;
    warning.severity = Severity::Warn;
    warning.message.push_str(" The registry grants anonymous pulls.");
    Some(warning)
}

/// Explains an identity without a token, or without a right.
pub(super) fn explain_fault(case: &Case<'_>, fault: &IdentityFault) -> (Cause, String) {
    match fault {
        IdentityFault::NotInjected { reason } => {
            let message = format!("This Pod has no usable workload identity: {reason}.");
            (Cause::IdentityUnavailable, message)
        }
        IdentityFault::NoToken { service: IdentityService::Imds, host, fault } => {
            let hint = match fault {
                ServiceFault::NoResponse { .. } | ServiceFault::NotConnected(ConnectFailure::Timeout) => {
                    "; a Pod without host network may not be allowed to reach it (IMDS restriction)"
                }
                ServiceFault::Answer { is_page: true, .. } => "; a proxy responds in its place",
                ServiceFault::NotResolved { .. }
                | ServiceFault::NotConnected(_)
                | ServiceFault::Tls(_)
                | ServiceFault::Closed
                | ServiceFault::Answer { .. }
                | ServiceFault::Unusable { .. } => "",
            };
            let message =
                format!("IMDS at {host} {}, so the node's identity has no token{hint}.", phrase(fault));
            (Cause::IdentityUnavailable, message)
        }
        IdentityFault::NoToken { service: IdentityService::Entra, host, fault } => {
            let message = format!(
                "Microsoft Entra ID at {host} {}, so the workload identity has no token; the private path to {} is not the \
                 reason.",
                phrase(fault),
                case.expectation.image.registry()
            );
            (Cause::EntraUnreachable, message)
        }
        IdentityFault::NotFound { message } => {
            let who = case.observation.identity.as_ref().and_then(|identity| identity.client_id.as_deref());
            let subject = match who {
                Some(client_id) => {
                    format!("IMDS has no identity with the client id {client_id} on this node")
                }
                None => "IMDS cannot choose an identity, and no client id is configured".to_owned(),
            };
            (Cause::IdentityNotFound, format!("{subject}{}.", in_its_words(message.as_deref())))
        }
        IdentityFault::Rejected(EntraError { error, message, numbers: _, correlation_id: _ }) => {
            let words = in_its_words(message.as_deref());
            (
                Cause::IdentityRejected,
                format!("Microsoft Entra ID rejects the workload identity: {error}{words}."),
            )
        }
        IdentityFault::WithoutRead { actions } => {
            let (registry, who) = (case.expectation.image.registry(), who(case.observation));
            let granted = match actions.as_slice() {
                [] => "no action".to_owned(),
                actions => format!("only {}, not read", list(actions)),
            };
            let message =
                format!("{registry} grants {who} {granted}, so it cannot pull: the AcrPull role is missing.");
            (Cause::PullRoleMissing, message)
        }
    }
}

/// Explains a 401 at the exchange, or at the token service with the refresh token: without the registry's own words and the
/// full stop.
pub(super) fn role_missing(case: &Case<'_>, identity: &Identity) -> String {
    let registry = case.expectation.image.registry();
    let who = who(case.observation);
    match (identity.exchanged, identity.abac) {
        (false, _) => format!(
            "{registry} rejects {who}: it has no role on the registry that includes pull, such as AcrPull"
        ),
        (true, Some(true)) => format!(
            "{registry} knows {who}, but grants it no token: this registry assigns roles by repository (ABAC), where AcrPull \
             does not count and Container Registry Repository Reader is needed"
        ),
        (true, Some(false) | None) => {
            format!("{registry} rejects the refresh token that it has just issued to {who}")
        }
    }
}

/// Fits the advice of a diagnosis to the identity.
pub(super) fn fit_advice(case: &Case<'_>, diagnosis: &mut Diagnosis) {
    let Some(identity) = &case.observation.identity else { return };
    let names = Names::new(&case.expectation.image, Endpoint::Login, None, None)
        .of_identity(identity.client_id.as_deref());
    let fault = if let Fault::Identity(fault) = &case.failure.fault { Some(fault) } else { None };
    let is_role = matches!(diagnosis.cause, Cause::PullRoleMissing | Cause::ScopeMissing);
    if is_role && identity.kind == IdentityKind::Managed {
        diagnosis.message = format!("{} {CACHED}", diagnosis.message);
    }
    if fault.is_some_and(IdentityFault::is_transient) {
        diagnosis.severity = Severity::Unknown;
    }
    let fix = match (diagnosis.cause, fault) {
        (Cause::ScopeMissing, _) => Some(cause::REPOSITORY_ROLE),
        (_, Some(IdentityFault::NotInjected { .. })) => Some(cause::NOT_INJECTED),
        (_, Some(IdentityFault::Rejected(error))) => Some(cause::fix_of_rejected_identity(&error.numbers)),
        (_, Some(_) | None) => None,
    };
    match fix {
        Some(Fix { remedy, commands }) => {
            remedy.clone_into(&mut diagnosis.remedy);
            diagnosis.commands = commands(&names);
        }
        None => diagnosis.commands = diagnosis.cause.commands(&names),
    }
}

/// Names the identity for a sentence.
fn who(observation: &Observation) -> String {
    let Some(identity) = &observation.identity else { return "the identity".to_owned() };
    format!("the {}", identity.name())
}

fn in_its_words(message: Option<&str>) -> String {
    message.map(|message| format!(" (\"{}\")", message.trim_end_matches('.'))).unwrap_or_default()
}

/// What a service did instead of issuing a token.
fn phrase(fault: &ServiceFault) -> String {
    match fault {
        ServiceFault::NotResolved { reason } => format!("cannot be resolved: {reason}"),
        ServiceFault::NotConnected(ConnectFailure::Timeout) => "does not respond".to_owned(),
        ServiceFault::NotConnected(ConnectFailure::Refused) => "rejects the connection".to_owned(),
        ServiceFault::NotConnected(ConnectFailure::Unreachable) => {
            "cannot be reached: there is no route to it".to_owned()
        }
        ServiceFault::NotConnected(ConnectFailure::NotOpened(error)) => {
            format!("could not be tried: {error}")
        }
        ServiceFault::Tls(TlsFailure::Untrusted) => {
            "has a certificate that this machine does not trust".to_owned()
        }
        ServiceFault::Tls(TlsFailure::NameMismatch) => "has a certificate for another name".to_owned(),
        ServiceFault::Tls(TlsFailure::Expired) => "has an expired certificate".to_owned(),
        ServiceFault::Tls(TlsFailure::NotYetValid) => "has a certificate that is not yet valid".to_owned(),
        ServiceFault::Tls(TlsFailure::Handshake(text)) => format!("failed in the TLS handshake: {text}"),
        ServiceFault::NoResponse { limit } => format!("does not respond within {limit:?}"),
        ServiceFault::Closed => "closed the connection before its response was complete".to_owned(),
        ServiceFault::Answer { status, is_page: true, error: _ } => {
            format!("returned an HTML page ({status})")
        }
        ServiceFault::Answer { status, is_page: false, error: Some(error) } => {
            format!("returned {status} ({error})")
        }
        ServiceFault::Answer { status, is_page: false, error: None } => format!("returned {status}"),
        ServiceFault::Unusable { reason } => format!("responded, but {reason}"),
    }
}

#[cfg(test)]
mod tests;
