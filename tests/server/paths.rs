//! Each path in each of its states.

use std::sync::Arc;
use std::time::Duration;

use acr_verifier::run::Rejected;
use acr_verifier::schedule::{Postponed, Reason};
use acr_verifier::server::CheckAnswer;
use acr_verifier::status::Configuration;
use acr_verifier::wire::report::Report;
use tokio::time::{Instant, sleep};

use super::bench::{Server, ask, limits, post};
use super::states;
use crate::report::samples;

pub(super) fn report() -> CheckAnswer {
    CheckAnswer::Report(Arc::new(samples::run(vec![samples::healthy()])))
}

#[tokio::test]
async fn every_path_has_its_content_type() {
    let server = Server::healthy();
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/?reload=on", "text/html; charset=utf-8"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8"),
        ("/report", "application/json"),
        ("/livez", "text/plain; charset=utf-8"),
        ("/readyz", "text/plain; charset=utf-8"),
    ] {
        let reply = server.get(path).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(kind)), "{path}: {reply:?}");
        let head =
            server.ask(&format!("HEAD {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n")).await;
        assert_eq!((head.status, head.body.as_str()), (200, ""), "HEAD {path}");
        assert_eq!(head.header("content-length"), reply.header("content-length"), "HEAD {path}");
    }
    assert_eq!(server.get("/metrics").await.body, "# metrics\n");
    let report: Report = serde_json::from_str(&server.get("/report").await.body).expect("a report");
    assert_eq!(report, Report::from(&samples::run(vec![samples::healthy()])));
}

#[tokio::test]
async fn responses_carry_security_headers() {
    let server = Server::healthy();
    for path in ["/", "/report", "/nowhere"] {
        let reply = server.get(path).await;
        let policy = reply.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.header("referrer-policy"), Some("same-origin"));
    }
}

#[tokio::test]
async fn before_the_first_check_the_agent_is_ready_and_has_no_report() {
    let server = Server::start(states::before(), limits());
    for path in ["/livez", "/readyz", "/", "/metrics"] {
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }
    let reply = server.get("/report").await;
    assert_eq!(reply.status, 503);
    assert!(reply.body.contains("the first check has not completed yet"), "{reply:?}");
    server.status.send_replace(states::with(vec![samples::zone_not_linked()]));
    // An outage of the registry must not block a rollout.
    assert_eq!(server.get("/readyz").await.status, 200);
    assert_eq!(server.get("/report").await.status, 200);
}

#[tokio::test]
async fn the_report_names_its_configuration_and_a_rejected_newer_one() {
    let mut status = states::healthy();
    let mut run = samples::run(vec![samples::healthy()]);
    run.configuration = Some(format!("sha256:{}", "1a".repeat(32)));
    status.latest = Some(Arc::new(run));
    let server = Server::start(status.clone(), limits());
    let configuration = |reply: &super::bench::Reply| {
        let report: serde_json::Value = serde_json::from_str(&reply.body).expect("a report");
        report["configuration"].clone()
    };
    let own = format!("sha256:{}", "1a".repeat(32));
    assert_eq!(configuration(&server.get("/report").await), serde_json::json!({"digest": own}));
    let (reason, digest) = ("line 4: invalid value".to_owned(), Some(format!("sha256:{}", "2b".repeat(32))));
    status.configuration.rejected = Some(Rejected { reason, digest: digest.clone() });
    server.status.send_replace(status);
    assert_eq!(
        configuration(&server.get("/report").await),
        serde_json::json!({"digest": own, "rejected": "line 4: invalid value", "rejectedDigest": digest})
    );
    let page = server.get("/").await.body;
    assert!(page.contains("A newer configuration was rejected") && page.contains("line 4: invalid value"));
    assert!(page.contains("Configuration in force"), "{page}");
}

#[tokio::test]
async fn a_request_for_another_configuration_triggers_no_check() {
    let mut server = Server::healthy();
    let address = server.address;
    let wanted = format!("sha256:{}", "c".repeat(64));
    let request = post("").replace("/check", &format!("/check?configuration={wanted}"));
    let asked = tokio::spawn(async move { ask(address, &request).await });
    let request = server.checks.recv().await.expect("a request");
    assert_eq!(request.configuration, Some(wanted));
    let other = Configuration {
        digest: Some(format!("sha256:{}", "d".repeat(64))),
        ..states::healthy().configuration
    };
    request.reply.send(CheckAnswer::OtherConfiguration(other)).expect("the caller waits");
    let reply = asked.await.expect("no panic");
    assert_eq!(reply.status, 409);
    let body: serde_json::Value = serde_json::from_str(&reply.body).expect("JSON");
    assert_eq!(body["configuration"], serde_json::json!({"digest": format!("sha256:{}", "d".repeat(64))}));

    for query in ["configuration=", "configuration=sha256:1", "configuration=abc"] {
        let reply = server.ask(&post("").replace("/check", &format!("/check?{query}"))).await;
        assert_eq!(reply.status, 400, "{query}");
    }
    assert!(server.checks.is_empty());
}

#[tokio::test]
async fn a_stalled_or_ended_main_loop_is_not_live() {
    let server = Server::healthy();
    sleep(Duration::from_millis(2_200)).await;
    let reply = server.get("/livez").await;
    assert_eq!((reply.status, reply.body.as_str()), (503, "main loop stalled for 2 s\n"));
    server.heartbeat.send_replace(Instant::now());
    assert_eq!(server.get("/livez").await.status, 200);
    let Server { address, heartbeat, .. } = server;
    drop(heartbeat);
    let reply = ask(address, "GET /livez HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n").await;
    assert_eq!((reply.status, reply.body.as_str()), (503, "main loop ended\n"));
}

#[tokio::test]
async fn unknown_paths_and_methods_list_the_available_ones() {
    let server = Server::healthy();
    let reply = server.get("/favicon.ico").await;
    assert_eq!(reply.status, 404);
    assert!(reply.body.contains("GET /report") && reply.body.contains("POST /check"), "{reply:?}");
    for (method, path, allowed) in [
        ("POST", "/", "GET,HEAD"),
        ("PUT", "/report", "GET,HEAD"),
        ("DELETE", "/livez", "GET,HEAD"),
        ("GET", "/check", "POST"),
    ] {
        let reply = server
            .ask(&format!("{method} {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n"))
            .await;
        assert_eq!((reply.status, reply.header("allow")), (405, Some(allowed)), "{method} {path}: {reply:?}");
    }
}

#[tokio::test]
async fn a_triggered_check_returns_its_report() {
    let mut server = Server::healthy();
    let address = server.address;
    let first = tokio::spawn(async move { ask(address, &post("")).await });
    let second = tokio::spawn(async move { ask(address, &post("")).await });
    // The main loop answers both with the same check.
    let requests = [server.checks.recv().await.expect("one"), server.checks.recv().await.expect("two")];
    for request in requests {
        request.reply.send(report()).expect("the caller waits");
    }
    for reply in [first.await.expect("no panic"), second.await.expect("no panic")] {
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
        let _report: Report = serde_json::from_str(&reply.body).expect("a report");
    }
}

#[tokio::test]
async fn a_postponed_check_returns_the_reason_and_retry_after() {
    let mut server = Server::healthy();
    let address = server.address;
    for (reason, message) in [
        (Reason::Throttled, "no check starts until its Retry-After elapses in 254 s"),
        (Reason::BudgetSpent, "the next check starts in 254 s; retry in 164 s"),
    ] {
        let asked = tokio::spawn(async move { ask(address, &post("")).await });
        let request = server.checks.recv().await.expect("a request");
        let postponed = Postponed {
            reason,
            begins_in: Duration::from_millis(253_200),
            retry_after: Duration::from_millis(163_200),
        };
        request.reply.send(CheckAnswer::Postponed(postponed)).expect("the caller waits");
        let reply = asked.await.expect("no panic");
        assert_eq!((reply.status, reply.header("retry-after")), (429, Some("164")));
        assert!(reply.body.contains(message), "{reply:?}");
    }
}

#[tokio::test]
async fn a_full_queue_and_an_unanswered_check_are_reported() {
    let mut server = Server::healthy();
    let address = server.address;
    let waiting: Vec<_> =
        (0..2).map(|_| tokio::spawn(async move { ask(address, &post("")).await })).collect();
    while server.checks.len() < 2 {
        sleep(Duration::from_millis(5)).await;
    }
    let reply = server.post("").await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("5")));
    // One request is dropped, the other is never answered.
    drop(server.checks.recv().await);
    let _kept = server.checks.recv().await;
    let mut ends = Vec::new();
    for asked in waiting {
        ends.push(asked.await.expect("no panic").status);
    }
    ends.sort_unstable();
    assert_eq!(ends, [503, 504]);
    let Server { address, checks, .. } = server;
    drop(checks);
    assert_eq!(ask(address, &post("")).await.status, 503);
}

#[tokio::test]
async fn the_form_redirects_to_the_page() {
    let mut server = Server::healthy();
    let address = server.address;
    let wait = Duration::from_secs(4);
    let postponed = Postponed { reason: Reason::BudgetSpent, begins_in: wait, retry_after: wait };
    for answer in [report(), CheckAnswer::Postponed(postponed)] {
        let form = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\nSec-Fetch-Site: same-origin\r\n";
        let asked = tokio::spawn(async move { ask(address, &post(form)).await });
        server.checks.recv().await.expect("a request").reply.send(answer).expect("the caller waits");
        let reply = asked.await.expect("no panic");
        assert_eq!((reply.status, reply.header("location")), (303, Some("./")));
    }
}

#[tokio::test]
async fn cross_site_requests_cannot_trigger_a_check() {
    let mut server = Server::healthy();
    for foreign in [
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Origin: http://evil.example\r\n",
        "Origin: http://agent:9470\r\n",
        "Origin: null\r\n",
        "Origin: http://agent:9469\r\nSec-Fetch-Site: cross-site\r\n",
    ] {
        assert_eq!(server.post(foreign).await.status, 403, "{foreign}");
    }
    assert!(server.checks.is_empty());
    let address = server.address;
    for own in
        ["", "Origin: http://agent:9469\r\n", "Origin: https://AGENT:9469\r\n", "Sec-Fetch-Site: none\r\n"]
    {
        let asked = tokio::spawn(async move { ask(address, &post(own)).await });
        server.checks.recv().await.expect("a request").reply.send(report()).expect("the caller waits");
        assert_eq!(asked.await.expect("no panic").status, 200, "{own}");
    }
}
