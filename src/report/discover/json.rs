//! The JSON report of a discovery, `acr-verifier/discover/v1`.
//!
//! Owns the format, field by field. `discover.v1.schema.json` is the published schema; a test keeps the two in step. Fields are only
//! ever added.

use std::io::{self, Write};

use serde::Serialize;

use crate::inventory::coverage::Coverage;
use crate::inventory::discovery::Discovery;
use crate::inventory::usage::{ImageUse, RegistryUse};
use crate::inventory::waiting::{AgentView, CheckedImage, Explanation, Fix, Silence};
use crate::observation::{CredentialsUsed, Endpoint, Stage};
use crate::verdict::Verdict;
use crate::wire::{Moment, Seconds, Word};

/// Name and version of the format.
pub const SCHEMA: &str = "acr-verifier/discover/v1";

/// The format as JSON Schema, draft 2020-12.
pub const JSON_SCHEMA: &str = include_str!("discover.v1.schema.json");

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DiscoverReport<'found> {
    schema: &'static str,
    version: &'static str,
    started_at: Moment,
    duration_seconds: Seconds,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'found str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<&'found str>,
    owners: bool,
    counts: Counts,
    left_out: LeftOutEntry,
    agents: AgentsEntry<'found>,
    waiting: Vec<WaitingEntry<'found>>,
    registries: Vec<RegistryEntry<'found>>,
    images: Vec<ImageEntry<'found>>,
    invalid_images: Vec<&'found str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    pods: usize,
    pods_with_images: usize,
    waiting_pods: usize,
    workloads: usize,
    nodes: usize,
    registries: usize,
    images: usize,
}

#[derive(Serialize)]
struct LeftOutEntry {
    images: usize,
    registries: usize,
    waiting: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AgentsEntry<'found> {
    namespace: &'found str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'found str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<&'found str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'found str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_at: Option<Moment>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WaitingEntry<'found> {
    namespace: &'found str,
    pod: &'found str,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'found str>,
    container: &'found str,
    image: String,
    registry: String,
    pull_secrets: &'found [String],
    kubelet: KubeletEntry<'found>,
    agent: AgentEntry<'found>,
    conclusion: &'static str,
    message: &'found str,
    fixes: Vec<FixEntry<'found>>,
}

#[derive(Serialize)]
struct KubeletEntry<'found> {
    reason: &'static str,
    message: &'found str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct AgentEntry<'found> {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<&'found str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'found str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'found str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    same_image: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credentials: Option<Word<CredentialsUsed>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Word<Verdict>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'found str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<Word<Stage>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<Word<Endpoint>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'found str>,
}

#[derive(Serialize)]
struct FixEntry<'found> {
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'found str>,
    remedy: &'found str,
    commands: &'found [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    runbook: Option<&'found str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RegistryEntry<'found> {
    registry: &'found str,
    images: usize,
    pods: usize,
    waiting_pods: usize,
    nodes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Word<Verdict>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ImageEntry<'found> {
    image: &'found str,
    registry: String,
    repository: &'found str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'found str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'found str>,
    pods: usize,
    waiting_pods: usize,
    workloads: usize,
    nodes: usize,
    example: &'found str,
    pull_secrets: Vec<SecretEntry<'found>>,
    without_pull_secret: usize,
}

#[derive(Serialize)]
struct SecretEntry<'found> {
    namespace: &'found str,
    name: &'found str,
    users: usize,
}

/// Writes a discovery as one JSON object and a line break.
///
/// # Errors
/// Returns the writer's error.
pub fn write(out: &mut impl Write, discovery: &Discovery) -> io::Result<()> {
    let inventory = &discovery.inventory;
    let report = DiscoverReport {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        started_at: Moment(discovery.started_at),
        duration_seconds: discovery.duration.into(),
        namespace: discovery.scope.namespace.as_deref(),
        pod: discovery.scope.pod.as_deref(),
        owners: discovery.scope.owners,
        counts: Counts {
            pods: inventory.pods,
            pods_with_images: inventory.pods_with_images,
            waiting_pods: inventory.waiting_pods,
            workloads: inventory.workloads,
            nodes: inventory.nodes.len(),
            registries: inventory.registries.len(),
            images: inventory.images.len(),
        },
        left_out: LeftOutEntry {
            images: inventory.left_out.images,
            registries: inventory.left_out.registries,
            waiting: inventory.left_out.waiting,
        },
        agents: agents(discovery),
        waiting: discovery.explanations.iter().map(waiting).collect(),
        registries: inventory
            .registries
            .iter()
            .map(|(registry, used)| registry_entry(registry, used, &discovery.coverage))
            .collect(),
        images: inventory.images.iter().map(|(image, used)| image_entry(image, used)).collect(),
        invalid_images: inventory.invalid.iter().map(String::as_str).collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &report)?;
    writeln!(out)
}

fn agents(discovery: &Discovery) -> AgentsEntry<'_> {
    let mut entry = AgentsEntry {
        namespace: &discovery.agents_namespace,
        state: "not_queried",
        reason: None,
        pod: None,
        node: None,
        checked_at: None,
    };
    match &discovery.coverage {
        Coverage::Reported(checked) => {
            entry.state = "reported";
            entry.pod = Some(&checked.pod);
            entry.node = Some(&checked.node);
            entry.checked_at = Some(Moment(checked.checked_at));
        }
        Coverage::NoAgents => entry.state = "none",
        Coverage::Unknown(reason) => {
            entry.state = "unknown";
            entry.reason = Some(reason);
        }
        Coverage::NotRequested => {}
    }
    entry
}

fn waiting(explanation: &Explanation) -> WaitingEntry<'_> {
    let image = &explanation.waiting;
    WaitingEntry {
        namespace: &image.namespace,
        pod: &image.pod,
        node: image.node.as_deref(),
        container: &image.container,
        image: image.image.to_string(),
        registry: image.image.registry(),
        pull_secrets: &image.pull_secrets,
        kubelet: KubeletEntry {
            reason: image.reason.as_str(),
            message: &image.message,
            cause: image.claim.map(|claim| claim.cause.code()),
        },
        agent: agent(&explanation.agent),
        conclusion: explanation.conclusion.as_str(),
        message: &explanation.message,
        fixes: explanation.fixes.iter().map(fix).collect(),
    }
}

fn fix(fix: &Fix) -> FixEntry<'_> {
    FixEntry {
        cause: fix.cause.as_deref(),
        remedy: &fix.remedy,
        commands: &fix.commands,
        runbook: fix.runbook.as_deref(),
    }
}

fn agent(view: &AgentView) -> AgentEntry<'_> {
    let of = |state, pod, reason| AgentEntry { state, pod, reason, ..AgentEntry::default() };
    match view {
        AgentView::Checked(checked) => checked_image(checked),
        AgentView::Unchecked { pod } => of("registry_unchecked", Some(pod.as_str()), None),
        AgentView::Silent(Silence::NoAgent) => of("none", None, None),
        AgentView::Silent(Silence::NotReady { pod, reason }) => {
            of("not_ready", Some(pod.as_str()), Some(reason.as_str()))
        }
        AgentView::Silent(Silence::NoReport { pod, reason }) => {
            of("no_report", Some(pod.as_str()), Some(reason.as_str()))
        }
        AgentView::Silent(Silence::NotQueried { reason }) => of("not_queried", None, Some(reason.as_str())),
    }
}

fn checked_image(checked: &CheckedImage) -> AgentEntry<'_> {
    let diagnosis = checked.diagnosis.as_ref();
    AgentEntry {
        state: "reported",
        pod: Some(&checked.pod),
        reason: None,
        image: Some(&checked.image),
        same_image: Some(checked.is_same),
        credentials: checked.credentials.map(Word),
        verdict: Some(Word(checked.verdict)),
        since: checked.since.map(Moment),
        checked_at: Some(Moment(checked.checked_at)),
        cause: diagnosis.map(|diagnosis| &*diagnosis.cause),
        stage: diagnosis.map(|diagnosis| Word(diagnosis.stage)),
        endpoint: diagnosis.map(|diagnosis| Word(diagnosis.endpoint)),
        message: diagnosis.map(|diagnosis| &*diagnosis.message),
    }
}

fn registry_entry<'found>(
    registry: &'found str,
    used: &RegistryUse,
    coverage: &Coverage,
) -> RegistryEntry<'found> {
    let checked = coverage.of(registry);
    RegistryEntry {
        registry,
        images: used.images,
        pods: used.pods,
        waiting_pods: used.waiting_pods,
        nodes: used.nodes.len(),
        checked: checked.map(|verdict| verdict.is_some()),
        verdict: checked.flatten().map(Word),
    }
}

fn image_entry<'found>(image: &'found str, used: &'found ImageUse) -> ImageEntry<'found> {
    let secrets = used.pull_secrets.iter().map(|(secret, users)| SecretEntry {
        namespace: &secret.namespace,
        name: &secret.name,
        users: *users,
    });
    ImageEntry {
        image,
        registry: used.reference.registry(),
        repository: used.reference.repository(),
        tag: used.reference.tag(),
        digest: used.reference.digest(),
        pods: used.pods,
        waiting_pods: used.waiting_pods,
        workloads: used.workloads,
        nodes: used.nodes.len(),
        example: &used.example,
        pull_secrets: secrets.collect(),
        without_pull_secret: used.without_pull_secret,
    }
}
