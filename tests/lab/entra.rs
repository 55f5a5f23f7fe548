//! Entra ID: exchanges an assertion for a token, and the two discovery requests that MSAL sends first.
//!
//! Owns the checks of a token request in Entra ID's order, and the refusals with their numbers. `identity_tokens.rs` issues the
//! tokens, `http.rs` delivers the answers. Texts and statuses are those of published reports; where only the number is known,
//! they are an assumption.

use serde_json::{Value, json};

use super::answers::RetryAfter;
use super::http::Incoming;
use super::identity_tokens::{self, Principal, moment, now};
use super::imds;
use super::random;
use super::response::Response;
use super::settings::{
    ARM_AUDIENCE, EntraFault, FederatedCredential, Identity, REGISTRY_AUDIENCE, TokenDefect,
};
use super::shared::{Numbered, Shared};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const FEDERATION: &str = "https://learn.microsoft.com/entra/workload-id/workload-identity-federation";
/// The index of the service's request count.
const COUNT: usize = 1;

/// A refused token request.
struct Refusal {
    number: u32,
    text: String,
}

/// Answers a request at Entra ID.
pub fn respond(shared: &Shared, current: &Numbered, request: &Incoming) -> Response {
    let identity = &current.settings.identity;
    let host = request.header("Host").unwrap_or_default();
    if request.path() == "/common/discovery/instance" {
        return json_response(200, &instances(identity, host));
    }
    let Some((tenant, path)) = request.path().trim_start_matches('/').split_once('/') else {
        return imds::html(404);
    };
    match path {
        "v2.0/.well-known/openid-configuration" if tenant == identity.tenant => {
            json_response(200, &configuration(tenant, host))
        }
        "v2.0/.well-known/openid-configuration" => {
            refused(&Refusal { number: 90_002, text: unknown_tenant(tenant) })
        }
        "oauth2/v2.0/token" if request.method == "POST" => token(shared, current, request, tenant),
        _ => imds::html(404),
    }
}

fn token(shared: &Shared, current: &Numbered, request: &Incoming, tenant: &str) -> Response {
    let identity = &current.settings.identity;
    let form = request.form();
    let field = |wanted: &str| form.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value);
    let assertion = field("client_assertion");
    if !assertion.is_empty() {
        shared.log.secrets.push(assertion.to_owned());
    }
    let number = shared.identity.count(current.number, COUNT);
    let granted = |defect: Option<TokenDefect>| match check(shared, identity, tenant, &field) {
        Ok(audience) => grant(shared, identity, audience, defect),
        Err(refusal) => refused(&refusal),
    };
    match identity.entra.first.get(number).or(identity.entra.answer.as_ref()) {
        None => granted(None),
        Some(EntraFault::Token(defect)) => granted(Some(*defect)),
        Some(EntraFault::Refused(number)) => {
            let text = text(*number, identity, tenant, assertion, &field);
            refused(&Refusal { number: *number, text })
        }
        Some(EntraFault::Throttled(retry_after)) => throttled(*retry_after),
        Some(EntraFault::Status(status)) => {
            let text = "A transient error has occurred. Please try again.".to_owned();
            error(*status, "temporarily_unavailable", &Refusal { number: 90_033, text })
        }
        Some(EntraFault::Html(status)) => imds::html(*status),
        Some(EntraFault::Redirect) => imds::redirect(),
        Some(EntraFault::Echo) => {
            refused(&Refusal { number: 50_027, text: format!("JWT token '{assertion}' is invalid.") })
        }
    }
}

/// Checks a request, and returns the audience of the token that it gets.
fn check<'a>(
    shared: &Shared,
    identity: &Identity,
    tenant: &str,
    field: &impl Fn(&str) -> &'a str,
) -> Result<&'static str, Refusal> {
    let assertion = field("client_assertion");
    let refuse = |number| Err(Refusal { number, text: text(number, identity, tenant, assertion, field) });
    for name in ["grant_type", "client_id", "scope", "client_assertion_type", "client_assertion"] {
        if field(name).is_empty() {
            let text = format!("The request body must contain the following parameter: '{name}'.");
            return Err(Refusal { number: 900_144, text });
        }
    }
    let is_guid = tenant.len() == 36 && tenant.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    if !is_guid && !tenant.contains('.') {
        return refuse(900_023);
    }
    if tenant != identity.tenant {
        return refuse(90_002);
    }
    if field("grant_type") != "client_credentials" {
        return refuse(70_003);
    }
    let credential = &identity.federated;
    if field("client_id") != credential.client_id {
        return refuse(700_016);
    }
    let claims = shared.identity.assertion(assertion);
    let (Some(claims), ASSERTION_TYPE) = (claims, field("client_assertion_type")) else {
        return refuse(50_027);
    };
    if let Some(number) = mismatch(credential, &claims) {
        return refuse(number);
    }
    let time = |claim: &str| claims[claim].as_u64().unwrap_or_default();
    if time("exp") <= now() || time("nbf") > now() {
        return refuse(700_024);
    }
    // MSAL adds the scopes of OpenID Connect.
    let scopes = field("scope").split(' ').filter_map(|scope| scope.strip_suffix("/.default"));
    match scopes.collect::<Vec<_>>()[..] {
        [REGISTRY_AUDIENCE] => Ok(REGISTRY_AUDIENCE),
        [arm] if arm == ARM_AUDIENCE.trim_end_matches('/') || arm == ARM_AUDIENCE => Ok(ARM_AUDIENCE),
        _ => refuse(500_011),
    }
}

/// The number of the first claim that is not the credential's.
fn mismatch(credential: &FederatedCredential, claims: &Value) -> Option<u32> {
    let audiences = claims["aud"].as_array().cloned().unwrap_or_else(|| vec![claims["aud"].clone()]);
    if !audiences.iter().any(|audience| audience == credential.audience.as_str()) {
        return Some(700_212);
    }
    if claims["iss"] != credential.issuer.as_str() {
        return Some(700_211);
    }
    let subject = claims["sub"].as_str().unwrap_or_default();
    if subject == credential.subject {
        return None;
    }
    let only_case = subject.eq_ignore_ascii_case(&credential.subject);
    Some(if only_case { 7_002_138 } else { 700_213 })
}

fn grant(shared: &Shared, identity: &Identity, audience: &str, defect: Option<TokenDefect>) -> Response {
    let credential = &identity.federated;
    let principal =
        Principal { client_id: &credential.client_id, object_id: &credential.object_id, resource: None };
    let issued = shared.identity.issue(identity, &shared.log, &principal, audience, defect);
    if defect == Some(TokenDefect::NotJson) {
        return respond_with(200, "token granted".into());
    }
    let left = issued.expires.saturating_sub(now());
    let token = identity_tokens::spelled(&issued.token, defect)
        .map_or_else(String::new, |token| format!(r#","access_token":"{token}""#));
    respond_with(
        200,
        format!(r#"{{"token_type":"Bearer","expires_in":{left},"ext_expires_in":{left}{token}}}"#),
    )
}

/// The text of a refusal, without number and IDs.
fn text<'a>(
    number: u32,
    identity: &Identity,
    tenant: &str,
    assertion: &str,
    field: &impl Fn(&str) -> &'a str,
) -> String {
    let claims = claims(assertion);
    let claim = |name: &str| {
        let value = &claims[name];
        value
            .as_array()
            .and_then(|values| values.first())
            .unwrap_or(value)
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let record = "No matching federated identity record found for presented assertion";
    let check = "Check your federated identity credential Subject, Audience and Issuer against the presented assertion.";
    match number {
        70_021 => format!(
            "{record}. Assertion Issuer: '{}'. Assertion Subject: '{}'. Assertion Audience: '{}'. {FEDERATION}",
            claim("iss"),
            claim("sub"),
            claim("aud")
        ),
        700_211 => format!("{record} issuer '{}'. {check} {FEDERATION}", claim("iss")),
        700_212 => format!("{record} audience '{}'. {check} {FEDERATION}", claim("aud")),
        700_213 => format!("{record} subject '{}'. {check} {FEDERATION}", claim("sub")),
        7_002_138 => format!(
            "{record} subject '{}'. The subject matches with case-insensitive comparison, but not with \
             case-sensitive comparison. {check} {FEDERATION}",
            claim("sub")
        ),
        700_016 => format!(
            "Application with identifier '{}' was not found in the directory 'Contoso'. This can happen if the \
             application has not been installed by the administrator of the tenant or consented to by any user in the \
             tenant. You may have sent your authentication request to the wrong tenant.",
            field("client_id")
        ),
        700_024 => format!(
            "Client assertion is not within its valid time range. Current time: {}, assertion valid from {}, expiry \
             time of assertion {}. Review the documentation at \
             https://learn.microsoft.com/entra/identity-platform/certificate-credentials .",
            moment(now()),
            moment(claims["nbf"].as_u64().unwrap_or_default()),
            moment(claims["exp"].as_u64().unwrap_or_default())
        ),
        90_002 => unknown_tenant(tenant),
        900_023 => format!(
            "Specified tenant identifier '{tenant}' is neither a valid DNS name, nor a valid external domain."
        ),
        500_011 => format!(
            "The resource principal named {} was not found in the tenant named {}. This can happen if the application \
             has not been installed by the administrator of the tenant or consented to by any user in the tenant.",
            field("scope").split("/.default").next().unwrap_or_default(),
            identity.tenant
        ),
        50_027 => "JWT token is invalid or malformed.".to_owned(),
        70_003 => format!("The app requested an unsupported grant type '{}'.", field("grant_type")),
        _ => "The request was refused for a reason that this text does not name.".to_owned(),
    }
}

fn unknown_tenant(tenant: &str) -> String {
    format!(
        "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the \
         correct cloud. Check with your subscription administrator, this may happen if there are no active \
         subscriptions for the tenant."
    )
}

/// The claims of a JWT, with any signature; null for anything else.
fn claims(token: &str) -> Value {
    use base64::Engine as _;
    let part = token.split('.').nth(1).unwrap_or_default();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// A refusal with the status and the error code of its number.
fn refused(refusal: &Refusal) -> Response {
    let (status, code) = match refusal.number {
        700_211 | 700_212 | 700_213 | 7_002_138 | 700_024 | 50_027 => (401, "invalid_client"),
        700_016 => (400, "unauthorized_client"),
        500_011 => (400, "invalid_resource"),
        70_003 => (400, "unsupported_grant_type"),
        _ => (400, "invalid_request"),
    };
    error(status, code, refusal)
}

fn error(status: u16, code: &str, refusal: &Refusal) -> Response {
    let (trace, correlation, timestamp) = (random::guid(), random::guid(), moment(now()));
    let Refusal { number, text } = refusal;
    let description = format!(
        "AADSTS{number}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}"
    );
    json_response(
        status,
        &json!({
            "error": code, "error_description": description, "error_codes": [number], "timestamp": timestamp,
            "trace_id": trace, "correlation_id": correlation,
            "error_uri": format!("https://login.microsoftonline.com/error?code={number}"),
        }),
    )
}

fn throttled(retry_after: RetryAfter) -> Response {
    let text = "The request was throttled. Please try again later.".to_owned();
    let mut response = error(429, "temporarily_unavailable", &Refusal { number: 90_055, text });
    response.headers.extend(imds::retry_header(retry_after));
    response
}

/// The answer to MSAL's first question: which names belong together.
fn instances(identity: &Identity, host: &str) -> Value {
    let cloud = |names: &[&str]| json!({"preferred_network": names[0], "preferred_cache": names[1], "aliases": names});
    json!({
        "tenant_discovery_endpoint":
            format!("https://{host}/{}/v2.0/.well-known/openid-configuration", identity.tenant),
        "api-version": "1.1",
        "metadata": [
            cloud(&["login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"]),
            cloud(&["login.partner.microsoftonline.cn", "login.partner.microsoftonline.cn", "login.chinacloudapi.cn"]),
            cloud(&["login.microsoftonline.us", "login.microsoftonline.us", "login.usgovcloudapi.net"]),
        ],
    })
}

/// The metadata of a tenant.
fn configuration(tenant: &str, host: &str) -> Value {
    let base = format!("https://{host}/{tenant}");
    json!({
        "token_endpoint": format!("{base}/oauth2/v2.0/token"),
        "token_endpoint_auth_methods_supported":
            ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": format!("{base}/discovery/v2.0/keys"),
        "issuer": format!("{base}/v2.0"),
        "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
        "device_authorization_endpoint": format!("{base}/oauth2/v2.0/devicecode"),
    })
}

fn json_response(status: u16, body: &Value) -> Response {
    respond_with(status, body.to_string())
}

fn respond_with(status: u16, body: String) -> Response {
    let headers = [
        ("Cache-Control", "no-store, no-cache"),
        ("Pragma", "no-cache"),
        ("Content-Type", "application/json; charset=utf-8"),
        ("Expires", "-1"),
        ("Strict-Transport-Security", "max-age=31536000; includeSubDomains"),
        ("X-Content-Type-Options", "nosniff"),
        ("x-ms-request-id", &random::guid()),
        ("x-ms-ests-server", "2.1.22500.7 - WEULR1 ProdSlices"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    Response::stranger(status, &headers, body.into_bytes())
}
