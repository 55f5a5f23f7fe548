//! The certificate authority of one API server, the certificates of server and administrator, and the token signing key.
//!
//! Owns keys and their files. One authority issues server and client certificates, which differ only in their usage.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Names of the API server: an agent in a Pod uses the address or the name of the Service.
const NAMES: [&str; 3] = ["127.0.0.1", "localhost", "kubernetes.default.svc"];

/// Files in PEM.
pub struct Certificates {
    pub authority: PathBuf,
    pub server: Pair,
    /// Member of the group `system:masters`.
    pub administrator: Pair,
    /// Key pair to sign and verify service account tokens.
    pub tokens_key: PathBuf,
    pub tokens_public_key: PathBuf,
}

/// A certificate and its key.
pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Issues certificates into a folder.
pub struct Authority {
    pub certificate: PathBuf,
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new(folder: &Path) -> Self {
        let key = new_key();
        let mut params = CertificateParams::default();
        params.distinguished_name = named("acr-verifier tests", None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let certificate = params.self_signed(&key).expect("the parameters are complete");
        let certificate = write(folder, "ca.pem", &certificate.pem());
        Self { certificate, folder: folder.to_owned(), issuer: Issuer::new(params, key) }
    }

    /// Issues a certificate for this subject; without names, only for a client.
    pub fn issue(&self, file: &str, subject: &str, group: Option<&str>, names: &[&str]) -> Pair {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names.clone()).expect("the names are ASCII");
        params.distinguished_name = named(subject, group);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if !names.is_empty() {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        let key = new_key();
        let certificate = params.signed_by(&key, &self.issuer).expect("the parameters are complete");
        Pair {
            certificate: write(&self.folder, &format!("{file}.pem"), &certificate.pem()),
            key: write(&self.folder, &format!("{file}-key.pem"), &key.serialize_pem()),
        }
    }
}

/// Creates the key pair that signs and verifies service account tokens, the private key first.
pub fn token_keys(folder: &Path) -> (PathBuf, PathBuf) {
    let tokens = new_key();
    (
        write(folder, "tokens-key.pem", &tokens.serialize_pem()),
        write(folder, "tokens.pem", &tokens.public_key_pem()),
    )
}

impl Certificates {
    /// Creates all of them.
    pub fn make(folder: &Path) -> Self {
        let authority = Authority::new(folder);
        let (tokens_key, tokens_public_key) = token_keys(folder);
        Self {
            server: authority.issue("server", "kube-apiserver", None, &NAMES),
            administrator: authority.issue("administrator", "administrator", Some("system:masters"), &[]),
            authority: authority.certificate,
            tokens_key,
            tokens_public_key,
        }
    }

    /// Returns the API server's TLS configuration for a proxy in front of it; HTTP/1.1 only.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        let chain = CertificateDer::from_pem_file(&self.server.certificate).expect("our own file");
        let key = PrivateKeyDer::from_pem_file(&self.server.key).expect("our own file");
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring supports them")
            .with_no_client_auth()
            .with_single_cert(vec![chain], key)
            .expect("the key belongs to the certificate");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

fn new_key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("the system has randomness")
}

fn named(common_name: &str, organisation: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    if let Some(organisation) = organisation {
        name.push(DnType::OrganizationName, organisation);
    }
    name
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).expect("a file");
    path
}
