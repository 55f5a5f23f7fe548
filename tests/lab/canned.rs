//! The answers for any step, with the texts of ACR, Azure Storage and proxies.
//!
//! Owns the bodies. If only the body was recorded, the headers are those of the registry's recorded responses: an assumption,
//! as everywhere in the lab without a recording.

use std::time::Duration;

use super::answers::{Canned, FirewallWording, RetryAfter, Step};
use super::links::{self, Subject};
use super::random;
use super::response::{self, Response};
use super::shared::Shared;

/// The client address in the firewall's message.
pub const SEEN_ADDRESS: &str = "203.0.113.7";
const AUTHENTICATE: &str =
    "authentication required, visit https://aka.ms/acr/authorization for more information.";

/// Creates a canned answer for a step.
pub fn respond(shared: &Shared, step: Step, canned: &Canned, subject: &Subject<'_>) -> Response {
    match canned {
        Canned::Unauthorized => unauthorized_at_token_service(),
        Canned::InvalidClient => {
            Response::token_service(401, error("UNAUTHORIZED", "Invalid clientid or client secret."))
        }
        Canned::Firewall(wording) => firewall(*wording),
        Canned::PermissionsFailed => plain(403, "DENIED", "retrieving permissions failed"),
        Canned::StorageForbidden => storage_error(
            403,
            "AuthorizationFailure",
            "This request is not authorized to perform this operation.",
        ),
        Canned::NameUnknown => name_unknown(subject.repository),
        Canned::ManifestUnknown => manifest_unknown(subject.asked.rsplit('/').next().unwrap_or_default()),
        Canned::BlobUnknown => blob_unknown(subject.digest),
        Canned::StorageNotFound => storage_error(404, "BlobNotFound", "The specified blob does not exist."),
        Canned::Throttled(retry_after) => throttled(*retry_after),
        Canned::ServerError(status) => server_error(*status),
        Canned::Empty(status) => Response::registry(*status, "text/plain", &[], Vec::new()),
        Canned::BadGateway => html(502, "502 Bad Gateway", "The proxy server received an invalid response."),
        Canned::CaptivePortal => html(200, "Welcome", "Please accept the terms of use to go on."),
        Canned::ProxyForbidden => {
            html(403, "Access denied", "This category is blocked by your organisation.")
        }
        Canned::Redirect { status, target } => redirect(*status, &links::locate(shared, target, subject)),
        Canned::Raw { status, headers, body } => Response::stranger(*status, headers, body.clone()),
    }
    .at(step)
}

impl Response {
    /// The data endpoint is not a registry: its responses lack the headers that only registries send.
    fn at(self, step: Step) -> Self {
        if step == Step::Blob { self.without("Docker-Distribution-Api-Version") } else { self }
    }
}

/// The 401 of the token service, with the correlation ID also in the text.
pub fn unauthorized_at_token_service() -> Response {
    with_correlation(|id| {
        let message = format!("{AUTHENTICATE} CorrelationId: {id}");
        let mut response = Response::token_service(401, error("UNAUTHORIZED", &message));
        // The recorded body has no newline.
        response.body.pop();
        response
    })
}

/// The body of the registry's 401; `resource` is type, name and action, absent for `GET /v2/`.
pub fn unauthorized_body(resource: Option<(&str, &str, &str)>) -> String {
    let detail = resource.map_or_else(
        || "null".to_owned(),
        |(kind, name, action)| format!(r#"[{{"Type":"{kind}","Name":"{name}","Action":"{action}"}}]"#),
    );
    format!(r#"{{"errors":[{{"code":"UNAUTHORIZED","message":"{AUTHENTICATE}","detail":{detail}}}]}}"#) + "\n"
}

pub fn manifest_unknown(reference: &str) -> Response {
    Response::registry_json(
        404,
        &[],
        format!(
            r#"{{"errors":[{{"code":"MANIFEST_UNKNOWN","message":"manifest tagged by \"{reference}\" is not found","detail":{{"Tag":"{reference}"}}}}]}}"#
        ) + "\n",
    )
}

/// Observed for `/acr/v1`; an assumption for `/v2`.
pub fn name_unknown(repository: &str) -> Response {
    Response::registry_json(
        404,
        &[],
        format!(
            r#"{{"errors":[{{"code":"NAME_UNKNOWN","message":"repository \"{repository}\" is not found","detail":{{"name":"{repository}"}}}}]}}"#
        ) + "\n",
    )
}

pub fn blob_unknown(digest: &str) -> Response {
    Response::registry_json(
        404,
        &[],
        format!(
            r#"{{"errors":[{{"code":"BLOB_UNKNOWN","message":"blob unknown to registry","detail":{{"digest":"{digest}"}}}}]}}"#
        ) + "\n",
    )
}

/// A redirect with the HTML body of Go's server, which repeats the link.
pub fn redirect(status: u16, location: &str) -> Response {
    let text = location.replace('&', "&amp;");
    let body = format!("<a href=\"{text}\">Temporary Redirect</a>.\n\n");
    Response::registry(
        status,
        "text/html; charset=utf-8",
        &[("Location", location.to_owned())],
        body.into_bytes(),
    )
}

/// An error of Azure Storage, with its byte order mark.
pub fn storage_error(status: u16, code: &str, message: &str) -> Response {
    let body = format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{message}\n\
         RequestId:{}\nTime:{}</Message></Error>",
        random::guid(),
        response::date(Duration::ZERO),
    );
    Response::data(status, "application/xml", &[("x-ms-error-code", code.to_owned())], body.into_bytes())
}

fn firewall(wording: FirewallWording) -> Response {
    let refer = "is not allowed access. Refer https://aka.ms/acr/firewall to grant access.";
    let denied = |message: &str| error("DENIED", message);
    let quoted = format!("client with IP '{SEEN_ADDRESS}'");
    match wording {
        FirewallWording::Refer => Response::registry_json(403, &[], denied(&format!("{quoted} {refer}"))),
        FirewallWording::CommaRefer => {
            let text = "is not allowed access, refer https://aka.ms/acr/firewall to grant access";
            Response::registry_json(403, &[], denied(&format!("{quoted} {text}")))
        }
        FirewallWording::CorrelationId => with_correlation(|id| {
            Response::registry_json(403, &[], denied(&format!("{quoted} {refer} CorrelationId: {id}")))
        }),
        FirewallWording::Escaped => Response::registry_json(
            403,
            &[],
            denied(&format!("client with IP \\u0027{SEEN_ADDRESS}\\u0027 {refer}")),
        ),
    }
}

fn throttled(retry_after: RetryAfter) -> Response {
    let own = match retry_after {
        RetryAfter::None => Vec::new(),
        RetryAfter::Seconds(seconds) => vec![("Retry-After", seconds.to_string())],
        RetryAfter::Date(seconds) => {
            vec![("Retry-After", response::date(Duration::from_secs(seconds.into())))]
        }
    };
    let message = "Too many requests. Please visit https://aka.ms/acr/skus for more information.";
    Response::registry_json(429, &own, error("toomanyrequests", message))
}

fn server_error(status: u16) -> Response {
    with_correlation(|id| {
        let message = format!("an unexpected error occurred. CorrelationId: {id}");
        Response::registry_json(status, &[], error("UNKNOWN", &message))
    })
}

fn plain(status: u16, code: &str, message: &str) -> Response {
    Response::registry_json(status, &[], error(code, message))
}

fn html(status: u16, title: &str, text: &str) -> Response {
    let body = format!(
        "<!DOCTYPE html><html><head><title>{title}</title></head><body><p>{text}</p></body></html>\n"
    );
    Response::stranger(
        status,
        &[("Content-Type".into(), "text/html".into()), ("Server".into(), "gateway".into())],
        body.into_bytes(),
    )
}

/// Creates a response whose text contains the ID in its header.
fn with_correlation(make: impl Fn(&str) -> Response) -> Response {
    let id = random::guid();
    let mut response = make(&id);
    for (name, value) in &mut response.headers {
        if name == "X-Ms-Correlation-Request-Id" {
            value.clone_from(&id);
        }
    }
    response
}

/// The JSON of an error.
pub fn error(code: &str, message: &str) -> String {
    format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#) + "\n"
}
