//! Settings of containerd on the node that change a pull: proxy, mirrors and certificate authorities.
//!
//! The node's files are below a temporary root, and the program reads them itself.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use acr_verifier::proxy::{Environment, ProxySettings};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::Value;
use tempfile::TempDir;

use super::{Bench, Case, case};
use lab::Lab;

const DROP_IN: &str = "etc/systemd/system/containerd.service.d/http-proxy.conf";
const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";
/// A proxy without a listener: no check may use it.
const PROXY: &str = "http://user:hunter2@192.0.2.1:3128";

/// A check with a proxy of containerd and this `NO_PROXY`; `{login}` and `{data}` are replaced with the endpoints' names.
fn proxied(name: &str, no_proxy: &'static str, expected: &[&str]) -> Case {
    case(name, |_| {}, expected).adjust(move |bench| {
        let no_proxy = filled(no_proxy, &bench.lab);
        let variables = [("HTTPS_PROXY", PROXY.to_owned()), ("NO_PROXY", no_proxy)];
        let environment: Environment = variables.map(|(name, value)| (name.to_owned(), value)).into();
        bench.task.proxy = Some(ProxySettings::of(&environment));
    })
}

fn filled(text: &str, lab: &Lab) -> String {
    let host = |authority: String| authority.split(':').next().unwrap_or_default().to_owned();
    text.replace("{login}", &host(lab.login_server()))
        .replace("{data}", &host(lab.data_endpoint()))
        .replace("{port}", &lab.port().to_string())
}

pub(super) fn cases() -> Vec<Case> {
    let (login, data) = ("warn login connect proxy_bypassed", "warn data connect proxy_bypassed");
    vec![
        proxied("containerd has a proxy", "", &[login, data]),
        proxied("NO_PROXY has addresses only", "10.0.0.0/8,127.0.0.0/8,168.63.129.16", &[login, data]),
        proxied("NO_PROXY lacks the data endpoint", "localhost,{login}", &[data]),
        proxied("NO_PROXY lacks the login server", "{data}:{port}", &[login]),
        proxied("NO_PROXY has both", "{login},{data}", &[]),
        proxied("NO_PROXY has all", "*", &[]),
    ]
}

/// A node's files below a root, with a configuration for that root.
struct Node {
    lab: Lab,
    folder: TempDir,
}

impl Node {
    fn new() -> Self {
        Self { lab: Bench::healthy().lab, folder: TempDir::new().expect("a folder") }
    }

    fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
        self
    }

    fn check(&self, with_ca_file: bool, format: &str) -> Output {
        let root = self.folder.path();
        let ca = format!("tls: {{caFile: {}}}\n", self.lab.ca_file().display());
        let yaml = format!(
            "images:\n  - image: {}\n    credentials: {{path: {}}}\nnodeFiles: {{root: {}}}\n{}",
            self.lab.image(),
            self.lab.secret_folder().display(),
            root.display(),
            if with_ca_file { &ca } else { "" }
        );
        let config = self.lab.folder().join("config.yaml");
        fs::write(&config, yaml).expect("a file");
        let nameserver = self.lab.nameservers()[0].to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_acr-verifier"));
        command.args([
            "check",
            "--allow-loopback",
            "--nameserver",
            &nameserver,
            "--output",
            format,
            "--config",
        ]);
        command.arg(config).env_remove("KUBERNETES_SERVICE_HOST").env_remove("NETWORK_VIEW");
        command.env("NODE_NAME", "aks-np1-0").output().expect("the program starts")
    }

    fn report(&self, with_ca_file: bool) -> Value {
        let output = self.check(with_ca_file, "json");
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
    }

    fn text(&self, with_ca_file: bool) -> String {
        let text = String::from_utf8(self.check(with_ca_file, "text").stdout).expect("text");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

fn causes(report: &Value) -> Vec<&str> {
    let diagnoses = report["images"][0]["diagnoses"].as_array().expect("a list");
    diagnoses.iter().map(|diagnosis| diagnosis["cause"].as_str().expect("a code")).collect()
}

/// A certificate authority that signs nothing in this test.
fn foreign_authority() -> String {
    let mut params = CertificateParams::new([]).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    CertifiedIssuer::self_signed(params, key).expect("a root").pem()
}

#[test]
fn the_report_names_the_source_of_the_trusted_root() {
    let only_added = "trusted only through the added CA file";
    let lacked = "which containerd on this node does not have";
    // The node's bundle, whether the CA file is added, and the expected report.
    for (on_node, added, verdict, trusted_by, roots) in [
        (Some("lab"), false, "pass", Some("node"), "node"),
        (Some("lab"), true, "pass", Some("node"), "node"),
        (Some("foreign"), true, "pass", Some("ca_file"), "node"),
        (Some("foreign"), false, "fail", None, "node"),
        (Some("no certificate"), true, "pass", Some("ca_file"), "system"),
        (None, true, "pass", Some("ca_file"), "system"),
        (None, false, "fail", None, "system"),
    ] {
        let node = Node::new();
        match on_node {
            Some("lab") => drop(node.write(BUNDLE, node.lab.ca_pem())),
            Some("foreign") => drop(node.write(BUNDLE, &foreign_authority())),
            Some(text) => drop(node.write(BUNDLE, text)),
            None => {}
        }
        let report = node.report(added);
        let name = format!("{on_node:?}, added: {added}: {report:#}");
        assert_eq!(report["verdict"], verdict, "{name}");
        assert_eq!(report["nodeFiles"]["roots"], roots, "{name}");
        for connection in ["connection", "dataConnection"] {
            let found = &report["images"][0][connection]["trustedBy"];
            let is_tried = verdict == "pass" || connection == "connection";
            assert_eq!(found.as_str(), trusted_by.filter(|_| is_tried), "{name}");
        }
        if verdict == "fail" {
            assert_eq!(causes(&report), ["certificate_untrusted"], "{name}");
            continue;
        }
        let text = node.text(added);
        assert_eq!(text.contains(only_added), trusted_by == Some("ca_file"), "{text}");
        assert_eq!(text.contains(lacked), trusted_by == Some("ca_file") && roots == "node", "{text}");
    }
}

#[test]
fn containerds_proxy_is_a_warning_without_its_password() {
    let unit = |no_proxy: &str| {
        format!("[Service]\nEnvironment=\"HTTPS_PROXY={PROXY}\" \\\n  \"NO_PROXY=localhost,{no_proxy}\"\n")
    };
    let manager = format!("[Manager]\nDefaultEnvironment=\"HTTPS_PROXY={PROXY}\"\n");
    for (path, text, expected, proxy) in [
        (DROP_IN, unit("{data}"), vec!["proxy_bypassed"], "http://192.0.2.1:3128"),
        (DROP_IN, unit("{login},{data}"), vec![], "http://192.0.2.1:3128"),
        ("etc/systemd/system.conf.d/proxy.conf", manager, vec!["proxy_bypassed"; 2], "http://192.0.2.1:3128"),
        (DROP_IN, "[Service]\nEnvironmentFile=/etc/environment\n".to_owned(), vec![], "unknown"),
        (DROP_IN, "[Service]\nEnvironment=NO_PROXY=localhost\n".to_owned(), vec![], "none"),
        ("etc/systemd/system/kubelet.service.d/http-proxy.conf", unit(""), vec![], "none"),
        ("etc/hostname", String::new(), vec![], "unknown"),
    ] {
        let node = Node::new();
        node.write(path, &filled(&text, &node.lab));
        if path.contains("system.conf.d") {
            node.write("etc/systemd/system/containerd.service", "[Service]\n");
        }
        let output = node.check(true, "json");
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!shown.contains("hunter2"), "{shown}");
        let report: Value = serde_json::from_str(&shown).expect("JSON");
        assert_eq!(causes(&report), expected, "{path}: {text}: {report:#}");
        assert_eq!(report["nodeFiles"]["proxy"], proxy, "{path}: {text}");
        // The manager's variables apply to every service.
        let is_kubelets = path.contains("kubelet") || path.contains("system.conf.d");
        assert_eq!(report["nodeFiles"]["kubeletProxy"].is_string(), is_kubelets, "{path}");
        for diagnosis in report["images"][0]["diagnoses"].as_array().expect("a list") {
            let message = diagnosis["message"].as_str().expect("text");
            assert!(message.contains("through the proxy http://192.0.2.1:3128"), "{message}");
        }
    }
}

#[test]
fn mirrors_are_reported_as_not_tested() {
    let node = Node::new();
    let folder = format!("etc/containerd/certs.d/{}", node.lab.registry().replace(':', "_") + "_");
    node.write(&format!("{folder}/hosts.toml"), "[host.\"https://mirror.contoso.com\"]\n");
    let report = node.report(true);
    assert_eq!(report["images"][0]["mirrors"], serde_json::json!(["mirror.contoso.com"]));
    assert_eq!(report["nodeFiles"]["mirrors"], "mirror.contoso.com");
    assert_eq!(report["verdict"], "pass");
    let text = node.text(true);
    assert!(text.contains("Not tested: pulls through mirror.contoso.com"), "{text}");

    // Nothing is reported without a mirror, or if the mirrors are unknown.
    let none = Node::new();
    none.write("etc/containerd/config.toml", "version = 2\n");
    assert_eq!(none.report(true)["nodeFiles"]["mirrors"], "none");
    let unknown = Node::new();
    assert_eq!(unknown.report(true)["nodeFiles"]["mirrors"], "unknown");
    assert!(unknown.text(true).contains("and containerd's mirrors."), "{}", unknown.text(true));
}

#[test]
fn unreadable_files_and_links_out_of_the_root_are_unknown_not_errors() {
    let node = Node::new();
    let root = node.folder.path().to_owned();
    let outside = node.lab.folder().join("outside");
    fs::create_dir_all(&outside).expect("a folder");
    fs::write(outside.join("ca.pem"), node.lab.ca_pem()).expect("a file");
    fs::write(outside.join("hosts.toml"), "[host.\"https://outside\"]\n").expect("a file");
    fs::write(outside.join("resolv.conf"), "nameserver 192.0.2.53\n").expect("a file");
    let link = |target: &Path, path: &str| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        symlink(target, path).expect("a link");
    };
    link(&outside.join("ca.pem"), BUNDLE);
    link(&outside, "etc/containerd/certs.d/_default");
    link(&outside.join("resolv.conf"), "etc/resolv.conf");
    node.write(DROP_IN, &"#".repeat(2 << 20));
    let report = node.report(true);
    assert_eq!(report["verdict"], "pass", "{report:#}");
    let expected = serde_json::json!(
        {"resolvConf": "none", "roots": "system", "proxy": "unknown", "mirrors": "unknown"}
    );
    assert_eq!(report["nodeFiles"], expected);
}

#[test]
fn a_check_without_node_files_reports_none() {
    let bench = Bench::healthy();
    let nameserver = bench.lab.nameservers()[0].to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_acr-verifier"));
    command.args(["check", "--allow-loopback", "--nameserver", &nameserver, "--output", "json", "--ca-file"]);
    command.arg(bench.lab.ca_file()).arg("--credentials").arg(bench.lab.secret_folder());
    let output = command.arg(bench.lab.image()).output().expect("the program starts");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["verdict"], "pass");
    assert!(report.get("nodeFiles").is_none(), "{report:#}");
    assert_eq!(report["images"][0]["connection"]["trustedBy"], "ca_file");
}

#[test]
fn the_network_view_in_a_pod_is_pod_unless_set() {
    let bench = Bench::healthy();
    for (cluster, view, expected) in [
        (None, None, "node"),
        (Some("10.0.0.1"), None, "pod"),
        (Some("10.0.0.1"), Some(""), "pod"),
        (Some("10.0.0.1"), Some("node"), "node"),
        (Some("10.0.0.1"), Some("pod"), "pod"),
        (Some(""), None, "node"),
        (None, Some("pod"), "pod"),
    ] {
        let nameserver = bench.lab.nameservers()[0].to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_acr-verifier"));
        command.args(["check", "--allow-loopback", "--nameserver", &nameserver, "--output", "json"]);
        command.arg("--ca-file").arg(bench.lab.ca_file()).arg("--credentials").arg(bench.lab.secret_folder());
        for (name, value) in [("KUBERNETES_SERVICE_HOST", cluster), ("NETWORK_VIEW", view)] {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let output = command.arg(bench.lab.image()).output().expect("the program starts");
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(report["networkView"], expected, "{cluster:?} {view:?}");
    }
}
