//! A node with an identity: its network, the registry, IMDS and Entra ID, all of them the lab's.
//!
//! Owns what happens in a state: the credential provider runs, containerd 2 pulls with what it returned, and the program checks.
//! Each state has a setup of its own, because a cloud's names are read once.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::kubelet::{Provided, Run, ServiceAccount};
use super::states::{Caller, State};
use crate::node::Node;
use crate::pull::{self, Fate, Newer, Order};
use lab::Lab;
use lab::settings::{Identity, Nameserver, Settings};
use support::namespaces::leftovers;
use support::namespaces::network::{DATA, ENTRA, IMDS, LOGIN, Network, ODD_DNS};
use support::namespaces::process::command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_acr-verifier");
/// The node name passed to the program.
const NODE: &str = "aks-np1-0";
/// The roots of the registry, at the path where containerd's pulls read them.
const REGISTRY_ROOTS: &str = "trusted/ca.crt";
/// The roots of Entra ID, as a machine has them.
const PUBLIC_ROOTS: &str = "public.pem";
/// Time limit of a pull: Go's resolver and containerd are patient.
const LONGEST_PULL: Duration = Duration::from_secs(60);

/// The result of a state.
pub(crate) struct Outcome {
    pub(crate) provided: Provided,
    pub(crate) pulled: Fate,
    /// The deviations from the expectation.
    pub(crate) problems: Vec<String>,
}

/// The result of a check.
struct Checked {
    report: String,
    log: String,
    code: i32,
}

/// The setup of one state. Fields are dropped in this order: lab, namespaces, files.
pub(crate) struct Setup<'state> {
    state: &'state State,
    identity: Identity,
    lab: Lab,
    network: Network,
    folder: TempDir,
}

impl<'state> Setup<'state> {
    /// Starts everything for a state.
    pub(crate) fn start(state: &'state State) -> Self {
        let folder =
            tempfile::Builder::new().prefix(&leftovers::folder_prefix()).tempdir().expect("a folder");
        let network = Network::start();
        for address in [IMDS, ENTRA] {
            network.vnet.ip(&format!("address add {address}/32 dev node\n"));
        }
        let settings = settings(state);
        let identity = settings.identity.clone();
        let lab = network.vnet.run(|| Lab::start(settings));
        let mut assertion = lab.accepted_assertion();
        (state.assertion)(&mut assertion);
        lab.project(&assertion);
        network.break_with(&state.faults);
        let setup = Self { state, identity, lab, network, folder };
        setup.write_files();
        setup
    }

    /// Provides credentials, pulls, checks, and compares.
    pub(crate) fn try_state(&self, plugin: &Path, containerd: &Newer) -> Outcome {
        let provided = self.provide(plugin);
        let pulled = self.pull(containerd, &provided);
        // Answers that are given only once are given again.
        self.lab.change(|current| (self.state.settings)(current));
        let checked = self.check();
        let mut problems = self.problems(&checked);
        problems.extend(self.state.problems(&provided, &pulled));
        if !problems.is_empty() {
            problems.push(format!("the report: {}\n{}", checked.report, checked.log));
        }
        Outcome { provided, pulled, problems }
    }

    fn provide(&self, plugin: &Path) -> Provided {
        let image = self.lab.image();
        let token = || fs::read_to_string(self.lab.assertion_file()).expect("the lab wrote it");
        let service_account = match self.state.caller {
            Caller::ManagedIdentity => None,
            Caller::WorkloadIdentity { complete } => Some(ServiceAccount {
                token: token(),
                annotations: if complete { self.annotations() } else { Vec::new() },
            }),
        };
        let (azure_json, roots) = (self.path("azure.json"), self.path("all.pem"));
        let run = Run { program: plugin, azure_json, image: &image, service_account, roots };
        run.start(&self.network.node, self.folder.path())
    }

    /// The client ID of the identity that pulls.
    fn client_id(&self) -> String {
        match self.state.caller {
            Caller::ManagedIdentity => self.identity.kubelet_client_id().to_owned(),
            Caller::WorkloadIdentity { .. } => self.identity.federated.client_id.clone(),
        }
    }

    fn annotations(&self) -> Vec<(&'static str, String)> {
        vec![("client-id", self.client_id()), ("tenant-id", self.identity.tenant.clone())]
    }

    fn pull(&self, containerd: &Newer, provided: &Provided) -> Fate {
        let order = Order {
            image: self.lab.image(),
            users: provided.users(),
            credentials: self.folder.path(),
            trusted: true,
            node: &Node::default(),
            limit: LONGEST_PULL,
        };
        pull::with_containerd_2(containerd, &self.network.node, self.folder.path(), &order)
    }

    fn check(&self) -> Checked {
        let mut program = command(PROGRAM);
        program.env_clear().env("HOME", self.folder.path()).env("NODE_NAME", NODE);
        program.env("SSL_CERT_FILE", self.path(PUBLIC_ROOTS));
        program.args(["check", &self.lab.image(), "--output", "json"]);
        program.arg("--resolv-conf").arg(self.path("resolv.conf"));
        program.arg("--ca-file").arg(self.path(REGISTRY_ROOTS));
        match self.state.caller {
            Caller::ManagedIdentity => {
                program.args(["--identity", "managed"]);
                if self.state.named {
                    program.args(["--identity-client-id", &self.client_id()]);
                }
            }
            Caller::WorkloadIdentity { complete } => {
                program.args(["--identity", "workload"]);
                if complete {
                    program.env("AZURE_CLIENT_ID", self.client_id());
                    program.env("AZURE_TENANT_ID", self.identity.tenant.clone());
                }
                program.env("AZURE_AUTHORITY_HOST", format!("https://{}/", self.state.cloud.authority()));
                program.env("AZURE_FEDERATED_TOKEN_FILE", self.lab.assertion_file());
            }
        }
        program.stdin(Stdio::null());
        let output = self.network.node.run(|| program.output().expect("the program exists"));
        let [report, log] =
            [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        Checked { report, log, code: output.status.code().unwrap_or(-1) }
    }

    fn problems(&self, checked: &Checked) -> Vec<String> {
        let Checked { report, log, code } = checked;
        let mut problems = match serde_json::from_str::<Value>(report) {
            Ok(report) => self.state.expected.problems(&report, Some(*code), &self.lab),
            Err(error) => vec![format!("no report: {error}")],
        };
        if self.lab.secrets().iter().any(|secret| report.contains(secret) || log.contains(secret)) {
            problems.push("the output contains a secret".to_owned());
        }
        problems
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_files(&self) {
        let write = |name: &str, text: &str| fs::write(self.path(name), text).expect("a file");
        fs::create_dir(self.path("trusted")).expect("a folder");
        let roots = fs::read_to_string(self.lab.public_roots()).expect("the lab wrote it");
        write(REGISTRY_ROOTS, self.lab.ca_pem());
        write(PUBLIC_ROOTS, &roots);
        write("all.pem", &(self.lab.ca_pem().to_owned() + &roots));
        write("resolv.conf", &format!("nameserver {ODD_DNS}\n"));
        let mut azure_json = json!({
            "cloud": self.state.cloud.name(), "tenantId": self.identity.tenant.clone(), "useManagedIdentityExtension": true,
            "userAssignedIdentityID": if self.state.named { self.client_id() } else { String::new() },
            "aadClientId": "msi", "aadClientSecret": "msi",
        });
        (self.state.azure_json)(&mut azure_json);
        write("azure.json", &azure_json.to_string());
        let owner_only = fs::Permissions::from_mode(0o600);
        fs::set_permissions(self.path("azure.json"), owner_only).expect("it was written");
    }
}

/// The settings of the lab at the start of a state.
fn settings(state: &State) -> Settings {
    let mut settings = Settings::on_azures_port(LOGIN.into(), DATA.into());
    let nameserver = Nameserver { address: Some((ODD_DNS, 53).into()), ..Nameserver::default() };
    settings.nameservers = vec![nameserver];
    settings.identity = Identity::at_azures_addresses(ENTRA.into());
    state.cloud.suffix().clone_into(&mut settings.place.suffix);
    (state.settings)(&mut settings);
    settings
}
