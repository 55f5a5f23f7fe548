//! The trusted roots for TLS: the node's or the system's, and the operator's, loaded when needed.
//!
//! The node's roots are all of containerd's. Without them, the system's are used.
//!
//! The system has its roots twice: in one bundle, and in a folder with one file for each. Reading the folder takes longer than
//! the rest of a check. Real clients trust both, and so does this module: it falls back to the folder if the bundle rejects.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use crate::file::{self, FileError, MAX_CA_FILE};
use crate::observation::TrustedBy;

/// The variables that override the system's roots; the library that loads them uses the same.
const VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];
/// The variable with the bundle of the program's image (`deploy/Dockerfile`).
const BUNDLED_ROOTS: &str = "ACR_VERIFIER_BUNDLED_ROOTS";

/// Why no trust store could be set up; the program cannot run without one.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The CA file cannot be read.
    #[error("cannot read certificates from {path}")]
    Read {
        /// The path of the file.
        path: PathBuf,
        /// The IO error.
        #[source]
        source: std::io::Error,
    },
    /// The CA file is too large.
    #[error("{path} is larger than {limit} bytes: expected a CA bundle")]
    TooLarge {
        /// The path of the file.
        path: PathBuf,
        /// The size limit in bytes.
        limit: u64,
    },
    /// The CA file contains no certificate, or an invalid one.
    #[error("{path} contains no usable certificate: expected PEM with CERTIFICATE blocks")]
    Parse {
        /// The path of the file.
        path: PathBuf,
    },
    /// Neither the system nor a CA file provides a root.
    #[error(
        "no trusted certificates found on this machine: install ca-certificates, set SSL_CERT_FILE, or pass a CA \
         bundle with --ca-file"
    )]
    NoRoots,
    /// The TLS library rejected the settings.
    #[error("cannot set up TLS")]
    Setup(#[source] rustls::Error),
    /// The verifier rejected the roots.
    #[error("cannot set up certificate verification")]
    Verifier(#[source] rustls::client::VerifierBuilderError),
}

/// The operator's certificates, and those of the node or the system.
#[derive(Debug)]
pub(super) struct Roots {
    provider: Arc<CryptoProvider>,
    added: Vec<CertificateDer<'static>>,
    base: TrustedBy,
    /// The verifiers in order: the base, then the base with the operator's. Never empty.
    verifiers: Vec<(TrustedBy, Arc<WebPkiServerVerifier>)>,
    /// The verifier with all roots, created when the others reject a chain. `None` if there are no further roots.
    all: OnceLock<Option<Arc<WebPkiServerVerifier>>>,
    read_all: fn() -> Vec<CertificateDer<'static>>,
}

impl Roots {
    /// Loads the operator's file, and the system's bundle unless the node's roots are given.
    pub(super) fn load(
        provider: Arc<CryptoProvider>,
        node: Option<&[Vec<u8>]>,
        ca_file: Option<&Path>,
    ) -> Result<Self, TrustError> {
        let added = ca_file.map(read_certificates).transpose()?.unwrap_or_default();
        if let (Some(path), 0) = (ca_file, usable(&added)) {
            return Err(TrustError::Parse { path: path.to_owned() });
        }
        let node = node.map(parse_all).unwrap_or_default();
        if usable(&node) > 0 {
            return Self::new(provider, added, (TrustedBy::Node, node), Vec::new);
        }
        let base = if is_bundled() { TrustedBy::Bundled } else { TrustedBy::System };
        Self::new(provider, added, (base, read_bundle()), || rustls_native_certs::load_native_certs().certs)
    }

    fn new(
        provider: Arc<CryptoProvider>,
        added: Vec<CertificateDer<'static>>,
        (base, bundle): (TrustedBy, Vec<CertificateDer<'static>>),
        read_all: fn() -> Vec<CertificateDer<'static>>,
    ) -> Result<Self, TrustError> {
        let all = OnceLock::new();
        let known = if bundle.is_empty() {
            all.get_or_init(|| None);
            read_all()
        } else {
            bundle
        };
        let first = verifier(&provider, &[], known.clone())?.map(|verifier| (base, verifier));
        let second = match added.as_slice() {
            [] => None,
            added => verifier(&provider, added, known)?.map(|verifier| (TrustedBy::CaFile, verifier)),
        };
        let verifiers: Vec<_> = first.into_iter().chain(second).collect();
        if verifiers.is_empty() {
            return Err(TrustError::NoRoots);
        }
        Ok(Self { provider, added, base, verifiers, all, read_all })
    }

    /// The same without the operator's certificates; `None` if no root is left.
    pub(super) fn without_added(&self) -> Option<Self> {
        let base = self.verifiers.iter().filter(|(by, _)| *by != TrustedBy::CaFile);
        let verifiers: Vec<_> = base.map(|(by, verifier)| (*by, Arc::clone(verifier))).collect();
        (!verifiers.is_empty()).then(|| Self {
            provider: Arc::clone(&self.provider),
            added: Vec::new(),
            base: self.base,
            verifiers,
            all: if self.all.get().is_some_and(Option::is_none) {
                OnceLock::from(None)
            } else {
                OnceLock::new()
            },
            read_all: self.read_all,
        })
    }

    /// Whose roots are used in addition to the operator's.
    pub(super) const fn base(&self) -> TrustedBy {
        self.base
    }

    /// The verifier for everything that does not depend on roots.
    pub(super) fn verifier(&self) -> &WebPkiServerVerifier {
        &self.verifiers[0].1
    }

    /// Verifies a chain and returns whose roots it chains to; the operator's only if no other does.
    pub(super) fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<(ServerCertVerified, TrustedBy), rustls::Error> {
        let ask = |verifier: &WebPkiServerVerifier| {
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        };
        let mut refused = rustls::Error::General(String::new());
        for (by, verifier) in &self.verifiers {
            match ask(verifier) {
                Ok(verified) => return Ok((verified, *by)),
                Err(error) => refused = error,
            }
        }
        match self.all() {
            Some(all) => ask(all).map(|verified| (verified, self.base)),
            None => Err(refused),
        }
    }

    fn all(&self) -> Option<&Arc<WebPkiServerVerifier>> {
        let make = || verifier(&self.provider, &self.added, (self.read_all)()).ok().flatten();
        self.all.get_or_init(make).as_ref()
    }
}

/// The number of certificates that are usable as roots.
fn usable(certificates: &[CertificateDer<'static>]) -> usize {
    let mut store = RootCertStore::empty();
    let (count, _ignored) = store.add_parsable_certificates(certificates.iter().cloned());
    count
}

/// Parses the certificates of several PEM texts, without duplicates; like Go, it skips anything else.
fn parse_all(texts: &[Vec<u8>]) -> Vec<CertificateDer<'static>> {
    let found = texts.iter().flat_map(|text| CertificateDer::pem_slice_iter(text).filter_map(Result::ok));
    let mut known = HashSet::new();
    found.filter(|certificate: &CertificateDer<'static>| known.insert(certificate.clone())).collect()
}

/// Whether the roots are those of the program's image: it sets its own bundle, and nothing overrides it.
fn is_bundled() -> bool {
    #[expect(clippy::disallowed_methods, reason = "as for the variables of the system's roots")]
    let named = std::env::var_os(BUNDLED_ROOTS);
    #[expect(clippy::disallowed_methods, reason = "as for the variables of the system's roots")]
    let used = std::env::var_os(VARIABLES[0]);
    named.is_some() && named == used
}

/// Creates a verifier for these roots; `None` without any root.
fn verifier(
    provider: &Arc<CryptoProvider>,
    added: &[CertificateDer<'static>],
    system: Vec<CertificateDer<'static>>,
) -> Result<Option<Arc<WebPkiServerVerifier>>, TrustError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(system);
    roots.add_parsable_certificates(added.iter().cloned());
    match WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build() {
        Ok(verifier) => Ok(Some(verifier)),
        Err(VerifierBuilderError::NoRootAnchors) => Ok(None),
        Err(error) => Err(TrustError::Verifier(error)),
    }
}

/// Reads the system's bundle; empty if the environment names another location, which is then read in full.
fn read_bundle() -> Vec<CertificateDer<'static>> {
    #[expect(clippy::disallowed_methods, reason = "as the library does that reads the other roots")]
    if VARIABLES.iter().any(|variable| std::env::var_os(variable).is_some()) {
        return Vec::new();
    }
    let bundle = openssl_probe::probe().cert_file;
    bundle.map(|path| rustls_native_certs::load_certs_from_paths(Some(&path), None).certs).unwrap_or_default()
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let path = path.to_owned();
    let text = match file::read(&path, MAX_CA_FILE) {
        Ok(text) => text,
        Err(FileError::TooLarge) => return Err(TrustError::TooLarge { path, limit: MAX_CA_FILE }),
        Err(source) => return Err(TrustError::Read { path, source: source.into() }),
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) | Err(_) => Err(TrustError::Parse { path }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, OnceLock};
    use std::time::Duration;

    use rcgen::{
        BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd,
    };
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

    use super::Roots;
    use crate::observation::TrustedBy;
    use crate::probe::signatures;

    const NAME: &str = "contoso.azurecr.io";

    /// Replaces the system's directory.
    static FOLDER: OnceLock<CertificateDer<'static>> = OnceLock::new();

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a root")
    }

    fn signed_by(issuer: &CertifiedIssuer<'static, KeyPair>) -> Certificate {
        let params = CertificateParams::new([NAME.to_owned()]).expect("a name");
        params.signed_by(&KeyPair::generate().expect("a key"), issuer).expect("a certificate")
    }

    fn is_trusted(roots: &Roots, issuer: &CertifiedIssuer<'static, KeyPair>) -> Option<TrustedBy> {
        let certificate = signed_by(issuer);
        let name = ServerName::try_from(NAME).expect("a name");
        roots.verify(certificate.der(), &[], &name, &[], UnixTime::now()).ok().map(|(_, by)| by)
    }

    #[test]
    fn chains_rejected_by_the_bundle_are_verified_with_all_roots() {
        let (operators, bundled, foldered, foreign) = (authority(), authority(), authority(), authority());
        FOLDER.get_or_init(|| foldered.der().clone());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let base = (TrustedBy::System, vec![bundled.der().clone()]);
        let roots = Roots::new(provider, vec![operators.der().clone()], base, || {
            FOLDER.get().cloned().into_iter().collect()
        })
        .expect("there are roots");
        assert_eq!(is_trusted(&roots, &operators), Some(TrustedBy::CaFile));
        assert_eq!(is_trusted(&roots, &bundled), Some(TrustedBy::System));
        assert!(roots.all.get().is_none(), "the directory was read although it was not needed");
        assert_eq!(is_trusted(&roots, &foldered), Some(TrustedBy::System));
        assert_eq!(is_trusted(&roots, &foreign), None);
        assert_eq!(is_trusted(&roots, &operators), Some(TrustedBy::CaFile));
    }

    #[test]
    fn a_remembered_signature_replaces_no_other_check_of_a_certificate() {
        let (trusted, foreign) = (authority(), authority());
        let roots_of = |issuer: &CertifiedIssuer<'static, KeyPair>| {
            let base = (TrustedBy::System, vec![issuer.der().clone()]);
            Roots::new(Arc::new(signatures::provider()), Vec::new(), base, Vec::new).expect("a root")
        };
        let (roots, others) = (roots_of(&trusted), roots_of(&foreign));
        let mut params = CertificateParams::new([NAME.to_owned()]).expect("a name");
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2026, 6, 30);
        let certificate =
            params.signed_by(&KeyPair::generate().expect("a key"), &trusted).expect("a certificate");
        let is_valid = |roots: &Roots, name: &'static str, day: u64| {
            let name = ServerName::try_from(name).expect("a name");
            let now = UnixTime::since_unix_epoch(Duration::from_secs(day * 86_400));
            roots.verify(certificate.der(), &[], &name, &[], now).is_ok()
        };
        let (january, july, another_year) = (20_470, 20_640, 20_000);
        for _ in 0..2 {
            assert!(is_valid(&roots, NAME, january));
            assert!(!is_valid(&roots, NAME, july), "expired");
            assert!(!is_valid(&roots, NAME, another_year), "not yet valid");
            assert!(!is_valid(&roots, "fabrikam.azurecr.io", january), "another name");
            assert!(!is_valid(&others, NAME, january), "another root");
        }
    }

    #[test]
    fn the_nodes_roots_replace_the_systems_and_the_operators_are_added() {
        let (operators, nodes, foreign) = (authority(), authority(), authority());
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, format!("{}{}", operators.pem(), nodes.pem())).expect("a file");
        let load = |node: Option<&[Vec<u8>]>, ca_file| {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            Roots::load(provider, node, ca_file).expect("there are roots")
        };
        let texts = [nodes.pem().into_bytes(), b"no certificate".to_vec(), nodes.pem().into_bytes()];
        let with_file = load(Some(&texts), Some(&file));
        assert_eq!(with_file.base(), TrustedBy::Node);
        assert_eq!(is_trusted(&with_file, &nodes), Some(TrustedBy::Node), "also where the file has it too");
        assert_eq!(is_trusted(&with_file, &operators), Some(TrustedBy::CaFile));
        assert_eq!(is_trusted(&with_file, &foreign), None);
        let without = load(Some(&texts), None);
        assert_eq!(is_trusted(&without, &nodes), Some(TrustedBy::Node));
        assert_eq!(is_trusted(&without, &operators), None);
        let others = with_file.without_added().expect("the node's roots");
        assert_eq!(is_trusted(&others, &nodes), Some(TrustedBy::Node));
        assert_eq!(is_trusted(&others, &operators), None);
        let nothing_in_it = load(Some(&[b"no certificate".to_vec()]), Some(&file));
        assert_eq!(nothing_in_it.base(), TrustedBy::System);
        assert_eq!(is_trusted(&nothing_in_it, &nodes), Some(TrustedBy::CaFile));
    }
}
