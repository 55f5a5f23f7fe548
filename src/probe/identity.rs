//! The Entra ID token of an identity: requested at every check, kept by none.
//!
//! Owns the closed exception to the rule that nothing is sent to an unchecked address: [`imds`] calls Azure's metadata
//! service at its constant address, [`entra`] calls Entra ID of the Pod's cloud. Neither is a registry: their requests have
//! connections of their own and are not among the check's requests. The token goes only to `registry::exchange`.

pub(super) mod entra;
pub(super) mod imds;
mod token;

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use tokio::time::Instant;

use super::connection::{Call, Connection, TransportError, chunk};
use super::deadline::Clock;
use super::resolve::Gate;
use crate::credentials::{ManagedIdentity, WorkloadIdentity};
use crate::observation::{Fault, Identity, IdentityFault, IdentityKind, IdentityService, ServiceFault};
use crate::secret::Secret;

pub(super) use token::{is_by_repository, is_read_allowed, read_refresh_token};

/// Maximum number of bytes read of a response; real ones have about 2 KiB.
const MAX_BODY: usize = 64 * 1024;
/// The audience of a token for a registry, in every cloud.
const AUDIENCE: &str = "https://containerregistry.azure.net";

/// The identity of a check, with its token or why there is none.
#[derive(Debug)]
pub(super) struct Obtained {
    pub(super) identity: Identity,
    pub(super) token: Result<EntraToken, Fault>,
    /// What must not be shown, if it was sent.
    pub(super) assertion: Option<Secret>,
    /// How long it took, whatever its result.
    pub(super) took: Duration,
}

/// A token of Entra ID for a registry.
#[derive(Debug, Clone)]
pub(super) struct EntraToken {
    pub(super) token: Secret,
    /// The tenant that issued it.
    pub(super) tenant_id: String,
}

/// Gets the token of the node's managed identity.
pub(super) async fn managed(source: &ManagedIdentity, gate: &Gate<'_>) -> Obtained {
    let started = Instant::now();
    let mut identity = Identity::new(IdentityKind::Managed, source.client_id.clone());
    let token = imds::token(source, gate, &mut identity).await;
    Obtained { identity, token, assertion: None, took: started.elapsed() }
}

/// Gets the token of the Pod's workload identity.
pub(super) async fn workload(source: &WorkloadIdentity, gate: &Gate<'_>) -> Obtained {
    let started = Instant::now();
    let mut identity = Identity::new(IdentityKind::Workload, None);
    let (token, assertion) = match source.read() {
        Ok(federated) => {
            identity.client_id = Some(federated.client_id.clone());
            (entra::token(&federated, gate, &mut identity).await, Some(federated.assertion))
        }
        Err(reason) => (Err(Fault::Identity(IdentityFault::NotInjected { reason })), None),
    };
    Obtained { identity, token, assertion, took: started.elapsed() }
}

/// A complete response of an identity service.
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) is_page: bool,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Vec<u8>,
}

/// Sends one request over a new connection and reads the whole response.
async fn ask(mut connection: Connection, call: Call, clock: &Clock) -> Result<Response, TransportError> {
    let mut head = connection.send(call, clock, clock.limit()).await?;
    let text = |name| head.response.headers().get(name).and_then(|value| value.to_str().ok());
    let is_page = text(CONTENT_TYPE).is_some_and(super::protocol::is_html);
    let retry_after = text(RETRY_AFTER).and_then(|seconds| seconds.trim().parse().ok());
    let mut body = Vec::new();
    while let Some(piece) = chunk(&mut head.response, head.limit).await? {
        if body.len() + piece.len() > MAX_BODY {
            return Err(TransportError::NotHttp("its response is too large"));
        }
        body.extend_from_slice(&piece);
    }
    let status = head.response.status().as_u16();
    Ok(Response { status, is_page, retry_after: retry_after.map(Duration::from_secs), body })
}

/// The fault of a service that did not respond.
fn unanswered(service: IdentityService, host: &str, error: TransportError, clock: &Clock) -> Fault {
    let fault = match error {
        TransportError::Connect(failure) => ServiceFault::NotConnected(failure),
        TransportError::Tls(failure) => ServiceFault::Tls(failure),
        TransportError::Timeout { .. } => ServiceFault::NoResponse { limit: clock.stage_timeout() },
        TransportError::Closed { .. } => ServiceFault::Closed,
        TransportError::NotHttp(reason) => ServiceFault::Unusable { reason },
        TransportError::Deadline { .. } => return Fault::DeadlineExceeded { limit: clock.timeout() },
    };
    no_token(service, host, fault)
}

fn no_token(service: IdentityService, host: &str, fault: ServiceFault) -> Fault {
    Fault::Identity(IdentityFault::NoToken { service, host: host.to_owned(), fault })
}

/// Waits as long as a service wants, unless that exceeds the limit. The service can name any time, even one that no clock
/// reaches.
async fn wait(pause: Duration, until: Instant) -> bool {
    let Some(end) = Instant::now().checked_add(pause).filter(|end| *end < until) else { return false };
    tokio::time::sleep_until(end).await;
    true
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::wait;
    use tokio::time::Instant;

    /// IMDS or a proxy in its place can name any number of seconds.
    #[tokio::test]
    async fn a_pause_beyond_the_limit_is_not_waited_for() {
        let until = Instant::now() + Duration::from_secs(600);
        for seconds in [u64::MAX, i64::MAX.unsigned_abs(), 601] {
            assert!(!wait(Duration::from_secs(seconds), until).await, "{seconds}");
        }
        assert!(wait(Duration::ZERO, until).await);
    }
}
