//! Middleware for every request and response.
//!
//! Owns the size limit of bodies, the headers that restrict what a browser does with a page, and the rule that no other
//! site's page can trigger a check through a browser.

use std::sync::LazyLock;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::problem::Problem;
use crate::page;

/// Bytes of a request body: no endpoint needs one, but an empty form is accepted.
const MAX_BODY: usize = 64;

/// Allows only the page's own style, icon and form.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(page::STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; img-src data:; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).expect("base64 and literals are visible ASCII")
});

/// Drops the request body, then adds the common headers to the response.
pub(super) async fn common_headers(
    State(patience): State<Duration>,
    request: Request,
    next: Next,
) -> Response {
    let (head, body) = request.into_parts();
    let mut response = match timeout(patience, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(_unused)) => next.run(Request::from_parts(head, Body::empty())).await,
        Ok(Err(_)) => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "request body too large: none is expected")
            .into_response(),
        Err(_) => Problem::new(StatusCode::REQUEST_TIMEOUT, "timed out waiting for the request body")
            .into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY.clone());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Not `no-referrer`: browsers would then send the page's own form with `Origin: null`, like a cross-site request.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// Rejects requests that a page of another site makes a browser send.
pub(super) async fn own_pages_only(request: Request, next: Next) -> Response {
    if request.method() == Method::POST && is_foreign(request.headers()) {
        let problem = "cross-site requests cannot trigger a check";
        return Problem::new(StatusCode::FORBIDDEN, problem).into_response();
    }
    next.run(request).await
}

/// Browsers state the origin of a request; other programs do not.
fn is_foreign(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get(HeaderName::from_static("sec-fetch-site")) {
        // `none`: a typed address or a bookmark.
        return site != "same-origin" && site != "none";
    }
    // Over plain HTTP to a non-loopback address, browsers omit the header above.
    match (headers.get(ORIGIN), headers.get(HOST)) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(origin), Some(host)) => {
            let origin = origin.as_bytes();
            let own = [&b"http://"[..], &b"https://"[..]].into_iter().any(|scheme| {
                origin.strip_prefix(scheme).is_some_and(|rest| rest.eq_ignore_ascii_case(host.as_bytes()))
            });
            !own
        }
    }
}
