//! Manifests over HTTP: by tag and by digest, right and wrong.
//!
//! Owns the response of the manifest step for an authorized caller; `content.rs` owns the content.

use serde_json::json;

use super::answers::{Answer, ManifestFault};
use super::canned;
use super::content::{Manifest, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, digest_of};
use super::http::Incoming;
use super::response::Response;
use super::settings::Settings;
use super::shared::Shared;

/// Over the 4 MiB that registries and clients agree on.
const OVER_LONG: usize = 8 << 20;
const NESTING: usize = 100_000;
const HUGE_INDEX: usize = 10_000;

/// Answers `GET` or `HEAD` of a manifest.
pub fn respond(
    shared: &Shared,
    settings: &Settings,
    request: &Incoming,
    repository: &str,
    reference: &str,
) -> Response {
    let Some(known) = shared.content.repository(repository) else { return canned::name_unknown(repository) };
    let fault = if let Answer::Faulty(fault) = &settings.manifest.answer { Some(*fault) } else { None };
    let altered = |fault| {
        let is_it = |it: &&Manifest| digest_of(&spaced(&it.bytes)) == reference;
        let found = known.manifests().map(|(_, manifest)| manifest).find(is_it);
        found.filter(|_| fault == Some(ManifestFault::OtherContent))
    };
    let known = known.manifest(reference).or_else(|| Some((reference, altered(fault)?)));
    let Some((digest, manifest)) = known else {
        // Generated manifests are also available by digest: clients read it from a response's head, and request it next.
        let (media_type, bytes) = fault.map(made_up).unwrap_or_default();
        let digest = digest_of(&bytes);
        return if reference == digest && !bytes.is_empty() {
            found(media_type, &digest, bytes)
        } else {
            canned::manifest_unknown(reference)
        };
    };
    // Like ACR: a manifest whose type the client does not accept is not found.
    let accepted: Vec<_> = request.all("Accept").collect();
    let suits = |accept: &&str| accept.contains("*/*") || accept.contains(manifest.media_type);
    if !accepted.is_empty() && !accepted.iter().any(suits) {
        return canned::manifest_unknown(reference);
    }
    let (media_type, bytes, honest) = match fault {
        None | Some(ManifestFault::DigestHeaderMissing | ManifestFault::DigestHeaderMalformed) => {
            (manifest.media_type, manifest.bytes.clone(), false)
        }
        Some(ManifestFault::Typed(media_type)) => (media_type, manifest.bytes.clone(), false),
        Some(ManifestFault::WrongBytes) => (manifest.media_type, spaced(&manifest.bytes), false),
        Some(ManifestFault::OtherContent) => (manifest.media_type, spaced(&manifest.bytes), true),
        Some(fault) => {
            let (media_type, bytes) = made_up(fault);
            (media_type, bytes, true)
        }
    };
    let digest = if honest { digest_of(&bytes) } else { digest.to_owned() };
    let response = found(media_type, shown(fault, &digest), bytes);
    match fault {
        Some(ManifestFault::DigestHeaderMissing) => response.without("Docker-Content-Digest"),
        Some(ManifestFault::Typed("")) => response.without("Content-Type"),
        _ => response,
    }
}

fn found(media_type: &str, digest: &str, bytes: Vec<u8>) -> Response {
    let own = [("Docker-Content-Digest", digest.to_owned()), ("ETag", format!("\"{digest}\""))];
    Response::registry(200, media_type, &own, bytes)
}

fn shown(fault: Option<ManifestFault>, digest: &str) -> &str {
    if fault == Some(ManifestFault::DigestHeaderMalformed) { "sha256:not-a-digest" } else { digest }
}

/// The same manifest with other bytes: an extra space after each comma.
fn spaced(bytes: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(bytes).replace(",\"", ", \"").into_bytes()
}

fn made_up(fault: ManifestFault) -> (&'static str, Vec<u8>) {
    let empty = digest_of(b"");
    let index = |count: usize| {
        let entry = json!({
            "mediaType": OCI_MANIFEST, "digest": empty, "size": 400,
            "platform": {"architecture": "riscv64", "os": "linux"},
        });
        let manifests = vec![entry; count];
        json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}).to_string().into_bytes()
    };
    match fault {
        ManifestFault::Schema1 => (
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            json!({"schemaVersion": 1, "name": "apps/canary", "tag": "1", "architecture": "amd64",
                   "fsLayers": [{"blobSum": empty}], "history": [], "signatures": []})
            .to_string()
            .into_bytes(),
        ),
        ManifestFault::NotJson => (OCI_MANIFEST, b"\x1f\x8b\x08 not a manifest".to_vec()),
        ManifestFault::OverLong => {
            let padding = "a".repeat(OVER_LONG);
            let manifest = json!({
                "schemaVersion": 2, "mediaType": OCI_MANIFEST, "annotations": {"padding": padding},
                "config": {"mediaType": OCI_CONFIG, "digest": empty, "size": 0},
                "layers": [{"mediaType": OCI_LAYER, "digest": empty, "size": 0}],
            });
            (OCI_MANIFEST, manifest.to_string().into_bytes())
        }
        ManifestFault::DeeplyNested => (OCI_MANIFEST, [vec![b'['; NESTING], vec![b']'; NESTING]].concat()),
        ManifestFault::HugeIndex => (OCI_INDEX, index(HUGE_INDEX)),
        ManifestFault::EmptyIndex => (OCI_INDEX, index(0)),
        ManifestFault::NoLayers => {
            (OCI_MANIFEST, json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST}).to_string().into_bytes())
        }
        ManifestFault::UnknownMediaType => (
            "application/vnd.fabrikam.manifest.v9+json",
            json!({"schemaVersion": 9, "mediaType": "application/vnd.fabrikam.manifest.v9+json"})
                .to_string()
                .into_bytes(),
        ),
        ManifestFault::Html => (OCI_MANIFEST, b"<html><body>Sign in</body></html>".to_vec()),
        // These keep the stored manifest and never get here.
        ManifestFault::WrongBytes
        | ManifestFault::OtherContent
        | ManifestFault::DigestHeaderMissing
        | ManifestFault::DigestHeaderMalformed
        | ManifestFault::Typed(_) => (OCI_MANIFEST, Vec::new()),
    }
}
