//! The control plane: etcd, kube-apiserver, kube-controller-manager and kube-scheduler, inside the VNet.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use support::certificates::{Authority, Pair, token_keys};
use support::namespaces::network::{Namespace, Network};
use support::namespaces::process::Server;

/// Address of the API server.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 60, 0, 30);
pub(crate) const PORT: u16 = 6443;
/// Address of its Service, which Pods use.
pub(crate) const SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
/// Namespace of the accounts whose requests the API server records.
pub(crate) const RECORDED: &str = "discover";
/// Timeout of a kubectl or helm in seconds.
const LONGEST_CALL: &str = "300";

/// The programs, and what they need to find each other.
pub(crate) struct Programs {
    folder: PathBuf,
    authority: PathBuf,
}

impl Programs {
    pub(crate) fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }

    pub(crate) fn authority(&self) -> &Path {
        &self.authority
    }

    pub(crate) fn kubeconfig(&self, pair: &Pair) -> String {
        self.kubeconfig_of(&json!({"client-certificate": pair.certificate, "client-key": pair.key}))
    }

    /// Returns a kubeconfig with the token of a service account.
    pub(crate) fn kubeconfig_with_token(&self, token: &str) -> String {
        self.kubeconfig_of(&json!({"token": token}))
    }

    fn kubeconfig_of(&self, user: &Value) -> String {
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "tests",
            "clusters": [{"name": "tests", "cluster": {
                "server": format!("https://{ADDRESS}:{PORT}"), "certificate-authority": self.authority}}],
            "users": [{"name": "tests", "user": user}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
        })
        .to_string()
    }
}

/// The control plane. It ends when dropped, the API server before etcd.
pub(crate) struct Control {
    pub(crate) programs: Programs,
    pub(crate) kubeconfig: PathBuf,
    pub(crate) authority: Authority,
    folder: PathBuf,
    servers: Vec<Server>,
}

impl Control {
    pub(crate) fn start(network: &Network, programs: PathBuf, folder: &Path) -> Self {
        network.vnet.ip(&format!("address add {ADDRESS}/32 dev lo\n"));
        let authority = Authority::new(folder);
        let (tokens_key, tokens_public_key) = token_keys(folder);
        let names = [ADDRESS.to_string(), SERVICE.to_string(), "kubernetes.default.svc".to_owned()];
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let server = authority.issue("server", "kube-apiserver", None, &names);
        let administrator = authority.issue("administrator", "administrator", Some("system:masters"), &[]);
        let programs = Programs { folder: programs, authority: authority.certificate.clone() };
        let kubeconfig = folder.join("kubeconfig");
        fs::write(&kubeconfig, programs.kubeconfig(&administrator)).expect("a file");
        let show = |path: &Path| path.display().to_string();
        let mut control =
            Self { programs, kubeconfig, authority, folder: folder.to_owned(), servers: Vec::new() };

        let policy = folder.join("audit-policy.yaml");
        fs::write(&policy, audit_policy().to_string()).expect("a file");
        let etcd = [
            ("data-dir", show(&folder.join("etcd"))),
            ("listen-client-urls", "http://127.0.0.1:2379".to_owned()),
            ("advertise-client-urls", "http://127.0.0.1:2379".to_owned()),
            ("listen-peer-urls", "http://127.0.0.1:0".to_owned()),
            ("unsafe-no-fsync", "true".to_owned()),
            ("log-level", "warn".to_owned()),
        ];
        let api = [
            ("etcd-servers", "http://127.0.0.1:2379".to_owned()),
            ("bind-address", ADDRESS.to_string()),
            ("advertise-address", ADDRESS.to_string()),
            ("secure-port", PORT.to_string()),
            ("tls-cert-file", show(&server.certificate)),
            ("tls-private-key-file", show(&server.key)),
            ("client-ca-file", show(&control.authority.certificate)),
            ("service-account-issuer", "https://kubernetes.default.svc".to_owned()),
            ("service-account-key-file", show(&tokens_public_key)),
            ("service-account-signing-key-file", show(&tokens_key)),
            ("service-cluster-ip-range", "10.96.0.0/24".to_owned()),
            ("authorization-mode", "Node,RBAC".to_owned()),
            ("enable-admission-plugins", "NodeRestriction".to_owned()),
            ("kubelet-client-certificate", show(&administrator.certificate)),
            ("kubelet-client-key", show(&administrator.key)),
            ("kubelet-preferred-address-types", "InternalIP".to_owned()),
            ("audit-policy-file", show(&policy)),
            ("audit-log-path", show(&control.audit_log())),
            ("audit-log-mode", "blocking".to_owned()),
        ];
        let manager = [
            ("kubeconfig", show(&control.kubeconfig)),
            ("service-account-private-key-file", show(&tokens_key)),
            ("root-ca-file", show(&control.authority.certificate)),
            ("leader-elect", "false".to_owned()),
            ("bind-address", "127.0.0.1".to_owned()),
        ];
        let scheduler = [
            ("kubeconfig", show(&control.kubeconfig)),
            ("leader-elect", "false".to_owned()),
            ("bind-address", "127.0.0.1".to_owned()),
        ];
        let ready = |control: &Self| control.kubectl(&["get", "--raw=/readyz"]).status.success();
        control.serve(&network.vnet, "etcd", &etcd, |_| true);
        control.serve(&network.vnet, "kube-apiserver", &api, |control| network.vnet.run(|| ready(control)));
        control.serve(&network.vnet, "kube-controller-manager", &manager, |_| true);
        control.serve(&network.vnet, "kube-scheduler", &scheduler, |_| true);
        control
    }

    fn serve(
        &mut self,
        vnet: &Namespace,
        program: &str,
        flags: &[(&str, String)],
        is_ready: impl Fn(&Self) -> bool,
    ) {
        let mut command = Command::new(self.programs.path(program));
        command.args(flags.iter().map(|(flag, value)| format!("--{flag}={value}")));
        command.env_clear().env("HOME", &self.folder).current_dir(&self.folder);
        let log = self.folder.join(format!("{program}.log"));
        let mut server = vnet.run(|| Server::start(&mut command, &log));
        server.wait_until(|| is_ready(self));
        // Dropped in reverse: the API server before etcd.
        self.servers.insert(0, server);
    }

    /// Runs kubectl as administrator. The caller must be in the VNet.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Output {
        self.call("kubectl", arguments)
    }

    /// Returns a kubectl that is not started yet, as administrator.
    pub(crate) fn kubectl_command(&self) -> Command {
        let mut command = Command::new(self.programs.path("kubectl"));
        command.arg("--kubeconfig").arg(&self.kubeconfig);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", &self.folder);
        command
    }

    /// Runs helm as administrator. The caller must be in the VNet.
    pub(crate) fn helm(&self, arguments: &[&str]) -> Output {
        self.call("helm", arguments)
    }

    fn call(&self, program: &str, arguments: &[&str]) -> Output {
        Command::new("timeout")
            .args(["--kill-after=5", LONGEST_CALL])
            .arg(self.programs.path(program))
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", &self.folder)
            .stdin(Stdio::null())
            .output()
            .expect("timeout is there")
    }

    /// Runs a line of a shell in a folder as an administrator would, with the program on the PATH. The caller must be in the VNet.
    pub(crate) fn shell(&self, line: &str, folder: &Path) -> Output {
        let own = Path::new(env!("CARGO_BIN_EXE_acr-verifier")).parent().expect("a program is in a folder");
        Command::new("timeout")
            .args(["--kill-after=5", LONGEST_CALL, "sh", "-c", line])
            .current_dir(folder)
            .env_clear()
            .env("PATH", format!("{}:{}:/usr/bin:/bin", own.display(), self.programs.folder.display()))
            .env("HOME", &self.folder)
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::null())
            .output()
            .expect("timeout is there")
    }

    /// Returns the file with the recorded requests, one JSON object per line.
    pub(crate) fn audit_log(&self) -> PathBuf {
        self.folder.join("audit.log")
    }

    /// Returns the last lines of the logs.
    pub(crate) fn logs(&self) -> String {
        ["kube-apiserver", "kube-controller-manager"]
            .map(|program| {
                let text = fs::read_to_string(self.folder.join(format!("{program}.log"))).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                format!("--- {program}\n{}", lines[lines.len().saturating_sub(10)..].join("\n"))
            })
            .join("\n")
    }
}

/// Records the requests of the accounts in one namespace, without their contents.
fn audit_policy() -> Value {
    json!({
        "apiVersion": "audit.k8s.io/v1", "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted"],
        "rules": [
            {"level": "Metadata", "userGroups": [format!("system:serviceaccounts:{RECORDED}")]},
            {"level": "None"},
        ],
    })
}
