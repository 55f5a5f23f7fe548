//! What came of a run: every image with what was seen and what it means, and how each of its twelve stages went.
//!
//! Owns the value that a check leaves behind, and the verdict on it. Sinks and renderers read it; nothing here knows how it
//! looks, or judges (that is `rules`).

use std::time::Duration;

use jiff::Timestamp;

use crate::address::AddressPolicy;
use crate::diagnosis::{Diagnosis, Severity, Verdict};
use crate::image::ImageReference;
use crate::observation::{Endpoint, Fact, Observation, Stage, TrustedBy};
use crate::proxy::Proxy;

/// Whose network a run used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkView {
    /// The node's: what the kubelet and containerd have.
    Node,
    /// A pod's.
    Pod,
}

impl NetworkView {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Node, Self::Pod];

    /// The contract's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Pod => "pod",
        }
    }

    /// The words for it in a sentence.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Node => "node network",
            Self::Pod => "pod network",
        }
    }
}

/// What was read of the node's own files: what containerd on this node goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFilesReport {
    /// The node's file with nameservers that the checks followed, if they followed one.
    pub resolv_conf: Option<String>,
    /// Whose certificate authorities counted, apart from the operator's file.
    pub roots: TrustedBy,
    /// The proxy for HTTPS of containerd, whatever its exceptions.
    pub proxy: Fact<Option<Proxy>>,
    /// The same of the kubelet, which its credential providers inherit.
    pub kubelet_proxy: Fact<Option<Proxy>>,
    /// The mirrors of the checked registries.
    pub mirrors: Fact<Vec<String>>,
}

impl NodeFilesReport {
    /// Nothing was read, because nothing is mounted.
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

    /// What of containerd's view of the registry was not read, as words of a sentence.
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
pub struct Run {
    /// The node's name.
    pub node: String,
    /// Whose network was used.
    pub network_view: NetworkView,
    /// What was read of the node's own files; absent where nobody asked for them.
    pub node_files: Option<NodeFilesReport>,
    /// When the run began.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// The digest of the configuration file that the run went by; none without a file.
    pub configuration: Option<String>,
    /// What was checked, in the order given.
    pub images: Vec<Checked>,
}

/// A configuration file that is newer than the one in force, and that is not usable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Everything that is wrong with it, a problem a line.
    pub reason: String,
    /// Its digest; none where it could not be read.
    pub digest: Option<String>,
}

impl Rejected {
    /// Everything that is wrong with it, on one line.
    #[must_use]
    pub fn phrase(&self) -> String {
        self.reason.lines().collect::<Vec<_>>().join("; ")
    }
}

impl Run {
    /// The worst verdict on an image; `unknown` where nothing was checked.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.images.iter().map(Checked::verdict).max().unwrap_or(Verdict::Unknown)
    }
}

/// One image, checked once.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The image.
    pub image: ImageReference,
    /// The operator's name for it.
    pub name: Option<String>,
    /// Whether the data path was to be tested.
    pub blob_requested: bool,
    /// Which addresses were good.
    pub policy: AddressPolicy,
    /// What was seen.
    pub observation: Observation,
    /// What it means: sorted, the first explains the verdict.
    pub diagnoses: Vec<Diagnosis>,
}

impl Checked {
    /// The verdict; `unknown` where no stage ran and nothing says why.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.diagnoses.is_empty() && self.observation.marks.is_empty() {
            return Verdict::Unknown;
        }
        Verdict::of(&self.diagnoses)
    }

    /// What explains a verdict of `fail` or `unknown`.
    #[must_use]
    pub fn decisive(&self) -> Option<&Diagnosis> {
        self.diagnoses.first().filter(|diagnosis| match diagnosis.severity {
            Severity::Fail | Severity::Unknown => true,
            Severity::Warn => false,
        })
    }

    /// The twelve stages, in the order of a pull.
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
            self.diagnoses.iter().filter(|diagnosis| place(diagnosis) == (endpoint, stage)).collect();
        let mark =
            self.observation.marks.iter().find(|mark| mark.endpoint == endpoint && mark.stage == stage);
        let status = match diagnoses.iter().map(|diagnosis| diagnosis.severity.verdict()).max() {
            Some(Verdict::Fail | Verdict::Unknown) => Status::Failed,
            // Credentials that are about to end are warned of whether the check came to them or not.
            Some(Verdict::Warn) if mark.is_some() => Status::Warning,
            Some(Verdict::Pass) | None if mark.is_some() => Status::Ok,
            Some(Verdict::Warn | Verdict::Pass) | None => Status::Skipped,
        };
        StageReport { endpoint, stage, status, duration: mark.map(|mark| mark.duration), diagnoses }
    }

    /// Why a stage that did not run did not.
    #[must_use]
    pub fn skip_reason(&self, endpoint: Endpoint, stage: Stage) -> String {
        if let Some(decisive) = self.decisive() {
            let (endpoint, stage) = place(decisive);
            return format!("not reached: {endpoint}.{stage} failed");
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
            return "not needed: the registry asks for no token".to_owned();
        }
        "not reached".to_owned()
    }
}

/// Where a diagnosis stands among the twelve: a stage that only one endpoint has is that endpoint's, so that no
/// diagnosis is ever without its place.
#[must_use]
pub fn place(diagnosis: &Diagnosis) -> (Endpoint, Stage) {
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
    /// At which endpoint.
    pub endpoint: Endpoint,
    /// Which stage.
    pub stage: Stage,
    /// How it went.
    pub status: Status,
    /// How long it took, where it ran.
    pub duration: Option<Duration>,
    /// What is wrong with it, first what matters most.
    pub diagnoses: Vec<&'checked Diagnosis>,
}

/// How a stage went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It ran, and nothing is wrong with it.
    Ok,
    /// It works, and something will break.
    Warning,
    /// It failed, or could not be judged.
    Failed,
    /// It was not reached, or not asked for.
    Skipped,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Warning, Self::Failed, Self::Skipped];

    /// The contract's word for it.
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
