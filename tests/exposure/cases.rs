//! What the public side answers, and the verdict on it: one row for each kind of answer.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use acr_verifier::public_endpoint::outcome::GapKind;
use serde_json::Value;

use super::rows::{ANSWERS, Arrange, CONNECTIONS, FIREWALL, NAMES, Row, answer, resolve};
use super::{both_roots, command, probes, report, run, second_lab, text, trusting, violations};
use lab::answers::{Canned, RetryAfter};
use lab::log::Listener;
use lab::settings::{Certificate, Settings};
use lab::{INSPECTION_CA, Lab, SEEN_ADDRESS};

/// Number of concurrent rows, which mostly wait.
const SIDE_BY_SIDE: usize = 8;
/// Kinds that have a test of their own, or need a machine without a free port.
const NO_ROW: [GapKind; 2] = [GapKind::NoNameserver, GapKind::NotOpened];

fn start(arrange: Arrange) -> Lab {
    let mut settings = Settings::default();
    arrange(&mut settings);
    Lab::start(settings)
}

/// Returns the timeout of a row: short if the row waits for it, otherwise more than a busy machine needs.
fn timeout_of(name: &str, expected: &str) -> &'static str {
    if expected.contains("timeout") || name == "silent nameserver" {
        "1s"
    } else if name.contains("silent") {
        "5s"
    } else {
        "60s"
    }
}

/// Runs a row and returns what is wrong with it, and the reasons that it reported.
fn play((name, arrange, expected, connections): &Row) -> (Vec<String>, Vec<String>) {
    let lab = start(*arrange);
    let timeout = timeout_of(name, expected);
    let output = run(command(&lab).args(["--timeout", timeout, "--output", "json"]).arg(lab.login_server()));
    let report = report(&output);
    let found = probes(&report);
    let mut wrong = violations(&lab, &lab.login_server());
    if found.join("; ") != *expected {
        wrong.push(format!("expected {expected:?}, reported {found:?}"));
    }
    let code = match report["verdict"].as_str() {
        Some("refused") => 0,
        Some("exposed") => 1,
        _ => 3,
    };
    if output.status.code() != Some(code) {
        wrong.push(format!("exit code {:?}: {}", output.status.code(), text(&output.stderr)));
    }
    if lab.connections(Listener::Login) != *connections {
        wrong.push(format!("{:?}", lab.all_connections()));
    }
    let probes = report["registries"][0]["probes"].as_array().expect("probes");
    for message in probes.iter().map(|probe| probe["message"].as_str().expect("a message")) {
        if !message.ends_with('.') || message.contains("  ") {
            wrong.push(format!("not a sentence: {message}"));
        }
    }
    let reasons = probes.iter().filter_map(|probe| probe["reason"].as_str().map(str::to_owned));
    let wrong = wrong.into_iter().map(|wrong| format!("{name}: {wrong}")).collect();
    (wrong, reasons.collect())
}

#[test]
fn every_answer_has_its_verdict_and_gets_one_request_without_a_credential() {
    let rows: Vec<&Row> = ANSWERS.iter().chain(&NAMES).chain(&CONNECTIONS).collect();
    let next = AtomicUsize::new(0);
    let results = Mutex::new((Vec::new(), BTreeSet::new()));
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (wrong, reasons) = play(row);
                    let mut results = results.lock().expect("no row panicked");
                    results.0.extend(wrong);
                    results.1.extend(reasons);
                }
            });
        }
    });
    let (wrong, reached) = results.into_inner().expect("no row panicked");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let expected: BTreeSet<String> = GapKind::ALL
        .into_iter()
        .filter(|kind| !NO_ROW.contains(kind))
        .map(|kind| kind.as_str().to_owned())
        .collect();
    assert_eq!(reached, expected);
}

#[test]
fn without_a_nameserver_nothing_is_tested() {
    let lab = start(|_| {});
    let path = lab.folder().join("resolv.conf");
    std::fs::write(&path, "search example.com\n").expect("a file");
    let mut command = std::process::Command::new(crate::PROGRAM);
    command.args(["exposure", "--output", "json", "--resolv-conf"]).arg(&path).arg("--ca-file");
    let output = run(command.arg(lab.ca_file()).arg(lab.login_server()));
    assert_eq!(probes(&report(&output)), ["not_tested no_nameserver"]);
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn two_families_with_different_results_are_exposed_and_the_report_shows_both() {
    let first = start(|settings| {
        resolve(settings, &["127.0.0.2", "::1"]);
        answer(settings, FIREWALL);
    });
    let second = second_lab(&first, "::1", "127.0.0.7", |_| {});
    let mut command = trusting(&first, &both_roots(&first, &second));
    let output = run(command.args(["--output", "json"]).arg(first.login_server()));
    let report = report(&output);
    assert_eq!(probes(&report), ["refused IPv4 403 203.0.113.7", "exposed IPv6 401"]);
    assert_eq!((output.status.code(), report["verdict"].as_str()), (Some(1), Some("exposed")));
    let message = report["registries"][0]["message"].as_str().expect("a message");
    assert!(message.contains("The results differ: contoso.azurecr.io at ::1 exposed; "), "{message}");
    assert!(message.contains("contoso.azurecr.io at 127.0.0.2 refused."), "{message}");
    for lab in [&first, &second] {
        assert_eq!(violations(lab, &first.login_server()), Vec::<String>::new());
        assert_eq!(lab.requests().len(), 1);
    }
}

#[test]
fn regional_endpoints_are_requested_and_listed_under_their_registry() {
    let first = start(|settings| answer(settings, FIREWALL));
    let second = second_lab(&first, "127.0.0.8", "127.0.0.9", |settings| {
        settings.place.regional = true;
        answer(settings, FIREWALL);
    });
    let names = [first.login_server(), second.login_server()];
    assert_eq!(names[1], "contoso.westeurope.geo.azurecr.io");
    let all = |names: &[String]| -> Value {
        let mut command = trusting(&first, &both_roots(&first, &second));
        command.arg("--nameserver").arg(second.nameservers()[0].to_string());
        report(&run(command.args(["--output", "json"]).args(names)))
    };
    let closed = all(&names);
    assert_eq!(probes(&closed), ["refused IPv4 403 203.0.113.7"; 2]);
    assert_eq!(closed["registries"].as_array().map(Vec::len), Some(1));
    assert_eq!(closed["registries"][0]["registry"], "contoso.azurecr.io");
    assert_eq!(closed["registries"][0]["probes"][1]["host"], names[1]);
    for (lab, name) in [&first, &second].into_iter().zip(&names) {
        assert_eq!(violations(lab, name), Vec::<String>::new());
        assert_eq!(lab.requests().len(), 1);
    }
    second.change(|settings| settings.challenge.answer = lab::answers::Answer::Normal);
    let open = all(&names);
    assert_eq!(probes(&open), ["refused IPv4 403 203.0.113.7", "exposed IPv4 401"]);
    assert_eq!(open["verdict"], "exposed");
    let only_regional = all(&names[1..]);
    let message = only_regional["registries"][0]["message"].as_str().expect("a message");
    assert!(message.ends_with("contoso.azurecr.io itself was not tested."), "{message}");
}

#[test]
fn the_report_names_an_inspecting_issuer_and_the_address_of_the_client() {
    let lab = start(|settings| settings.login.certificate = Certificate::Untrusted);
    let output = run(command(&lab).args(["--output", "json"]).arg(lab.login_server()));
    let message = report(&output)["registries"][0]["message"].as_str().expect("a message").to_owned();
    assert!(message.contains(INSPECTION_CA), "{message}");
    let lab = start(|settings| answer(settings, FIREWALL));
    let shown = text(&run(command(&lab).arg(lab.login_server())).stdout);
    assert!(shown.contains(SEEN_ADDRESS), "{shown}");
}

#[test]
fn one_address_of_a_family_is_requested_and_the_others_are_named() {
    let lab = start(|settings| {
        settings.place.decoy_addresses = vec!["127.0.0.44".parse().expect("an address")];
        resolve(settings, &["127.0.0.2", "127.0.0.44"]);
    });
    let output = run(command(&lab).args(["--output", "json"]).arg(lab.login_server()));
    let report = report(&output);
    let probe = &report["registries"][0]["probes"][0];
    assert_eq!(probe["address"], "127.0.0.2");
    assert_eq!(probe["otherAddresses"], serde_json::json!(["127.0.0.44"]));
    assert_eq!(violations(&lab, &lab.login_server()), Vec::<String>::new());
}

#[test]
fn a_throttling_registry_reports_when_it_accepts_requests_again() {
    let lab = start(|settings| answer(settings, Canned::Throttled(RetryAfter::Seconds(90))));
    let output = run(command(&lab).args(["--wait", "5s", "--output", "json"]).arg(lab.login_server()));
    let report = report(&output);
    assert_eq!(report["registries"][0]["probes"][0]["retryAfterSeconds"], 90.0);
    // No second request before the registry wants one, so the wait cannot continue.
    assert_eq!(lab.requests().len(), 1);
}
