//! The registry's exchange of an identity's token for a refresh token, and what that token permits later.
//!
//! Owns the exchange step, the refresh tokens, and the rights of an identity at the token endpoint and the manifest.
//! `tokens.rs` signs, `registry.rs` routes.

use serde_json::json;

use super::answers::Answer;
use super::canned;
use super::http::Incoming;
use super::identity_tokens::{OVER_LONG, now};
use super::random;
use super::registry::service;
use super::response::Response;
use super::settings::{
    ARM_AUDIENCE, AbacRefusal, Credentials, ExchangeFault, Grant, REGISTRY_AUDIENCE, Rights, Settings,
};
use super::shared::Shared;
use super::tokens::{Access, ISSUER};

/// The path of the exchange.
pub const PATH: &str = "/oauth2/exchange";
/// The user name of every refresh token.
pub const REFRESH_TOKEN_USER: &str = "00000000-0000-0000-0000-000000000000";

/// The caller of the token endpoint by a refresh token.
pub enum Caller {
    /// A refresh token of this registry, with the credentials that it stands for.
    Known(Credentials),
    /// Not a valid refresh token, or one without a right.
    Refused,
}

/// Answers a request at the exchange.
pub fn respond(shared: &Shared, settings: &Settings, request: &Incoming) -> Response {
    if request.method != "POST" {
        return Response::registry(405, "text/plain", &[], Vec::new());
    }
    let form = request.form();
    let field = |wanted: &str| form.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value);
    let identity = &settings.identity;
    let fault = if let Answer::Faulty(fault) = &settings.exchange.answer { Some(*fault) } else { None };
    if fault == Some(ExchangeFault::RedirectEcho) {
        let label: String = field("access_token").chars().take(60).collect();
        return canned::redirect(307, &format!("https://{label}.fabrikam.example{PATH}"));
    }
    // The plugin's deprecated form sends the same token twice.
    let known_form = match field("grant_type") {
        "access_token" => true,
        "access_token_refresh_token" => field("refresh_token") == field("access_token"),
        _ => false,
    };
    let names = [service(shared), shared.place.login_server()];
    let claims = shared.identity.token(field("access_token")).filter(|claims| {
        let audience = claims["aud"].as_str().unwrap_or_default();
        let accepted = audience == REGISTRY_AUDIENCE || (identity.arm_tokens && audience == ARM_AUDIENCE);
        accepted && claims["exp"].as_u64().is_some_and(|end| end > now())
    });
    let placed = names.iter().any(|name| name == field("service")) && field("tenant") == identity.tenant;
    let Some(claims) = claims.filter(|_| known_form && placed && identity.rights != Rights::None) else {
        return canned::unauthorized_at_token_service();
    };
    let subject = claims["oid"].as_str().unwrap_or_default();
    let token = refresh_token(shared, settings, subject, fault);
    let body = match fault {
        Some(ExchangeFault::NotJson) => "token granted".to_owned(),
        Some(ExchangeFault::Missing) => "{}".to_owned(),
        Some(ExchangeFault::Empty) => r#"{"refresh_token":""}"#.to_owned(),
        Some(ExchangeFault::OverLong) => format!(r#"{{"refresh_token":"{token}{}"}}"#, "A".repeat(OVER_LONG)),
        Some(ExchangeFault::LineBreak) => format!(r#"{{"refresh_token":"{token}\r\nX-Injected: yes"}}"#),
        Some(
            ExchangeFault::Opaque
            | ExchangeFault::Expired
            | ExchangeFault::OtherAudience
            | ExchangeFault::RedirectEcho,
        )
        | None => format!(r#"{{"refresh_token":"{token}"}}"#),
    };
    Response::token_service(200, body)
}

fn refresh_token(
    shared: &Shared,
    settings: &Settings,
    subject: &str,
    fault: Option<ExchangeFault>,
) -> String {
    let identity = &settings.identity;
    let now = now();
    let mut claims = json!({
        "jti": random::guid(), "sub": subject, "nbf": now - 900, "exp": now + identity.refresh_life.as_secs() - 900,
        "iat": now - 900, "iss": ISSUER, "aud": service(shared), "version": "1.0",
        "rid": random::hex(16).to_lowercase(), "grant_type": "refresh_token", "tenant": identity.tenant,
        "roles": [],
    });
    match &identity.rights {
        Rights::Pull | Rights::RemovedAfterExchange => {
            claims["permissions"] = json!({"actions": ["read"], "notActions": null});
        }
        Rights::PullAsActions => claims["permissions"] = json!({"Actions": ["read"], "NotActions": null}),
        Rights::WithoutRead => claims["permissions"] = json!({"actions": ["delete"], "notActions": null}),
        Rights::None | Rights::Abac { .. } => {}
    }
    match fault {
        Some(ExchangeFault::Expired) => {
            claims["exp"] = json!(now - 1_800);
            claims["nbf"] = json!(now - 13_500);
        }
        Some(ExchangeFault::OtherAudience) => claims["aud"] = json!("fabrikam.azurecr.io"),
        Some(
            ExchangeFault::NotJson
            | ExchangeFault::Missing
            | ExchangeFault::Empty
            | ExchangeFault::OverLong
            | ExchangeFault::LineBreak
            | ExchangeFault::Opaque
            | ExchangeFault::RedirectEcho,
        )
        | None => {}
    }
    let token = shared.tokens.sign(&claims);
    // An opaque token hides the claims from clients: the registry still knows them.
    let shown = if fault == Some(ExchangeFault::Opaque) { shared.tokens.hide(token) } else { token };
    shared.log.remember_pair(REFRESH_TOKEN_USER, &shown);
    shown
}

/// The caller of the token endpoint, if user name and password are those of a refresh token.
pub fn caller(
    shared: &Shared,
    settings: &Settings,
    (username, password): (&str, &str),
    asked: &[Access],
) -> Option<Caller> {
    if username != REFRESH_TOKEN_USER {
        return None;
    }
    let claims = shared.tokens.revealed_claims(password).filter(|claims| {
        claims["grant_type"] == "refresh_token"
            && claims["aud"] == service(shared)
            && claims["exp"].as_u64().is_some_and(|end| end > now())
    });
    let Some(claims) = claims else { return Some(Caller::Refused) };
    let grant = match &settings.identity.rights {
        Rights::Pull | Rights::PullAsActions => Grant::Everything,
        Rights::None | Rights::RemovedAfterExchange => return Some(Caller::Refused),
        Rights::WithoutRead => Grant::Repositories(Vec::new()),
        Rights::Abac { readable, refusal } => {
            let all = asked.iter().all(|asked| readable.contains(&asked.name));
            match refusal {
                AbacRefusal::AtToken if !all => return Some(Caller::Refused),
                AbacRefusal::AtManifest => Grant::Everything,
                AbacRefusal::AtToken | AbacRefusal::EmptyAccess => Grant::Repositories(readable.clone()),
            }
        }
    };
    Some(Caller::Known(Credentials {
        username: claims["sub"].as_str().unwrap_or_default().to_owned(),
        password: String::new(),
        grant,
        anonymous: false,
    }))
}

/// Whether the registry rejects a pull by an identity whose token lists the pull.
pub fn is_rejected_at_manifest(shared: &Shared, settings: &Settings, token: &str, repository: &str) -> bool {
    let Rights::Abac { readable, refusal: AbacRefusal::AtManifest } = &settings.identity.rights else {
        return false;
    };
    let subject = shared.tokens.revealed_claims(token).map(|claims| claims["sub"].clone());
    let own = settings.credentials.username.as_str();
    subject.is_some_and(|subject| subject != own) && !readable.iter().any(|known| known == repository)
}
