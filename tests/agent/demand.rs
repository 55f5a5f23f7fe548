//! On-demand checks through the agent's port: which check answers a caller, their load on the registry, and the
//! configuration they use.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::PROGRAM;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{SLACK, verdict};
use lab::Lab;
use lab::answers::{Canned, Delivery, RetryAfter, Step};
use lab::settings::Settings;
use support::agent::{Agent, Reply, config};

/// A configuration without a regular check for hours.
fn of_a_fleet(lab: &Lab) -> String {
    config(lab, "1h").replace("jitter: 0", "jitter: 0, fleetSize: 100000")
}

fn checks(lab: &Lab) -> usize {
    lab.requests_of(Step::Challenge).len()
}

fn digest(text: &str) -> String {
    Sha256::digest(text).iter().fold("sha256:".to_owned(), |digest, byte| format!("{digest}{byte:02x}"))
}

#[test]
fn callers_during_a_check_share_the_next_one() {
    let lab = Lab::start(Settings::default());
    lab.change(|settings| settings.deliver(Step::Manifest, Delivery::Delayed(Duration::from_secs(2))));
    let agent = Agent::start(PROGRAM, &lab, &of_a_fleet(&lab));
    std::thread::scope(|scope| {
        let first = scope.spawn(|| agent.post("/check"));
        agent.wait_for("the token", |_| checks(&lab) == 1);
        // The running check has already read the Secret, so it must not answer new callers.
        std::fs::write(lab.secret_folder().join("password"), "a-wrong-password").expect("a file");
        let later: Vec<_> = (0..4).map(|_| scope.spawn(|| agent.post("/check"))).collect();
        assert_eq!(verdict(&first.join().expect("a caller")), "pass");
        for reply in later.into_iter().map(|caller| caller.join().expect("a caller")) {
            assert_eq!((reply.status, verdict(&reply)), (200, "fail".into()), "it started after the request");
        }
    });
    let checked: usize = agent.log().lines().filter(|line| line.contains("\"verdict\"")).count();
    assert_eq!(checked, 2, "four callers, one more check: {}", agent.log());
}

/// A second client is answered by the checks that the budget allows, and then by the regular ones.
#[test]
fn a_greedy_client_neither_starves_others_nor_exceeds_the_budget() {
    const LASTS: Duration = Duration::from_secs(45);
    const INTERVAL: Duration = Duration::from_secs(20);
    let lab = Lab::start(Settings::default());
    let agent = Agent::start(PROGRAM, &lab, &config(&lab, "20s"));
    let (over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let reply = agent.post("/check");
                    answered.fetch_add(usize::from(reply.status == 200), Ordering::Relaxed);
                }
            });
        }
        while started.elapsed() < LASTS {
            let asked = Instant::now();
            let reply = agent.post("/check");
            assert_eq!(reply.status, 200, "{reply:?}");
            assert!(asked.elapsed() < INTERVAL + SLACK, "{:?}", asked.elapsed());
        }
        over.store(true, Ordering::Relaxed);
    });
    // Five from the budget; the first one after the start, and one every 20 s.
    let allowed = 5 + 1 + 4;
    assert!(checks(&lab) <= allowed, "{} checks in {:?}", checks(&lab), started.elapsed());
    assert!(answered.load(Ordering::Relaxed) >= 4, "the greedy client shares them");
}

#[test]
fn a_caller_without_budget_receives_retry_after() {
    let lab = Lab::start(Settings::default());
    let agent = Agent::start(PROGRAM, &lab, &of_a_fleet(&lab));
    for _ in 0..5 {
        assert_eq!(agent.post("/check").status, 200);
    }
    let reply = agent.post("/check");
    assert_eq!((reply.status, checks(&lab)), (429, 5), "{reply:?}");
    let seconds = retry_after(&reply);
    // Six minutes after the first of the five, and a minute and a half before the check starts.
    assert!((230..=270).contains(&seconds), "{seconds}");
    assert!(reply.body.contains("the next check starts in "), "{reply:?}");
}

#[test]
fn no_on_demand_check_starts_before_the_registrys_retry_after_elapses() {
    let lab = Lab::start(Settings::default());
    lab.change(|settings| settings.answer(Step::Challenge, Canned::Throttled(RetryAfter::Seconds(600))));
    let agent = Agent::start(PROGRAM, &lab, &of_a_fleet(&lab));
    let first = agent.post("/check");
    assert_eq!((first.status, verdict(&first)), (200, "unknown".into()));
    assert_eq!(first.json()["images"][0]["retryAfterSeconds"], 600.0);
    let before = lab.requests().len();
    for _ in 0..5 {
        let reply = agent.post("/check");
        assert_eq!(reply.status, 429);
        assert!((590..=600).contains(&retry_after(&reply)), "{reply:?}");
        assert!(reply.body.contains("the registry throttles"), "{reply:?}");
    }
    assert_eq!(lab.requests().len(), before, "no request was sent to the registry");
}

fn retry_after(reply: &Reply) -> u64 {
    reply.header("retry-after").and_then(|seconds| seconds.parse().ok()).expect("seconds")
}

#[test]
fn the_first_check_starts_within_ten_seconds_for_any_interval() {
    let lab = Lab::start(Settings::default());
    let agent = Agent::start(PROGRAM, &lab, &config(&lab, "1h"));
    let started = Instant::now();
    assert_eq!(agent.get("/readyz").status, 200, "it serves");
    agent.wait_for("the first check", |agent| agent.get("/report").status == 200);
    assert!(started.elapsed() < Duration::from_secs(10) + SLACK, "{:?}", started.elapsed());
}

#[test]
fn a_report_names_its_configuration() {
    let lab = Lab::start(Settings::default());
    let old = config(&lab, "1h");
    let new = old.replace("name: canary", "name: other");
    let broken = "images: [\n";
    let agent = Agent::start(PROGRAM, &lab, &old);
    let configuration = |reply: &Reply| -> Value { reply.json()["configuration"].clone() };
    assert_eq!(configuration(&agent.post("/check")), serde_json::json!({"digest": digest(&old)}));
    assert!(agent.log().contains(&digest(&old)), "the log contains the digest: {}", agent.log());

    // The kubelet has not delivered the new one yet: finding out costs the registry nothing.
    let before = checks(&lab);
    let wanted = format!("/check?configuration={}", digest(&new));
    let early = agent.post(&wanted);
    assert_eq!((early.status, configuration(&early)), (409, serde_json::json!({"digest": digest(&old)})));
    assert_eq!(checks(&lab), before);

    agent.replace(broken);
    agent.wait_for("the rejection", |agent| agent.get("/report").body.contains("\"rejected\""));
    let reported = configuration(&agent.get("/report"));
    assert_eq!(
        (&reported["digest"], &reported["rejectedDigest"]),
        (&digest(&old).into(), &digest(broken).into())
    );
    assert!(reported["rejected"].as_str().is_some_and(|reason| reason.contains("line 1")), "{reported}");
    assert_eq!(configuration(&agent.post(&wanted)), reported, "an early caller receives the same");

    agent.replace(&new);
    agent.wait_for("the new one", |agent| agent.post(&wanted).status == 200);
    let report = agent.get("/report");
    assert_eq!(configuration(&report), serde_json::json!({"digest": digest(&new)}));
    assert_eq!(report.json()["images"][0]["name"], "other");
}
