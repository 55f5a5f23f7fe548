//! Tests that methods, callers, reused connections and broken framing are handled as the settings are named.

use std::io::ErrorKind;
use std::time::Duration;

use super::client::{Client, Reply, ask_for_token, bearer, get};
use lab::Lab;
use lab::answers::{BlobFault, Canned, ChallengeFault, Delivery, ManifestFault, RedirectFault, Step};
use lab::content::digest_of;
use lab::settings::{Post, Reuse, Settings};

const MANIFEST: &str = "/v2/apps/canary/manifests/1";

/// Requests a token as containerd does first.
async fn post(lab: &Lab) -> Reply {
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "password")
        .append_pair("service", &lab.registry())
        .append_pair("username", &lab.username())
        .append_pair("password", &lab.password())
        .append_pair("scope", "repository:apps/canary:pull")
        .finish();
    let length = form.len().to_string();
    let headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Content-Length", &length)];
    let mut client = Client::connect(lab, Step::Token).await.expect("the lab accepts");
    client.send("POST", &lab.registry(), "/oauth2/token", &headers, &form).await.expect("an answer")
}

async fn head(lab: &Lab, headers: &[(&str, &str)]) -> Reply {
    let mut client = Client::connect(lab, Step::Manifest).await.expect("the lab accepts");
    client.send("HEAD", &lab.registry(), MANIFEST, headers, "").await.expect("an answer")
}

#[tokio::test]
async fn head_is_answered_like_get_without_a_body() {
    let lab = Lab::start(Settings::default());
    let challenged = head(&lab, &[]).await;
    let got = get(&lab, Step::Manifest, MANIFEST, &[]).await.expect("an answer");
    assert_eq!((challenged.status, got.status), (401, 401));
    let names = ["WWW-Authenticate", "Content-Length", "Docker-Content-Digest", "Content-Type", "ETag"];
    assert_eq!(names.map(|name| challenged.header(name)), names.map(|name| got.header(name)));
    let bearer = bearer(&lab, "apps/canary").await.expect("a token");
    let known = head(&lab, &[("Authorization", &bearer)]).await;
    let got = get(&lab, Step::Manifest, MANIFEST, &[("Authorization", &bearer)]).await.expect("an answer");
    assert_eq!((known.status, known.header("Docker-Content-Digest")), (200, Some(lab.digest("1").as_str())));
    assert_eq!(names.map(|name| known.header(name)), names.map(|name| got.header(name)));
    let steps: Vec<_> = lab.requests().iter().map(|request| (request.method.clone(), request.step)).collect();
    let step = |method: &str, step| (method.to_owned(), Some(step));
    assert_eq!(
        steps,
        [
            step("HEAD", Step::Challenge),
            step("GET", Step::Challenge),
            step("GET", Step::Token),
            step("HEAD", Step::Manifest),
            step("GET", Step::Manifest)
        ]
    );
}

#[tokio::test]
async fn head_is_rejected_with_and_without_a_token() {
    let lab = Lab::start(Settings::default());
    let bearer = bearer(&lab, "apps/canary").await.expect("a token");
    lab.change(|settings| settings.methods.head = Some(Canned::ProxyForbidden));
    assert_eq!(head(&lab, &[]).await.status, 403);
    assert_eq!(head(&lab, &[("Authorization", &bearer)]).await.status, 403);
    let got = get(&lab, Step::Manifest, MANIFEST, &[("Authorization", &bearer)]).await;
    assert_eq!(got.expect("an answer").status, 200);
}

#[tokio::test]
async fn the_token_service_rejects_the_password_grant_like_acr() {
    let lab = Lab::start(Settings::default());
    let refused = post(&lab).await;
    assert_eq!((refused.status, refused.text()), (400, String::new()));
    assert_eq!(ask_for_token(&lab, "apps/canary").await.expect("an answer").status, 200);
    lab.change(|settings| settings.methods.post = Post::Granted);
    let granted = post(&lab).await;
    assert!(granted.status == 200 && granted.text().starts_with(r#"{"access_token":""#));
    for status in [403, 404, 405, 503] {
        lab.change(|settings| settings.methods.post = Post::Refused(Canned::Empty(status)));
        assert_eq!(post(&lab).await.status, status);
        assert_eq!(ask_for_token(&lab, "apps/canary").await.expect("an answer").status, 200);
    }
}

#[tokio::test]
async fn anonymous_tokens_are_granted_if_allowed() {
    let lab = Lab::start(Settings::default());
    let target = format!("/oauth2/token?service={}&scope=repository%3Aapps%2Fcanary%3Apull", lab.registry());
    assert_eq!(get(&lab, Step::Token, &target, &[]).await.expect("an answer").status, 401);
    lab.change(|settings| settings.credentials.anonymous = true);
    assert_eq!(get(&lab, Step::Token, &target, &[]).await.expect("an answer").status, 200);
    let wrong = [("Authorization", "Basic eDp5")];
    assert_eq!(get(&lab, Step::Token, &target, &wrong).await.expect("an answer").status, 401);
}

#[tokio::test]
async fn an_open_registry_requires_no_token() {
    let lab = Lab::start(Settings::default());
    lab.change(|settings| settings.challenge.answer = ChallengeFault::NoChallenge.into());
    assert_eq!(head(&lab, &[]).await.status, 200);
}

#[tokio::test]
async fn first_answers_are_sent_once_per_change() {
    let lab = Lab::start(Settings::default());
    let statuses = async || {
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(get(&lab, Step::Challenge, "/v2/", &[]).await.expect("an answer").status);
        }
        statuses
    };
    let first = [Canned::Empty(408), Canned::ServerError(503)];
    for _ in 0..2 {
        lab.change(|settings| settings.answer_first(Step::Challenge, &first));
        assert_eq!(statuses().await, [408, 503, 401]);
    }
}

#[tokio::test]
async fn reused_connections_fail_as_named() {
    let lab = Lab::start(Settings::default());
    for (reuse, expected) in [
        (Reuse::ClosedAfter(Duration::ZERO), ErrorKind::UnexpectedEof),
        (Reuse::ClosedAfter(Duration::from_millis(10)), ErrorKind::UnexpectedEof),
        (Reuse::ClosedAtNext, ErrorKind::UnexpectedEof),
        (Reuse::ResetAtNext, ErrorKind::ConnectionReset),
        (Reuse::ClosedWithinNext, ErrorKind::UnexpectedEof),
    ] {
        lab.change(|settings| settings.login.reuse = reuse);
        let mut client = Client::connect(&lab, Step::Challenge).await.expect("the lab accepts");
        let first = client.get(&lab.registry(), "/v2/", &[]).await.expect("an answer");
        assert_eq!((first.status, first.header("Connection")), (401, Some("keep-alive")));
        let error = client.get(&lab.registry(), "/v2/", &[]).await.expect_err("no second answer");
        assert_eq!(error.kind(), expected, "{reuse:?}");
    }
}

#[tokio::test]
async fn broken_framing_is_not_http() {
    let lab = Lab::start(Settings::default());
    let bytes_after = async |delivery| {
        lab.change(|settings| settings.deliver(Step::Challenge, delivery));
        get(&lab, Step::Challenge, "/v2/", &[]).await
    };
    for delivery in [Delivery::StatusNoNumber, Delivery::HeaderWithoutColon, Delivery::LengthNoNumber] {
        let error = bytes_after(delivery).await.expect_err("no answer that parses");
        assert_eq!(error.kind(), ErrorKind::Other, "{delivery:?}");
    }
    let error = bytes_after(Delivery::ChunkNoNumber).await.expect_err("no chunk");
    assert_eq!(error.kind(), ErrorKind::Other);
    let reply = bytes_after(Delivery::TwoLengths).await.expect("the first length is right");
    let lengths: Vec<_> = reply.headers.iter().filter(|(name, _)| name == "Content-Length").collect();
    assert!(lengths.len() == 2 && lengths[0] != lengths[1], "{lengths:?}");
}

#[tokio::test]
async fn blobs_are_served_by_redirects_and_in_parts() {
    let lab = Lab::start(Settings::default());
    let bearer = bearer(&lab, "apps/canary").await.expect("a token");
    let (digest, bytes) = lab.repository().blobs().next().expect("the lab has blobs");
    lab.change(|settings| settings.blob_redirect.answer = RedirectFault::ViaLogin(2).into());
    let mut client = Client::connect(&lab, Step::BlobRedirect).await.expect("the lab accepts");
    let mut location = format!("https://{}/v2/apps/canary/blobs/{digest}", lab.registry());
    for _ in 0..3 {
        let target = location.split_once(&lab.registry()).expect("the login server").1.to_owned();
        let reply =
            client.get(&lab.registry(), &target, &[("Authorization", &bearer)]).await.expect("an answer");
        assert_eq!(reply.status, 307);
        reply.header("Location").expect("a target").clone_into(&mut location);
    }
    let target = location.split_once(&format!("{}:{}", lab.data_endpoint(), lab.port())).expect("data").1;
    for (fault, length) in
        [(BlobFault::WholeAsPart, bytes.len()), (BlobFault::HalfAsPart, bytes.len() / 2 + 1)]
    {
        lab.change(|settings| settings.blob.answer = fault.into());
        let reply = get(&lab, Step::Blob, target, &[]).await.expect("an answer");
        assert_eq!((reply.status, reply.body.len()), (206, length), "{fault:?}");
        let range = format!("bytes 0-{}/{}", length - 1, bytes.len());
        assert_eq!(reply.header("Content-Range"), Some(range.as_str()));
    }
}

#[tokio::test]
async fn other_content_is_available_by_its_own_digest() {
    let lab = Lab::start(Settings::default());
    let bearer = bearer(&lab, "apps/canary").await.expect("a token");
    lab.change(|settings| settings.manifest.answer = ManifestFault::OtherContent.into());
    let known = head(&lab, &[("Authorization", &bearer)]).await;
    let digest = known.header("Docker-Content-Digest").expect("a digest").to_owned();
    let target = format!("/v2/apps/canary/manifests/{digest}");
    let reply = get(&lab, Step::Manifest, &target, &[("Authorization", &bearer)]).await.expect("an answer");
    assert_eq!((reply.status, digest_of(&reply.body)), (200, digest));
}
