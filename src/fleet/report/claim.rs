//! Parses an agent's response.
//!
//! The response is untrusted: every list and text is bounded, every name is parsed with the same types as this program's own
//! names, and remedies and commands are not even read.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Error as _, IgnoredAny, SeqAccess, Visitor};

use super::super::object_name;
use super::{ConfigurationState, ImageDiagnosis, ImageReport, NodeReport, PathEvidence};
use crate::config::{MAX_NAMESERVERS, value};
use crate::image::{ImageReference, is_sha256_digest};
use crate::observation::{CredentialsUsed, Endpoint, Stage};
use crate::run::NetworkView;
use crate::text::sanitize::{MAX_TEXT, MAX_WORD, printable};
use crate::verdict::{Severity, Verdict};
use crate::wire::report::SCHEMA;
use crate::wire::{Moment, Seconds, Word};

/// Maximum images of a report; a configuration has the same limit.
const MAX_IMAGES: usize = 100;
/// Diagnoses kept per image, the first of which explains the verdict.
const MAX_DIAGNOSES: usize = 4;
/// Resolutions read per image: three nameservers and several compared resolvers, for two names.
const MAX_RESOLUTIONS: usize = 64;
/// Maximum length of a cause's code.
const MAX_CODE: usize = 64;

/// Why a response is not a valid report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The format is wrong, or a name is invalid.
    #[error("its response is not a valid report ({0})")]
    Form(String),
    /// The report has another schema version.
    #[error("its report has schema {0}: expected {SCHEMA}")]
    Version(String),
    /// The report is about another node.
    #[error("it reports as the agent of node {0}")]
    Node(String),
}

impl NodeReport {
    /// Parses the report of a node's agent.
    ///
    /// # Errors
    /// The report is invalid, or belongs to another node.
    pub fn read(node: &str, body: &[u8]) -> Result<Self, Unreadable> {
        let form = |error: String| Unreadable::Form(printable(&error, MAX_WORD));
        let claim: Claim = serde_json::from_slice(body).map_err(|error| form(error.to_string()))?;
        if claim.schema != SCHEMA {
            return Err(Unreadable::Version(printable(&claim.schema, MAX_WORD)));
        }
        if claim.node != node {
            return Err(Unreadable::Node(object_name(&claim.node, "(invalid name)").to_owned()));
        }
        let nameservers = nameservers(&claim.images.0);
        let images = claim.images.0.into_iter().map(ImageReport::try_from).collect::<Result<_, _>>();
        Ok(Self {
            version: text(&claim.version, MAX_WORD),
            network_view: claim.network_view.0,
            configuration: claim.configuration.map(ConfigurationState::try_from).transpose().map_err(form)?,
            started_at: claim.started_at.0,
            duration: claim.duration_seconds.duration(),
            verdict: claim.verdict.0,
            nameservers,
            images: images.map_err(form)?,
        })
    }
}

/// A report as received, without the fields that are not kept.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Claim {
    schema: String,
    version: String,
    node: String,
    network_view: Word<NetworkView>,
    configuration: Option<ConfigurationClaim>,
    started_at: Moment,
    duration_seconds: Seconds,
    verdict: Word<Verdict>,
    images: All<ImageClaim, MAX_IMAGES>,
}

/// The configuration of an agent as received, in a report or in an error.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationClaim {
    digest: String,
    rejected: Option<String>,
    rejected_digest: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ImageClaim {
    image: String,
    name: Option<String>,
    verdict: Word<Verdict>,
    started_at: Option<Moment>,
    since: Option<Moment>,
    path: Option<PathClaim>,
    credentials: Option<String>,
    duration_seconds: Seconds,
    diagnoses: First<DiagnosisClaim, MAX_DIAGNOSES>,
    resolutions: First<ResolutionClaim, MAX_RESOLUTIONS>,
    #[serde(default)]
    not_tested: First<IgnoredAny, 1>,
    retry_after_seconds: Option<Seconds>,
    #[serde(default)]
    loopback_allowed: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PathClaim {
    checked_at: Moment,
    causes: First<String, MAX_DIAGNOSES>,
}

#[derive(Deserialize)]
struct DiagnosisClaim {
    cause: String,
    severity: Word<Severity>,
    stage: Word<Stage>,
    endpoint: Word<Endpoint>,
    message: String,
}

#[derive(Deserialize)]
struct ResolutionClaim {
    endpoint: Word<Endpoint>,
    host: String,
    resolver: String,
    server: String,
}

impl TryFrom<ConfigurationClaim> for ConfigurationState {
    type Error = String;

    fn try_from(claim: ConfigurationClaim) -> Result<Self, String> {
        let digest = |digest: String| {
            let is_valid = is_sha256_digest(&digest);
            is_valid
                .then(|| Arc::from(digest))
                .ok_or_else(|| "invalid value for configuration digest".to_owned())
        };
        Ok(Self {
            digest: digest(claim.digest)?,
            rejected: claim.rejected.map(|reason| text(&reason, MAX_TEXT)),
            rejected_digest: claim.rejected_digest.map(digest).transpose()?,
        })
    }
}

impl TryFrom<ImageClaim> for ImageReport {
    type Error = String;

    fn try_from(claim: ImageClaim) -> Result<Self, String> {
        // The invalid value is not repeated: it may be crafted for a reader to follow.
        let invalid = |what: &str| format!("invalid value for {what}");
        let image: ImageReference = claim.image.parse().map_err(|_| invalid("image"))?;
        let name = claim.name.map(|name| value::name(&name).map_err(|_| invalid("name")));
        let data_host =
            claim.resolutions.0.iter().rfind(|resolution| resolution.endpoint.0 == Endpoint::Data);
        let data_host = data_host.and_then(|resolution| value::host(&resolution.host).ok()).map(Arc::from);
        let diagnoses = claim.diagnoses.0.into_iter().map(|claim| {
            if !is_code(&claim.cause) {
                return Err(invalid("cause"));
            }
            Ok(ImageDiagnosis {
                cause: Arc::from(claim.cause),
                severity: claim.severity.0,
                stage: claim.stage.0,
                endpoint: claim.endpoint.0,
                message: text(&claim.message, MAX_TEXT),
                data_host: if claim.endpoint.0 == Endpoint::Data { Option::clone(&data_host) } else { None },
            })
        });
        Ok(Self {
            image: Arc::from(image.to_string()),
            name: name.transpose()?.map(Arc::from),
            verdict: claim.verdict.0,
            started_at: claim.started_at.map(|started| started.0),
            since: claim.since.map(|since| since.0),
            path: claim.path.map(PathEvidence::try_from).transpose()?,
            credentials: claim
                .credentials
                .and_then(|word| CredentialsUsed::ALL.into_iter().find(|used| used.as_str() == word)),
            duration: claim.duration_seconds.duration(),
            diagnoses: diagnoses.collect::<Result<_, _>>()?,
            retry_after: claim.retry_after_seconds.map(Seconds::duration),
            is_partial: !claim.not_tested.0.is_empty(),
            loopback_allowed: claim.loopback_allowed,
        })
    }
}

impl TryFrom<PathClaim> for PathEvidence {
    type Error = String;

    fn try_from(claim: PathClaim) -> Result<Self, String> {
        let causes = claim.causes.0.into_iter().map(|cause| {
            is_code(&cause).then(|| Arc::from(cause)).ok_or_else(|| "invalid value for cause".to_owned())
        });
        Ok(Self { checked_at: claim.checked_at.0, causes: causes.collect::<Result<_, _>>()? })
    }
}

fn text(text: &str, limit: usize) -> Arc<str> {
    Arc::from(printable(text, limit))
}

/// Returns whether a text has the format of a cause's code.
fn is_code(text: &str) -> bool {
    (1..=MAX_CODE).contains(&text.len())
        && text.starts_with(|character: char| character.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Returns the node's own nameservers that are valid addresses.
fn nameservers(images: &[ImageClaim]) -> Option<Arc<str>> {
    let mut servers: Vec<String> = Vec::new();
    for resolution in images.iter().flat_map(|image| &image.resolutions.0) {
        if resolution.resolver != "system" || servers.len() == MAX_NAMESERVERS {
            continue;
        }
        let server = resolution.server.strip_suffix(":53").unwrap_or(&resolution.server);
        if value::nameserver(server).is_ok() && !servers.iter().any(|known| known == server) {
            servers.push(server.to_owned());
        }
    }
    (!servers.is_empty()).then(|| Arc::from(servers.join(" and ")))
}

/// A list of at most `MOST` elements.
struct All<T, const MOST: usize>(Vec<T>);

/// The first `MOST` elements of a list; the rest is ignored.
struct First<T, const MOST: usize>(Vec<T>);

impl<T, const MOST: usize> Default for First<T, MOST> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for All<T, MOST> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (list, rest) = deserializer.deserialize_seq(Bounded::<T, MOST>(PhantomData))?;
        if rest > 0 {
            return Err(D::Error::custom(format_args!("more than {MOST} images")));
        }
        Ok(Self(list))
    }
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for First<T, MOST> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(deserializer.deserialize_seq(Bounded::<T, MOST>(PhantomData))?.0))
    }
}

/// Reads the first `MOST` elements of a list and counts the rest.
struct Bounded<T, const MOST: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Bounded<T, MOST> {
    type Value = (Vec<T>, usize);

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut first = Vec::new();
        while first.len() < MOST {
            match list.next_element()? {
                Some(element) => first.push(element),
                None => return Ok((first, 0)),
            }
        }
        let mut rest = 0;
        while list.next_element::<IgnoredAny>()?.is_some() {
            rest += 1;
        }
        Ok((first, rest))
    }
}
