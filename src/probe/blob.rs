//! The `blob` stage: which blob is read, the request at the data endpoint, and the digest over its bytes.

use oci_client::manifest::{OciDescriptor, OciImageManifest};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::dial::headers;
use super::manifest::hex_digest;
use super::session::{Reply, Session};
use super::wire::target_of;
use crate::image::is_sha256_digest;
use crate::observation::{Blob, Failure, Fault, Observation, Stage};
use crate::secret::{Redactor, Secret};
use jiff::Timestamp;

/// Bytes read of one blob: a configuration has a few KiB, and a check must stay cheap for node and registry alike.
const MAX_BLOB: u64 = 4 * 1024 * 1024;
/// Bytes kept, to tell the platform of a configuration.
const MAX_KEPT: usize = 256 * 1024;

/// The blob to read: the configuration, which every pull needs first, or the smallest layer where that is too large or
/// empty.
pub(super) fn select(manifest: &OciImageManifest) -> Result<&OciDescriptor, String> {
    let size = |descriptor: &&OciDescriptor| u64::try_from(descriptor.size).unwrap_or(0);
    let config = Some(&manifest.config).filter(|config| (1..=MAX_BLOB).contains(&size(config)));
    let smallest = || manifest.layers.iter().filter(|layer| size(layer) > 0).min_by_key(size);
    let descriptor = config.or_else(smallest).ok_or("it lists no blob that has bytes")?;
    if is_sha256_digest(&descriptor.digest) {
        Ok(descriptor)
    } else {
        Err("it names a digest that is not sha256".to_owned())
    }
}

/// Asks the data endpoint for a blob: no credentials, only the signed URL.
pub(super) async fn fetch(
    session: &mut Session<'_>,
    url: Url,
    now: Timestamp,
    redactor: &Redactor,
    observation: &mut Observation,
) -> Result<Reply, Failure> {
    let mut redactor = redactor.clone();
    for (key, value) in url.query_pairs() {
        // A signature may stand alone, too.
        let secret = if value.is_empty() { key } else { value };
        redactor.hide(&Secret::new(secret.into_owned()));
    }
    let limit = session.clock.limit();
    let reply = session.get(Stage::Blob, url, headers("*/*", None), limit, observation).await?;
    judge_answer(reply, now, &redactor).await
}

/// Lets an answer of the data endpoint pass that brings the blob.
pub(super) async fn judge_answer(
    reply: Reply,
    now: Timestamp,
    redactor: &Redactor,
) -> Result<Reply, Failure> {
    match reply.status {
        200 => Ok(reply),
        300..=399 => {
            let base = reply.header("location").and_then(|location| Url::parse(location).ok());
            let target = base.as_ref().map_or_else(|| "(no usable Location)".to_owned(), target_of);
            let target = redactor.show(&target);
            Err(reply.fail(Fault::UntrustedRedirect { target, reason: "a second redirect" }))
        }
        _ => Err(reply.into_failure(now, redactor).await),
    }
}

/// What was read of a blob: the fact, and its first bytes.
pub(super) struct Content {
    pub(super) blob: Blob,
    pub(super) bytes: Vec<u8>,
}

/// Reads a blob and holds its digest against the manifest's.
pub(super) async fn read(
    reply: &mut Reply,
    descriptor: &OciDescriptor,
    host: &str,
) -> Result<Content, Failure> {
    let size = u64::try_from(descriptor.size).unwrap_or(0);
    let mut hash = Sha256::new();
    let mut bytes_read = 0_u64;
    let mut kept = Vec::new();
    while let Some(piece) = reply.chunk().await? {
        bytes_read += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        hash.update(&piece);
        let room = MAX_KEPT.saturating_sub(kept.len()).min(piece.len());
        kept.extend_from_slice(&piece[..room]);
        if bytes_read > size {
            let found = format!("more than {size} bytes");
            return Err(reply.fail(Fault::DigestMismatch { expected: descriptor.digest.clone(), found }));
        }
        if bytes_read >= MAX_BLOB {
            break;
        }
    }
    let whole = bytes_read == size;
    let found = hex_digest(hash.finalize().as_slice());
    if (whole && found != descriptor.digest) || (!whole && bytes_read < MAX_BLOB) {
        let found = if whole { found } else { format!("{bytes_read} of {size} bytes") };
        return Err(reply.fail(Fault::DigestMismatch { expected: descriptor.digest.clone(), found }));
    }
    let blob = Blob { digest: descriptor.digest.clone(), size, bytes_read, host: host.to_owned() };
    Ok(Content { blob, bytes: kept })
}
