//! Who may trigger a check: the answers to all others, the limit on wrong keys, and what reaches the main loop.

use std::time::Duration;

use acr_verifier::check_key::{CheckKey, KeyError};
use acr_verifier::server::CheckAccess;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::bench::{Reply, Server, ask, post};
use super::paths::report;

const KEY: &str = "0123456789abcdef-planted-key";

fn key(text: &str) -> CheckAccess {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("key");
    std::fs::write(&path, text).expect("a file");
    CheckAccess::Key(CheckKey::read(&path).expect("a key"))
}

fn with(key: &str) -> String {
    format!("Acr-Verifier-Key: {key}\r\n")
}

/// Posts while the main loop answers.
async fn answered(server: &mut Server, headers: &str) -> Reply {
    let (address, request) = (server.address, post(headers));
    let asked = tokio::spawn(async move { ask(address, &request).await });
    server.checks.recv().await.expect("a request").reply.send(report()).expect("the caller waits");
    asked.await.expect("no panic")
}

#[tokio::test]
async fn only_admitted_requests_reach_the_main_loop() {
    let mut server = Server::healthy();
    let right = with(KEY);
    let cases: Vec<(CheckAccess, String, u16, Value, &str)> = vec![
        (CheckAccess::Disabled, String::new(), 403, json!("disabled"), "checks on demand are disabled"),
        (CheckAccess::Disabled, right.clone(), 403, json!("disabled"), "GET /report returns"),
        (CheckAccess::NoKey(KeyError::Empty), right.clone(), 503, json!("key"), "its log has the reason"),
        (key(KEY), String::new(), 401, json!("key"), "the header Acr-Verifier-Key"),
        (key(KEY), format!("Authorization: Bearer {KEY}\r\n"), 401, json!("key"), "require the key"),
        (key(KEY), with(""), 403, json!("key"), "is wrong"),
        (key(KEY), with(&KEY[1..]), 403, json!("key"), "is wrong"),
        (key(KEY), with(&format!("{KEY}0")), 403, json!("key"), "is wrong"),
        (key(KEY), with("another") + &right, 403, json!("key"), "is wrong"),
        (key(KEY), right.clone() + "Origin: http://evil.example\r\n", 403, Value::Null, "cross-site"),
    ];
    for (access, headers, status, setting, message) in cases {
        server.access.send_replace(access);
        let reply = server.post(&headers).await;
        let body: Value = serde_json::from_str(&reply.body).expect("JSON");
        assert_eq!((reply.status, &body["checksOnDemand"]), (status, &setting), "{headers}: {reply:?}");
        assert!(body["error"].as_str().is_some_and(|error| error.contains(message)), "{reply:?}");
        assert_eq!(reply.header("www-authenticate").is_some(), status == 401, "{reply:?}");
        assert!(!reply.body.contains("planted") && !reply.head.contains("planted"), "{reply:?}");
    }
    assert!(server.checks.is_empty(), "none reached the main loop");
    // A browser on another page, and without the key, gets no further.
    for (access, headers) in
        [(CheckAccess::Open, String::new()), (CheckAccess::Open, with("x")), (key(KEY), right)]
    {
        server.access.send_replace(access);
        assert_eq!(answered(&mut server, &headers).await.status, 200, "{headers}");
    }
}

#[tokio::test]
async fn after_ten_wrong_keys_the_next_ones_are_not_compared() {
    let mut server = Server::healthy();
    server.access.send_replace(key(KEY));
    for index in 0..10 {
        assert_eq!(server.post(&with(&format!("guess-{index}"))).await.status, 403);
        assert_eq!(server.post("").await.status, 401, "no attempt, so it does not count");
    }
    let reply = server.post(&with(KEY)).await;
    assert_eq!(reply.status, 429, "{reply:?}");
    assert!(reply.body.contains("too many wrong keys"), "{reply:?}");
    let seconds: u64 = reply.header("retry-after").and_then(|value| value.parse().ok()).expect("seconds");
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert!(server.checks.is_empty());
    // It concerns keys only.
    assert_eq!(server.get("/report").await.status, 200);
    server.access.send_replace(CheckAccess::Open);
    assert_eq!(answered(&mut server, "").await.status, 200);
}

#[tokio::test]
async fn a_report_has_the_age_of_its_check() {
    let server = Server::healthy();
    let before = Instant::now().checked_sub(Duration::from_millis(41_500)).expect("a while ago");
    server.completed.send_replace(before);
    let age: u64 =
        server.get("/report").await.header("age").and_then(|age| age.parse().ok()).expect("seconds");
    assert!((42..60).contains(&age), "rounded up: {age}");
}
