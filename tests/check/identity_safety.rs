//! Where the tokens of an identity may go, checked in every case of the tables, and what their outputs may contain.
//!
//! An assertion goes to Entra ID, and its token to the exchange of the login server, each in one field of a form. No other
//! secret goes to IMDS or Entra ID.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;

use super::identity_cases::use_managed;
use super::workload_cases::use_workload;
use super::{Bench, safety};
use lab::Lab;
use lab::answers::Step;
use lab::log::{Listener, Request};
use lab::settings::{ChainRecord, Identity, Rcode, RecordValue, Settings, View};

/// Returns violations of the rules for the tokens of identities.
pub(super) fn violations(bench: &Bench) -> Vec<String> {
    let lab = &bench.lab;
    let secrets: Vec<String> = lab.secrets().into_iter().filter(|secret| secret.len() >= 8).collect();
    let confined: Vec<String> = tokens(lab).into_iter().flatten().collect();
    let mut violations = Vec::new();
    for request in lab.requests() {
        let (allowed, forbidden) = match (request.listener, request.step) {
            (Listener::Imds, _) => (None, &secrets),
            (Listener::Entra, _) => (Some("client_assertion"), &secrets),
            (Listener::Login, Some(Step::Exchange)) => (Some("access_token"), &confined),
            (Listener::Login | Listener::Data | Listener::Decoy(_), _) => (None, &confined),
        };
        let sent = without(&request, allowed);
        if let Some(secret) = forbidden.iter().find(|secret| sent.contains(secret.as_str())) {
            violations.push(format!("{:?} received a secret: {secret}", request.listener));
        }
        let elsewhere = matches!(request.listener, Listener::Imds | Listener::Entra);
        let foreign = ["Authorization", "Cookie", "Referer", "Proxy-Authorization"];
        if elsewhere && foreign.iter().any(|name| request.header(name).is_some()) {
            violations.push(format!("{:?} received a foreign header", request.listener));
        }
    }
    for query in lab.queries() {
        if secrets.iter().any(|secret| query.name.contains(secret.as_str())) {
            violations.push(format!("a secret was queried: {}", query.name));
        }
    }
    violations
}

/// Returns everything that a request sent, except for one field of its form.
fn without(request: &Request, allowed: Option<&str>) -> String {
    let form = request.form.iter().filter(|(name, _)| Some(name.as_str()) != allowed);
    let pairs = request.headers.iter().chain(form).map(|(name, value)| format!("{name}={value}\n"));
    format!("{}\n{}", request.target, pairs.collect::<String>())
}

/// Returns the assertions and the tokens of Entra ID that the lab has issued.
pub(super) fn tokens(lab: &Lab) -> [Vec<String>; 2] {
    let claims = |token: &str| -> Option<Value> {
        let part = token.split('.').nth(1)?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
    };
    let with = |wanted: fn(&Value) -> bool| -> Vec<String> {
        lab.secrets()
            .into_iter()
            .filter(|secret| claims(secret).is_some_and(|found| wanted(&found)))
            .collect()
    };
    [with(|claims| claims["kubernetes.io"].is_object()), with(|claims| claims["tid"].is_string())]
}

/// Runs a check with each kind of identity.
fn with_each_kind(arrange: impl Fn(&mut Settings), each: impl Fn(&mut Bench)) {
    for workload in [false, true] {
        let mut bench = Bench::with(|settings| {
            settings.identity = Identity::on_loopback();
            arrange(settings);
        });
        if workload {
            use_workload(&mut bench);
        } else {
            use_managed(&mut bench, None);
        }
        each(&mut bench);
    }
}

#[test]
fn all_four_secrets_are_planted() {
    with_each_kind(
        |_| {},
        |bench| {
            bench.check().expect(&[]);
            let [assertions, tokens] = tokens(&bench.lab);
            assert!(!assertions.is_empty() && !tokens.is_empty());
            let issued = |grant: &str| {
                let part = |secret: &String| secret.split('.').nth(1).map(str::to_owned);
                let parts = bench.lab.secrets().iter().filter_map(part).collect::<Vec<_>>();
                parts.iter().any(|part| {
                    let bytes = URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
                    String::from_utf8_lossy(&bytes).contains(&format!("\"grant_type\":\"{grant}\""))
                })
            };
            assert!(issued("refresh_token") && issued("access_token"));
        },
    );
}

#[test]
fn echoed_tokens_are_not_shown() {
    for step in Step::WITH_IDENTITY {
        with_each_kind(
            |settings| settings.echoing = Some(step),
            |bench| {
                let outcome = bench.check();
                assert_eq!(safety::violations(bench, &outcome), Vec::<String>::new(), "{step:?}");
                // Texts are cut, so that only the beginning of a long header may be shown.
                let basic = STANDARD_NO_PAD.encode("00000000-0000-0000-0000-000000000000");
                let shown = outcome.shown(bench);
                assert!(!shown.contains(&basic), "{step:?}: {shown}");
            },
        );
    }
}

/// A nameserver may know what an earlier check sent.
#[test]
fn tokens_in_dns_names_are_not_shown() {
    with_each_kind(
        |_| {},
        |bench| {
            bench.check().expect(&[]);
            for token in tokens(&bench.lab).concat() {
                // As much of it as fits into a name: 63 characters a label, 255 in all.
                let (header, rest) = token.split_once('.').expect("a JWT");
                let name = format!("{header}.{}.{}.fabrikam.example", &rest[..60], &rest[60..120]);
                let piece = &rest[20..50];
                let chain = |login: bool| {
                    let host = if login { bench.lab.login_server() } else { bench.lab.data_endpoint() };
                    let alias = ChainRecord { name: host, value: RecordValue::Cname(name.clone()), ttl: 60 };
                    let value = RecordValue::Address(std::net::Ipv4Addr::new(203, 0, 113, 9).into());
                    let address = ChainRecord { name: name.clone(), value, ttl: 60 };
                    View::Chain(vec![alias, address], Rcode::NoError)
                };
                let views = [(chain(true), View::Private), (View::Private, chain(false))];
                for (login, data) in views {
                    bench.lab.change(|settings| {
                        settings.nameservers[0].login = login.clone();
                        settings.nameservers[0].data = data.clone();
                    });
                    bench.lab.forget();
                    let outcome = bench.check();
                    assert_eq!(safety::violations(bench, &outcome), Vec::<String>::new());
                    let shown = outcome.shown(bench);
                    assert!(!shown.to_lowercase().contains(&piece.to_lowercase()), "{shown}");
                }
            }
        },
    );
}
