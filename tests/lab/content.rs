//! The images of the lab: layers, configs, manifests and indexes, with their digests.
//!
//! Owns the bytes. HTTP and faults are elsewhere: wrong bytes are created when sent.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::oddities;

pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub const OCI_PLAIN_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// The repository of the default images.
pub const REPOSITORY: &str = "apps/canary";

/// A stored manifest or index.
#[derive(Clone, Debug)]
pub struct Manifest {
    pub media_type: &'static str,
    pub bytes: Vec<u8>,
}

/// One repository.
#[derive(Clone, Debug, Default)]
pub struct Repository {
    tags: HashMap<String, String>,
    manifests: HashMap<String, Manifest>,
    blobs: HashMap<String, Vec<u8>>,
}

/// All repositories.
#[derive(Clone, Debug)]
pub struct Content(HashMap<String, Arc<Repository>>);

impl Content {
    /// `apps/canary` with the tags `1`, `latest`, `single`, `foreign`, `newer`, `older`, `nested` and `tiny`; and `apps/odd`.
    pub(crate) fn new() -> Self {
        let mut canary = Repository::default();
        let amd64 = canary.add_image("linux", "amd64", Format::Oci);
        let arm64 = canary.add_image("linux", "arm64", Format::Oci);
        let attestation = canary.add_attestation(&amd64);
        let multi = canary.add_index(&[amd64, arm64, attestation]);
        canary.tag("1", &multi);
        canary.tag("latest", &multi);
        let single = canary.add_image("linux", running_architecture(), Format::Docker);
        canary.tag("single", &single);
        let windows = canary.add_image("windows", "amd64", Format::Oci);
        let s390x = canary.add_image("linux", "s390x", Format::Oci);
        let foreign = canary.add_index(&[windows, s390x]);
        canary.tag("foreign", &foreign);
        let newer = canary.add_image("linux", "amd64", Format::Oci);
        let newer = with_variant(newer, "v3");
        let older = canary.add_image("linux", "386", Format::Oci);
        let index = canary.add_index(std::slice::from_ref(&newer));
        canary.tag("newer", &index);
        let index = canary.add_index(&[newer, older]);
        canary.tag("older", &index);
        let inner = json!({"mediaType": OCI_INDEX, "digest": multi["digest"], "size": multi["size"]});
        let nested = canary.add_index(&[inner]);
        canary.tag("nested", &nested);
        let tiny = canary.add_tiny_image();
        let tiny = canary.add_index(&[tiny]);
        canary.tag("tiny", &tiny);
        let odd = Arc::clone(&oddities::REPOSITORY);
        Self(HashMap::from([(REPOSITORY.to_owned(), Arc::new(canary)), (oddities::ODD.to_owned(), odd)]))
    }

    pub fn repository(&self, name: &str) -> Option<&Repository> {
        self.0.get(name).map(Arc::as_ref)
    }

    /// The digest that a tag of the default repository points to.
    pub fn digest(&self, tag: &str) -> Option<&str> {
        self.repository(REPOSITORY)?.tags.get(tag).map(String::as_str)
    }
}

/// An index entry for a variant of its architecture.
fn with_variant(mut descriptor: Value, variant: &str) -> Value {
    descriptor["platform"]["variant"] = variant.into();
    descriptor
}

impl Repository {
    /// A manifest by tag or digest, with its digest.
    pub fn manifest(&self, reference: &str) -> Option<(&str, &Manifest)> {
        let digest = self.tags.get(reference).map_or(reference, String::as_str);
        self.manifests.get_key_value(digest).map(|(digest, manifest)| (digest.as_str(), manifest))
    }

    /// Every tag with its digest.
    pub fn tags(&self) -> impl Iterator<Item = (&str, &str)> {
        self.tags.iter().map(|(tag, digest)| (tag.as_str(), digest.as_str()))
    }

    /// Every manifest and index with its digest.
    pub fn manifests(&self) -> impl Iterator<Item = (&str, &Manifest)> {
        self.manifests.iter().map(|(digest, manifest)| (digest.as_str(), manifest))
    }

    /// Every blob with its digest.
    pub fn blobs(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.blobs.iter().map(|(digest, bytes)| (digest.as_str(), bytes.as_slice()))
    }

    pub fn blob(&self, digest: &str) -> Option<&[u8]> {
        self.blobs.get(digest).map(Vec::as_slice)
    }

    pub(super) fn tag(&mut self, tag: &str, descriptor: &Value) {
        let digest = descriptor["digest"].as_str().expect("a descriptor has a digest");
        self.tags.insert(tag.to_owned(), digest.to_owned());
    }

    /// Adds an image of one platform: config, two layers, manifest. Returns the descriptor for an index.
    fn add_image(&mut self, os: &str, architecture: &str, format: Format) -> Value {
        let layers = [layer(2_479, os, architecture), layer(5_120, architecture, os)];
        let config = json!({
            "architecture": architecture, "os": os,
            "config": {"Cmd": ["/canary"]},
            "rootfs": {"type": "layers", "diff_ids": layers.iter().map(|layer| digest_of(layer)).collect::<Vec<_>>()},
        });
        let config = self.add_blob(format.config(), config.to_string().into_bytes());
        let layers: Vec<_> = layers.into_iter().map(|bytes| self.add_blob(format.layer(), bytes)).collect();
        let mut descriptor = self.add_manifest(
            format.manifest(),
            &json!({"schemaVersion": 2, "mediaType": format.manifest(), "config": config, "layers": layers}),
        );
        descriptor["platform"] = json!({"architecture": architecture, "os": os});
        descriptor
    }

    /// An image of one small file for this machine.
    fn add_tiny_image(&mut self) -> Value {
        let (os, architecture) = ("linux", running_architecture());
        let layer = tar("canary", b"a canary\n");
        let config = json!({
            "architecture": architecture, "os": os,
            "rootfs": {"type": "layers", "diff_ids": [digest_of(&layer)]},
        });
        let config = self.add_blob(OCI_CONFIG, config.to_string().into_bytes());
        let layer = self.add_blob(OCI_PLAIN_LAYER, layer);
        let mut descriptor = self.add_manifest(
            OCI_MANIFEST,
            &json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer]}),
        );
        descriptor["platform"] = json!({"architecture": architecture, "os": os});
        descriptor
    }

    /// An attestation as added by build tools: a manifest for the platform `unknown/unknown`.
    fn add_attestation(&mut self, subject: &Value) -> Value {
        let config = self.add_blob(OCI_CONFIG, br#"{"architecture":"unknown","os":"unknown"}"#.to_vec());
        let statement = json!({"_type": "https://in-toto.io/Statement/v0.1", "subject": [subject["digest"]]});
        let layer = self.add_blob("application/vnd.in-toto+json", statement.to_string().into_bytes());
        let mut descriptor = self.add_manifest(
            OCI_MANIFEST,
            &json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer]}),
        );
        descriptor["platform"] = json!({"architecture": "unknown", "os": "unknown"});
        descriptor["annotations"] = json!({
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": subject["digest"],
        });
        descriptor
    }

    fn add_index(&mut self, manifests: &[Value]) -> Value {
        self.add_manifest(
            OCI_INDEX,
            &json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}),
        )
    }

    pub(super) fn add_manifest(&mut self, media_type: &'static str, manifest: &Value) -> Value {
        let bytes = manifest.to_string().into_bytes();
        let digest = digest_of(&bytes);
        let descriptor = json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
        self.manifests.insert(digest, Manifest { media_type, bytes });
        descriptor
    }

    pub(super) fn add_blob(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let digest = digest_of(&bytes);
        let descriptor = json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
        self.blobs.insert(digest, bytes);
        descriptor
    }
}

/// The media types of an image.
#[derive(Clone, Copy, Debug)]
enum Format {
    Oci,
    Docker,
}

impl Format {
    fn manifest(self) -> &'static str {
        match self {
            Self::Oci => OCI_MANIFEST,
            Self::Docker => DOCKER_MANIFEST,
        }
    }

    fn config(self) -> &'static str {
        match self {
            Self::Oci => OCI_CONFIG,
            Self::Docker => DOCKER_CONFIG,
        }
    }

    fn layer(self) -> &'static str {
        match self {
            Self::Oci => OCI_LAYER,
            Self::Docker => DOCKER_LAYER,
        }
    }
}

/// `sha256:` and the digest in hexadecimal.
pub fn digest_of(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// The architecture of this machine in the names used by images.
pub fn running_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// An unpackable layer: a tar of one file, identical for the same platform.
pub(super) fn layer(length: usize, first: &str, second: &str) -> Vec<u8> {
    let mut file = Vec::with_capacity(length + 32);
    let mut block = Sha256::digest(format!("{first}/{second}"));
    while file.len() < length {
        file.extend_from_slice(&block);
        block = Sha256::digest(block);
    }
    file.truncate(length);
    tar("canary", &file)
}

/// An archive of one file in POSIX format (ustar): a header block, the content in full blocks, two empty blocks.
fn tar(name: &str, bytes: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 512;
    let mut head = [0_u8; BLOCK];
    let mut put = |at: usize, text: &str| head[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{:011o}\0", bytes.len()));
    put(136, "00000000000\0");
    // The checksum covers the header with spaces in the checksum field.
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = head.to_vec();
    archive.extend_from_slice(bytes);
    archive.resize(archive.len().next_multiple_of(BLOCK) + 2 * BLOCK, 0);
    archive
}
