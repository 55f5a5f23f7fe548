//! The stages at the login server: a pull's requests in containerd's order, with each credential that the kubelet tries.
//!
//! Owns the state shared by the steps, and the order of attempts. Each step is a module: [`challenge`], [`exchange`], [`token`],
//! [`manifest`] and [`blob`]. `protocol` parses the responses, `session` owns the connection.

mod blob;
mod challenge;
mod exchange;
mod manifest;
mod token;

use std::borrow::Cow;

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue, LOCATION};
use url::Url;

use super::connection::{Call, headers};
use super::deadline::Limit;
use super::identity::Obtained;
use super::manifest::{Descriptor, ImageManifest, MANIFEST_TYPES};
use super::protocol;
use super::session::{Reply, Session};
use super::{Task, authorization};
use crate::credentials::{Attempt, CredentialsError, Found};
use crate::observation::{
    CredentialsUsed, Endpoint, Failure, Fault, IdentityFailure, IdentityKind, Observation, Stage,
};
use crate::text::redact::Redactor;

pub(super) use blob::BlobAnswer;
pub(super) use challenge::{Challenge, TrustedChallenge};
#[cfg(fuzzing)]
pub(super) use manifest::{Listed, held_against};

/// Maximum number of attempts per pull, three requests each; no real docker config has more entries for one image.
const MAX_ATTEMPTS: usize = 10;

/// Maximum number of consecutive blob redirects; Go's client, and therefore containerd, follows ten.
pub(super) const MAX_REDIRECTS: usize = 10;

/// Maximum number of bytes read of an unexpected page; its title comes first.
const MAX_PAGE: usize = 64 * 1024;

/// The state of a pull that its stages share.
pub(super) struct Pull<'check> {
    pub(super) task: &'check Task,
    pub(super) session: Session<'check>,
    /// The secrets that are sent: a hostile registry could echo them, in a later check even before they are sent.
    pub(super) redactor: Redactor,
}

/// What a pull can authenticate with.
pub(super) enum Held {
    /// The entries that a kubelet finds in files.
    Entries(Result<Found, CredentialsError>),
    /// An identity.
    Identity(Box<Obtained>),
}

/// A pull that the registry permits.
pub(super) struct Granted {
    /// The token for all further requests to the login server; absent if none is required.
    pub(super) bearer: Option<HeaderValue>,
    /// The image's manifest for this node.
    pub(super) manifest: ImageManifest,
}

impl Held {
    /// Returns a redactor that hides the secrets that a pull sends.
    pub(super) fn secrets(&self) -> Redactor {
        let mut redactor = Redactor::default();
        match self {
            Self::Entries(found) => {
                let attempts = found.as_ref().map_or(&[][..], tried);
                for credentials in attempts.iter().filter_map(|attempt| attempt.credentials.as_ref()) {
                    redactor.hide_encoded(&authorization::pair(credentials));
                    redactor.hide_encoded(&credentials.password);
                }
            }
            Self::Identity(obtained) => {
                let token = obtained.token.as_ref().ok().map(|token| &token.token);
                token.into_iter().chain(&obtained.assertion).for_each(|secret| redactor.hide_encoded(secret));
            }
        }
        redactor
    }
}

impl<'check> Pull<'check> {
    /// Prepares a pull.
    pub(super) fn new(task: &'check Task, session: Session<'check>, redactor: Redactor) -> Self {
        Self { task, session, redactor }
    }

    /// Runs challenge, token and manifest with each credential that the kubelet would try, until one is accepted.
    pub(super) async fn open(
        &mut self,
        held: Held,
        observation: &mut Observation,
    ) -> Result<Granted, Failure> {
        if let Held::Identity(obtained) = &held
            && let Err(fault @ Fault::DeadlineExceeded { .. }) = &obtained.token
        {
            // Nothing can be sent any more, so the time was spent on the token.
            observation.mark(Endpoint::Login, Stage::Token, obtained.took);
            return Err(fail(Stage::Token, fault.clone()));
        }
        let challenge = match self.challenge(observation).await? {
            Challenge::Bearer(challenge) => challenge,
            Challenge::Open(reply) => {
                observation.credentials = Some(CredentialsUsed::Anonymous);
                let resolved = self.resolved(reply, None, observation).await?;
                return self.granted(None, resolved, observation).await;
            }
        };
        match held {
            Held::Entries(Ok(found)) => self.open_with_entries(found, &challenge, observation).await,
            Held::Entries(Err(error)) => {
                Err(fail(Stage::Token, Fault::CredentialsInvalid { reason: error.to_string() }))
            }
            Held::Identity(obtained) => self.open_with_identity(&obtained, &challenge, observation).await,
        }
    }

    /// Tries each entry in order.
    async fn open_with_entries(
        &mut self,
        found: Found,
        challenge: &TrustedChallenge,
        observation: &mut Observation,
    ) -> Result<Granted, Failure> {
        let mut refusals = Vec::new();
        for attempt in tried(&found) {
            observation.credentials = Some(attempt.used());
            match self.enter(attempt, challenge, observation).await {
                Ok((bearer, resolved)) => return self.granted(Some(bearer), resolved, observation).await,
                Err(failure) if is_refusal(&failure) => {
                    observation.rejected_entries.extend(attempt.rejected());
                    refusals.push((attempt.credentials.is_some(), failure));
                }
                Err(failure) => return Err(failure),
            }
        }
        // The most informative rejection is one with credentials that got furthest; among equals, the first.
        refusals.reverse();
        let furthest =
            refusals.into_iter().max_by_key(|(has_credentials, failure)| (*has_credentials, failure.stage));
        let (_, refusal) = furthest.expect("there is at least one attempt");
        Err(match found.searched {
            // An anonymous pull was rejected, so the cause is missing credentials.
            Some(searched) if refused_with(&refusal.fault) == Some(401) => {
                Failure { fault: Fault::CredentialsMissing { searched }, ..refusal }
            }
            Some(_) | None => refusal,
        })
    }

    /// Tries the identity. A kubelet whose credential provider fails, or whose credentials are rejected, then pulls
    /// anonymously; if that works, the failure of the identity is only a warning.
    async fn open_with_identity(
        &mut self,
        obtained: &Obtained,
        challenge: &TrustedChallenge,
        observation: &mut Observation,
    ) -> Result<Granted, Failure> {
        let kind = obtained.identity.kind;
        let entered = match self.exchange(obtained, challenge, observation).await {
            Ok(attempt) => self.enter(&attempt, challenge, observation).await,
            Err(failure) => Err(failure),
        };
        let failure = match entered {
            Ok((bearer, resolved)) => return self.granted(Some(bearer), resolved, observation).await,
            Err(failure) => failure,
        };
        if kind == IdentityKind::Workload || !ends_identity(&failure) {
            return Err(failure);
        }
        let token = observation.token.take();
        let correlation_id = observation.correlation_id.take();
        let Ok((bearer, resolved)) = self.enter(&Attempt::anonymous(), challenge, observation).await else {
            observation.token = token;
            observation.correlation_id = correlation_id;
            return Err(failure);
        };
        observation.credentials = Some(CredentialsUsed::Anonymous);
        observation.identity_failure = Some(IdentityFailure { failure, token, correlation_id });
        self.granted(Some(bearer), resolved, observation).await
    }

    /// Requests a token, and resolves the image to see whether the token permits the pull.
    async fn enter(
        &mut self,
        attempt: &Attempt,
        challenge: &TrustedChallenge,
        observation: &mut Observation,
    ) -> Result<(HeaderValue, Descriptor), Failure> {
        let token = self.token(attempt, challenge, observation).await?;
        let bearer = authorization::bearer(&token).map_err(|fault| fail(Stage::Token, fault))?;
        let resolved = self.resolve(&bearer, challenge.method.clone(), observation).await?;
        Ok((bearer, resolved))
    }

    async fn granted(
        &mut self,
        bearer: Option<HeaderValue>,
        resolved: Descriptor,
        observation: &mut Observation,
    ) -> Result<Granted, Failure> {
        let manifest = self.manifest(bearer.as_ref(), resolved, observation).await?;
        Ok(Granted { bearer, manifest })
    }

    fn url(&self, path: &str) -> Result<Url, Failure> {
        Url::parse(&format!("https://{}{path}", self.task.image.registry())).map_err(|_| {
            // Unreachable for a checked reference; still a value, not a panic.
            fail(
                Stage::Challenge,
                Fault::NotARegistry { status: None, reason: "its name does not form a valid URL".to_owned() },
            )
        })
    }

    fn manifest_url(&self, wanted: &str) -> Result<Url, Failure> {
        self.url(&format!("/v2/{}/manifests/{wanted}", self.task.image.repository()))
    }

    /// Converts a response that ends the stage into a failure.
    async fn unhelpful(&self, reply: Reply) -> Failure {
        reply.into_failure(self.task.now, &self.redactor).await
    }

    /// Handles a rejection. A HEAD response has no body, so a GET fetches the registry's error message. The verdict still follows
    /// the HEAD, because a pull ends there.
    async fn refused(
        &mut self,
        reply: Reply,
        call: Call,
        limit: Limit,
        observation: &mut Observation,
    ) -> Failure {
        if call.method != Method::HEAD {
            return self.unhelpful(reply).await;
        }
        let (stage, status) = (reply.stage, reply.status);
        let mut failure = self.unhelpful(reply).await;
        let get = Call { method: Method::GET, ..call };
        let Ok(reply) = self.session.send(stage, get, limit, observation).await else { return failure };
        let get_status = reply.status;
        if get_status == status {
            return self.unhelpful(reply).await;
        }
        if let Fault::Answer(answer) = &mut failure.fault {
            answer.get_status = Some(get_status);
        }
        // The unread rest is dropped with the connection.
        failure
    }

    /// Handles an HTML page. A HEAD response has no body, so a GET fetches the page's text.
    async fn page(
        &mut self,
        reply: Reply,
        (call, limit): (Call, Limit),
        reason: &str,
        observation: &mut Observation,
    ) -> Failure {
        let (stage, status) = (reply.stage, reply.status);
        if call.method != Method::HEAD {
            return self.foreign(reply, reason).await;
        }
        let get = Call { method: Method::GET, ..call };
        match self.session.send(stage, get, limit, observation).await {
            Ok(reply) if reply.status == status => self.foreign(reply, reason).await,
            Ok(_) | Err(_) => {
                fail(stage, Fault::NotARegistry { status: Some(status), reason: reason.to_owned() })
            }
        }
    }

    /// Reports a response that is not a registry's, with the first words of the page.
    async fn foreign(&self, mut reply: Reply, reason: &str) -> Failure {
        let status = Some(reply.status);
        let body = reply.body(MAX_PAGE).await.map(|body| body.bytes).unwrap_or_default();
        let words = protocol::words_of_page(&body, &self.redactor);
        reply.fail(Fault::NotARegistry { status, reason: format!("{reason}{words}") })
    }

    fn untrusted_redirect(&self, reply: &Reply, reason: &'static str) -> Fault {
        let location = location_of(reply);
        let url = Url::parse(&location).ok();
        let target = url.as_ref().map_or_else(|| "(no usable Location)".to_owned(), protocol::target_of);
        Fault::UntrustedRedirect { target: self.redactor.show_part(&location, &target), reason }
    }
}

/// The attempts within the limit.
fn tried(found: &Found) -> &[Attempt] {
    &found.attempts[..found.attempts.len().min(MAX_ATTEMPTS)]
}

/// Whether the registry rejected the credentials, so that another entry may succeed.
fn is_refusal(failure: &Failure) -> bool {
    matches!(failure.stage, Stage::Token | Stage::Manifest)
        && matches!(refused_with(&failure.fault), Some(401 | 403))
}

/// Whether a kubelet gives up the identity and pulls anonymously: its credential provider failed, or the registry rejected
/// what it provided. A registry that throttles gets no further request.
fn ends_identity(failure: &Failure) -> bool {
    let is_at_token = failure.stage == Stage::Token;
    is_refusal(failure)
        || match &failure.fault {
            Fault::Identity(_) => true,
            Fault::Answer(answer) => is_at_token && answer.status != 429,
            Fault::NotARegistry { .. } => is_at_token,
            Fault::NotConnected
            | Fault::Tls(_)
            | Fault::ResponseTimeout { .. }
            | Fault::ConnectionReset
            | Fault::DeadlineExceeded { .. }
            | Fault::UntrustedRealm { .. }
            | Fault::UntrustedRedirect { .. }
            | Fault::StorageRedirect { .. }
            | Fault::CredentialsMissing { .. }
            | Fault::CredentialsInvalid { .. }
            | Fault::ManifestInvalid { .. }
            | Fault::DigestMismatch { .. }
            | Fault::PlatformMissing { .. } => false,
        }
}

/// The status with which the registry rejected the credentials; `None` for any other fault.
fn refused_with(fault: &Fault) -> Option<u16> {
    match fault {
        Fault::Answer(answer) if answer.may_be_of_credentials() => Some(answer.status),
        // A token without pull permission, as issued to an anonymous client.
        Fault::CredentialsMissing { .. } => Some(401),
        Fault::Answer(_)
        | Fault::NotConnected
        | Fault::Tls(_)
        | Fault::ResponseTimeout { .. }
        | Fault::ConnectionReset
        | Fault::DeadlineExceeded { .. }
        | Fault::NotARegistry { .. }
        | Fault::UntrustedRealm { .. }
        | Fault::UntrustedRedirect { .. }
        | Fault::StorageRedirect { .. }
        | Fault::CredentialsInvalid { .. }
        | Fault::Identity(_)
        | Fault::ManifestInvalid { .. }
        | Fault::DigestMismatch { .. }
        | Fault::PlatformMissing { .. } => None,
    }
}

/// containerd's headers for resolving a tag.
fn resolving(bearer: Option<&HeaderValue>) -> HeaderMap {
    headers(&format!("{}, */*", MANIFEST_TYPES.join(", ")), bearer.cloned())
}

/// The raw `Location` header.
fn location_of(reply: &Reply) -> Cow<'_, str> {
    reply.headers.get(LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes())).unwrap_or_default()
}

/// A failure of a stage at the login server, or of the blob.
const fn fail(stage: Stage, fault: Fault) -> Failure {
    let endpoint = match stage {
        Stage::Blob => Endpoint::Data,
        Stage::Dns
        | Stage::Address
        | Stage::Connect
        | Stage::Tls
        | Stage::Challenge
        | Stage::Token
        | Stage::Manifest => Endpoint::Login,
    };
    Failure { endpoint, stage, fault }
}

/// Assigns a failure of the blob stage to the data endpoint, whichever server responded.
pub(super) fn at_blob(failure: Failure) -> Failure {
    Failure {
        endpoint: if failure.stage == Stage::Blob { Endpoint::Data } else { failure.endpoint },
        ..failure
    }
}
