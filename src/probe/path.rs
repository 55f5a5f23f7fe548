//! A path check: the part of a check that costs the registry nothing.
//!
//! Owns the order of its steps: DNS, address, TCP and TLS of the login server, then of the data endpoint that the last whole check
//! was redirected to. No HTTP request is sent and no credentials are read. What it observes is diagnosed by the same rules as a
//! whole check, and never claims more than these stages.

use url::Url;

use super::deadline::Clock;
use super::resolve::Gate;
use super::session::Session;
use super::{Observed, Stop, Task};
use crate::findings::AllowedAddresses;
use crate::observation::{Endpoint, Failure, Fault, Observation, Stage};
use crate::text::redact::Redactor;

/// Checks the path to the registry, one stage at a time, until a stage fails. `data` is the data endpoint that the last whole
/// check used, if it got that far.
pub async fn observe_path(task: &Task, data: Option<&str>) -> Observed {
    let clock = Clock::start(task.timeout, task.stage_timeout);
    let gate = Gate::new(task, &clock);
    let mut observation = Observation::default();
    let outcome = run(&gate, data, &mut observation).await;
    observation.duration = clock.elapsed();
    let findings = gate.finish(&mut observation).await;
    if let Err(Stop::Failed(failure)) = outcome {
        observation.failure = Some(failure);
    }
    // No secret is known here that a peer could echo, so the texts of a path check are never shown: only its causes are.
    Observed { observation, findings, redactor: Redactor::default() }
}

async fn run(gate: &Gate<'_>, data: Option<&str>, observation: &mut Observation) -> Result<(), Stop> {
    let mut configured = Observation::default();
    let login = gate.task.image.host();
    let (allowed, ()) = tokio::join!(
        gate.resolve(Endpoint::Login, login, observation),
        gate.resolve_configured(&mut configured)
    );
    observation.add_names(configured);
    open(gate, Endpoint::Login, login, &allowed?, observation).await?;
    let Some(host) = data.filter(|host| gate.task.blob && *host != login) else { return Ok(()) };
    let allowed = gate.resolve(Endpoint::Data, host, observation).await?;
    open(gate, Endpoint::Data, host, &allowed, observation).await
}

async fn open(
    gate: &Gate<'_>,
    endpoint: Endpoint,
    host: &str,
    allowed: &AllowedAddresses,
    observation: &mut Observation,
) -> Result<(), Stop> {
    let port = gate.task.image.port();
    let url = Url::parse(&format!("https://{host}:{port}/"));
    // A host that cannot be in a URL is not reached by a pull either.
    let url = url.map_err(|_| Failure { endpoint, stage: Stage::Connect, fault: Fault::NotConnected })?;
    let session = Session::new(endpoint, host, port, allowed, &gate.task.trust, gate.clock);
    Ok(session.open(&url, observation).await?)
}
