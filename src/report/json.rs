//! Renders a run as JSON: converts it into the types of [`wire::report`](crate::wire::report).

use std::io::{self, Write};

use super::{dns_summary, runbook};
use crate::diagnosis::Diagnosis;
use crate::observation::{Endpoint, Fact, Lookup, Observation, Record, RecordData, Resolution, Stage};
use crate::path_check::PathStatus;
use crate::proxy::Proxy;
use crate::run::{CheckRun, Extent, ImageResult, NodeFilesReport, Rejected, located_at};
use crate::text::sanitize::{MAX_TEXT, MAX_WORD, pasteable, printable};
use crate::wire::report::{
    Answer, BlobReport, ConfigurationReport, Connection, DiagnosisReport, ExtendedErrorReport, Image,
    ManifestReport, NodeFilesEntry, PathReport, RecordType, Report, ResolutionReport, SCHEMA, StageEntry,
    Transport,
};
use crate::wire::{Moment, Seconds, Word};

/// The published JSON Schema of the format, draft 2020-12; a test keeps it in step with the types.
pub const JSON_SCHEMA: &str = include_str!("report.v1.schema.json");

/// Writes a run as one JSON document with a final line break. `rejected` is a newer configuration that is not in force.
///
/// # Errors
/// Returns the writer's error.
pub fn write(out: &mut impl Write, run: &CheckRun, rejected: Option<&Rejected>) -> io::Result<()> {
    write_report(out, &Report::of(run, rejected))
}

/// Writes a report as one JSON document with a final line break.
///
/// # Errors
/// Returns the writer's error.
pub fn write_report(out: &mut impl Write, report: &Report) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, report)?;
    writeln!(out)
}

impl From<&CheckRun> for Report {
    fn from(run: &CheckRun) -> Self {
        Self::of(run, None)
    }
}

impl Report {
    /// Returns the report of a run. `rejected` is a newer configuration that is not in force.
    #[must_use]
    pub fn of(run: &CheckRun, rejected: Option<&Rejected>) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            node: word(&run.node),
            network_view: Word(run.network_view),
            configuration: run
                .configuration
                .as_deref()
                .map(|digest| ConfigurationReport::of(digest, rejected)),
            node_files: run.node_files.as_ref().map(NodeFilesEntry::from),
            started_at: Moment(run.started_at),
            duration_seconds: run.duration.into(),
            verdict: Word(run.verdict()),
            images: run.images.iter().map(image).collect(),
        }
    }
}

impl From<&PathStatus> for PathReport {
    fn from(status: &PathStatus) -> Self {
        Self {
            checked_at: Moment(status.checked_at),
            changed: status.is_outdated,
            causes: status.causes.iter().map(|cause| cause.code().to_owned()).collect(),
        }
    }
}

impl ConfigurationReport {
    /// Describes the configuration with this digest, and a newer one that is not in force.
    #[must_use]
    pub fn of(digest: &str, rejected: Option<&Rejected>) -> Self {
        Self {
            digest: digest.to_owned(),
            rejected: rejected.map(|rejected| sentence(&rejected.phrase())),
            rejected_digest: rejected.and_then(|rejected| rejected.digest.clone()),
        }
    }
}

impl From<&NodeFilesReport> for NodeFilesEntry {
    fn from(files: &NodeFilesReport) -> Self {
        let none = || "none".to_owned();
        let proxy = |fact: &Fact<Option<Proxy>>| match fact {
            Fact::Known(proxy) => proxy.as_ref().map_or_else(none, |proxy| word(proxy.as_str())),
            Fact::Unknown(_) => "unknown".to_owned(),
        };
        let kubelets = files.kubelet_proxy.known().and_then(Option::as_ref);
        Self {
            resolv_conf: files.resolv_conf.as_deref().map_or_else(none, word),
            roots: Word(files.roots),
            proxy: proxy(&files.proxy),
            kubelet_proxy: kubelets.map(|proxy| word(proxy.as_str())),
            mirrors: match &files.mirrors {
                Fact::Known(mirrors) if mirrors.is_empty() => none(),
                Fact::Known(mirrors) => sentence(&mirrors.join(", ")),
                Fact::Unknown(_) => "unknown".to_owned(),
            },
        }
    }
}

/// Describes a result, and which check it is of if that is not a whole one of this run.
fn image(checked: &ImageResult) -> Image {
    Image {
        started_at: checked.is_kept.then_some(Moment(checked.started_at)),
        extent: (checked.extent != Extent::Whole).then_some(Word(checked.extent)),
        ..Image::from(checked)
    }
}

impl From<&ImageResult> for Image {
    fn from(checked: &ImageResult) -> Self {
        let observation = &checked.observation;
        let failed = checked.decisive().map(located_at);
        Self {
            image: checked.image.to_string(),
            name: checked.name.clone(),
            registry: checked.image.registry(),
            verdict: Word(checked.verdict()),
            since: None,
            started_at: None,
            extent: None,
            path: None,
            credentials: observation.credentials.map(Word),
            duration_seconds: observation.duration.into(),
            failed_stage: failed.map(|(_, stage)| Word(stage)),
            failed_endpoint: failed.map(|(endpoint, _)| Word(endpoint)),
            diagnoses: checked.diagnoses.iter().map(DiagnosisReport::from).collect(),
            stages: stages(checked),
            resolutions: observation.resolutions.iter().map(|seen| resolution(checked, seen)).collect(),
            connection: connection(observation, Endpoint::Login),
            data_connection: connection(observation, Endpoint::Data),
            mirrors: observation.mirrors.iter().map(|mirror| word(mirror)).collect(),
            manifest: observation.manifest.as_ref().map(|manifest| ManifestReport {
                digest: word(&manifest.digest),
                media_type: word(&manifest.media_type),
                size_bytes: manifest.size,
                platform: manifest.platform.as_deref().and_then(optional_word),
            }),
            blob: observation.blob.as_ref().map(|blob| BlobReport {
                digest: word(&blob.digest),
                size_bytes: blob.size,
                bytes_read: blob.bytes_read,
                host: word(&blob.host),
            }),
            correlation_id: checked
                .decisive()
                .and_then(|diagnosis| diagnosis.correlation_id.as_deref())
                .and_then(optional_word),
            not_tested: if checked.blob_requested { Vec::new() } else { vec![Word(Stage::Blob)] },
            retry_after_seconds: observation.retry_after().map(Seconds::from),
            loopback_allowed: checked.policy.allow_loopback,
        }
    }
}

impl From<&Diagnosis> for DiagnosisReport {
    fn from(diagnosis: &Diagnosis) -> Self {
        let (endpoint, stage) = located_at(diagnosis);
        Self {
            cause: diagnosis.cause.code().to_owned(),
            severity: Word(diagnosis.severity),
            stage: Word(stage),
            endpoint: Word(endpoint),
            message: sentence(&diagnosis.message),
            remedy: sentence(&diagnosis.remedy),
            commands: diagnosis.commands.iter().map(|command| pasteable(command)).collect(),
            runbook: runbook(diagnosis.cause),
        }
    }
}

fn resolution(checked: &ImageResult, resolution: &Resolution) -> ResolutionReport {
    let mut usable = dns_summary::answered(resolution).peekable();
    let over_tcp = resolution.tcp_only || dns_summary::answered(resolution).any(|answer| answer.over_tcp);
    let transport =
        if over_tcp { Some(Transport::Tcp) } else { usable.peek().is_some().then_some(Transport::Udp) };
    let expected = checked.policy.exact.of(&resolution.host).unwrap_or_default();
    ResolutionReport {
        endpoint: Word(resolution.endpoint),
        host: word(&resolution.host),
        resolver: word(resolution.resolver.label()),
        server: resolution.server.to_string(),
        node_cache: checked.observation.node_cache.is_listener(&resolution.server),
        rcode: dns_summary::rcode(resolution).map(|rcode| rcode.to_string()),
        answers: dns_summary::records(resolution).into_iter().map(Answer::from).collect(),
        addresses: resolution.addresses().iter().map(ToString::to_string).collect(),
        expected_addresses: expected.iter().map(ToString::to_string).collect(),
        duration_seconds: resolution.duration.into(),
        error: dns_summary::trouble(resolution).map(|error| sentence(&error)),
        soa: usable.find_map(|answer| answer.soa_owner.as_deref()).and_then(optional_word),
        extended_errors: extended_errors(resolution),
        transport,
    }
}

impl From<&Record> for Answer {
    fn from(record: &Record) -> Self {
        let (kind, value) = match &record.data {
            RecordData::Cname(target) => (RecordType::Cname, word(target)),
            RecordData::Address(address) if address.is_ipv4() => (RecordType::A, address.to_string()),
            RecordData::Address(address) => (RecordType::Aaaa, address.to_string()),
        };
        Self { name: word(&record.name), kind, ttl: record.ttl, value }
    }
}

fn word(text: &str) -> String {
    visible(text, MAX_WORD)
}

fn sentence(text: &str) -> String {
    visible(text, MAX_TEXT)
}

/// Returns `?` if nothing of the text is visible, since no field is ever empty.
fn visible(text: &str, limit: usize) -> String {
    Some(printable(text, limit)).filter(|shown| !shown.is_empty()).unwrap_or_else(|| "?".to_owned())
}

/// Returns `None` if nothing of the text is visible.
fn optional_word(text: &str) -> Option<String> {
    Some(printable(text, MAX_WORD)).filter(|shown| !shown.is_empty())
}

fn stages(checked: &ImageResult) -> Vec<StageEntry> {
    checked
        .stages()
        .into_iter()
        .map(|report| StageEntry {
            stage: Word(report.stage),
            endpoint: Word(report.endpoint),
            status: Word(report.status),
            duration_seconds: report.duration.map(Seconds::from),
        })
        .collect()
}

/// Returns the extended errors without duplicates: most servers send the same ones with both answers.
fn extended_errors(resolution: &Resolution) -> Vec<ExtendedErrorReport> {
    let mut errors = Vec::new();
    for lookup in resolution.lookups() {
        let with_it = match lookup {
            Lookup::Answered(answer) => &answer.extended_errors,
            Lookup::Failed(failure) => &failure.extended_errors,
        };
        for error in with_it {
            let error = ExtendedErrorReport { code: error.code, text: printable(&error.text, MAX_WORD) };
            if !errors.contains(&error) {
                errors.push(error);
            }
        }
    }
    errors
}

/// Returns the established connection: from its TLS session, or only from the attempt if the handshake got nowhere.
fn connection(observation: &Observation, endpoint: Endpoint) -> Option<Connection> {
    let made = observation
        .attempts
        .iter()
        .rfind(|attempt| attempt.endpoint == endpoint && attempt.failure.is_none());
    let session = observation.tls_of(endpoint);
    let address = session.map(|session| session.address).or(made.map(|attempt| attempt.address))?;
    let certificate = session.and_then(|session| session.certificate.as_ref());
    Some(Connection {
        address: address.to_string(),
        tls_version: session.and_then(|session| session.version).map(|version| version.as_str().to_owned()),
        certificate_subject: certificate.map(|certificate| word(&certificate.subject)),
        certificate_issuer: certificate.map(|certificate| word(&certificate.issuer)),
        certificate_not_after: certificate.map(|certificate| Moment(certificate.not_after)),
        trusted_by: session.and_then(|session| session.trusted_by).map(Word),
    })
}
