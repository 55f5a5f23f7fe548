//! The complete setup: a registry with a private endpoint, and a node that checks it.
//!
//! Owns the startup order, the transitions between states, and the invariants of every state.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV6};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::node::{self, Trusted};
use super::pull::{self, Containerd, Newer, Order, Pulled};
use super::states::{Cached, Credentials, State};
use lab::Lab;
use lab::answers::{Canned, FirewallWording, Step};
use lab::log::{Connection, Listener};
use lab::settings::{Nameserver, Settings};
use support::namespaces::leftovers;
use support::namespaces::local_dns::LocalDns;
use support::namespaces::names::{Names, Resolvers};
use support::namespaces::network::{
    DATA, FOREIGN_DATA, FOREIGN_LOGIN, Faults, LINK_DNS, LOGIN, Network, ODD_DNS, PUBLIC_DATA, PUBLIC_LOGIN,
    REPLICAS, STORAGE, Strays, UNUSED,
};
use support::namespaces::process::command;
use support::namespaces::registry::{self, Registry};

const PROGRAM: &str = env!("CARGO_BIN_EXE_acr-verifier");
/// The trusted roots of clients, in a separate directory as required by container tools.
const AUTHORITIES: &str = "trusted/ca.crt";
/// The directory with the node's own files.
const NODE_FILES: &str = "host";
const WRONG: &str = "not-the-password";
/// The node name passed to the program.
const NODE: &str = "aks-np1-0";

/// A passing check completes within this time.
const BEFORE_MENDING: Duration = Duration::from_secs(1);

/// After this time a client waits for the manifest, in a state where that takes twice as long.
const HALFWAY: Duration = Duration::from_millis(1_500);

/// The result of a state.
pub(crate) struct Outcome {
    /// The deviations from the expectation.
    pub(crate) problems: Vec<String>,
    /// The results of the clients' pulls, if the clients are installed.
    pub(crate) pulled: Option<Pulled>,
}

/// The result of a check.
struct ImageResult {
    report: String,
    log: String,
    /// Absent for an agent.
    code: Option<i32>,
}

/// The complete setup. Fields are dropped in this order: servers, namespaces, files.
pub(crate) struct Azure {
    pub(crate) inside: Lab,
    outside: Lab,
    /// Another registry, `fabrikam`, with a private endpoint in the same subnet.
    foreign: Lab,
    registry: Registry,
    resolvers: Resolvers,
    network: Network,
    healthy: Settings,
    healthy_foreign: Settings,
    containerd: Option<Containerd>,
    newer: Option<Newer>,
    /// CoreDNS, for the states with a cache on the node.
    coredns: Option<PathBuf>,
    folder: TempDir,
}

impl Azure {
    /// Starts everything, with containerd 2 if its directory is given.
    pub(crate) fn start(newer: Option<&Path>, coredns: Option<&Path>) -> Self {
        let folder =
            tempfile::Builder::new().prefix(&leftovers::folder_prefix()).tempdir().expect("a folder");
        let network = Network::start();
        let mut inside_settings = Settings::on_azures_port(LOGIN.into(), DATA.into());
        inside_settings.place.storage_address = Some(STORAGE.into());
        inside_settings.place.replicas = REPLICAS.map(|(region, address)| (region, address.into())).to_vec();
        // Its scope names only the link to the node.
        let scope = network.vnet.link("node");
        let addresses =
            [SocketAddr::from((ODD_DNS, 53)), SocketAddr::V6(SocketAddrV6::new(LINK_DNS, 53, 0, scope))];
        let nameserver = |address| Nameserver { address: Some(address), ..Nameserver::default() };
        inside_settings.nameservers = addresses.map(nameserver).to_vec();
        let inside = network.vnet.run(|| {
            let mut settings = inside_settings.clone();
            settings.place.upstream = Some(registry::address());
            Lab::start(settings)
        });
        let outside = network.internet.run(|| {
            let mut settings = Settings::on_azures_port(PUBLIC_LOGIN.into(), PUBLIC_DATA.into());
            for step in Step::ALL {
                settings.answer(step, Canned::Firewall(FirewallWording::CorrelationId));
            }
            Lab::start(settings)
        });
        let mut foreign_settings = Settings::on_azures_port(FOREIGN_LOGIN.into(), FOREIGN_DATA.into());
        "fabrikam".clone_into(&mut foreign_settings.place.registry);
        let foreign = network.vnet.run(|| Lab::start(foreign_settings.clone()));
        let registry = Registry::start(&network.vnet, folder.path(), &inside);
        let resolvers = Resolvers::start(&network, folder.path());
        let containerd = pull::are_possible().then(|| Containerd::start(folder.path()));
        let (healthy, healthy_foreign) = (inside_settings, foreign_settings);
        let azure = Self {
            inside,
            outside,
            foreign,
            registry,
            resolvers,
            network,
            healthy,
            healthy_foreign,
            containerd,
            newer: newer.map(Newer::of),
            coredns: coredns.map(Path::to_owned),
            folder,
        };
        azure.write_files();
        azure
    }

    /// Applies a state, checks, lets the clients pull, and reverts the state.
    pub(crate) fn try_state(&mut self, state: &State) -> Outcome {
        let cache = state.cache.as_ref().map(|cached| self.fill_cache(cached));
        self.resolvers.become_like(&self.network, &state.names);
        self.network.break_with(&state.faults);
        self.inside.change(|settings| (state.endpoints)(settings));
        self.foreign.change(|settings| (state.foreign)(settings));
        let lost = state.lost.map(|lost| lost(&self.inside));
        if let Some(digest) = &lost {
            self.registry.lose(digest);
        }
        if state.frozen {
            self.registry.server.signal(Signal::STOP);
        }
        self.inside.forget();
        let before = self.network.strays();
        let checked = self.check(state);
        let after = self.network.strays();
        let connected = self.inside.all_connections();
        let pulled = self.pull(state);
        drop(cache);
        if state.frozen {
            self.registry.server.signal(Signal::CONT);
        }
        if let Some(digest) = &lost {
            self.registry.find(digest);
        }
        self.inside.change(|settings| *settings = self.healthy.clone());
        self.foreign.change(|settings| *settings = self.healthy_foreign.clone());
        self.network.repair(&state.faults);
        let strays =
            Strays { elsewhere: after.elsewhere - before.elsewhere, public: after.public - before.public };
        let mut problems = self.problems(state, &checked, strays, &connected);
        if let Some(pulled) = &pulled {
            problems.extend(pulled.problems(&state.pulls()));
        }
        Outcome { problems, pulled }
    }

    /// Starts the cache on the node with the answers of an earlier setup.
    fn fill_cache(&mut self, cached: &Cached) -> LocalDns {
        self.resolvers.become_like(&self.network, &cached.before);
        let coredns = self.coredns.as_deref().expect("the state is tried only with CoreDNS");
        cached.fill(coredns, &self.network.node, self.folder.path())
    }

    /// Lets the real clients pull the same image.
    fn pull(&self, state: &State) -> Option<Pulled> {
        let folder = self.folder.path();
        let credentials = self.credentials(state).join("config.json");
        let user = |password: &str| (self.inside.username(), password.to_owned());
        let right = self.inside.password();
        let users = match state.credentials {
            Credentials::Right | Credentials::Expiring => vec![user(&right)],
            Credentials::Wrong => vec![user(WRONG)],
            Credentials::Stale => vec![user(WRONG), user(&right)],
            Credentials::Missing | Credentials::Broken | Credentials::Unreadable => Vec::new(),
        };
        let order = Order {
            image: (state.image)(&self.inside),
            users,
            credentials: &credentials,
            trusted: state.trusted.by_node(),
            node: &state.node,
            limit: state.pulls().limit(),
        };
        let containerd = self.containerd.as_ref()?;
        let newer = self.newer.as_ref();
        Some(self.breaking(state, || pull::pull(containerd, newer, &self.network.node, folder, &order)))
    }

    /// Runs a job, during which the state gets worse.
    fn breaking<T: Send>(&self, state: &State, job: impl FnOnce() -> T + Send) -> T {
        let Some(rule) = state.halfway else { return job() };
        let faults = Faults { arriving: vec![rule], ..Faults::default() };
        let result = std::thread::scope(|scope| {
            let job = scope.spawn(job);
            std::thread::sleep(HALFWAY);
            self.network.break_with(&faults);
            job.join()
        });
        self.network.repair(&faults);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    fn credentials(&self, state: &State) -> PathBuf {
        match state.credentials {
            Credentials::Right => self.inside.credentials_folder(),
            Credentials::Expiring => self.folder.path().join("expiring"),
            Credentials::Wrong => self.folder.path().join("wrong"),
            Credentials::Missing => self.folder.path().join("absent"),
            Credentials::Stale => self.folder.path().join("stale"),
            Credentials::Unreadable => self.folder.path().join("unreadable"),
            Credentials::Broken => self.folder.path().join("broken"),
        }
    }

    /// The node's own files in this state, for clients and agent.
    fn write_node_files(&self, state: &State) -> String {
        let folder = self.folder.path();
        let lines = |servers: &[Ipv4Addr]| -> String {
            servers.iter().map(|address| format!("nameserver {address}\n")).collect()
        };
        let resolv_conf = lines(&state.nameservers) + state.options;
        fs::write(folder.join("resolv.conf"), &resolv_conf).expect("a file");
        let first = state.node.first_nameserver.map_or_else(|| resolv_conf.clone(), |first| lines(&[first]));
        let authorities =
            if state.trusted.by_node() { self.authorities() } else { self.outside.ca_pem().to_owned() };
        state.node.write(&folder.join(NODE_FILES), &self.inside.login_server(), &authorities, &first);
        if let Some(cached) = state.cache.as_ref().filter(|cached| cached.known) {
            node::write_upstream(&folder.join(NODE_FILES), cached.upstream);
        }
        resolv_conf
    }

    fn check(&mut self, state: &State) -> ImageResult {
        let folder = self.folder.path().to_owned();
        let resolv_conf = self.write_node_files(state);
        if state.node.has_agent {
            return self.check_by_agent(state, &resolv_conf);
        }
        let credentials = self.credentials(state);
        let image = (state.image)(&self.inside);
        let mut program = command(PROGRAM);
        program.env_clear().env("HOME", &folder).env("NODE_NAME", NODE);
        // Nothing listens there; any request is counted.
        for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
            program.env(variable, format!("http://{UNUSED}:3128"));
        }
        program.args(["check", "--output", "json", "--stage-timeout", state.patience]);
        if state.cache.as_ref().is_some_and(|cached| cached.known) {
            let file = node::configuration_of_check(&folder, &image, &credentials, &folder.join(NODE_FILES));
            program.arg("--config").arg(file);
        } else {
            program.arg("--resolv-conf").arg(folder.join("resolv.conf"));
            program.arg("--credentials").arg(credentials).arg(&image);
        }
        if state.trusted == Trusted::ByNode {
            program.env("SSL_CERT_FILE", folder.join(AUTHORITIES));
        }
        if state.trusted.by_file() {
            program.arg("--ca-file").arg(folder.join(AUTHORITIES));
        }
        program.args(&state.arguments);
        program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = self.network.node.run(|| program.spawn().expect("the program exists"));
        if state.mended {
            std::thread::sleep(BEFORE_MENDING);
            self.resolvers.become_like(&self.network, &Names::default());
        }
        let output = self.breaking(state, || child.wait_with_output().expect("the program runs"));
        let [report, log] =
            [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        ImageResult { report, log, code: Some(output.status.code().unwrap_or(-1)) }
    }

    /// The same with the node's agent, which reads the node's files; resolv.conf may change in between.
    fn check_by_agent(&self, state: &State, resolv_conf: &str) -> ImageResult {
        let folder = self.folder.path();
        let root = folder.join(NODE_FILES);
        let mut configuration = format!(
            "images:\n  - image: {}\n    name: canary\n    credentials: {{path: {}}}\nnodeFiles: {{root: {}}}\n\
             schedule: {{interval: 5s, jitter: 0, stageTimeout: {}}}\nserver: {{address: \"127.0.0.1:9469\"}}\n",
            (state.image)(&self.inside),
            self.credentials(state).display(),
            root.display(),
            state.patience,
        );
        if state.trusted.by_file() {
            configuration.push_str(&format!("tls: {{caFile: {}}}\n", folder.join(AUTHORITIES).display()));
        }
        let follow = || {
            if state.node.first_nameserver.is_some() {
                fs::write(root.join("etc/resolv.conf"), resolv_conf).expect("a file");
            }
        };
        let (network, verdict) = (&self.network.node, state.verdict());
        let report = node::report_of_agent(network, folder, &configuration, follow, verdict);
        let log = fs::read_to_string(folder.join("agent.log")).unwrap_or_default();
        ImageResult { report, log, code: None }
    }

    fn problems(
        &self,
        state: &State,
        checked: &ImageResult,
        strays: Strays,
        connected: &[Connection],
    ) -> Vec<String> {
        let ImageResult { report: text, log, code } = checked;
        let report: Value = match serde_json::from_str(text) {
            Ok(report) => report,
            Err(error) => return vec![format!("no report: {error}\n{text}{log}")],
        };
        let mut problems = state.expected.problems(&report, *code, &self.inside);
        for secret in self.inside.secrets() {
            if text.contains(&secret) || log.contains(&secret) {
                problems.push("the output contains a secret".to_owned());
            }
        }
        if !state.expected.leaves && strays != (Strays { elsewhere: 0, public: 0 }) {
            problems.push(format!("packets went astray: {strays:?}"));
        }
        if state.expected.leaves && (strays.elsewhere == 0 || strays.public == 0) {
            problems.push(format!("no packet took the public path: {strays:?}"));
        }
        let place = |key: &str| report.pointer(&format!("/images/0/{key}")).and_then(Value::as_str);
        let was_right = state.node.first_nameserver.is_some();
        if let (Some("dns" | "address"), Some(endpoint), false) =
            (place("failedStage"), place("failedEndpoint"), was_right)
        {
            let failed = if endpoint == "login" { Listener::Login } else { Listener::Data };
            // A region that does not serve the pull may have failed; the serving one is another host.
            let other = state.expected.blob_host;
            let wrong = |it: &&Connection| {
                it.listener == failed && (other.is_none() || it.server_name.as_deref() != other)
            };
            problems.extend(connected.iter().find(wrong).map(|connection| {
                format!("connected to {endpoint} despite the failure: {:?}", connection.server_name)
            }));
        }
        if !problems.is_empty() {
            problems.push(format!("the report: {report}\n{log}"));
        }
        problems
    }

    /// In Azure one authority would sign everything; here, a client trusts three.
    fn authorities(&self) -> String {
        [&self.inside, &self.outside, &self.foreign].map(Lab::ca_pem).concat()
    }

    /// Writes the files that a client reads in addition to those of the lab.
    fn write_files(&self) {
        let folder = self.folder.path();
        for name in ["trusted", "untrusted", "wrong", "absent", "stale", "broken", "unreadable", "expiring"] {
            fs::create_dir(folder.join(name)).expect("a folder");
        }
        fs::write(folder.join(AUTHORITIES), self.authorities()).expect("a file");
        let auth = STANDARD.encode(format!("{}:{WRONG}", self.inside.username()));
        let wrong = json!({"auths": {self.inside.registry(): {"auth": auth}}});
        fs::write(folder.join("wrong/config.json"), wrong.to_string()).expect("a file");
        fs::write(folder.join("unreadable/config.json"), "auths: {}\n").expect("a file");
        let known = STANDARD.encode(format!("{}:{}", self.inside.username(), self.inside.password()));
        let specific = format!("{}/apps", self.inside.registry());
        let stale = json!({"auths": {specific: {"auth": auth}, self.inside.registry(): {"auth": known}}});
        fs::write(folder.join("stale/config.json"), stale.to_string()).expect("a file");
        for (name, registry, entry) in [
            (
                "absent",
                "fabrikam.azurecr.io".to_owned(),
                json!({"username": "a-user", "password": "a-password"}),
            ),
            // As written by `az acr login`; the kubelet ignores it.
            ("broken", self.inside.registry(), json!({"identitytoken": "an-identity-token"})),
        ] {
            fs::write(folder.join(name).join("config.json"), json!({"auths": {registry: entry}}).to_string())
                .expect("a file");
        }
        let right = self.inside.credentials_folder().join("config.json");
        fs::copy(right, folder.join("expiring/config.json")).expect("a file");
        let end = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * 13);
        fs::write(folder.join("expiring/expiresAt"), end.to_string()).expect("a file");
    }
}
