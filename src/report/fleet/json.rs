//! The smoke check's JSON report, `acr-verifier/smoke/v1`.
//!
//! Owns the format, field by field. It contains what decides and explains an agent's report; `GET /report` at the agent
//! returns the whole one. A fleet has thousands of nodes, so the document is streamed. `smoke.v1.schema.json` is the published
//! schema; a test keeps the two in step. Fields are only ever added.

use std::io::{self, Write};

use serde::{Serialize, Serializer};

use crate::fleet::difference::differences;
use crate::fleet::evaluation::{Counts, Evaluation, Finding, Group};
use crate::fleet::report::{ConfigurationState, ImageDiagnosis, ImageReport, NodeReport};
use crate::fleet::sample::SampleSummary;
use crate::fleet::{Fleet, Node};
use crate::observation::{Endpoint, Stage};
use crate::run::NetworkView;
use crate::text::sanitize::is_invisible;
use crate::verdict::{Severity, Verdict};
use crate::wire::{Moment, Seconds, Word};

/// Name and version of the format.
pub const SCHEMA: &str = "acr-verifier/smoke/v1";

/// The format as JSON Schema, draft 2020-12.
pub const JSON_SCHEMA: &str = include_str!("smoke.v1.schema.json");

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SmokeReport<'fleet> {
    schema: &'static str,
    version: &'static str,
    namespace: &'fleet str,
    daemon_set: &'fleet str,
    started_at: Moment,
    duration_seconds: Seconds,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_configuration: Option<&'fleet str>,
    verdict: Word<Verdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample: Option<SampleEntry>,
    counts: CountsReport,
    #[serde(serialize_with = "groups")]
    groups: (&'fleet Fleet, &'fleet [Group]),
    #[serde(serialize_with = "nodes")]
    nodes: &'fleet [Node],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CountsReport {
    nodes: usize,
    expected: usize,
    pass: usize,
    warn: usize,
    fail: usize,
    unknown: usize,
    no_report: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_open: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_open_warn: Option<usize>,
    excluded: usize,
    joined_late: usize,
    left: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SampleEntry {
    nodes: usize,
    placements: usize,
    placements_missing: usize,
    of_each: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupReport<'fleet> {
    severity: Word<Severity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'fleet str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<Word<Stage>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<Word<Endpoint>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'fleet str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'fleet str>,
    message: &'fleet str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_of: Option<&'fleet str>,
    remedy: &'fleet str,
    commands: &'fleet [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    runbook: Option<&'fleet str>,
    nodes: &'fleet [String],
    differences: Vec<DifferenceReport>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DifferenceReport {
    property: &'static str,
    bad: Vec<String>,
    good: Vec<String>,
    message: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeEntry<'fleet> {
    node: &'fleet str,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_pool: Option<&'fleet str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<&'fleet str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subnet: Option<&'fleet str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_image: Option<&'fleet str>,
    cordoned: bool,
    joined_late: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<&'fleet str>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Word<Verdict>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<ReportEntry<'fleet>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReportEntry<'fleet> {
    version: &'fleet str,
    network_view: Word<NetworkView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration: Option<ConfigurationEntry<'fleet>>,
    started_at: Moment,
    duration_seconds: Seconds,
    verdict: Word<Verdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_checked_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nameservers: Option<&'fleet str>,
    #[serde(serialize_with = "images")]
    images: &'fleet [ImageReport],
}

#[derive(Serialize)]
struct ConfigurationEntry<'fleet> {
    digest: &'fleet str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ImageEntry<'fleet> {
    image: &'fleet str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'fleet str>,
    verdict: Word<Verdict>,
    duration_seconds: Seconds,
    #[serde(serialize_with = "diagnoses")]
    diagnoses: &'fleet [ImageDiagnosis],
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<Seconds>,
}

#[derive(Serialize)]
struct DiagnosisEntry<'fleet> {
    cause: &'fleet str,
    severity: Word<Severity>,
    stage: Word<Stage>,
    endpoint: Word<Endpoint>,
    message: &'fleet str,
}

fn groups<S: Serializer>((fleet, groups): &(&Fleet, &[Group]), serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(groups.iter().map(|entry| group(fleet, entry)))
}

fn nodes<S: Serializer>(nodes: &[Node], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(nodes.iter().map(node))
}

fn images<S: Serializer>(images: &[ImageReport], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(images.iter().map(|image| ImageEntry {
        image: &image.image,
        name: image.name.as_deref(),
        verdict: Word(image.verdict),
        duration_seconds: image.duration.into(),
        diagnoses: &image.diagnoses,
        retry_after_seconds: image.retry_after.map(Seconds::from),
    }))
}

fn diagnoses<S: Serializer>(diagnoses: &[ImageDiagnosis], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(diagnoses.iter().map(|diagnosis| DiagnosisEntry {
        cause: &diagnosis.cause,
        severity: Word(diagnosis.severity),
        stage: Word(diagnosis.stage),
        endpoint: Word(diagnosis.endpoint),
        message: &diagnosis.message,
    }))
}

/// Writes a smoke check as one JSON object and a line break.
///
/// # Errors
/// Returns the writer's error.
pub fn write(out: &mut impl Write, fleet: &Fleet, evaluation: &Evaluation) -> io::Result<()> {
    let report = SmokeReport {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        namespace: &fleet.namespace,
        daemon_set: &fleet.daemon_set,
        started_at: Moment(fleet.started_at),
        duration_seconds: fleet.duration.into(),
        expected_configuration: fleet.expected_configuration.as_deref(),
        verdict: Word(evaluation.verdict),
        sample: fleet.sample.map(|sample| {
            let SampleSummary { nodes, placements, missing, of_each } = sample;
            SampleEntry { nodes, placements, placements_missing: missing, of_each }
        }),
        counts: counts(&evaluation.counts, fleet.sample.is_some()),
        groups: (fleet, &evaluation.groups),
        nodes: &fleet.nodes,
    };
    serde_json::to_writer_pretty(Escaping(&mut *out), &report)?;
    writeln!(out)
}

/// Escapes everything that it writes with [`escaped`]. Input arrives in whole characters, since a JSON serializer splits it
/// only at quotes and escapes.
struct Escaping<'out, W>(&'out mut W);

impl<W: Write> Write for Escaping<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(io::Error::other)?;
        if text.chars().any(|character| character != '\n' && is_invisible(character)) {
            self.0.write_all(escaped(text).as_bytes())?;
        } else {
            self.0.write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Escapes all characters that move a cursor or change the reading direction. Every value stays the same, and a terminal
/// shows it safely. Apart from line breaks, such characters occur only in strings.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if character == '\n' || !is_invisible(character) {
            escaped.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            escaped.push_str(&format!("\\u{unit:04x}"));
        }
    }
    escaped
}

fn counts(counts: &Counts, is_sampled: bool) -> CountsReport {
    CountsReport {
        nodes: counts.nodes,
        expected: counts.expected,
        pass: counts.pass,
        warn: counts.warn,
        fail: counts.fail,
        unknown: counts.unknown,
        no_report: counts.no_report,
        path_open: is_sampled.then_some(counts.path_open),
        path_open_warn: is_sampled.then_some(counts.path_open_warn),
        excluded: counts.excluded,
        joined_late: counts.joined_late,
        left: counts.left,
    }
}

fn group<'fleet>(fleet: &Fleet, group: &'fleet Group) -> GroupReport<'fleet> {
    let mut report = GroupReport {
        severity: Word(group.severity),
        cause: None,
        stage: None,
        endpoint: None,
        image: None,
        state: None,
        reason: None,
        message: &group.example.message,
        message_of: group.example_of.as_deref(),
        remedy: &group.example.remedy,
        commands: &group.example.commands,
        runbook: group.example.runbook.as_deref(),
        nodes: &group.nodes,
        differences: differences(fleet, group)
            .into_iter()
            .map(|difference| DifferenceReport {
                property: difference.property.as_str(),
                message: difference.sentence(),
                bad: difference.bad,
                good: difference.good,
            })
            .collect(),
    };
    match &group.finding {
        Finding::Diagnosis { image, cause, stage, endpoint } => {
            report.image = Some(image);
            report.cause = Some(cause);
            report.stage = Some(Word(*stage));
            report.endpoint = Some(Word(*endpoint));
        }
        Finding::NoReport { state, reason } => {
            report.state = Some(state);
            report.reason = reason.as_deref();
        }
    }
    report
}

fn node(node: &Node) -> NodeEntry<'_> {
    NodeEntry {
        node: &node.name,
        agent_pool: node.topology.agent_pool.as_deref(),
        zone: node.topology.zone.as_deref(),
        subnet: node.topology.subnet.as_deref(),
        node_image: node.topology.node_image.as_deref(),
        cordoned: node.cordoned,
        joined_late: node.joined_late,
        pod: node.pod.as_deref(),
        state: node.state.as_str(),
        reason: node.state.reason(),
        proof: (node.report().is_none() && node.last_report().is_some()).then_some("path"),
        verdict: node.verdict().map(Word),
        report: node.last_report().map(report),
    }
}

fn report(report: &NodeReport) -> ReportEntry<'_> {
    let configuration = report.configuration.as_ref();
    ReportEntry {
        version: &report.version,
        network_view: Word(report.network_view),
        configuration: configuration.map(|ConfigurationState { digest, .. }| ConfigurationEntry { digest }),
        started_at: Moment(report.started_at),
        duration_seconds: report.duration.into(),
        verdict: Word(report.verdict),
        path_checked_at: report.path_checked_at().map(Moment),
        nameservers: report.nameservers.as_deref(),
        images: &report.images,
    }
}
