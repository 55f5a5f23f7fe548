//! One check of one image: the order of the stages and the one deadline.
//!
//! Owns what is done after what, and the invariant that nothing is sent to an address that was not resolved here and
//! judged good. Each step is a module of its own that turns what a library says into facts. A probe never fails: what
//! went wrong is part of the observation.

mod blob;
mod clock;
mod dial;
mod dns;
mod manifest;
mod registry;
mod session;
mod tls;
mod wire;

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use oci_client::manifest::OciImageManifest;
use tokio::time::Instant;
use url::Url;

use crate::address::{AddressPolicy, Scope};
use crate::config::{Config, ImageConfig, Resolvers, SystemResolver};
use crate::credentials::CredentialsSource;
use crate::image::ImageReference;
use crate::observation::{Endpoint, Failure, Fault, Observation, Resolution, Resolver, Stage};
use crate::rules;
use crate::secret::Secret;

use clock::Clock;
use dns::Nameserver;
use registry::{BlobAnswer, Pull};
use session::Session;

pub use manifest::Platform;
pub use tls::{Trust, TrustError};

/// Everything that one check of one image needs.
#[derive(Debug, Clone)]
pub struct Task {
    /// What is pulled.
    pub image: ImageReference,
    /// Which addresses are good.
    pub policy: AddressPolicy,
    /// Data endpoints that are judged in DNS beside the one that the redirect names.
    pub data_endpoints: Vec<String>,
    /// Where the credentials are.
    pub credentials: CredentialsSource,
    /// Who is asked for names.
    pub resolvers: Resolvers,
    /// Whom TLS trusts.
    pub trust: Trust,
    /// Limit of the whole check.
    pub timeout: Duration,
    /// Limit of one stage.
    pub stage_timeout: Duration,
    /// Whether the data path is tested.
    pub blob: bool,
    /// What this node runs.
    pub platform: Platform,
    /// The time at the start of the check.
    pub now: Timestamp,
}

impl Task {
    /// The task that a configured image makes at a moment.
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
            policy: AddressPolicy { expected: image.expected.clone(), allow_loopback: config.allow_loopback },
            data_endpoints: image.data_endpoints.clone(),
            credentials,
            resolvers: config.resolvers.clone(),
            trust: trust.clone(),
            timeout: config.schedule.timeout,
            stage_timeout: config.schedule.stage_timeout,
            blob: config.blob,
            platform: Platform::linux(std::env::consts::ARCH),
            now,
        }
    }
}

/// Checks an image, stage after stage, until one fails.
pub async fn observe(task: &Task) -> Observation {
    let clock = Clock::start(task.timeout, task.stage_timeout);
    let mut observation = Observation::default();
    if let Err(failure) = run(task, &clock, &mut observation).await {
        observation.failure = failure;
    }
    observation.duration = clock.elapsed();
    observation
}

/// `Err(None)`: names or addresses are wrong, which the resolutions tell.
type Halt = Option<Failure>;

async fn run(task: &Task, clock: &Clock, observation: &mut Observation) -> Result<(), Halt> {
    let nameservers = nameservers(&task.resolvers);
    let login = task.image.host();
    let configured = if task.blob { task.data_endpoints.as_slice() } else { &[] };
    let (outcome, ()) = {
        let mut data = Observation::default();
        let (login_outcome, data_outcome) = tokio::join!(
            resolve(task, clock, Endpoint::Login, login, &nameservers, observation),
            resolve_all(task, clock, configured, &nameservers, &mut data),
        );
        observation.resolutions.append(&mut data.resolutions);
        for mark in data.marks {
            observation.mark(mark.endpoint, mark.stage, mark.duration);
        }
        (login_outcome, data_outcome)
    };
    let addresses = outcome?;
    let session = Session::new(Endpoint::Login, login, task.image.port(), &addresses, &task.trust, clock);
    let mut pull = Pull::new(task, session);
    let realm = pull.challenge(observation).await?;
    let token = pull.token(realm, observation).await?;
    let manifest = pull.manifest(&token, observation).await?;
    if task.blob {
        read_blob(task, clock, &nameservers, &mut pull, (&token, &manifest), observation).await?;
    }
    Ok(())
}

/// The data path: the redirect, then its host as an endpoint of its own.
async fn read_blob(
    task: &Task,
    clock: &Clock,
    nameservers: &[Nameserver],
    pull: &mut Pull<'_>,
    (token, manifest): (&Secret, &OciImageManifest),
    observation: &mut Observation,
) -> Result<(), Halt> {
    let started = Instant::now();
    let descriptor = blob::select(manifest).map_err(|reason| {
        Some(Failure {
            endpoint: Endpoint::Login,
            stage: Stage::Manifest,
            fault: Fault::ManifestInvalid { reason },
        })
    })?;
    let answer = pull.blob(token, descriptor, observation).await;
    observation.mark(Endpoint::Data, Stage::Blob, started.elapsed());
    let (mut reply, host) = match answer? {
        BlobAnswer::Direct(reply) => (*reply, task.image.host().to_owned()),
        BlobAnswer::Redirected(url) => {
            let host = url.host_str().unwrap_or_default().to_owned();
            let addresses = match resolve(task, clock, Endpoint::Data, &host, nameservers, observation).await
            {
                Ok(addresses) => addresses,
                Err(halt) => {
                    // Nothing was asked of the data endpoint itself.
                    observation.unmark(Endpoint::Data, Stage::Blob);
                    return Err(halt);
                }
            };
            let reply = ask_data_endpoint(task, clock, (url, &host, &addresses), pull, observation).await?;
            (reply, host)
        }
    };
    let reading = Instant::now();
    let content = blob::read(&mut reply, descriptor, &host).await;
    observation.mark(Endpoint::Data, Stage::Blob, reading.elapsed());
    let content = content.map_err(|failure| Some(Failure { endpoint: Endpoint::Data, ..failure }))?;
    let is_config = descriptor.digest == manifest.config.digest;
    observation.blob = Some(content.blob);
    if is_config { judge_platform(task, &content.bytes, observation) } else { Ok(()) }
}

async fn ask_data_endpoint(
    task: &Task,
    clock: &Clock,
    (url, host, addresses): (Url, &str, &[IpAddr]),
    pull: &Pull<'_>,
    observation: &mut Observation,
) -> Result<session::Reply, Halt> {
    let mut session = Session::new(Endpoint::Data, host, task.image.port(), addresses, &task.trust, clock);
    let reply = blob::fetch(&mut session, url, task.now, &pull.redactor, observation).await;
    match reply {
        Ok(reply) => {
            observation.mark(Endpoint::Data, Stage::Blob, reply.sent_at().elapsed());
            Ok(reply)
        }
        Err(failure) => {
            if failure.stage != Stage::Blob {
                observation.unmark(Endpoint::Data, Stage::Blob);
            }
            Err(Some(failure))
        }
    }
}

/// An image that is not in an index tells its platform in its configuration alone; containerd refuses it there.
fn judge_platform(task: &Task, config: &[u8], observation: &mut Observation) -> Result<(), Halt> {
    let Some((os, architecture)) = manifest::config_platform(config) else {
        return Ok(());
    };
    let found = format!("{os}/{architecture}");
    if os == task.platform.os && architecture == task.platform.architecture {
        if let Some(manifest) = &mut observation.manifest {
            manifest.platform = Some(found);
        }
        return Ok(());
    }
    let fault = Fault::PlatformMissing { wanted: task.platform.to_string(), found: vec![found] };
    Err(Some(Failure { endpoint: Endpoint::Login, stage: Stage::Manifest, fault }))
}

/// The node's nameservers and the compared resolvers, as they are now.
fn nameservers(resolvers: &Resolvers) -> Vec<Nameserver> {
    let system = match &resolvers.system {
        SystemResolver::File(path) => dns::read_nameservers(path),
        SystemResolver::Servers(servers) => servers.clone(),
    };
    let system = system.into_iter().map(|address| Nameserver { resolver: Resolver::System, address });
    let compared = resolvers
        .compare
        .iter()
        .map(|(name, address)| Nameserver { resolver: Resolver::Compared(name.clone()), address: *address });
    system.chain(compared).collect()
}

/// Resolves the configured data endpoints; each is judged by the rules, none of them stops the check.
async fn resolve_all(
    task: &Task,
    clock: &Clock,
    hosts: &[String],
    nameservers: &[Nameserver],
    observation: &mut Observation,
) {
    let resolutions =
        hosts.iter().map(|host| dns::resolve(Endpoint::Data, host, nameservers, clock.limit().until));
    let started = Instant::now();
    for resolutions in futures_util::future::join_all(resolutions).await {
        observation.resolutions.extend(resolutions);
    }
    if !hosts.is_empty() {
        observation.mark(Endpoint::Data, Stage::Dns, started.elapsed());
        let judged = Instant::now();
        if !rules::names::stops(
            &rules::names::judge(&task.image, &task.policy, Endpoint::Data, observation),
            Stage::Dns,
        ) {
            observation.mark(Endpoint::Data, Stage::Address, judged.elapsed());
        }
    }
}

/// The `dns` and `address` stages of one endpoint: the good addresses in the order of the answers, or a halt.
async fn resolve(
    task: &Task,
    clock: &Clock,
    endpoint: Endpoint,
    host: &str,
    nameservers: &[Nameserver],
    observation: &mut Observation,
) -> Result<Vec<IpAddr>, Halt> {
    let started = Instant::now();
    let limit = clock.limit();
    let known = observation.resolutions.iter().any(|seen| seen.endpoint == endpoint && seen.host == host);
    let mut seen = Observation::default();
    if known {
        seen.resolutions = observation.resolutions.iter().filter(|seen| seen.host == host).cloned().collect();
    } else {
        seen.resolutions = dns::resolve(endpoint, host, nameservers, limit.until).await;
        observation.resolutions.extend(seen.resolutions.iter().cloned());
    }
    observation.mark(endpoint, Stage::Dns, started.elapsed());
    seen.mark(endpoint, Stage::Dns, Duration::ZERO);
    let judged = Instant::now();
    let diagnoses = rules::names::judge(&task.image, &task.policy, endpoint, &seen);
    if rules::names::stops(&diagnoses, Stage::Dns) {
        let out_of_time = limit.whole && Instant::now() >= limit.until;
        let fault = Fault::DeadlineExceeded { limit: clock.timeout() };
        return Err(out_of_time.then_some(Failure { endpoint, stage: Stage::Dns, fault }));
    }
    observation.mark(endpoint, Stage::Address, judged.elapsed());
    if rules::names::stops(&diagnoses, Stage::Address) {
        return Err(None);
    }
    Ok(good_addresses(&task.policy, &seen))
}

fn good_addresses(policy: &AddressPolicy, seen: &Observation) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    let system = seen.resolutions.iter().filter(|resolution| resolution.resolver == Resolver::System);
    for address in system.flat_map(Resolution::addresses) {
        let address = address.to_canonical();
        if policy.classify(address) == Scope::Private && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}
