//! What is meant: the validated settings of a check or an agent.
//!
//! Owns the types and their defaults. Both ways in lead here: `cli` (what was typed) and [`mod@file`] (what was written in
//! YAML). Nothing past this point asks again whether a value makes sense.

pub mod file;
mod section;
pub mod value;
mod yaml;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;

use self::value::Refusal;
use crate::address::NameserverAddress;
use crate::image::ImageReference;

/// Where the agent serves HTTP where nothing else is said: every address of its network namespace.
pub const DEFAULT_SERVER_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 9469);

/// Everything that a check needs to know, and what an agent needs beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// What is checked, in the order given; never empty.
    pub images: Vec<ImageConfig>,
    /// Who is asked for names.
    pub resolvers: Resolvers,
    /// Certificates that are trusted beside the system's own.
    pub ca_file: Option<PathBuf>,
    /// The folder where the node's own files are mounted; absent where they are not.
    pub node_root: Option<PathBuf>,
    /// Times and loads.
    pub schedule: Schedule,
    /// Whether the data path is tested (`--no-blob` turns it off).
    pub blob: bool,
    /// Whether loopback counts as private: only for a registry on this very machine.
    pub allow_loopback: bool,
    /// Where the agent serves HTTP.
    pub server_address: SocketAddr,
    /// Whether the agent publishes Kubernetes Events.
    pub events: bool,
    /// The digest of the file that all of this was read from; none where it was typed.
    pub digest: Option<String>,
}

/// One image to check.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageConfig {
    /// The reference.
    pub image: ImageReference,
    /// The operator's name for it in metrics.
    pub name: Option<String>,
    /// Where its credentials are; without it the usual places are tried.
    pub credentials: Option<CredentialsConfig>,
    /// Ranges of the private endpoint; empty: any private address will do.
    pub expected: Vec<IpNet>,
    /// Data endpoints that are judged in DNS beside the one that the redirect names; lower case.
    pub data_endpoints: Vec<String>,
}

/// Where the credentials of an image are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialsConfig {
    /// A docker `config.json`, a mounted `kubernetes.io/dockerconfigjson` secret, or a folder with `username` and
    /// `password`.
    pub path: PathBuf,
    /// When they end; ACR itself does not tell.
    pub expires_at: Option<Timestamp>,
}

/// Who is asked for names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolvers {
    /// The node's own nameservers.
    pub system: SystemResolver,
    /// Resolvers to compare with, by the operator's name for each.
    pub compare: Vec<(String, NameserverAddress)>,
}

/// Where the node's own nameservers are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SystemResolver {
    /// In a file of resolv.conf(5)'s format, read at every check.
    File(PathBuf),
    /// On the command line, in place of a file.
    Servers(Vec<NameserverAddress>),
}

/// Times and loads.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Between two checks of the agent.
    pub interval: Duration,
    /// Share of the interval by which it varies, 0 to 1.
    pub jitter: f64,
    /// Limit of the whole check of one image.
    pub timeout: Duration,
    /// Limit of one stage.
    pub stage_timeout: Duration,
    /// Failed checks in a row before an Event is published.
    pub confirm_after: u32,
    /// Nodes that share the registry; with it the interval is stretched.
    pub fleet_size: Option<u32>,
    /// Requests a minute that the whole fleet may make; stands whenever `fleet_size` does.
    pub budget_per_minute: Option<u32>,
}

impl Config {
    /// The checks of these images, with the defaults for all the rest.
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
            server_address: DEFAULT_SERVER_ADDRESS,
            events: true,
            digest: None,
        }
    }
}

impl Schedule {
    /// Requests a minute of a fleet that names no budget: a fifth of a Premium registry's documented reads.
    pub const DEFAULT_BUDGET_PER_MINUTE: u32 = 4000;

    /// Sets the limits that were given. A stage's limit that was not is cut to the whole check's.
    ///
    /// # Errors
    /// A stage would have more time than the whole check.
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
        let limit = if timeout_is_given { "the limit" } else { "the limit, where no other is given," };
        Err(Refusal::new(
            format!("{:?} for a stage", self.stage_timeout),
            format!("at most {limit} of the whole check, {:?}", self.timeout),
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
        }
    }
}

impl Default for Resolvers {
    fn default() -> Self {
        Self { system: SystemResolver::File(PathBuf::from("/etc/resolv.conf")), compare: Vec::new() }
    }
}
