//! The JSON of manifests, read without keeping what no check needs.
//!
//! Taken over entry by entry, 4 MiB of `{}` and small strings become more than 50 MiB of structures, and several images are
//! checked at a time. So every entry is held against its form, and those alone are kept among which a check chooses: of
//! the layers the smallest, of an index the first of each platform. Nothing here knows which platform is wanted.

use std::borrow::Cow;
use std::fmt;

use oci_client::manifest::{ImageIndexEntry, OciDescriptor, OciImageIndex, OciImageManifest, Platform};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Different platforms of one index: Go, whose names these are, builds for some fifty.
const MAX_PLATFORMS: usize = 256;

/// Reads an image's manifest; of its layers only the smallest that has bytes is left.
pub(super) fn read_image(body: &[u8]) -> serde_json::Result<OciImageManifest> {
    let image: Image<'_> = serde_json::from_slice(body)?;
    Ok(OciImageManifest {
        schema_version: image.schema_version,
        config: image.config.keep(),
        layers: image.layers.0.into_iter().map(Descriptor::keep).collect(),
        ..OciImageManifest::default()
    })
}

/// Reads an index; of its entries only the first of each platform is left, and the first without one.
pub(super) fn read_index(body: &[u8]) -> serde_json::Result<OciImageIndex> {
    let index: Index<'_> = serde_json::from_slice(body)?;
    Ok(OciImageIndex {
        schema_version: index.schema_version,
        media_type: None,
        manifests: index.manifests.0.into_iter().map(Entry::keep).collect(),
        artifact_type: None,
        annotations: None,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Image<'json> {
    schema_version: u8,
    #[serde(borrow)]
    config: Descriptor<'json>,
    #[serde(borrow)]
    layers: Smallest<'json>,
    #[serde(rename = "mediaType")]
    _media_type: Option<Text>,
    #[serde(rename = "subject", borrow)]
    _subject: Option<Descriptor<'json>>,
    #[serde(rename = "artifactType")]
    _artifact_type: Option<Text>,
    #[serde(rename = "annotations")]
    _annotations: Option<Texts>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index<'json> {
    schema_version: u8,
    #[serde(borrow)]
    manifests: Entries<'json>,
    #[serde(rename = "mediaType")]
    _media_type: Option<Text>,
    #[serde(rename = "artifactType")]
    _artifact_type: Option<Text>,
    #[serde(rename = "annotations")]
    _annotations: Option<Texts>,
}

#[derive(Deserialize)]
struct Descriptor<'json> {
    #[serde(rename = "mediaType")]
    _media_type: Text,
    #[serde(borrow)]
    digest: Cow<'json, str>,
    size: i64,
    #[serde(rename = "urls")]
    _urls: Option<Vec<Text>>,
    #[serde(rename = "annotations")]
    _annotations: Option<Texts>,
    #[serde(rename = "artifactType")]
    _artifact_type: Option<Text>,
}

#[derive(Deserialize)]
struct Entry<'json> {
    #[serde(rename = "mediaType")]
    _media_type: Text,
    #[serde(borrow)]
    digest: Cow<'json, str>,
    size: i64,
    #[serde(borrow)]
    platform: Option<PlatformNames<'json>>,
    #[serde(rename = "annotations")]
    _annotations: Option<Texts>,
    #[serde(rename = "artifactType")]
    _artifact_type: Option<Text>,
}

#[derive(Deserialize)]
struct PlatformNames<'json> {
    #[serde(borrow)]
    architecture: Cow<'json, str>,
    #[serde(borrow)]
    os: Cow<'json, str>,
    #[serde(rename = "os.version")]
    _os_version: Option<Text>,
    #[serde(rename = "os.features")]
    _os_features: Option<Vec<Text>>,
    variant: Option<Cow<'json, str>>,
    #[serde(rename = "features")]
    _features: Option<Vec<Text>>,
}

impl Descriptor<'_> {
    fn keep(self) -> OciDescriptor {
        OciDescriptor { digest: self.digest.into_owned(), size: self.size, ..OciDescriptor::default() }
    }
}

impl Entry<'_> {
    fn names(&self) -> Option<(&str, &str, Option<&str>)> {
        self.platform.as_ref().map(|platform| {
            (platform.os.as_ref(), platform.architecture.as_ref(), platform.variant.as_deref())
        })
    }

    fn keep(self) -> ImageIndexEntry {
        let platform = self.platform.map(|names| Platform {
            architecture: names.architecture.as_ref().into(),
            os: names.os.as_ref().into(),
            os_version: None,
            os_features: None,
            variant: names.variant.map(Cow::into_owned),
            features: None,
        });
        ImageIndexEntry {
            media_type: String::new(),
            digest: self.digest.into_owned(),
            size: self.size,
            platform,
            annotations: None,
            artifact_type: None,
        }
    }
}

/// Of a list of layers the first among the smallest that have bytes.
struct Smallest<'json>(Option<Descriptor<'json>>);

impl<'de: 'json, 'json> Deserialize<'de> for Smallest<'json> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Layers;
        impl<'de> Visitor<'de> for Layers {
            type Value = Smallest<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list of layers")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut layers: A) -> Result<Self::Value, A::Error> {
                let mut smallest: Option<Descriptor<'de>> = None;
                while let Some(layer) = layers.next_element::<Descriptor<'de>>()? {
                    if layer.size > 0 && smallest.as_ref().is_none_or(|known| layer.size < known.size) {
                        smallest = Some(layer);
                    }
                }
                Ok(Smallest(smallest))
            }
        }
        deserializer.deserialize_seq(Layers)
    }
}

/// Of the entries of an index the first of each platform.
struct Entries<'json>(Vec<Entry<'json>>);

impl<'de: 'json, 'json> Deserialize<'de> for Entries<'json> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Manifests;
        impl<'de> Visitor<'de> for Manifests {
            type Value = Entries<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list of manifests")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut kept: Vec<Entry<'de>> = Vec::new();
                while let Some(entry) = entries.next_element::<Entry<'de>>()? {
                    if kept.iter().any(|known| known.names() == entry.names()) {
                        continue;
                    }
                    if kept.len() > MAX_PLATFORMS {
                        return Err(A::Error::custom("more platforms than there are"));
                    }
                    kept.push(entry);
                }
                Ok(Entries(kept))
            }
        }
        deserializer.deserialize_seq(Manifests)
    }
}

/// A string that has to be one, and is not kept.
struct Text;

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Text;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }

            fn visit_str<E: Error>(self, _text: &str) -> Result<Text, E> {
                Ok(Text)
            }
        }
        deserializer.deserialize_str(Any)
    }
}

/// A map of strings, none of which is kept.
struct Texts;

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Texts;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a map of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Texts, A::Error> {
                while pairs.next_entry::<Text, Text>()?.is_some() {}
                Ok(Texts)
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use oci_client::manifest::{OciDescriptor, OciImageIndex, OciImageManifest};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{read_image, read_index};

    fn annotations() -> impl Strategy<Value = Value> {
        prop_oneof![
            3 => Just(Value::Null),
            3 => Just(json!({"a\n": "b", "c": ""})),
            1 => Just(json!({"a": 1})),
        ]
    }

    /// A descriptor, now and then of a wrong form.
    fn descriptor() -> impl Strategy<Value = Value> {
        let size = prop_oneof![4 => (-1_i64..4).prop_map(Value::from), 1 => Just(json!("4"))];
        let digest = prop_oneof![4 => "[a-c\\\\\"é]{0,4}".prop_map(Value::from), 1 => Just(Value::Null)];
        (size, digest, annotations(), 0..12_u8).prop_map(|(size, digest, annotations, odd)| {
            let mut descriptor =
                json!({"mediaType": "m", "digest": digest, "size": size, "annotations": annotations});
            match odd {
                0 => drop(descriptor.as_object_mut().expect("an object").remove("mediaType")),
                1 => descriptor["urls"] = json!(["https://example.net", ""]),
                2 => descriptor["urls"] = json!([1]),
                _ => {}
            }
            descriptor
        })
    }

    fn entry() -> impl Strategy<Value = Value> {
        let platform = ("[ab]", "[ab]", 0..8_u8).prop_map(|(os, architecture, odd)| match odd {
            0 => Value::Null,
            1 => json!({"os": os}),
            2 => json!({"os": os, "architecture": architecture, "os.features": ["x"], "variant": "v8"}),
            _ => json!({"os": os, "architecture": architecture}),
        });
        (descriptor(), platform).prop_map(|(mut entry, platform)| {
            if let Some(entry) = entry.as_object_mut() {
                entry.remove("urls");
                entry.insert("platform".to_owned(), platform);
            }
            entry
        })
    }

    proptest! {
        #[test]
        fn an_image_is_read_as_the_library_reads_it(
            config in descriptor(),
            layers in proptest::collection::vec(descriptor(), 0..6),
            annotations in annotations(),
        ) {
            let body = json!({"schemaVersion": 2, "config": config, "layers": layers, "annotations": annotations});
            let body = body.to_string();
            let whole = serde_json::from_str::<OciImageManifest>(&body);
            let thin = read_image(body.as_bytes());
            prop_assert_eq!(thin.is_ok(), whole.is_ok(), "{}", body);
            if let (Ok(thin), Ok(whole)) = (thin, whole) {
                let bare = |found: &OciDescriptor| (found.digest.clone(), found.size);
                prop_assert_eq!(bare(&thin.config), bare(&whole.config));
                let smallest = whole.layers.iter().filter(|layer| layer.size > 0).min_by_key(|layer| layer.size);
                prop_assert_eq!(thin.layers.first().map(bare), smallest.map(bare));
            }
        }

        #[test]
        fn an_index_is_read_as_the_library_reads_it(entries in proptest::collection::vec(entry(), 0..8)) {
            let body = json!({"schemaVersion": 2, "manifests": entries}).to_string();
            let whole = serde_json::from_str::<OciImageIndex>(&body);
            let thin = read_index(body.as_bytes());
            prop_assert_eq!(thin.is_ok(), whole.is_ok(), "{}", body);
            if let (Ok(thin), Ok(whole)) = (thin, whole) {
                for wanted in &whole.manifests {
                    let names = |platform: &oci_client::manifest::Platform| {
                        (platform.os.to_string(), platform.architecture.to_string())
                    };
                    let first = |index: &OciImageIndex| {
                        let alike = |entry: &&oci_client::manifest::ImageIndexEntry| {
                            entry.platform.as_ref().map(names) == wanted.platform.as_ref().map(names)
                        };
                        index.manifests.iter().find(alike).map(|entry| entry.digest.clone())
                    };
                    prop_assert_eq!(first(&thin), first(&whole));
                }
            }
        }
    }

    #[test]
    fn more_platforms_than_there_are_make_no_index() {
        let index = |count: usize| {
            let entry = |number| {
                json!({"mediaType": "", "digest": "", "size": 0,
                "platform": {"os": "linux", "architecture": format!("a{number}")}})
            };
            let entries: Vec<Value> = (0..count).map(entry).collect();
            json!({"schemaVersion": 2, "manifests": entries}).to_string()
        };
        assert_eq!(read_index(index(200).as_bytes()).map(|read| read.manifests.len()).ok(), Some(200));
        assert!(read_index(index(300).as_bytes()).is_err());
    }
}
