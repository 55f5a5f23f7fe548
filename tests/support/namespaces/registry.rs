//! Debian's docker-registry with token authentication, and the images in its storage.
//!
//! Owns the configuration and the storage layout. The lab provides tokens, TLS and redirects.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};

use super::network::{Namespace, REGISTRY};
use super::process::{Server, command};
use lab::content::REPOSITORY;
use lab::{ISSUER, Lab};

const PORT: u16 = 5_000;

/// A running docker-registry.
pub struct Registry {
    pub server: Server,
    root: PathBuf,
}

/// Its address inside the VNet.
pub fn address() -> SocketAddr {
    SocketAddr::from((REGISTRY, PORT))
}

impl Registry {
    /// Fills the storage with the lab's images, and starts the registry on it.
    pub fn start(vnet: &Namespace, folder: &Path, lab: &Lab) -> Self {
        let root = folder.join("registry");
        let certificate = folder.join("token.pem");
        fs::write(&certificate, lab.token_certificate_pem()).expect("a file");
        let login = lab.login_server();
        let configuration = serde_json::json!({
            "version": "0.1",
            "log": {"level": "info"},
            "storage": {
                "filesystem": {"rootdirectory": root},
                "maintenance": {"uploadpurging": {"enabled": false}},
            },
            "http": {"addr": address().to_string(), "secret": "unused: nothing is uploaded"},
            "auth": {"token": {
                "realm": format!("https://{login}/oauth2/token"), "service": login, "issuer": ISSUER,
                "rootcertbundle": certificate,
            }},
        });
        // JSON is valid YAML, and needs no extra quoting.
        let file = folder.join("registry.yaml");
        fs::write(&file, configuration.to_string()).expect("a file");
        let registry = Self::fill(root, lab);
        let server = vnet.run(|| {
            let mut server = Server::start(
                command("docker-registry").arg("serve").arg(&file),
                &folder.join("registry.log"),
            );
            server.wait_until(|| TcpStream::connect(address()).is_ok());
            server
        });
        Self { server, root: registry }
    }

    fn fill(root: PathBuf, lab: &Lab) -> PathBuf {
        let repository = lab.repository();
        let base = root.join("docker/registry/v2/repositories").join(REPOSITORY);
        let blobs = repository.blobs().map(|(digest, bytes)| (digest, bytes, "_layers"));
        let manifests = repository
            .manifests()
            .map(|(digest, manifest)| (digest, manifest.bytes.as_slice(), "_manifests/revisions"));
        for (digest, bytes, place) in blobs.chain(manifests) {
            write(&blob_path(&root, digest), bytes);
            write(&base.join(place).join(as_path(digest)).join("link"), digest.as_bytes());
        }
        for (tag, digest) in repository.tags() {
            let tag = base.join("_manifests/tags").join(tag);
            write(&tag.join("current/link"), digest.as_bytes());
            write(&tag.join("index").join(as_path(digest)).join("link"), digest.as_bytes());
        }
        root
    }

    /// Adds an image to the storage.
    pub fn add(
        &self,
        repository: &str,
        tag: &str,
        manifest: &(String, Vec<u8>),
        blobs: &[(String, Vec<u8>)],
    ) {
        let base = self.root.join("docker/registry/v2/repositories").join(repository);
        for (digest, bytes) in blobs {
            write(&blob_path(&self.root, digest), bytes);
            write(&base.join("_layers").join(as_path(digest)).join("link"), digest.as_bytes());
        }
        let (digest, bytes) = manifest;
        write(&blob_path(&self.root, digest), bytes);
        write(&base.join("_manifests/revisions").join(as_path(digest)).join("link"), digest.as_bytes());
        let tag = base.join("_manifests/tags").join(tag);
        write(&tag.join("current/link"), digest.as_bytes());
        write(&tag.join("index").join(as_path(digest)).join("link"), digest.as_bytes());
    }

    /// Removes a blob or manifest from the storage, as if it were lost.
    pub fn lose(&self, digest: &str) {
        let path = blob_path(&self.root, digest);
        fs::rename(&path, path.with_extension("lost")).expect("the blob exists");
    }

    /// Restores it.
    pub fn find(&self, digest: &str) {
        let path = blob_path(&self.root, digest);
        fs::rename(path.with_extension("lost"), &path).expect("the blob was lost");
    }
}

/// `sha256/HEX`.
fn as_path(digest: &str) -> String {
    digest.replace(':', "/")
}

fn blob_path(root: &Path, digest: &str) -> PathBuf {
    let hex = digest.trim_start_matches("sha256:");
    root.join("docker/registry/v2/blobs/sha256").join(&hex[..2]).join(hex).join("data")
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder");
    fs::write(path, bytes).expect("a file");
}
