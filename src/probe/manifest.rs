//! Manifests and their content: media types, digests, platforms.
//!
//! Bytes in, facts out: pure and bounded. [`json`] and [`parse`] reject what containerd rejects. Digests are computed here,
//! over the bytes that were received.

mod json;
mod parse;
mod platform;

use oci_client::manifest::{
    IMAGE_CONFIG_MEDIA_TYPE, IMAGE_DOCKER_CONFIG_MEDIA_TYPE, IMAGE_MANIFEST_LIST_MEDIA_TYPE,
    IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE,
};
use sha2::{Digest as _, Sha256};

pub(super) use parse::{Configuration, Descriptor, Entry, ImageManifest, Index};
pub use platform::Platform;

use crate::image::is_sha256_digest as is_digest;
use crate::text::redact::bounded;

/// Maximum number of an index's platforms in a report.
const MAX_PLATFORMS: usize = 16;

/// The media types in `Accept`, as containerd sends them.
pub(super) const MANIFEST_TYPES: [&str; 4] = [
    IMAGE_MANIFEST_MEDIA_TYPE,
    IMAGE_MANIFEST_LIST_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE,
    OCI_IMAGE_INDEX_MEDIA_TYPE,
];
/// The layer types that are unpacked, as in containerd's `IsLayerType`: these, with or without a suffix, and all that start
/// with [`OCI_LAYERS`].
const LAYER_TYPES: [&str; 6] = [
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    "application/vnd.erofs.layer.v1",
];
const OCI_LAYERS: &str = "application/vnd.oci.image.layer.";

fn is_image(media_type: &str) -> bool {
    [IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE].contains(&media_type)
}

pub(super) fn is_index(media_type: &str) -> bool {
    [IMAGE_MANIFEST_LIST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE].contains(&media_type)
}

/// Docker's first builds announced a configuration as `application/octet-stream`; clients rely on its content.
fn is_configuration(media_type: &str) -> bool {
    [IMAGE_CONFIG_MEDIA_TYPE, IMAGE_DOCKER_CONFIG_MEDIA_TYPE, "application/octet-stream"]
        .contains(&media_type)
}

fn is_layer(media_type: &str) -> bool {
    let base = media_type.split('+').next().unwrap_or_default();
    media_type.starts_with(OCI_LAYERS) || LAYER_TYPES.contains(&base)
}

/// The `sha256:…` digest of the bytes.
pub(super) fn digest_of(bytes: &[u8]) -> String {
    hex_digest(Sha256::digest(bytes).as_slice())
}

/// Formats a SHA-256 hash as a digest.
pub(super) fn hex_digest(hash: &[u8]) -> String {
    hash.iter().fold("sha256:".to_owned(), |mut text, byte| {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
        text
    })
}

/// A manifest of either kind.
#[derive(Debug)]
pub(super) enum ParsedManifest {
    /// An image for one platform.
    Image(Box<ImageManifest>),
    /// A list of images by platform.
    Index(Box<Index>),
}

/// The media type of a `Content-Type` header, as containerd reads it: without parameters, otherwise verbatim.
pub(super) fn media_type_of(content_type: Option<&str>) -> &str {
    content_type.unwrap_or_default().split(';').next().unwrap_or_default()
}

/// Checks that a media type can be pulled as an image.
pub(super) fn supported(media_type: &str) -> Result<(), String> {
    if MANIFEST_TYPES.contains(&media_type) {
        return Ok(());
    }
    Err(format!(
        "its media type is {}, expected an OCI or Docker schema 2 image manifest or index",
        named(media_type)
    ))
}

/// Parses a manifest by its announced media type; a media type in the body can only contradict it.
pub(super) fn read_manifest(media_type: &str, body: &[u8]) -> Result<ParsedManifest, String> {
    supported(media_type)?;
    let text = String::from_utf8_lossy(body);
    let document = json::document(&text).map_err(|fault| format!("it {fault}"))?;
    let whole = |fault: json::Fault| fault.to_string();
    if is_index(media_type) {
        return parse::read_index(document)
            .map(|index| ParsedManifest::Index(Box::new(index)))
            .map_err(whole);
    }
    let image = parse::read_image(document).map_err(whole)?;
    if !is_configuration(&image.config.media_type) {
        return Err(format!(
            "config.mediaType is {}, which is not an image configuration, so no layer is unpacked and no container \
             can start",
            named(&image.config.media_type)
        ));
    }
    Ok(ParsedManifest::Image(Box::new(image)))
}

/// Formats a media type for a message. One that is too long is replaced, not cut: it could contain part of a secret.
fn named(media_type: &str) -> String {
    /// Two names of 127 characters (RFC 6838, section 4.2).
    const LONGEST: usize = 255;
    match media_type {
        "" => "(none)".to_owned(),
        short if short.len() <= LONGEST => bounded(short),
        _ => "(too long)".to_owned(),
    }
}

/// Selects the best index entry for a platform, or returns the available platforms. As in containerd, an entry without a
/// platform matches if no other entry does.
pub(super) fn select_platform<'index>(
    index: &'index Index,
    platform: &Platform,
) -> Result<&'index Entry, Vec<String>> {
    let ranked = index
        .entries
        .iter()
        .filter_map(|entry| entry.platform.as_ref().and_then(|name| platform.rank(name)).zip(Some(entry)));
    let best = ranked.min_by_key(|(rank, _)| *rank).map(|(_, entry)| entry);
    best.or_else(|| index.entries.iter().find(|entry| entry.platform.is_none())).ok_or_else(|| {
        let mut found: Vec<String> = Vec::new();
        for name in index.entries.iter().filter_map(|entry| entry.platform.as_ref()) {
            let name = name.display_name();
            if found.last() != Some(&name) {
                found.push(name);
            }
            if found.len() == MAX_PLATFORMS {
                break;
            }
        }
        found
    })
}

impl Entry {
    /// Rejects a selected entry that containerd would reject: its media type is not supported, or it cannot be fetched.
    pub(super) fn check(&self) -> Result<(), String> {
        supported(&self.descriptor.media_type).map_err(|reason| format!("in its index, {reason}"))?;
        self.descriptor.check().map_err(|fault| format!("its index entry for this node {fault}"))
    }
}

/// Parses an image's configuration, and compares its layers with the manifest's.
pub(super) fn read_configuration(image: &ImageManifest, config: &[u8]) -> Result<Configuration, String> {
    let text = String::from_utf8_lossy(config);
    let document = json::document(&text).map_err(|fault| format!("it {fault}"))?;
    let read = parse::read_configuration(document).map_err(|fault| fault.to_string())?;
    if read.diff_ids == image.layers {
        return Ok(read);
    }
    Err(format!("rootfs.diff_ids has {} entries, the manifest {} layers", read.diff_ids, image.layers))
}

#[cfg(test)]
mod tests;
