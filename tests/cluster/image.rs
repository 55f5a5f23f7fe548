//! Builds a runnable image: one static program, as an OCI layout for containerd and as blobs for a registry.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use support::namespaces::process::run;

/// From Debian's busybox-static; another build may need libraries.
pub(crate) const PROGRAM: &str = "/bin/busybox";

/// An image that sleeps indefinitely.
pub(crate) struct Image {
    pub(crate) manifest: (String, Vec<u8>),
    pub(crate) blobs: Vec<(String, Vec<u8>)>,
}

impl Image {
    /// Builds an image; `mark` distinguishes two of them.
    pub(crate) fn make(folder: &Path, mark: &str) -> Self {
        let root = folder.join(mark);
        fs::create_dir_all(&root).expect("a folder");
        fs::copy(PROGRAM, root.join("busybox")).expect("busybox-static is installed");
        fs::write(root.join("mark"), mark).expect("a file");
        let archive = folder.join(format!("{mark}.layer"));
        let (root, archive) = (root.display().to_string(), archive.display().to_string());
        run(
            "tar",
            &[
                "--directory",
                &root,
                "--owner=0",
                "--group=0",
                "--create",
                "--file",
                &archive,
                "busybox",
                "mark",
            ],
            "",
        );
        let layer = fs::read(&archive).expect("the layer");
        let config = json!({
            "architecture": if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" },
            "os": "linux",
            "config": {"Entrypoint": ["/busybox", "sleep", "1000000"], "User": "65532:65532"},
            "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
        });
        let config = config.to_string().into_bytes();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
        });
        let manifest = manifest.to_string().into_bytes();
        Self {
            manifest: (digest(&manifest), manifest),
            blobs: vec![(digest(&config), config), (digest(&layer), layer)],
        }
    }

    /// Writes an archive for `ctr images import` with this image name.
    pub(crate) fn archive(&self, folder: &Path, name: &str) -> PathBuf {
        let layout = folder.join("layout");
        let blobs = layout.join("blobs/sha256");
        fs::create_dir_all(&blobs).expect("a folder");
        for (digest, bytes) in self.blobs.iter().chain([&self.manifest]) {
            fs::write(blobs.join(digest.trim_start_matches("sha256:")), bytes).expect("a file");
        }
        let mut manifest = descriptor("application/vnd.oci.image.manifest.v1+json", &self.manifest.1);
        manifest["annotations"] = json!({"io.containerd.image.name": name});
        let index = json!({"schemaVersion": 2, "manifests": [manifest]});
        fs::write(layout.join("index.json"), index.to_string()).expect("a file");
        fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion": "1.0.0"}"#).expect("a file");
        let archive = folder.join("image.tar");
        let (layout, path) = (layout.display().to_string(), archive.display().to_string());
        run("tar", &["--directory", &layout, "--create", "--file", &path, "."], "");
        archive
    }
}

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn descriptor(kind: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": kind, "digest": digest(bytes), "size": bytes.len()})
}
