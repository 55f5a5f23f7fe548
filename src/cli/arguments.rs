//! The flags of every command, with their help.
//!
//! Owns names, headings and the first lines of the help. Values are taken as texts: clap would stop at the first that is
//! wrong, and [`mod@super::resolve`] tells about all of them.

use std::path::PathBuf;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::{ArgAction, Args, Parser, Subcommand};
use clap_complete::Shell;

use super::{NAME, help};
use crate::cluster;

/// Tells whether images can be pulled from a private Azure Container Registry, and why not.
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
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) shared: Shared,
    #[command(subcommand)]
    pub(super) command: Typing,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Common options")]
pub(super) struct Shared {
    /// Log more to standard error: steps (-v), details (-vv), everything (-vvv)
    #[arg(short, long, global = true, action = ArgAction::Count, display_order = 900)]
    pub(super) verbose: u8,
    /// How a line of the log looks
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text", display_order = 901,
          value_parser = Choice(&["text", "json"]))]
    pub(super) log_format: String,
    /// Whether the output has colours; `auto`: on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", display_order = 902,
          value_parser = Choice(&["auto", "always", "never"]))]
    pub(super) color: String,
}

/// The commands, as they are typed.
#[derive(Debug, Subcommand)]
pub(super) enum Typing {
    /// Verify once, from this machine, that images can be pulled
    #[command(long_about = help::CHECK, after_help = help::CHECK_EXAMPLES)]
    Check(Box<CheckArguments>),
    /// Verify for ever, serve metrics and a status page, publish Events: the DaemonSet's process
    #[command(long_about = help::AGENT, after_help = help::AGENT_EXAMPLES)]
    Agent(AgentArguments),
    /// Ask every node's agent to verify now: the gate after a deployment
    #[command(long_about = help::SMOKE, after_help = help::SMOKE_EXAMPLES)]
    Smoke(SmokeArguments),
    /// Print the catalogue of causes, with what each means and what to do
    #[command(long_about = help::CAUSES, after_help = help::CAUSES_EXAMPLES)]
    Causes(CausesArguments),
    /// Print a script that completes commands and flags in a shell
    #[command(after_help = help::COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    #[command(after_help = help::MAN_EXAMPLES)]
    Man,
}

/// Arguments of `agent`.
#[derive(Debug, Args)]
pub(super) struct AgentArguments {
    /// The configuration file (YAML); read again when it changes
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(super) config: PathBuf,
    /// Ask this nameserver instead of those of the configuration (repeatable, at most 3)
    #[arg(long, value_name = "ADDRESS[:PORT]")]
    pub(super) nameserver: Vec<String>,
    /// Count loopback as private: for a registry on this very machine, never for a node
    #[arg(long, hide_short_help = true)]
    pub(super) allow_loopback: bool,
}

/// Arguments of `smoke`.
#[derive(Debug, Args)]
pub(super) struct SmokeArguments {
    /// Namespace of the agents [default: the Pod's own in a cluster, else acr-verifier]
    #[arg(long, short, value_name = "NAMESPACE", help_heading = "What is checked")]
    pub(super) namespace: Option<String>,
    /// Labels of the agents' DaemonSet and of its Pods
    #[arg(long, short = 'l', value_name = "SELECTOR", default_value = cluster::SELECTOR, help_heading = "What is checked")]
    pub(super) selector: String,
    /// Kubeconfig of the cluster [default: $KUBECONFIG, else ~/.kube/config]
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath, help_heading = "What is checked")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig, in place of its current one
    #[arg(long, value_name = "NAME", help_heading = "What is checked")]
    pub(super) context: Option<String>,
    /// Until when every node must have passed [default: 2m]
    ///
    /// A node that does not pass is asked again until then, so that a repair, a rollout or DNS has time to spread.
    #[arg(long, value_name = "DURATION", help_heading = "What is checked")]
    pub(super) timeout: Option<String>,
    /// Accept only reports about this configuration: sha256:… of the agents' file
    ///
    /// It is SHA-256 of the file's bytes, as `sha256sum` prints it; `helm test` passes it. An agent that runs another
    /// configuration is stale and waited for: the kubelet takes up to two minutes to bring a new one. If an agent rejects this
    /// configuration, the smoke check fails at once with the reason.
    #[arg(long, value_name = "DIGEST", help_heading = "What is checked")]
    pub(super) expect_config: Option<String>,

    /// Fail on a warning too
    #[arg(long, help_heading = "What becomes of it")]
    pub(super) strict: bool,
    /// How the report is written to standard output
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "What becomes of it",
          value_parser = Choice(&["text", "json", "junit", "markdown"]))]
    pub(super) output: String,
    /// Write the report to this file as well
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath, help_heading = "What becomes of it")]
    pub(super) report_file: Option<PathBuf>,
    /// Add a summary in Markdown to this file, such as $GITHUB_STEP_SUMMARY
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath, help_heading = "What becomes of it")]
    pub(super) summary_file: Option<PathBuf>,
}

/// Arguments of `causes`.
#[derive(Debug, Args)]
pub(super) struct CausesArguments {
    /// How the catalogue is written
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = Choice(&["text", "json", "markdown"]))]
    pub(super) output: String,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    #[allow(rustdoc::broken_intra_doc_links, reason = "this is the help, where brackets are no link")]
    /// The images: LOGIN_SERVER/REPOSITORY[:TAG][@sha256:…]
    ///
    /// The login server is part of it, as in contoso.azurecr.io/apps/canary:1; no tag means `latest`; with a digest the
    /// digest decides.
    #[arg(value_name = "IMAGE")]
    pub(super) images: Vec<String>,

    /// Take the images and all settings from a configuration file (YAML)
    ///
    /// It is the agent's own file. Options beside it go before what it says; IMAGE, --credentials, --expect-cidr and
    /// --data-endpoint cannot stand beside it.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, help_heading = "What is checked")]
    pub(super) config: Option<PathBuf>,
    /// Where the credentials are: docker's config.json, or the folder of a mounted secret
    ///
    /// A folder has .dockerconfigjson (a secret of type kubernetes.io/dockerconfigjson), .dockercfg (the older type),
    /// config.json, or the two files `username` and `password`; a file `expiresAt` in it may tell when they end (RFC 3339).
    /// Entries are tried as the kubelet tries them. Without this option $DOCKER_CONFIG/config.json and ~/.docker/config.json are tried. A password is
    /// never an argument.
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::AnyPath, help_heading = "What is checked")]
    pub(super) credentials: Option<PathBuf>,
    /// Range of the private endpoint (repeatable); without it any private address will do
    #[arg(long, value_name = "CIDR", help_heading = "What is checked")]
    pub(super) expect_cidr: Vec<String>,
    /// Data endpoint to judge in DNS as well (repeatable)
    ///
    /// Beside the one that the registry's redirect names, such as contoso.westeurope.data.azurecr.io.
    #[arg(long, value_name = "HOST", help_heading = "What is checked")]
    pub(super) data_endpoint: Vec<String>,
    /// Skip the data path; the report then says that it was not tested
    #[arg(long, help_heading = "What is checked")]
    pub(super) no_blob: bool,

    /// File that names the nameservers [default: /etc/resolv.conf]
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath, help_heading = "How it is checked")]
    pub(super) resolv_conf: Option<PathBuf>,
    /// Ask this nameserver instead of resolv.conf's (repeatable, at most 3)
    #[arg(long, value_name = "ADDRESS[:PORT]", help_heading = "How it is checked")]
    pub(super) nameserver: Vec<String>,
    /// Ask another resolver as well, and tell where its answers differ (repeatable)
    #[arg(long, value_name = "NAME=ADDRESS[:PORT]", help_heading = "How it is checked")]
    pub(super) compare_resolver: Vec<String>,
    /// Trust the certificates of this PEM file beside the system's own
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath, help_heading = "How it is checked")]
    pub(super) ca_file: Option<PathBuf>,
    /// Timeout of the whole check of one image [default: 60s]
    #[arg(long, value_name = "DURATION", help_heading = "How it is checked")]
    pub(super) timeout: Option<String>,
    /// Timeout of one stage of it [default: 10s]
    #[arg(long, value_name = "DURATION", help_heading = "How it is checked")]
    pub(super) stage_timeout: Option<String>,
    /// Repeat until all pass or this time is over
    ///
    /// For the minutes after a private endpoint was made, while its records spread.
    #[arg(long, value_name = "DURATION", help_heading = "How it is checked")]
    pub(super) wait: Option<String>,
    /// Count loopback addresses as private: for a registry on this very machine
    ///
    /// That is what a lab is. On a node a loopback address is never right, so the report says that this was on.
    #[arg(long, hide_short_help = true, help_heading = "How it is checked")]
    pub(super) allow_loopback: bool,

    /// Fail on a warning too
    #[arg(long, help_heading = "What becomes of it")]
    pub(super) strict: bool,
    /// How the report is written to standard output
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "What becomes of it",
          value_parser = Choice(&["text", "json", "junit"]))]
    pub(super) output: String,
    /// Write the report to this file as well
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath, help_heading = "What becomes of it")]
    pub(super) report_file: Option<PathBuf>,
}

/// The values of a flag, for its help and for completion. It refuses nothing: that is left to [`mod@super::resolve`],
/// which tells about every wrong value at once.
#[derive(Clone)]
struct Choice(&'static [&'static str]);

impl TypedValueParser for Choice {
    type Value = String;

    fn parse_ref(
        &self,
        _command: &clap::Command,
        _argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<String, clap::Error> {
        Ok(value.to_string_lossy().into_owned())
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.0.iter().copied().map(PossibleValue::new)))
    }
}
