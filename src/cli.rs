//! The command line: flags, their help, and what was typed.
//!
//! Owns the names and the words. Values are taken as texts here and judged all at once in [`resolve`], because clap
//! would stop at the first that is wrong. What clap makes of the flags beside parsing is in [`pages`].

mod help;
pub mod pages;
pub mod resolve;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::{ContextKind, ContextValue};
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;

pub use self::resolve::{Environment, UsageError, UsageErrors, resolve};
use crate::config::Config;
use crate::report;
use crate::report::catalogue::CatalogueFormat;

/// The program's name in messages and pages.
pub const NAME: &str = "acr-verifier";

/// What is to be done, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    /// What is logged, and how; always on standard error.
    pub logging: Logging,
    /// Whether the output has colours.
    pub color: anstream::ColorChoice,
    /// The command.
    pub command: Command,
}

/// One command with its settings.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// One verification from this machine.
    Check(Box<Check>),
    /// The catalogue of causes.
    Causes(CatalogueFormat),
    /// A shell's completion script.
    Completions(Shell),
    /// The manual page.
    Man,
}

/// One verification: what is checked, and what becomes of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// What is checked.
    pub config: Config,
    /// What becomes of it.
    pub options: CheckOptions,
}

/// What becomes of a check's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckOptions {
    /// Repeat until all pass or this time is over.
    pub wait: Option<Duration>,
    /// Whether a warning fails.
    pub strict: bool,
    /// How the report is written.
    pub format: report::Format,
    /// Where the report is written beside standard output.
    pub report_file: Option<PathBuf>,
    /// Where credentials are looked for, for images that name no place.
    pub usual_credentials: Vec<PathBuf>,
}

/// What is logged, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logging {
    /// 0 logs warnings; each step more.
    pub verbosity: u8,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What was typed, in the right places but not judged.
#[derive(Debug)]
pub struct Typed {
    arguments: Arguments,
    /// Flags that would have put a secret on the command line.
    secret_flags: Vec<&'static str>,
}

/// Flags that people know from other tools and that would put a secret into the list of processes. They are taken, so
/// that the answer can say what to do instead, and are in no help.
const SECRET_FLAGS: [(&str, &str, Option<char>); 6] = [
    ("password", "--password", Some('p')),
    ("username", "--username", Some('u')),
    ("token", "--token", None),
    ("user", "--user", None),
    ("passwd", "--passwd", None),
    ("secret", "--secret", None),
];

/// Reads the command line.
///
/// # Errors
/// What clap has to say: a flag that does not exist, and also the help and the version, whose exit code is 0.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Typed, clap::Error> {
    let mut matches =
        with_secret_flags(command()).try_get_matches_from(arguments).map_err(without_secret_flags)?;
    let secret_flags = matches.subcommand_matches("check").map_or_else(Vec::new, |check| {
        let given = SECRET_FLAGS.iter().filter(|(id, _, _)| check.contains_id(id));
        given.map(|(_, flag, _)| *flag).collect()
    });
    Ok(Typed { arguments: Arguments::from_arg_matches_mut(&mut matches)?, secret_flags })
}

/// The command with all its flags, for parsing and for the pages.
#[must_use]
pub fn command() -> clap::Command {
    Arguments::command()
}

fn with_secret_flags(command: clap::Command) -> clap::Command {
    let flags = SECRET_FLAGS.map(|(id, _, short)| {
        let flag = clap::Arg::new(id).long(id).hide(true).num_args(0..=1).allow_hyphen_values(true);
        let flag = flag.value_parser(clap::value_parser!(OsString)).action(ArgAction::Append);
        match short {
            Some(short) => flag.short(short),
            None => flag,
        }
    });
    command.mut_subcommand("check", |check| check.args(flags))
}

/// Keeps clap from proposing a flag that is only there to be refused.
fn without_secret_flags(mut error: clap::Error) -> clap::Error {
    let is_secret = |flag: &str| SECRET_FLAGS.iter().any(|(_, secret, _)| flag == *secret);
    if matches!(error.get(ContextKind::SuggestedArg), Some(ContextValue::String(flag)) if is_secret(flag)) {
        error.remove(ContextKind::SuggestedArg);
    }
    error
}

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
struct Arguments {
    #[command(flatten)]
    shared: Shared,
    #[command(subcommand)]
    command: Typing,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Common options")]
struct Shared {
    /// Log more to standard error: steps (-v), details (-vv), everything (-vvv)
    #[arg(short, long, global = true, action = ArgAction::Count, display_order = 900)]
    verbose: u8,
    /// How a line of the log looks
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text", display_order = 901,
          value_parser = Choice(&["text", "json"]))]
    log_format: String,
    /// Whether the output has colours; `auto`: on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", display_order = 902,
          value_parser = Choice(&["auto", "always", "never"]))]
    color: String,
}

/// The commands, as they are typed.
#[derive(Debug, Subcommand)]
enum Typing {
    /// Verify once, from this machine, that images can be pulled
    #[command(long_about = help::CHECK, after_help = help::CHECK_EXAMPLES)]
    Check(Box<CheckArguments>),
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

/// Arguments of `causes`.
#[derive(Debug, Args)]
struct CausesArguments {
    /// How the catalogue is written
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = Choice(&["text", "json", "markdown"]))]
    output: String,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
struct CheckArguments {
    /// The images: LOGIN_SERVER/REPOSITORY[:TAG][@sha256:…]
    ///
    /// The login server is part of it, as in contoso.azurecr.io/apps/canary:1; no tag means `latest`; with a digest the
    /// digest decides.
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,

    /// Take the images and all settings from a configuration file (YAML)
    ///
    /// It is the agent's own file. Options beside it go before what it says; IMAGE, --credentials, --expect-cidr and
    /// --data-endpoint cannot stand beside it.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, help_heading = "What is checked")]
    config: Option<PathBuf>,
    /// Where the credentials are: docker's config.json, or the folder of a mounted secret
    ///
    /// A folder has .dockerconfigjson (a secret of type kubernetes.io/dockerconfigjson), config.json, or the two files
    /// `username` and `password`; a file `expiresAt` in it may tell when they end (RFC 3339). Entries are chosen as the
    /// kubelet does. Without this option $DOCKER_CONFIG/config.json and ~/.docker/config.json are tried. A password is
    /// never an argument.
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::AnyPath, help_heading = "What is checked")]
    credentials: Option<PathBuf>,
    /// Range of the private endpoint (repeatable); without it any private address will do
    #[arg(long, value_name = "CIDR", help_heading = "What is checked")]
    expect_cidr: Vec<String>,
    /// Data endpoint to judge in DNS as well (repeatable)
    ///
    /// Beside the one that the registry's redirect names, such as contoso.westeurope.data.azurecr.io.
    #[arg(long, value_name = "HOST", help_heading = "What is checked")]
    data_endpoint: Vec<String>,
    /// Skip the data path; the report then says that it was not tested
    #[arg(long, help_heading = "What is checked")]
    no_blob: bool,

    /// File that names the nameservers [default: /etc/resolv.conf]
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath, help_heading = "How it is checked")]
    resolv_conf: Option<PathBuf>,
    /// Ask this nameserver instead of resolv.conf's (repeatable, at most 3)
    #[arg(long, value_name = "ADDRESS[:PORT]", help_heading = "How it is checked")]
    nameserver: Vec<String>,
    /// Ask another resolver as well, and tell where its answers differ (repeatable)
    #[arg(long, value_name = "NAME=ADDRESS[:PORT]", help_heading = "How it is checked")]
    compare_resolver: Vec<String>,
    /// Trust the certificates of this PEM file beside the system's own
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath, help_heading = "How it is checked")]
    ca_file: Option<PathBuf>,
    /// Limit of the whole check of one image [default: 30s]
    #[arg(long, value_name = "DURATION", help_heading = "How it is checked")]
    timeout: Option<String>,
    /// Limit of one stage of it [default: 5s]
    #[arg(long, value_name = "DURATION", help_heading = "How it is checked")]
    stage_timeout: Option<String>,
    /// Repeat until all pass or this time is over
    ///
    /// For the minutes after a private endpoint was made, while its records spread.
    #[arg(long, value_name = "DURATION", help_heading = "How it is checked")]
    wait: Option<String>,
    /// Count loopback addresses as private: for a registry on this very machine
    ///
    /// That is what a lab is. On a node a loopback address is never right, so the report says that this was on.
    #[arg(long, hide_short_help = true, help_heading = "How it is checked")]
    allow_loopback: bool,

    /// Fail on a warning too
    #[arg(long, help_heading = "What becomes of it")]
    strict: bool,
    /// How the report is written to standard output
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "What becomes of it",
          value_parser = Choice(&["text", "json", "junit"]))]
    output: String,
    /// Write the report to this file as well
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath, help_heading = "What becomes of it")]
    report_file: Option<PathBuf>,
}

/// The values of a flag, for its help and for completion. It refuses nothing: that is left to [`resolve`], which tells
/// about every wrong value at once.
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

#[cfg(test)]
mod tests {
    #[test]
    fn the_flags_do_not_contradict_each_other() {
        super::with_secret_flags(super::command()).debug_assert();
    }
}
