//! Every fault of an identity, with its cause, severity, message and advice.

use std::time::Duration;

use crate::address::AddressPolicy;
use crate::cause::Cause;
use crate::diagnosis::Diagnosis;
use crate::findings::Findings;
use crate::observation::{
    Answer, ConnectFailure, CredentialsUsed, Endpoint, EntraError, Failure, Fault, Identity, IdentityFailure,
    IdentityFault, IdentityKind, IdentityService, Observation, Sender, ServiceFault, Stage, TlsFailure,
    Token,
};
use crate::rules::{Expectation, diagnose};
use crate::verdict::Severity;

const CLIENT: &str = "3fa85f64-5717-4562-b3fc-2c963f66afa6";

fn expectation() -> Expectation {
    Expectation {
        image: "contoso.azurecr.io/apps/canary:1".parse().expect("an image"),
        policy: AddressPolicy::default(),
        now: jiff::Timestamp::UNIX_EPOCH,
    }
}

fn identity(kind: IdentityKind) -> Identity {
    Identity {
        resource_id: Some("/subscriptions/1/resourcegroups/rg/agentpool".to_owned()),
        ..Identity::new(kind, Some(CLIENT.to_owned()))
    }
}

fn only(observation: &Observation) -> Diagnosis {
    let mut diagnoses = diagnose(&expectation(), observation, &Findings::default());
    assert_eq!(diagnoses.len(), 1, "{diagnoses:#?}");
    diagnoses.remove(0)
}

fn failed(kind: IdentityKind, stage: Stage, fault: Fault) -> Observation {
    Observation {
        credentials: Some(kind.credentials()),
        identity: Some(identity(kind)),
        failure: Some(Failure { endpoint: Endpoint::Login, stage, fault }),
        ..Observation::default()
    }
}

fn without_token(service: IdentityService, fault: ServiceFault) -> IdentityFault {
    let host = match service {
        IdentityService::Imds => "169.254.169.254",
        IdentityService::Entra => "login.microsoftonline.com",
    };
    IdentityFault::NoToken { service, host: host.to_owned(), fault }
}

#[test]
fn each_fault_has_its_cause_severity_and_message() {
    use IdentityKind::{Managed, Workload};
    use IdentityService::{Entra, Imds};
    use Severity::{Fail, Unknown};
    let answer = |status, is_page| ServiceFault::Answer { status, is_page, error: None };
    let limit = Duration::from_secs(10);
    for (kind, fault, cause, severity, message) in [
        (
            Managed,
            without_token(Imds, ServiceFault::NotConnected(ConnectFailure::Refused)),
            Cause::IdentityUnavailable,
            Fail,
            "IMDS at 169.254.169.254 rejects the connection, so the node's identity has no token.",
        ),
        (
            Managed,
            without_token(Imds, ServiceFault::NoResponse { limit }),
            Cause::IdentityUnavailable,
            Fail,
            "IMDS at 169.254.169.254 does not respond within 10s, so the node's identity has no token; a Pod without host \
             network may not be allowed to reach it (IMDS restriction).",
        ),
        (
            Managed,
            without_token(Imds, answer(502, true)),
            Cause::IdentityUnavailable,
            Fail,
            "IMDS at 169.254.169.254 returned an HTML page (502), so the node's identity has no token; a proxy responds in its \
             place.",
        ),
        (
            Managed,
            without_token(Imds, answer(429, false)),
            Cause::IdentityUnavailable,
            Unknown,
            "IMDS at 169.254.169.254 returned 429, so the node's identity has no token.",
        ),
        (
            Managed,
            without_token(Imds, answer(403, false)),
            Cause::IdentityUnavailable,
            Fail,
            "IMDS at 169.254.169.254 returned 403, so the node's identity has no token.",
        ),
        (
            Managed,
            IdentityFault::NotFound { message: Some("Identity not found".to_owned()) },
            Cause::IdentityNotFound,
            Fail,
            "IMDS has no identity with the client id 3fa85f64-5717-4562-b3fc-2c963f66afa6 on this node (\"Identity not found\").",
        ),
        (
            Managed,
            IdentityFault::WithoutRead { actions: vec!["write".to_owned()] },
            Cause::PullRoleMissing,
            Fail,
            "contoso.azurecr.io grants the managed identity 3fa85f64-5717-4562-b3fc-2c963f66afa6 (agentpool) only write, not \
             read, so it cannot pull: the AcrPull role is missing. Kubelets that cached credentials may still pull for up to 60 \
             minutes (5 before Kubernetes 1.36).",
        ),
        (
            Workload,
            IdentityFault::NotInjected { reason: "AZURE_CLIENT_ID is not set".to_owned() },
            Cause::IdentityUnavailable,
            Fail,
            "This Pod has no usable workload identity: AZURE_CLIENT_ID is not set.",
        ),
        (
            Workload,
            without_token(Entra, ServiceFault::Tls(TlsFailure::Untrusted)),
            Cause::EntraUnreachable,
            Fail,
            "Microsoft Entra ID at login.microsoftonline.com has a certificate that this machine does not trust, so the workload \
             identity has no token; the private path to contoso.azurecr.io is not the reason.",
        ),
        (
            Workload,
            without_token(Entra, answer(503, false)),
            Cause::EntraUnreachable,
            Unknown,
            "Microsoft Entra ID at login.microsoftonline.com returned 503, so the workload identity has no token; the private \
             path to contoso.azurecr.io is not the reason.",
        ),
    ] {
        let diagnosis = only(&failed(kind, Stage::Token, Fault::Identity(fault)));
        assert_eq!((diagnosis.cause, diagnosis.severity), (cause, severity), "{diagnosis:?}");
        assert_eq!(diagnosis.message, message);
        assert_eq!(diagnosis.stage, Stage::Token);
    }
}

#[test]
fn the_number_of_a_rejection_selects_the_advice() {
    let rejected = |numbers: &[u32]| {
        let error = EntraError {
            error: "invalid_client".to_owned(),
            numbers: numbers.to_vec(),
            message: Some("AADSTS700213: No matching federated identity record found.".to_owned()),
            correlation_id: Some(CLIENT.to_owned()),
        };
        only(&failed(IdentityKind::Workload, Stage::Token, Fault::Identity(IdentityFault::Rejected(error))))
    };
    let known = rejected(&[700_213]);
    assert_eq!(
        known.message,
        "Microsoft Entra ID rejects the workload identity: invalid_client (\"AADSTS700213: No matching federated identity \
         record found\")."
    );
    assert_eq!(known.correlation_id.as_deref(), Some(CLIENT));
    for (number, word) in [
        (70_021, "subject"),
        (700_213, "subject"),
        (7_002_138, "subject"),
        (700_211, "issuer"),
        (700_212, "audience"),
        (700_016, "client id"),
        (700_024, "clock"),
        (90_002, "tenant"),
        (500_011, "cloud"),
        (999_999, "Compare issuer, subject and audience"),
    ] {
        let diagnosis = rejected(&[number]);
        assert!(diagnosis.remedy.contains(word), "{number}: {}", diagnosis.remedy);
        assert!(!diagnosis.commands.is_empty(), "{number}");
    }
    assert_eq!(rejected(&[]).remedy, rejected(&[1]).remedy);
}

#[test]
fn a_missing_role_is_named_with_the_identity() {
    let refused = |exchanged, abac| {
        let answer = Answer { status: 401, sender: Sender::Registry, ..Answer::default() };
        let mut observation = failed(IdentityKind::Managed, Stage::Token, Fault::Answer(answer));
        observation.identity = Some(Identity { exchanged, abac, ..identity(IdentityKind::Managed) });
        only(&observation)
    };
    for (exchanged, abac, part) in [
        (false, None, "it has no role on the registry that includes pull, such as AcrPull"),
        (true, Some(true), "Container Registry Repository Reader is needed"),
        (true, Some(false), "rejects the refresh token that it has just issued"),
    ] {
        let diagnosis = refused(exchanged, abac);
        assert_eq!(diagnosis.cause, Cause::PullRoleMissing);
        assert!(diagnosis.message.contains(part), "{}", diagnosis.message);
        assert!(diagnosis.message.contains(CLIENT), "{}", diagnosis.message);
        let commands = diagnosis.commands.join("\n");
        assert!(commands.contains(&format!("--assignee {CLIENT} --role AcrPull")), "{commands}");
    }
}

#[test]
fn a_token_without_pull_on_the_repository_needs_the_role_by_repository() {
    let answer = Answer {
        status: 401,
        sender: Sender::Registry,
        challenge_error: Some("insufficient_scope".to_owned()),
        ..Answer::default()
    };
    let mut observation = failed(IdentityKind::Managed, Stage::Manifest, Fault::Answer(answer));
    observation.token = Some(Token { pull: Some(false) });
    let diagnosis = only(&observation);
    assert_eq!(diagnosis.cause, Cause::ScopeMissing);
    assert!(diagnosis.remedy.contains("Container Registry Repository Reader"), "{}", diagnosis.remedy);
}

#[test]
fn a_failed_identity_is_a_warning_if_an_anonymous_pull_works() {
    let fault = Fault::Identity(IdentityFault::NotFound { message: None });
    let mut observation = failed(IdentityKind::Managed, Stage::Token, fault);
    observation.identity_failure = observation.failure.take().map(|failure| IdentityFailure {
        failure,
        token: None,
        correlation_id: None,
    });
    observation.credentials = Some(CredentialsUsed::Anonymous);
    let diagnosis = only(&observation);
    assert_eq!((diagnosis.cause, diagnosis.severity), (Cause::IdentityNotFound, Severity::Warn));
    assert!(
        diagnosis.message.ends_with("on this node. The registry grants anonymous pulls."),
        "{}",
        diagnosis.message
    );
}

#[test]
fn a_warning_of_an_identity_describes_its_own_token_and_response() {
    let refused = Fault::Answer(Answer { status: 401, sender: Sender::Registry, ..Answer::default() });
    let foreign = Fault::NotARegistry { status: Some(200), reason: "it returned HTML".to_owned() };
    for (stage, fault, cause, id) in [
        (Stage::Manifest, refused, Cause::ScopeMissing, None),
        (Stage::Token, foreign, Cause::NotARegistry, Some("id-of-the-failure")),
    ] {
        let mut observation = failed(IdentityKind::Managed, stage, fault);
        observation.identity_failure = observation.failure.take().map(|failure| IdentityFailure {
            failure,
            token: Some(Token { pull: Some(false) }),
            correlation_id: Some("id-of-the-failure".to_owned()),
        });
        // Of the anonymous pull, which worked.
        observation.token = Some(Token { pull: Some(true) });
        observation.correlation_id = Some("id-of-the-blob".to_owned());
        let diagnosis = only(&observation);
        assert_eq!((diagnosis.cause, diagnosis.severity), (cause, Severity::Warn));
        assert_eq!(diagnosis.correlation_id.as_deref(), id);
        assert!(!diagnosis.message.contains("claims pull"), "{}", diagnosis.message);
    }
}
