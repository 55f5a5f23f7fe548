//! The flags of every command, with their help.
//!
//! Owns names, headings, the short help, the parser of each value, and which arguments exclude each other.
//! [`mod@super::resolve`] checks what depends on files.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, ArgGroup, Args, ColorChoice, Parser, Subcommand};
use clap_complete::Shell;
use ipnet::IpNet;

use super::{NAME, help, values};
use crate::acr::LoginServer;
use crate::address::NameserverAddress;
use crate::cluster;
use crate::config::{endpoint, value};
use crate::image::ImageReference;
use crate::logging::LogFormat;
use crate::report::Format;
use crate::report::catalogue::CatalogueFormat;
use crate::report::{discover, exposure, fleet};
use crate::smoke::SampleSize;

/// Checks whether a machine can pull images from a private Azure Container Registry.
#[derive(Debug, Parser)]
#[command(
    name = NAME,
    version,
    max_term_width = 100,
    arg_required_else_help = false,
    subcommand_required = true,
    infer_long_args = false,
    about = help::ABOUT,
    long_about = help::LONG_ABOUT,
    after_help = help::EXAMPLES
)]
pub struct Arguments {
    #[command(flatten)]
    pub(super) shared: Shared,
    #[command(subcommand)]
    pub(super) command: CommandArguments,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Common options")]
pub(super) struct Shared {
    /// Log more to standard error: steps (-v), details (-vv), everything (-vvv)
    #[arg(short, long, global = true, action = ArgAction::Count, display_order = 900)]
    pub(super) verbose: u8,
    /// Log format
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text", display_order = 901)]
    pub(super) log_format: LogFormat,
    /// When to use colors; `auto`: on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", display_order = 902)]
    pub(super) color: ColorChoice,
}

/// The arguments of each command.
#[derive(Debug, Subcommand)]
pub(super) enum CommandArguments {
    /// Verify once that this machine can pull images
    #[command(override_usage = help::CHECK_USAGE, long_about = help::CHECK, after_help = help::CHECK_EXAMPLES)]
    Check(Box<CheckArguments>),
    /// Verify continuously on a node; expose metrics, Events and a status page
    #[command(long_about = help::AGENT, after_help = help::AGENT_EXAMPLES)]
    Agent(AgentArguments),
    /// Trigger a check on every node and wait until all pass: the gate after a deployment
    #[command(long_about = help::SMOKE, after_help = help::SMOKE_EXAMPLES)]
    Smoke(SmokeArguments),
    /// Verify from outside that the public endpoint of a registry rejects this client
    #[command(long_about = help::EXPOSURE, after_help = help::EXPOSURE_EXAMPLES)]
    Exposure(ExposureArguments),
    /// List the images that a cluster uses, and explain why Pods wait for theirs
    #[command(long_about = help::DISCOVER, after_help = help::DISCOVER_EXAMPLES)]
    Discover(Box<DiscoverArguments>),
    /// Print the catalogue of causes, with the meaning and remedy of each
    #[command(long_about = help::CAUSES, after_help = help::CAUSES_EXAMPLES)]
    Causes(CausesArguments),
    /// Print a shell completion script
    #[command(after_help = help::COMPLETIONS_EXAMPLES)]
    Completions {
        /// Shell to generate the script for
        shell: Shell,
    },
    /// Print the manual page
    #[command(after_help = help::MAN_EXAMPLES)]
    Man,
}

/// Arguments of `agent`.
#[derive(Debug, Args)]
pub(super) struct AgentArguments {
    /// Configuration file (YAML); reloaded when it changes
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(super) config: PathBuf,
    /// Query this nameserver instead of the configured ones (repeatable, at most 3)
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = value::nameserver)]
    pub(super) nameserver: Vec<NameserverAddress>,
    /// Treat loopback as private: for a registry on this machine, never for a node
    #[arg(long, hide_short_help = true)]
    pub(super) allow_loopback: bool,
    #[command(flatten)]
    pub(super) lab: LabArguments,
}

/// Hidden arguments of a laboratory: Azure's identity endpoints on this machine.
#[derive(Debug, Args)]
pub(super) struct LabArguments {
    #[arg(long, hide = true, value_name = "ADDRESS:PORT", value_parser = values::loopback,
          requires = "allow_loopback")]
    pub(super) lab_imds: Option<SocketAddr>,
    #[arg(long, hide = true, value_name = "ADDRESS:PORT", value_parser = values::loopback,
          requires = "allow_loopback")]
    pub(super) lab_entra: Option<SocketAddr>,
}

/// Arguments of `smoke`.
#[derive(Debug, Args)]
pub(super) struct SmokeArguments {
    /// Namespace of the agents [default: the Pod's own in a cluster, otherwise acr-verifier]
    #[arg(long, short, value_name = "NAMESPACE", value_parser = values::namespace, help_heading = "Target options")]
    pub(super) namespace: Option<String>,
    /// Label selector of the agents' DaemonSet and its Pods
    #[arg(long, short = 'l', value_name = "SELECTOR", default_value = cluster::SELECTOR,
          value_parser = values::selector, help_heading = "Target options")]
    pub(super) selector: String,
    /// Kubeconfig of the cluster [default: $KUBECONFIG, otherwise ~/.kube/config]
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath, help_heading = "Target options")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig [default: its current context]
    #[arg(long, value_name = "NAME", help_heading = "Target options")]
    pub(super) context: Option<String>,
    /// Time within which every node must pass
    ///
    /// A node that does not pass is checked again until then, so a fix, a rollout or DNS has time to take effect.
    // A check takes up to 60 s, and a rollout on a few nodes about as long.
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = values::limit,
          help_heading = "Check options")]
    pub(super) timeout: Duration,
    /// Nodes that are checked whole: all, auto, or the largest number
    ///
    /// Another node passes if its agent's path check since the start of the smoke check found DNS, address, TCP and TLS in order,
    /// and its last whole check passed; it is counted separately. A sample has nodes of every node pool, zone and subnet. `auto`
    /// checks up to 300 nodes whole (with one image in a registry), and of more as many as fit half of the timeout.
    #[arg(long, value_name = "NODES", default_value = "auto", value_parser = values::sample, help_heading = "Check options")]
    pub(super) sample: SampleSize,
    /// Accept only reports about this configuration: sha256:… of the agents' file
    ///
    /// The digest is the SHA-256 of the file's bytes, as `sha256sum` prints it; `helm test` passes it. An agent with another
    /// configuration counts as stale until the timeout: the kubelet takes up to two minutes to update the file. If an agent
    /// rejects this configuration, the smoke check fails at once with the reason.
    #[arg(long, value_name = "DIGEST", value_parser = values::digest, help_heading = "Check options")]
    pub(super) expect_config: Option<String>,
    /// File with the key for checks on demand, if the agents require one
    ///
    /// The file of the agents' `server.keyFile`. Without the key, the smoke check waits for the agents' regular checks, as it
    /// does if checks on demand are disabled. A key cannot be passed as an argument.
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath, help_heading = "Check options")]
    pub(super) key_file: Option<PathBuf>,

    /// Treat warnings as failures
    #[arg(long, help_heading = "Output options")]
    pub(super) strict: bool,
    /// Format of the report on standard output
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output options")]
    pub(super) output: fleet::Format,
    /// Also write the report to this file
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath, help_heading = "Output options")]
    pub(super) report_file: Option<PathBuf>,
    /// Append a Markdown summary to this file, such as $GITHUB_STEP_SUMMARY
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath, help_heading = "Output options")]
    pub(super) summary_file: Option<PathBuf>,
}

/// Arguments of `exposure`.
#[derive(Debug, Args)]
pub(super) struct ExposureArguments {
    /// Login servers of registries, such as contoso.azurecr.io (at most 100)
    ///
    /// Regional endpoints such as contoso.westeurope.geo.azurecr.io are login servers of their own; the report lists them under
    /// their registry.
    #[arg(value_name = "REGISTRY", required = true, value_parser = values::login_server)]
    pub(super) registries: Vec<LoginServer>,

    /// File with the nameservers [default: /etc/resolv.conf]
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath, help_heading = "Check options")]
    pub(super) resolv_conf: Option<PathBuf>,
    /// Query this nameserver instead of those in resolv.conf (repeatable, at most 3)
    ///
    /// Inside the virtual network, name a resolver that does not see the private zone.
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = value::nameserver, conflicts_with = "resolv_conf",
          help_heading = "Check options")]
    pub(super) nameserver: Vec<NameserverAddress>,
    /// Trust the certificates in this PEM file in addition to the system's
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath, help_heading = "Check options")]
    pub(super) ca_file: Option<PathBuf>,
    /// Timeout of the DNS queries for a name, and of each request
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = values::limit,
          help_heading = "Check options")]
    pub(super) timeout: Duration,
    /// Repeat until all registries refuse or this time has elapsed
    ///
    /// Useful right after public access is disabled: a rule takes minutes to apply.
    #[arg(long, value_name = "DURATION", value_parser = values::limit, help_heading = "Check options")]
    pub(super) wait: Option<Duration>,
    // A laboratory plays the public side on loopback, where port 443 needs rights.
    #[arg(long, hide = true, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) lab_port: Option<u16>,

    /// Format of the report on standard output
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output options")]
    pub(super) output: exposure::Format,
    /// Also write the report to this file
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath, help_heading = "Output options")]
    pub(super) report_file: Option<PathBuf>,
}

/// Arguments of `discover`.
#[derive(Debug, Args)]
pub(super) struct DiscoverArguments {
    /// Kubeconfig of the cluster [default: $KUBECONFIG, otherwise ~/.kube/config]
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath, help_heading = "Target options")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig [default: its current context]
    #[arg(long, value_name = "NAME", help_heading = "Target options")]
    pub(super) context: Option<String>,
    /// Read only the Pods of this namespace [default: all namespaces]
    #[arg(long, short, value_name = "NAMESPACE", value_parser = values::namespace, help_heading = "Target options")]
    pub(super) namespace: Option<String>,
    /// Read the Pods of all namespaces, which is the default
    #[arg(long, short = 'A', conflicts_with_all = ["namespace", "pod"], help_heading = "Target options")]
    pub(super) all_namespaces: bool,
    /// Read only this Pod; exit code 1 if it waits for an image
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = values::pod,
          conflicts_with_all = ["namespace", "owners", "coverage"], help_heading = "Target options")]
    pub(super) pod: Option<(String, String)>,
    /// Read workloads too: CronJobs, and what is scaled to zero
    ///
    /// Deployments, StatefulSets, DaemonSets, ReplicaSets and Jobs without a controller, and CronJobs. Their images are needed as
    /// soon as they create Pods.
    #[arg(long, help_heading = "Target options")]
    pub(super) owners: bool,
    /// Registries to include in addition to Azure's: a host name or the end of one (repeatable)
    #[arg(long, value_name = "SUFFIX", value_parser = values::suffix, help_heading = "Target options")]
    pub(super) registry_suffix: Vec<String>,
    /// Time for all requests
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = values::limit,
          help_heading = "Target options")]
    pub(super) timeout: Duration,

    /// Namespace of the agents
    #[arg(long, value_name = "NAMESPACE", default_value = cluster::NAMESPACE, value_parser = values::namespace,
          help_heading = "Agent options")]
    pub(super) agents_namespace: String,
    /// Label selector of the agents
    #[arg(long, short = 'l', value_name = "SELECTOR", default_value = cluster::SELECTOR,
          value_parser = values::selector, help_heading = "Agent options")]
    pub(super) selector: String,
    /// Exit code 1 if the agents do not check every registry in use
    ///
    /// One agent that is ready is enough, because all have the same configuration.
    #[arg(long, help_heading = "Agent options")]
    pub(super) coverage: bool,

    /// Format of the report on standard output; `values`: values for the chart
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output options")]
    pub(super) output: discover::Format,
    /// Client id of the kubelets' managed identity, for the values
    ///
    /// `az aks show --query identityProfile.kubeletidentity.clientId` prints it.
    #[arg(long, value_name = "ID", value_parser = value::client_id, help_heading = "Output options")]
    pub(super) identity_client_id: Option<String>,
    /// Also write the report to this file
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath, help_heading = "Output options")]
    pub(super) report_file: Option<PathBuf>,
}

/// Arguments of `causes`.
#[derive(Debug, Args)]
pub(super) struct CausesArguments {
    /// Format of the catalogue
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(super) output: CatalogueFormat,
}

/// Arguments of `check`.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("target").args(["images", "config"]).required(true))]
pub(super) struct CheckArguments {
    #[allow(rustdoc::broken_intra_doc_links, reason = "brackets in a help text are not links")]
    /// Images to check: LOGIN_SERVER/REPOSITORY[:TAG][@sha256:…]
    ///
    /// The login server is required, as in contoso.azurecr.io/apps/canary:1. The default tag is `latest`; a digest takes
    /// precedence over a tag.
    #[arg(value_name = "IMAGE", value_parser = value::image)]
    pub(super) images: Vec<ImageReference>,

    /// Read the images and all settings from a configuration file (YAML)
    ///
    /// The format is that of the agent's file. Options override the file; IMAGE, --credentials, --identity, --expect-cidr,
    /// --expect-address, --expect-file and --data-endpoint cannot be used with it.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, help_heading = "Target options",
          conflicts_with_all = ["credentials", "identity", "expect_cidr", "expect_address", "expect_file",
                                "data_endpoint"])]
    pub(super) config: Option<PathBuf>,
    /// Credentials: a docker config.json, or the folder of a mounted Secret
    ///
    /// The folder contains .dockerconfigjson (a Secret of type kubernetes.io/dockerconfigjson), .dockercfg (the older type),
    /// config.json, or the files `username` and `password`. An optional file `expiresAt` holds their expiry (RFC 3339).
    /// Entries are tried in the kubelet's order. The default is $DOCKER_CONFIG/config.json, then ~/.docker/config.json. A
    /// password cannot be passed as an argument.
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::AnyPath, help_heading = "Target options")]
    pub(super) credentials: Option<PathBuf>,
    /// Pull with an identity of Azure instead of credentials from files
    #[arg(long, value_name = "KIND", conflicts_with = "credentials", help_heading = "Target options")]
    pub(super) identity: Option<values::Identity>,
    /// Client id of the managed identity [default: the node's only identity]
    ///
    /// `az aks show --query identityProfile.kubeletidentity.clientId` prints the one that the cluster's kubelets pull with.
    #[arg(long, value_name = "ID", value_parser = value::client_id, requires = "identity",
          help_heading = "Target options")]
    pub(super) identity_client_id: Option<String>,
    /// Address range of the private endpoint (repeatable) [default: any private address is accepted]
    #[arg(long, value_name = "CIDR", value_parser = value::cidr, help_heading = "Target options")]
    pub(super) expect_cidr: Vec<IpNet>,
    /// Expected address of a name of the private endpoint (repeatable)
    ///
    /// A name with expected addresses passes only if every answer is one of them, whatever --expect-cidr. Repeat it for each
    /// name, and for each address if a name has several. Other names are checked as without it.
    #[arg(long, value_name = "FQDN=ADDRESS", value_parser = endpoint::expected_address, help_heading = "Target options")]
    pub(super) expect_address: Vec<(String, IpAddr)>,
    /// Expected addresses from the JSON of the private endpoint's network interface (repeatable)
    ///
    /// The output of `az network nic show` for the endpoint's network interface, or of `az network private-endpoint show --query
    /// customDnsConfigs`. The addresses add to those of --expect-address.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, help_heading = "Target options")]
    pub(super) expect_file: Vec<PathBuf>,
    /// Data endpoint to check in DNS as well (repeatable)
    ///
    /// In addition to the one in the registry's redirect; for example contoso.westeurope.data.azurecr.io.
    #[arg(long, value_name = "HOST", value_parser = value::host, help_heading = "Target options")]
    pub(super) data_endpoint: Vec<String>,
    /// Skip the data path; the report marks it as not tested
    #[arg(long, help_heading = "Target options")]
    pub(super) no_blob: bool,

    /// File with the nameservers [default: /etc/resolv.conf]
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath, help_heading = "Check options")]
    pub(super) resolv_conf: Option<PathBuf>,
    /// Query this nameserver instead of those in resolv.conf (repeatable, at most 3)
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = value::nameserver, conflicts_with = "resolv_conf",
          help_heading = "Check options")]
    pub(super) nameserver: Vec<NameserverAddress>,
    /// Query another resolver as well and report differences (repeatable) [default for AKS LocalDNS: the servers that it forwards
    /// to, if known, otherwise azure=168.63.129.16]
    #[arg(long, value_name = "NAME=ADDRESS[:PORT]", value_parser = value::named_nameserver,
          help_heading = "Check options")]
    pub(super) compare_resolver: Vec<(String, NameserverAddress)>,
    /// Trust the certificates in this PEM file in addition to the system's
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath, help_heading = "Check options")]
    pub(super) ca_file: Option<PathBuf>,
    /// Overall timeout for each image [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = values::limit, help_heading = "Check options")]
    pub(super) timeout: Option<Duration>,
    /// Timeout for each stage [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = values::limit, help_heading = "Check options")]
    pub(super) stage_timeout: Option<Duration>,
    /// Repeat until all images pass or this time has elapsed
    ///
    /// Useful right after a private endpoint is created, while its DNS records propagate.
    #[arg(long, value_name = "DURATION", value_parser = values::limit, help_heading = "Check options")]
    pub(super) wait: Option<Duration>,
    /// Treat loopback addresses as private: for a registry on this machine
    ///
    /// For test environments only: on a node a loopback address is never correct. The report notes that this option was set.
    #[arg(long, hide_short_help = true, help_heading = "Check options")]
    pub(super) allow_loopback: bool,
    #[command(flatten)]
    pub(super) lab: LabArguments,

    /// Treat warnings as failures
    #[arg(long, help_heading = "Output options")]
    pub(super) strict: bool,
    /// Format of the report on standard output
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output options")]
    pub(super) output: Format,
    /// With several images, show the stages of those that pass as well
    ///
    /// The text report on one image always has them, and so do the other formats.
    #[arg(long, help_heading = "Output options")]
    pub(super) details: bool,
    /// Also write the report to this file
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath, help_heading = "Output options")]
    pub(super) report_file: Option<PathBuf>,
}
