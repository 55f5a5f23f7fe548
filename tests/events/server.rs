//! A real API server with an empty cluster behind it: etcd and kube-apiserver on ports of 127.0.0.1.
//!
//! Owns their start, what `setup.yaml` puts in, the identities to call with, and the ways in which the server can be slow
//! or away. Leaves alone wrong answers (`proxy.rs`). There are no controllers and no kubelets: what is in the cluster is
//! what a test put there.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::certificates::Certificates;
use super::process::{Process, free_port};
use super::programs;

/// The node that Events are about.
pub(crate) const NODE: &str = "aks-np1-0";
/// The service account of the agent, and its namespace.
pub(crate) const AGENT: &str = "acr-verifier";

const SETUP: &str = include_str!("setup.yaml");
/// Three seconds on an idle machine.
const LONGEST_START: Duration = Duration::from_secs(180);
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);
/// Of a kubectl, whatever the server does. Its own limit holds for each request, and it makes several.
const LONGEST_KUBECTL: &str = "60";
const LONGEST_REQUEST: &str = "--request-timeout=20s";

/// A running API server. It ends with the value, and also when the test process is killed.
pub(crate) struct ApiServer {
    /// `None` between `stop` and `start_again`. Dropped before what it stores in.
    server: Mutex<Option<Process>>,
    _etcd: Process,
    programs: PathBuf,
    certificates: Certificates,
    etcd_port: u16,
    port: u16,
    token: String,
    folder: TempDir,
}

impl ApiServer {
    /// Starts a server of the test's own, to halt and to stop as it likes. `None` where the programs cannot be had.
    pub(crate) fn start() -> Option<Self> {
        let programs = programs::folder()?;
        let folder = tempfile::tempdir().expect("a folder");
        let certificates = Certificates::make(folder.path());
        let etcd_port = free_port();
        let etcd = Process::start("etcd", &programs.join("etcd"), &etcd_arguments(etcd_port), folder.path());
        let mut server = Self {
            server: Mutex::default(),
            _etcd: etcd,
            programs,
            certificates,
            etcd_port,
            port: free_port(),
            token: String::new(),
            folder,
        };
        server.write_kubeconfig(
            "administrator",
            &json!({
                "client-certificate": server.certificates.administrator.certificate,
                "client-key": server.certificates.administrator.key,
            }),
        );
        server.start_again();
        server.set_up();
        server.token = server.new_token();
        server.write_kubeconfig(AGENT, &json!({ "token": server.token }));
        Some(server)
    }

    /// The server that all tests share which leave it as it is. `None` where the programs cannot be had.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SHARED: LazyLock<Option<ApiServer>> = LazyLock::new(ApiServer::start);
        SHARED.as_ref()
    }

    /// `https://127.0.0.1:PORT`
    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The root of the server's certificate, as PEM.
    pub(crate) fn ca_file(&self) -> &Path {
        &self.certificates.authority
    }

    /// What stands before the server as if it were the server.
    pub(crate) fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// A token of the agent's service account, good for an hour, from the TokenRequest API.
    pub(crate) fn service_account_token(&self) -> &str {
        &self.token
    }

    /// Runs kubectl as one who may do everything.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Output {
        self.run_kubectl("administrator", arguments, "")
    }

    /// As `kubectl`, with this on its standard input.
    pub(crate) fn kubectl_fed(&self, arguments: &[&str], input: &str) -> Output {
        self.run_kubectl("administrator", arguments, input)
    }

    /// Runs kubectl as the agent's service account.
    pub(crate) fn kubectl_as_agent(&self, arguments: &[&str]) -> Output {
        self.run_kubectl(AGENT, arguments, "")
    }

    /// Halts the server: it accepts connections and answers nothing, until `resume`.
    pub(crate) fn pause(&self) {
        self.process().as_mut().expect("it is not stopped").signal("STOP");
    }

    /// Lets it go on; what was asked meanwhile is answered.
    pub(crate) fn resume(&self) {
        self.process().as_mut().expect("it is not stopped").signal("CONT");
    }

    /// Ends the server: connections break, and new ones are refused. What it stored stays.
    pub(crate) fn stop(&self) {
        drop(self.process().take());
    }

    /// Starts the server at the same port on what it had stored, and waits until it is ready.
    pub(crate) fn start_again(&self) {
        let program = self.programs.join("kube-apiserver");
        let mut process = self.process();
        assert!(process.is_none(), "it runs");
        let running =
            process.insert(Process::start("kube-apiserver", &program, &self.arguments(), self.folder.path()));
        let began = Instant::now();
        while !self.kubectl(&["get", "--raw=/readyz"]).status.success() {
            running.assert_running();
            let log = running.last_lines();
            assert!(began.elapsed() < LONGEST_START, "kube-apiserver does not become ready:\n{log}");
            thread::sleep(BETWEEN_LOOKS);
        }
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts in what an installation would.
    fn set_up(&self) {
        // The server makes the namespace `default` by itself, a moment after it says that it is ready.
        let began = Instant::now();
        loop {
            let output = self.kubectl_fed(&["apply", "--filename=-"], SETUP);
            if output.status.success() {
                break;
            }
            assert!(began.elapsed() < LONGEST_START, "{}", String::from_utf8_lossy(&output.stderr));
            thread::sleep(BETWEEN_LOOKS);
        }
    }

    fn new_token(&self) -> String {
        self.token_of(AGENT)
    }

    /// A token of an account in the agent's namespace.
    pub(crate) fn token_of(&self, account: &str) -> String {
        let output = self.kubectl(&["create", "token", account, "--namespace", AGENT, "--duration=1h"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("a token is ASCII").trim_end().to_owned()
    }

    fn run_kubectl(&self, user: &str, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new("timeout")
            .args(["--kill-after=5", LONGEST_KUBECTL])
            .arg(self.programs.join("kubectl"))
            .arg("--kubeconfig")
            .arg(self.kubeconfig(user))
            .arg(LONGEST_REQUEST)
            .args(arguments)
            // Its cache of what the server serves goes into the home; a proxy variable must not lead it elsewhere.
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl starts");
        // Shorter than a pipe holds. A kubectl that reads none of it says itself what went wrong.
        child.stdin.take().expect("it was asked for").write_all(input.as_bytes()).ok();
        child.wait_with_output().expect("our own child")
    }

    /// The kubeconfig of `administrator`, or of the agent's account.
    pub(crate) fn kubeconfig(&self, user: &str) -> PathBuf {
        self.folder.path().join(format!("{user}.kubeconfig"))
    }

    fn write_kubeconfig(&self, name: &str, user: &Value) {
        let text = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{
                "name": "tests",
                "cluster": { "server": self.url(), "certificate-authority": self.ca_file() },
            }],
            "users": [{ "name": name, "user": user }],
            "contexts": [{ "name": "tests", "context": { "cluster": "tests", "user": name } }],
            "current-context": "tests",
        });
        fs::write(self.kubeconfig(name), text.to_string()).expect("a file");
    }

    fn arguments(&self) -> Vec<String> {
        let Certificates { authority, server, tokens_key, tokens_public_key, .. } = &self.certificates;
        let path = |path: &Path| path.display().to_string();
        [
            ("etcd-servers", format!("http://127.0.0.1:{}", self.etcd_port)),
            ("bind-address", "127.0.0.1".to_owned()),
            ("advertise-address", "127.0.0.1".to_owned()),
            // Nobody looks for the server by the Service `kubernetes`, whose endpoints must not be loopback.
            ("endpoint-reconciler-type", "none".to_owned()),
            ("secure-port", self.port.to_string()),
            ("tls-cert-file", path(&server.certificate)),
            ("tls-private-key-file", path(&server.key)),
            ("client-ca-file", path(authority)),
            ("service-account-issuer", "https://kubernetes.default.svc".to_owned()),
            ("service-account-key-file", path(tokens_public_key)),
            ("service-account-signing-key-file", path(tokens_key)),
            ("service-cluster-ip-range", "10.96.0.0/24".to_owned()),
            ("authorization-mode", "RBAC".to_owned()),
            ("anonymous-auth", "false".to_owned()),
            ("profiling", "false".to_owned()),
        ]
        .into_iter()
        .map(|(flag, value)| format!("--{flag}={value}"))
        .collect()
    }
}

fn etcd_arguments(port: u16) -> Vec<String> {
    let url = format!("http://127.0.0.1:{port}");
    vec![
        "--data-dir=etcd".to_owned(),
        format!("--listen-client-urls={url}"),
        format!("--advertise-client-urls={url}"),
        // It has no peers, yet wants a port for them.
        "--listen-peer-urls=http://127.0.0.1:0".to_owned(),
        // What it stores need not outlive the machine.
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]
}
