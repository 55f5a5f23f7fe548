//! A lab and a task that fits it: what every test of a check begins with.

use std::time::Duration;

use acr_verifier::address::AddressPolicy;
use acr_verifier::config::{Resolvers, SystemResolver};
use acr_verifier::credentials::CredentialsSource;
use acr_verifier::diagnosis::{Diagnosis, Verdict};
use acr_verifier::observation::Observation;
use acr_verifier::probe::{Platform, Task, Trust, observe};
use acr_verifier::rules::{Expectation, diagnose};
use jiff::Timestamp;

use crate::lab::Lab;
use crate::lab::settings::Settings;

/// A lab, and the task that verifies it.
pub(crate) struct Bench {
    pub(crate) lab: Lab,
    pub(crate) task: Task,
}

/// What a check led to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) observation: Observation,
    pub(crate) diagnoses: Vec<Diagnosis>,
}

impl Bench {
    /// A healthy lab.
    pub(crate) fn healthy() -> Self {
        Self::new(Settings::default())
    }

    /// A healthy lab with one thing changed.
    pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::default();
        change(&mut settings);
        Self::new(settings)
    }

    pub(crate) fn new(settings: Settings) -> Self {
        let lab = Lab::start(settings);
        let task = Task {
            image: lab.image().parse().expect("the lab's image is a reference"),
            policy: AddressPolicy { expected: Vec::new(), allow_loopback: true },
            data_endpoints: Vec::new(),
            credentials: CredentialsSource { paths: vec![lab.credentials_folder()], expires_at: None },
            resolvers: Resolvers { system: SystemResolver::Servers(lab.nameservers()), compare: Vec::new() },
            trust: Trust::load(Some(&lab.ca_file())).expect("the lab's root is a certificate"),
            timeout: Duration::from_secs(10),
            stage_timeout: Duration::from_secs(1),
            blob: true,
            platform: Platform::linux(std::env::consts::ARCH),
            now: Timestamp::now(),
        };
        Self { lab, task }
    }

    /// Another image of the same lab.
    pub(crate) fn image(&mut self, reference: &str) {
        self.task.image = self.lab.image_of("apps/canary", reference).parse().expect("a reference");
    }

    /// Runs the check as the program does: on one thread.
    pub(crate) fn check(&self) -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let observation = runtime.block_on(observe(&self.task));
        let expectation = Expectation {
            image: self.task.image.clone(),
            policy: self.task.policy.clone(),
            now: self.task.now,
        };
        let diagnoses = diagnose(&expectation, &observation);
        Outcome { observation, diagnoses }
    }
}

impl Outcome {
    pub(crate) fn verdict(&self) -> Verdict {
        Verdict::of(&self.diagnoses)
    }

    /// The causes, first to last, as `severity endpoint stage cause`.
    pub(crate) fn told(&self) -> Vec<String> {
        let told = |diagnosis: &Diagnosis| {
            let Diagnosis { severity, endpoint, stage, cause, .. } = diagnosis;
            format!("{severity} {endpoint} {stage} {cause}")
        };
        self.diagnoses.iter().map(told).collect()
    }

    /// Asserts the whole list of diagnoses.
    #[track_caller]
    pub(crate) fn expect(&self, expected: &[&str]) -> &Self {
        assert_eq!(self.told(), expected, "{self:#?}");
        self
    }
}
