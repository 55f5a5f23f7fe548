//! Requests the token of a managed identity from Azure's instance metadata service (IMDS).
//!
//! Plain HTTP to the constant address on the node's host, never through a proxy. One request, as an outage must not be
//! hidden; only where IMDS itself wants to wait (429, 410) is it repeated, within the stage's limit.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use reqwest::header::{HOST, HeaderMap, HeaderValue};
use serde::Deserialize;
use tokio::time::timeout_at;
use url::Url;

use super::{AUDIENCE, EntraToken, Response, ask, no_token, token, unanswered, wait};
use crate::credentials::ManagedIdentity;
use crate::observation::{Fault, Identity, IdentityFault, IdentityService, ServiceFault};
use crate::probe::connection::{Call, Connection};
use crate::probe::resolve::Gate;
use crate::text::redact::bounded;

/// The address of IMDS, the same on every virtual machine of Azure.
const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)), 80);
/// The version of the kubelet's credential provider.
const API_VERSION: &str = "2018-02-01";
/// The first pause where IMDS names none; the next is longer (Azure's guidance: 2, 6, 14, 30 s).
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The shortest pause, even if IMDS names none at all: it throttles because of too many requests.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// The factor from one pause to the next.
const FACTOR: u32 = 3;

/// The response with a token.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
}

/// The response without one.
#[derive(Deserialize)]
struct Refused {
    error: Option<String>,
    error_description: Option<String>,
}

/// Gets the token.
pub(super) async fn token(
    source: &ManagedIdentity,
    gate: &Gate<'_>,
    identity: &mut Identity,
) -> Result<EntraToken, Fault> {
    let address = gate.task.lab.imds.unwrap_or(ADDRESS);
    let host = ADDRESS.ip().to_string();
    let until = gate.clock.limit().until;
    let mut pause = FIRST_PAUSE;
    let mut earlier: Option<Response> = None;
    loop {
        let connection = Connection::plain(&gate.task.trust, address);
        let asked = ask(connection, request(source, address, &host), gate.clock);
        let response = match earlier {
            None => asked.await,
            // Only the first request may use the limits of its own phases.
            Some(earlier) => match timeout_at(until, asked).await {
                Ok(response) => response,
                Err(_elapsed) => return read(&earlier, &host, identity),
            },
        };
        let response =
            response.map_err(|error| unanswered(IdentityService::Imds, &host, error, gate.clock))?;
        let asks_to_wait = matches!(response.status, 410 | 429) && !response.is_page;
        let named = response.retry_after.map(|named| named.max(SHORTEST_PAUSE));
        if asks_to_wait && wait(named.unwrap_or(pause), until).await {
            pause = pause.saturating_mul(FACTOR);
            earlier = Some(response);
            continue;
        }
        return read(&response, &host, identity);
    }
}

fn request(source: &ManagedIdentity, address: SocketAddr, host: &str) -> Call {
    let mut url = Url::parse(&format!("http://{address}/metadata/identity/oauth2/token"))
        .expect("an address and a constant path form a URL");
    {
        let mut query = url.query_pairs_mut();
        query.append_pair("api-version", API_VERSION);
        if let Some(client_id) = &source.client_id {
            query.append_pair("client_id", client_id);
        }
        query.append_pair("resource", AUDIENCE);
    }
    let mut headers = HeaderMap::new();
    headers.insert("Metadata", HeaderValue::from_static("true"));
    if let Ok(host) = HeaderValue::from_str(host) {
        headers.insert(HOST, host);
    }
    Call::get(url, headers)
}

/// Evaluates a response: by status and error code, never by its description.
pub(in crate::probe) fn read(
    response: &Response,
    host: &str,
    identity: &mut Identity,
) -> Result<EntraToken, Fault> {
    let fault = |fault| no_token(IdentityService::Imds, host, fault);
    if response.status == 200 && !response.is_page {
        let granted: Granted = serde_json::from_slice(&response.body)
            .map_err(|_| fault(ServiceFault::Unusable { reason: "its response is not that of IMDS" }))?;
        return token::evaluate(granted.access_token, None, identity)
            .map_err(|reason| fault(ServiceFault::Unusable { reason }));
    }
    let refused = serde_json::from_slice::<Refused>(&response.body).ok();
    let error = refused.as_ref().and_then(|refused| refused.error.as_deref()).map(bounded);
    if response.status == 400 && error.as_deref() == Some("invalid_request") {
        let message = refused.and_then(|refused| refused.error_description).map(|text| bounded(&text));
        return Err(Fault::Identity(IdentityFault::NotFound { message }));
    }
    let Response { status, is_page, .. } = *response;
    Err(fault(ServiceFault::Answer { status, is_page, error }))
}
