//! The validated settings of a check or an agent.
//!
//! Owns the types and their defaults. `cli` fills them from the command line, [`mod@file`] from YAML. Nothing beyond this
//! point validates a value again.

pub mod endpoint;
pub mod expect_file;
pub mod file;
pub mod reference;
mod section;
pub mod server;
pub mod value;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;

use self::server::ServerConfig;
use self::value::Refusal;
use crate::address::{ExpectedAddresses, NameserverAddress};
use crate::image::ImageReference;

/// The agent's default port.
pub const DEFAULT_PORT: u16 = 9469;
/// Nameservers that a node queries: glibc and Go read no more from a `resolv.conf` (`MAXNS` of resolv.conf(5)).
pub const MAX_NAMESERVERS: usize = 3;

/// All settings of a check, and those that only an agent uses.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The images to check, in the order given; never empty.
    pub images: Vec<ImageConfig>,
    /// The resolvers to query.
    pub resolvers: Resolvers,
    /// Certificates to trust in addition to the system's own.
    pub ca_file: Option<PathBuf>,
    /// The folder where the node's files are mounted, if they are.
    pub node_root: Option<PathBuf>,
    /// Times and load limits.
    pub schedule: Schedule,
    /// Whether the data path is checked; `--no-blob` turns it off.
    pub blob: bool,
    /// Whether loopback counts as private: only for a registry on this machine.
    pub allow_loopback: bool,
    /// Where a laboratory serves what has a fixed address on a node.
    pub lab: LabEndpoints,
    /// The agent's HTTP server.
    pub server: ServerConfig,
    /// Which histograms of stages the agent exposes.
    pub stage_histograms: StageHistograms,
    /// Whether the agent publishes Kubernetes Events.
    pub events: bool,
    /// The digest of the configuration file; absent if the settings come from the command line.
    pub digest: Option<String>,
}

/// One image to check.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageConfig {
    /// The image reference.
    pub image: ImageReference,
    /// The operator's name for the image, a label in metrics.
    pub name: Option<String>,
    /// The credentials; if absent, the usual paths are tried.
    pub credentials: Option<CredentialsConfig>,
    /// Ranges of the private endpoint; if empty, any private address is accepted.
    pub expected: Vec<IpNet>,
    /// Addresses of the private endpoint by name; a name without an entry is classified by the ranges.
    pub expected_addresses: ExpectedAddresses,
    /// Data endpoints to check in DNS in addition to the one in the redirect; lower case.
    pub data_endpoints: Vec<String>,
}

/// The credentials of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialsConfig {
    /// Files.
    Path {
        /// A docker `config.json`, a mounted `kubernetes.io/dockerconfigjson` secret, or a folder with `username` and
        /// `password`.
        path: PathBuf,
        /// When they expire; ACR does not report it.
        expires_at: Option<Timestamp>,
    },
    /// The node's managed identity, as the kubelet's credential provider uses it.
    ManagedIdentity {
        /// Its client id, a GUID; required if the node has several identities.
        client_id: Option<String>,
    },
    /// The Pod's workload identity.
    WorkloadIdentity,
}

/// Where a laboratory serves what has a fixed address on a node of AKS; nowhere on a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LabEndpoints {
    /// Replaces the address of IMDS.
    pub imds: Option<SocketAddr>,
    /// Replaces the addresses of Entra ID; its name and certificate remain.
    pub entra: Option<SocketAddr>,
    /// Replaces the address of AKS LocalDNS.
    pub local_dns: Option<SocketAddr>,
    /// Replaces the address of Azure's resolver.
    pub azure_dns: Option<SocketAddr>,
}

/// Which histograms of stages the agent exposes.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum StageHistograms {
    /// Those of the reference: 120 series for a registry.
    #[default]
    Full,
    /// With these upper bounds in seconds, in ascending order.
    Buckets(Vec<f64>),
    /// None, and the other series are reduced to at most 40 for a healthy registry.
    Off,
}

/// The resolvers to query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolvers {
    /// The node's nameservers.
    pub system: SystemResolver,
    /// Resolvers to compare with, each with the operator's name for it.
    pub compare: Vec<(String, NameserverAddress)>,
    /// Whether AKS LocalDNS, if it is a nameserver of the node, is compared with the servers that it forwards to. Any setting of
    /// the operator overrides it.
    pub compares_node_cache: bool,
    /// The servers that AKS LocalDNS forwards to, from the node's own files; empty if unknown.
    pub cache_upstreams: Vec<NameserverAddress>,
}

/// The source of the node's nameservers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SystemResolver {
    /// A file in the format of resolv.conf(5), read at every check.
    File(PathBuf),
    /// Addresses from the command line.
    Servers(Vec<NameserverAddress>),
}

/// Times and load limits.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Time between two checks of the agent.
    pub interval: Duration,
    /// Fraction of the interval by which it varies, 0 to 1.
    pub jitter: f64,
    /// Overall timeout of the check of one image.
    pub timeout: Duration,
    /// Timeout of one stage.
    pub stage_timeout: Duration,
    /// Failed checks in a row before an Event is published.
    pub confirm_after: u32,
    /// Number of nodes that share the registry; if set, the interval is stretched to stay within the budget.
    pub fleet_size: Option<u32>,
    /// Requests per minute for the whole fleet; set whenever `fleet_size` is.
    pub budget_per_minute: Option<u32>,
    /// Time between two path checks, which send no request to the registry. Without effect unless the interval in force is
    /// longer.
    pub path_interval: Duration,
}

impl Config {
    /// Checks these images, with the defaults for everything else.
    #[must_use]
    pub fn of(images: Vec<ImageConfig>) -> Self {
        Self {
            images,
            resolvers: Resolvers::default(),
            ca_file: None,
            node_root: None,
            schedule: Schedule::default(),
            blob: true,
            allow_loopback: false,
            lab: LabEndpoints::default(),
            server: ServerConfig::default(),
            stage_histograms: StageHistograms::Full,
            events: true,
            digest: None,
        }
    }
}

impl Schedule {
    /// Default requests per minute of a fleet: a fifth of a Premium registry's documented reads.
    pub const DEFAULT_BUDGET_PER_MINUTE: u32 = 4000;

    /// Sets the given timeouts. A stage timeout that was not given is capped at the overall timeout.
    ///
    /// # Errors
    /// The stage timeout exceeds the overall timeout.
    pub fn limit(
        &mut self,
        timeout: Option<Duration>,
        stage_timeout: Option<Duration>,
    ) -> Result<(), Refusal> {
        let timeout_is_given = timeout.is_some();
        self.timeout = timeout.unwrap_or(self.timeout);
        self.stage_timeout = stage_timeout.unwrap_or_else(|| self.stage_timeout.min(self.timeout));
        if self.stage_timeout <= self.timeout {
            return Ok(());
        }
        let limit = if timeout_is_given { "the overall timeout" } else { "the default overall timeout" };
        Err(Refusal::new(
            format!("{:?}", self.stage_timeout),
            format!("at most {limit} of {:?}", self.timeout),
        ))
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            jitter: 0.2,
            timeout: Duration::from_secs(60),
            stage_timeout: Duration::from_secs(10),
            confirm_after: 2,
            fleet_size: None,
            budget_per_minute: None,
            path_interval: Duration::from_secs(60),
        }
    }
}

impl Default for Resolvers {
    fn default() -> Self {
        Self {
            system: SystemResolver::File(PathBuf::from("/etc/resolv.conf")),
            compare: Vec::new(),
            compares_node_cache: true,
            cache_upstreams: Vec::new(),
        }
    }
}
