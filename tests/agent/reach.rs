//! Where the agent listens, and who may trigger its checks: the process with its environment and key file.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use crate::PROGRAM;
use serde_json::Value;

use lab::Lab;
use lab::settings::Settings;
use support::agent::{Agent, Reply, config, run_to_the_end_as};

use super::verdict;

const KEY: &str = "planted-key-0123456789abcdef";
const NEXT: &str = "planted-key-fedcba9876543210";

/// The configuration of an agent on `node:0`, which selects a free port.
fn on_its_node(lab: &Lab) -> String {
    config(lab, "1h").replace("\"127.0.0.1:0\"", "\"node:0\"")
}

fn node_ips(addresses: &'static str) -> impl Fn(Command) -> Command {
    move |mut command| {
        command.env("NODE_IPS", addresses);
        command
    }
}

fn is_reached(address: &str, port: u16) -> bool {
    TcpStream::connect((address, port)).is_ok()
}

#[test]
fn an_agent_of_a_node_listens_on_its_addresses_and_loopback_only() {
    let lab = Lab::start(Settings::default());
    let agent = Agent::start_as(PROGRAM, &lab, &on_its_node(&lab), node_ips("127.0.0.2,127.0.0.3"));
    let port = agent.address.port();
    assert_eq!(agent.address.ip().to_string(), "127.0.0.2", "the first one: {}", agent.log());
    for address in ["127.0.0.2", "127.0.0.3", "127.0.0.1"] {
        assert!(is_reached(address, port), "{address}");
    }
    assert!(!is_reached("127.0.0.4", port), "another address of this machine");
    assert_eq!(verdict(&agent.post("/check")), "pass");
}

#[test]
fn an_agent_of_an_ipv6_node_listens_there() {
    let lab = Lab::start(Settings::default());
    let agent = Agent::start_as(PROGRAM, &lab, &on_its_node(&lab), node_ips("::1"));
    assert_eq!(agent.address.ip().to_string(), "::1");
    assert_eq!(agent.get("/readyz").status, 200);
    assert!(!is_reached("127.0.0.1", agent.address.port()), "only the families of the node");
}

#[test]
fn an_agent_without_usable_addresses_of_its_node_does_not_start() {
    let lab = Lab::start(Settings::default());
    // TEST-NET-1, which no machine has.
    for (addresses, message) in [
        (None, "invalid value for NODE_IPS: it is not set; expected the IP addresses of the node"),
        (Some(""), "invalid value for NODE_IPS: it is not set"),
        (Some("aks-np1-0"), "invalid value \"aks-np1-0\" for NODE_IPS: expected"),
        (Some("0.0.0.0"), "invalid value \"0.0.0.0\" for NODE_IPS: expected"),
        (Some("192.0.2.1"), "cannot listen on 192.0.2.1:0: "),
    ] {
        let output = run_to_the_end_as(PROGRAM, &lab, &on_its_node(&lab), |mut command| {
            match addresses {
                Some(addresses) => command.env("NODE_IPS", addresses),
                None => command.env_remove("NODE_IPS"),
            };
            command
        });
        let error = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{addresses:?}: {error}");
        assert!(error.contains(message), "{addresses:?}: {error}");
    }
}

fn with_key(agent: &Agent, key: &str) -> Reply {
    agent.post_with("/check", &format!("Acr-Verifier-Key: {key}\r\n"))
}

fn guarded(lab: &Lab, path: &Path) -> String {
    let server = format!("{{address: \"127.0.0.1:0\", checksOnDemand: key, keyFile: {}}}", path.display());
    config(lab, "1h").replace("{address: \"127.0.0.1:0\"}", &server)
}

#[test]
fn a_key_can_be_rotated_and_an_invalid_one_admits_no_client() {
    let lab = Lab::start(Settings::default());
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("key");
    let agent = Agent::start_as(PROGRAM, &lab, &guarded(&lab, &path), |mut command| {
        command.arg("-vvv");
        command
    });
    // As the kubelet does it: a new file with the same name.
    let replace = |content: &[u8]| {
        let next = folder.path().join("next");
        std::fs::write(&next, content).expect("a file");
        std::fs::rename(next, &path).expect("a rename");
    };
    assert_eq!(with_key(&agent, KEY).status, 503, "the Secret does not exist yet");
    assert_eq!(agent.get("/readyz").status, 200, "the agent serves without it");
    assert!(!agent.get("/").body.contains("Check now"), "the page has no button that cannot work");

    replace(format!("{KEY}\r\n").as_bytes());
    agent.wait_for("the key", |agent| agent.post("/check").status == 401);
    assert_eq!(verdict(&with_key(&agent, KEY)), "pass");
    assert_eq!(with_key(&agent, NEXT).status, 403);

    replace(NEXT.as_bytes());
    agent.wait_for("the next key", |agent| agent.log().matches("require the key").count() == 2);
    assert_eq!(with_key(&agent, KEY).status, 403, "the previous one is void");
    assert_eq!(verdict(&with_key(&agent, NEXT)), "pass");

    let large = vec![b'k'; 2048];
    for (content, reason) in
        [(&b""[..], "it is empty"), (&large, "it is too large"), (b"too-short", "the key has 9 characters")]
    {
        replace(content);
        agent.wait_for(reason, |agent| agent.log().contains(reason));
        assert_eq!(with_key(&agent, NEXT).status, 503, "{reason}");
    }
    replace(NEXT.as_bytes());
    agent.wait_for("a valid key", |agent| agent.post("/check").status == 401);

    // Without a restart in both directions.
    let open = config(&lab, "1h");
    agent.rewrite(
        &open.replace("{address: \"127.0.0.1:0\"}", "{address: \"127.0.0.1:0\", checksOnDemand: disabled}"),
    );
    agent.wait_for("the setting", |agent| agent.post("/check").status == 403);
    let disabled: Value = with_key(&agent, NEXT).json();
    assert_eq!(disabled["checksOnDemand"], "disabled");
    agent.rewrite(&open);
    agent.wait_for("the page's button", |agent| agent.get("/").body.contains("Check now"));
    assert_eq!(agent.post("/check").status, 200);

    let pages = ["/", "/report", "/metrics"].map(|path| agent.get(path).body).concat();
    for text in [agent.log(), pages] {
        assert!(!text.contains("planted-key"), "{text}");
    }
}
