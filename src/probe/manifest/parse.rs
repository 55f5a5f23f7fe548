//! Parses manifests, indexes and image configurations by Go's types for them, and keeps only what a check needs.
//!
//! The types are those of the OCI image specification's Go package, which containerd also uses for Docker's documents. Parsed
//! in full, 4 MiB of `{}` and small strings become more than 50 MiB of structures, and several images are checked at a time.
//! Therefore every entry is checked against its type, but only the candidates are kept: the smallest layer, and the first
//! entry of each platform in an index. This module does not know which platform is wanted. `oci-client` has such types, but
//! keeps all entries and accepts other documents than containerd.

use serde_json::value::RawValue;

use super::json::{self, Fault, Field, Kind};
use super::platform::PlatformName;

/// Maximum number of different platforms in an index: Go, whose names these are, builds for some fifty.
const MAX_PLATFORMS: usize = 256;

const TEXTS: Kind = Kind::List(&Kind::Text);
const TEXT_BY_TEXT: Kind = Kind::Map(&Kind::Text);
/// A set: the values are empty objects.
const SET: Kind = Kind::Map(&Kind::Object(&[]));

const PLATFORM: [Field; 5] = [
    ("architecture", Kind::Text),
    ("os", Kind::Text),
    ("os.version", Kind::Text),
    ("os.features", TEXTS),
    ("variant", Kind::Text),
];
const DESCRIPTOR: [Field; 8] = [
    ("mediaType", Kind::Text),
    ("digest", Kind::Text),
    ("size", Kind::Integer),
    ("urls", TEXTS),
    ("annotations", TEXT_BY_TEXT),
    ("data", Kind::Bytes),
    ("platform", Kind::Own),
    ("artifactType", Kind::Text),
];
/// Includes the fields of the other document kind and of schema 1: their presence is a fault.
const IMAGE: [Field; 9] = [
    ("schemaVersion", Kind::Integer),
    ("mediaType", Kind::Text),
    ("artifactType", Kind::Text),
    ("config", Kind::Own),
    ("layers", Kind::Own),
    ("subject", Kind::Own),
    ("annotations", TEXT_BY_TEXT),
    ("manifests", Kind::Own),
    ("fsLayers", Kind::Own),
];
const CONFIGURATION: [Field; 10] = [
    ("created", Kind::Time),
    ("author", Kind::Text),
    ("architecture", Kind::Text),
    ("os", Kind::Text),
    ("os.version", Kind::Text),
    ("os.features", TEXTS),
    ("variant", Kind::Text),
    ("config", Kind::Object(&EXECUTION)),
    ("rootfs", Kind::Own),
    ("history", Kind::List(&Kind::Object(&HISTORY))),
];
const EXECUTION: [Field; 10] = [
    ("User", Kind::Text),
    ("ExposedPorts", SET),
    ("Env", TEXTS),
    ("Entrypoint", TEXTS),
    ("Cmd", TEXTS),
    ("Volumes", SET),
    ("WorkingDir", Kind::Text),
    ("Labels", TEXT_BY_TEXT),
    ("StopSignal", Kind::Text),
    ("ArgsEscaped", Kind::Flag),
];
const HISTORY: [Field; 5] = [
    ("created", Kind::Time),
    ("created_by", Kind::Text),
    ("author", Kind::Text),
    ("comment", Kind::Text),
    ("empty_layer", Kind::Flag),
];
const ROOTFS: [Field; 2] = [("type", Kind::Text), ("diff_ids", Kind::Own)];

/// A content descriptor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::probe) struct Descriptor {
    pub(in crate::probe) media_type: String,
    pub(in crate::probe) digest: String,
    /// In bytes.
    pub(in crate::probe) size: i64,
}

/// An image for one platform.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::probe) struct ImageManifest {
    pub(in crate::probe) config: Descriptor,
    /// The first of the smallest layers, of any kind.
    pub(in crate::probe) smallest: Option<Descriptor>,
    /// The number of filesystem layers, which are unpacked; others are only fetched.
    pub(in crate::probe) layers: usize,
}

/// A list of images by platform; each platform once, and the first entry without one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::probe) struct Index {
    pub(in crate::probe) entries: Vec<Entry>,
}

/// An entry of an index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::probe) struct Entry {
    pub(in crate::probe) descriptor: Descriptor,
    pub(in crate::probe) platform: Option<PlatformName>,
}

/// The parts of an image's configuration that affect a pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::probe) struct Configuration {
    pub(in crate::probe) platform: PlatformName,
    pub(in crate::probe) diff_ids: usize,
}

/// Reads an image's manifest.
pub(super) fn read_image(document: &RawValue) -> Result<ImageManifest, Fault> {
    let mut image = ImageManifest::default();
    json::object(document, &IMAGE, |name, value| match name {
        "config" => image.config.read(value).map(drop),
        "layers" => {
            (image.smallest, image.layers) = (None, 0);
            json::list(value, |element| {
                let mut layer = Descriptor::default();
                layer.read(element)?;
                image.add(layer)
            })
        }
        "subject" => Descriptor::default().read(value).map(drop),
        "mediaType" if super::is_index(&json::text(value)?) => {
            Err(Fault::new("is that of an index, but the registry serves it as an image"))
        }
        "manifests" => Err(Fault::new("is only valid in an index, but the media type is that of an image")),
        "fsLayers" => Err(Fault::new("is only valid in a schema 1 manifest")),
        _ => Ok(()),
    })?;
    image.config.check().map_err(|fault| fault.within("config"))?;
    Ok(image)
}

/// Reads an index.
pub(super) fn read_index(document: &RawValue) -> Result<Index, Fault> {
    let mut index = Index::default();
    json::object(document, &IMAGE, |name, value| match name {
        "manifests" => {
            index.entries.clear();
            json::list(value, |element| {
                let mut descriptor = Descriptor::default();
                let platform = descriptor.read(element)?;
                index.add(Entry { descriptor, platform })
            })
        }
        "subject" => Descriptor::default().read(value).map(drop),
        "mediaType" if super::is_image(&json::text(value)?) => {
            Err(Fault::new("is that of an image, but the registry serves it as an index"))
        }
        "config" | "layers" => {
            Err(Fault::new("is only valid in an image, but the media type is that of an index"))
        }
        "fsLayers" => Err(Fault::new("is only valid in a schema 1 manifest")),
        _ => Ok(()),
    })?;
    Ok(index)
}

/// Reads an image's configuration.
pub(super) fn read_configuration(document: &RawValue) -> Result<Configuration, Fault> {
    let mut names = Names::default();
    let mut diff_ids = 0;
    json::object(document, &CONFIGURATION, |name, value| match name {
        "rootfs" => json::object(value, &ROOTFS, |name, value| {
            if name == "diff_ids" {
                diff_ids = 0;
                return json::list(value, |element| {
                    diff_ids += 1;
                    json::text(element).map(drop)
                });
            }
            Ok(())
        }),
        _ => names.read(name, value),
    })?;
    Ok(Configuration { platform: names.platform(), diff_ids })
}

impl Descriptor {
    /// Reads the fields of an object; returns its platform.
    fn read(&mut self, raw: &RawValue) -> Result<Option<PlatformName>, Fault> {
        let mut names = None;
        json::object(raw, &DESCRIPTOR, |name, value| {
            match name {
                "platform" if json::is_null(value) => names = None,
                "platform" => {
                    let names = names.get_or_insert_with(Names::default);
                    json::object(value, &PLATFORM, |name, value| names.read(name, value))?;
                }
                "mediaType" if !json::is_null(value) => self.media_type = json::text(value)?,
                "digest" if !json::is_null(value) => self.digest = json::text(value)?,
                "size" => self.size = json::integer(value)?.unwrap_or(self.size),
                _ => {}
            }
            Ok(())
        })?;
        Ok(names.map(|names| names.platform()))
    }

    /// Rejects what containerd cannot fetch: no bytes, or no comparable digest.
    pub(super) fn check(&self) -> Result<(), Fault> {
        if !super::is_digest(&self.digest) {
            return Err(Fault::new("has a digest that is not sha256"));
        }
        if self.size < 1 {
            return Err(Fault::new(format!("has a size of {}, expected at least one byte", self.size)));
        }
        Ok(())
    }
}

impl ImageManifest {
    fn add(&mut self, layer: Descriptor) -> Result<(), Fault> {
        layer.check()?;
        if super::is_layer(&layer.media_type) {
            self.layers += 1;
        }
        if self.smallest.as_ref().is_none_or(|known| layer.size < known.size) {
            self.smallest = Some(layer);
        }
        Ok(())
    }
}

impl Index {
    fn add(&mut self, entry: Entry) -> Result<(), Fault> {
        if self.entries.iter().any(|known| known.platform == entry.platform) {
            return Ok(());
        }
        if self.entries.len() > MAX_PLATFORMS {
            return Err(Fault::new("exceeds the number of known platforms"));
        }
        self.entries.push(entry);
        Ok(())
    }
}

/// The names of a platform as written.
#[derive(Default)]
struct Names {
    os: String,
    architecture: String,
    variant: String,
    has_features: bool,
}

impl Names {
    fn read(&mut self, name: &str, value: &RawValue) -> Result<(), Fault> {
        let text = match name {
            "os" => &mut self.os,
            "architecture" => &mut self.architecture,
            "variant" => &mut self.variant,
            "os.features" => {
                self.has_features = false;
                return json::list(value, |_| {
                    self.has_features = true;
                    Ok(())
                });
            }
            _ => return Ok(()),
        };
        if !json::is_null(value) {
            *text = json::text(value)?;
        }
        Ok(())
    }

    fn platform(&self) -> PlatformName {
        PlatformName::new(&self.os, &self.architecture, &self.variant).needing_features(self.has_features)
    }
}
