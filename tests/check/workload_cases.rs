//! The Pod's workload identity: each fault of its variables, its token and Entra ID, with its diagnoses and requests.
//!
//! `identity_cases.rs` has the faults of the exchange.

use std::time::Duration;

use acr_verifier::config::LabEndpoints;
use acr_verifier::credentials::{CredentialsSource, WorkloadIdentity};
use acr_verifier::observation::CredentialsUsed;
use acr_verifier::probe::Trust;

use super::{Bench, Case, IMPATIENT, case};
use lab::Lab;
use lab::answers::{Delivery, RetryAfter};
use lab::log::Listener;
use lab::settings::{
    Assertion, AuthorityNames, Behaviour, Certificate, EntraFault, Identity, Nameserver, REGISTRY_AUDIENCE,
    Rcode, Rights, Settings, TokenDefect, Transport, Validity,
};

/// The requests of a check whose identity got no token. Kubelets do not pull with this identity, so none is anonymous.
const NONE: &str = "challenge 401";
const PULL: &str = "exchange 200, token 400, token 200, manifest 200, manifest 200, manifest 200, blob redirect 307, blob 200";

/// The variables that the webhook sets.
fn variables(lab: &Lab) -> WorkloadIdentity {
    let [client_id, tenant_id, authority_host, token_file] =
        lab.workload_variables().map(|(_, value)| Some(value.into()));
    WorkloadIdentity { client_id, tenant_id, authority_host, token_file }
}

/// Lets a check pull with the Pod's identity, with Entra ID among the node's roots.
pub(super) fn use_workload(bench: &mut Bench) {
    let roots = bench.lab.public_root_pem().as_bytes().to_vec();
    bench.task.trust = Trust::with_node(Some(&[roots]), Some(&bench.lab.ca_file()))
        .expect("the lab's roots are certificates");
    bench.task.credentials = CredentialsSource::WorkloadIdentity(variables(&bench.lab));
    bench.task.lab = LabEndpoints {
        imds: Some(bench.lab.imds()),
        entra: Some(bench.lab.entra()),
        ..LabEndpoints::default()
    };
}

fn workload(
    name: &str,
    arrange: impl Fn(&mut Settings) + Send + Sync + 'static,
    adjust: impl Fn(&mut Bench) + Send + Sync + 'static,
    expected: &[&str],
    requests: &str,
) -> Case {
    let arrange = move |settings: &mut Settings| {
        settings.identity = Identity::on_loopback();
        arrange(settings);
    };
    case(format!("workload identity: {name}"), arrange, expected)
        .adjust(move |bench| {
            use_workload(bench);
            adjust(bench);
        })
        .requesting(requests)
}

pub(super) fn cases() -> Vec<Case> {
    let healthy = format!("entra 200, challenge 401, {PULL}");
    let mut cases = vec![
        workload("healthy", |_| {}, |_| {}, &[], &healthy),
        workload(
            "no role",
            |settings| settings.identity.rights = Rights::None,
            |_| {},
            &["fail login token pull_role_missing"],
            "entra 200, challenge 401, exchange 401",
        ),
        workload(
            "no role, while anonymous pulls work",
            |settings| {
                settings.identity.rights = Rights::None;
                settings.credentials.anonymous = true;
            },
            |_| {},
            &["fail login token pull_role_missing"],
            "entra 200, challenge 401, exchange 401",
        ),
        workload(
            "a slow Entra ID",
            |settings| settings.identity.entra.delivery = Delivery::Delayed(Duration::from_secs(1)),
            |_| {},
            &[],
            &healthy,
        ),
    ];
    for cloud in ["login.microsoftonline.us", "login.chinacloudapi.cn", "login.partner.microsoftonline.cn"] {
        let adjust = move |bench: &mut Bench| {
            change_variables(bench, |set| set.authority_host = Some(format!("https://{cloud}/").into()));
        };
        cases.push(workload(cloud, |_| {}, adjust, &[], &healthy));
    }
    cases.extend(injection());
    cases.extend(assertions());
    cases.extend(answers());
    cases.extend(connections());
    cases.extend(nameservers());
    cases
}

/// The name of Entra ID has the same nameservers as the registry's.
fn nameservers() -> Vec<Case> {
    let failing = &["warn login dns nameserver_failing", "warn data dns nameserver_failing"];
    let hurry = |bench: &mut Bench| bench.task.stage_timeout = IMPATIENT;
    let healthy = format!("entra 200, challenge 401, {PULL}");
    let with = |name: &str, behaviours: [Behaviour; 2]| {
        let arrange = move |settings: &mut Settings| {
            settings.nameservers = behaviours.clone().map(Nameserver::behaving).to_vec();
        };
        workload(&format!("nameservers, {name}"), arrange, hurry, failing, &healthy)
    };
    vec![
        with("the second is silent", [Behaviour::Answer, Behaviour::Silent]),
        with("the first is silent", [Behaviour::Silent, Behaviour::Answer]),
        with("the first is closed", [Behaviour::Closed, Behaviour::Answer]),
        with("the first fails", [Behaviour::Rcode(Rcode::ServFail, None), Behaviour::Answer]),
        with("both are silent for AAAA", [Behaviour::AaaaSilent, Behaviour::AaaaSilent]),
    ]
}

fn change_variables(bench: &mut Bench, change: impl Fn(&mut WorkloadIdentity)) {
    let mut set = variables(&bench.lab);
    change(&mut set);
    bench.task.credentials = CredentialsSource::WorkloadIdentity(set);
}

/// A Pod without the webhook's work, or with half of it.
fn injection() -> Vec<Case> {
    type Row = (&'static str, fn(&mut WorkloadIdentity));
    let table: Vec<Row> = vec![
        ("no variables", |set| *set = WorkloadIdentity::default()),
        ("no client id", |set| set.client_id = None),
        ("a client id that is not a GUID", |set| set.client_id = Some("canary".into())),
        ("no tenant", |set| set.tenant_id = None),
        ("no authority", |set| set.authority_host = None),
        ("a foreign authority", |set| set.authority_host = Some("https://login.fabrikam.example/".into())),
        ("an authority over HTTP", |set| {
            set.authority_host = Some("http://login.microsoftonline.com/".into());
        }),
        ("no token file", |set| set.token_file = None),
        ("a token file that does not exist", |set| set.token_file = Some("/nonexistent/token".into())),
    ];
    let unavailable = &["fail login token identity_unavailable"];
    let mut cases: Vec<Case> = table
        .into_iter()
        .map(|(name, change)| {
            workload(name, |_| {}, move |bench| change_variables(bench, change), unavailable, NONE)
        })
        .collect();
    let empty = |bench: &mut Bench| std::fs::write(bench.lab.assertion_file(), "\n").expect("a file");
    cases.push(workload("an empty token file", |_| {}, empty, unavailable, NONE));
    cases
}

/// A federated credential, a client id or a tenant that does not match the service account's token.
fn assertions() -> Vec<Case> {
    type Row = (&'static str, fn(&mut Assertion), &'static str);
    let rejected = &["fail login token identity_rejected"];
    let table: Vec<Row> = vec![
        ("issuer", |assertion| assertion.issuer = "https://oidc.fabrikam.example/".into(), "401"),
        ("subject", |assertion| assertion.subject = "system:serviceaccount:default:default".into(), "401"),
        ("subject's case", |assertion| assertion.subject = assertion.subject.to_uppercase(), "401"),
        ("audience", |assertion| assertion.audience = "api://AKSIdentityBinding".into(), "401"),
        ("expiry", |assertion| assertion.validity = Validity::Expired, "401"),
        ("start", |assertion| assertion.validity = Validity::NotYet, "401"),
    ];
    let mut cases: Vec<Case> = table
        .into_iter()
        .map(|(name, change, status)| {
            let adjust = move |bench: &mut Bench| {
                let mut assertion = bench.lab.accepted_assertion();
                change(&mut assertion);
                bench.lab.project(&assertion);
            };
            let name = format!("an assertion with a wrong {name}");
            workload(&name, |_| {}, adjust, rejected, &format!("entra {status}, {NONE}"))
        })
        .collect();
    let other = "00000000-0000-4000-8000-000000000000";
    cases.push(workload(
        "another client id",
        |_| {},
        move |bench| change_variables(bench, |set| set.client_id = Some(other.into())),
        rejected,
        &format!("entra 400, {NONE}"),
    ));
    cases.push(workload(
        "another tenant",
        |_| {},
        move |bench| change_variables(bench, |set| set.tenant_id = Some(other.into())),
        rejected,
        &format!("entra 400, {NONE}"),
    ));
    let forged = |bench: &mut Bench| {
        let token = bench.lab.assertion(&bench.lab.accepted_assertion()).replace('.', "A.");
        std::fs::write(bench.lab.assertion_file(), token).expect("a file");
    };
    cases.push(workload("a forged assertion", |_| {}, forged, rejected, &format!("entra 401, {NONE}")));
    cases
}

fn answers() -> Vec<Case> {
    let rejected = "fail login token identity_rejected";
    let fail = "fail login token entra_unreachable";
    let unknown = "unknown login token entra_unreachable";
    let missing = "fail login token pull_role_missing";
    let mut rows: Vec<(EntraFault, &str, String)> = vec![
        (EntraFault::Throttled(RetryAfter::Seconds(1)), unknown, format!("entra 429, {NONE}")),
        (EntraFault::Throttled(RetryAfter::None), unknown, format!("entra 429, {NONE}")),
        (EntraFault::Status(500), unknown, format!("entra 500, {NONE}")),
        (EntraFault::Status(503), unknown, format!("entra 503, {NONE}")),
        (EntraFault::Html(502), fail, format!("entra 502, {NONE}")),
        (EntraFault::Html(403), fail, format!("entra 403, {NONE}")),
        (EntraFault::Html(200), fail, format!("entra 200, {NONE}")),
        (EntraFault::Redirect, fail, format!("entra 302, {NONE}")),
        (EntraFault::Echo, rejected, format!("entra 401, {NONE}")),
    ];
    for (number, status) in [
        (70_021, 400),
        (700_211, 401),
        (700_212, 401),
        (700_213, 401),
        (7_002_138, 401),
        (700_016, 400),
        (700_024, 401),
        (90_002, 400),
        (500_011, 400),
        (1_234_567, 400),
    ] {
        rows.push((EntraFault::Refused(number), rejected, format!("entra {status}, {NONE}")));
    }
    for defect in [
        TokenDefect::NotJson,
        TokenDefect::Missing,
        TokenDefect::Empty,
        TokenDefect::OverLong,
        TokenDefect::LineBreak,
    ] {
        rows.push((EntraFault::Token(defect), fail, format!("entra 200, {NONE}")));
    }
    for defect in [TokenDefect::Opaque, TokenDefect::OtherAudience, TokenDefect::Expired] {
        rows.push((EntraFault::Token(defect), missing, "entra 200, challenge 401, exchange 401".to_owned()));
    }
    let mut cases: Vec<Case> = rows
        .into_iter()
        .map(|(fault, expected, requests)| {
            let name = format!("Entra ID with {fault:?}");
            let arrange = move |settings: &mut Settings| settings.identity.entra.answer = Some(fault.clone());
            workload(&name, arrange, |_| {}, &[expected], &requests)
        })
        .collect();
    cases.push(workload(
        "a token without a tenant, which the variable names",
        |settings| settings.identity.entra.answer = Some(EntraFault::Token(TokenDefect::WithoutTenant)),
        |_| {},
        &[],
        &format!("entra 200, challenge 401, {PULL}"),
    ));
    cases
}

fn connections() -> Vec<Case> {
    let fail = &["fail login token entra_unreachable"];
    let hurry = |bench: &mut Bench| bench.task.stage_timeout = IMPATIENT;
    let transports = [
        Transport::Closed,
        Transport::AcceptQueueFull,
        Transport::ResetOnAccept,
        Transport::CloseOnAccept,
        Transport::SilentAfterAccept,
        Transport::ResetInHandshake,
        Transport::PlainHttp,
        Transport::DrippingHandshake,
        Transport::EndlessRecords,
    ];
    let certificates =
        [Certificate::Untrusted, Certificate::Expired, Certificate::NotYetValid, Certificate::WrongName];
    let deliveries = [
        Delivery::ResetAfterRequest,
        Delivery::SilentAfterRequest,
        Delivery::CloseMidBody,
        Delivery::BodyDripping(Duration::from_millis(300)),
        Delivery::EndlessHeaders,
        Delivery::EndlessBody,
        Delivery::NotHttp,
    ];
    let mut cases = Vec::new();
    for transport in transports {
        let arrange = move |settings: &mut Settings| settings.identity.entra.endpoint.transport = transport;
        cases.push(workload(&format!("Entra ID, {transport:?}"), arrange, hurry, fail, NONE));
    }
    for certificate in certificates {
        let arrange =
            move |settings: &mut Settings| settings.identity.entra.endpoint.certificate = certificate;
        cases.push(workload(&format!("Entra ID, {certificate:?}"), arrange, hurry, fail, NONE));
    }
    for delivery in deliveries {
        let arrange = move |settings: &mut Settings| settings.identity.entra.delivery = delivery;
        let requests = format!("entra 200, {NONE}");
        cases.push(workload(&format!("Entra ID, {delivery:?}"), arrange, hurry, fail, &requests));
    }
    for names in [AuthorityNames::NotFound, AuthorityNames::ServFail, AuthorityNames::Silent] {
        let arrange = move |settings: &mut Settings| settings.identity.authority_names = names;
        cases.push(workload(&format!("the name of Entra ID, {names:?}"), arrange, hurry, fail, NONE));
    }
    // The operator's file is for registries, even with the root of Entra ID in it.
    let only_ca_file = |bench: &mut Bench| {
        let both = format!("{}{}", bench.lab.ca_pem(), bench.lab.public_root_pem());
        let path = bench.lab.folder().join("both.pem");
        std::fs::write(&path, both).expect("a file");
        bench.task.trust = Trust::load(Some(&path)).expect("certificates");
    };
    cases.push(workload("a root of Entra ID in the operator's file", |_| {}, only_ca_file, fail, NONE));
    cases
}

fn bench() -> Bench {
    let mut bench = Bench::with(|settings| settings.identity = Identity::on_loopback());
    use_workload(&mut bench);
    bench
}

#[test]
fn a_healthy_check_sends_one_request_to_entra_id_and_nine_to_the_registry() {
    let bench = bench();
    let outcome = bench.check();
    outcome.expect(&[]);
    assert_eq!(outcome.observation.credentials, Some(CredentialsUsed::WorkloadIdentity));
    assert_eq!((bench.lab.requests_at(Listener::Entra).len(), bench.lab.requests_at_registry()), (1, 9));
    assert!(bench.lab.requests_at(Listener::Imds).is_empty());
    let identity = Identity::default();
    let asked = &bench.lab.requests()[0];
    let target = format!("/{}/oauth2/v2.0/token", identity.tenant);
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", target.as_str()));
    assert_eq!(asked.header("Host"), Some("login.microsoftonline.com"));
    assert_eq!(asked.server_name.as_deref(), Some("login.microsoftonline.com"));
    let assertion = std::fs::read_to_string(bench.lab.assertion_file()).expect("a token file");
    let expected = [
        ("client_assertion", assertion.as_str()),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_id", &identity.federated.client_id),
        ("grant_type", "client_credentials"),
        ("scope", &format!("{REGISTRY_AUDIENCE}/.default")),
    ];
    let sent: Vec<(&str, &str)> =
        asked.form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(sent, expected);
    assert_eq!(bench.lab.connections(Listener::Login), 1);
}

#[test]
fn the_token_file_is_read_at_every_check() {
    let bench = bench();
    let mut sent = Vec::new();
    for _ in 0..3 {
        bench.check().expect(&[]);
        bench.lab.project(&bench.lab.accepted_assertion());
    }
    bench.lab.project(&Assertion { validity: Validity::Expired, ..bench.lab.accepted_assertion() });
    bench.check().expect(&["fail login token identity_rejected"]);
    for request in bench.lab.requests_at(Listener::Entra) {
        sent.push(request.field("client_assertion").map(str::to_owned));
    }
    sent.dedup();
    assert_eq!(sent.len(), 4, "each check sends the file's content");
}
