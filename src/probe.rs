//! One check of one image: the order of its stages and its overall timeout.
//!
//! Owns the order of the steps and one invariant: nothing is sent to an address unless this check resolved and accepted it.
//! `identity` has the only exception.
//! Each step is a module that turns the results of a library into facts. A probe never returns an error: every failure is
//! part of the observation.
//!
//! # Round trips
//! Network round trips dominate the duration of a check. A healthy check waits for fourteen in sequence; its requests are
//! containerd's:
//!
//! | | waits for | provides |
//! | --- | --- | --- |
//! | 1 | DNS of the login server: A and AAAA of every nameserver, at once | the address |
//! | 2, 3 | TCP, then TLS 1.3; TLS 1.2 takes one more | the connection for the next seven |
//! | 4 | `HEAD` of the tag, without credentials | the realm, which is checked before it gets the credentials |
//! | 5, 6 | token by `POST`, which ACR rejects with 400, then by `GET` | permission to pull |
//! | 7 | `HEAD` of the tag, with the token | type, digest and size |
//! | 8, 9 | index, then manifest; an image without an index needs one fewer | the digest of the next request |
//! | 10 | blob redirect | the name of the data endpoint |
//! | 11 | DNS of the data endpoint; skipped if configured, since it is queried together with 1 | the address |
//! | 12, 13 | TCP, then TLS | the connection |
//! | 14 | blob | the bytes |
//!
//! An identity adds two: its token, which is requested together with 1, and the exchange between 4 and 5.
//!
//! None can be dropped: each depends on an earlier result, or must be checked before the next is sent. Connecting early to a
//! configured data endpoint would save two. But a check that fails at the login server or is redirected elsewhere would then
//! have connected to a host that a pull never reaches.

mod authorization;
mod blob;
mod compared;
mod connection;
mod data_endpoint;
mod deadline;
mod dns;
mod echo;
#[cfg(fuzzing)]
pub mod fuzz;
mod identity;
mod manifest;
mod node_cache;
mod path;
mod phase;
mod protocol;
mod public;
mod registry;
mod resolve;
mod session;
mod system;
mod tls;
mod trust_store;

use std::time::Duration;

use jiff::Timestamp;

use crate::address::AddressPolicy;
use crate::config::{Config, ImageConfig, LabEndpoints, Resolvers};
use crate::credentials::{Attempt, CredentialsSource};
use crate::diagnosis::Diagnosis;
use crate::findings::{AllowedAddresses, Comparisons, Findings};
use crate::image::ImageReference;
use crate::observation::{Endpoint, Failure, Observation, Proxied, Stage};
use crate::proxy::ProxySettings;
use crate::rules::{self, Expectation};
use crate::text::redact::Redactor;

use deadline::Clock;
use registry::{Held, Pull};
use resolve::Gate;
use session::Session;

pub use manifest::Platform;
pub use path::observe_path;
pub use public::{PublicTask, request_public};
pub use tls::Trust;
pub use trust_store::TrustError;

/// The inputs of one check of one image.
#[derive(Debug, Clone)]
pub struct Task {
    /// The image to pull.
    pub image: ImageReference,
    /// Which addresses are accepted.
    pub policy: AddressPolicy,
    /// Data endpoints whose DNS is checked in addition to the one in the redirect.
    pub data_endpoints: Vec<String>,
    /// The source of the credentials.
    pub credentials: CredentialsSource,
    /// Where a laboratory serves Azure's identity endpoints.
    pub lab: LabEndpoints,
    /// The resolvers to query.
    pub resolvers: Resolvers,
    /// The trusted roots for TLS.
    pub trust: Trust,
    /// The proxy settings of containerd on this node, if known; the check itself never uses a proxy.
    pub proxy: Option<ProxySettings>,
    /// The mirrors that containerd on this node uses before or instead of the registry.
    pub mirrors: Vec<String>,
    /// The overall timeout.
    pub timeout: Duration,
    /// The per-stage timeout.
    pub stage_timeout: Duration,
    /// Whether the data endpoint is tested.
    pub blob: bool,
    /// The platform of this node.
    pub platform: Platform,
    /// The start time of the check.
    pub now: Timestamp,
}

impl Task {
    /// Creates the task for a configured image.
    #[must_use]
    pub fn new(
        config: &Config,
        image: &ImageConfig,
        credentials: CredentialsSource,
        trust: &Trust,
        now: Timestamp,
    ) -> Self {
        Self {
            image: image.image.clone(),
            policy: AddressPolicy {
                expected: image.expected.clone(),
                exact: image.expected_addresses.clone(),
                allow_loopback: config.allow_loopback,
            },
            data_endpoints: image.data_endpoints.clone(),
            credentials,
            lab: config.lab,
            resolvers: config.resolvers.clone(),
            trust: trust.clone(),
            proxy: None,
            mirrors: Vec::new(),
            timeout: config.schedule.timeout,
            stage_timeout: config.schedule.stage_timeout,
            blob: config.blob,
            platform: Platform::linux(std::env::consts::ARCH),
            now,
        }
    }
}

/// Checks an image, one stage at a time, until a stage fails.
pub async fn observe(task: &Task) -> Observed {
    let clock = Clock::start(task.timeout, task.stage_timeout);
    let gate = Gate::new(task, &clock);
    let mut observation = Observation::default();
    let (outcome, redactor) = run(&gate, &mut observation).await;
    Observed::release(gate, outcome, observation, redactor).await
}

/// A raw observation whose DNS names are still unredacted, because the rules need them. It is only released together with its
/// diagnoses, after secrets have been removed from the names.
pub struct Observed {
    observation: Observation,
    findings: Findings,
    redactor: Redactor,
}

impl Observed {
    /// Completes an observation: waits for the resolvers that are only compared, and redacts it.
    async fn release(
        gate: Gate<'_>,
        outcome: Result<(), Stop>,
        mut observation: Observation,
        redactor: Redactor,
    ) -> Self {
        observation.duration = gate.clock.elapsed();
        let mut findings = gate.finish(&mut observation).await;
        let mut failure = match outcome {
            Err(Stop::Failed(failure)) => Some(failure),
            Ok(()) | Err(Stop::NotAllowed) => None,
        };
        echo::redact_observation(&redactor, &mut observation, failure.as_mut());
        echo::redact_findings(&redactor, &mut findings);
        observation.failure = failure;
        Self { observation, findings, redactor }
    }

    /// Returns the observation and its diagnoses, both without secrets, and how the answers of all resolvers compare.
    #[must_use]
    pub fn diagnose(self, expectation: &Expectation) -> (Observation, Comparisons, Vec<Diagnosis>) {
        let Self { mut observation, findings, redactor } = self;
        let mut diagnoses = rules::diagnose(expectation, &observation, &findings);
        echo::hide_names(&redactor, &mut observation, &mut diagnoses);
        (observation, findings.comparisons(), diagnoses)
    }
}

/// Why a check stops before its end.
enum Stop {
    /// The findings about a name allow no connection; they contain the details.
    NotAllowed,
    /// A step failed.
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Stop {
    /// Returns whether the blob stage of the data endpoint failed.
    fn is_at_blob(&self) -> bool {
        match self {
            Self::NotAllowed => false,
            Self::Failed(failure) => failure.stage == Stage::Blob,
        }
    }
}

async fn run(gate: &Gate<'_>, observation: &mut Observation) -> (Result<(), Stop>, Redactor) {
    let task = gate.task;
    observation.mirrors.clone_from(&task.mirrors);
    let login = task.image.host();
    note_proxy(task, Endpoint::Login, login, observation);
    let mut configured = Observation::default();
    let (held, allowed, ()) = tokio::join!(
        read_credentials(gate),
        gate.resolve(Endpoint::Login, login, observation),
        gate.resolve_configured(&mut configured)
    );
    note_credentials(task, &held, observation);
    observation.add_names(configured);
    let (addresses, stopped) = match allowed {
        Ok(addresses) => (addresses, None),
        Err(stop) => (AllowedAddresses::default(), Some(stop)),
    };
    let session =
        Session::new(Endpoint::Login, login, task.image.port(), &addresses, &task.trust, gate.clock);
    // Even if nothing is sent: a nameserver may echo a secret that an earlier check sent to its owner.
    let mut pull = Pull::new(task, session, held.secrets());
    let outcome = match stopped {
        Some(stop) => Err(stop),
        None => ask_registry(gate, &mut pull, held, observation).await,
    };
    (outcome, pull.redactor)
}

/// Reads the credentials as they are now. An identity's token is requested at the same time as the names are resolved, as
/// the kubelet's credential provider does first.
async fn read_credentials(gate: &Gate<'_>) -> Held {
    match &gate.task.credentials {
        CredentialsSource::Files(files) => Held::Entries(files.read(&gate.task.image)),
        CredentialsSource::ManagedIdentity(source) => {
            Held::Identity(Box::new(identity::managed(source, gate).await))
        }
        CredentialsSource::WorkloadIdentity(source) => {
            Held::Identity(Box::new(identity::workload(source, gate).await))
        }
    }
}

/// Records what is known about the credentials, whichever stage fails.
fn note_credentials(task: &Task, held: &Held, observation: &mut Observation) {
    match held {
        Held::Entries(found) => {
            observation.credentials_expire_at =
                found.as_ref().map_or(task.credentials.expires_at(), |found| found.expires_at);
            observation.credentials =
                found.as_ref().ok().and_then(|found| found.attempts.first()).map(Attempt::used);
        }
        Held::Identity(obtained) => {
            observation.credentials = Some(obtained.identity.kind.credentials());
            observation.identity = Some(obtained.identity.clone());
        }
    }
}

/// Sends all requests to the registry.
async fn ask_registry(
    gate: &Gate<'_>,
    pull: &mut Pull<'_>,
    held: Held,
    observation: &mut Observation,
) -> Result<(), Stop> {
    let granted = pull.open(held, observation).await?;
    if gate.task.blob {
        data_endpoint::read_blob(gate, pull, &granted, observation).await?;
    }
    Ok(())
}

/// Notes whether containerd would reach an endpoint through a proxy.
fn note_proxy(task: &Task, endpoint: Endpoint, host: &str, observation: &mut Observation) {
    let settings = task.proxy.as_ref();
    if let Some(proxy) = settings.and_then(|settings| settings.for_host(host, task.image.port())) {
        observation.proxied.push(Proxied { endpoint, host: host.to_owned(), proxy: proxy.clone() });
    }
}
