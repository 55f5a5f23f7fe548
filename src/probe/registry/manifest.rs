//! The `manifest` stage: resolves the image's tag, then fetches the manifest that a pull on this node uses.
//!
//! Like containerd: `HEAD` for the tag returns type, digest and size; everything after it is requested by digest and compared
//! with what was announced.

use reqwest::Method;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use tokio::time::Instant;

use super::{Call, Failure, Fault, Limit, Observation, Pull, Reply, Stage, fail, headers, resolving};
use crate::image::is_sha256_digest;
use crate::observation::{Endpoint, Manifest};
use crate::probe::manifest::{self, Descriptor, ImageManifest, ParsedManifest, media_type_of};

/// containerd's limit when it resolves a tag (`MaxManifestSize`); registries accept 4 MiB (distribution's limit). A lower
/// limit would reject images that can be pulled.
const MAX_MANIFEST: usize = 4 * 1048 * 1048;
/// An index may contain an index; deeper nesting is rejected.
const MAX_INDEX_DEPTH: usize = 3;

/// The fault of an HTML response.
pub(super) const PAGE: &str = "it returned HTML instead of a manifest";

/// The kind of a fetched manifest.
pub(in crate::probe) enum Listed {
    /// The image's manifest.
    Image(Box<ImageManifest>),
    /// An index, with the entry to request next.
    Entry(Descriptor),
}

impl Pull<'_> {
    /// Resolves the image's tag or digest with a token.
    pub(super) async fn resolve(
        &mut self,
        bearer: &HeaderValue,
        method: Method,
        observation: &mut Observation,
    ) -> Result<Descriptor, Failure> {
        let started = Instant::now();
        let outcome = self.ask_for_wanted(bearer, method, observation).await;
        observation.mark(Endpoint::Login, Stage::Manifest, started.elapsed());
        outcome
    }

    async fn ask_for_wanted(
        &mut self,
        bearer: &HeaderValue,
        method: Method,
        observation: &mut Observation,
    ) -> Result<Descriptor, Failure> {
        let limit = self.session.clock.limit();
        let url = self.manifest_url(self.task.image.wanted())?;
        let mut call = Call { method, ..Call::head(url, resolving(Some(bearer))) };
        let mut reply =
            self.session.send_with_retries(Stage::Manifest, call.clone(), limit, observation).await?;
        if reply.status == 405 && call.method == Method::HEAD {
            call.method = Method::GET;
            reply = self.session.send_with_retries(Stage::Manifest, call.clone(), limit, observation).await?;
        }
        match reply.status {
            200..=299 if reply.is_html() => Err(self.page(reply, (call, limit), PAGE, observation).await),
            200..=299 => self.resolved(reply, Some(bearer), observation).await,
            300..=399 => Err(reply.fail(self.untrusted_redirect(&reply, "a redirect for a manifest"))),
            _ => Err(self.refused(reply, call, limit, observation).await),
        }
    }

    /// Reads the announced type, digest and size; if any is missing, a GET fetches the manifest to compute them.
    pub(super) async fn resolved(
        &mut self,
        reply: Reply,
        bearer: Option<&HeaderValue>,
        observation: &mut Observation,
    ) -> Result<Descriptor, Failure> {
        let media_type = media_type_of(reply.header(CONTENT_TYPE)).to_owned();
        let announced = self.announced_digest(&reply)?;
        let size = reply.header(CONTENT_LENGTH).and_then(|length| length.parse().ok());
        reply.discard().await?;
        let wanted = match (announced, size) {
            (Some(digest), Some(size)) => Descriptor { media_type, digest, size },
            (announced, _) => self.measure(announced, bearer, observation).await?,
        };
        if usize::try_from(wanted.size).is_ok_and(|size| size > MAX_MANIFEST) {
            return Err(over_long());
        }
        Ok(wanted)
    }

    /// The requested digest, or the one that the registry announces for a tag.
    fn announced_digest(&self, reply: &Reply) -> Result<Option<String>, Failure> {
        let wanted = self.task.image.wanted();
        if is_sha256_digest(wanted) {
            return Ok(Some(wanted.to_owned()));
        }
        match reply.header("docker-content-digest").filter(|announced| !announced.is_empty()) {
            None => Ok(None),
            Some(announced) if is_sha256_digest(announced) => Ok(Some(announced.to_owned())),
            Some(_) => {
                let reason = "its Docker-Content-Digest header is not a sha256 digest".to_owned();
                Err(reply.fail(Fault::ManifestInvalid { reason }))
            }
        }
    }

    /// Reads a manifest only for its digest and size.
    async fn measure(
        &mut self,
        announced: Option<String>,
        bearer: Option<&HeaderValue>,
        observation: &mut Observation,
    ) -> Result<Descriptor, Failure> {
        let limit = self.session.clock.limit();
        let call = Call::get(self.manifest_url(self.task.image.wanted())?, resolving(bearer));
        let reply = self.session.send_with_retries(Stage::Manifest, call, limit, observation).await?;
        let media_type = media_type_of(reply.header(CONTENT_TYPE)).to_owned();
        let body = self.read_manifest_body(reply).await?;
        let digest = announced.unwrap_or_else(|| manifest::digest_of(&body));
        Ok(Descriptor { digest, media_type, size: size_of(&body) })
    }

    /// Fetches the manifest that a pull on this node uses; an index is followed to the node's platform.
    pub(super) async fn manifest(
        &mut self,
        bearer: Option<&HeaderValue>,
        wanted: Descriptor,
        observation: &mut Observation,
    ) -> Result<ImageManifest, Failure> {
        let started = Instant::now();
        let outcome = self.fetch_manifest(bearer, wanted, observation).await;
        observation.mark(Endpoint::Login, Stage::Manifest, started.elapsed());
        outcome
    }

    async fn fetch_manifest(
        &mut self,
        bearer: Option<&HeaderValue>,
        mut wanted: Descriptor,
        observation: &mut Observation,
    ) -> Result<ImageManifest, Failure> {
        let limit: Limit = self.session.clock.limit();
        for _depth in 0..MAX_INDEX_DEPTH {
            manifest::supported(&wanted.media_type).map_err(invalid)?;
            let accept = format!("{}, */*", wanted.media_type);
            let call = Call::get(self.manifest_url(&wanted.digest)?, headers(&accept, bearer.cloned()));
            let reply = self.session.send_with_retries(Stage::Manifest, call, limit, observation).await?;
            let body = self.read_manifest_body(reply).await?;
            held_against(&wanted, &body)?;
            match self.read_manifest(&body, &wanted, observation)? {
                Listed::Image(image) => return Ok(*image),
                Listed::Entry(entry) => wanted = entry,
            }
        }
        Err(invalid(format!("its index nests indexes more than {MAX_INDEX_DEPTH} levels deep")))
    }

    /// Parses a manifest that was compared with its descriptor: an image, or this node's entry in an index.
    pub(in crate::probe) fn read_manifest(
        &self,
        body: &[u8],
        Descriptor { media_type, digest, size: _ }: &Descriptor,
        observation: &mut Observation,
    ) -> Result<Listed, Failure> {
        let parsed = manifest::read_manifest(media_type, body).map_err(invalid)?;
        // The report names the first manifest, the one that was requested.
        if observation.manifest.is_none() {
            let size = u64::try_from(body.len()).unwrap_or(u64::MAX);
            let (digest, media_type) = (digest.clone(), media_type.clone());
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
            manifest.platform = Some(name.display_name());
        }
        entry.check().map_err(invalid)?;
        Ok(Listed::Entry(entry.descriptor.clone()))
    }

    /// Reads a manifest's bytes.
    pub(in crate::probe) async fn read_manifest_body(&self, mut reply: Reply) -> Result<Vec<u8>, Failure> {
        match reply.status {
            200..=299 => {}
            300..=399 => return Err(reply.fail(self.untrusted_redirect(&reply, "a redirect for a manifest"))),
            _ => return Err(self.unhelpful(reply).await),
        }
        if reply.is_html() {
            return Err(self.foreign(reply, PAGE).await);
        }
        let body = reply.body(MAX_MANIFEST).await?;
        if body.cut { Err(over_long()) } else { Ok(body.bytes) }
    }
}

/// Compares a manifest's bytes with what was announced.
pub(in crate::probe) fn held_against(wanted: &Descriptor, body: &[u8]) -> Result<(), Failure> {
    let found = manifest::digest_of(body);
    if found != wanted.digest {
        return Err(fail(Stage::Manifest, Fault::DigestMismatch { expected: wanted.digest.clone(), found }));
    }
    let size = size_of(body);
    if wanted.size != size {
        return Err(invalid(format!("its announced size is {} bytes, but it has {size}", wanted.size)));
    }
    Ok(())
}

/// The size in bytes; the limit on bodies makes it always fit.
fn size_of(body: &[u8]) -> i64 {
    i64::try_from(body.len()).unwrap_or(i64::MAX)
}

fn invalid(reason: String) -> Failure {
    fail(Stage::Manifest, Fault::ManifestInvalid { reason })
}

fn over_long() -> Failure {
    invalid(format!("it is larger than {MAX_MANIFEST} bytes"))
}
