//! The JSON report `acr-verifier/report/v1`: what `--output json` and `GET /report` give, and `smoke` reads.
//!
//! Owns the form, field by field; how a run is put into it is in `build`. The schema beside it,
//! `report.v1.schema.json`, is for its readers; a test holds the two together. Fields are only ever added, and a reader
//! passes over those that it does not know.

mod build;

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use super::{Moment, Seconds, Word};
use crate::diagnosis::{Severity, Verdict};
use crate::observation::{CredentialsUsed, Endpoint, Stage, TrustedBy};
use crate::run::{NetworkView, Rejected, Run, Status};

/// Name and version of the form.
pub const SCHEMA: &str = "acr-verifier/report/v1";

/// The form as JSON Schema, draft 2020-12.
pub const JSON_SCHEMA: &str = include_str!("report.v1.schema.json");

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// The version of the program.
    pub version: String,
    /// The node's name.
    pub node: String,
    /// Whose network was used.
    pub network_view: Word<NetworkView>,
    /// The configuration file that the run went by; absent without a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<ConfigurationReport>,
    /// What was read of the node's own files; absent where nobody asked for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_files: Option<NodeFilesEntry>,
    /// When the run began.
    pub started_at: Moment,
    /// How long it took.
    pub duration_seconds: Seconds,
    /// The worst verdict on an image.
    pub verdict: Word<Verdict>,
    /// What was checked, in the order given.
    pub images: Vec<Image>,
}

/// A configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationReport {
    /// The digest of the bytes of the file that the run went by.
    pub digest: String,
    /// What is wrong with a newer file; absent unless a newer file is rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
    /// The digest of that newer file; absent where it cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected_digest: Option<String>,
}

/// What was read of the node's own files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeFilesEntry {
    /// The node's file with nameservers that the checks follow; `none` where they do not.
    pub resolv_conf: String,
    /// Whose certificate authorities count, apart from the operator's file.
    pub roots: Word<TrustedBy>,
    /// The proxy for HTTPS of containerd, `none` without one, `unknown` where that was not read.
    pub proxy: String,
    /// The same of the kubelet; absent where it has none or that was not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubelet_proxy: Option<String>,
    /// The mirrors of the checked registries, `none` without one, `unknown` where that was not read.
    #[serde(default = "unknown")]
    pub mirrors: String,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// Its reference, as it was given.
    pub image: String,
    /// The operator's name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its login server.
    pub registry: String,
    /// The verdict on it.
    pub verdict: Word<Verdict>,
    /// Whose credentials its pull uses; absent when they cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Word<CredentialsUsed>>,
    /// How long its check took.
    pub duration_seconds: Seconds,
    /// The stage that explains a verdict of `fail` or `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_stage: Option<Word<Stage>>,
    /// At which endpoint that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_endpoint: Option<Word<Endpoint>>,
    /// What is wrong; the first explains the verdict.
    pub diagnoses: Vec<DiagnosisReport>,
    /// The twelve stages.
    pub stages: Vec<StageEntry>,
    /// Each name asked of each nameserver.
    pub resolutions: Vec<ResolutionReport>,
    /// The connection to the login server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,
    /// The connection to the data endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_connection: Option<Connection>,
    /// Where containerd on this node asks for the image before its registry or in its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<String>,
    /// The manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<ManifestReport>,
    /// The blob.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<BlobReport>,
    /// `X-Ms-Correlation-Request-Id` of the failing answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// The stages that were not asked for; a verdict says nothing about them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_tested: Vec<Word<Stage>>,
    /// How long the registry asked to wait (Retry-After), as when it throttles; absent where it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<Seconds>,
    /// Whether loopback counted as private; absent where it did not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub loopback_allowed: bool,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DiagnosisReport {
    /// Its code; text, so that a reader can pass on one that is newer than itself.
    pub cause: String,
    /// How much it matters.
    pub severity: Word<Severity>,
    /// In which stage it showed.
    pub stage: Word<Stage>,
    /// At which endpoint.
    pub endpoint: Word<Endpoint>,
    /// One sentence with the evidence.
    pub message: String,
    /// One imperative sentence.
    pub remedy: String,
    /// What to paste into a shell.
    pub commands: Vec<String>,
    /// The runbook's section.
    pub runbook: String,
}

/// A stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StageEntry {
    /// Which one.
    pub stage: Word<Stage>,
    /// At which endpoint.
    pub endpoint: Word<Endpoint>,
    /// How it went.
    pub status: Word<Status>,
    /// How long it took; absent where it did not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<Seconds>,
}

/// A name asked of a nameserver, for A and AAAA.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolutionReport {
    /// Whose name it is.
    pub endpoint: Word<Endpoint>,
    /// The name, without the final dot.
    pub host: String,
    /// `system`, or the operator's name for the resolver.
    pub resolver: String,
    /// The nameserver, `IP:PORT`.
    pub server: String,
    /// The code of the answer to A, or to AAAA where A was not answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rcode: Option<String>,
    /// The records of both answers, each once, in the order of the chain.
    pub answers: Vec<Answer>,
    /// The addresses at its end.
    pub addresses: Vec<String>,
    /// Until both answers were there, or were given up.
    pub duration_seconds: Seconds,
    /// What went wrong, as a phrase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The zone that gave a negative answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soa: Option<String>,
    /// Extended DNS errors (RFC 8914).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extended_errors: Vec<ExtendedErrorReport>,
    /// How the answers came; absent where none did, unless TCP alone was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Its owner, with the final dot.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: RecordType,
    /// Its time to live in seconds, as it came.
    pub ttl: u32,
    /// The other name, with the final dot, or the address.
    pub value: String,
}

/// The types of records that a chain is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecordType {
    /// Another name.
    Cname,
    /// An IPv4 address.
    A,
    /// An IPv6 address.
    Aaaa,
}

/// How a nameserver was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// In datagrams.
    Udp,
    /// At least one question over TCP: its datagram was truncated, or resolv.conf wants TCP alone.
    Tcp,
}

/// An extended DNS error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExtendedErrorReport {
    /// Its info code.
    pub code: u16,
    /// The nameserver's words.
    pub text: String,
}

/// A connection, and who answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// The peer, `IP:PORT`.
    pub address: String,
    /// `TLSv1.3` or `TLSv1.2`, once agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_version: Option<String>,
    /// Who the certificate is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_subject: Option<String>,
    /// Who issued it: names the firewall that inspects TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_issuer: Option<String>,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_not_after: Option<Moment>,
    /// Whose certificate authorities vouch for it; absent where none do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_by: Option<Word<TrustedBy>>,
}

/// A manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestReport {
    /// The digest of what was asked for.
    pub digest: String,
    /// Its media type.
    pub media_type: String,
    /// Its size.
    pub size_bytes: u64,
    /// `os/architecture`, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
}

/// A blob.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlobReport {
    /// The digest that the manifest names.
    pub digest: String,
    /// The size that the manifest names.
    pub size_bytes: u64,
    /// How much of it was read.
    pub bytes_read: u64,
    /// Who served it.
    pub host: String,
}

fn unknown() -> String {
    "unknown".to_owned()
}

/// Writes a run as one JSON document with a final line break; `rejected` is a newer configuration that is not in force.
///
/// # Errors
/// What the writer gives back.
pub fn write(out: &mut impl Write, run: &Run, rejected: Option<&Rejected>) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &Report::of(run, rejected))?;
    writeln!(out)
}
