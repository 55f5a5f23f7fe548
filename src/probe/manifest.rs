//! Manifests and what stands in them: media types, digests, platforms.
//!
//! Bytes in, facts out: pure and bounded. What [`json`] and [`shape`] refuse, containerd refuses; the digests are computed here,
//! because a check is over the bytes that came.

mod json;
mod platform;
mod shape;

use oci_client::manifest::{
    IMAGE_CONFIG_MEDIA_TYPE, IMAGE_DOCKER_CONFIG_MEDIA_TYPE, IMAGE_MANIFEST_LIST_MEDIA_TYPE,
    IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE,
};
use sha2::{Digest as _, Sha256};

pub use platform::Platform;
pub(super) use shape::{Configuration, Descriptor, Entry, ImageManifest, Index};

use crate::image::is_sha256_digest as is_digest;
use crate::secret::hear;

/// Platforms of an index that a report lists.
const MAX_PLATFORMS: usize = 16;

/// The media types that are asked for, as containerd does.
pub(super) const MANIFEST_TYPES: [&str; 4] = [
    IMAGE_MANIFEST_MEDIA_TYPE,
    IMAGE_MANIFEST_LIST_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE,
    OCI_IMAGE_INDEX_MEDIA_TYPE,
];
/// The layers that are unpacked, as containerd's `IsLayerType` knows them: these, with or without a suffix, and all that
/// begin with [`OCI_LAYERS`].
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

/// Docker's first builds announced a configuration as any bytes; clients go by what is in it.
fn is_configuration(media_type: &str) -> bool {
    [IMAGE_CONFIG_MEDIA_TYPE, IMAGE_DOCKER_CONFIG_MEDIA_TYPE, "application/octet-stream"]
        .contains(&media_type)
}

fn is_layer(media_type: &str) -> bool {
    let base = media_type.split('+').next().unwrap_or_default();
    media_type.starts_with(OCI_LAYERS) || LAYER_TYPES.contains(&base)
}

/// `sha256:…` of some bytes.
pub(super) fn digest_of(bytes: &[u8]) -> String {
    hex_digest(Sha256::digest(bytes).as_slice())
}

/// The written form of a SHA-256.
pub(super) fn hex_digest(hash: &[u8]) -> String {
    hash.iter().fold("sha256:".to_owned(), |mut text, byte| {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
        text
    })
}

/// A manifest, of one of the two kinds.
#[derive(Debug)]
pub(super) enum ParsedManifest {
    /// An image for one platform.
    Image(Box<ImageManifest>),
    /// A list of images by platform.
    Index(Box<Index>),
}

/// The media type that a header announces, as containerd takes it: what stands before the parameters, letter by letter.
pub(super) fn media_type_of(content_type: Option<&str>) -> &str {
    content_type.unwrap_or_default().split(';').next().unwrap_or_default()
}

/// Whether something of a media type can be pulled as an image, or what is wrong with it.
pub(super) fn supported(media_type: &str) -> Result<(), String> {
    if MANIFEST_TYPES.contains(&media_type) {
        return Ok(());
    }
    Err(format!(
        "its media type is {}, expected an OCI or Docker schema 2 image manifest or index",
        named(media_type)
    ))
}

/// Reads a manifest of an announced media type: what the body says of itself can only contradict it.
pub(super) fn read_manifest(media_type: &str, body: &[u8]) -> Result<ParsedManifest, String> {
    supported(media_type)?;
    let text = String::from_utf8_lossy(body);
    let document = json::document(&text).map_err(|fault| format!("it {fault}"))?;
    let whole = |fault: json::Fault| fault.to_string();
    if is_index(media_type) {
        return shape::read_index(document)
            .map(|index| ParsedManifest::Index(Box::new(index)))
            .map_err(whole);
    }
    let image = shape::read_image(document).map_err(whole)?;
    if !is_configuration(&image.config.media_type) {
        return Err(format!(
            "config.mediaType is {}, which is not an image configuration, so no layer is unpacked and no container \
             can start",
            named(&image.config.media_type)
        ));
    }
    Ok(ParsedManifest::Image(Box::new(image)))
}

/// A media type as a phrase names it; one that is too long is none, and is not cut: a part of a secret is one too.
fn named(media_type: &str) -> String {
    /// Two names of 127 characters (RFC 6838, section 4.2).
    const LONGEST: usize = 255;
    match media_type {
        "" => "(none)".to_owned(),
        short if short.len() <= LONGEST => hear(short),
        _ => "(too long)".to_owned(),
    }
}

/// The entry of an index that fits a platform best, or the platforms that there are. As containerd does, an entry that names
/// no platform fits where none names one that the node runs.
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
            let name = name.heard();
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
    /// What containerd refuses once it has chosen the entry: it is of no kind that can be pulled, or cannot be fetched.
    pub(super) fn check(&self) -> Result<(), String> {
        supported(&self.descriptor.media_type).map_err(|reason| format!("in its index, {reason}"))?;
        self.descriptor.check().map_err(|fault| format!("its index entry for this node {fault}"))
    }
}

/// Reads an image's configuration, and holds its layers against the manifest's.
pub(super) fn read_configuration(image: &ImageManifest, config: &[u8]) -> Result<Configuration, String> {
    let text = String::from_utf8_lossy(config);
    let document = json::document(&text).map_err(|fault| format!("it {fault}"))?;
    let read = shape::read_configuration(document).map_err(|fault| fault.to_string())?;
    if read.diff_ids == image.layers {
        return Ok(read);
    }
    Err(format!("rootfs.diff_ids has {} entries, the manifest {} layers", read.diff_ids, image.layers))
}

#[cfg(test)]
mod tests;
