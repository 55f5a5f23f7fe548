//! Tests that the faults of the lab behave as named.
//!
//! A smoke test for those on which the tests of the program rely most: the real behaviour of sockets. `fidelity.rs` tests the
//! healthy responses.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::client::{ID, PATIENCE, ask, ask_by_tcp, ask_for_token, bearer, get};
use lab::Lab;
use lab::answers::{Canned, Delivery, ManifestFault, Step, TokenFault};
use lab::log::{Listener, Protocol};
use lab::settings::{
    Behaviour, Certificate, ExtendedError, KeyHint, Nameserver, Rcode, Settings, TcpDeath, TlsVersions,
    Transport, View,
};

const LOGIN: &str = "contoso.azurecr.io";

fn lab_with(behaviour: Behaviour) -> Lab {
    Lab::start(Settings { nameservers: vec![Nameserver::behaving(behaviour)], ..Settings::default() })
}

fn lab_seeing(view: View) -> Lab {
    Lab::start(Settings { nameservers: vec![Nameserver::seeing(view)], ..Settings::default() })
}

#[tokio::test]
async fn full_queue_times_out_and_reopens() {
    let lab = Lab::start(Settings::default());
    lab.change(|settings| settings.login.transport = Transport::AcceptQueueFull);
    assert!(timeout(Duration::from_millis(700), TcpStream::connect(lab.login_address())).await.is_err());
    assert_eq!(lab.connections(Listener::Login), 0);
    lab.change(|settings| settings.login.transport = Transport::Serve);
    assert_eq!(get(&lab, Step::Challenge, "/v2/", &[]).await.expect("the lab answers").status, 401);
}

#[tokio::test]
async fn closed_port_is_refused_and_reopens() {
    let lab = Lab::start(Settings::default());
    for _ in 0..3 {
        lab.change(|settings| settings.data.transport = Transport::Closed);
        let error = TcpStream::connect(lab.data_address()).await.expect_err("the port is closed");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        lab.change(|settings| settings.data.transport = Transport::Serve);
        assert_eq!(get(&lab, Step::Blob, "/", &[]).await.expect("the lab answers").status, 403);
    }
}

#[tokio::test]
async fn transports_fail_as_named() {
    let lab = Lab::start(Settings::default());
    for (transport, expected) in
        [(Transport::ResetOnAccept, Some(ErrorKind::ConnectionReset)), (Transport::CloseOnAccept, None)]
    {
        lab.change(|settings| settings.login.transport = transport);
        let mut stream = TcpStream::connect(lab.login_address()).await.expect("the lab accepts");
        assert_eq!(
            stream.read_u8().await.map_err(|error| error.kind()).err(),
            expected.or(Some(ErrorKind::UnexpectedEof))
        );
    }
    lab.change(|settings| settings.login.transport = Transport::SilentAfterAccept);
    assert!(timeout(PATIENCE, get(&lab, Step::Challenge, "/v2/", &[])).await.is_err());
    lab.change(|settings| settings.login.transport = Transport::ResetInHandshake);
    let error = get(&lab, Step::Challenge, "/v2/", &[]).await.expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    lab.change(|settings| settings.login.transport = Transport::PlainHttp);
    let error = get(&lab, Step::Challenge, "/v2/", &[]).await.expect_err("not TLS");
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert_eq!(lab.connections(Listener::Login), 5);
    assert!(lab.requests().is_empty());
}

#[tokio::test]
async fn deliveries_fail_as_named() {
    let lab = Lab::start(Settings::default());
    for (delivery, expected) in [
        (Delivery::ResetAfterRequest, ErrorKind::ConnectionReset),
        (Delivery::ResetMidBody, ErrorKind::ConnectionReset),
        (Delivery::CloseAfterRequest, ErrorKind::UnexpectedEof),
        (Delivery::CloseMidBody, ErrorKind::UnexpectedEof),
    ] {
        lab.change(|settings| settings.deliver(Step::Challenge, delivery));
        let error = get(&lab, Step::Challenge, "/v2/", &[]).await.expect_err("no whole answer");
        assert_eq!(error.kind(), expected, "{delivery:?}");
    }
    for delivery in [
        Delivery::SilentAfterRequest,
        Delivery::SilentMidBody,
        Delivery::Dripping(Duration::from_secs(1)),
        Delivery::BodyDripping(Duration::from_secs(1)),
        Delivery::EndlessBody,
    ] {
        lab.change(|settings| settings.deliver(Step::Challenge, delivery));
        assert!(timeout(PATIENCE, get(&lab, Step::Challenge, "/v2/", &[])).await.is_err(), "{delivery:?}");
    }
    for delivery in [Delivery::EndlessHeaders, Delivery::NotHttp] {
        lab.change(|settings| settings.deliver(Step::Challenge, delivery));
        let error = get(&lab, Step::Challenge, "/v2/", &[]).await.expect_err("no answer that parses");
        assert_eq!(error.kind(), ErrorKind::Other, "{delivery:?}");
    }
    lab.change(|settings| settings.deliver(Step::Challenge, Delivery::Delayed(Duration::from_millis(150))));
    let start = Instant::now();
    assert_eq!(get(&lab, Step::Challenge, "/v2/", &[]).await.expect("the lab answers").status, 401);
    assert!(start.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn faulty_certificates_are_rejected_for_their_fault() {
    let lab = Lab::start(Settings::default());
    for (certificate, expected) in [
        (Certificate::Untrusted, "UnknownIssuer"),
        (Certificate::SelfSigned, "UnknownIssuer"),
        (Certificate::MissingIntermediate, "UnknownIssuer"),
        (Certificate::WrongName, "not valid for name"),
        (Certificate::Expired, "expired"),
        (Certificate::NotYetValid, "not valid yet"),
    ] {
        lab.change(|settings| settings.data.certificate = certificate);
        let error = get(&lab, Step::Blob, "/", &[]).await.expect_err("a broken certificate");
        assert!(error.to_string().contains(expected), "{certificate:?}: {error}");
    }
    lab.change(|settings| settings.data.certificate = Certificate::ExpiresIn(3));
    for (versions, shown) in [(TlsVersions::Only12, "TLSv1_2"), (TlsVersions::Only13, "TLSv1_3")] {
        lab.change(|settings| settings.data.tls = versions);
        assert_eq!(get(&lab, Step::Blob, "/", &[]).await.expect("the lab answers").status, 403);
        let last = lab.all_connections().pop().expect("a connection");
        assert_eq!(last.tls_version.as_deref(), Some(shown));
        assert_eq!(last.server_name, Some(lab.data_endpoint()));
    }
}

#[tokio::test]
async fn registry_verifies_its_tokens() {
    let lab = Lab::start(Settings::default());
    let target = "/v2/apps/canary/manifests/1";
    for (fault, expected) in [
        (TokenFault::WithoutPull, "insufficient_scope"),
        (TokenFault::OtherRepository, "insufficient_scope"),
        (TokenFault::AccessMissing, "insufficient_scope"),
        (TokenFault::BadSignature, "invalid_token"),
        (TokenFault::Expired, "invalid_token"),
        (TokenFault::OtherAudience, "invalid_token"),
    ] {
        lab.change(|settings| settings.token.answer = fault.into());
        let bearer = bearer(&lab, "apps/canary").await.expect("a token");
        let reply =
            get(&lab, Step::Manifest, target, &[("Authorization", &bearer)]).await.expect("an answer");
        let challenge = reply.header("WWW-Authenticate").expect("a challenge");
        assert!(reply.status == 401 && challenge.ends_with(&format!(",error=\"{expected}\"")), "{fault:?}");
    }
    for fault in [TokenFault::Opaque, TokenFault::TokenKey] {
        lab.change(|settings| settings.token.answer = fault.into());
        let bearer = bearer(&lab, "apps/canary").await.expect("a token");
        let reply =
            get(&lab, Step::Manifest, target, &[("Authorization", &bearer)]).await.expect("an answer");
        assert_eq!(reply.status, 200, "{fault:?}");
    }
    lab.change(|settings| settings.credentials.password = "rotated".into());
    assert_eq!(ask_for_token(&lab, "apps/canary").await.expect("an answer").status, 200);
    assert!(lab.secrets().contains(&"rotated".to_owned()));
}

#[tokio::test]
async fn manifest_faults_apply_as_configured() {
    let lab = Lab::start(Settings::default());
    let bearer = bearer(&lab, "apps/canary").await.expect("a token");
    for (fault, honest) in [(ManifestFault::WrongBytes, false), (ManifestFault::OtherContent, true)] {
        lab.change(|settings| settings.manifest.answer = fault.into());
        let target = "/v2/apps/canary/manifests/1";
        let reply =
            get(&lab, Step::Manifest, target, &[("Authorization", &bearer)]).await.expect("an answer");
        let digest = lab::content::digest_of(&reply.body);
        assert_ne!(digest, lab.digest("1"));
        assert_eq!(reply.header("Docker-Content-Digest") == Some(digest.as_str()), honest);
    }
}

#[tokio::test]
async fn labs_run_concurrently_and_release_their_ports() {
    let labs: Vec<_> = (0..8).map(|_| Lab::start(Settings::default())).collect();
    let mut ports: Vec<_> = labs.iter().map(Lab::port).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 8);
    let addresses: Vec<_> = labs.iter().map(Lab::login_address).collect();
    drop(labs);
    for address in addresses {
        assert!(TcpStream::connect(address).await.is_err());
    }
    let mut settings = Settings::default();
    settings.place.decoy_addresses = vec![IpAddr::V4(Ipv4Addr::new(127, 0, 0, 4))];
    settings.place.key_hint = KeyHint::Certificate;
    let lab = Lab::start(settings);
    TcpStream::connect((Ipv4Addr::new(127, 0, 0, 4), lab.port())).await.expect("a decoy listens");
    assert!(lab.token_certificate_pem().starts_with("-----BEGIN CERTIFICATE-----"));
    let mut taken = Settings::default();
    taken.place.port = Some(lab.port());
    let error = Lab::try_start(taken).err().expect("the port is taken");
    assert!(error.to_string().contains(&lab.login_address().to_string()), "{error}");
}

#[tokio::test]
async fn nameserver_is_silent_or_closed() {
    let lab = lab_with(Behaviour::Silent);
    let server = lab.nameservers()[0];
    assert_eq!(ask(server, LOGIN, RecordType::A).await.expect_err("silence").kind(), ErrorKind::TimedOut);
    lab.change(|settings| settings.nameservers[0].behaviour = Behaviour::Closed);
    assert_eq!(
        ask(server, LOGIN, RecordType::A).await.expect_err("closed").kind(),
        ErrorKind::ConnectionRefused
    );
    assert_eq!(
        ask_by_tcp(server, LOGIN, RecordType::A).await.expect_err("closed").kind(),
        ErrorKind::ConnectionRefused
    );
    lab.change(|settings| settings.nameservers[0].behaviour = Behaviour::Answer);
    assert_eq!(ask(server, "CONTOSO.azurecr.IO", RecordType::A).await.expect("an answer").answers.len(), 2);
    assert_eq!(lab.queries().len(), 2);
}

#[tokio::test]
async fn nameserver_truncates() {
    let lab = lab_with(Behaviour::Truncated);
    let server = lab.nameservers()[0];
    let short = ask(server, LOGIN, RecordType::A).await.expect("an answer");
    assert!(short.metadata.truncation && short.answers.is_empty() && short.metadata.id == ID);
    assert_eq!(ask_by_tcp(server, LOGIN, RecordType::A).await.expect("an answer").answers.len(), 2);
    assert_eq!(
        lab.queries().iter().map(|query| query.protocol).collect::<Vec<_>>(),
        [Protocol::Udp, Protocol::Tcp]
    );
    for (death, expected) in [
        (TcpDeath::Refuses, ErrorKind::ConnectionRefused),
        (TcpDeath::Closes, ErrorKind::UnexpectedEof),
        (TcpDeath::Silent, ErrorKind::TimedOut),
    ] {
        lab.change(|settings| settings.nameservers[0].behaviour = Behaviour::TruncatedTcpDead(death));
        assert!(ask(server, LOGIN, RecordType::A).await.expect("an answer").metadata.truncation);
        let error = ask_by_tcp(server, LOGIN, RecordType::A).await.expect_err("no TCP");
        assert_eq!(error.kind(), expected, "{death:?}");
    }
    lab.change(|settings| settings.nameservers[0].behaviour = Behaviour::HugeAnswer(300));
    assert!(ask(server, LOGIN, RecordType::A).await.expect("an answer").metadata.truncation);
    assert_eq!(ask_by_tcp(server, LOGIN, RecordType::A).await.expect("an answer").answers.len(), 302);
}

#[tokio::test]
async fn nameserver_answers_wrongly() {
    let lab = lab_with(Behaviour::WrongId);
    let server = lab.nameservers()[0];
    assert_ne!(ask(server, LOGIN, RecordType::A).await.expect("an answer").metadata.id, ID);
    let behave = |behaviour| lab.change(|settings| settings.nameservers[0].behaviour = behaviour);
    behave(Behaviour::SpoofThenAnswer);
    assert_ne!(ask(server, LOGIN, RecordType::A).await.expect("an answer").metadata.id, ID);
    behave(Behaviour::ForeignSource);
    assert_eq!(ask(server, LOGIN, RecordType::A).await.expect_err("a foreigner").kind(), ErrorKind::TimedOut);
    behave(Behaviour::Garbage);
    assert_eq!(ask(server, LOGIN, RecordType::A).await.expect_err("garbage").kind(), ErrorKind::Other);
    behave(Behaviour::WrongQuestion);
    let message = ask(server, LOGIN, RecordType::A).await.expect("an answer");
    assert_eq!(message.queries[0].name().to_string(), "www.fabrikam.example.");
    behave(Behaviour::AnswersUnrelatedRecords);
    assert_eq!(ask(server, LOGIN, RecordType::A).await.expect("an answer").answers.len(), 3);
    behave(Behaviour::DropFirst(1));
    assert_eq!(ask(server, LOGIN, RecordType::A).await.expect_err("dropped").kind(), ErrorKind::TimedOut);
    assert_eq!(ask(server, LOGIN, RecordType::A).await.expect("an answer").answers.len(), 2);
    behave(Behaviour::AaaaRcode(Rcode::ServFail));
    let message = ask(server, LOGIN, RecordType::AAAA).await.expect("an answer");
    assert_eq!(message.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(ask(server, LOGIN, RecordType::A).await.expect("an answer").answers.len(), 2);
    behave(Behaviour::Rcode(
        Rcode::Refused,
        Some(ExtendedError { info_code: 18, text: "prohibited".into() }),
    ));
    let message = ask(server, LOGIN, RecordType::A).await.expect("an answer");
    assert_eq!(message.metadata.response_code, ResponseCode::Refused);
    let options = message.edns.expect("EDNS").options().as_ref().to_vec();
    assert!(format!("{options:?}").contains("Unknown(15"), "{options:?}");
}

#[tokio::test]
async fn dns_views_answer_as_named() {
    let no_data = |view| async move {
        let lab = lab_seeing(view);
        ask(lab.nameservers()[0], LOGIN, RecordType::A).await.expect("an answer")
    };
    let missing = no_data(View::RecordMissing).await;
    assert_eq!((missing.metadata.response_code, missing.answers.len()), (ResponseCode::NXDomain, 1));
    assert_eq!(missing.authorities[0].name.to_string(), "privatelink.azurecr.io.");
    let empty = no_data(View::RecordEmpty).await;
    assert_eq!((empty.metadata.response_code, empty.answers.len()), (ResponseCode::NoError, 1));
    let unknown = no_data(View::NoSuchName).await;
    assert_eq!((unknown.metadata.response_code, unknown.answers.len()), (ResponseCode::NXDomain, 0));
    assert_eq!(unknown.authorities[0].name.to_string(), "azurecr.io.");
    assert_eq!(no_data(View::CnameLoop).await.answers.len(), 2);
    assert_eq!(no_data(View::LongChain(5)).await.answers.len(), 6);
    let lab = lab_seeing(View::Private);
    let server = lab.nameservers()[0];
    let ipv6 = ask(server, LOGIN, RecordType::AAAA).await.expect("an answer");
    assert_eq!((ipv6.metadata.response_code, ipv6.answers.len()), (ResponseCode::NoError, 1));
    assert_eq!(ipv6.authorities[0].name.to_string(), "privatelink.azurecr.io.");
    let stranger = ask(server, "www.fabrikam.example", RecordType::A).await.expect("an answer");
    assert_eq!(stranger.metadata.response_code, ResponseCode::NXDomain);
    let direct = ask(server, "contoso.privatelink.azurecr.io", RecordType::A).await.expect("an answer");
    assert_eq!(direct.answers.len(), 1);
}

#[tokio::test]
async fn canned_answers_work_at_every_step() {
    let lab = Lab::start(Settings::default());
    let known = [("Authorization", "Bearer of-no-use")];
    for (step, target) in [
        (Step::Challenge, "/v2/"),
        (Step::Token, "/oauth2/token"),
        (Step::Manifest, "/v2/apps/canary/manifests/1"),
        (Step::BlobRedirect, "/v2/apps/canary/blobs/sha256:00"),
        (Step::Blob, "/"),
    ] {
        lab.change(|settings| settings.answer(step, Canned::ServerError(503)));
        let reply = get(&lab, step, target, &known).await.expect("the lab answers");
        assert_eq!(reply.status, 503, "{step:?}");
        let request = lab.requests().pop().expect("a request");
        assert_eq!((request.step, request.status), (Some(step), 503));
        assert_eq!(request.correlation_id.as_deref(), reply.header("X-Ms-Correlation-Request-Id"));
    }
}

#[tokio::test]
async fn nameservers_have_separate_views() {
    let mut mixed = Nameserver::seeing(View::Private);
    mixed.data = View::NotLinked;
    let nameservers = vec![Nameserver::default(), Nameserver::seeing(View::NoSuchName), mixed];
    let lab = Lab::start(Settings { nameservers, ..Settings::default() });
    let data = lab.data_endpoint();
    for (index, name, expected) in
        [(0, LOGIN, 2), (1, LOGIN, 0), (2, LOGIN, 2), (0, data.as_str(), 2), (2, &data, 5)]
    {
        let message = ask(lab.nameservers()[index], name, RecordType::A).await.expect("an answer");
        assert_eq!(message.answers.len(), expected, "{index} {name}");
        assert_eq!(lab.queries().pop().map(|query| query.nameserver), Some(index));
    }
}
