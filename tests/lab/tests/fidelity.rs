//! Compares the lab with recorded responses of ACR and its DNS.
//!
//! `recordings.rs` reads the recordings; without them each test is skipped with a message. `misbehaviour.rs` tests the faults.

use hickory_proto::rr::RecordType;
use serde_json::Value;

use super::client::{Client, ask, ask_for_token, bearer, get};
use super::recordings::{Headers, exchanges, recording};
use lab::Lab;
use lab::answers::{Canned, FirewallWording, Step, Target};
use lab::log::Listener;
use lab::settings::{Grant, Nameserver, Settings, View};

/// A lab with the recorded registry's name.
fn recorded_lab() -> Lab {
    let mut settings = Settings::default();
    settings.place.registry = "azacrlivetest".into();
    Lab::start(settings)
}

/// Values that differ in every response, and the port, which ACR does not show.
fn levelled(lab: &Lab, name: &str, value: &str) -> String {
    match name {
        "Date" | "X-Ms-Request-Id" | "X-Ms-Correlation-Request-Id" => format!("{} characters", value.len()),
        _ => value.replace(&lab.registry(), &lab.login_server()),
    }
}

#[track_caller]
fn assert_headers(lab: &Lab, recorded: &Headers, headers: &[(String, String)], left_out: &[&str]) {
    let level = |headers: &[(String, String)]| -> Vec<(String, String)> {
        headers
            .iter()
            .filter(|(name, _)| !left_out.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), levelled(lab, name, value)))
            .collect()
    };
    assert_eq!(level(headers), level(&recorded.0));
}

#[tokio::test]
async fn challenge_matches_the_recording() {
    for start in ["01", "02"] {
        let Some(exchanges) = exchanges(start) else { return };
        let (lab, recorded) = (recorded_lab(), &exchanges[0]);
        let target = recorded.request_uri.split_once("azurecr.io").expect("a URL of ACR").1;
        let reply = get(&lab, Step::Manifest, target, &[]).await.expect("the lab answers");
        assert_eq!(reply.status, recorded.status_code);
        assert_headers(&lab, &recorded.response_headers, &reply.headers, &[]);
        assert_eq!(serde_json::from_slice::<Value>(&reply.body).expect("JSON"), recorded.response_body);
        // 205 bytes as recorded: compact, in the same order, with one newline.
        assert_eq!(reply.header("Content-Length"), Some("205"));
        assert!(reply.text().starts_with(r#"{"errors":[{"code":"UNAUTHORIZED","message":"#));
        assert!(reply.text().ends_with("}]}\n"));
    }
}

#[tokio::test]
async fn challenge_of_the_base_has_no_scope_and_149_bytes() {
    let lab = Lab::start(Settings::default());
    let reply = get(&lab, Step::Challenge, "/v2/", &[]).await.expect("the lab answers");
    assert_eq!(reply.status, 401);
    let registry = lab.registry();
    let challenge = format!(r#"Bearer realm="https://{registry}/oauth2/token",service="{registry}""#);
    assert_eq!(reply.header("WWW-Authenticate"), Some(challenge.as_str()));
    assert_eq!(reply.body.len(), 149);
    assert!(reply.text().contains(r#""detail":null"#));
}

#[tokio::test]
async fn unknown_manifest_matches_the_recording() {
    let Some(exchanges) = exchanges("01") else { return };
    let (lab, recorded) = (recorded_lab(), &exchanges[3]);
    let bearer = bearer(&lab, "apps/canary").await.expect("a token");
    let target = "/v2/apps/canary/manifests/wrong-tag";
    let reply =
        get(&lab, Step::Manifest, target, &[("Authorization", &bearer)]).await.expect("the lab answers");
    assert_eq!(reply.status, recorded.status_code);
    assert_headers(&lab, &recorded.response_headers, &reply.headers, &[]);
    assert_eq!(serde_json::from_slice::<Value>(&reply.body).expect("JSON"), recorded.response_body);
    assert_eq!(reply.header("Content-Length"), Some("128"));
}

#[tokio::test]
async fn token_response_matches_the_recording() {
    let Some(exchanges) = exchanges("01") else { return };
    let (lab, recorded) = (recorded_lab(), &exchanges[2]);
    let reply = ask_for_token(&lab, "apps/canary").await.expect("the lab answers");
    assert_eq!(reply.status, recorded.status_code);
    // Recorded in another file, which has no token response.
    let rate = "x-ms-ratelimit-remaining-calls-per-second";
    assert_eq!(reply.header(rate), Some("166.65"));
    assert_headers(&lab, &recorded.response_headers, &reply.headers, &[rate]);
    let answer: Value = serde_json::from_slice(&reply.body).expect("JSON");
    let keys = |value: &Value| value.as_object().map(|it| it.keys().cloned().collect::<Vec<_>>());
    assert_eq!(keys(&answer), keys(&recorded.response_body));
}

#[tokio::test]
async fn manifest_has_the_recorded_headers() {
    let Some(exchanges) = exchanges("02") else { return };
    let (lab, recorded) = (recorded_lab(), &exchanges[3]);
    let bearer = bearer(&lab, "apps/canary").await.expect("a token");
    let target = "/v2/apps/canary/manifests/single";
    let reply =
        get(&lab, Step::Manifest, target, &[("Authorization", &bearer)]).await.expect("the lab answers");
    assert_eq!(reply.status, recorded.status_code);
    let content = ["Docker-Content-Digest", "ETag", "Content-Length"];
    assert_headers(&lab, &recorded.response_headers, &reply.headers, &content);
    let names =
        |headers: &[(String, String)]| headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&reply.headers), names(&recorded.response_headers.0));
    assert_eq!(reply.header("Docker-Content-Digest"), Some(lab.digest("single").as_str()));
    assert_eq!(reply.header("ETag"), Some(format!("\"{}\"", lab.digest("single")).as_str()));
}

#[tokio::test]
async fn insufficient_scope_matches_the_recording() {
    let Some(exchanges) = exchanges("04") else { return };
    let recorded = &exchanges[5];
    let lab = recorded_lab();
    lab.change(|settings| settings.credentials.grant = Grant::Repositories(Vec::new()));
    // The token is granted anyway: that is the point of the recording.
    let bearer = bearer(&lab, "hello-world").await.expect("a token");
    let target = "/v2/hello-world/manifests/latest";
    let reply =
        get(&lab, Step::Manifest, target, &[("Authorization", &bearer)]).await.expect("the lab answers");
    assert_eq!(reply.status, recorded.status_code);
    // The recording requested metadata_write, the lab knows pull.
    assert_headers(
        &lab,
        &Headers(
            recorded
                .response_headers
                .0
                .iter()
                .map(|(name, value)| {
                    (name.clone(), value.replace("metadata_write", "pull").replace("215", "205"))
                })
                .collect(),
        ),
        &reply.headers,
        &[],
    );
}

#[tokio::test]
async fn firewall_messages_match_the_recordings() {
    let Some(text) = recording("08") else { return };
    let recorded: Value = serde_json::from_str(&text).expect("a recording is JSON");
    let lab = Lab::start(Settings::default());
    let cases = [
        (Canned::Firewall(FirewallWording::CommaRefer), 0),
        (Canned::Firewall(FirewallWording::CorrelationId), 1),
        (Canned::Firewall(FirewallWording::Escaped), 2),
        (Canned::PermissionsFailed, 4),
    ];
    for (canned, sample) in cases {
        lab.change(|settings| settings.answer(Step::Challenge, canned.clone()));
        let reply = get(&lab, Step::Challenge, "/v2/", &[]).await.expect("the lab answers");
        assert_eq!(reply.status, 403);
        let body = recorded["samples"][sample]["body"].as_str().expect("a body on record");
        assert_eq!(skeleton(&reply.text()), skeleton(body), "sample {sample}");
    }
}

#[tokio::test]
async fn rejected_credentials_match_the_recording() {
    let Some(text) = recording("09") else { return };
    let recorded: Value = serde_json::from_str(&text).expect("a recording is JSON");
    let lab = Lab::start(Settings::default());
    let reply = get(&lab, Step::Token, "/oauth2/token", &[("Authorization", "Basic eDp5")])
        .await
        .expect("the lab answers");
    assert_eq!(reply.status, 401);
    let body = recorded["samples"][0]["body"].as_str().expect("a body on record");
    assert_eq!(skeleton(&reply.text()), skeleton(body));
    let id = reply.header("X-Ms-Correlation-Request-Id").expect("a correlation id");
    assert!(reply.text().contains(id));
    lab.change(|settings| settings.answer(Step::Token, Canned::InvalidClient));
    let reply = get(&lab, Step::Token, "/oauth2/token", &[]).await.expect("the lab answers");
    assert!(text.contains("Invalid clientid or client secret."));
    assert!(reply.text().contains("Invalid clientid or client secret."));
}

#[tokio::test]
async fn challenge_for_basic_credentials_matches_the_recording() {
    let Some(text) = recording("09") else { return };
    let recorded: Value = serde_json::from_str(&text).expect("a recording is JSON");
    let lab = Lab::start(Settings::default());
    let reply = get(&lab, Step::Challenge, "/v2/", &[("Authorization", "Basic eDp5")])
        .await
        .expect("the lab answers");
    assert_eq!(reply.status, 401);
    let headers = &recorded["samples"][2]["response_headers"];
    assert_eq!(reply.header("WWW-Authenticate"), headers["Www-Authenticate"].as_str());
    assert_eq!(
        reply.header("Access-Control-Expose-Headers"),
        headers["Access-Control-Expose-Headers"].as_str()
    );
}

/// A body without variable parts: addresses, IDs, and whitespace, which the quoting pages altered.
fn skeleton(body: &str) -> String {
    let body = body.replace("\\u0027", "\u{1}");
    let mut text = String::new();
    for word in body.split_whitespace() {
        let digits = word.chars().filter(char::is_ascii_digit).count();
        let dotted = word.matches('.').count() == 3 && digits > 3;
        let guid = word.matches('-').count() == 4;
        let quote = if word.contains('\u{1}') { "\\u0027" } else { "'" };
        match (dotted, guid) {
            (true, _) => text.push_str(&format!("{quote}ADDRESS{quote}")),
            (_, true) => text.push_str("GUID"),
            (false, false) => text.push_str(word),
        }
    }
    text
}

#[tokio::test]
async fn redirects_match_the_recorded_format() {
    let Some(text) = recording("11") else { return };
    let recorded: Value = serde_json::from_str(&text).expect("a recording is JSON");
    let lab = Lab::start(Settings::default());
    let bearer = bearer(&lab, "apps/canary").await.expect("a token");
    let manifest: Value = serde_json::from_slice(&lab.manifest("single").bytes).expect("JSON");
    let digest = manifest["layers"][0]["digest"].as_str().expect("a digest");
    let target = format!("/v2/apps/canary/blobs/{digest}");
    let shape = |url: &str| {
        let url = url::Url::parse(url).expect("a URL");
        let keys: Vec<_> = url.query_pairs().map(|(key, value)| (key.into_owned(), value.len())).collect();
        (url.scheme().to_owned(), url.path().matches('/').count(), keys)
    };
    // The query's first, data-endpoint form, and the storage form.
    for (sample, redirect) in [(0, Target::DataEndpointOldForm), (2, Target::BlobStorage)] {
        lab.change(|settings| {
            settings.answer(Step::BlobRedirect, Canned::Redirect { status: 307, target: redirect });
        });
        let reply = get(&lab, Step::BlobRedirect, &target, &[("Authorization", &bearer)])
            .await
            .expect("the lab answers");
        assert_eq!(reply.status, 307);
        let location = reply.header("Location").expect("a Location");
        let url = recorded["urls"][sample].as_str().expect("a URL on record");
        let ((scheme, slashes, keys), (recorded_scheme, recorded_slashes, recorded_keys)) =
            (shape(location), shape(url));
        assert_eq!((scheme, slashes), (recorded_scheme, recorded_slashes));
        let names = |keys: &[(String, usize)]| keys.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&keys), names(&recorded_keys));
        for (ours, theirs) in keys.iter().zip(&recorded_keys) {
            // The names of registry and repository are the lab's; the rest has about the same length.
            assert!(
                ["h", "r"].contains(&ours.0.as_str()) || ours.1.abs_diff(theirs.1) * 4 <= theirs.1,
                "{ours:?} {theirs:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_pull_uses_one_connection_per_endpoint() {
    let lab = Lab::start(Settings::default());
    let bearer = bearer(&lab, "apps/canary").await.expect("a token");
    lab.forget();
    let mut login = Client::connect(&lab, Step::Manifest).await.expect("the lab accepts");
    let authorization = [("Authorization", bearer.as_str())];
    let host = lab.registry();
    let index = login.get(&host, "/v2/apps/canary/manifests/1", &authorization).await.expect("an index");
    let index: Value = serde_json::from_slice(&index.body).expect("JSON");
    let entry = index["manifests"][0]["digest"].as_str().expect("a digest");
    let manifest = login.get(&host, &format!("/v2/apps/canary/manifests/{entry}"), &authorization).await;
    let manifest: Value = serde_json::from_slice(&manifest.expect("a manifest").body).expect("JSON");
    let digest = manifest["layers"][0]["digest"].as_str().expect("a digest");
    let redirect = login.get(&host, &format!("/v2/apps/canary/blobs/{digest}"), &authorization).await;
    let location = redirect.expect("a redirect").header("Location").expect("a Location").to_owned();
    let (_, query) = location.split_once('?').expect("a signed query");
    let mut data = Client::connect(&lab, Step::Blob).await.expect("the lab accepts");
    let blob = data.get(&lab.data_endpoint(), &format!("/?{query}"), &[]).await.expect("a blob");
    assert_eq!(blob.status, 200);
    assert_eq!(lab::content::digest_of(&blob.body), digest);
    let part = data.get(&lab.data_endpoint(), &format!("/?{query}"), &[("Range", "bytes=0-0")]).await;
    assert_eq!(part.expect("a part").status, 206);
    let bare = data.get(&lab.data_endpoint(), "/", &[]).await.expect("a refusal");
    assert_eq!(bare.status, 403);
    assert_eq!((lab.connections(Listener::Login), lab.connections(Listener::Data)), (1, 1));
    assert!(lab.requests_of(Step::Blob).iter().all(|request| request.header("Authorization").is_none()));
    assert!(lab.secrets().iter().any(|secret| query.contains(secret.as_str())));
}

#[tokio::test]
async fn dns_chains_match_the_observed_ones() {
    let Some(text) = recording("13") else { return };
    let recorded: Value = serde_json::from_str(&text).expect("a recording is JSON");
    let chain = |case: usize| -> Vec<String> {
        let lines = recorded["chains"][case]["chain"].as_array().expect("a chain on record");
        lines.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    // a: with the zone linked, identical except for the registry's name and the address.
    let expected: Vec<_> = chain(0)
        .iter()
        .map(|line| {
            line.replace("myregistry", "contoso").replace("10.0.0.7", "127.0.0.2").replace("(ttl ", "(")
        })
        .collect();
    assert_eq!(asked(View::Private, "contoso.azurecr.io").await, expected);
    // b: the same kinds of names and the same TTLs; the region was redacted in the sample.
    let expected: Vec<_> = chain(1)
        .iter()
        .map(|line| {
            line.replace("myregistry", "contoso")
                .replace("xxxx.westeurope", "r1007we.westeurope")
                .replace("xxxx-xxx-reg", "we-acr-reg")
                .replace("xxxx.xx.azcr", "we.fe.azcr")
        })
        .collect();
    assert_eq!(asked(View::NotLinked, "contoso.azurecr.io").await, expected);
    // b and c of the data endpoint and c of the login server: the zones of the names.
    let cases = [
        (3, View::NotLinked, "contoso.westeurope.data.azurecr.io"),
        (4, View::NoPrivateEndpoint, "contoso.azurecr.io"),
    ];
    for (case, view, name) in cases {
        let ours = asked(view, name).await;
        let theirs: Vec<_> = chain(case)[..chain(case).len() - 1]
            .iter()
            .map(|line| line.trim_end_matches('.').to_owned())
            .collect();
        let ours: Vec<_> =
            ours.iter().map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect();
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(&theirs) {
            let ends = |name: &str| name.rsplit('.').take(2).map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(ends(ours), ends(theirs));
            assert_eq!(ours.contains("privatelink"), theirs.contains("privatelink"));
        }
    }
}

/// The answer to an A query, in the recording's notation.
async fn asked(view: View, name: &str) -> Vec<String> {
    let lab = Lab::start(Settings { nameservers: vec![Nameserver::seeing(view)], ..Settings::default() });
    let message = ask(lab.nameservers()[0], name, RecordType::A).await.expect("the lab answers");
    let bare = |text: String| text.trim_end_matches('.').to_owned();
    message
        .answers
        .iter()
        .map(|record| {
            let (name, value) = (bare(record.name.to_string()), bare(record.data.to_string()));
            format!("{name} {} {value} ({})", record.record_type(), record.ttl)
        })
        .collect()
}
