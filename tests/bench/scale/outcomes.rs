//! What a check comes to in each condition of a registry: made once for each by the real probe and the real rules,
//! against the lab on loopback.
//!
//! Owns the conditions. The simulation repeats their outcomes, with the requests that each cost, instead of counting
//! requests by hand.

use std::time::Duration;

use acr_verifier::cause::Cause;
use acr_verifier::check::verify;
use acr_verifier::config::{Config, CredentialsConfig, ImageConfig, Resolvers, SystemResolver};
use acr_verifier::image::ImageReference;
use acr_verifier::observation::Stage;
use acr_verifier::probe::Trust;
use acr_verifier::run::Checked;
use anyhow::ensure;

use crate::lab::Lab;
use crate::lab::answers::{Canned, RetryAfter, Step};
use crate::lab::settings::{Settings, Transport, View};

const TENTH: Duration = Duration::from_millis(100);

/// Registries that every node checks, one image of each.
pub(crate) const REGISTRIES: usize = 3;

/// The state of a registry, as a node meets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Healthy,
    /// Its token service answers 503.
    Away,
    /// The private zone is not linked: names lead to public addresses.
    NotLinked,
    /// The password is an old one.
    Rejected,
    /// 429.
    Throttled,
    /// A device on the node's way refuses the connection.
    Cut,
    /// Something on the way drops every packet: the attempt to connect hangs until the stage's limit.
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

    /// What a check has to tell.
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

/// Requests, told apart by what Azure counts them as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Requests {
    /// At the token service.
    pub(crate) oauth: u32,
    /// `HEAD` of the manifest, without credentials.
    pub(crate) challenge: u32,
    /// The index and the manifest.
    pub(crate) manifests: u32,
    /// The redirect of the blob, and the blob itself at the data endpoint.
    pub(crate) blobs: u32,
}

impl Requests {
    fn of(checked: &Checked) -> Self {
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

    /// What may count as a read of the registry: everything but tokens, and the blob of the data endpoint with it.
    pub(crate) const fn reads(self) -> u32 {
        self.challenge + self.manifests + self.blobs
    }

    /// Reads with the identity of the token; the challenge has none.
    pub(crate) const fn reads_of_identity(self) -> u32 {
        self.manifests + self.blobs
    }

    pub(crate) const fn all(self) -> u32 {
        self.oauth + self.reads()
    }
}

/// What a check of one image comes to.
pub(crate) struct Outcome {
    pub(crate) checked: Checked,
    pub(crate) requests: Requests,
    /// How long it takes, in whole seconds, or a tenth of one: so that a busy machine has the same day.
    pub(crate) took: Duration,
}

/// The outcomes of every condition, for each registry.
pub(crate) struct Outcomes(Vec<(Condition, Vec<Outcome>)>);

impl Outcomes {
    /// Makes one check in each condition.
    pub(crate) fn measure() -> anyhow::Result<Self> {
        let lab = Lab::try_start(Settings::default())?;
        let mut healthy = Settings::default();
        lab.change(|settings| healthy = settings.clone());
        let config = config(&lab)?;
        let trust = Trust::load(config.ca_file.as_deref())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut outcomes = Vec::new();
        for condition in Condition::ALL {
            lab.change(|settings| {
                *settings = healthy.clone();
                condition.apply(settings);
            });
            let check = verify(&config, &config.images[0], &[], (&trust, None), jiff::Timestamp::now());
            let mut checked = runtime.block_on(check);
            let told = checked.decisive().map(|diagnosis| diagnosis.cause);
            ensure!(told == condition.cause(), "{condition:?} was told as {told:?}");
            let took = Duration::from_secs(checked.observation.duration.as_secs()).max(TENTH);
            checked.observation.duration = took;
            let requests = Requests::of(&checked);
            let of = |registry: usize| -> anyhow::Result<Outcome> {
                Ok(Outcome {
                    checked: Checked { image: image(registry)?, ..checked.clone() },
                    requests,
                    took,
                })
            };
            outcomes.push((condition, (0..REGISTRIES).map(of).collect::<anyhow::Result<_>>()?));
        }
        Ok(Self(outcomes))
    }

    pub(crate) fn of(&self, condition: Condition, registry: usize) -> &Outcome {
        let found = self.0.iter().find(|(known, _)| *known == condition);
        &found.expect("every condition was measured").1[registry]
    }
}

/// The image of a registry.
fn image(registry: usize) -> anyhow::Result<ImageReference> {
    Ok(format!("contoso{}.azurecr.io/apps/canary:1", registry + 1).parse()?)
}

/// The images of the fleet.
pub(crate) fn images() -> anyhow::Result<Vec<ImageConfig>> {
    (0..REGISTRIES).map(|registry| Ok(of(image(registry)?, None))).collect()
}

fn of(image: ImageReference, credentials: Option<CredentialsConfig>) -> ImageConfig {
    ImageConfig { image, name: None, credentials, expected: Vec::new(), data_endpoints: Vec::new() }
}

fn config(lab: &Lab) -> anyhow::Result<Config> {
    let credentials = CredentialsConfig { path: lab.credentials_folder(), expires_at: None };
    let mut config = Config::of(vec![of(lab.image().parse()?, Some(credentials))]);
    config.resolvers = Resolvers {
        system: SystemResolver::Servers(lab.nameservers().into_iter().map(Into::into).collect()),
        compare: Vec::new(),
    };
    config.ca_file = Some(lab.ca_file());
    config.allow_loopback = true;
    Ok(config)
}
