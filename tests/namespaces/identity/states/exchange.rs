//! The registry's exchange of Entra ID's token for a refresh token, and the challenge before it.

use serde_json::json;

use super::{ANONYMOUS, REJECTED, State, managed};
use lab::answers::{Canned, ChallengeFault, FirewallWording, RetryAfter, Step, Target};
use lab::settings::ExchangeFault;

const NOT_A_REGISTRY: &str = "fail login token not_a_registry";

pub(super) fn states() -> Vec<State> {
    let answering = |name, settings| managed(name).settings(settings);
    vec![
        answering("firewall rejects the challenge", |settings| {
            settings.answer(Step::Challenge, Canned::Firewall(FirewallWording::CorrelationId));
        })
        .plugin_fails("registry did not issue a valid AAD challenge, status: 403")
        .pull_fails("403 Forbidden")
        .expects(&["fail login challenge access_denied"]),
        answering("firewall rejects the exchange", |settings| {
            settings.answer(Step::Exchange, Canned::Firewall(FirewallWording::CorrelationId));
        })
        .plugin_fails("/oauth2/exchange responded with status code 403")
        .expects(&["fail login token access_denied"]),
        answering("exchange is throttled", |settings| {
            settings.answer(Step::Exchange, Canned::Throttled(RetryAfter::Seconds(7)));
        })
        .plugin_fails("/oauth2/exchange responded with status code 429")
        .expects(&["unknown login token throttled"])
        .differs("no claim: clients of the registry should retry later"),
        answering("exchange fails (503)", |settings| settings.answer(Step::Exchange, Canned::ServerError(503)))
            .plugin_fails("/oauth2/exchange responded with status code 503")
            .expects(&["fail login token registry_error"]),
        answering("exchange fails (503), and the registry permits anonymous pulls", |settings| {
            settings.answer(Step::Exchange, Canned::ServerError(503));
            settings.credentials.anonymous = true;
        })
        .plugin_fails("/oauth2/exchange responded with status code 503")
        .pulls_as("anonymous")
        .expects(&["warn login token registry_error"]),
        answering("exchange is throttled, and the registry permits anonymous pulls", |settings| {
            settings.answer(Step::Exchange, Canned::Throttled(RetryAfter::Seconds(7)));
            settings.credentials.anonymous = true;
        })
        .plugin_fails("/oauth2/exchange responded with status code 429")
        .expects(&["unknown login token throttled"])
        .differs("no claim: a registry that throttles gets no further requests, not even anonymous ones"),
        answering("exchange response without a refresh token, and the registry permits anonymous pulls", |settings| {
            settings.exchange.answer = ExchangeFault::Missing.into();
            settings.credentials.anonymous = true;
        })
        .pulls_as("anonymous")
        .expects(&["warn login token not_a_registry"]),
        answering("a proxy answers the exchange", |settings| {
            settings.answer(Step::Exchange, Canned::ProxyForbidden);
        })
        .plugin_fails("/oauth2/exchange responded with status code 403")
        .expects(&[NOT_A_REGISTRY]),
        answering("exchange response is not JSON", |settings| {
            settings.exchange.answer = ExchangeFault::NotJson.into();
        })
        .plugin_fails("unable to read response")
        .expects(&[NOT_A_REGISTRY]),
        answering("exchange response without a refresh token", |settings| {
            settings.exchange.answer = ExchangeFault::Missing.into();
        })
        .pull_fails(ANONYMOUS)
        .expects(&[NOT_A_REGISTRY]),
        answering("refresh token has expired", |settings| {
            settings.exchange.answer = ExchangeFault::Expired.into();
        })
        .pull_fails(REJECTED)
        .expects(&["fail login token pull_role_missing"]),
        answering("opaque refresh token", |settings| settings.exchange.answer = ExchangeFault::Opaque.into())
            .pulls_as("managed_identity"),
        answering("exchange redirects to itself once", |settings| {
            settings.exchange.first = vec![Canned::Redirect { status: 307, target: Target::Itself }];
        })
        .expects(&["fail login token untrusted_redirect"])
        .differs("the credential provider sends the token to wherever the exchange redirects; the check does not"),
        answering("realm on another host", |settings| {
            settings.challenge.answer = ChallengeFault::RealmOtherHost.into();
        })
        .plugin_fails("failed to reach auth url https://login.fabrikam.example/oauth2/exchange")
        .pull_fails("https://login.fabrikam.example/oauth2/token")
        .expects(&["fail login challenge untrusted_realm"]),
        answering("registry accepts only its own tokens", |settings| settings.identity.arm_tokens = false)
            .pulls_as("managed_identity"),
        State {
            azure_json: |file| file["tenantId"] = json!("0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"),
            ..managed("another tenant in the node's configuration")
                .plugin_fails("/oauth2/exchange responded with status code 401")
                .differs("the credential provider takes the tenant from `azure.json`, which an agent cannot read; the check \
                          takes it from the token")
        },
    ]
}
