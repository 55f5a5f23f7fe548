//! TLS trust, and the facts of a handshake, including a rejected one.
//!
//! Verification is WebPKI's, unchanged; a wrapper records the certificates that the server sent. `trust_store` loads the trusted
//! roots.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, NamedGroup, RootCertStore, SignatureScheme,
};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::phase::Marks;
use super::signatures;
use super::trust_store::{Roots, TrustError};
use crate::observation::{Certificate, TlsFailure, TlsVersion, TrustedBy};
use crate::text::redact::bounded;

/// Maximum number of recorded certificates per chain; real ones have two to four.
const MAX_CHAIN: usize = 8;

/// The trust store: the system's or the node's roots, and the operator's CA file. Created once, shared by all checks.
#[derive(Debug, Clone)]
pub struct Trust {
    roots: Arc<Roots>,
    /// The settings shared by all connections, without the verifier. Building it costs more than cloning it: the library
    /// allocates room for 256 sessions each time.
    template: ClientConfig,
}

impl Trust {
    /// Loads the system's roots (`SSL_CERT_FILE` is honoured) and those of a PEM file.
    ///
    /// # Errors
    /// When the file cannot be used, and when there is no root at all: in an empty image nothing else would report it.
    pub fn load(ca_file: Option<&Path>) -> Result<Self, TrustError> {
        Self::with_node(None, ca_file)
    }

    /// Like [`Trust::load`], with the node's roots (PEM) instead of the system's. If they contain no certificate, the system's
    /// roots are used.
    ///
    /// # Errors
    /// As [`Trust::load`].
    pub fn with_node(node: Option<&[Vec<u8>]>, ca_file: Option<&Path>) -> Result<Self, TrustError> {
        let provider = Arc::new(signatures::provider());
        let roots = Arc::new(Roots::load(Arc::clone(&provider), node, ca_file)?);
        let mut template = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TrustError::Setup)?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        template.resumption = Resumption::disabled();
        Ok(Self { roots, template })
    }

    /// The same without the operator's file, which is for registries; `None` if no root is left.
    pub(super) fn without_ca_file(&self) -> Option<Self> {
        let roots = Arc::new(self.roots.without_added()?);
        Some(Self { roots, template: self.template.clone() })
    }

    /// Whose roots are used in addition to the operator's file.
    #[must_use]
    pub fn roots(&self) -> TrustedBy {
        self.roots.base()
    }

    /// The settings of one connection, and the record of its handshake.
    pub(super) fn client_config(&self, marks: Marks) -> (ClientConfig, Handshake) {
        let handshake = Handshake::default();
        let recorder = Recorder { roots: Arc::clone(&self.roots), handshake: handshake.clone() };
        let mut config = self.template.clone();
        config.dangerous().set_certificate_verifier(Arc::new(recorder));
        config.resumption = Resumption::store(Arc::new(NoResumption(marks)));
        (config, handshake)
    }
}

/// The record of one handshake.
#[derive(Debug, Clone, Default)]
pub(super) struct Handshake(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    certificate: Option<Certificate>,
    version: Option<TlsVersion>,
    trusted_by: Option<TrustedBy>,
    rejection: Option<TlsFailure>,
}

impl Handshake {
    fn with<T>(&self, read: impl FnOnce(&mut Seen) -> T) -> T {
        read(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The peer's certificate, if it sent a readable one.
    pub(super) fn certificate(&self) -> Option<Certificate> {
        self.with(|seen| seen.certificate.clone())
    }

    /// The negotiated version.
    pub(super) fn version(&self) -> Option<TlsVersion> {
        self.with(|seen| seen.version)
    }

    /// Whose roots verified the chain, if any.
    pub(super) fn trusted_by(&self) -> Option<TrustedBy> {
        self.with(|seen| seen.trusted_by)
    }

    /// Why the certificate was rejected, if it was.
    pub(super) fn rejection(&self) -> Option<TlsFailure> {
        self.with(|seen| seen.rejection.clone())
    }
}

/// WebPKI's verifier, recording what it sees.
#[derive(Debug)]
struct Recorder {
    roots: Arc<Roots>,
    handshake: Handshake,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certificate = read_certificate(end_entity, intermediates);
        let verified = self.roots.verify(end_entity, intermediates, server_name, ocsp_response, now);
        self.handshake.with(|seen| {
            seen.certificate = certificate;
            seen.trusted_by = verified.as_ref().ok().map(|(_, by)| *by);
            seen.rejection = verified.as_ref().err().map(rejection);
        });
        verified.map(|(verified, _)| verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.handshake.with(|seen| seen.version = Some(TlsVersion::Tls12));
        self.roots.verifier().verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.handshake.with(|seen| seen.version = Some(TlsVersion::Tls13));
        self.roots.verifier().verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.roots.verifier().supported_verify_schemes()
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's enum is open")]
fn rejection(error: &rustls::Error) -> TlsFailure {
    let rustls::Error::InvalidCertificate(error) = error else {
        return TlsFailure::Handshake(bounded(&error.to_string()));
    };
    match error {
        CertificateError::UnknownIssuer
        | CertificateError::BadSignature
        | CertificateError::Revoked
        | CertificateError::InvalidPurpose
        | CertificateError::InvalidPurposeContext { .. } => TlsFailure::Untrusted,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            TlsFailure::NameMismatch
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFailure::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            TlsFailure::NotYetValid
        }
        // A self-signed CA certificate (`CaUsedAsEndEntity`) is reported as "other".
        CertificateError::Other(_) => TlsFailure::Untrusted,
        // The library's enum is open: later additions keep the library's own text.
        other => TlsFailure::Handshake(bounded(&other.to_string())),
    }
}

pub(super) fn read_certificate(
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
) -> Option<Certificate> {
    let (_, parsed) = X509Certificate::from_der(end_entity).ok()?;
    // `99991231235959Z` means "no expiry" (RFC 5280, section 4.1.2.5), and exceeds the library's maximum.
    let timestamp = |seconds: i64| {
        let beyond = if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Timestamp::from_second(seconds).unwrap_or(beyond)
    };
    let alternatives = parsed.subject_alternative_name().ok().flatten();
    let names = alternatives.iter().flat_map(|extension| &extension.value.general_names);
    let names = names
        .filter_map(|name| if let GeneralName::DNSName(name) = name { Some(bounded(name)) } else { None });
    let issuers = intermediates.iter().take(MAX_CHAIN).filter_map(|intermediate| {
        let (_, parsed) = X509Certificate::from_der(intermediate).ok()?;
        Some(bounded(&parsed.issuer().to_string()))
    });
    Some(Certificate {
        subject: bounded(&parsed.subject().to_string()),
        issuer: bounded(&parsed.issuer().to_string()),
        names: names.take(Certificate::MAX_NAMES).collect(),
        not_before: timestamp(parsed.validity().not_before.timestamp()),
        not_after: timestamp(parsed.validity().not_after.timestamp()),
        chain_issuers: issuers.collect(),
    })
}

/// Stores no sessions: every check performs a full handshake. rustls requests one as soon as TCP is connected.
#[derive(Debug)]
struct NoResumption(Marks);

impl ClientSessionStore for NoResumption {
    fn set_kx_hint(&self, _server_name: ServerName<'static>, _group: NamedGroup) {}

    fn kx_hint(&self, _server_name: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _server_name: ServerName<'static>, _value: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _server_name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _server_name: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _server_name: ServerName<'static>, _value: Tls13ClientSessionValue) {}

    fn take_tls13_ticket(&self, _server_name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.start_handshake();
        None
    }
}
