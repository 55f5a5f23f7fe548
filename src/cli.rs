//! The command line: parsing, help and the resulting settings.
//!
//! `arguments` defines the flags and clap validates them; `values` has the parsers that only flags need. [`mod@resolve`]
//! turns arguments into settings, [`pages`] generates shell completions and the manual page, and [`plugin`] makes the program a
//! plugin of kubectl.

mod arguments;
mod help;
pub mod pages;
pub mod plugin;
pub mod resolve;
mod values;

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, FromArgMatches};
use clap_complete::Shell;

pub use self::arguments::Arguments;
pub use self::resolve::{Environment, UsageError, resolve};
use crate::config::Config;
use crate::logging::Logging;
use crate::report::catalogue::CatalogueFormat;
use crate::text::quote::inside_quotes;
use crate::{agent, check, discover, exposure, smoke};

/// The program's name in messages and the manual.
pub const NAME: &str = "acr-verifier";

/// A validated command line.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    /// Log settings; logs always go to standard error.
    pub logging: Logging,
    /// When to use colors.
    pub color: anstream::ColorChoice,
    /// The command and its settings.
    pub command: Command,
}

/// One command with its settings.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// One verification from this machine.
    Check(Box<Check>),
    /// The process that the DaemonSet runs.
    Agent(agent::Options),
    /// The deployment gate over all nodes.
    Smoke(smoke::Options),
    /// The check from outside.
    Exposure(exposure::Options),
    /// The images that a cluster uses, and why Pods wait for theirs.
    Discover(Box<discover::Options>),
    /// The catalogue of causes.
    Causes(CatalogueFormat),
    /// The completion script of a shell.
    Completions(Shell),
    /// The manual page.
    Man,
}

/// The settings of one verification.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// The images to check, and how.
    pub config: Config,
    /// The handling of the result.
    pub options: check::Options,
}

/// Parses the command line.
///
/// # Errors
/// clap's error if the arguments cannot be parsed. Help and version are errors too, with exit code 0.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Arguments, clap::Error> {
    let words: Vec<_> = words.into_iter().collect();
    let command = plugin::command_for(words.first());
    let matches = with_secret_flags(command).try_get_matches_from(words).map_err(redact)?;
    Arguments::from_arg_matches(&matches)
}

/// Cleans what clap quotes of the arguments: it prints a value as typed, and that may contain a password or control
/// characters.
fn redact(mut error: clap::Error) -> clap::Error {
    for kind in [ContextKind::InvalidArg, ContextKind::InvalidSubcommand, ContextKind::InvalidValue] {
        let Some(ContextValue::String(typed)) = error.get(kind) else { continue };
        let clean = inside_quotes(typed);
        if *typed != clean {
            error.insert(kind, ContextValue::String(clean));
            // Tips quote the argument too.
            error.remove(ContextKind::Suggested);
        }
    }
    for kind in [ContextKind::SuggestedArg, ContextKind::Suggested] {
        if error.get(kind).is_some_and(|tip| values::names_secret_flag(&tip.to_string())) {
            error.remove(kind);
        }
    }
    error
}

/// The command with all its flags, for parsing, completions and the manual.
#[must_use]
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Adds the rejected flags, which belong neither in completions nor in the manual.
fn with_secret_flags(command: clap::Command) -> clap::Command {
    command.mut_subcommand("check", |check| check.args(values::secret_flags()))
}

#[cfg(test)]
mod tests;
