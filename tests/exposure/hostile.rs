//! A public side that answers without end, with secrets, or with text that would control a terminal.

use std::process::Command;
use std::time::Duration;

use super::{command, probes, report, run, text, violations};
use lab::Lab;
use lab::answers::{Canned, Delivery, FirewallWording, Step};
use lab::settings::{Settings, Transport};

/// A token that nothing sent, as a debug page of a proxy could show it.
const TOKEN: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0aWQiOiI3MmY5ODhiZiJ9.c2lnbmF0dXJl";
/// The timeout of a request that never completes, and of one that does.
const SHORT: &str = "3s";
const LONG: &str = "60s";

fn start(arrange: impl FnOnce(&mut Settings)) -> Lab {
    let mut settings = Settings::default();
    arrange(&mut settings);
    Lab::start(settings)
}

/// Returns the probes that a run reports with this timeout.
fn found(lab: &Lab, timeout: &str) -> Vec<String> {
    let output = run(command(lab).args(["--timeout", timeout, "--output", "json"]).arg(lab.login_server()));
    assert_eq!(violations(lab, &lab.login_server()), Vec::<String>::new());
    probes(&report(&output))
}

#[test]
fn a_refusal_must_be_complete_and_a_challenge_is_enough() {
    let firewall = Canned::Firewall(FirewallWording::Refer);
    for (delivery, refused, open) in [
        (Delivery::EndlessHeaders, "not_tested not_http IPv4", "not_tested not_http IPv4"),
        (Delivery::EndlessLine, "not_tested not_http IPv4", "not_tested not_http IPv4"),
        (Delivery::HugeHeader, "not_tested not_http IPv4", "not_tested not_http IPv4"),
        (Delivery::EndlessInterim, "not_tested response_timeout IPv4", "not_tested response_timeout IPv4"),
        (Delivery::EndlessBody, "not_tested forbidden IPv4 403", "exposed IPv4 401"),
        (Delivery::HugeBody, "not_tested forbidden IPv4 403", "exposed IPv4 401"),
        (Delivery::SilentMidBody, "not_tested response_timeout IPv4", "exposed IPv4 401"),
        (Delivery::ResetMidBody, "not_tested connection_reset IPv4", "exposed IPv4 401"),
        (Delivery::CloseMidBody, "not_tested connection_reset IPv4", "exposed IPv4 401"),
        (
            Delivery::Dripping(Duration::from_millis(200)),
            "not_tested response_timeout IPv4",
            "not_tested response_timeout IPv4",
        ),
        (Delivery::TwoLengths, "not_tested not_http IPv4", "not_tested not_http IPv4"),
    ] {
        for (canned, expected) in [(Some(&firewall), refused), (None, open)] {
            let lab = start(|settings| {
                settings.challenge.delivery = delivery;
                if let Some(canned) = canned {
                    settings.answer(Step::Challenge, canned.clone());
                }
            });
            let waits = expected.contains("timeout") || delivery == Delivery::SilentMidBody;
            let timeout = if waits { SHORT } else { LONG };
            assert_eq!(found(&lab, timeout), [expected], "{delivery:?}");
        }
    }
}

#[test]
fn endless_handshakes_end_with_the_timeout() {
    for transport in [Transport::DrippingHandshake, Transport::EndlessAlerts, Transport::EndlessRecords] {
        let lab = start(|settings| settings.login.transport = transport);
        let found = found(&lab, SHORT);
        let is_gap =
            found.len() == 1 && ["tls_failed", "response_timeout"].iter().any(|kind| found[0].contains(kind));
        assert!(is_gap, "{transport:?}: {found:?}");
    }
}

/// Returns everything that a run prints in one format, with the highest log level.
fn shown(lab: &Lab, format: &str) -> String {
    let mut command: Command = command(lab);
    let output = run(command.args(["-vvv", "--output", format]).arg(lab.login_server()));
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn echoed_secrets_and_control_characters_are_not_shown() {
    let message = format!("client with IP '203.0.113.7' is \u{1b}[31mnot allowed access {TOKEN}\u{202e}");
    let body = serde_json::json!({"errors": [{"code": format!("DENIED {TOKEN}"), "message": message}]});
    let page = format!("<html><title>Blocked {TOKEN} \u{1b}]0;title\u{7}</title></html>");
    let headers = vec![
        ("Content-Type".to_owned(), "application/json".to_owned()),
        ("X-Ms-Correlation-Request-Id".to_owned(), TOKEN.to_owned()),
        ("Location".to_owned(), format!("https://{TOKEN}.example/?token={TOKEN}")),
    ];
    for (status, body) in [(403, body.to_string()), (418, body.to_string()), (302, page.clone()), (200, page)]
    {
        let lab = start(|settings| {
            let canned = Canned::Raw { status, headers: headers.clone(), body: body.clone().into_bytes() };
            settings.answer(Step::Challenge, canned);
        });
        for format in ["text", "json", "junit"] {
            let shown = shown(&lab, format);
            for part in TOKEN.split('.') {
                let is_shown = shown.to_lowercase().contains(&part.to_lowercase());
                assert!(!is_shown, "{status} {format}: {part} is in\n{shown}");
            }
            assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{status} {format}: {shown}");
        }
    }
}

#[test]
fn the_credentials_of_this_machine_are_neither_read_nor_sent() {
    let lab = start(|settings| settings.echoing = Some(Step::Challenge));
    for format in ["text", "json", "junit"] {
        let shown = shown(&lab, format);
        for secret in lab.secrets() {
            assert!(!shown.contains(&secret), "{format}: {secret} is in\n{shown}");
        }
    }
    assert!(lab.requests().iter().all(|request| request.header("Authorization").is_none()));
    assert_eq!(lab.requests().len(), 3);
}
