//! Tests of the harness itself: pause, stop, restart and injected faults.

use std::process::Output;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Client, event, events};
use super::proxy::{Fault, FaultProxy};
use super::server::{ApiServer, NODE};

#[tokio::test]
async fn a_paused_server_accepts_connections_and_responds_after_resume() {
    let Some(server) = ApiServer::start() else { return };
    let hurried = Client::hurried(&server, Duration::from_millis(500));
    let client = Client::new(&server);
    server.pause();
    let first = event("Slow server.");
    let path = events("default");
    let error = hurried.send(Method::POST, &path, Some(&first)).await.expect_err("no answer");
    assert!(error.is_timeout() && !error.is_connect(), "{error:?}");

    let began = Instant::now();
    // Another Event: the server may still read the first request once it resumes.
    let next = event("After the pause.");
    let waiting = client.create("default", &next);
    let (answer, ()) = tokio::join!(waiting, async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        server.resume();
    });
    assert_eq!(answer.status, 201, "{answer:?}");
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_stopped_server_refuses_connections_and_keeps_its_data() {
    let Some(server) = ApiServer::start() else { return };
    let client = Client::new(&server);
    let before = event("Before the server went away.");
    assert_eq!(client.create("default", &before).await.status, 201);
    server.stop();
    // A client without a connection: the other one would first have to notice that its own is closed.
    let fresh = Client::new(&server);
    let gone = fresh.send(Method::POST, &events("default"), Some(&event("Gone."))).await;
    let error = gone.expect_err("no process listens");
    assert!(error.is_connect(), "{error:?}");

    server.start_again();
    // The same token and address; a client with the broken connection may fail once.
    let client = fresh;
    assert_eq!(client.create("default", &before).await.status, 409);
    assert_eq!(client.create("default", &event("After it came back.")).await.status, 201);
    let node = server.kubectl(&["get", "node", NODE, "--output=name"]);
    assert_eq!(String::from_utf8_lossy(&node.stdout), format!("node/{NODE}\n"));
}

#[tokio::test]
async fn the_proxy_returns_its_faults_and_then_forwards() {
    let Some(server) = ApiServer::shared() else { return };
    let proxy = FaultProxy::start(server);
    let client = Client::through(server, proxy.url());
    for status in [403, 409, 422] {
        proxy.next(1, &Fault::Answer { status, retry_after: None });
    }
    proxy.next(2, &Fault::Answer { status: 429, retry_after: Some(7) });
    let event = event("Through the proxy.");
    let mut statuses = Vec::new();
    for _ in 0..6 {
        let answer = client.create("default", &event).await;
        assert_eq!(answer.retry_after.as_deref(), (answer.status == 429).then_some("7"));
        if answer.status != 201 {
            assert_eq!(answer.body["kind"], "Status");
            assert_eq!(answer.body["code"], answer.status);
        }
        statuses.push(answer.status);
    }
    assert_eq!(statuses, [403, 409, 422, 429, 429, 201]);
    let asked = proxy.asked();
    assert_eq!(asked.iter().filter_map(|asked| asked.status).collect::<Vec<_>>(), statuses);
    assert!(asked.iter().all(|asked| asked.method == "POST" && asked.target == events("default")));
    assert!(asked.iter().all(|asked| asked.body == event));
}

#[tokio::test]
async fn a_lost_response_leaves_the_event_created() {
    let Some(server) = ApiServer::shared() else { return };
    let proxy = FaultProxy::start(server);
    let client = Client::through(server, proxy.url());
    let event = event("The answer is lost.");
    // A fresh connection, as the client library would retry on a reused one.
    proxy.next(1, &Fault::AnswerLost);
    client.send(Method::POST, &events("default"), Some(&event)).await.expect_err("no answer");
    let again = client.create("default", &event).await;
    assert_eq!((again.status, again.body["reason"].as_str()), (409, Some("AlreadyExists")));
    assert_eq!(proxy.asked().iter().map(|asked| asked.status).collect::<Vec<_>>(), [None, Some(409)]);
}

#[tokio::test]
async fn kubectl_runs_as_agent_and_as_administrator() {
    let Some(server) = ApiServer::shared() else { return };
    let who = |output: Output| {
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON")["status"]["userInfo"].clone()
    };
    let arguments = ["auth", "whoami", "--output=json"];
    assert_eq!(who(server.kubectl(&arguments))["groups"], json!(["system:masters", "system:authenticated"]));
    assert_eq!(
        who(server.kubectl_as_agent(&arguments))["username"],
        "system:serviceaccount:acr-verifier:acr-verifier"
    );
    let version = server.kubectl(&["version", "--output=json"]);
    let version: Value = serde_json::from_slice(&version.stdout).expect("JSON");
    assert_eq!(version["clientVersion"]["gitVersion"], version["serverVersion"]["gitVersion"]);
}
