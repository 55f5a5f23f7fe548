//! Access to the API server: proxies, and the credentials of a plugin.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use super::cases::text;
use super::cluster::{Cluster, Objects};

const SECRET: &str = "hunter2secret";

/// Runs `discover` with the cluster's kubeconfig after a change.
fn discover(cluster: &Cluster, change: impl FnOnce(&mut Value), variables: &[(&str, String)]) -> Output {
    let mut config: Value =
        serde_json::from_slice(&fs::read(&cluster.kubeconfig).expect("a file")).expect("JSON");
    change(&mut config);
    let path = cluster.kubeconfig.with_file_name("changed");
    fs::write(&path, config.to_string()).expect("a file");
    let output = Command::new(crate::PROGRAM)
        .args(["discover", "-vvv", "--timeout", "20s", "--output", "json", "--kubeconfig"])
        .arg(&path)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    for stream in [&output.stdout, &output.stderr] {
        assert!(!text(stream).contains(SECRET), "{}", text(stream));
    }
    output
}

fn empty() -> Cluster {
    Cluster::start(Objects {
        lists: vec![("/api/v1/pods", vec![]), ("/api/v1/namespaces/acr-verifier/pods", vec![])],
        special: Box::new(|_, _| None),
    })
}

#[test]
fn a_proxy_to_the_api_server_is_reported_without_its_password() {
    let cluster = empty();
    let url = format!("http://admin:{SECRET}@127.0.0.1:1");
    let in_config = |config: &mut Value| config["clusters"][0]["cluster"]["proxy-url"] = json!(url);
    let elsewhere =
        |config: &mut Value| config["clusters"][0]["cluster"]["server"] = json!("https://aks.invalid:443");
    let variable = ("HTTPS_PROXY", url.clone());
    for (output, named) in [
        (
            discover(&cluster, elsewhere, std::slice::from_ref(&variable)),
            "http://127.0.0.1:1 of $HTTPS_PROXY",
        ),
        (
            discover(&cluster, elsewhere, &[("https_proxy", url.replace("http:", "socks5:"))]),
            "socks5://127.0.0.1:1 of $HTTPS_PROXY",
        ),
        (discover(&cluster, in_config, &[]), "the proxy-url of the kubeconfig"),
    ] {
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(named), "{}", text(&output.stderr));
    }
    assert!(cluster.asked().is_empty());
    // kubectl uses no proxy for loopback.
    let output = discover(&cluster, |_| (), &[variable]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(!cluster.asked().is_empty());
}

/// The first token of a plugin expires at once; the plugin then fails with secrets in its output.
#[test]
fn the_output_of_a_credential_plugin_is_in_no_error() {
    for later in
        [format!("echo {SECRET}; exit 1"), format!("echo '{{\"status\": {{\"token\": [{SECRET}]}}}}'")]
    {
        let cluster = empty();
        let folder = cluster.kubeconfig.parent().expect("a folder");
        let login = write_plugin(folder, &later);
        let output = discover(
            &cluster,
            |config| {
                config["users"][0]["user"] = json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1",
                    "command": login, "interactiveMode": "Never", "env": null}});
            },
            &[],
        );
        assert!(folder.join("second").exists(), "the plugin runs twice: {}", text(&output.stderr));
        assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains("authentication failed"), "{}", text(&output.stderr));
    }
}

/// Writes a plugin; the path is relative to the kubeconfig.
fn write_plugin(folder: &Path, later: &str) -> &'static str {
    let expires = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(20);
    let script = format!(
        "#!/bin/sh\ncd '{}'\nif [ -e first ]; then touch second; {later}; exit; fi\ntouch first\necho '{{\"apiVersion\": \
         \"client.authentication.k8s.io/v1\", \"kind\": \"ExecCredential\", \"status\": {{\"token\": \"{SECRET}\", \
         \"expirationTimestamp\": \"{expires:.0}\"}}}}'\n",
        folder.display()
    );
    let path = folder.join("login");
    fs::write(&path, script).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file's owner");
    "./login"
}
