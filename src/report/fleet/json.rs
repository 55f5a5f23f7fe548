//! The smoke check's JSON report, `acr-verifier/smoke/v1`.
//!
//! Owns the form, field by field; the agents' own reports stand in it whole. The schema for its readers is beside it, in
//! `smoke.v1.schema.json`; a test holds the two together. Fields are only ever added.

use std::io::{self, Write};

use serde::Serialize;

use super::super::json::Report;
use super::super::{Moment, Seconds, Word};
use crate::diagnosis::{Severity, Verdict};
use crate::fleet::difference::differences;
use crate::fleet::judgement::{Counts, Finding, Group, Judgement};
use crate::fleet::{Fleet, Node};
use crate::legible::is_invisible;
use crate::observation::{Endpoint, Stage};

/// Name and version of the form.
pub const SCHEMA: &str = "acr-verifier/smoke/v1";

/// The form as JSON Schema, draft 2020-12.
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
    verdict: Word<Verdict>,
    counts: CountsReport,
    groups: Vec<GroupReport<'fleet>>,
    nodes: Vec<NodeReport<'fleet>>,
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
    excluded: usize,
    joined_late: usize,
    left: usize,
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
struct NodeReport<'fleet> {
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
    verdict: Option<Word<Verdict>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'fleet Report>,
}

/// Writes a smoke check as one JSON object and a line break.
///
/// # Errors
/// What the writer gives back.
pub fn write(out: &mut impl Write, fleet: &Fleet, judgement: &Judgement) -> io::Result<()> {
    let report = SmokeReport {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        namespace: &fleet.namespace,
        daemon_set: &fleet.daemon_set,
        started_at: Moment(fleet.started_at),
        duration_seconds: fleet.duration.into(),
        verdict: Word(judgement.verdict),
        counts: counts(&judgement.counts),
        groups: judgement.groups.iter().map(|entry| group(fleet, entry)).collect(),
        nodes: fleet.nodes.iter().map(node).collect(),
    };
    let text = serde_json::to_string_pretty(&report)?;
    writeln!(out, "{}", escaped(&text))
}

/// The same document with escapes for all that moves a cursor or turns the reading direction: every value stays what it
/// is, and a terminal shows it harmlessly. Such characters stand in strings alone, but for the line breaks between them.
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

fn counts(counts: &Counts) -> CountsReport {
    let &Counts { nodes, expected, pass, warn, fail, unknown, no_report, excluded, joined_late, left } =
        counts;
    CountsReport { nodes, expected, pass, warn, fail, unknown, no_report, excluded, joined_late, left }
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

fn node(node: &Node) -> NodeReport<'_> {
    NodeReport {
        node: &node.name,
        agent_pool: node.place.agent_pool.as_deref(),
        zone: node.place.zone.as_deref(),
        subnet: node.place.subnet.as_deref(),
        node_image: node.place.node_image.as_deref(),
        cordoned: node.cordoned,
        joined_late: node.joined_late,
        pod: node.pod.as_deref(),
        state: node.state.as_str(),
        reason: node.state.reason(),
        verdict: node.verdict().map(Word),
        report: node.report(),
    }
}
