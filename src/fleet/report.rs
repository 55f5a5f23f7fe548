//! What a smoke check keeps of an agent's report: what decides, and what its own report shows.
//!
//! A fleet has thousands of reports, so that texts are shared among them. How an answer becomes one is in [`claim`].

pub mod claim;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::cause::Cause;
use crate::diagnosis::{Severity, Verdict};
use crate::observation::{Endpoint, Stage};
use crate::run::NetworkView;

/// An agent's report.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeReport {
    /// The version of the agent.
    pub version: Arc<str>,
    /// Whose network it used.
    pub network_view: NetworkView,
    /// The configuration that it went by; none where the agent is too old to say so.
    pub configuration: Option<ConfigurationState>,
    /// When its check began, by its own clock.
    pub started_at: Timestamp,
    /// How long that took.
    pub duration: Duration,
    /// The worst verdict on an image, as the agent has it.
    pub verdict: Verdict,
    /// The node's own nameservers, in the order in which they were asked: `10.0.0.4 and 10.0.0.5`.
    pub nameservers: Option<Arc<str>>,
    /// What was checked.
    pub images: Vec<ImageReport>,
}

/// The configuration that an agent goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigurationState {
    /// The digest of the file in force.
    pub digest: Arc<str>,
    /// What is wrong with a newer file; none unless one is rejected.
    pub rejected: Option<Arc<str>>,
    /// The digest of that file.
    pub rejected_digest: Option<Arc<str>>,
}

/// One image of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageReport {
    /// The image: an image reference as text.
    pub image: Arc<str>,
    /// The operator's name for it.
    pub name: Option<Arc<str>>,
    /// The verdict on it.
    pub verdict: Verdict,
    /// How long its check took.
    pub duration: Duration,
    /// The first diagnoses; the first of all explains the verdict.
    pub diagnoses: Vec<ImageDiagnosis>,
    /// How long its registry asked to wait.
    pub retry_after: Option<Duration>,
    /// Whether a part of the path was not tested.
    pub is_partial: bool,
    /// Whether loopback counted as private.
    pub loopback_allowed: bool,
}

/// One thing that is wrong with an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageDiagnosis {
    /// The code of its cause, which may be newer than this program.
    pub cause: Arc<str>,
    /// How much it matters.
    pub severity: Severity,
    /// In which stage it showed.
    pub stage: Stage,
    /// At which endpoint.
    pub endpoint: Endpoint,
    /// One sentence with the evidence, in the agent's words.
    pub message: Arc<str>,
    /// The data endpoint, where it is known.
    pub data_host: Option<Arc<str>>,
}

impl NodeReport {
    /// How long its registries asked to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.images.iter().filter_map(|image| image.retry_after).max()
    }
}

impl ImageDiagnosis {
    /// The cause, where this program knows it.
    #[must_use]
    pub fn known_cause(&self) -> Option<Cause> {
        Cause::ALL.into_iter().find(|cause| cause.code() == &*self.cause)
    }
}

/// Texts that reports have in common, each once in memory.
#[derive(Debug, Default)]
pub struct Texts {
    texts: BTreeSet<Arc<str>>,
    /// Size at which those that no report has any more are let go.
    limit: usize,
}

impl Texts {
    /// Gives a report the texts that others have already.
    pub fn share(&mut self, report: &mut NodeReport) {
        if self.texts.len() >= self.limit {
            self.texts.retain(|text| Arc::strong_count(text) > 1);
            self.limit = (self.texts.len() * 2).max(1_024);
        }
        self.intern(&mut report.version);
        self.intern_some(&mut report.nameservers);
        if let Some(ConfigurationState { digest, rejected, rejected_digest }) = &mut report.configuration {
            self.intern(digest);
            self.intern_some(rejected);
            self.intern_some(rejected_digest);
        }
        for image in &mut report.images {
            self.intern(&mut image.image);
            self.intern_some(&mut image.name);
            for diagnosis in &mut image.diagnoses {
                self.intern(&mut diagnosis.cause);
                self.intern(&mut diagnosis.message);
                self.intern_some(&mut diagnosis.data_host);
            }
        }
    }

    fn intern(&mut self, text: &mut Arc<str>) {
        match self.texts.get(&**text) {
            Some(known) => *text = Arc::clone(known),
            None => drop(self.texts.insert(Arc::clone(text))),
        }
    }

    fn intern_some(&mut self, text: &mut Option<Arc<str>>) {
        if let Some(text) = text {
            self.intern(text);
        }
    }
}
