//! The whole setup: a private registry in a VNet, the Internet next to it, and a cluster with nodes in that VNet.
//!
//! Owns the start order, and how the steps inspect and break the setup.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::control::Control;
use super::identity;
use super::image::Image;
use super::worker::{self, Worker};
use lab::Lab;
use lab::answers::{Canned, FirewallWording, Step};
use lab::settings::Settings;
use support::namespaces::leftovers;
use support::namespaces::names::{self, Resolvers};
use support::namespaces::network::{DATA, FORWARDER, IMDS, LOGIN, Network, PUBLIC_DATA, PUBLIC_LOGIN};
use support::namespaces::process::{Server, run};
use support::namespaces::registry::{self, Registry};
use support::tell;

/// A resolver of the VNet that does not see the private zone.
pub(crate) const UNLINKED: Ipv4Addr = Ipv4Addr::new(10, 60, 0, 14);
/// A resolver of the VNet whose private zone lacks the data endpoint's record.
pub(crate) const INCOMPLETE: Ipv4Addr = Ipv4Addr::new(10, 60, 0, 15);
/// The server of that zone.
const INCOMPLETE_ZONE: Ipv4Addr = Ipv4Addr::new(10, 60, 0, 16);
/// Number of nodes.
const NODES: usize = 3;
/// Polling interval.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

/// The whole setup. Fields are dropped in this order: nodes, servers, namespaces, files.
pub(crate) struct Cluster {
    pub(crate) workers: Vec<Worker>,
    control: Control,
    pub(crate) inside: Lab,
    _outside: Lab,
    _registry: Registry,
    _resolvers: Resolvers,
    _faulty_resolvers: Vec<Server>,
    network: Network,
    image: PathBuf,
    /// Whether the kubelet of one node has the credential provider of AKS.
    pub(crate) has_plugin: bool,
    folder: TempDir,
}

impl Cluster {
    pub(crate) fn start(programs: PathBuf, image: &Path, plugin: Option<&Path>) -> Self {
        leftovers::remove();
        worker::remove_leftovers();
        let folder =
            tempfile::Builder::new().prefix(&leftovers::folder_prefix()).tempdir().expect("a folder");
        let path = folder.path();
        let network = Network::start();
        let control = Control::start(&network, programs, path);
        network.vnet.ip(&format!("address add {IMDS}/32 dev lo\n"));
        let inside = network.vnet.run(|| {
            let mut settings = Settings::on_azures_port(LOGIN.into(), DATA.into());
            settings.place.upstream = Some(registry::address());
            settings.identity.imds.address = Some((IMDS, 80).into());
            Lab::start(settings)
        });
        let outside = network.internet.run(|| {
            let mut settings = Settings::on_azures_port(PUBLIC_LOGIN.into(), PUBLIC_DATA.into());
            for step in Step::ALL {
                settings.answer(step, Canned::Firewall(FirewallWording::CorrelationId));
            }
            Lab::start(settings)
        });
        let registry = Registry::start(&network.vnet, path, &inside);
        let resolvers = Resolvers::start(&network, path);
        for address in [UNLINKED, INCOMPLETE, INCOMPLETE_ZONE] {
            network.vnet.ip(&format!("address add {address}/32 dev node\n"));
        }
        let mut faulty_resolvers = vec![names::unlinked(&network, path, UNLINKED)];
        faulty_resolvers.extend(names::without_data_record(&network, path, INCOMPLETE, INCOMPLETE_ZONE));
        // No node has the layers of the second one before its step.
        for name in ["tool", "job"] {
            let image = Image::make(path, name);
            registry.add(&format!("apps/{name}"), "1", &image.manifest, &image.blobs);
        }
        // In Azure, one authority signs both certificates; here, a node trusts two.
        let authorities = [inside.ca_pem(), outside.ca_pem()].concat();
        std::fs::write(path.join("authorities.pem"), &authorities).expect("a file");
        let mut cluster = Self {
            workers: Vec::new(),
            control,
            inside,
            _outside: outside,
            _registry: registry,
            _resolvers: resolvers,
            _faulty_resolvers: faulty_resolvers,
            network,
            image: image.to_owned(),
            has_plugin: plugin.is_some(),
            folder,
        };
        cluster.start_workers(&authorities, plugin);
        cluster
    }

    fn start_workers(&mut self, authorities: &str, plugin: Option<&Path>) {
        let pause = Image::make(self.path(), "pause").archive(self.path(), worker::pause());
        for number in 1..=NODES {
            let (name, address) = (worker::name(number), worker::address(number));
            let subject = format!("system:node:{name}");
            let pair = self.control.authority.issue(&name, &subject, Some("system:nodes"), &[&address]);
            let programs = &self.control.programs;
            let plugin = plugin.filter(|_| number == identity::NODE + 1);
            let flags = plugin.map_or_else(Vec::new, |plugin| identity::flags(plugin, self.path()));
            let (network, folder) = (&self.network, self.folder.path());
            let worker = Worker::start(number, network, folder, programs, &pair, authorities, &flags);
            self.workers.push(worker);
        }
        for index in 0..NODES {
            wait("containerd", Duration::from_secs(60), || self.workers[index].is_up());
            self.workers[index].import(&pause);
            self.import_agent(index);
        }
        wait("every node to be Ready", Duration::from_secs(120), || {
            let nodes = self.kubectl(&["get", "nodes", "--no-headers"]);
            nodes.lines().filter(|line| line.contains(" Ready ")).count() == NODES
        });
    }

    /// Imports the agent's image on a node, as if pulled from another registry.
    pub(crate) fn import_agent(&self, index: usize) {
        self.workers[index].import(&self.image);
    }

    /// Returns the folder for files of the commands.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs kubectl, which must succeed, and returns its output.
    #[track_caller]
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        succeeded("kubectl", arguments, &self.try_kubectl(arguments))
    }

    pub(crate) fn try_kubectl(&self, arguments: &[&str]) -> Output {
        self.network.vnet.run(|| self.control.kubectl(arguments))
    }

    /// Runs helm, which must succeed, and returns its output.
    #[track_caller]
    pub(crate) fn helm(&self, arguments: &[&str]) -> String {
        succeeded("helm", arguments, &self.try_helm(arguments))
    }

    pub(crate) fn try_helm(&self, arguments: &[&str]) -> Output {
        self.network.vnet.run(|| self.control.helm(arguments))
    }

    /// Runs the smoke check from outside the cluster, through the API server. Returns its exit code and output.
    pub(crate) fn smoke(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.program("smoke", &self.control.kubeconfig, arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), text + &String::from_utf8_lossy(&output.stderr))
    }

    /// Runs a command of the program from outside the cluster.
    pub(crate) fn program(&self, name: &str, kubeconfig: &Path, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_acr-verifier"));
        command.arg(name).arg("--kubeconfig").arg(kubeconfig).args(arguments);
        command.stdin(Stdio::null()).env_remove("KUBERNETES_SERVICE_HOST");
        self.network.vnet.run(|| command.output().expect("the program starts"))
    }

    /// Runs a line of a document in a folder, which must succeed, and returns its output.
    #[track_caller]
    pub(crate) fn shell(&self, line: &str, folder: &Path) -> String {
        succeeded("sh", &[line], &self.network.vnet.run(|| self.control.shell(line, folder)))
    }

    /// Creates objects.
    pub(crate) fn create(&self, objects: &Value) {
        let file = self.path().join("objects.json");
        std::fs::write(&file, objects.to_string()).expect("a file");
        self.kubectl(&["create", "--filename", file.to_str().expect("UTF-8")]);
    }

    /// Writes a kubeconfig with a token of a service account.
    pub(crate) fn kubeconfig_of(&self, namespace: &str, account: &str) -> PathBuf {
        let token = self.kubectl(&["create", "token", account, "--namespace", namespace]);
        let file = self.path().join(format!("kubeconfig-{account}"));
        std::fs::write(&file, self.control.programs.kubeconfig_with_token(token.trim())).expect("a file");
        file
    }

    /// Returns the requests that the API server recorded.
    pub(crate) fn recorded_requests(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.control.audit_log()).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Starts a Pod on a node with an image of the registry, such as `apps/tool:1`.
    pub(crate) fn start_pod(
        &self,
        namespace: &str,
        name: &str,
        index: usize,
        image: &str,
        pull_secret: Option<&str>,
    ) {
        let image = format!("{}/{image}", self.inside.registry());
        let secrets: Vec<Value> = pull_secret.into_iter().map(|name| json!({"name": name})).collect();
        self.create(&json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "nodeName": self.workers[index].name, "terminationGracePeriodSeconds": 0,
                "automountServiceAccountToken": false, "imagePullSecrets": secrets,
                "containers": [{"name": "tool", "image": image, "imagePullPolicy": "Always"}],
            },
        }));
    }

    /// Breaks DNS on one node: its resolver is replaced by another one.
    pub(crate) fn break_names(&self, index: usize, resolver: Ipv4Addr) {
        let rules: String = ["udp", "tcp"]
            .map(|protocol| {
                format!(
                    "add rule ip node names ip daddr {FORWARDER} {protocol} dport 53 dnat to {resolver}\n"
                )
            })
            .concat();
        self.workers[index].namespace.run(|| run("nft", &["-f", "-"], &rules));
    }

    /// Restores DNS on a node.
    pub(crate) fn restore_names(&self, index: usize) {
        self.workers[index].namespace.run(|| run("nft", &["flush", "chain", "ip", "node", "names"], ""));
    }

    /// Counts packets from any sender that arrived at a public address of the registry.
    pub(crate) fn public_packets(&self) -> u64 {
        self.network.strays().public
    }

    /// Counts packets from agents to a public address, of which there must be none.
    pub(crate) fn public_packets_of_agents(&self) -> u64 {
        self.workers.iter().map(Worker::public_packets).sum()
    }

    /// Requests a path from an agent, from inside the VNet.
    pub(crate) fn ask(&self, index: usize, path: &str) -> String {
        let address = format!("{}:9469", worker::address(index + 1));
        self.network.vnet.run(|| request(&address, &format!("GET {path}"), ""))
    }

    /// Triggers a check on an agent from inside the VNet, with additional headers, each with its line break.
    pub(crate) fn trigger(&self, index: usize, headers: &str) -> String {
        let address = format!("{}:9469", worker::address(index + 1));
        self.network.vnet.run(|| request(&address, "POST /check", headers))
    }

    /// Requests a path from an agent through `kubectl port-forward`.
    pub(crate) fn forwarded(&self, pod: &str, path: &str) -> String {
        const LOCAL: &str = "127.0.0.1:19469";
        let mut command = self.control.kubectl_command();
        command.args(["port-forward", "--namespace=acr-verifier", pod, "19469:9469"]);
        self.network.vnet.run(|| {
            let mut forward = Server::start(&mut command, &self.path().join("forward.log"));
            forward.wait_until(|| TcpStream::connect(LOCAL).is_ok());
            request(LOCAL, &format!("GET {path}"), "")
        })
    }
}

/// Sends a request and returns the whole answer.
fn request(address: &str, line: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the agent listens");
    let request = format!("{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).expect("the agent reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the agent answers");
    answer
}

/// Waits for a condition, and panics after the limit.
#[track_caller]
pub(crate) fn wait(what: &str, limit: Duration, mut happened: impl FnMut() -> bool) {
    let started = Instant::now();
    while !happened() {
        assert!(started.elapsed() < limit, "waited {} s for {what}", limit.as_secs());
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

impl Drop for Cluster {
    /// After a failure, prints what an operator would look at first.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let looks: [&[&str]; 4] = [
            &["get", "nodes,pods,jobs,daemonsets", "--all-namespaces", "--output=wide"],
            &["describe", "pods", "--namespace=acr-verifier"],
            &["get", "events", "--all-namespaces"],
            &[
                "logs",
                "--namespace=acr-verifier",
                "--selector=app.kubernetes.io/name=acr-verifier",
                "--prefix",
            ],
        ];
        for look in looks {
            let output = self.try_kubectl(look);
            tell(&format!("--- kubectl {}\n{}", look.join(" "), String::from_utf8_lossy(&output.stdout)));
        }
        tell(&self.control.logs());
        for worker in &self.workers {
            tell(&worker.logs());
        }
    }
}

#[track_caller]
fn succeeded(program: &str, arguments: &[&str], output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {}: {text}{errors}", arguments.join(" "));
    text
}
