//! The lab's certificate authorities and the certificates of its endpoints, valid and faulty.
//!
//! Owns keys and certificates, including the one that verifies tokens. `listener.rs` selects the certificate by the settings.
//! All keys are P-256, since they are generated for each lab.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto::ring::default_provider, version};

use super::settings::{Certificate, Place, TlsVersions};

const DAY: Duration = Duration::from_secs(86_400);
/// ACR's certificates are valid for about six months.
const LIFE: Duration = Duration::from_secs(180 * 86_400);

/// The issuer's common name of every certificate with a valid chain.
pub const ISSUING_CA: &str = "Lab Azure TLS Issuing CA 01";
/// The issuer's common name of an untrusted certificate.
pub const INSPECTION_CA: &str = "Contoso TLS Inspection CA";

/// Converts to rcgen's own time type, starting from the epoch.
macro_rules! moment {
    ($time:expr) => {
        date_time_ymd(1970, 1, 1) + $time.duration_since(UNIX_EPOCH).expect("the clock is after 1970")
    };
}

/// A certificate with its key.
struct Authority {
    certificate: CertificateDer<'static>,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// The authorities of one lab, and the cached server configurations.
pub struct Certificates {
    root: Authority,
    issuing: Authority,
    inspection: Authority,
    login_names: Vec<String>,
    data_names: Vec<String>,
    made: Mutex<HashMap<(Names, Certificate, TlsVersions), Arc<ServerConfig>>>,
}

/// The subject names of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Names {
    Login,
    Data,
}

impl Certificates {
    pub fn new(place: &Place) -> Self {
        let root = root("Lab Root CA");
        let issuing = authority(ISSUING_CA, Some(&root.issuer));
        Self {
            issuing,
            inspection: self::root(INSPECTION_CA),
            login_names: vec![
                format!("*.{}", place.suffix),
                format!("*.{}.geo.{}", place.region, place.suffix),
            ],
            data_names: std::iter::once(place.region.as_str())
                .chain(place.replicas.iter().map(|(region, _)| *region))
                .map(|region| format!("*.{region}.data.{}", place.suffix))
                .chain([format!("*.data.{}", place.suffix)])
                .chain(place.storage_address.map(|_| "*.blob.core.windows.net".to_owned()))
                .collect(),
            made: Mutex::default(),
            root,
        }
    }

    /// The authorities of the public internet, which sign for these names.
    pub fn public(names: Vec<String>) -> Self {
        let root = root("Lab Public Root CA");
        Self {
            issuing: authority("Lab Public TLS CA 01", Some(&root.issuer)),
            inspection: self::root(INSPECTION_CA),
            login_names: names.clone(),
            data_names: names,
            made: Mutex::default(),
            root,
        }
    }

    /// The root that a client must trust, as PEM.
    pub fn root_pem(&self) -> &str {
        &self.root.pem
    }

    /// The server configuration for an endpoint, created once.
    pub fn server(&self, names: Names, certificate: Certificate, versions: TlsVersions) -> Arc<ServerConfig> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(
            made.entry((names, certificate, versions))
                .or_insert_with(|| Arc::new(self.configure(names, certificate, versions))),
        )
    }

    fn configure(&self, names: Names, certificate: Certificate, versions: TlsVersions) -> ServerConfig {
        let (chain, key) = self.issue(names, certificate);
        let versions = match versions {
            TlsVersions::Both => vec![&version::TLS13, &version::TLS12],
            TlsVersions::Only12 => vec![&version::TLS12],
            TlsVersions::Only13 => vec![&version::TLS13],
        };
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&versions)
            .expect("ring supports TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())))
            .expect("the key belongs to the certificate");
        // Like ACR: only HTTP/1.1.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config
    }

    fn issue(&self, names: Names, certificate: Certificate) -> (Vec<CertificateDer<'static>>, KeyPair) {
        let key = new_key();
        let names = match (certificate, names) {
            (Certificate::WrongName, _) => vec!["*.fabrikam.example".to_owned()],
            (Certificate::Saying(name), _) => vec![name.to_owned()],
            (_, Names::Login) => self.login_names.clone(),
            (_, Names::Data) => self.data_names.clone(),
        };
        let now = SystemTime::now();
        let (from, until) = match certificate {
            Certificate::Expired => (now - LIFE, now - DAY),
            Certificate::NotYetValid => (now + DAY, now + LIFE),
            Certificate::ExpiresIn(days) => (now - DAY, now + DAY * days),
            Certificate::Good
            | Certificate::Untrusted
            | Certificate::SelfSigned
            | Certificate::MissingIntermediate
            | Certificate::Crowded(_)
            | Certificate::Endless
            | Certificate::UntrustedEndless
            | Certificate::UntrustedAncient
            | Certificate::Saying(_)
            | Certificate::WrongName => (now - DAY, now + LIFE),
        };
        let mut params = leaf(names, from, until);
        if matches!(certificate, Certificate::Endless | Certificate::UntrustedEndless) {
            params.not_after = date_time_ymd(9999, 12, 31) + Duration::from_secs(86_399);
        }
        if certificate == Certificate::UntrustedAncient {
            params.not_before = date_time_ymd(1951, 1, 1);
            params.not_after = date_time_ymd(1969, 12, 31);
        }
        let signed = |by: &Authority| {
            params.signed_by(&key, &by.issuer).expect("the parameters are complete").der().clone()
        };
        let chain = match certificate {
            Certificate::SelfSigned => {
                vec![params.self_signed(&key).expect("the parameters are complete").der().clone()]
            }
            Certificate::Untrusted | Certificate::UntrustedEndless | Certificate::UntrustedAncient => {
                vec![signed(&self.inspection), self.inspection.certificate.clone()]
            }
            Certificate::MissingIntermediate => vec![signed(&self.issuing)],
            Certificate::Crowded(count) => {
                let stranger = self.inspection.certificate.clone();
                let mut chain = vec![signed(&self.issuing), self.issuing.certificate.clone()];
                chain.extend(std::iter::repeat_n(stranger, count));
                chain
            }
            Certificate::Good
            | Certificate::WrongName
            | Certificate::Expired
            | Certificate::NotYetValid
            | Certificate::Endless
            | Certificate::Saying(_)
            | Certificate::ExpiresIn(_) => vec![signed(&self.issuing), self.issuing.certificate.clone()],
        };
        (chain, key)
    }
}

/// A key with its own certificate, for signing tokens.
pub fn token_signer() -> (KeyPair, rcgen::Certificate) {
    let key = new_key();
    let mut params =
        leaf(vec!["token.lab.example".to_owned()], SystemTime::now() - DAY, SystemTime::now() + LIFE);
    // A registry loads this certificate as a root, so it must be a CA.
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
    let certificate = params.self_signed(&key).expect("the parameters are complete");
    (key, certificate)
}

fn new_key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("the system has randomness")
}

fn root(name: &str) -> Authority {
    authority(name, None)
}

fn authority(name: &str, above: Option<&Issuer<'static, KeyPair>>) -> Authority {
    let key = new_key();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "acr-verifier lab");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = moment!(SystemTime::now() - LIFE * 2);
    params.not_after = moment!(SystemTime::now() + LIFE * 10);
    let certificate = match above {
        Some(issuer) => params.signed_by(&key, issuer),
        None => params.self_signed(&key),
    }
    .expect("the parameters are complete");
    Authority {
        certificate: certificate.der().clone(),
        pem: certificate.pem(),
        issuer: Issuer::new(params, key),
    }
}

fn leaf(names: Vec<String>, from: SystemTime, until: SystemTime) -> CertificateParams {
    let common_name = names[0].clone();
    let mut params = CertificateParams::new(names).expect("the names are ASCII");
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = moment!(from);
    params.not_after = moment!(until);
    params
}
