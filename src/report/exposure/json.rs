//! The JSON report of `exposure`, `acr-verifier/exposure/v1`.
//!
//! Owns the format, field by field. `exposure.v1.schema.json` is the published schema; a test keeps the two in step. Fields are
//! only ever added.

use std::io::{self, Write};

use serde::Serialize;

use super::second;
use crate::observation::TrustedBy;
use crate::public_endpoint::settings::{NOT_VISIBLE, SETTINGS, Setting};
use crate::public_endpoint::{AddressFamily, ExposureRun, Outcome, Probe, RegistryExposure};
use crate::text::sanitize::{MAX_TEXT, MAX_WORD, pasteable, printable};
use crate::wire::{Moment, Seconds, Word};

/// Name and version of the format.
pub const SCHEMA: &str = "acr-verifier/exposure/v1";

/// The format as JSON Schema, draft 2020-12.
pub const JSON_SCHEMA: &str = include_str!("exposure.v1.schema.json");

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExposureReport {
    schema: &'static str,
    version: &'static str,
    started_at: Moment,
    duration_seconds: Seconds,
    verdict: &'static str,
    registries: Vec<RegistryReport>,
    not_visible: [&'static str; NOT_VISIBLE.len()],
    settings: Vec<SettingReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unused_proxy: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    loopback_is_public: bool,
}

#[derive(Serialize)]
struct RegistryReport {
    registry: String,
    verdict: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
    commands: Vec<String>,
    probes: Vec<ProbeReport>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProbeReport {
    host: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    other_addresses: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trusted_by: Option<Word<TrustedBy>>,
    at: Moment,
    duration_seconds: Seconds,
}

#[derive(Serialize)]
struct SettingReport {
    key: &'static str,
    property: &'static str,
    expected: &'static str,
}

/// Writes a run as one JSON document.
///
/// # Errors
/// Returns the writer's error.
pub fn write(out: &mut impl Write, run: &ExposureRun) -> io::Result<()> {
    let report = ExposureReport {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        started_at: Moment(second(run.started_at)),
        duration_seconds: run.duration.into(),
        verdict: run.verdict().as_str(),
        registries: run.registries.iter().map(RegistryReport::from).collect(),
        not_visible: NOT_VISIBLE,
        settings: SETTINGS
            .into_iter()
            .map(|Setting { key, property, expected }| SettingReport { key, property, expected })
            .collect(),
        unused_proxy: run.unused_proxy,
        loopback_is_public: run.loopback_is_public,
    };
    serde_json::to_writer_pretty(&mut *out, &report)?;
    writeln!(out)
}

impl From<&RegistryExposure> for RegistryReport {
    fn from(registry: &RegistryExposure) -> Self {
        Self {
            registry: registry.registry.clone(),
            verdict: registry.verdict().as_str(),
            message: printable(&registry.message(), MAX_TEXT),
            remedy: registry.remedy(),
            commands: registry.commands().iter().map(|command| pasteable(command)).collect(),
            probes: registry.probes.iter().map(ProbeReport::from).collect(),
        }
    }
}

impl From<&Probe> for ProbeReport {
    fn from(probe: &Probe) -> Self {
        let answer = probe.outcome.answer();
        let id = answer.and_then(|answer| answer.correlation_id.as_deref());
        Self {
            host: probe.host.clone(),
            family: probe.family.map(AddressFamily::as_str),
            address: probe.address.map(|address| address.to_string()),
            other_addresses: probe.other_addresses.iter().map(ToString::to_string).collect(),
            status: answer.map(|answer| answer.status),
            verdict: probe.verdict().as_str(),
            reason: match &probe.outcome {
                Outcome::NotTested(gap) => Some(gap.kind().as_str()),
                Outcome::Refused(_) | Outcome::Exposed(_) => None,
            },
            message: printable(&probe.message(), MAX_TEXT),
            client_address: answer.and_then(|answer| answer.seen_address).map(|address| address.to_string()),
            correlation_id: id.map(|id| printable(id, MAX_WORD)),
            retry_after_seconds: answer.and_then(|answer| answer.retry_after).map(Seconds::from),
            trusted_by: probe.trusted_by.map(Word),
            at: Moment(second(probe.at)),
            duration_seconds: probe.duration.into(),
        }
    }
}
