//! Secrets echoed by a certificate, nameserver or response, at every position where a cut could leave most of a secret.

use jiff::Timestamp;
use rcgen::{CertificateParams, DnType, KeyPair, SanType};
use rustls::pki_types::CertificateDer;

use super::{hide_names, redact_findings, redact_observation};
use crate::address::{AddressPolicy, NameserverAddress};
use crate::findings::Findings;
use crate::observation::{
    Certificate, DnsAnswer, DnsFailure, DnsFailureKind, Endpoint, ExtendedError, Failure, Fault, Lookup,
    Observation, Rcode, Record, RecordData, Resolution, Resolver, Stage, TlsFailure, TlsSession,
};
use crate::probe::tls::read_certificate;
use crate::rules::{Expectation, diagnose};
use crate::secret::Secret;
use crate::text::redact::{Redactor, bounded};

const PASSWORD: &str = "correct-horse-battery-staple-1234567890";

fn redactor() -> Redactor {
    let mut redactor = Redactor::default();
    redactor.hide_encoded(&Secret::new(PASSWORD.to_owned()));
    redactor
}

/// The password after some letters, plain and with invisible characters in it.
fn saying(letters: usize) -> [String; 2] {
    let before = "x".repeat(letters);
    let (start, end) = PASSWORD.split_at(20);
    [format!("{before}{PASSWORD}"), format!("{before}{start}\u{200b}{end}")]
}

fn certificate(name: &str) -> Certificate {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.distinguished_name.push(DnType::OrganizationName, name);
    if name.is_ascii() {
        params.subject_alt_names.push(SanType::DnsName(name.try_into().expect("ASCII")));
    }
    let key = KeyPair::generate().expect("a key");
    let signed = params.self_signed(&key).expect("a certificate");
    let other: CertificateDer<'_> = signed.der().clone();
    read_certificate(signed.der(), &[other]).expect("it can be read")
}

fn resolution(text: &str) -> Resolution {
    let failed = || {
        let error = ExtendedError { code: 22, text: bounded(text) };
        Lookup::Failed(DnsFailure { kind: DnsFailureKind::Timeout, extended_errors: vec![error] })
    };
    Resolution {
        endpoint: Endpoint::Login,
        host: "contoso.azurecr.io".to_owned(),
        resolver: Resolver::System,
        server: NameserverAddress::parse_ip("10.0.0.10", 53).expect("an address"),
        a: failed(),
        aaaa: failed(),
        tcp_only: false,
        duration: std::time::Duration::ZERO,
    }
}

fn expectation() -> Expectation {
    Expectation {
        image: "contoso.azurecr.io/app:1".parse().expect("an image"),
        policy: AddressPolicy::default(),
        now: Timestamp::UNIX_EPOCH,
    }
}

fn evaluate(observation: &Observation) -> Findings {
    let Expectation { image, policy, now: _ } = expectation();
    let mut findings = Findings::default();
    findings.evaluate(&image, &policy, observation);
    findings
}

fn faults(text: &str) -> Vec<Fault> {
    vec![
        Fault::Tls(TlsFailure::Handshake(bounded(text))),
        Fault::UntrustedRealm { realm: bounded(text), reason: "another host" },
        Fault::UntrustedRedirect { target: bounded(text), reason: "not HTTPS" },
        Fault::StorageRedirect { host: bounded(text) },
        Fault::ManifestInvalid { reason: bounded(text) },
        Fault::NotARegistry { status: Some(200), reason: bounded(text) },
        Fault::PlatformMissing { wanted: "linux/amd64".to_owned(), found: vec![bounded(text)] },
    ]
}

#[test]
fn a_secret_across_a_cut_is_fully_redacted() {
    // A part too long to be a coincidence.
    let piece = &PASSWORD[..8];
    for letters in (0..400).step_by(3).chain([3_800, 3_838, 3_842, 4_060, 4_090, 10_000]) {
        for said in saying(letters) {
            let mut observation = Observation::default();
            observation.resolutions.push(resolution(&said));
            let mut findings = evaluate(&observation);
            redact_findings(&redactor(), &mut findings);
            let diagnoses = diagnose(&expectation(), &observation, &findings);
            let shown = format!("{findings:?} {diagnoses:?}");
            assert!(
                !shown.contains(piece) && shown.contains("extended error 22"),
                "behind {letters}: {shown}"
            );
            for fault in faults(&said) {
                let mut failure = Failure { endpoint: Endpoint::Login, stage: Stage::Blob, fault };
                redact_observation(&redactor(), &mut observation, Some(&mut failure));
                let shown = format!("{observation:?} {failure:?}");
                assert!(!shown.contains(piece), "behind {letters}: {shown}");
            }
        }
    }
}

#[test]
fn secrets_are_redacted_in_every_certificate_field() {
    for letters in [0, 20, 260, 280, 290, 298] {
        for said in saying(letters) {
            let mut observation = Observation::default();
            let session = TlsSession {
                endpoint: Endpoint::Login,
                address: "10.60.4.4:443".parse().expect("an address"),
                version: None,
                certificate: Some(certificate(&said)),
                trusted_by: None,
            };
            observation.tls.push(session);
            redact_observation(&redactor(), &mut observation, None);
            let shown = format!("{observation:?}");
            assert!(!shown.contains(&PASSWORD[..8]), "behind {letters}: {shown}");
            let certificate = observation.tls[0].certificate.as_ref().expect("a certificate");
            assert!(certificate.not_after > Timestamp::UNIX_EPOCH && certificate.subject.len() <= 300);
        }
    }
}

/// A nameserver may send any byte in a label, which is shown escaped; the diagnosis that quotes it is redacted too.
#[test]
fn escaped_secrets_in_names_are_redacted_in_observation_and_diagnosis() {
    let mut redactor = Redactor::default();
    redactor.hide_encoded(&Secret::new("pass word.123".to_owned()));
    for (target, hidden) in [
        ("pass\\032word\\.123.privatelink.azurecr.io.", true),
        ("pass\\032word.123.privatelink.azurecr.io.", true),
        ("pass\\032wo.rd.123.example.", false),
        ("contoso.privatelink.azurecr.io.", false),
        ("x\\", false),
        ("x\\9", false),
        ("x\\999", false),
    ] {
        let mut seen = resolution("");
        seen.aaaa = Lookup::Answered(DnsAnswer {
            rcode: Rcode::NXDOMAIN,
            chain: vec![Record {
                name: "contoso.azurecr.io.".to_owned(),
                ttl: 60,
                data: RecordData::Cname(target.to_owned()),
            }],
            addresses: Vec::new(),
            soa_owner: Some(target.to_owned()),
            extended_errors: Vec::new(),
            over_tcp: false,
        });
        let mut observation = Observation { resolutions: vec![seen], ..Observation::default() };
        let mut diagnoses = diagnose(&expectation(), &observation, &evaluate(&observation));
        hide_names(&redactor, &mut observation, &mut diagnoses);
        let shown = format!("{observation:?} {diagnoses:?}");
        assert_eq!(!shown.contains(&format!("{target:?}")), hidden, "{target}: {shown}");
        assert_eq!(shown.contains("[redacted]"), hidden, "{target}: {shown}");
        assert!(shown.contains("contoso.azurecr.io"), "{shown}");
    }
}
