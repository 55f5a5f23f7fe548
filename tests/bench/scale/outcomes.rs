//! Outcome of a check in each condition of a registry, measured once with the real probe and rules against the lab on loopback.
//!
//! The simulation repeats these outcomes and their numbers of requests, instead of counting requests by hand.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use acr_verifier::address::ExpectedAddresses;
use acr_verifier::cause::Cause;
use acr_verifier::config::{Config, CredentialsConfig, ImageConfig, Resolvers, SystemResolver};
use acr_verifier::credentials::AmbientCredentials;
use acr_verifier::image::ImageReference;
use acr_verifier::observation::Stage;
use acr_verifier::pass::{NodeContext, run_paths, verify};
use acr_verifier::probe::Trust;
use acr_verifier::run::{CheckRun, Extent, ImageResult, NetworkView};
use anyhow::{Context as _, ensure};

use lab::Lab;
use lab::answers::{Canned, RetryAfter, Step};
use lab::settings::{Settings, Transport, View};

const NODE: &str = "aks-np1-12345678-vmss000000";
const TENTH: Duration = Duration::from_millis(100);

/// Number of registries that every node checks, one image each.
pub(crate) const REGISTRIES: usize = 3;

/// State of a registry for a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Condition {
    Healthy,
    /// The token service returns 503.
    Away,
    /// The private zone is not linked: names resolve to public addresses.
    NotLinked,
    /// The password is outdated.
    Rejected,
    /// The registry returns 429.
    Throttled,
    /// A device on the path rejects the connection.
    Cut,
    /// A device on the path drops every packet: connecting hangs until the per-stage timeout.
    Hanging,
}

impl Condition {
    const ALL: [Self; 7] = [
        Self::Healthy,
        Self::Away,
        Self::NotLinked,
        Self::Rejected,
        Self::Throttled,
        Self::Cut,
        Self::Hanging,
    ];

    fn apply(self, settings: &mut Settings) {
        match self {
            Self::Healthy => {}
            Self::Away => settings.answer(Step::Token, Canned::ServerError(503)),
            Self::NotLinked => settings.nameservers[0].login = View::NotLinked,
            Self::Rejected => settings.credentials.password = "the-next-password".into(),
            Self::Throttled => settings.answer(Step::Manifest, Canned::Throttled(RetryAfter::Seconds(60))),
            Self::Cut => settings.login.transport = Transport::Closed,
            Self::Hanging => settings.login.transport = Transport::AcceptQueueFull,
        }
    }

    /// Returns whether path checks find it.
    pub(crate) const fn is_of_path(self) -> bool {
        match self {
            Self::NotLinked | Self::Cut | Self::Hanging => true,
            Self::Healthy | Self::Away | Self::Rejected | Self::Throttled => false,
        }
    }

    /// Returns the cause that a check must report.
    pub(crate) const fn cause(self) -> Option<Cause> {
        match self {
            Self::Healthy => None,
            Self::Away => Some(Cause::RegistryError),
            Self::NotLinked => Some(Cause::PrivateZoneNotLinked),
            Self::Rejected => Some(Cause::CredentialsRejected),
            Self::Throttled => Some(Cause::Throttled),
            Self::Cut => Some(Cause::ConnectRefused),
            Self::Hanging => Some(Cause::ConnectTimeout),
        }
    }
}

/// Numbers of requests, by Azure's categories of limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Requests {
    /// Requests to the token service.
    pub(crate) oauth: u32,
    /// `HEAD` of the manifest, without credentials.
    pub(crate) challenge: u32,
    /// Index and manifest.
    pub(crate) manifests: u32,
    /// The blob's redirect, and the blob at the data endpoint.
    pub(crate) blobs: u32,
}

impl Requests {
    fn of(checked: &ImageResult) -> Self {
        let of = |stage: Stage| {
            let sent = checked.observation.requests.iter().filter(|request| request.stage == stage);
            u32::try_from(sent.count()).expect("a handful")
        };
        Self {
            oauth: of(Stage::Token),
            challenge: of(Stage::Challenge),
            manifests: of(Stage::Manifest),
            blobs: of(Stage::Blob),
        }
    }

    pub(crate) fn add(&mut self, more: Self) {
        self.oauth += more.oauth;
        self.challenge += more.challenge;
        self.manifests += more.manifests;
        self.blobs += more.blobs;
    }

    /// Returns the possible reads of the registry: all requests except tokens, including the blob at the data endpoint.
    pub(crate) const fn reads(self) -> u32 {
        self.challenge + self.manifests + self.blobs
    }

    /// Returns the reads with the token's identity; the challenge is anonymous.
    pub(crate) const fn reads_of_identity(self) -> u32 {
        self.manifests + self.blobs
    }

    pub(crate) const fn all(self) -> u32 {
        self.oauth + self.reads()
    }
}

/// Outcome of a check of one image.
pub(crate) struct Outcome {
    pub(crate) checked: ImageResult,
    pub(crate) requests: Requests,
    /// Duration in whole seconds, at least a tenth of one, so that a busy machine simulates the same day.
    pub(crate) took: Duration,
    /// The same of a path check, which sends no request.
    pub(crate) path: ImageResult,
    pub(crate) path_took: Duration,
}

/// What decides the results of a run.
type Kind = ([Condition; REGISTRIES], Extent);

/// The outcomes of every condition, for each registry.
pub(crate) struct Outcomes {
    of: Vec<(Condition, Vec<Outcome>)>,
    runs: RefCell<BTreeMap<Kind, Arc<CheckRun>>>,
}

impl Outcomes {
    /// Runs one check in each condition.
    pub(crate) fn measure() -> anyhow::Result<Self> {
        let lab = Lab::try_start(Settings::default())?;
        let mut healthy = Settings::default();
        lab.change(|settings| healthy = settings.clone());
        let config = config(&lab)?;
        let trust = Trust::load(config.ca_file.as_deref())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let ambient = AmbientCredentials::default();
        let context =
            NodeContext { node: NODE.into(), network_view: NetworkView::Node, now: jiff::Timestamp::now };
        let mut data = None;
        let mut outcomes = Vec::new();
        for condition in Condition::ALL {
            lab.change(|settings| {
                *settings = healthy.clone();
                condition.apply(settings);
            });
            let now = jiff::Timestamp::now();
            let check = verify(&config, &config.images[0], &ambient, (&trust, None), now);
            let mut checked = runtime.block_on(check);
            let reported = checked.decisive().map(|diagnosis| diagnosis.cause);
            ensure!(reported == condition.cause(), "{condition:?} was reported as {reported:?}");
            let took = round(&mut checked);
            let requests = Requests::of(&checked);
            // The healthy condition is the first.
            data = data.or_else(|| checked.observation.blob.as_ref().map(|blob| blob.host.clone()));
            let sent = lab.requests().len();
            let data = [data.clone()];
            let found = runtime.block_on(run_paths(&config, &ambient, &context, (&trust, None), &data));
            ensure!(lab.requests().len() == sent, "a path check in {condition:?} sent a request");
            let CheckRun { images, .. } = found;
            let mut path = images.into_iter().next().context("one image was checked")?;
            let path_took = round(&mut path);
            let of = |registry: usize| -> anyhow::Result<Outcome> {
                Ok(Outcome {
                    checked: ImageResult { image: image(registry)?, ..checked.clone() },
                    requests,
                    took,
                    path: ImageResult { image: image(registry)?, ..path.clone() },
                    path_took,
                })
            };
            outcomes.push((condition, (0..REGISTRIES).map(of).collect::<anyhow::Result<_>>()?));
        }
        Ok(Self { of: outcomes, runs: RefCell::default() })
    }

    pub(crate) fn of(&self, condition: Condition, registry: usize) -> &Outcome {
        let found = self.of.iter().find(|(known, _)| *known == condition);
        &found.expect("every condition was measured").1[registry]
    }

    /// Returns a run in these conditions, at the start of the day: millions of runs of a day have the same results.
    pub(crate) fn run(&self, conditions: [Condition; REGISTRIES], extent: Extent) -> Arc<CheckRun> {
        let started_at = jiff::Timestamp::UNIX_EPOCH;
        let image = |(registry, condition)| {
            let outcome = self.of(condition, registry);
            let checked = match extent {
                Extent::Whole => &outcome.checked,
                Extent::Path => &outcome.path,
            };
            ImageResult { started_at, ..checked.clone() }
        };
        let run = || CheckRun {
            node: NODE.to_owned(),
            network_view: NetworkView::Node,
            node_files: None,
            started_at,
            duration: TENTH,
            configuration: None,
            images: conditions.into_iter().enumerate().map(image).collect(),
        };
        let mut runs = self.runs.borrow_mut();
        Arc::clone(runs.entry((conditions, extent)).or_insert_with(|| Arc::new(run())))
    }
}

/// Rounds the duration of a check, and returns it.
fn round(checked: &mut ImageResult) -> Duration {
    let took = Duration::from_secs(checked.observation.duration.as_secs()).max(TENTH);
    checked.observation.duration = took;
    took
}

/// Returns the image of a registry.
fn image(registry: usize) -> anyhow::Result<ImageReference> {
    Ok(format!("contoso{}.azurecr.io/apps/canary:1", registry + 1).parse()?)
}

/// Returns the registry of an image.
pub(crate) fn registry_of(image: &ImageReference) -> usize {
    let number = image.registry().as_bytes().get("contoso".len()).copied();
    number.map_or(0, |digit| usize::from(digit - b'1'))
}

/// Returns the images of the fleet.
pub(crate) fn images() -> anyhow::Result<Vec<ImageConfig>> {
    (0..REGISTRIES).map(|registry| Ok(of(image(registry)?, None))).collect()
}

fn of(image: ImageReference, credentials: Option<CredentialsConfig>) -> ImageConfig {
    ImageConfig {
        image,
        name: None,
        credentials,
        expected: Vec::new(),
        expected_addresses: ExpectedAddresses::default(),
        data_endpoints: Vec::new(),
    }
}

fn config(lab: &Lab) -> anyhow::Result<Config> {
    let credentials = CredentialsConfig::Path { path: lab.credentials_folder(), expires_at: None };
    let mut config = Config::of(vec![of(lab.image().parse()?, Some(credentials))]);
    config.resolvers = Resolvers {
        system: SystemResolver::Servers(lab.nameservers().into_iter().map(Into::into).collect()),
        ..Resolvers::default()
    };
    config.ca_file = Some(lab.ca_file());
    config.allow_loopback = true;
    Ok(config)
}
