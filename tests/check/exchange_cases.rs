//! The exchange of the node's identity at the registry: its faults, the rights of the identity, and the anonymous pull after it.

use lab::answers::{Canned, Delivery, FirewallWording, RetryAfter, Step, Target};
use lab::settings::{AbacRefusal, ExchangeFault, ImdsFault, Rights, Settings};

use super::Case;
use super::identity_cases::{PULL, impatient, managed};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = exchanges();
    cases.extend(rights());
    cases.extend(anonymous());
    cases
}

fn exchanges() -> Vec<Case> {
    let foreign = "fail login token not_a_registry";
    let missing = "fail login token pull_role_missing";
    let refused = "imds 200, challenge 401, exchange 401, token 401";
    let mut cases: Vec<Case> = [
        (ExchangeFault::NotJson, foreign, "imds 200, challenge 401, exchange 200, token 401"),
        (ExchangeFault::Missing, foreign, "imds 200, challenge 401, exchange 200, token 401"),
        (ExchangeFault::Empty, foreign, "imds 200, challenge 401, exchange 200, token 401"),
        (ExchangeFault::OverLong, foreign, "imds 200, challenge 401, exchange 200, token 401"),
        (ExchangeFault::LineBreak, foreign, "imds 200, challenge 401, exchange 200, token 401"),
        (
            ExchangeFault::Expired,
            missing,
            "imds 200, challenge 401, exchange 200, token 400, token 401, token 401",
        ),
        (
            ExchangeFault::OtherAudience,
            missing,
            "imds 200, challenge 401, exchange 200, token 400, token 401, token 401",
        ),
        (
            ExchangeFault::RedirectEcho,
            "fail login token untrusted_redirect",
            "imds 200, challenge 401, exchange 307",
        ),
    ]
    .into_iter()
    .map(|(fault, expected, requests)| {
        let arrange = move |settings: &mut Settings| settings.exchange.answer = fault.into();
        managed(&format!("an exchange with {fault:?}"), arrange, &[expected], requests)
    })
    .collect();
    let canned = |canned: Canned, expected: &str, requests: &str| {
        let name = format!("{canned:?} at the exchange");
        let arrange = move |settings: &mut Settings| settings.answer(Step::Exchange, canned.clone());
        managed(&name, arrange, &[expected], requests)
    };
    cases.extend([
        canned(Canned::Unauthorized, missing, refused),
        canned(
            Canned::Firewall(FirewallWording::CorrelationId),
            "fail login token access_denied",
            "imds 200, challenge 401, exchange 403, token 401",
        ),
        canned(
            Canned::Throttled(RetryAfter::Seconds(7)),
            "unknown login token throttled",
            "imds 200, challenge 401, exchange 429",
        ),
        canned(
            Canned::ServerError(503),
            "fail login token registry_error",
            "imds 200, challenge 401, exchange 503, token 401",
        ),
        canned(Canned::BadGateway, foreign, "imds 200, challenge 401, exchange 502, token 401"),
        canned(Canned::CaptivePortal, foreign, "imds 200, challenge 401, exchange 200, token 401"),
        canned(Canned::ProxyForbidden, foreign, "imds 200, challenge 401, exchange 403, token 401"),
        canned(
            Canned::Redirect { status: 307, target: Target::ForeignHost },
            "fail login token untrusted_redirect",
            "imds 200, challenge 401, exchange 307",
        ),
    ]);
    // As for every other request, a reused connection that ends before any byte is followed by a second attempt.
    let once = "imds 200, challenge 401, exchange 200";
    let twice = "imds 200, challenge 401, exchange 200, exchange 200";
    for (delivery, expected, requests) in [
        (Delivery::SilentAfterRequest, "fail login token response_timeout", once),
        (Delivery::ResetAfterRequest, "fail login token connection_reset", twice),
        (Delivery::EndlessBody, foreign, "imds 200, challenge 401, exchange 200, token 401"),
    ] {
        cases.push(impatient(
            &format!("an exchange with {delivery:?}"),
            move |settings| settings.deliver(Step::Exchange, delivery),
            &[expected],
            requests,
        ));
    }
    cases
}

fn rights() -> Vec<Case> {
    const MISSING: &[&str] = &["fail login token pull_role_missing"];
    const SCOPE: &[&str] = &["fail login manifest scope_missing"];
    let healthy = format!("imds 200, challenge 401, exchange 200, token 400, token 200, {PULL}");
    let at_exchange = "imds 200, challenge 401, exchange 401, token 401";
    let after = "imds 200, challenge 401, exchange 200, token 401";
    let at_token = "imds 200, challenge 401, exchange 200, token 400, token 401, token 401";
    let at_manifest =
        "imds 200, challenge 401, exchange 200, token 400, token 200, manifest 401, manifest 401, token 401";
    let abac = |repository: &str, refusal| Rights::Abac { readable: vec![repository.to_owned()], refusal };
    let table: Vec<(&str, Rights, &[&str], &str)> = vec![
        ("the claim's older spelling", Rights::PullAsActions, &[], &healthy),
        ("no role", Rights::None, MISSING, at_exchange),
        ("a role without read", Rights::WithoutRead, MISSING, after),
        ("a role removed after the exchange", Rights::RemovedAfterExchange, MISSING, at_token),
        ("ABAC", abac("apps/canary", AbacRefusal::AtToken), &[], &healthy),
        (
            "ABAC without the repository, at the token",
            abac("apps/other", AbacRefusal::AtToken),
            MISSING,
            at_token,
        ),
        (
            "ABAC without the repository, no access",
            abac("apps/other", AbacRefusal::EmptyAccess),
            SCOPE,
            at_manifest,
        ),
        (
            "ABAC without the repository, at the manifest",
            abac("apps/other", AbacRefusal::AtManifest),
            SCOPE,
            at_manifest,
        ),
    ];
    let mut cases: Vec<Case> = table
        .into_iter()
        .map(|(name, rights, expected, requests)| {
            let arrange = move |settings: &mut Settings| settings.identity.rights = rights.clone();
            managed(name, arrange, expected, requests)
        })
        .collect();
    cases.push(managed(
        "an opaque refresh token",
        |settings| settings.exchange.answer = ExchangeFault::Opaque.into(),
        &[],
        &healthy,
    ));
    cases
}

/// A kubelet whose credential provider fails pulls anonymously.
fn anonymous() -> Vec<Case> {
    type Row = (&'static str, fn(&mut Settings), &'static str, String);
    let granted = format!("challenge 401, token 200, {PULL}");
    let table: Vec<Row> = vec![
        (
            "IMDS does not know it",
            |settings| settings.identity.imds.answer = Some(ImdsFault::IdentityNotFound),
            "warn login token identity_not_found",
            format!("imds 400, {granted}"),
        ),
        (
            "IMDS fails",
            |settings| settings.identity.imds.answer = Some(ImdsFault::Status(500)),
            "warn login token identity_unavailable",
            format!("imds 500, {granted}"),
        ),
        (
            "it has no role",
            |settings| settings.identity.rights = Rights::None,
            "warn login token pull_role_missing",
            format!(
                "imds 200, challenge 401, exchange 401, {}",
                granted.trim_start_matches("challenge 401, ")
            ),
        ),
        (
            "the exchange fails",
            |settings| settings.answer(Step::Exchange, Canned::ServerError(503)),
            "warn login token registry_error",
            format!("imds 200, challenge 401, exchange 503, {}", &granted["challenge 401, ".len()..]),
        ),
        (
            "a proxy answers the exchange",
            |settings| settings.answer(Step::Exchange, Canned::ProxyForbidden),
            "warn login token not_a_registry",
            format!("imds 200, challenge 401, exchange 403, {}", &granted["challenge 401, ".len()..]),
        ),
    ];
    table
        .into_iter()
        .map(|(name, arrange, expected, requests)| {
            let arrange = move |settings: &mut Settings| {
                settings.credentials.anonymous = true;
                arrange(settings);
            };
            managed(&format!("anonymous pulls work, {name}"), arrange, &[expected], &requests)
        })
        .collect()
}
