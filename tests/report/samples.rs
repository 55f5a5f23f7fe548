//! Sample runs: a healthy one with the names and chains of a real registry, and its failures.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use acr_verifier::address::AddressPolicy;
use acr_verifier::cause::{Cause, Names};
use acr_verifier::diagnosis::Diagnosis;
use acr_verifier::findings::Comparisons;
use acr_verifier::observation::{
    Attempt, Blob, Certificate, CredentialsUsed, DnsAnswer, DnsFailure, DnsFailureKind, Endpoint,
    ExtendedError, Lookup, Manifest, Mark, Observation, Rcode, Record, RecordData, Resolution, Resolver,
    Stage, TlsSession, TlsVersion, Token, TrustedBy,
};
use acr_verifier::run::{CheckRun, Extent, ImageResult, NetworkView};
use acr_verifier::verdict::Severity;

pub(crate) const IMAGE: &str = "contoso.azurecr.io/apps/canary:1";
pub(crate) const LOGIN: &str = "contoso.azurecr.io";
pub(crate) const DATA: &str = "contoso.westeurope.data.azurecr.io";
pub(crate) const MANIFEST_DIGEST: &str =
    "sha256:0d1b2f6a5c8e4f7091a3b5c7d9e1f30425364758697a8b9cadbecfd0e1f20314";
const BLOB_DIGEST: &str = "sha256:7a2b9c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f809";
const FIRST: &str = "10.60.0.10:53";
const STARTED_AT: &str = "2026-11-23T02:06:00Z";
const SECOND: &str = "10.60.0.11:53";
pub(crate) const CORRELATION_ID: &str = "6a1f0a52-3f0e-4d0b-9d0e-0c4a7c1f2b11";

/// A run over these images. Samples may have changed answers, so these are compared here.
pub(crate) fn run(mut images: Vec<ImageResult>) -> CheckRun {
    for checked in &mut images {
        checked.comparisons = crate::observations::comparisons(&checked.observation);
    }
    CheckRun {
        node: "aks-np1-12345678-vmss000000".to_owned(),
        network_view: NetworkView::Node,
        node_files: None,
        started_at: STARTED_AT.parse().expect("a moment"),
        duration: Duration::from_micros(84_321),
        configuration: None,
        images,
    }
}

pub(crate) fn healthy() -> ImageResult {
    ImageResult {
        started_at: STARTED_AT.parse().expect("a moment"),
        is_kept: false,
        extent: Extent::Whole,
        image: IMAGE.parse().expect("an image"),
        name: None,
        blob_requested: true,
        policy: AddressPolicy::default(),
        observation: observation(),
        comparisons: Comparisons::default(),
        diagnoses: Vec::new(),
    }
}

/// The second nameserver does not see the private zone.
pub(crate) fn zone_not_linked() -> ImageResult {
    let mut checked = healthy();
    checked.observation = stopped(Endpoint::Login, Stage::Address);
    checked.observation.resolutions[1].a = public_answer(LOGIN);
    let server = Some(socket(SECOND));
    checked.diagnoses = vec![
        diagnosis(
            Cause::PrivateZoneNotLinked,
            Stage::Address,
            Endpoint::Login,
            server,
            "Nameserver 10.60.0.11 resolves contoso.azurecr.io to the public address 20.45.122.144, although the \
             chain includes contoso.privatelink.azurecr.io: this resolver does not see the private zone.",
        ),
        diagnosis(
            Cause::ResolversDisagree,
            Stage::Dns,
            Endpoint::Login,
            server,
            "The resolvers disagree about contoso.azurecr.io: 10.60.0.10 returned 10.60.4.4; 10.60.0.11 returned \
             20.45.122.144.",
        ),
    ];
    checked
}

/// The zone has a record for the login server but none for the data endpoint.
pub(crate) fn data_record_missing() -> ImageResult {
    let mut checked = healthy();
    checked.observation = stopped(Endpoint::Data, Stage::Dns);
    for resolution in &mut checked.observation.resolutions {
        if resolution.endpoint == Endpoint::Data {
            (resolution.a, resolution.aaaa) = (no_record(), no_record());
        }
    }
    checked.diagnoses = vec![diagnosis(
        Cause::PrivateRecordMissing,
        Stage::Dns,
        Endpoint::Data,
        Some(socket(FIRST)),
        "Both nameservers report that zone privatelink.azurecr.io has no address for \
         contoso.westeurope.data.privatelink.azurecr.io.",
    )];
    checked
}

pub(crate) fn credentials_rejected() -> ImageResult {
    let mut checked = healthy();
    checked.observation = stopped(Endpoint::Login, Stage::Token);
    checked.observation.token = None;
    let message = "The token service of contoso.azurecr.io returned 401 UNAUTHORIZED for the credentials.";
    let mut rejected = diagnosis(Cause::CredentialsRejected, Stage::Token, Endpoint::Login, None, message);
    rejected.correlation_id = Some(CORRELATION_ID.to_owned());
    checked.diagnoses = vec![rejected];
    checked
}

pub(crate) fn throttled() -> ImageResult {
    let mut checked = ImageResult { name: Some("canary".to_owned()), ..healthy() };
    checked.observation = stopped(Endpoint::Login, Stage::Manifest);
    checked.observation.manifest = None;
    checked.diagnoses = vec![diagnosis(
        Cause::Throttled,
        Stage::Manifest,
        Endpoint::Login,
        None,
        "The registry throttles requests for the manifest (429, retry after 37 s).",
    )];
    checked
}

pub(crate) fn certificate_expiring() -> ImageResult {
    let mut checked = healthy();
    let certificate = checked.observation.tls[0].certificate.as_mut().expect("it has one");
    certificate.not_after = "2026-12-01T12:00:00Z".parse().expect("a moment");
    checked.diagnoses = vec![diagnosis(
        Cause::CertificateExpiring,
        Stage::Tls,
        Endpoint::Login,
        None,
        "The certificate of contoso.azurecr.io expires on 2026-12-01T12:00:00Z (in 8 days).",
    )];
    checked
}

pub(crate) fn without_blob() -> ImageResult {
    let mut checked = healthy();
    checked.blob_requested = false;
    checked.observation = stopped(Endpoint::Login, Stage::Manifest);
    checked
}

/// A public IPv6 address next to the private one, and a compared resolver that does not answer A.
pub(crate) fn public_ipv6() -> ImageResult {
    let mut checked = healthy();
    checked.observation = stopped(Endpoint::Login, Stage::Address);
    checked.observation.resolutions.truncate(1);
    let resolution = &mut checked.observation.resolutions[0];
    resolution.aaaa = answered(
        Rcode::NOERROR,
        vec![
            cname(LOGIN, "contoso.privatelink.azurecr.io", 42),
            address("contoso.privatelink.azurecr.io", "2603:1030:20e::45", 300),
        ],
    );
    let mut compared = resolution.clone();
    compared.resolver = Resolver::Compared("azure".to_owned());
    compared.server = socket("168.63.129.16:53").into();
    compared.a = Lookup::Failed(DnsFailure {
        kind: DnsFailureKind::Timeout,
        extended_errors: vec![ExtendedError { code: 22, text: "no reachable authority".to_owned() }],
    });
    checked.observation.resolutions.push(compared);
    checked.diagnoses = vec![diagnosis(
        Cause::MixedAddresses,
        Stage::Address,
        Endpoint::Login,
        Some(socket(FIRST)),
        "Nameserver 10.60.0.10 resolves contoso.azurecr.io to the private address 10.60.4.4 and the public address \
         2603:1030:20e::45.",
    )];
    checked
}

/// All text from the network contains terminal escapes and is far too long.
pub(crate) fn hostile() -> ImageResult {
    let poison =
        format!("\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31mü\r\nok    forged\0\u{202e}{}", "x".repeat(5_000));
    let mut checked = healthy();
    let observation = &mut checked.observation;
    let certificate = observation.tls[0].certificate.as_mut().expect("it has one");
    certificate.issuer.clone_from(&poison);
    certificate.subject.clone_from(&poison);
    let manifest = observation.manifest.as_mut().expect("it has one");
    manifest.media_type.clone_from(&poison);
    manifest.platform = Some(poison.clone());
    observation.blob.as_mut().expect("it has one").host.clone_from(&poison);
    observation.resolutions[0].a = answered(Rcode::NOERROR, vec![cname(LOGIN, &poison, 1)]);
    observation.resolutions[1].a = Lookup::Failed(DnsFailure {
        kind: DnsFailureKind::CnameLoop(poison.clone()),
        extended_errors: vec![ExtendedError { code: 0, text: poison.clone() }],
    });
    let mut mismatch =
        diagnosis(Cause::NotARegistry, Stage::Manifest, Endpoint::Login, None, &format!("It sent {poison}."));
    mismatch.correlation_id = Some(poison);
    checked.diagnoses = vec![mismatch];
    checked
}

pub(crate) fn diagnosis(
    cause: Cause,
    stage: Stage,
    endpoint: Endpoint,
    nameserver: Option<SocketAddr>,
    message: &str,
) -> Diagnosis {
    let host = (endpoint == Endpoint::Data).then_some(DATA);
    let image = IMAGE.parse().expect("an image");
    let names = Names::new(&image, endpoint, host, nameserver.map(Into::into).as_ref());
    Diagnosis {
        cause,
        severity: cause.severity(),
        stage,
        endpoint,
        message: message.to_owned(),
        remedy: cause.info().remedy.to_owned(),
        commands: cause.commands(&names),
        correlation_id: None,
    }
}

/// A healthy check that stopped in a stage, with the observations up to it.
pub(super) fn stopped(endpoint: Endpoint, stage: Stage) -> Observation {
    let mut observation = observation();
    let last = observation
        .marks
        .iter()
        .position(|mark| mark.endpoint == endpoint && mark.stage == stage)
        .expect("a stage of the endpoint");
    observation.marks.truncate(last + 1);
    let marks = observation.marks.clone();
    let reached =
        |endpoint, stage| marks.iter().any(|mark: &Mark| mark.endpoint == endpoint && mark.stage == stage);
    observation.resolutions.retain(|resolution| reached(resolution.endpoint, Stage::Dns));
    observation.attempts.retain(|attempt| reached(attempt.endpoint, Stage::Connect));
    observation.tls.retain(|session| reached(session.endpoint, Stage::Tls));
    observation.token = observation.token.filter(|_| reached(Endpoint::Login, Stage::Token));
    observation.manifest = observation.manifest.filter(|_| reached(Endpoint::Login, Stage::Manifest));
    observation.blob = observation.blob.filter(|_| reached(Endpoint::Data, Stage::Blob));
    observation
}

fn observation() -> Observation {
    let times = [2_104, 3, 841, 3_377, 4_020, 9_581, 7_206, 1_530, 2, 790, 3_150, 11_842];
    let stages = Endpoint::ALL
        .into_iter()
        .flat_map(|endpoint| Stage::of(endpoint).iter().map(move |&stage| (endpoint, stage)));
    Observation {
        marks: stages
            .zip(times)
            .map(|((endpoint, stage), micros)| Mark {
                endpoint,
                stage,
                duration: Duration::from_micros(micros),
            })
            .collect(),
        resolutions: vec![
            resolution(Endpoint::Login, FIRST, 42),
            resolution(Endpoint::Login, SECOND, 1_783),
            resolution(Endpoint::Data, FIRST, 60),
            resolution(Endpoint::Data, SECOND, 60),
        ],
        attempts: vec![
            Attempt { endpoint: Endpoint::Login, address: socket("10.60.4.4:443"), failure: None },
            Attempt { endpoint: Endpoint::Data, address: socket("10.60.4.5:443"), failure: None },
        ],
        tls: vec![
            session(Endpoint::Login, "10.60.4.4:443", "*.azurecr.io"),
            session(Endpoint::Data, "10.60.4.5:443", "*.westeurope.data.azurecr.io"),
        ],
        credentials_expire_at: Some("2027-05-01T00:00:00Z".parse().expect("a moment")),
        credentials: Some(CredentialsUsed::Secret),
        token: Some(Token { pull: Some(true) }),
        manifest: Some(Manifest {
            digest: MANIFEST_DIGEST.to_owned(),
            media_type: "application/vnd.oci.image.index.v1+json".to_owned(),
            size: 856,
            platform: Some("linux/amd64".to_owned()),
        }),
        blob: Some(Blob {
            digest: BLOB_DIGEST.to_owned(),
            size: 1_469,
            bytes_read: 1_469,
            host: DATA.to_owned(),
        }),
        duration: Duration::from_micros(44_446),
        ..Observation::default()
    }
}

fn resolution(endpoint: Endpoint, server: &str, ttl: u32) -> Resolution {
    let (host, private, found) = match endpoint {
        Endpoint::Login => (LOGIN, "contoso.privatelink.azurecr.io", "10.60.4.4"),
        Endpoint::Data => (DATA, "contoso.westeurope.data.privatelink.azurecr.io", "10.60.4.5"),
    };
    Resolution {
        endpoint,
        host: host.to_owned(),
        resolver: Resolver::System,
        server: socket(server).into(),
        tcp_only: false,
        a: answered(Rcode::NOERROR, vec![cname(host, private, ttl), address(private, found, 10)]),
        aaaa: answered(Rcode::NOERROR, vec![cname(host, private, ttl)]),
        duration: Duration::from_micros(1_950),
    }
}

/// The chain of a registry with a private endpoint, as seen by a resolver without the private zone.
fn public_answer(host: &str) -> Lookup {
    answered(
        Rcode::NOERROR,
        vec![
            cname(host, "contoso.privatelink.azurecr.io", 60),
            cname("contoso.privatelink.azurecr.io", "we.fe.azcr.io", 60),
            cname("we.fe.azcr.io", "we-acr-reg.trafficmanager.net", 300),
            cname("we-acr-reg.trafficmanager.net", "r0916we.westeurope.cloudapp.azure.com", 300),
            address("r0916we.westeurope.cloudapp.azure.com", "20.45.122.144", 10),
        ],
    )
}

fn no_record() -> Lookup {
    let mut answer =
        answered(Rcode::NXDOMAIN, vec![cname(DATA, "contoso.westeurope.data.privatelink.azurecr.io", 60)]);
    if let Lookup::Answered(answer) = &mut answer {
        answer.soa_owner = Some("privatelink.azurecr.io.".to_owned());
        answer.over_tcp = true;
    }
    answer
}

pub(super) fn answered(rcode: Rcode, chain: Vec<Record>) -> Lookup {
    let addresses = chain
        .iter()
        .filter_map(|record| match record.data {
            RecordData::Address(address) => Some(address),
            RecordData::Cname(_) => None,
        })
        .collect();
    Lookup::Answered(DnsAnswer {
        rcode,
        chain,
        addresses,
        soa_owner: None,
        extended_errors: Vec::new(),
        over_tcp: false,
    })
}

pub(super) fn cname(name: &str, target: &str, ttl: u32) -> Record {
    Record { name: format!("{name}."), ttl, data: RecordData::Cname(format!("{target}.")) }
}

pub(super) fn address(name: &str, address: &str, ttl: u32) -> Record {
    let address: IpAddr = address.parse().expect("an address");
    Record { name: format!("{name}."), ttl, data: RecordData::Address(address) }
}

fn session(endpoint: Endpoint, address: &str, name: &str) -> TlsSession {
    TlsSession {
        endpoint,
        address: socket(address),
        version: Some(TlsVersion::Tls13),
        trusted_by: Some(TrustedBy::System),
        certificate: Some(Certificate {
            subject: format!("CN={name}, O=Microsoft Corporation, L=Redmond, S=WA, C=US"),
            issuer: "CN=Microsoft Azure RSA TLS Issuing CA 03, O=Microsoft Corporation, C=US".to_owned(),
            names: vec![name.to_owned()],
            not_before: "2026-09-12T08:14:03Z".parse().expect("a moment"),
            not_after: "2027-03-11T08:14:03Z".parse().expect("a moment"),
            chain_issuers: vec!["CN=DigiCert Global Root G2, O=DigiCert Inc, C=US".to_owned()],
        }),
    }
}

fn socket(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// A failure cause as a warning, since another address worked.
pub(crate) fn connect_warning() -> ImageResult {
    let message = "No response from 10.60.4.9:443, but 10.60.4.4:443 works.";
    let mut warning = diagnosis(Cause::ConnectTimeout, Stage::Connect, Endpoint::Login, None, message);
    warning.severity = Severity::Warn;
    ImageResult { diagnoses: vec![warning], ..healthy() }
}
