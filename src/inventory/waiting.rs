//! Why a Pod waits for its image: the kubelet's account next to what the agent of its node reports about the registry.
//!
//! Owns the comparison and its conclusion. The agent evaluates the registry, not this module: a conclusion says how far the agent's
//! verdict explains the Pod, and which reasons remain. [`fixes`] chooses the remedies.

mod fixes;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::kubelet::{Claim, Progress, PullReason};
use crate::cause::Cause;
use crate::fleet::report::{ImageDiagnosis, ImageReport, NodeReport};
use crate::image::ImageReference;
use crate::observation::{CredentialsUsed, Endpoint, Stage};
use crate::text::words::{any_of, list, span};
use crate::verdict::Verdict;

pub use fixes::Fix;

/// An image that a Pod waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingImage {
    /// Namespace of the Pod.
    pub namespace: String,
    /// Name of the Pod.
    pub pod: String,
    /// Node of the Pod.
    pub node: Option<String>,
    /// The first container that waits for the image.
    pub container: String,
    /// The image.
    pub image: ImageReference,
    /// Names of the Pod's pull secrets.
    pub pull_secrets: Vec<String>,
    /// The kubelet's reason.
    pub reason: PullReason,
    /// The kubelet's message, without secrets.
    pub message: String,
    /// What the message certainly shows.
    pub claim: Option<Claim>,
}

/// What the agent of a node reports about a registry.
#[derive(Debug, Clone, PartialEq)]
pub enum AgentView {
    /// It checks an image of the registry.
    Checked(Box<CheckedImage>),
    /// It checks no image of the registry.
    Unchecked {
        /// The agent's Pod.
        pod: String,
    },
    /// There is no report of an agent on the node.
    Silent(Silence),
}

/// Why there is no report of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Silence {
    /// No agent runs on the node.
    NoAgent,
    /// The agent's Pod cannot be queried.
    NotReady {
        /// The agent's Pod.
        pod: String,
        /// Why not, such as `ImagePullBackOff`.
        reason: String,
    },
    /// The agent did not return a report.
    NoReport {
        /// The agent's Pod.
        pod: String,
        /// Why not, as a phrase.
        reason: String,
    },
    /// The agents could not be listed or reached.
    NotQueried {
        /// Why not, as a phrase.
        reason: String,
    },
}

/// An image that an agent checks.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedImage {
    /// The agent's Pod.
    pub pod: String,
    /// The image.
    pub image: Arc<str>,
    /// Whether it is the image that the Pod waits for.
    pub is_same: bool,
    /// The source of the agent's credentials, if known.
    pub credentials: Option<CredentialsUsed>,
    /// The agent's verdict.
    pub verdict: Verdict,
    /// Since when it has this verdict and cause, if the agent reports it.
    pub since: Option<Timestamp>,
    /// Start of the agent's check.
    pub checked_at: Timestamp,
    /// The diagnosis that explains the verdict.
    pub diagnosis: Option<ImageDiagnosis>,
    /// The agent's report on the image, for the remedy.
    report: ImageReport,
}

/// How far the agent's verdict explains a waiting Pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Conclusion {
    /// The agent has the same problem: the Pod is not at fault.
    Explained,
    /// The agent has a problem that may be another one.
    MayExplain,
    /// The agent can pull from the registry.
    Disagree,
    /// The agent could not determine whether it can.
    Inconclusive,
    /// The agent of the node checks no image of the registry.
    RegistryUnchecked,
    /// No agent on the node reports anything.
    NoAgent,
}

impl Conclusion {
    /// Every value.
    pub const ALL: [Self; 6] = [
        Self::Explained,
        Self::MayExplain,
        Self::Disagree,
        Self::Inconclusive,
        Self::RegistryUnchecked,
        Self::NoAgent,
    ];

    /// Returns the word used in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Explained => "explained",
            Self::MayExplain => "may_explain",
            Self::Disagree => "disagree",
            Self::Inconclusive => "inconclusive",
            Self::RegistryUnchecked => "registry_unchecked",
            Self::NoAgent => "no_agent",
        }
    }
}

/// The explanation of a waiting image.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The image and its Pod.
    pub waiting: WaitingImage,
    /// What the agent of the node reports.
    pub agent: AgentView,
    /// How far that explains the Pod.
    pub conclusion: Conclusion,
    /// The conclusion in sentences.
    pub message: String,
    /// What to do, the most likely first.
    pub fixes: Vec<Fix>,
}

impl AgentView {
    /// Returns what a report contains about the registry of a waiting image: about the image itself if the agent checks it, otherwise
    /// the worst verdict.
    #[must_use]
    pub fn of(report: &NodeReport, pod: &str, waiting: &WaitingImage) -> Self {
        let (registry, wanted) = (waiting.image.registry(), waiting.image.to_string());
        let is_of_registry = |image: &&ImageReport| {
            image.image.parse::<ImageReference>().is_ok_and(|reference| reference.registry() == registry)
        };
        let images = || report.images.iter().filter(is_of_registry);
        let same = images().find(|image| *image.image == *wanted);
        let Some(image) = same.or_else(|| images().rev().max_by_key(|image| image.verdict)) else {
            return Self::Unchecked { pod: pod.to_owned() };
        };
        Self::Checked(Box::new(CheckedImage {
            pod: pod.to_owned(),
            image: Arc::clone(&image.image),
            is_same: same.is_some(),
            credentials: image.credentials,
            verdict: image.verdict,
            since: image.since,
            checked_at: image.started_at.unwrap_or(report.started_at),
            diagnosis: image.diagnoses.first().filter(|_| image.verdict != Verdict::Pass).cloned(),
            report: image.clone(),
        }))
    }
}

impl CheckedImage {
    /// Whether the problem is on the path to the registry or its layers, which all its images share.
    fn is_of_path(&self) -> bool {
        let known = self.diagnosis.as_ref().and_then(ImageDiagnosis::known_cause);
        let is_of_layers = known == Some(Cause::DataEndpointDisabled);
        is_of_layers || Endpoint::ALL.into_iter().any(|endpoint| self.is_of_path_to(endpoint))
    }

    fn is_of_path_to(&self, endpoint: Endpoint) -> bool {
        self.diagnosis.as_ref().is_some_and(|diagnosis| match diagnosis.stage {
            Stage::Dns | Stage::Address | Stage::Connect | Stage::Tls | Stage::Challenge => {
                diagnosis.endpoint == endpoint
            }
            Stage::Token | Stage::Manifest | Stage::Blob => false,
        })
    }

    /// Whether the problem is in the credentials.
    fn is_of_credentials(&self) -> bool {
        self.diagnosis.as_ref().is_some_and(|diagnosis| {
            diagnosis.stage == Stage::Token || diagnosis.known_cause() == Some(Cause::ScopeMissing)
        })
    }

    /// Whether the kubelet's message shows the agent's cause, about credentials.
    fn has_same_cause(&self, waiting: &WaitingImage) -> bool {
        let known = self.diagnosis.as_ref().and_then(ImageDiagnosis::known_cause);
        self.is_of_credentials() && known.is_some() && known == waiting.claim.map(|claim| claim.cause)
    }

    /// Whether the agent and the kubelet pull with the node's identity, which does not work.
    fn shares_identity(&self, waiting: &WaitingImage) -> bool {
        self.is_of_credentials()
            && waiting.pull_secrets.is_empty()
            && self.credentials == Some(CredentialsUsed::ManagedIdentity)
    }

    /// The credentials as a phrase: `with a Secret`.
    fn with_credentials(&self) -> &'static str {
        match self.credentials {
            Some(CredentialsUsed::Secret) => " with its own pull secret",
            Some(CredentialsUsed::Anonymous) => " without credentials",
            Some(CredentialsUsed::ManagedIdentity) => " with the node's managed identity",
            Some(CredentialsUsed::WorkloadIdentity) => " with its workload identity",
            None => "",
        }
    }
}

impl Silence {
    /// Returns the reason as a sentence about a node.
    #[must_use]
    pub fn sentence(&self, node: &str) -> String {
        match self {
            Self::NoAgent => format!("No agent runs on node {node}."),
            Self::NotReady { pod, reason } => {
                format!("The agent {pod} on node {node} is not ready: {reason}.")
            }
            Self::NoReport { pod, reason } => {
                format!("The agent {pod} on node {node} returned no report: {reason}.")
            }
            Self::NotQueried { reason } => format!("The agents were not queried: {reason}."),
        }
    }
}

impl Explanation {
    /// Compares a waiting image with what the agent of its node reports.
    #[must_use]
    pub fn of(waiting: WaitingImage, agent: AgentView, now: Timestamp) -> Self {
        let (conclusion, message) = conclude(&waiting, &agent, now);
        let fixes = fixes::choose(&waiting, &agent, conclusion);
        Self { waiting, agent, conclusion, message, fixes }
    }
}

fn conclude(waiting: &WaitingImage, agent: &AgentView, now: Timestamp) -> (Conclusion, String) {
    let registry = waiting.image.registry();
    let checked = match agent {
        AgentView::Checked(checked) => checked,
        AgentView::Unchecked { pod } => {
            let message = format!("The agent {pod} on this node checks no image of {registry}.");
            return (Conclusion::RegistryUnchecked, message + &kubelets_own(waiting));
        }
        AgentView::Silent(silence) => {
            let node = waiting.node.as_deref().unwrap_or("(none)");
            return (Conclusion::NoAgent, silence.sentence(node) + &kubelets_own(waiting));
        }
    };
    let cause = checked.diagnosis.as_ref().map_or("no diagnosis", |diagnosis| &*diagnosis.cause);
    match checked.verdict {
        Verdict::Fail if checked.is_same => (
            Conclusion::Explained,
            format!("The agent on this node cannot pull this image either ({cause})."),
        ),
        Verdict::Fail if checked.is_of_path_to(Endpoint::Login) && was_answered(waiting) => (
            Conclusion::MayExplain,
            format!(
                "The kubelet received an answer from {registry}, but the agent's check of the private path fails ({cause}): \
                 containerd may use another path, such as the public one. Both problems need a fix."
            ),
        ),
        Verdict::Fail if checked.is_of_path() && !was_answered(waiting) => (
            Conclusion::Explained,
            format!(
                "The agent on this node cannot pull from {registry} either ({cause}), so the problem is not in the Pod."
            ),
        ),
        Verdict::Fail if checked.has_same_cause(waiting) => (
            Conclusion::Explained,
            format!(
                "The kubelet and the agent on this node report the same problem ({cause}), the agent for {}.",
                checked.image
            ),
        ),
        Verdict::Fail if checked.shares_identity(waiting) => (
            Conclusion::Explained,
            format!(
                "The Pod names no pull secret, so the kubelet pulls with the node's identity as the agent does, and the agent \
                 cannot pull {} either ({cause}).",
                checked.image
            ),
        ),
        Verdict::Fail => (
            Conclusion::MayExplain,
            format!(
                "The agent on this node reaches {registry} but cannot pull {} ({cause}). The Pod may have the same problem, or one \
                 of its own image or credentials.",
                checked.image
            ) + &kubelets_own(waiting),
        ),
        Verdict::Unknown => (
            Conclusion::Inconclusive,
            format!(
                "The agent on this node could not determine whether {registry} can be pulled from ({cause})."
            ) + &kubelets_own(waiting),
        ),
        Verdict::Pass | Verdict::Warn => (Conclusion::Disagree, disagreement(waiting, checked, now)),
    }
}

/// Whether the kubelet certainly received an answer from the registry.
fn was_answered(waiting: &WaitingImage) -> bool {
    waiting.claim.is_some_and(|claim| claim.progress.is_answer())
}

/// What the kubelet's message certainly shows without an agent.
fn kubelets_own(waiting: &WaitingImage) -> String {
    match waiting.claim {
        Some(claim) => format!(" The kubelet's message shows {}.", claim.cause),
        None => String::new(),
    }
}

/// Names what the agent tested, and which reasons remain.
fn disagreement(waiting: &WaitingImage, checked: &CheckedImage, now: Timestamp) -> String {
    let age = Duration::try_from(now.duration_since(checked.checked_at)).unwrap_or_default();
    let tested = format!(
        "The kubelet and the agent disagree: the agent on this node pulled {}{} {} ago, over the private path.",
        checked.image,
        checked.with_credentials(),
        span(age)
    );
    if let Some(Claim { cause, progress }) = waiting.claim {
        return format!("{tested} The kubelet's message shows {cause}{}", remaining(waiting, progress));
    }
    let mut reasons = Vec::new();
    if !checked.is_same {
        reasons.push("this image, tag or digest does not exist".to_owned());
    }
    reasons.push(format!("the Pod's own credentials do not work ({})", pulled_with(waiting)));
    reasons.push("the problem is resolved and the kubelet has not retried yet".to_owned());
    format!("{tested} Remaining reasons: {}.", any_of(&reasons, reasons.len()))
}

/// The reason that remains, as the end of a sentence.
fn remaining(waiting: &WaitingImage, progress: Progress) -> String {
    match progress {
        Progress::NoSuchImage => {
            " for this Pod's image: the registry has no such repository, tag or digest.".to_owned()
        }
        Progress::Credentials => {
            format!(": the credentials of the Pod are not the agent's ({}).", pulled_with(waiting))
        }
        Progress::PublicSide => {
            ": containerd reached the registry's public side, such as through a proxy.".to_owned()
        }
        Progress::Answered => " for this Pod's image.".to_owned(),
        Progress::NotReached => ". Either the problem is resolved and the kubelet has not retried yet, which takes up to five \
                                 minutes, or containerd uses another path than the agent, such as a proxy or a mirror."
            .to_owned(),
    }
}

/// The credentials of the Pod as a phrase.
fn pulled_with(waiting: &WaitingImage) -> String {
    if waiting.pull_secrets.is_empty() {
        return "it names no pull secret, so the kubelet uses the node's identity or none".to_owned();
    }
    let secrets: Vec<String> =
        waiting.pull_secrets.iter().map(|name| format!("{}/{name}", waiting.namespace)).collect();
    format!("pull secret {}", list(&secrets))
}
