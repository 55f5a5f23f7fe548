//! Where the tokens of an identity may go, checked in every case of the tables, and what their outputs may contain.
//!
//! An assertion goes to Entra ID, and its token to the exchange of the login server, each in one field of a form. No other
//! secret goes to IMDS or Entra ID.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::Bench;
use crate::lab::Lab;
use crate::lab::answers::Step;
use crate::lab::log::{Listener, Request};

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
