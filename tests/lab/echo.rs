//! A registry that repeats what it received, as error texts of proxies and debug pages do.
//!
//! Owns the text: everything secret of a request, as it was sent and decoded.

use super::canned;
use super::http::Incoming;
use super::response::Response;

/// The 401 of a step that repeats the authorization and the form of its request.
pub fn respond(request: &Incoming) -> Response {
    let authorization = request.header("Authorization").unwrap_or_default().to_owned();
    let pair = request.basic().map(|(username, password)| format!("{username}:{password}"));
    let form = request.form().into_iter().map(|(name, value)| format!("{name}={value}"));
    let received: Vec<String> = [authorization].into_iter().chain(pair).chain(form).collect();
    let message = format!("authentication required: {}", received.join(" "));
    Response::registry_json(401, &[], canned::error("UNAUTHORIZED", &message))
}
