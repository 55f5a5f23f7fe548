//! The result of a run: the observation and diagnoses of every image, and the status of each of its twelve stages.
//!
//! Owns the result of a check and its verdict. Sinks and renderers read it; presentation is theirs, and evaluation is in `rules`.

use std::time::Duration;

use jiff::Timestamp;

use crate::address::AddressPolicy;
use crate::diagnosis::{self, Diagnosis};
use crate::findings::Comparisons;
use crate::image::ImageReference;
use crate::observation::{Endpoint, Fact, Observation, Stage, TrustedBy};
use crate::proxy::Proxy;
use crate::verdict::{Severity, Verdict};

/// The network that a run used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkView {
    /// The node's network, which the kubelet and containerd use.
    Node,
    /// A pod's network.
    Pod,
}

impl NetworkView {
    /// Both views.
    pub const ALL: [Self; 2] = [Self::Node, Self::Pod];

    /// Returns the name used in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Pod => "pod",
        }
    }

    /// Returns the words for use in a sentence.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Node => "node network",
            Self::Pod => "pod network",
        }
    }
}

/// The settings read from the node's own files, which containerd on this node uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFilesReport {
    /// The node's resolv.conf, if the checks used it.
    pub resolv_conf: Option<String>,
    /// The source of the trusted certificate authorities, apart from the operator's file.
    pub roots: TrustedBy,
    /// containerd's proxy for HTTPS, regardless of `NO_PROXY`.
    pub proxy: Fact<Option<Proxy>>,
    /// The kubelet's proxy for HTTPS, which its credential providers inherit.
    pub kubelet_proxy: Fact<Option<Proxy>>,
    /// The mirrors configured for the checked registries.
    pub mirrors: Fact<Vec<String>>,
}

impl NodeFilesReport {
    /// Creates a report for a node whose files are not mounted.
    #[must_use]
    pub fn unread(roots: TrustedBy) -> Self {
        let why = || "nodeFiles is not set".to_owned();
        Self {
            resolv_conf: None,
            roots,
            proxy: Fact::Unknown(why()),
            kubelet_proxy: Fact::Unknown(why()),
            mirrors: Fact::Unknown(why()),
        }
    }

    /// Lists the settings of containerd that were not read, as words for a sentence.
    #[must_use]
    pub fn unknown(&self) -> Vec<&'static str> {
        [
            (self.resolv_conf.is_none(), "its current resolv.conf"),
            (self.roots != TrustedBy::Node, "its certificate authorities"),
            (self.proxy.known().is_none(), "containerd's proxy"),
            (self.mirrors.known().is_none(), "containerd's mirrors"),
        ]
        .into_iter()
        .filter_map(|(is_unknown, what)| is_unknown.then_some(what))
        .collect()
    }
}

/// One run over all images.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckRun {
    /// The node's name.
    pub node: String,
    /// The network that the run used.
    pub network_view: NetworkView,
    /// The settings read from the node's own files; absent if not requested.
    pub node_files: Option<NodeFilesReport>,
    /// When the run started.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// The digest of the configuration file that the run used, if any.
    pub configuration: Option<String>,
    /// The checked images, in the order given.
    pub images: Vec<ImageResult>,
}

/// A newer configuration file that was rejected; the previous one stays in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// All errors, one for each line.
    pub reason: String,
    /// Its digest; absent if it could not be read.
    pub digest: Option<String>,
}

impl Rejected {
    /// Returns all errors on one line.
    #[must_use]
    pub fn phrase(&self) -> String {
        self.reason.lines().collect::<Vec<_>>().join("; ")
    }
}

impl CheckRun {
    /// Returns the worst verdict of all images; `unknown` if nothing was checked.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.images.iter().map(ImageResult::verdict).max().unwrap_or(Verdict::Unknown)
    }

    /// Returns whether it has a result of this image with the same causes.
    #[must_use]
    pub fn has_same(&self, checked: &ImageResult) -> bool {
        let causes = |result: &ImageResult| -> Vec<_> {
            result.diagnoses.iter().map(|diagnosis| diagnosis.cause).collect()
        };
        let is_same = |result: &ImageResult| {
            result.image == checked.image && result.name == checked.name && causes(result) == causes(checked)
        };
        self.images.iter().any(is_same)
    }
}

/// The part of a pull that a check covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    /// A whole pull.
    Whole,
    /// DNS, address, TCP and TLS, without a request.
    Path,
}

impl Extent {
    /// Both extents.
    pub const ALL: [Self; 2] = [Self::Whole, Self::Path];

    /// Returns the name used in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Path => "path",
        }
    }
}

/// One image, checked once.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageResult {
    /// When its check started.
    pub started_at: Timestamp,
    /// Whether it is kept from an earlier run: an agent's path check replaces only the results of broken paths.
    pub is_kept: bool,
    /// What its check covered. A path check has a result only if it failed.
    pub extent: Extent,
    /// The image reference.
    pub image: ImageReference,
    /// The operator's name for the image, if set.
    pub name: Option<String>,
    /// Whether a test of the data path was requested.
    pub blob_requested: bool,
    /// Which addresses were accepted.
    pub policy: AddressPolicy,
    /// The facts collected by the check.
    pub observation: Observation,
    /// How the answers of all resolvers compare. The rest of the findings is only kept as diagnoses.
    pub comparisons: Comparisons,
    /// The diagnoses, sorted; the first explains the verdict.
    pub diagnoses: Vec<Diagnosis>,
}

impl ImageResult {
    /// Returns the verdict; `unknown` if no stage ran and there is no diagnosis.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.diagnoses.is_empty() && self.observation.marks.is_empty() {
            return Verdict::Unknown;
        }
        diagnosis::verdict_of(&self.diagnoses)
    }

    /// Returns the diagnosis that explains a verdict of `fail` or `unknown`.
    #[must_use]
    pub fn decisive(&self) -> Option<&Diagnosis> {
        self.diagnoses.first().filter(|diagnosis| match diagnosis.severity {
            Severity::Fail | Severity::Unknown => true,
            Severity::Warn => false,
        })
    }

    /// Returns the twelve stages, in the order of a pull.
    #[must_use]
    pub fn stages(&self) -> Vec<StageReport<'_>> {
        Endpoint::ALL
            .into_iter()
            .flat_map(|endpoint| Stage::of(endpoint).iter().map(move |&stage| (endpoint, stage)))
            .map(|(endpoint, stage)| self.stage(endpoint, stage))
            .collect()
    }

    fn stage(&self, endpoint: Endpoint, stage: Stage) -> StageReport<'_> {
        let diagnoses: Vec<_> =
            self.diagnoses.iter().filter(|diagnosis| located_at(diagnosis) == (endpoint, stage)).collect();
        let mark =
            self.observation.marks.iter().find(|mark| mark.endpoint == endpoint && mark.stage == stage);
        let status = match diagnoses.iter().map(|diagnosis| diagnosis.severity.verdict()).max() {
            Some(Verdict::Fail | Verdict::Unknown) => StageStatus::Failed,
            // Expiring credentials cause a warning even if the check did not reach them.
            Some(Verdict::Warn) if mark.is_some() => StageStatus::Warning,
            Some(Verdict::Pass) | None if mark.is_some() => StageStatus::Ok,
            Some(Verdict::Warn | Verdict::Pass) | None => StageStatus::Skipped,
        };
        StageReport { endpoint, stage, status, duration: mark.map(|mark| mark.duration), diagnoses }
    }

    /// Explains why a stage did not run.
    #[must_use]
    pub fn skip_reason(&self, endpoint: Endpoint, stage: Stage) -> String {
        if let Some(decisive) = self.decisive() {
            let failed = located_at(decisive);
            if self.extent == Extent::Path && (endpoint, stage) < failed {
                return "not repeated: a path check sends no request".to_owned();
            }
            return format!("not reached: {}.{} failed", failed.0, failed.1);
        }
        if endpoint == Endpoint::Data {
            if !self.blob_requested {
                return "not tested: --no-blob".to_owned();
            }
            if self.observation.reached(Endpoint::Data, Stage::Blob) {
                return "not needed: the login server serves the blob itself".to_owned();
            }
        }
        if stage == Stage::Token && self.observation.reached(Endpoint::Login, Stage::Manifest) {
            return "not needed: the registry requires no token".to_owned();
        }
        "not reached".to_owned()
    }
}

/// Returns the endpoint and stage of a diagnosis. A stage that only one endpoint has is assigned to that endpoint, so every
/// diagnosis belongs to one of the twelve stages.
#[must_use]
pub fn located_at(diagnosis: &Diagnosis) -> (Endpoint, Stage) {
    let stage = diagnosis.stage;
    let endpoint = match diagnosis.endpoint {
        named if Stage::of(named).contains(&stage) => named,
        Endpoint::Login => Endpoint::Data,
        Endpoint::Data => Endpoint::Login,
    };
    (endpoint, stage)
}

/// One of the twelve stages of a check.
#[derive(Debug, Clone, PartialEq)]
pub struct StageReport<'checked> {
    /// The endpoint that the stage belongs to.
    pub endpoint: Endpoint,
    /// The stage.
    pub stage: Stage,
    /// The status of the stage.
    pub status: StageStatus,
    /// How long the stage took, if it ran.
    pub duration: Option<Duration>,
    /// Its diagnoses, most severe first.
    pub diagnoses: Vec<&'checked Diagnosis>,
}

/// The status of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageStatus {
    /// It ran without problems.
    Ok,
    /// It works now, but something will break.
    Warning,
    /// It failed, or its result is unknown.
    Failed,
    /// It was not reached or not requested.
    Skipped,
}

impl StageStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Warning, Self::Failed, Self::Skipped];

    /// Returns the name used in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}
