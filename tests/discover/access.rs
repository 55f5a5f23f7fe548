//! How the API server is reached: through a proxy, and with the credentials of a plugin.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use super::cases::text;
use super::cluster::{Cluster, Objects};

const SECRET: &str = "hunter2secret";

/// A proxy on a real socket, which connects to wherever it is sent, and the heads of the requests that it received.
fn proxy() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&heads);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let record = Arc::clone(&record);
            thread::spawn(move || forward(client, &record));
        }
    });
    (port, heads)
}

fn forward(client: TcpStream, record: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut lines = BufReader::new(client.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && lines.read_line(&mut head)? > 0 {}
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    record.lock().expect("no panic").push(head);
    let server = TcpStream::connect(target)?;
    (&client).write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
    let back = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || io::copy(&mut &back.0, &mut &back.1));
    io::copy(&mut lines, &mut &server).map(drop)
}

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
fn requests_use_the_proxy_of_the_kubeconfig_or_the_environment() {
    let cluster = empty();
    let (port, heads) = proxy();
    let url = format!("http://admin:{SECRET}@127.0.0.1:{port}");
    let in_config = |config: &mut Value| config["clusters"][0]["cluster"]["proxy-url"] = json!(url.clone());
    let variable = ("HTTPS_PROXY", url.clone());
    let exception = ("NO_PROXY", "127.0.0.1".to_owned());
    let connections = |change: &dyn Fn(&mut Value), variables: &[(&str, String)]| {
        let before = heads.lock().expect("no panic").len();
        let output = discover(&cluster, change, variables);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        heads.lock().expect("no panic").len() - before
    };
    assert!(connections(&in_config, &[]) > 0);
    assert!(connections(&|_| (), std::slice::from_ref(&variable)) > 0);
    assert_eq!(connections(&|_| (), &[variable, exception]), 0);
    for head in heads.lock().expect("no panic").iter() {
        assert!(head.starts_with("CONNECT 127.0.0.1:"), "{head}");
        assert!(head.to_lowercase().contains("proxy-authorization: basic "), "{head}");
    }
}

#[test]
fn an_unusable_proxy_is_named_without_its_password() {
    let cluster = empty();
    let url = format!("socks5://admin:{SECRET}@127.0.0.1:1");
    let output = discover(&cluster, |_| (), &[("HTTPS_PROXY", url)]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("expected http://"), "{}", text(&output.stderr));
    assert!(cluster.asked().is_empty());
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
