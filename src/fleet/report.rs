//! The parts of an agent's report that a smoke check keeps.
//!
//! A fleet has thousands of reports, so they share their texts. [`claim`] parses the response of an agent.

pub mod claim;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::cause::Cause;
use crate::image::ImageReference;
use crate::observation::{CredentialsUsed, Endpoint, Stage};
use crate::run::NetworkView;
use crate::schedule::{REQUESTS_PER_IMAGE, REQUESTS_WITH_IDENTITY};
use crate::verdict::{Severity, Verdict};

/// An agent's report.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeReport {
    /// Version of the agent.
    pub version: Arc<str>,
    /// Whether the check ran on the node or the pod network.
    pub network_view: NetworkView,
    /// The configuration that the agent used; `None` if it is too old to report it.
    pub configuration: Option<ConfigurationState>,
    /// Start of the check, by the agent's clock.
    pub started_at: Timestamp,
    /// Duration of the check.
    pub duration: Duration,
    /// The worst verdict on an image, according to the agent.
    pub verdict: Verdict,
    /// The node's own nameservers in the order in which they were queried: `10.0.0.4 and 10.0.0.5`.
    pub nameservers: Option<Arc<str>>,
    /// The checked images.
    pub images: Vec<ImageReport>,
}

/// The configuration of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigurationState {
    /// Digest of the file in force.
    pub digest: Arc<str>,
    /// Why a newer file was rejected; `None` otherwise.
    pub rejected: Option<Arc<str>>,
    /// Digest of the rejected file.
    pub rejected_digest: Option<Arc<str>>,
}

/// One image of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageReport {
    /// Image reference.
    pub image: Arc<str>,
    /// The operator's name for the image.
    pub name: Option<Arc<str>>,
    /// Verdict on the image.
    pub verdict: Verdict,
    /// Start of the check of this image, if it is older than the report's.
    pub started_at: Option<Timestamp>,
    /// Since when it has this verdict and cause; `None` if the agent is too old to report it.
    pub since: Option<Timestamp>,
    /// The source of the credentials; `None` if unknown to the agent or to this program.
    pub credentials: Option<CredentialsUsed>,
    /// The path check since then; `None` without one.
    pub path: Option<PathEvidence>,
    /// Duration of the check.
    pub duration: Duration,
    /// The first few diagnoses; the first one explains the verdict.
    pub diagnoses: Vec<ImageDiagnosis>,
    /// `Retry-After` of the registry.
    pub retry_after: Option<Duration>,
    /// Whether a part of the path was not tested.
    pub is_partial: bool,
    /// Whether loopback addresses were treated as private.
    pub loopback_allowed: bool,
}

/// The latest path check of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathEvidence {
    /// Start of the path check, by the agent's clock.
    pub checked_at: Timestamp,
    /// Codes of the causes that break the path; empty if it is open.
    pub causes: Vec<Arc<str>>,
}

/// A diagnosis of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageDiagnosis {
    /// Code of the cause, which may be newer than this program.
    pub cause: Arc<str>,
    /// Severity of the cause.
    pub severity: Severity,
    /// The stage in which the problem was found.
    pub stage: Stage,
    /// The endpoint of that stage.
    pub endpoint: Endpoint,
    /// One sentence with the evidence, from the agent.
    pub message: Arc<str>,
    /// The data endpoint, if known.
    pub data_host: Option<Arc<str>>,
}

impl NodeReport {
    /// Returns the longest `Retry-After` of its registries.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.images.iter().filter_map(|image| image.retry_after).max()
    }

    /// Returns whether every result is of the run itself. A path check that finds a broken path keeps the results of other images.
    #[must_use]
    pub fn is_of_one_run(&self) -> bool {
        self.images.iter().all(|image| image.started_at.is_none())
    }

    /// Returns the start of the oldest path check since the last whole check; `None` if an image has none.
    #[must_use]
    pub fn path_checked_at(&self) -> Option<Timestamp> {
        let each: Option<Vec<Timestamp>> =
            self.images.iter().map(|image| image.path.as_ref().map(|path| path.checked_at)).collect();
        each?.into_iter().min()
    }

    /// Returns the codes of the causes that the latest path checks found.
    #[must_use]
    pub fn path_causes(&self) -> BTreeSet<&str> {
        let paths = self.images.iter().filter_map(|image| image.path.as_ref());
        paths.flat_map(|path| &path.causes).map(|cause| &**cause).collect()
    }

    /// Returns the requests of a check to the registry that gets the most.
    #[must_use]
    pub fn requests(&self) -> u32 {
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for image in &self.images {
            let Ok(reference) = image.image.parse::<ImageReference>() else { continue };
            let requests = match image.credentials {
                Some(CredentialsUsed::ManagedIdentity | CredentialsUsed::WorkloadIdentity) => {
                    REQUESTS_WITH_IDENTITY
                }
                Some(CredentialsUsed::Secret | CredentialsUsed::Anonymous) | None => REQUESTS_PER_IMAGE,
            };
            *counts.entry(reference.registry()).or_default() += requests;
        }
        counts.into_values().max().unwrap_or_default()
    }
}

impl ImageDiagnosis {
    /// Returns the cause, if this program knows it.
    #[must_use]
    pub fn known_cause(&self) -> Option<Cause> {
        Cause::ALL.into_iter().find(|cause| cause.code() == &*self.cause)
    }
}

/// Interns texts, so that equal texts of many reports are held in memory once.
#[derive(Debug, Default)]
pub struct Texts {
    texts: BTreeSet<Arc<str>>,
    /// Size at which texts that no report uses any more are dropped.
    limit: usize,
}

impl Texts {
    /// Replaces the texts of a report by those already held.
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
            for cause in image.path.iter_mut().flat_map(|path| &mut path.causes) {
                self.intern(cause);
            }
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
