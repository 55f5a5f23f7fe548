//! A real API server with an empty cluster: etcd and kube-apiserver on ports of 127.0.0.1.
//!
//! Owns their start, the objects of `setup.yaml`, the client identities, and pausing and stopping the server. Wrong responses
//! are in `proxy.rs`. There are no controllers or kubelets: the cluster only contains what a test created.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::{Process, free_port};
use super::programs;
use support::certificates::Certificates;

/// The node that Events are about.
pub(crate) const NODE: &str = "aks-np1-0";
/// Name of the agent's service account and of its namespace.
pub(crate) const AGENT: &str = "acr-verifier";

const SETUP: &str = include_str!("setup.yaml");
/// Three seconds on an idle machine.
const LONGEST_START: Duration = Duration::from_secs(180);
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);
/// Timeout of a kubectl in seconds. Its own timeout applies to each of its several requests.
const LONGEST_KUBECTL: &str = "60";
const LONGEST_REQUEST: &str = "--request-timeout=20s";

/// A running API server. It ends when dropped, and also if the test process is killed.
pub(crate) struct ApiServer {
    /// `None` between `stop` and `start_again`. Dropped before etcd.
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
    /// Starts a server that the test may pause and stop. `None` if the programs are missing.
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

    /// Returns the server shared by all tests that do not pause or stop it. `None` if the programs are missing.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SHARED: LazyLock<Option<ApiServer>> = LazyLock::new(ApiServer::start);
        SHARED.as_ref()
    }

    /// `https://127.0.0.1:PORT`
    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Returns the path of the CA certificate in PEM.
    pub(crate) fn ca_file(&self) -> &Path {
        &self.certificates.authority
    }

    /// Returns the certificates, for a proxy in front of the server.
    pub(crate) fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// Returns a token of the agent's service account from the TokenRequest API, valid for an hour.
    pub(crate) fn service_account_token(&self) -> &str {
        &self.token
    }

    /// Returns the path of kubectl.
    pub(crate) fn kubectl_program(&self) -> PathBuf {
        self.programs.join("kubectl")
    }

    /// Runs kubectl as administrator.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Output {
        self.run_kubectl("administrator", arguments, "")
    }

    /// Like `kubectl`, with standard input.
    pub(crate) fn kubectl_fed(&self, arguments: &[&str], input: &str) -> Output {
        self.run_kubectl("administrator", arguments, input)
    }

    /// Runs kubectl as the agent's service account.
    pub(crate) fn kubectl_as_agent(&self, arguments: &[&str]) -> Output {
        self.run_kubectl(AGENT, arguments, "")
    }

    /// Pauses the server: it accepts connections but does not respond until `resume`.
    pub(crate) fn pause(&self) {
        self.process().as_mut().expect("it is not stopped").signal("STOP");
    }

    /// Resumes the server, which then handles the pending requests.
    pub(crate) fn resume(&self) {
        self.process().as_mut().expect("it is not stopped").signal("CONT");
    }

    /// Stops the server: connections break, and new ones are refused. Its data is kept.
    pub(crate) fn stop(&self) {
        drop(self.process().take());
    }

    /// Starts the server on the same port with its data, and waits until it is ready.
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

    /// Creates the objects of an installation.
    fn set_up(&self) {
        // The server creates the namespace `default` shortly after it reports ready.
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

    /// Creates a token of an account in the agent's namespace.
    pub(crate) fn token_of(&self, account: &str) -> String {
        let output = self.kubectl(&["create", "token", account, "--namespace", AGENT, "--duration=1h"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("a token is ASCII").trim_end().to_owned()
    }

    fn run_kubectl(&self, user: &str, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new("timeout")
            .args(["--kill-after=5", LONGEST_KUBECTL])
            .arg(self.kubectl_program())
            .arg("--kubeconfig")
            .arg(self.kubeconfig(user))
            .arg(LONGEST_REQUEST)
            .args(arguments)
            // kubectl caches API discovery in its home, and must not use a proxy from the environment.
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl starts");
        // The input fits into the pipe. A kubectl that does not read it prints its own error.
        child.stdin.take().expect("it was asked for").write_all(input.as_bytes()).ok();
        child.wait_with_output().expect("our own child")
    }

    /// Returns the kubeconfig of `administrator` or of the agent's account.
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
            // No client uses the Service `kubernetes`, whose endpoints must not be loopback.
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
            // As on AKS, for the shells on a node.
            ("allow-privileged", "true".to_owned()),
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
        // Required although there are no peers.
        "--listen-peer-urls=http://127.0.0.1:0".to_owned(),
        // The data need not survive a crash of the machine.
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]
}
