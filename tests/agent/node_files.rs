//! An agent that reads the node's own files: changes on the node take effect without a restart.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::PROGRAM;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;
use tempfile::TempDir;

use lab::Lab;
use lab::settings::Settings;
use support::agent::{Agent, config};

/// Time within which a change must take effect.
const SOON: Duration = Duration::from_secs(15);

struct Node(TempDir);

impl Node {
    fn new() -> Self {
        Self(TempDir::new().expect("a folder"))
    }

    fn path(&self, path: &str) -> PathBuf {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        path
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).expect("a file");
    }

    /// Replaces a file by rename, as systemd-resolved and certificate tools do.
    fn replace(&self, path: &str, text: &str) {
        let next = self.path(&format!("{path}.next"));
        fs::write(&next, text).expect("a file");
        fs::rename(next, self.path(path)).expect("a rename");
    }

    fn configure(&self, text: &str) -> String {
        format!("{text}nodeFiles: {{root: {}}}\n", self.0.path().display())
    }
}

/// The causes of the only image.
fn causes(report: &Value) -> Vec<String> {
    let diagnoses = report["images"][0]["diagnoses"].as_array().expect("a list");
    diagnoses.iter().map(|diagnosis| diagnosis["cause"].as_str().expect("a code").to_owned()).collect()
}

fn wait_soon(agent: &Agent, what: &str, is_there: impl Fn(&Value) -> bool) {
    let started = Instant::now();
    agent.wait_for(what, |agent| is_there(&agent.get("/report").json()));
    assert!(started.elapsed() < SOON, "{what}: {:?}", started.elapsed());
}

#[test]
fn a_containerd_proxy_is_warned_about_until_no_proxy_covers_the_names() {
    let lab = Lab::start(Settings::default());
    let node = Node::new();
    let drop_in = "etc/systemd/system/containerd.service.d/http-proxy.conf";
    node.write("etc/systemd/system/containerd.service", "[Service]\nExecStart=/usr/bin/containerd\n");
    let agent = Agent::start(PROGRAM, &lab, &node.configure(&config(&lab, "1h")));
    let report = agent.post("/check").json();
    assert_eq!((&report["verdict"], &report["nodeFiles"]["proxy"]), (&"pass".into(), &"none".into()));

    // The directory is new as well.
    let proxy = "[Service]\nEnvironment=HTTPS_PROXY=http://user:hunter2@192.0.2.1:3128\n";
    node.write(drop_in, proxy);
    wait_soon(&agent, "the warning", |report| causes(report) == ["proxy_bypassed"; 2]);
    let report = agent.get("/report").json();
    assert_eq!(
        (&report["verdict"], &report["nodeFiles"]["proxy"]),
        (&"warn".into(), &"http://192.0.2.1:3128".into())
    );
    assert!(agent.get("/").body.contains("http://192.0.2.1:3128"), "the page shows it");
    assert!(agent.get("/metrics").body.contains("cause=\"proxy_bypassed\""));

    node.replace(drop_in, &format!("{proxy}Environment=NO_PROXY=.azurecr.io\n"));
    wait_soon(&agent, "the pass", |report| report["verdict"] == "pass");
    for shown in [agent.log(), agent.get("/").body, agent.get("/report").body] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn changed_certificate_authorities_of_the_node_take_effect() {
    let lab = Lab::start(Settings::default());
    let node = Node::new();
    let bundle = "etc/ssl/certs/ca-certificates.crt";
    let mut params = CertificateParams::new([]).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let foreign =
        CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a root").pem();
    node.write(bundle, &foreign);
    let without_file: String = config(&lab, "1h")
        .lines()
        .filter(|line| !line.starts_with("tls:"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let agent = Agent::start(PROGRAM, &lab, &node.configure(&without_file));
    assert_eq!(causes(&agent.post("/check").json()), ["certificate_untrusted"]);
    node.replace(bundle, &format!("{foreign}{}", lab.ca_pem()));
    wait_soon(&agent, "the pass", |report| report["verdict"] == "pass");
    let report = agent.get("/report").json();
    assert_eq!(report["images"][0]["connection"]["trustedBy"], "node");
    assert_eq!(report["nodeFiles"]["roots"], "node");

    // A certificate authority that the bundle lacks, in a separate file.
    node.replace(bundle, &foreign);
    wait_soon(&agent, "the rejection", |report| report["verdict"] == "fail");
    node.write("etc/ssl/certs/lab.pem", lab.ca_pem());
    wait_soon(&agent, "the pass", |report| report["verdict"] == "pass");
}

#[test]
fn a_containerd_mirror_is_reported() {
    let lab = Lab::start(Settings::default());
    let node = Node::new();
    node.write("etc/containerd/certs.d/other.io/hosts.toml", "");
    let agent = Agent::start(PROGRAM, &lab, &node.configure(&config(&lab, "1h")));
    assert_eq!(agent.post("/check").json()["nodeFiles"]["mirrors"], "none");
    node.write("etc/containerd/certs.d/_default/hosts.toml", "[host.\"https://mirror.contoso.com\"]\n");
    wait_soon(&agent, "the mirror", |report| report["nodeFiles"]["mirrors"] == "mirror.contoso.com");
    assert!(agent.get("/").body.contains("pulls through mirror.contoso.com"), "the page shows it");
}

/// Nothing listens on either address; the report shows which one was queried.
#[test]
fn each_check_uses_the_current_nameservers_of_the_node() {
    let lab = Lab::start(Settings::default());
    let node = Node::new();
    let resolved = "run/systemd/resolve/resolv.conf";
    node.write(resolved, "nameserver 127.0.53.1\n");
    std::os::unix::fs::symlink(format!("/{resolved}"), node.path("etc/resolv.conf")).expect("a link");
    let patient = config(&lab, "1h").replace("jitter: 0", "jitter: 0, stageTimeout: 300ms");
    let agent = Agent::start_on(PROGRAM, "aks-np1-0", &[], &node.configure(&patient));
    let asked = |report: &Value| report["images"][0]["resolutions"][0]["server"].clone();
    let report = agent.post("/check").json();
    assert_eq!(asked(&report), "127.0.53.1:53");
    assert_eq!(report["nodeFiles"]["resolvConf"], node.path("etc/resolv.conf").display().to_string());
    node.replace(resolved, "nameserver 127.0.53.2\n");
    wait_soon(&agent, "the new nameserver", |report| asked(report) == "127.0.53.2:53");

    // The link leads elsewhere, as after a change of the node's resolver.
    node.write("run/systemd/resolve/stub-resolv.conf", "nameserver 127.0.53.3\n");
    fs::remove_file(node.path("etc/resolv.conf")).expect("it was there");
    std::os::unix::fs::symlink("../run/systemd/resolve/stub-resolv.conf", node.path("etc/resolv.conf"))
        .expect("a link");
    wait_soon(&agent, "the other nameserver", |report| asked(report) == "127.0.53.3:53");
}

#[test]
fn without_node_files_the_agent_works_and_reports_what_is_unknown() {
    let lab = Lab::start(Settings::default());
    for text in [config(&lab, "1h"), Node::new().configure(&config(&lab, "1h"))] {
        let agent = Agent::start(PROGRAM, &lab, &text);
        let report = agent.post("/check").json();
        assert_eq!(report["verdict"], "pass");
        let expected = serde_json::json!(
            {"resolvConf": "none", "roots": "system", "proxy": "unknown", "mirrors": "unknown"}
        );
        assert_eq!(report["nodeFiles"], expected);
        let page = agent.get("/").body;
        assert!(
            page.contains(
                "Not read on the node: its current resolv.conf, its certificate authorities, containerd&#39;s proxy and \
                 containerd&#39;s mirrors."
            ) || page.contains(
                "Not read on the node: its current resolv.conf, its certificate authorities, containerd's proxy and \
                 containerd's mirrors."
            ),
            "{page}"
        );
    }
}
