//! The node's managed identity: each fault of IMDS, with its diagnoses and the requests that it costs.
//!
//! `exchange_cases.rs` has the faults after IMDS, `workload_cases.rs` those of Entra ID.

use std::time::Duration;

use acr_verifier::config::LabEndpoints;
use acr_verifier::credentials::{CredentialsSource, ManagedIdentity};
use acr_verifier::observation::CredentialsUsed;

use super::{Bench, Case, IMPATIENT, case};
use lab::Lab;
use lab::answers::{Answer, Delivery, RetryAfter, Step};
use lab::log::{Listener, Request};
use lab::settings::{Identity, ImdsFault, REGISTRY_AUDIENCE, Rights, Settings, TokenDefect, Transport};

/// A failed identity, followed by the anonymous pull that kubelets try.
const ANONYMOUS: &str = "challenge 401, token 401";
/// The requests of containerd after a token was granted.
pub(super) const PULL: &str = "manifest 200, manifest 200, manifest 200, blob redirect 307, blob 200";

/// Lets a check pull with the node's identity.
pub(super) fn use_managed(bench: &mut Bench, client_id: Option<&str>) {
    bench.task.credentials =
        CredentialsSource::ManagedIdentity(ManagedIdentity { client_id: client_id.map(str::to_owned) });
    bench.task.lab = LabEndpoints {
        imds: Some(bench.lab.imds()),
        entra: Some(bench.lab.entra()),
        ..LabEndpoints::default()
    };
}

/// Returns the requests of a check in order, as `place status`.
pub(super) fn requests(lab: &Lab) -> String {
    let place = |request: &Request| match (request.listener, request.step) {
        (Listener::Imds, _) => "imds",
        (Listener::Entra, _) => "entra",
        (_, Some(Step::Challenge)) => "challenge",
        (_, Some(Step::Exchange)) => "exchange",
        (_, Some(Step::Token)) => "token",
        (_, Some(Step::Manifest)) => "manifest",
        (_, Some(Step::BlobRedirect)) => "blob redirect",
        (_, Some(Step::Blob)) => "blob",
        (_, None) => "unknown",
    };
    let lines: Vec<String> =
        lab.requests().iter().map(|request| format!("{} {}", place(request), request.status)).collect();
    lines.join(", ")
}

pub(super) fn managed(
    name: &str,
    arrange: impl Fn(&mut Settings) + Send + Sync + 'static,
    expected: &[&str],
    requests: &str,
) -> Case {
    let arrange = move |settings: &mut Settings| {
        settings.identity = Identity::on_loopback();
        arrange(settings);
    };
    case(format!("managed identity: {name}"), arrange, expected)
        .adjust(|bench| use_managed(bench, None))
        .requesting(requests)
}

/// The same with a short limit, for faults that reach it.
pub(super) fn impatient(
    name: &str,
    arrange: impl Fn(&mut Settings) + Send + Sync + 'static,
    expected: &[&str],
    requests: &str,
) -> Case {
    managed(name, arrange, expected, requests).adjust(|bench| {
        use_managed(bench, None);
        bench.task.stage_timeout = IMPATIENT;
    })
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = identities();
    cases.extend(imds_answers());
    cases.extend(imds_tokens());
    cases.extend(imds_connections());
    cases
}

fn identities() -> Vec<Case> {
    let healthy = format!("imds 200, challenge 401, exchange 200, token 400, token 200, {PULL}");
    let not_found = &["fail login token identity_not_found"];
    let failed = format!("imds 400, {ANONYMOUS}");
    let by = |client_id: String| move |bench: &mut Bench| use_managed(bench, Some(&client_id));
    let kubelet = Identity::default().kubelet_client_id().to_owned();
    let other = Identity::default().federated.client_id;
    vec![
        managed("healthy", |_| {}, &[], &healthy),
        managed("healthy, by client id", |settings| settings.identity.assign_another(), &[], &healthy)
            .adjust(by(kubelet)),
        managed("several, none named", |settings| settings.identity.assign_another(), not_found, &failed),
        managed("none assigned", |settings| settings.identity.assigned.clear(), not_found, &failed),
        managed("another client id", |_| {}, not_found, &failed).adjust(by(other)),
    ]
}

fn imds_answers() -> Vec<Case> {
    let fail = "fail login token identity_unavailable";
    let unknown = "unknown login token identity_unavailable";
    let cases: Vec<(&str, ImdsFault, &str, u16)> = vec![
        ("unknown identity", ImdsFault::IdentityNotFound, "fail login token identity_not_found", 400),
        ("unknown audience", ImdsFault::InvalidResource, fail, 400),
        ("403", ImdsFault::Status(403), fail, 403),
        ("404", ImdsFault::Status(404), unknown, 404),
        ("500", ImdsFault::Status(500), unknown, 500),
        ("503", ImdsFault::Status(503), unknown, 503),
        ("throttled for a minute", ImdsFault::Throttled(RetryAfter::Seconds(60)), unknown, 429),
        ("502 of a proxy", ImdsFault::Html(502), fail, 502),
        ("504 of a proxy", ImdsFault::Html(504), fail, 504),
        ("429 of a proxy", ImdsFault::Html(429), fail, 429),
        ("403 of a proxy", ImdsFault::Html(403), fail, 403),
        ("a captive portal", ImdsFault::Html(200), fail, 200),
        ("a redirect", ImdsFault::Redirect, fail, 302),
        ("a token in an error", ImdsFault::Echo, "fail login token identity_not_found", 400),
    ];
    let mut cases: Vec<Case> = cases
        .into_iter()
        .map(|(name, fault, expected, status)| {
            let requests = format!("imds {status}, {ANONYMOUS}");
            let arrange = move |settings: &mut Settings| settings.identity.imds.answer = Some(fault.clone());
            managed(&format!("IMDS returns {name}"), arrange, &[expected], &requests)
        })
        .collect();
    let first = |fault: ImdsFault, times: usize| {
        move |settings: &mut Settings| settings.identity.imds.first = vec![fault.clone(); times]
    };
    let always =
        |fault: ImdsFault| move |settings: &mut Settings| settings.identity.imds.answer = Some(fault.clone());
    let rest = format!("imds 200, challenge 401, exchange 200, token 400, token 200, {PULL}");
    let throttled = ImdsFault::Throttled(RetryAfter::Seconds(1));
    cases.extend([
        managed(
            "IMDS throttles twice",
            first(throttled.clone(), 2),
            &[],
            &format!("imds 429, imds 429, {rest}"),
        ),
        managed("IMDS is updated once", first(ImdsFault::Status(410), 1), &[], &format!("imds 410, {rest}")),
        impatient(
            "IMDS throttles without a time",
            always(ImdsFault::Throttled(RetryAfter::None)),
            &[unknown],
            &format!("imds 429, {ANONYMOUS}"),
        ),
        impatient(
            "IMDS throttles without a pause",
            always(ImdsFault::Throttled(RetryAfter::Seconds(0))),
            &[unknown],
            &format!("imds 429, {ANONYMOUS}"),
        ),
        impatient(
            "IMDS is being updated",
            always(ImdsFault::Status(410)),
            &[unknown],
            &format!("imds 410, {ANONYMOUS}"),
        ),
    ]);
    cases
}

fn imds_tokens() -> Vec<Case> {
    let fail = "fail login token identity_unavailable";
    let without = format!("imds 200, {ANONYMOUS}");
    // Only the registry knows the audience and the time of a token.
    let refused = "imds 200, challenge 401, exchange 401, token 401";
    let missing = "fail login token pull_role_missing";
    [
        (TokenDefect::NotJson, fail, without.as_str()),
        (TokenDefect::Missing, fail, &without),
        (TokenDefect::Empty, fail, &without),
        (TokenDefect::OverLong, fail, &without),
        (TokenDefect::LineBreak, fail, &without),
        (TokenDefect::Opaque, fail, &without),
        (TokenDefect::WithoutTenant, fail, &without),
        (TokenDefect::OtherAudience, missing, refused),
        (TokenDefect::Expired, missing, refused),
    ]
    .into_iter()
    .map(|(defect, expected, requests)| {
        let arrange = move |settings: &mut Settings| {
            settings.identity.imds.answer = Some(ImdsFault::Token(defect));
        };
        managed(&format!("a token of IMDS that is {defect:?}"), arrange, &[expected], requests)
    })
    .collect()
}

fn imds_connections() -> Vec<Case> {
    let fail = &["fail login token identity_unavailable"];
    let transports = [
        Transport::Closed,
        Transport::AcceptQueueFull,
        Transport::ResetOnAccept,
        Transport::CloseOnAccept,
        Transport::SilentAfterAccept,
    ];
    let deliveries = [
        Delivery::ResetAfterRequest,
        Delivery::CloseAfterRequest,
        Delivery::SilentAfterRequest,
        Delivery::ResetMidBody,
        Delivery::CloseMidBody,
        Delivery::SilentMidBody,
        Delivery::Dripping(Duration::from_millis(300)),
        Delivery::BodyDripping(Duration::from_millis(300)),
        Delivery::EndlessHeaders,
        Delivery::EndlessLine,
        Delivery::EndlessBody,
        Delivery::HugeBody,
        Delivery::HugeHeader,
        Delivery::NotHttp,
        Delivery::TwoLengths,
        Delivery::StatusNoNumber,
        Delivery::ChunkNoNumber,
    ];
    let unreached = transports.map(|transport| {
        let arrange = move |settings: &mut Settings| settings.identity.imds.endpoint.transport = transport;
        impatient(&format!("IMDS, {transport:?}"), arrange, fail, ANONYMOUS)
    });
    let broken = deliveries.map(|delivery| {
        let arrange = move |settings: &mut Settings| settings.identity.imds.delivery = delivery;
        impatient(&format!("IMDS, {delivery:?}"), arrange, fail, &format!("imds 200, {ANONYMOUS}"))
    });
    let out_of_time = managed(
        "out of time at IMDS",
        |settings| settings.identity.imds.delivery = Delivery::SilentAfterRequest,
        &["unknown login token deadline_exceeded"],
        "imds 200",
    )
    .adjust(|bench| {
        use_managed(bench, None);
        bench.task.timeout = IMPATIENT;
    });
    let slow = managed(
        "a slow IMDS",
        |settings| settings.identity.imds.delivery = Delivery::Delayed(Duration::from_secs(1)),
        &[],
        &format!("imds 200, challenge 401, exchange 200, token 400, token 200, {PULL}"),
    );
    unreached.into_iter().chain(broken).chain([out_of_time, slow]).collect()
}

fn bench(change: impl FnOnce(&mut Settings)) -> Bench {
    let mut bench = Bench::with(|settings| {
        settings.identity = Identity::on_loopback();
        change(settings);
    });
    use_managed(&mut bench, None);
    bench
}

#[test]
fn a_healthy_check_sends_one_request_to_imds_and_nine_to_the_registry() {
    let bench = bench(|_| {});
    let outcome = bench.check();
    outcome.expect(&[]);
    assert_eq!(outcome.observation.credentials, Some(CredentialsUsed::ManagedIdentity));
    assert_eq!((bench.lab.requests_at(Listener::Imds).len(), bench.lab.requests_at_registry()), (1, 9));
    assert_eq!(outcome.observation.requests.len(), 9, "IMDS costs the registry nothing");
    let asked = &bench.lab.requests()[0];
    let audience = REGISTRY_AUDIENCE.replace(':', "%3A").replace('/', "%2F");
    let target = format!("/metadata/identity/oauth2/token?api-version=2018-02-01&resource={audience}");
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("GET", target.as_str()));
    assert_eq!((asked.header("Metadata"), asked.header("Host")), (Some("true"), Some("169.254.169.254")));
    let exchange = &bench.lab.exchanges()[0];
    let fields: Vec<&str> = exchange.form.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(fields, ["grant_type", "service", "tenant", "access_token"]);
    assert_eq!(exchange.field("grant_type"), Some("access_token"));
    assert_eq!(exchange.field("service"), Some(bench.lab.registry().as_str()));
    assert_eq!(exchange.field("tenant"), Some(Identity::default().tenant.as_str()));
    assert_eq!(bench.lab.connections(Listener::Login), 1, "the exchange uses the checked connection");
    assert_eq!(bench.lab.connections(Listener::Entra), 0);
}

#[test]
fn anonymous_pulls_report_anonymous_credentials() {
    let bench = bench(|settings| {
        settings.credentials.anonymous = true;
        settings.identity.rights = Rights::None;
    });
    let outcome = bench.check();
    assert_eq!(outcome.observation.credentials, Some(CredentialsUsed::Anonymous));
    assert_eq!(outcome.verdict(), acr_verifier::verdict::Verdict::Warn);
}

#[test]
fn a_removed_role_is_noticed_by_the_next_check() {
    let bench = bench(|_| {});
    bench.check().expect(&[]);
    bench.lab.change(|settings| settings.identity.rights = Rights::None);
    bench.check().expect(&["fail login token pull_role_missing"]);
    bench.lab.change(|settings| {
        settings.identity.rights = Rights::Pull;
        settings.exchange.answer = Answer::Normal;
    });
    bench.check().expect(&[]);
    assert_eq!(bench.lab.requests_at(Listener::Imds).len(), 3, "no token is kept");
}
