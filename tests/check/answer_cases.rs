//! Responses: their sender and the reason in their text, without guesses.

use super::{Bench, Case, case, files_of};
use lab::answers::{Canned, FirewallWording, Step};

const STEPS: [(Step, &str); 5] = [
    (Step::Challenge, "login challenge"),
    (Step::Token, "login token"),
    (Step::Manifest, "login manifest"),
    (Step::BlobRedirect, "data blob"),
    (Step::Blob, "data blob"),
];

/// A response with a registry's error body and the header that only registries send.
fn registry(status: u16, code: &str, message: &str) -> Canned {
    let body = format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#);
    let headers = [
        ("Content-Type", "application/json; charset=utf-8"),
        ("Docker-Distribution-Api-Version", "registry/2.0"),
    ];
    raw(status, &headers, &body)
}

fn raw(status: u16, headers: &[(&str, &str)], body: &str) -> Canned {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Canned::Raw { status, headers, body: body.as_bytes().to_vec() }
}

fn page(status: u16) -> Canned {
    let body = "<html><head><title>ERROR: The requested URL could not be retrieved</title></head><body>squid</body></html>";
    raw(status, &[("Content-Type", "text/html;charset=utf-8"), ("Server", "squid/6.6")], body)
}

fn at(step: Step, canned: Canned, expected: &[&str]) -> Case {
    case(format!("{canned:?} at {step:?}"), move |settings| settings.answer(step, canned.clone()), expected)
}

const DENIED: &str = "requested access to pull from source 'docker.io/library/x/y' for cache rule 'docker-io-rule' has been denied.";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = foreign();
    cases.extend(reasons());
    cases.extend(nothing_known());
    cases
}

/// Responses that do not come from the registry, at every step and with every status.
fn foreign() -> Vec<Case> {
    let mut cases = Vec::new();
    for (step, place) in STEPS {
        let foreign = format!("fail {place} not_a_registry");
        for status in [400, 401, 403, 404, 407, 429, 500, 502, 503, 504, 511] {
            cases.push(at(step, page(status), &[&foreign]));
        }
        let text = raw(403, &[("Content-Type", "text/plain")], "Action: Deny. Reason: No rule matched.");
        let empty = raw(503, &[], "");
        let [text_cause, empty_cause] = match step {
            // The data endpoint has no error format of its own, so the status decides.
            Step::Blob => ["blob_denied", "registry_error"],
            Step::Challenge | Step::Exchange | Step::Token | Step::Manifest | Step::BlobRedirect => {
                ["not_a_registry"; 2]
            }
        };
        cases.push(at(step, text, &[&format!("fail {place} {text_cause}")]));
        cases.push(at(step, empty, &[&format!("fail {place} {empty_cause}")]));
    }
    cases
}

fn reasons() -> Vec<Case> {
    let rule = &["fail login manifest cache_rule_failed"];
    let error = &["fail login manifest registry_error"];
    let unauthorized = "authentication required with source registry for cache rule 'docker-io'.";
    let throttled = "too many requests to source registry for cache rule 'docker-io'";
    vec![
        at(Step::Manifest, registry(403, "DENIED", DENIED), rule),
        at(Step::BlobRedirect, registry(403, "DENIED", DENIED), &["fail data blob cache_rule_failed"]),
        at(Step::Manifest, registry(401, "UNAUTHORIZED", unauthorized), rule),
        at(Step::Manifest, registry(424, "UNKNOWN", "failed dependency"), rule),
        at(
            Step::Manifest,
            registry(404, "MANIFEST_UNKNOWN", "not found in source registry for cache rule 'docker-io'"),
            rule,
        ),
        at(Step::Manifest, registry(503, "UNAVAILABLE", throttled), rule),
        // Throttled, whatever throttles: a pull can work again without a change.
        at(
            Step::Manifest,
            registry(429, "TOOMANYREQUESTS", throttled),
            &["unknown login manifest throttled"],
        ),
        at(
            Step::Manifest,
            registry(403, "IMAGE_QUARANTINED", "The image is quarantined."),
            &["fail login manifest manifest_quarantined"],
        ),
        at(
            Step::Manifest,
            registry(404, "UNKNOWN", "The image is quarantined."),
            &["fail login manifest manifest_quarantined"],
        ),
        at(Step::Manifest, registry(403, "DENIED", "retrieving permissions failed"), error),
        at(Step::Manifest, registry(403, "DENIED", "requested access to the resource is denied"), error),
        at(Step::Manifest, registry(404, "NAME_INVALID", "invalid repository name"), error),
        at(
            Step::Manifest,
            Canned::Firewall(FirewallWording::Escaped),
            &["fail login manifest access_denied"],
        ),
    ]
}

/// Responses that come from a registry without further details.
fn nothing_known() -> Vec<Case> {
    let version = [("Docker-Distribution-Api-Version", "registry/2.0")];
    let correlated = [("X-Ms-Correlation-Request-Id", "3e120724-684a-bf56-100a-7d3ff40bdcd8")];
    let insufficient = [(
        "WWW-Authenticate",
        "Bearer realm=\"https://contoso.azurecr.io/oauth2/token\",error=\"insufficient_scope\"",
    )];
    let invalid = [(
        "WWW-Authenticate",
        "Bearer realm=\"https://contoso.azurecr.io/oauth2/token\",error=\"invalid_token\"",
    )];
    vec![
        at(Step::Manifest, raw(503, &version, ""), &["fail login manifest registry_error"]),
        at(Step::Manifest, raw(502, &correlated, "<html>"), &["fail login manifest registry_error"]),
        at(Step::Manifest, raw(404, &version, ""), &["fail login manifest manifest_not_found"]),
        at(Step::Manifest, raw(401, &version, ""), &["fail login manifest registry_error"]),
        at(Step::Manifest, raw(401, &insufficient, ""), &["fail login manifest scope_missing"]),
        at(Step::Manifest, raw(401, &invalid, ""), &["fail login manifest token_refused"]),
        at(
            Step::Token,
            raw(401, &[("Content-Type", "application/json")], r#"{"details":"incorrect password"}"#),
            &["fail login token credentials_rejected"],
        ),
        at(Step::Manifest, raw(429, &[("Retry-After", "7")], ""), &["unknown login manifest throttled"]),
        at(Step::Blob, raw(403, &[], ""), &["fail data blob blob_denied"]),
        at(Step::Blob, raw(404, &[], ""), &["fail data blob blob_not_found"]),
    ]
}

/// The message of the first diagnosis.
fn message(step: Step, canned: Canned) -> String {
    let outcome = Bench::with(|settings| settings.answer(step, canned)).check();
    outcome.diagnoses.first().map(|first| first.message.clone()).unwrap_or_default()
}

#[test]
fn messages_quote_the_text_of_the_response() {
    let throttled = "too many requests to source registry for cache rule 'docker-io'";
    for (step, canned, words) in [
        (
            Step::Challenge,
            page(503),
            "returned 503 with an HTML page that is not from a registry (\"ERROR: The requested URL could not be retrieved\").",
        ),
        (Step::Blob, page(404), "returned 404 with an HTML page that is not from a registry (\"ERROR: The"),
        (
            Step::Manifest,
            raw(403, &[("Content-Type", "text/html")], "<style>p{}</style><p>Blocked <b>by</b>\n policy"),
            "(\"Blocked by policy\")",
        ),
        (
            Step::Manifest,
            raw(403, &[], "Action: Deny."),
            "with text that is not from a registry (\"Action: Deny.\")",
        ),
        (Step::Manifest, raw(403, &[], "\u{fffd}\u{1}"), "with text that is not from a registry."),
        (Step::Manifest, raw(503, &[], ""), "returned 503 without the error body or headers of a registry."),
        (
            Step::Blob,
            Canned::StorageForbidden,
            "denied access to the blob (403) (AuthorizationFailure: This request is not authorized to perform this operation. RequestId:",
        ),
        (Step::Manifest, registry(403, "DENIED", DENIED), "An artifact cache rule of contoso.azurecr.io"),
        (
            Step::Manifest,
            registry(403, "DENIED", DENIED),
            "for cache rule 'docker-io-rule' has been denied).",
        ),
        (
            Step::Manifest,
            registry(429, "TOOMANYREQUESTS", throttled),
            "The source of an artifact cache rule of contoso.azurecr.io",
        ),
        (
            Step::Manifest,
            Canned::Throttled(lab::answers::RetryAfter::None),
            "throttles requests (429): whether a pull works is unknown",
        ),
        (
            Step::Manifest,
            Canned::Unauthorized,
            "without a reason, neither an invalid token nor an insufficient scope",
        ),
        (
            Step::Manifest,
            Canned::Firewall(FirewallWording::Refer),
            "denies this node access; the request arrived from 203.0.113.7",
        ),
        (
            Step::Manifest,
            registry(403, "DENIED", "retrieving permissions failed"),
            "returned 403 (DENIED: retrieving permissions failed).",
        ),
    ] {
        let message = message(step, canned);
        assert!(message.contains(words), "{step:?}: {message}");
    }
}

/// A captive portal answers every request with its own page, even with the expected status.
#[test]
fn a_page_with_the_expected_status_is_quoted() {
    for (step, words) in [
        (Step::Challenge, "it returned HTML instead of a manifest (\"Welcome\") (status 200)"),
        (Step::Token, "its token response is not a token service's JSON (\"Welcome\") (status 200)"),
        (Step::Manifest, "it returned HTML instead of a manifest (\"Welcome\") (status 200)"),
        (Step::BlobRedirect, "it returned HTML instead of a blob (status 200)"),
        (Step::Blob, "it returned HTML instead of a blob (status 200)"),
    ] {
        let message = message(step, Canned::CaptivePortal);
        assert!(message.contains(words), "{step:?}: {message}");
    }
    let message = message(Step::Challenge, page(401));
    assert!(message.contains("no WWW-Authenticate header (\"ERROR: The requested URL"), "{message}");
}

/// Anonymous pulls: only a 401 without another known reason means missing credentials.
#[test]
fn a_401_with_another_reason_is_not_credentials_missing() {
    for (canned, expected) in [
        (page(401), "fail login manifest not_a_registry"),
        (
            registry(401, "UNAUTHORIZED", "authentication required with source registry for cache rule 'x'"),
            "fail login manifest cache_rule_failed",
        ),
        (registry(401, "UNAUTHORIZED", "authentication required"), "fail login manifest credentials_missing"),
    ] {
        let mut bench = Bench::with(|settings| {
            settings.credentials.anonymous = true;
            settings.answer(Step::Manifest, canned.clone());
        });
        files_of(&mut bench.task.credentials).paths.clear();
        let outcome = bench.check();
        assert_eq!(outcome.findings(), [expected], "{canned:?}: {outcome:#?}");
    }
}

/// Azure support would find nothing under the id of a successful response.
#[test]
fn the_correlation_id_is_that_of_the_failing_response() {
    let mut bench = Bench::healthy();
    files_of(&mut bench.task.credentials).paths.clear();
    let missing = bench.check();
    assert_eq!(
        missing.diagnoses.first().and_then(|first| first.correlation_id.clone()),
        None,
        "{missing:#?}"
    );
    let mut bench = Bench::healthy();
    bench.image(":foreign");
    let foreign = bench.check();
    assert_eq!(foreign.diagnoses[0].correlation_id, None, "{foreign:#?}");
    let bench = Bench::with(|settings| settings.answer(Step::Manifest, Canned::ServerError(503)));
    let failed = bench.check();
    let last = bench.lab.requests().pop().and_then(|request| request.correlation_id);
    assert!(last.is_some());
    assert_eq!(failed.diagnoses[0].correlation_id, last);
}

#[test]
fn a_secret_in_a_page_is_not_quoted() {
    let bench = Bench::healthy();
    let password = bench.lab.password();
    for page in [
        format!("<title>{password}</title>"),
        format!("<p>{password}"),
        format!("text {password}"),
        format!("<title>Denied</title> {password}"),
    ] {
        bench.lab.change(|settings| settings.answer(Step::Manifest, raw(403, &[], &page)));
        let outcome = bench.check();
        outcome.expect(&["fail login manifest not_a_registry"]);
        assert!(!outcome.diagnoses[0].message.contains(&password), "{outcome:#?}");
    }
}
