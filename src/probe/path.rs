//! A path check: the part of a check that costs the registry nothing.
//!
//! Owns the order of its steps: DNS, address, TCP and TLS of the login server, then of the data endpoint that the last whole check
//! was redirected to. No HTTP request is sent, also not for a token. What it observes is diagnosed by the same rules as a whole
//! check, and never claims more than these stages.

use url::Url;

use super::deadline::Clock;
use super::registry::Held;
use super::resolve::Gate;
use super::session::Session;
use super::{Observed, Stop, Task, note_credentials, note_proxy};
use crate::credentials::CredentialsSource;
use crate::findings::AllowedAddresses;
use crate::observation::{CredentialsUsed, Endpoint, Failure, Fault, Observation, Stage};
use crate::text::redact::Redactor;

/// Checks the path to the registry, one stage at a time, until a stage fails. `data` is the data endpoint that the last whole
/// check used, if it got that far.
pub async fn observe_path(task: &Task, data: Option<&str>) -> Observed {
    let clock = Clock::start(task.timeout, task.stage_timeout);
    let gate = Gate::new(task, &clock);
    let mut observation = Observation { mirrors: task.mirrors.clone(), ..Observation::default() };
    let redactor = read_secrets(task, &mut observation);
    let outcome = run(&gate, data, &mut observation).await;
    Observed::release(gate, outcome, observation, redactor).await
}

/// Reads the secrets in files, which are not used but hidden: a peer may echo what an earlier check sent. The tokens of an
/// identity are not requested; the redactor knows them by their form.
fn read_secrets(task: &Task, observation: &mut Observation) -> Redactor {
    match &task.credentials {
        CredentialsSource::Files(files) => {
            let held = Held::Entries(files.read(&task.image));
            note_credentials(task, &held, observation);
            return held.secrets();
        }
        CredentialsSource::ManagedIdentity(_) => {
            observation.credentials = Some(CredentialsUsed::ManagedIdentity);
        }
        CredentialsSource::WorkloadIdentity(_) => {
            observation.credentials = Some(CredentialsUsed::WorkloadIdentity);
        }
    }
    Redactor::default()
}

async fn run(gate: &Gate<'_>, data: Option<&str>, observation: &mut Observation) -> Result<(), Stop> {
    let mut configured = Observation::default();
    let login = gate.task.image.host();
    note_proxy(gate.task, Endpoint::Login, login, observation);
    let (allowed, ()) = tokio::join!(
        gate.resolve(Endpoint::Login, login, observation),
        gate.resolve_configured(&mut configured)
    );
    observation.add_names(configured);
    open(gate, Endpoint::Login, login, &allowed?, observation).await?;
    let Some(host) = data.filter(|host| gate.task.blob && *host != login) else { return Ok(()) };
    note_proxy(gate.task, Endpoint::Data, host, observation);
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
