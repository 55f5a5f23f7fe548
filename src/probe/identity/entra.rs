//! Requests the token of a workload identity from Entra ID, with the token of the Pod's service account.
//!
//! The host is one of a closed list. Its name is resolved by the check's own nameservers, and its addresses are public: only
//! the rule for a registry's addresses does not apply. TLS is verified with the system's or the node's roots; the operator's
//! file is for registries.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join;
use futures_util::stream::FuturesUnordered;
use serde::Deserialize;
use tokio::time::{Instant, timeout};
use url::Url;
use url::form_urlencoded::Serializer;

use super::{AUDIENCE, EntraToken, Response, ask, no_token, token, unanswered};
use crate::config::value::is_guid;
use crate::credentials::Federated;
use crate::observation::{
    ConnectFailure, EntraError, Fault, Identity, IdentityFault, IdentityService, Lookup, RecordData,
    ServiceFault, TlsFailure,
};
use crate::probe::connection::{Call, Connection, TransportError, headers};
use crate::probe::dns::{self, Family, Patience};
use crate::probe::resolve::Gate;
use crate::secret::Secret;
use crate::text::redact::bounded;

/// The port of HTTPS.
const PORT: u16 = 443;
/// Maximum number of addresses tried.
const MAX_ADDRESSES: usize = 4;
/// Maximum number of error numbers kept; Entra ID sends one.
const MAX_NUMBERS: usize = 8;

/// The response with a token.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
}

/// The response without one.
#[derive(Deserialize)]
struct Refused {
    error: String,
    #[serde(default)]
    error_description: Option<String>,
    #[serde(default)]
    error_codes: Vec<u32>,
    #[serde(default)]
    correlation_id: Option<String>,
}

/// Gets the token.
pub(super) async fn token(
    federated: &Federated,
    gate: &Gate<'_>,
    identity: &mut Identity,
) -> Result<EntraToken, Fault> {
    let host = federated.authority;
    let fault = |fault| no_token(IdentityService::Entra, host, fault);
    let mut addresses =
        resolve(host, gate).await.map_err(|reason| fault(ServiceFault::NotResolved { reason }))?;
    if let Some(address) = gate.task.lab.entra {
        addresses = vec![address];
    }
    let trust =
        gate.task.trust.without_ca_file().ok_or_else(|| fault(ServiceFault::Tls(TlsFailure::Untrusted)))?;
    let mut outcome = Err(fault(ServiceFault::NotConnected(ConnectFailure::Unreachable)));
    addresses.truncate(MAX_ADDRESSES);
    let until = gate.clock.limit().until;
    for (tried, address) in addresses.iter().enumerate() {
        // Go's client divides its time like this: an address that drops packets leaves time for the others.
        let left = until.saturating_duration_since(Instant::now());
        let share = match addresses.len() {
            // The connection has limits of its own, which tell its stages apart.
            1 => Duration::MAX,
            all => left / u32::try_from(all - tried).unwrap_or(1),
        };
        let asked = ask(Connection::new(&trust, host, *address), request(federated), gate.clock);
        let error = match timeout(share, asked).await {
            Ok(Ok(response)) => return read(&response, federated, identity),
            Ok(Err(error)) => error,
            Err(_elapsed) if tried + 1 < addresses.len() => TransportError::Connect(ConnectFailure::Timeout),
            Err(_elapsed) => TransportError::Timeout { handshaking: false },
        };
        // Nothing was sent: the next address may accept a connection.
        let may_continue = matches!(error, TransportError::Connect(_));
        outcome = Err(unanswered(IdentityService::Entra, host, error, gate.clock));
        if !may_continue {
            break;
        }
    }
    outcome
}

/// The addresses of the host, from the nameserver that answers first with any; IPv4 first, as most nodes have no other.
async fn resolve(host: &str, gate: &Gate<'_>) -> Result<Vec<SocketAddr>, String> {
    let patience = Patience::until(gate.clock.limit().until);
    let mut asked: FuturesUnordered<_> = gate
        .nameservers()
        .iter()
        .map(|nameserver| {
            join(
                dns::look_up(nameserver, host, Family::V4, patience),
                dns::look_up(nameserver, host, Family::V6, patience),
            )
        })
        .collect();
    let mut reason = "there is no nameserver".to_owned();
    while let Some((a, aaaa)) = asked.next().await {
        let addresses: Vec<_> = [&a, &aaaa].into_iter().flat_map(addresses_of).collect();
        if !addresses.is_empty() {
            return Ok(addresses.into_iter().map(|address| SocketAddr::new(address, PORT)).collect());
        }
        reason = match a {
            Lookup::Answered(answer) => {
                format!("the nameserver answered {} without an address", answer.rcode)
            }
            Lookup::Failed(_) => "no nameserver gave a usable answer".to_owned(),
        };
    }
    Err(reason)
}

fn addresses_of(lookup: &Lookup) -> Vec<IpAddr> {
    match lookup {
        Lookup::Answered(answer) => answer
            .chain
            .iter()
            .filter_map(|record| match record.data {
                RecordData::Address(address) => Some(address),
                RecordData::Cname(_) => None,
            })
            .collect(),
        Lookup::Failed(_) => Vec::new(),
    }
}

fn request(federated: &Federated) -> Call {
    let Federated { client_id, tenant_id, authority, assertion } = federated;
    let url = Url::parse(&format!("https://{authority}/{tenant_id}/oauth2/v2.0/token"))
        .expect("the tenant and the host were checked");
    let form = Serializer::new(String::new())
        .append_pair("client_assertion", assertion.expose())
        .append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
        .append_pair("client_id", client_id)
        .append_pair("grant_type", "client_credentials")
        .append_pair("scope", &format!("{AUDIENCE}/.default"))
        .finish();
    Call::post(url, headers("application/json", None), Secret::new(form))
}

/// Evaluates a response: by status, error and numbers, never by its description.
pub(in crate::probe) fn read(
    response: &Response,
    federated: &Federated,
    identity: &mut Identity,
) -> Result<EntraToken, Fault> {
    let fault = |fault| no_token(IdentityService::Entra, federated.authority, fault);
    let Response { status, is_page, .. } = *response;
    if status == 200 && !is_page {
        let granted: Granted = serde_json::from_slice(&response.body)
            .map_err(|_| fault(ServiceFault::Unusable { reason: "its response is not that of Entra ID" }))?;
        return token::evaluate(granted.access_token, Some(&federated.tenant_id), identity)
            .map_err(|reason| fault(ServiceFault::Unusable { reason }));
    }
    match serde_json::from_slice::<Refused>(&response.body) {
        Ok(refused) if matches!(status, 400 | 401 | 403) => {
            Err(Fault::Identity(IdentityFault::Rejected(EntraError::from(refused))))
        }
        refused => {
            let error = refused.ok().map(|refused| bounded(&refused.error));
            Err(fault(ServiceFault::Answer { status, is_page, error }))
        }
    }
}

impl From<Refused> for EntraError {
    fn from(refused: Refused) -> Self {
        let Refused { error, error_description, mut error_codes, correlation_id } = refused;
        error_codes.truncate(MAX_NUMBERS);
        // Advice and links follow the first sentence, then ids and a time that differ in each response.
        let sentence = |text: String| {
            let ends = [". ", " Trace ID:", "\r", "\n"].map(|end| text.find(end).unwrap_or(text.len()));
            bounded(&text[..ends.into_iter().min().unwrap_or(text.len())])
        };
        Self {
            error: bounded(&error),
            numbers: error_codes,
            message: error_description.map(sentence),
            correlation_id: correlation_id.filter(|id| is_guid(id)),
        }
    }
}
