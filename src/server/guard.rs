//! What every request must keep to and every answer carries.
//!
//! Owns the size of bodies, the headers that keep a browser from doing more with a page than showing it, and the rule
//! that no other site's page makes a browser ask for a check.

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

use super::routes::Problem;
use crate::page;

/// Bytes of a body: nothing here needs one, and an empty form is not worth a quarrel.
const MAX_BODY: usize = 64;

/// Only the page's own style, its own icon, and its own form.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(page::STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; img-src data:; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).expect("base64 and our own words are visible ASCII")
});

/// Takes a request's body off, then puts the headers that all answers have in common on the answer.
pub(super) async fn guard(State(patience): State<Duration>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let mut response = match timeout(patience, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(_unused)) => next.run(Request::from_parts(head, Body::empty())).await,
        Ok(Err(_)) => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "no request here has a body").into_response()
        }
        Err(_) => {
            Problem::new(StatusCode::REQUEST_TIMEOUT, "the request's body did not come").into_response()
        }
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY.clone());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Not `no-referrer`: under it browsers send our own form with `Origin: null`, and it would look like another site's.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// Refuses what a page of another site makes a browser send.
pub(super) async fn own_pages_only(request: Request, next: Next) -> Response {
    if request.method() == Method::POST && is_foreign(request.headers()) {
        let problem = "a page of another site may not ask for a check";
        return Problem::new(StatusCode::FORBIDDEN, problem).into_response();
    }
    next.run(request).await
}

/// Browsers say where a request comes from; programs say nothing.
fn is_foreign(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get(HeaderName::from_static("sec-fetch-site")) {
        // `none`: typed, or from a bookmark.
        return site != "same-origin" && site != "none";
    }
    // Plain HTTP at an address that is not loopback: browsers leave the header above out.
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
