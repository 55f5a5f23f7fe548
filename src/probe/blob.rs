//! The `blob` stage: selects a blob, requests it from the data endpoint, and verifies the digest of its bytes.

use sha2::{Digest as _, Sha256};
use url::Url;

use super::connection::{Call, headers};
use super::manifest::{Descriptor, ImageManifest, hex_digest};
use super::session::{Reply, Session};
use crate::observation::{Blob, Failure, Fault, Observation, Stage};
use crate::secret::Secret;
use crate::text::redact::Redactor;
use jiff::Timestamp;

/// Maximum number of bytes read of one blob. A configuration has a few KiB, and a check must stay cheap for node and registry.
/// containerd has no limit and always reads the full configuration.
const MAX_BLOB: u64 = 4 * 1024 * 1024;

/// Selects the blob to read: the configuration, which every pull needs first, or if that is too large to be read in full, the
/// smallest layer, if there is one.
pub(super) fn select(manifest: &ImageManifest) -> &Descriptor {
    let fits = u64::try_from(manifest.config.size).is_ok_and(|size| size <= MAX_BLOB);
    manifest.smallest.as_ref().filter(|_| !fits).unwrap_or(&manifest.config)
}

/// Requests a blob from the data endpoint, without credentials, only by the signed URL.
pub(super) async fn fetch(
    session: &mut Session<'_>,
    url: Url,
    now: Timestamp,
    redactor: &Redactor,
    observation: &mut Observation,
) -> Result<Reply, Failure> {
    let limit = session.clock.limit();
    let call = Call::get(url.clone(), headers("*/*", None));
    let reply = session.send_with_retries(Stage::Blob, call, limit, observation).await?;
    evaluate_answer(reply, now, || with_signature(redactor, &url)).await
}

/// The secrets of the check and those of a signed URL.
fn with_signature(redactor: &Redactor, url: &Url) -> Redactor {
    let mut redactor = redactor.clone();
    for (key, value) in url.query_pairs() {
        // A parameter without a value could be the signature itself.
        let secret = if value.is_empty() { key } else { value };
        redactor.hide(&Secret::new(secret.into_owned()));
    }
    redactor
}

/// Accepts a response of the data endpoint that contains the blob or redirects to it. Only another one may echo a secret.
pub(super) async fn evaluate_answer(
    reply: Reply,
    now: Timestamp,
    redactor: impl FnOnce() -> Redactor,
) -> Result<Reply, Failure> {
    match reply.status {
        200..=399 => Ok(reply),
        _ => Err(reply.into_failure(now, &redactor()).await),
    }
}

/// The facts of a blob, and its bytes if requested and complete.
pub(super) struct Content {
    pub(super) blob: Blob,
    pub(super) bytes: Option<Vec<u8>>,
}

/// Reads a blob and compares its digest with the manifest's. An HTML page with other content did not come from the registry.
pub(super) async fn read(
    reply: &mut Reply,
    descriptor: &Descriptor,
    host: &str,
    keep: bool,
) -> Result<Content, Failure> {
    let size = u64::try_from(descriptor.size).unwrap_or(0);
    let mut hash = Sha256::new();
    let mut bytes_read = 0_u64;
    let mut kept = Vec::new();
    while let Some(piece) = reply.chunk().await? {
        bytes_read += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        hash.update(&piece);
        if bytes_read > size {
            return Err(mismatch(reply, descriptor, format!("more than {size} bytes")));
        }
        if keep {
            kept.extend_from_slice(&piece);
        }
        if bytes_read >= MAX_BLOB {
            break;
        }
    }
    let whole = bytes_read == size;
    let found = hex_digest(hash.finalize().as_slice());
    if (whole && found != descriptor.digest) || (!whole && bytes_read < MAX_BLOB) {
        let found = if whole { found } else { format!("{bytes_read} of {size} bytes") };
        return Err(mismatch(reply, descriptor, found));
    }
    let blob = Blob { digest: descriptor.digest.clone(), size, bytes_read, host: host.to_owned() };
    Ok(Content { blob, bytes: Some(kept).filter(|_| keep && whole) })
}

fn mismatch(reply: &Reply, descriptor: &Descriptor, found: String) -> Failure {
    if reply.is_html() {
        let reason = "it returned HTML instead of a blob".to_owned();
        return reply.fail(Fault::NotARegistry { status: Some(reply.status), reason });
    }
    reply.fail(Fault::DigestMismatch { expected: descriptor.digest.clone(), found })
}
