//! What the registry grants an identity.

use super::{REJECTED, State, managed};
use lab::content::REPOSITORY;
use lab::settings::{AbacRefusal, Rights, Settings};

const MISSING: &str = "fail login token pull_role_missing";

/// A registry with ABAC on which the identity may read another repository.
fn abac(settings: &mut Settings, refusal: AbacRefusal) {
    settings.identity.rights = Rights::Abac { readable: vec!["apps/other".into()], refusal };
}

pub(super) fn states() -> Vec<State> {
    let granting = |name, settings| managed(name).settings(settings);
    vec![
        granting("role AcrPull, in the claim's older spelling", |settings| {
            settings.identity.rights = Rights::PullAsActions;
        })
        .pulls_as("managed_identity"),
        granting("no role on the registry", |settings| settings.identity.rights = Rights::None)
            .plugin_fails("/oauth2/exchange responded with status code 401")
            .expects(&[MISSING])
            .naming(&["AcrPull"]),
        granting("no role on the registry, which permits anonymous pulls", |settings| {
            settings.identity.rights = Rights::None;
            settings.credentials.anonymous = true;
        })
        .plugin_fails("/oauth2/exchange responded with status code 401")
        .pulls_as("anonymous")
        .expects(&["warn login token pull_role_missing"]),
        granting("role without the right to pull", |settings| settings.identity.rights = Rights::WithoutRead)
            .pull_fails("insufficient_scope")
            .expects(&[MISSING]),
        granting("role removed after the exchange", |settings| {
            settings.identity.rights = Rights::RemovedAfterExchange;
        })
        .pull_fails(REJECTED)
        .expects(&[MISSING]),
        granting("role removed after the exchange, and the registry permits anonymous pulls", |settings| {
            settings.identity.rights = Rights::RemovedAfterExchange;
            settings.credentials.anonymous = true;
        })
        .pulls_as("anonymous")
        .expects(&["warn login token pull_role_missing"]),
        granting("ABAC, repository may be read", |settings| {
            settings.identity.rights =
                Rights::Abac { readable: vec![REPOSITORY.into()], refusal: AbacRefusal::AtToken };
        })
        .pulls_as("managed_identity"),
        granting("ABAC, repository rejected by the token endpoint", |settings| {
            abac(settings, AbacRefusal::AtToken);
        })
        .pull_fails(REJECTED)
        .expects(&[MISSING]),
        granting("ABAC, token without access to the repository", |settings| {
            abac(settings, AbacRefusal::EmptyAccess);
        })
        .pull_fails("insufficient_scope")
        .expects(&["fail login manifest scope_missing"]),
        granting("ABAC, repository rejected at the manifest", |settings| {
            abac(settings, AbacRefusal::AtManifest);
        })
        .pull_fails("insufficient_scope")
        .expects(&["fail login manifest scope_missing"]),
    ]
}
