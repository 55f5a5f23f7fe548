//! The stages at the login server: challenge, token, manifest, and the redirect of a blob.
//!
//! Says what is sent and which answers go on; reading the answers' texts is `wire`'s, the connection `session`'s.

use std::borrow::Cow;

use reqwest::header::{CONTENT_TYPE, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use tokio::time::Instant;
use url::Url;

use super::dial::headers;
use super::manifest::{self, Descriptor, ImageManifest, ParsedManifest};
use super::session::{Reply, Session};
use super::wire::{self, BearerChallenge, Grant, Redirect};
use super::{Task, authorization};
use crate::credentials::{Credentials, CredentialsError, Found};
use crate::image::is_sha256_digest;
use crate::observation::{CredentialsUsed, Endpoint, Failure, Fault, Manifest, Observation, Stage, Token};
use crate::secret::{Redactor, Secret};

/// A token answer has some 2 KiB.
const MAX_TOKEN_BODY: usize = 64 * 1024;
/// What containerd takes when it resolves a tag (its `MaxManifestSize`); registries take 4 MiB (distribution's limit).
/// Less would refuse images that can be pulled.
const MAX_MANIFEST: usize = 4 * 1048 * 1048;
/// An index may list an index; more levels are no image.
const MAX_INDEX_DEPTH: usize = 3;

/// What of a pull has to be known to the next stage.
pub(super) struct Pull<'check> {
    pub(super) task: &'check Task,
    pub(super) session: Session<'check>,
    /// What is sent as a secret: a hostile registry could say it back, in a later check also before it is sent.
    pub(super) redactor: Redactor,
    found: Result<Found, CredentialsError>,
}

impl<'check> Pull<'check> {
    /// Prepares a pull with the credentials as they are now.
    pub(super) fn new(
        task: &'check Task,
        session: Session<'check>,
        found: Result<Found, CredentialsError>,
    ) -> Self {
        let mut redactor = Redactor::default();
        let attempts = found.as_ref().map_or(&[][..], |found| &found.attempts);
        for credentials in attempts.iter().filter_map(|attempt| attempt.credentials.as_ref()) {
            redactor.hide_encoded(&authorization::pair(credentials));
            redactor.hide_encoded(&credentials.password);
        }
        Self { task, session, redactor, found }
    }

    fn url(&self, path: &str) -> Result<Url, Failure> {
        Url::parse(&format!("https://{}{path}", self.task.image.registry())).map_err(|_| {
            // Unreachable for a checked reference; still a value, not a panic.
            fail(
                Stage::Challenge,
                Fault::NotARegistry { status: None, reason: "its name makes no URL".to_owned() },
            )
        })
    }

    /// `GET /v2/` without credentials: connects, and brings the realm and service of the token service.
    pub(super) async fn challenge(
        &mut self,
        observation: &mut Observation,
    ) -> Result<(Url, BearerChallenge), Failure> {
        let url = self.url("/v2/")?;
        let limit = self.session.clock.limit();
        let reply = self
            .session
            .get(Stage::Challenge, url, headers("application/json", None), limit, observation)
            .await;
        let started = reply.as_ref().map_or_else(|_| Instant::now(), Reply::sent_at);
        let outcome = match reply {
            Ok(reply) => self.read_challenge(reply).await,
            Err(failure) => Err(failure),
        };
        if outcome.as_ref().err().is_none_or(|failure| failure.stage == Stage::Challenge) {
            observation.mark(Endpoint::Login, Stage::Challenge, started.elapsed());
        }
        outcome
    }

    /// Reads the answer to `GET /v2/`.
    pub(super) async fn read_challenge(&self, reply: Reply) -> Result<(Url, BearerChallenge), Failure> {
        let status = reply.status;
        let not_a_registry =
            |reason: &str| Fault::NotARegistry { status: Some(status), reason: reason.to_owned() };
        match status {
            401 => {}
            200..=299 => {
                return Err(reply.fail(not_a_registry("it answers GET /v2/ without asking for a token")));
            }
            300..=399 => return Err(reply.fail(not_a_registry("it redirects GET /v2/"))),
            _ => return Err(self.unhelpful(reply).await),
        }
        let values = reply.headers.get_all(WWW_AUTHENTICATE);
        let challenge = wire::bearer_challenge(values.iter().map(HeaderValue::as_bytes))
            .map_err(|reason| reply.fail(not_a_registry(reason)))?;
        let realm = wire::judge_realm(&self.task.image, &challenge.realm).map_err(|untrusted| {
            let realm = self.redactor.show_part(&challenge.realm, &untrusted.realm);
            reply.fail(Fault::UntrustedRealm { realm, reason: untrusted.reason })
        })?;
        // The body is read so that the connection can be used again.
        drop(reply.error(self.task.now, &self.redactor).await?);
        Ok((realm, challenge))
    }

    /// The token service, with the credentials.
    pub(super) async fn token(
        &mut self,
        (realm, challenge): (Url, BearerChallenge),
        observation: &mut Observation,
    ) -> Result<Secret, Failure> {
        let started = Instant::now();
        let outcome = self.fetch_token(realm, &challenge, observation).await;
        observation.mark(Endpoint::Login, Stage::Token, started.elapsed());
        let grant = outcome?;
        observation.token = Some(Token { pull: grant.pull });
        observation.credentials = Some(CredentialsUsed::Secret);
        self.redactor.hide(&grant.token);
        Ok(grant.token)
    }

    async fn fetch_token(
        &mut self,
        mut realm: Url,
        challenge: &BearerChallenge,
        observation: &mut Observation,
    ) -> Result<Grant, Failure> {
        let credentials = self.credentials().map_err(|fault| fail(Stage::Token, fault))?;
        if let Some(service) = &challenge.service {
            realm.query_pairs_mut().append_pair("service", service);
        }
        let scope = format!("repository:{}:pull", self.task.image.repository());
        realm.query_pairs_mut().append_pair("scope", &scope);
        let basic = authorization::basic(&credentials).map_err(|fault| fail(Stage::Token, fault))?;
        let limit = self.session.clock.limit();
        let headers = headers("application/json", Some(basic));
        let reply = self.session.get(Stage::Token, realm, headers, limit, observation).await?;
        self.read_grant(reply).await
    }

    /// The credentials of the first attempt.
    fn credentials(&self) -> Result<Credentials, Fault> {
        let found =
            self.found.as_ref().map_err(|error| Fault::CredentialsInvalid { reason: error.to_string() })?;
        let first = found.attempts.first().and_then(|attempt| attempt.credentials.clone());
        first
            .ok_or_else(|| Fault::CredentialsMissing { searched: found.searched.clone().unwrap_or_default() })
    }

    /// Reads the answer of the token service.
    pub(super) async fn read_grant(&self, mut reply: Reply) -> Result<Grant, Failure> {
        match reply.status {
            200 => {}
            300..=399 => {
                return Err(reply.fail(self.untrusted_redirect(&reply, "a redirect of the token service")));
            }
            _ => return Err(self.unhelpful(reply).await),
        }
        let body = reply.body(MAX_TOKEN_BODY).await?;
        let not_a_registry =
            |reason: &str| reply.fail(Fault::NotARegistry { status: Some(200), reason: reason.to_owned() });
        if body.cut {
            return Err(not_a_registry("its token answer is over-long"));
        }
        wire::read_grant(&body.bytes, self.task.image.repository()).map_err(not_a_registry)
    }

    /// The manifest that a pull on this node would use; an index goes on to the node's platform.
    pub(super) async fn manifest(
        &mut self,
        token: &Secret,
        observation: &mut Observation,
    ) -> Result<ImageManifest, Failure> {
        let started = Instant::now();
        let outcome = self.fetch_manifest(token, observation).await;
        observation.mark(Endpoint::Login, Stage::Manifest, started.elapsed());
        outcome
    }

    async fn fetch_manifest(
        &mut self,
        token: &Secret,
        observation: &mut Observation,
    ) -> Result<ImageManifest, Failure> {
        let limit = self.session.clock.limit();
        let mut wanted = self.task.image.wanted().to_owned();
        let mut listed: Option<Descriptor> = None;
        for _depth in 0..MAX_INDEX_DEPTH {
            let url = self.url(&format!("/v2/{}/manifests/{wanted}", self.task.image.repository()))?;
            let accept = manifest::MANIFEST_TYPES.join(", ");
            let bearer = authorization::bearer(token).map_err(|fault| fail(Stage::Manifest, fault))?;
            let headers = headers(&accept, Some(bearer));
            let reply = self.session.get(Stage::Manifest, url, headers, limit, observation).await?;
            let (body, mut media_type) = self.read_manifest_body(reply, &wanted).await?;
            if let Some(listed) = &listed {
                media_type.clone_from(&listed.media_type);
                if u64::try_from(listed.size).ok() != u64::try_from(body.len()).ok() {
                    let reason =
                        format!("its index gives it {} bytes, and it has {}", listed.size, body.len());
                    return Err(fail(Stage::Manifest, Fault::ManifestInvalid { reason }));
                }
            }
            match self.read_manifest(&body, &media_type, observation)? {
                Listed::Image(image) => return Ok(*image),
                Listed::Entry(entry) => {
                    wanted.clone_from(&entry.digest);
                    listed = Some(entry);
                }
            }
        }
        let reason = format!("its index lists an index more than {MAX_INDEX_DEPTH} levels deep");
        Err(fail(Stage::Manifest, Fault::ManifestInvalid { reason }))
    }

    /// Reads a manifest: an image, or the digest of this node's entry in an index.
    pub(super) fn read_manifest(
        &self,
        body: &[u8],
        media_type: &str,
        observation: &mut Observation,
    ) -> Result<Listed, Failure> {
        let invalid = |reason| fail(Stage::Manifest, Fault::ManifestInvalid { reason });
        let parsed = manifest::read_manifest(media_type, body).map_err(invalid)?;
        // What was asked for first is what was pulled.
        if observation.manifest.is_none() {
            let size = u64::try_from(body.len()).unwrap_or(u64::MAX);
            let digest = manifest::digest_of(body);
            let media_type = media_type.to_owned();
            observation.manifest = Some(Manifest { digest, media_type, size, platform: None });
        }
        let index = match parsed {
            ParsedManifest::Image(image) => return Ok(Listed::Image(image)),
            ParsedManifest::Index(index) => index,
        };
        let platform = &self.task.platform;
        let entry = manifest::select_platform(&index, platform).map_err(|found| {
            fail(Stage::Manifest, Fault::PlatformMissing { wanted: platform.to_string(), found })
        })?;
        if let (Some(manifest), Some(name)) = (&mut observation.manifest, &entry.platform) {
            manifest.platform = Some(name.heard());
        }
        entry.check().map_err(invalid)?;
        Ok(Listed::Entry(entry.descriptor.clone()))
    }

    /// Reads a manifest's bytes, which have the digest that was wanted or announced, and their content type.
    pub(super) async fn read_manifest_body(
        &self,
        mut reply: Reply,
        wanted: &str,
    ) -> Result<(Vec<u8>, String), Failure> {
        match reply.status {
            200 => {}
            300..=399 => return Err(reply.fail(self.untrusted_redirect(&reply, "a redirect of a manifest"))),
            _ => return Err(self.unhelpful(reply).await),
        }
        let media_type = manifest::media_type_of(reply.header(CONTENT_TYPE)).to_owned();
        if reply.is_html() {
            let reason = "it sends HTML instead of a manifest".to_owned();
            return Err(reply.fail(Fault::NotARegistry { status: Some(200), reason }));
        }
        let body = reply.body(MAX_MANIFEST).await?;
        if body.cut {
            let reason = format!("it has more than {MAX_MANIFEST} bytes");
            return Err(reply.fail(Fault::ManifestInvalid { reason }));
        }
        // By digest the digest decides; by tag the registry's own announcement is held against the bytes.
        let expected = Some(wanted).filter(|wanted| is_sha256_digest(wanted)).or_else(|| {
            reply.header("docker-content-digest").filter(|announced| is_sha256_digest(announced))
        });
        let found = manifest::digest_of(&body.bytes);
        match expected {
            Some(expected) if expected != found => {
                let expected = expected.to_owned();
                Err(reply.fail(Fault::DigestMismatch { expected, found }))
            }
            Some(_) | None => Ok((body.bytes, media_type)),
        }
    }

    /// Asks the login server for a blob: it answers with the redirect to the data endpoint, or with the blob itself.
    pub(super) async fn blob(
        &mut self,
        token: &Secret,
        descriptor: &Descriptor,
        observation: &mut Observation,
    ) -> Result<BlobAnswer, Failure> {
        let url = self.url(&format!("/v2/{}/blobs/{}", self.task.image.repository(), descriptor.digest))?;
        let asked = url.clone();
        let bearer = authorization::bearer(token).map_err(|fault| fail(Stage::Blob, fault))?;
        let headers = headers("*/*", Some(bearer));
        let limit = self.session.clock.limit();
        let reply = self.session.get(Stage::Blob, url, headers, limit, observation).await.map_err(at_blob)?;
        self.read_blob_answer(reply, &asked).await
    }

    /// Reads the login server's answer to the request for a blob.
    pub(super) async fn read_blob_answer(
        &self,
        mut reply: Reply,
        asked: &Url,
    ) -> Result<BlobAnswer, Failure> {
        match reply.status {
            200 => return Ok(BlobAnswer::Direct(Box::new(reply))),
            300..=399 => {}
            _ => return Err(at_blob(self.unhelpful(reply).await)),
        }
        let location = reply.headers.get(LOCATION).map(HeaderValue::as_bytes);
        let configured = &self.task.data_endpoints;
        let fault = match wire::judge_redirect(&self.task.image, configured, asked, location) {
            Redirect::Data(url) if wire::says_back(&self.task.image, configured, &self.redactor, &url) => {
                Fault::UntrustedRedirect {
                    target: self.redactor.show(&wire::target_of(&url)),
                    reason: "a host outside the registry's own names",
                }
            }
            Redirect::Data(url) => {
                // ACR's page of a few hundred bytes; nothing depends on it.
                drop(reply.body(MAX_TOKEN_BODY).await.map_err(at_blob)?);
                return Ok(BlobAnswer::Redirected(url));
            }
            Redirect::Storage(host) => Fault::StorageRedirect { host: self.redactor.show(&host) },
            Redirect::Untrusted { target, reason } => {
                let target = self.redactor.show_part(&location_of(&reply), &target);
                Fault::UntrustedRedirect { target, reason }
            }
            Redirect::Missing => Fault::NotARegistry {
                status: Some(reply.status),
                reason: "its redirect of a blob has no usable Location".to_owned(),
            },
        };
        Err(fail(Stage::Blob, fault))
    }

    /// An answer that the stage cannot go on with.
    async fn unhelpful(&self, reply: Reply) -> Failure {
        reply.into_failure(self.task.now, &self.redactor).await
    }

    fn untrusted_redirect(&self, reply: &Reply, reason: &'static str) -> Fault {
        let location = location_of(reply);
        let url = Url::parse(&location).ok();
        let target = url.as_ref().map_or_else(|| "(no usable Location)".to_owned(), wire::target_of);
        Fault::UntrustedRedirect { target: self.redactor.show_part(&location, &target), reason }
    }
}

/// The `Location` as it came.
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

/// Where a manifest leads.
pub(super) enum Listed {
    /// It is the image's.
    Image(Box<ImageManifest>),
    /// It is an index; this is what to ask for next.
    Entry(Descriptor),
}

/// How the login server answers for a blob.
pub(super) enum BlobAnswer {
    /// With the blob itself.
    Direct(Box<Reply>),
    /// With the signed URL of a data endpoint.
    Redirected(Url),
}

/// The blob stage belongs to the data endpoint, whoever answers.
pub(super) fn at_blob(failure: Failure) -> Failure {
    Failure {
        endpoint: if failure.stage == Stage::Blob { Endpoint::Data } else { failure.endpoint },
        ..failure
    }
}
