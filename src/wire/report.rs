//! The JSON report `acr-verifier/report/v1`, returned by `--output json` and `GET /report` and read by `smoke`.
//!
//! Owns the format, field by field. Fields are only ever added, and readers ignore unknown ones.

use serde::{Deserialize, Serialize};

use super::{Moment, Seconds, Word};
use crate::observation::{CredentialsUsed, Endpoint, Stage, TrustedBy};
use crate::run::{Extent, NetworkView, StageStatus};
use crate::verdict::{Severity, Verdict};

/// Name and version of the format.
pub const SCHEMA: &str = "acr-verifier/report/v1";

/// The report of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// Version of the program.
    pub version: String,
    /// Name of the node.
    pub node: String,
    /// Whether the check ran on the node or the pod network.
    pub network_view: Word<NetworkView>,
    /// The configuration file that the run used; absent without a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<ConfigurationReport>,
    /// What was read from the node's own files; absent unless requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_files: Option<NodeFilesEntry>,
    /// Start of the run.
    pub started_at: Moment,
    /// Duration of the run.
    pub duration_seconds: Seconds,
    /// The worst verdict on an image.
    pub verdict: Word<Verdict>,
    /// The checked images, in the order given.
    pub images: Vec<Image>,
}

/// The configuration file in force, and a newer one that was rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationReport {
    /// SHA-256 digest of the file that the run used.
    pub digest: String,
    /// Why a newer file was rejected; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
    /// Digest of the rejected file; absent if it cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected_digest: Option<String>,
}

/// What was read from the node's own files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeFilesEntry {
    /// The node's `resolv.conf` that the checks follow; `none` if they do not.
    pub resolv_conf: String,
    /// The trust store in use, apart from the operator's CA file.
    pub roots: Word<TrustedBy>,
    /// The HTTPS proxy of containerd; `none` without one, `unknown` if it was not read.
    pub proxy: String,
    /// The HTTPS proxy of the kubelet; absent if it has none or it was not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubelet_proxy: Option<String>,
    /// The mirrors of the checked registries; `none` without one, `unknown` if they were not read.
    #[serde(default = "unknown")]
    pub mirrors: String,
}

/// The latest path check of an image, from DNS to TLS and without a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PathReport {
    /// Start of the path check.
    pub checked_at: Moment,
    /// Whether the result does not show this, so that a whole check follows: the path is open again, or a data endpoint cannot be
    /// reached.
    pub changed: bool,
    /// Codes of the causes that break the path; empty if it is open.
    pub causes: Vec<String>,
}

/// The result for one image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// Image reference as it was given.
    pub image: String,
    /// The operator's name for the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The login server.
    pub registry: String,
    /// Verdict on the image.
    pub verdict: Word<Verdict>,
    /// Start of the first check in a row with this verdict and cause, as far as the agent has been running; absent without an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Moment>,
    /// Start of the check that the result is of; absent if it is the run's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Moment>,
    /// What that check covered; absent if it was a whole check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extent: Option<Word<Extent>>,
    /// The path check since the last whole check; absent without one, and without an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathReport>,
    /// The source of the credentials; absent if they cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Word<CredentialsUsed>>,
    /// Duration of the check.
    pub duration_seconds: Seconds,
    /// The stage that explains a verdict of `fail` or `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_stage: Option<Word<Stage>>,
    /// The endpoint of the failed stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_endpoint: Option<Word<Endpoint>>,
    /// The diagnoses; the first explains the verdict.
    pub diagnoses: Vec<DiagnosisReport>,
    /// The twelve stages.
    pub stages: Vec<StageEntry>,
    /// One entry per name and nameserver.
    pub resolutions: Vec<ResolutionReport>,
    /// The connection to the login server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,
    /// The connection to the data endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_connection: Option<Connection>,
    /// Mirrors that containerd on this node uses before the registry or instead of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<String>,
    /// The manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<ManifestReport>,
    /// The blob.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<BlobReport>,
    /// `X-Ms-Correlation-Request-Id` of the failed response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// Stages that were not requested; the verdict does not cover them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_tested: Vec<Word<Stage>>,
    /// `Retry-After` of the registry, for example when it throttles; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<Seconds>,
    /// Whether loopback addresses were treated as private; absent if not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub loopback_allowed: bool,
}

/// A diagnosis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DiagnosisReport {
    /// Code of the cause; a string, so that readers can pass on codes that are newer than themselves.
    pub cause: String,
    /// Severity of the cause.
    pub severity: Word<Severity>,
    /// The stage in which the problem was found.
    pub stage: Word<Stage>,
    /// The endpoint of that stage.
    pub endpoint: Word<Endpoint>,
    /// One sentence with the evidence.
    pub message: String,
    /// One imperative sentence.
    pub remedy: String,
    /// Commands to paste into a shell.
    pub commands: Vec<String>,
    /// URL of the runbook section.
    pub runbook: String,
}

/// The result of a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StageEntry {
    /// The stage.
    pub stage: Word<Stage>,
    /// The endpoint.
    pub endpoint: Word<Endpoint>,
    /// Result of the stage.
    pub status: Word<StageStatus>,
    /// Duration; absent if the stage did not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<Seconds>,
}

/// The A and AAAA queries for a name to one nameserver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResolutionReport {
    /// The endpoint that the name belongs to.
    pub endpoint: Word<Endpoint>,
    /// The queried name, without the final dot.
    pub host: String,
    /// `system`, or the operator's name for the resolver.
    pub resolver: String,
    /// The nameserver, `IP:PORT`.
    pub server: String,
    /// Whether it is AKS LocalDNS, the DNS cache of the node; absent if not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub node_cache: bool,
    /// Response code for A, or for AAAA if A was not answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rcode: Option<String>,
    /// The records of both answers in chain order, without duplicates.
    pub answers: Vec<Answer>,
    /// The addresses at the end of the chain.
    pub addresses: Vec<String>,
    /// The expected addresses of the name; absent if none are configured for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expected_addresses: Vec<String>,
    /// Time until both queries were answered or timed out.
    pub duration_seconds: Seconds,
    /// Why a query failed, as a phrase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The zone that returned a negative answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soa: Option<String>,
    /// Extended DNS errors (RFC 8914).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extended_errors: Vec<ExtendedErrorReport>,
    /// Transport of the answers; absent without an answer, unless only TCP was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
}

/// A DNS record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Owner name, with the final dot.
    pub name: String,
    /// Record type.
    #[serde(rename = "type")]
    pub kind: RecordType,
    /// TTL in seconds, as received.
    pub ttl: u32,
    /// The canonical name, with the final dot, or the address.
    pub value: String,
}

/// The record types in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecordType {
    /// A canonical name.
    Cname,
    /// An IPv4 address.
    A,
    /// An IPv6 address.
    Aaaa,
}

/// The transport of a DNS query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// UDP only.
    Udp,
    /// TCP for at least one query: its UDP answer was truncated, or resolv.conf requires TCP (`use-vc`).
    Tcp,
}

/// An extended DNS error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExtendedErrorReport {
    /// Info code.
    pub code: u16,
    /// Extra text from the nameserver.
    pub text: String,
}

/// A connection and its TLS session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// The peer, `IP:PORT`.
    pub address: String,
    /// `TLSv1.3` or `TLSv1.2`, once negotiated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_version: Option<String>,
    /// Subject of the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_subject: Option<String>,
    /// Issuer of the certificate: names the firewall if one inspects TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_issuer: Option<String>,
    /// Expiry of the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_not_after: Option<Moment>,
    /// The trust store that verifies the certificate; absent if none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_by: Option<Word<TrustedBy>>,
}

/// A manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestReport {
    /// Digest of the requested manifest or index.
    pub digest: String,
    /// Media type.
    pub media_type: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// `os/architecture`, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
}

/// A blob.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlobReport {
    /// Digest from the manifest.
    pub digest: String,
    /// Size from the manifest.
    pub size_bytes: u64,
    /// Number of bytes read.
    pub bytes_read: u64,
    /// The host that served the blob.
    pub host: String,
}

fn unknown() -> String {
    "unknown".to_owned()
}
