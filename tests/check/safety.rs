//! Where nothing may go: credentials, tokens and connections, in every case of the tables.

use acr_verifier::observation::{Endpoint, Stage};

use super::{Bench, Outcome, case};
use crate::lab::answers::{Canned, Step, Target};
use crate::lab::log::{Listener, Request};
use crate::lab::settings::{Settings, View};

/// What a check must never do, whatever it meets; empty when it did not.
pub(crate) fn violations(bench: &Bench, outcome: &Outcome) -> Vec<String> {
    let mut violations = Vec::new();
    for request in bench.lab.requests() {
        violations.extend(misplaced(&request));
    }
    let judged_bad = |endpoint: Endpoint| {
        outcome.diagnoses.iter().any(|told| {
            let stopped = matches!(told.stage, Stage::Dns | Stage::Address);
            told.endpoint == endpoint && stopped && told.severity == acr_verifier::diagnosis::Severity::Fail
        })
    };
    if judged_bad(Endpoint::Login) && !bench.lab.all_connections().is_empty() {
        violations.push("it connected although the login server's addresses are bad".to_owned());
    }
    let configured = !bench.task.data_endpoints.is_empty();
    if judged_bad(Endpoint::Data) && !configured && bench.lab.connections(Listener::Data) > 0 {
        violations.push("it connected although the data endpoint's addresses are bad".to_owned());
    }
    if bench.lab.all_connections().iter().any(|connection| matches!(connection.listener, Listener::Decoy(_)))
    {
        violations.push("it connected to an address that nobody named".to_owned());
    }
    let shown = outcome.shown(bench);
    for secret in bench.lab.secrets() {
        if secret.len() >= 8 && shown.contains(&secret) {
            violations.push(format!("a secret is shown: {secret}"));
        }
    }
    violations
}

/// A request with something that does not belong to where it went.
fn misplaced(request: &Request) -> Option<String> {
    let authorization = request.header("Authorization").unwrap_or_default();
    let scheme = authorization.split(' ').next().unwrap_or_default();
    let expected = match request.step {
        Some(Step::Challenge | Step::Blob) => "",
        Some(Step::Token) => "Basic",
        Some(Step::Manifest | Step::BlobRedirect) => "Bearer",
        None => return Some(format!("a request that no pull makes: {} {}", request.method, request.target)),
    };
    let at_login = request.listener == Listener::Login;
    let wrong_place = (!expected.is_empty() && !at_login) || (request.step == Some(Step::Blob) && at_login);
    let foreign =
        ["Referer", "Cookie", "Proxy-Authorization"].iter().any(|name| request.header(name).is_some());
    (scheme != expected || wrong_place || foreign).then(|| {
        format!("{:?} at {:?} carried `{scheme}`, foreign headers: {foreign}", request.step, request.listener)
    })
}

/// Decoys listen where a credulous client would go; nobody may come.
#[test]
fn decoys_stay_alone() {
    let decoy = "127.0.0.44";
    let arrange = move |settings: &mut Settings| {
        settings.place.decoy_addresses = vec![decoy.parse().expect("an address")];
    };
    let to_decoy = move |settings: &mut Settings| {
        arrange(settings);
        settings.nameservers[0].login = View::Addresses(vec![decoy.parse().expect("an address")]);
    };
    let unexpected = &["fail login address unexpected_address"];
    let url = move |bench: &Bench| format!("https://{decoy}:{}/", bench.lab.port());
    let cases = [
        case("unexpected address", to_decoy, unexpected)
            .adjust(|bench| bench.task.policy.expected = vec!["127.0.0.2/31".parse().expect("a range")]),
        case("redirect to an IP literal", arrange, &["fail data blob untrusted_redirect"]).adjust(
            move |bench| {
                let target = Target::Url(url(bench));
                bench.lab.change(|settings| {
                    settings.answer(Step::BlobRedirect, Canned::Redirect { status: 307, target });
                });
            },
        ),
        case("second redirect", arrange, &["fail data blob untrusted_redirect"]).adjust(move |bench| {
            let target = Target::Url(url(bench));
            bench
                .lab
                .change(|settings| settings.answer(Step::Blob, Canned::Redirect { status: 307, target }));
        }),
        case("redirect of the token service", arrange, &["fail login token untrusted_redirect"]).adjust(
            move |bench| {
                let target = Target::Url(url(bench));
                bench.lab.change(|settings| {
                    settings.answer(Step::Token, Canned::Redirect { status: 307, target });
                });
            },
        ),
        case("realm at an IP literal", arrange, &["fail login challenge untrusted_realm"]).adjust(
            move |bench| {
                let challenge = format!("Bearer realm=\"{}\",service=\"contoso.azurecr.io\"", url(bench));
                let headers = vec![("WWW-Authenticate".to_owned(), challenge)];
                bench.lab.change(|settings| {
                    settings.answer(Step::Challenge, Canned::Raw { status: 401, headers, body: Vec::new() });
                });
            },
        ),
    ];
    for case in &cases {
        let (bench, outcome) = case.run();
        outcome.expect(&case.expected.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(violations(&bench, &outcome), Vec::<String>::new(), "{}", case.name);
    }
}

/// A hostile registry says back what it was sent; nothing of it is shown.
#[test]
fn what_is_said_back_is_not_shown() {
    for step in Step::ALL {
        let bench = Bench::healthy();
        let echoed: Vec<String> = bench.lab.secrets();
        let message = echoed.join(" ");
        let body = serde_json::json!({"errors": [{"code": message, "message": message, "detail": null}]});
        let headers = vec![
            ("Content-Type".to_owned(), "application/json".to_owned()),
            ("X-Ms-Correlation-Request-Id".to_owned(), bench.lab.password()),
        ];
        let canned = Canned::Raw { status: 403, headers, body: body.to_string().into_bytes() };
        bench.lab.change(|settings| settings.answer(step, canned));
        let outcome = bench.check();
        // Before the credentials are sent nobody can say them back.
        if step != Step::Challenge {
            assert_eq!(violations(&bench, &outcome), Vec::<String>::new(), "{step:?}");
        }
        assert_eq!(outcome.diagnoses.len(), 1, "{step:?}: {:?}", outcome.told());
    }
}
