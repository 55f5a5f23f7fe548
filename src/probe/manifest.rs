//! Manifests and what stands in them: media types, digests, platforms.
//!
//! Bytes in, facts out: pure and bounded. The types are oci-client's, filled by [`shape`]; the digests are computed here,
//! because a check is over the bytes that came.

mod platform;
mod shape;

use oci_client::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, ImageIndexEntry, OCI_IMAGE_INDEX_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE, OciImageIndex, OciImageManifest,
};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

pub use platform::Platform;
pub(super) use platform::PlatformName;

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
    /// An image for one platform; of its layers only the one that a check could read.
    Image(Box<OciImageManifest>),
    /// A list of images by platform, each platform once.
    Index(Box<OciImageIndex>),
}

/// Reads a manifest; its media type is the header's, or the body's own where the header names none of the four.
pub(super) fn read_manifest(
    content_type: Option<&str>,
    body: &[u8],
) -> Result<(ParsedManifest, String), String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Shape {
        schema_version: Option<u64>,
        media_type: Option<String>,
    }
    let shape: Shape =
        serde_json::from_slice(body).map_err(|_| "it is not the JSON of a manifest".to_owned())?;
    if shape.schema_version != Some(2) {
        let version = shape.schema_version.map_or_else(|| "absent".to_owned(), |version| version.to_string());
        return Err(format!("its schemaVersion is {version}, and only 2 can be pulled"));
    }
    let header =
        content_type.map(|value| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    let known =
        |media_type: Option<String>| media_type.filter(|kind| MANIFEST_TYPES.contains(&kind.as_str()));
    let Some(media_type) = known(header.clone()).or_else(|| known(shape.media_type)) else {
        return Err(format!("its media type {} is unsupported", named(header.as_deref())));
    };
    let is_index = media_type == OCI_IMAGE_INDEX_MEDIA_TYPE || media_type == IMAGE_MANIFEST_LIST_MEDIA_TYPE;
    let parsed = if is_index {
        shape::read_index(body).map(|index| ParsedManifest::Index(Box::new(index)))
    } else {
        shape::read_image(body).map(|image| ParsedManifest::Image(Box::new(image)))
    };
    parsed
        .map(|manifest| (manifest, media_type.clone()))
        .map_err(|_| format!("it is not a valid {media_type}"))
}

/// A media type as a phrase names it; one that is too long is none, and is not cut: a part of a secret is one too.
fn named(media_type: Option<&str>) -> String {
    /// Two names of 127 characters (RFC 6838, section 4.2).
    const LONGEST: usize = 255;
    let media_type = media_type.unwrap_or("(none)");
    if media_type.len() <= LONGEST { hear(media_type) } else { "(over-long)".to_owned() }
}

/// The entry of an index that fits a platform best, or the platforms that there are. As containerd does, an entry that names
/// no platform fits where none names one that the node runs.
pub(super) fn select_platform<'index>(
    index: &'index OciImageIndex,
    platform: &Platform,
) -> Result<&'index ImageIndexEntry, Vec<String>> {
    let ranked = index
        .manifests
        .iter()
        .filter_map(|entry| PlatformName::of(entry).and_then(|name| platform.rank(&name)).zip(Some(entry)));
    let best = ranked.min_by_key(|(rank, _)| *rank).map(|(_, entry)| entry);
    best.or_else(|| index.manifests.iter().find(|entry| entry.platform.is_none())).ok_or_else(|| {
        let mut found: Vec<String> = Vec::new();
        for name in index.manifests.iter().filter_map(PlatformName::of) {
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

/// The platform of an image's configuration, where the blob is one. containerd leaves the variant there alone.
pub(super) fn config_platform(config: &[u8]) -> Option<PlatformName> {
    #[derive(Deserialize)]
    struct Config {
        os: String,
        architecture: String,
    }
    let config: Config = serde_json::from_slice(config).ok()?;
    Some(PlatformName::new(&config.os, &config.architecture, ""))
}
