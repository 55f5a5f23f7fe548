//! Whom TLS trusts: the system's roots and the operator's, read when they are needed.
//!
//! The system has its roots twice: in one bundle, and in a folder with a file for each, which takes more time to read than
//! all the rest of a check takes. A real client trusts both, and so does this: what the bundle refuses is asked of all.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use super::tls::TrustError;
use crate::file::{self, FileError};

/// Largest file of certificates, in bytes: a bundle of roots has some 200 KiB.
pub const MAX_CA_FILE: u64 = 4 * 1024 * 1024;
/// Where the environment names the system's roots; the library that reads them goes by the same.
const VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// The operator's certificates, and the system's.
#[derive(Debug)]
pub(super) struct Roots {
    provider: Arc<CryptoProvider>,
    added: Vec<CertificateDer<'static>>,
    /// Knows the operator's and those of the bundle, or all where there is no bundle.
    first: Arc<WebPkiServerVerifier>,
    /// Knows all; made when `first` refuses something.
    all: OnceLock<Option<Arc<WebPkiServerVerifier>>>,
    read_all: fn() -> Vec<CertificateDer<'static>>,
}

impl Roots {
    /// Reads the operator's file and the system's bundle.
    pub(super) fn load(provider: Arc<CryptoProvider>, ca_file: Option<&Path>) -> Result<Self, TrustError> {
        let added = ca_file.map(read_certificates).transpose()?.unwrap_or_default();
        let mut usable = RootCertStore::empty();
        let (count, _ignored) = usable.add_parsable_certificates(added.iter().cloned());
        if let (Some(path), 0) = (ca_file, count) {
            return Err(TrustError::Parse { path: path.to_owned() });
        }
        Self::new(provider, added, read_bundle(), || rustls_native_certs::load_native_certs().certs)
    }

    fn new(
        provider: Arc<CryptoProvider>,
        added: Vec<CertificateDer<'static>>,
        bundle: Vec<CertificateDer<'static>>,
        read_all: fn() -> Vec<CertificateDer<'static>>,
    ) -> Result<Self, TrustError> {
        let all = OnceLock::new();
        let first = if bundle.is_empty() {
            let first = verifier(&provider, &added, read_all())?.ok_or(TrustError::NoRoots)?;
            all.get_or_init(|| Some(Arc::clone(&first)));
            first
        } else {
            verifier(&provider, &added, bundle)?.ok_or(TrustError::NoRoots)?
        };
        Ok(Self { provider, added, first, all, read_all })
    }

    /// The verifier of everything that does not depend on roots.
    pub(super) fn verifier(&self) -> &WebPkiServerVerifier {
        &self.first
    }

    /// Verifies a chain.
    pub(super) fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let ask = |verifier: &WebPkiServerVerifier| {
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        };
        ask(&self.first).or_else(|refused| match self.all() {
            Some(all) if !Arc::ptr_eq(all, &self.first) => ask(all),
            Some(_) | None => Err(refused),
        })
    }

    fn all(&self) -> Option<&Arc<WebPkiServerVerifier>> {
        let make = || verifier(&self.provider, &self.added, (self.read_all)()).ok().flatten();
        self.all.get_or_init(make).as_ref()
    }
}

/// A verifier that knows these roots; none where there is no root.
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

/// The system's bundle; none where the environment names another place, which is read whole.
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

    use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

    use super::Roots;

    const NAME: &str = "contoso.azurecr.io";

    /// What stands for the system's folder.
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

    #[test]
    fn what_the_bundle_refuses_is_asked_of_all_roots() {
        let (operators, bundled, foldered, foreign) = (authority(), authority(), authority(), authority());
        FOLDER.get_or_init(|| foldered.der().clone());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = Roots::new(provider, vec![operators.der().clone()], vec![bundled.der().clone()], || {
            FOLDER.get().cloned().into_iter().collect()
        })
        .expect("there are roots");
        let is_trusted = |issuer| {
            let certificate = signed_by(issuer);
            let name = ServerName::try_from(NAME).expect("a name");
            roots.verify(certificate.der(), &[], &name, &[], UnixTime::now()).is_ok()
        };
        assert!(is_trusted(&operators));
        assert!(is_trusted(&bundled));
        assert!(roots.all.get().is_none(), "the folder was read although nobody needed it");
        assert!(is_trusted(&foldered));
        assert!(!is_trusted(&foreign));
        assert!(is_trusted(&operators));
    }
}
