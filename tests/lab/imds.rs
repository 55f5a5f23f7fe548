//! The node's metadata service, and the tokens of its identities.
//!
//! Owns the checks of a token request and the bodies, which write numbers as text. `identity_tokens.rs` issues the tokens,
//! `http.rs` delivers the answers.

use std::time::Duration;

use url::form_urlencoded;

use super::answers::RetryAfter;
use super::http::Incoming;
use super::identity_tokens::{self, Issued, Principal};
use super::response::{self, Response};
use super::settings::{ARM_AUDIENCE, Identity, ImdsFault, ManagedIdentity, REGISTRY_AUDIENCE, TokenDefect};
use super::shared::{Numbered, Shared};

/// The path of token requests.
pub const TOKEN_PATH: &str = "/metadata/identity/oauth2/token";
const VERSIONS: [&str; 4] = ["2018-02-01", "2018-10-01", "2019-08-01", "2021-02-01"];
/// The index of the service's request count.
const COUNT: usize = 0;

/// Answers a request at the metadata service.
pub fn respond(shared: &Shared, current: &Numbered, request: &Incoming) -> Response {
    let identity = &current.settings.identity;
    if request.path() != TOKEN_PATH {
        return error(404, "not_found", "The requested resource was not found");
    }
    let number = shared.identity.count(current.number, COUNT);
    match identity.imds.first.get(number).or(identity.imds.answer.as_ref()) {
        None => token(shared, identity, request, None),
        Some(ImdsFault::Token(defect)) => token(shared, identity, request, Some(*defect)),
        Some(ImdsFault::IdentityNotFound) => not_found(),
        Some(ImdsFault::InvalidResource) => unknown_resource(identity, REGISTRY_AUDIENCE),
        Some(ImdsFault::Status(status)) => with_status(*status),
        Some(ImdsFault::Throttled(retry_after)) => throttled(*retry_after),
        Some(ImdsFault::Html(status)) => html(*status),
        Some(ImdsFault::Redirect) => redirect(),
        Some(ImdsFault::Echo) => {
            let body = String::from_utf8_lossy(&token(shared, identity, request, None).body).into_owned();
            error(400, "invalid_request", &format!("Cannot issue {}", body.replace('"', "'")))
        }
    }
}

fn token(shared: &Shared, identity: &Identity, request: &Incoming, defect: Option<TokenDefect>) -> Response {
    if request.method != "GET" {
        return error(405, "method_not_allowed", "The method is not supported");
    }
    if request.header("X-Forwarded-For").is_some() {
        return error(400, "bad_request_101", "Proxied requests are not supported");
    }
    if !request.header("Metadata").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return error(400, "bad_request_102", "Required metadata header not specified");
    }
    let parameters: Vec<(String, String)> =
        form_urlencoded::parse(request.query().as_bytes()).into_owned().collect();
    let values = |wanted: &str| -> Vec<&str> {
        parameters.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value.as_str()).collect()
    };
    if !matches!(values("api-version")[..], [version] if VERSIONS.contains(&version)) {
        let newest = VERSIONS.map(|version| format!("\"{version}\"")).join(",");
        return json(
            400,
            format!(
                r#"{{"error":"Bad request. api-version was invalid or not specified in the request. For more information refer to aka.ms/azureimds","newest-versions":[{newest}]}}"#
            ),
        );
    }
    let resource = match values("resource")[..] {
        [resource] if !resource.is_empty() => resource,
        _ => return error(400, "invalid_request", "Required audience parameter not specified"),
    };
    let named: Vec<(&str, &str)> = ["client_id", "object_id", "msi_res_id", "mi_res_id"]
        .into_iter()
        .flat_map(|name| values(name).into_iter().map(move |value| (name, value)).collect::<Vec<_>>())
        .collect();
    let found = match named[..] {
        [] => match (&identity.system_assigned, &identity.assigned[..]) {
            (Some(own), _) => own,
            (None, [only]) => only,
            (None, []) => return not_found(),
            (None, _) => {
                return error(
                    400,
                    "invalid_request",
                    "Multiple user assigned identities exist, please specify the clientId / resourceId of the \
                     identity in the token request",
                );
            }
        },
        [(name, value)] => match identity.assigned.iter().find(|known| is_named(known, name, value)) {
            Some(known) => known,
            None => return not_found(),
        },
        _ => {
            return error(400, "invalid_request", "More than one identity is specified in the token request");
        }
    };
    if ![REGISTRY_AUDIENCE, ARM_AUDIENCE].contains(&resource) {
        return unknown_resource(identity, resource);
    }
    let issue = || shared.identity.issue(identity, &shared.log, &Principal::from(found), resource, defect);
    let issued = match defect {
        None => shared.identity.cached((&found.client_id, resource), issue),
        Some(_) => issue(),
    };
    granted(found, resource, &issued, defect)
}

fn is_named(identity: &ManagedIdentity, parameter: &str, value: &str) -> bool {
    let known = match parameter {
        "client_id" => &identity.client_id,
        "object_id" => &identity.object_id,
        _ => &identity.resource,
    };
    known.eq_ignore_ascii_case(value)
}

/// The 200 with a token: every value is text.
fn granted(
    identity: &ManagedIdentity,
    resource: &str,
    issued: &Issued,
    defect: Option<TokenDefect>,
) -> Response {
    if defect == Some(TokenDefect::NotJson) {
        return json(200, "token granted".into());
    }
    let token = identity_tokens::spelled(&issued.token, defect)
        .map_or_else(String::new, |token| format!(r#""access_token":"{token}","#));
    let left = issued.expires.saturating_sub(identity_tokens::now());
    json(
        200,
        format!(
            r#"{{{token}"client_id":"{}","expires_in":"{left}","expires_on":"{}","ext_expires_in":"{left}","not_before":"{}","resource":"{resource}","token_type":"Bearer"}}"#,
            identity.client_id, issued.expires, issued.not_before,
        ),
    )
}

fn not_found() -> Response {
    error(400, "invalid_request", "Identity not found")
}

fn unknown_resource(identity: &Identity, resource: &str) -> Response {
    let text = format!(
        "AADSTS50001: The application named {resource} was not found in the tenant named {}. This can happen if \
         the application has not been installed by the administrator of the tenant or consented to by any user in \
         the tenant. You might have sent your authentication request to the wrong tenant",
        identity.tenant
    );
    error(400, "invalid_resource", &text)
}

fn with_status(status: u16) -> Response {
    let (code, text) = match status {
        403 => ("forbidden", "The request is not permitted"),
        404 => ("not_found", "The requested resource was not found"),
        410 => ("gone", "The service is being updated"),
        _ => ("unknown", "Failed to retrieve token from the Active directory"),
    };
    error(status, code, text)
}

fn throttled(retry_after: RetryAfter) -> Response {
    let mut response = error(429, "invalid_request", "Temporarily throttled, too many requests");
    response.headers.extend(retry_header(retry_after));
    response
}

/// The `Retry-After` of a throttled response.
pub fn retry_header(retry_after: RetryAfter) -> Option<(String, String)> {
    let value = match retry_after {
        RetryAfter::None => return None,
        RetryAfter::Seconds(seconds) => seconds.to_string(),
        RetryAfter::Date(seconds) => response::date(Duration::from_secs(seconds.into())),
    };
    Some(("Retry-After".into(), value))
}

/// A proxy's page, which is not the service's.
pub fn html(status: u16) -> Response {
    let body = format!(
        "<!DOCTYPE html><html><head><title>Proxy {status}</title></head><body><p>The proxy cannot complete this \
         request.</p></body></html>\n"
    );
    let headers = [("Content-Type".into(), "text/html".into()), ("Server".into(), "gateway".into())];
    Response::stranger(status, &headers, body.into_bytes())
}

/// A redirect to another host, which no client may follow.
pub fn redirect() -> Response {
    let headers = [("Location".into(), "http://login.fabrikam.example/token".into())];
    Response::stranger(302, &headers, Vec::new())
}

fn error(status: u16, code: &str, text: &str) -> Response {
    json(status, format!(r#"{{"error":"{code}","error_description":"{text}"}}"#))
}

fn json(status: u16, body: String) -> Response {
    let headers = [
        ("Content-Type".into(), "application/json; charset=utf-8".into()),
        ("Server".into(), "IMDS/150.870.65.1475".into()),
    ];
    Response::stranger(status, &headers, body.into_bytes())
}
