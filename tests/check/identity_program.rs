//! The binary with an identity: its report, its environment, and what it leaves on the machine while it runs.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::program::{report, run, text};
use lab::Lab;
use lab::answers::{Delivery, Step};
use lab::log::Listener;
use lab::settings::{EntraFault, Identity, ImdsFault, Rights, Settings};

/// The two kinds of identity, as on the command line.
const KINDS: [&str; 2] = ["managed", "workload"];

fn lab() -> Lab {
    Lab::start(Settings { identity: Identity::on_loopback(), ..Settings::default() })
}

/// Returns the command line of a check with an identity, without the image.
fn command(lab: &Lab, kind: &str) -> Command {
    let mut command = Command::new(crate::PROGRAM);
    command.args(["check", "--allow-loopback", "--identity", kind]);
    command.arg("--lab-imds").arg(lab.imds().to_string()).arg("--lab-entra").arg(lab.entra().to_string());
    for server in lab.nameservers() {
        command.arg("--nameserver").arg(server.to_string());
    }
    command.arg("--ca-file").arg(lab.ca_file()).env("SSL_CERT_FILE", lab.public_roots());
    if kind == "workload" {
        command.envs(lab.workload_variables());
    }
    command.stdin(Stdio::null()).env_remove("NODE_NAME").env_remove("NETWORK_VIEW");
    command
}

#[test]
fn both_identities_pass_and_are_reported() {
    let lab = lab();
    for kind in KINDS {
        let output = run(command(&lab, kind).args(["--output", "json"]).arg(lab.image()));
        assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
        let report = report(&output);
        assert_eq!(report["images"][0]["credentials"], format!("{kind}_identity"));
        assert_eq!(report["images"][0]["verdict"], "pass");
    }
}

#[test]
fn the_client_id_selects_one_of_several_identities() {
    let lab = lab();
    lab.change(|settings| settings.identity.assign_another());
    let cause = |arguments: &[&str]| -> (Option<i32>, Value) {
        let mut command = command(&lab, "managed");
        let output = run(command.args(["--output", "json"]).args(arguments).arg(lab.image()));
        (output.status.code(), report(&output)["images"][0]["diagnoses"][0]["cause"].clone())
    };
    assert_eq!(cause(&[]), (Some(1), "identity_not_found".into()));
    let identity = Identity::default();
    assert_eq!(cause(&["--identity-client-id", identity.kubelet_client_id()]), (Some(0), Value::Null));
}

#[test]
fn a_service_that_cannot_answer_now_is_inconclusive() {
    let lab = lab();
    lab.change(|settings| {
        settings.identity.imds.answer = Some(ImdsFault::Status(500));
        settings.identity.entra.answer = Some(EntraFault::Status(503));
    });
    for (kind, cause) in KINDS.into_iter().zip(["identity_unavailable", "entra_unreachable"]) {
        let output = run(command(&lab, kind).args(["--output", "json"]).arg(lab.image()));
        assert_eq!(output.status.code(), Some(3), "{kind}");
        assert_eq!(report(&output)["images"][0]["diagnoses"][0]["cause"], cause);
    }
}

/// IMDS behind a proxy would be another machine's, and tokens must not pass through one.
#[test]
fn no_proxy_variable_is_followed() {
    let proxy = TcpListener::bind("127.0.0.1:0").expect("a free port");
    proxy.set_nonblocking(true).expect("a socket");
    let url = format!("http://{}", proxy.local_addr().expect("an address"));
    let lab = lab();
    for kind in KINDS {
        let mut command = command(&lab, kind);
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
            command.env(name, &url);
        }
        command.env_remove("NO_PROXY").env_remove("no_proxy");
        let output = run(command.arg(lab.image()));
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    }
    assert_eq!(proxy.accept().map(|_| ()).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
    assert_eq!(lab.requests_at(Listener::Imds).len(), 1);
    assert_eq!(lab.requests_at(Listener::Entra).len(), 1);
}

#[test]
fn no_output_contains_a_token() {
    let lab = lab();
    let arrangements: [fn(&mut Settings); 6] = [
        |_| {},
        |settings| settings.identity.rights = Rights::None,
        |settings| settings.identity.rights = Rights::WithoutRead,
        |settings| settings.echoing = Some(Step::Exchange),
        |settings| settings.echoing = Some(Step::Token),
        |settings| {
            settings.identity.imds.answer = Some(ImdsFault::Echo);
            settings.identity.entra.answer = Some(EntraFault::Echo);
        },
    ];
    for arrange in arrangements {
        lab.change(|settings| {
            settings.identity = Identity::on_loopback();
            settings.echoing = None;
            arrange(settings);
        });
        for kind in KINDS {
            for format in ["text", "json", "junit"] {
                let output = run(command(&lab, kind).args(["-vvv", "--output", format]).arg(lab.image()));
                let shown = text(&output.stdout) + &text(&output.stderr);
                for secret in lab.secrets() {
                    assert!(!shown.contains(&secret), "{kind}, {format}: {secret}\n{shown}");
                }
            }
        }
    }
    assert!(lab.secrets().len() > 50, "the lab remembers its tokens");
}

#[test]
fn the_process_list_contains_no_token() {
    let lab = lab();
    lab.change(|settings| settings.deliver(Step::Manifest, Delivery::SilentAfterRequest));
    for kind in KINDS {
        lab.forget();
        let mut child = command(&lab, kind)
            .args(["--stage-timeout", "20s"])
            .arg(lab.image())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        while lab.requests_of(Step::Manifest).is_empty() {
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut shown = String::new();
        for name in ["cmdline", "environ", "comm", "status"] {
            let bytes = std::fs::read(format!("/proc/{}/{name}", child.id())).expect("a process");
            shown.push_str(&String::from_utf8_lossy(&bytes));
        }
        child.kill().and_then(|()| child.wait()).expect("a process");
        assert!(shown.contains("--identity") && shown.contains("SSL_CERT_FILE"), "{shown}");
        for secret in lab.secrets() {
            assert!(!shown.contains(&secret), "{kind}: {secret}");
        }
    }
}
