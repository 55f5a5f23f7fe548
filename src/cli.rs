//! The command line: parsing, help and the resulting settings.
//!
//! `arguments` defines the flags, [`mod@resolve`] turns raw arguments into settings, and [`pages`] generates shell
//! completions and the manual page.

mod arguments;
mod help;
pub mod pages;
pub mod resolve;

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, ArgMatches, CommandFactory, FromArgMatches};
use clap_complete::Shell;

use self::arguments::Arguments;

pub use self::resolve::{Environment, UsageError, UsageErrors, resolve};
use crate::config::Config;
use crate::logging::Logging;
use crate::report::catalogue::CatalogueFormat;
use crate::{agent, check, smoke};

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

/// The parsed but not yet validated arguments.
#[derive(Debug)]
pub struct Typed {
    arguments: Arguments,
    /// Unknown flags.
    unknown_flags: Vec<UnknownFlag>,
    /// Flags that would put a secret on the command line.
    secret_flags: Vec<&'static str>,
}

/// An unknown flag.
#[derive(Debug)]
struct UnknownFlag {
    /// The flag as typed, without a value.
    flag: String,
    /// The most similar known flag.
    similar: Option<String>,
}

/// Flags known from other tools that would expose a secret in the process list. They are parsed, so the error can name
/// the alternative, but hidden from the help.
const SECRET_FLAGS: [(&str, &str, Option<char>); 6] = [
    ("password", "--password", Some('p')),
    ("username", "--username", Some('u')),
    ("token", "--token", None),
    ("user", "--user", None),
    ("passwd", "--passwd", None),
    ("secret", "--secret", None),
];

/// Parses the command line.
///
/// # Errors
/// clap's error if the arguments cannot be parsed. Help and version are errors too, with exit code 0.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Typed, clap::Error> {
    let mut words: Vec<_> = words.into_iter().collect();
    let mut unknown_flags: Vec<UnknownFlag> = Vec::new();
    let mut first_error = None;
    // clap stops at the first unknown flag; without that flag, it continues to the next one.
    let mut matches = loop {
        let error = match with_secret_flags(command()).try_get_matches_from(&words) {
            Ok(matches) => break matches,
            Err(error) => error,
        };
        let Some(unknown) = unknown_argument(&error) else { return Err(first_error.unwrap_or(error)) };
        // A stray word may be the value of an unknown flag.
        let is_flag = unknown.flag.starts_with('-');
        if (!is_flag && unknown_flags.is_empty()) || !remove_word(&mut words, &unknown.flag) {
            return Err(first_error.unwrap_or(error));
        }
        first_error.get_or_insert(error);
        if is_flag {
            unknown_flags.push(unknown);
        }
    };
    let secret_flags = matches.subcommand_matches("check").map_or_else(Vec::new, given_secret_flags);
    Ok(Typed { arguments: Arguments::from_arg_matches_mut(&mut matches)?, unknown_flags, secret_flags })
}

fn unknown_argument(error: &clap::Error) -> Option<UnknownFlag> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(_) | None => None,
    };
    let flag = text(ContextKind::InvalidArg)?;
    let similar = text(ContextKind::SuggestedArg)
        // Never suggest a flag that is always rejected.
        .filter(|similar| SECRET_FLAGS.iter().all(|(_, secret, _)| similar != secret));
    (error.kind() == ErrorKind::UnknownArgument).then_some(UnknownFlag { flag, similar })
}

/// Removes the first word that is the flag, with or without its value, or the stray word; returns whether one was found.
fn remove_word(words: &mut Vec<OsString>, unknown: &str) -> bool {
    let is_short = unknown.starts_with('-') && !unknown.starts_with("--");
    let is_unknown = |word: &OsString| match word.to_string_lossy().strip_prefix(unknown) {
        Some(rest) => rest.is_empty() || rest.starts_with('=') || is_short,
        None => false,
    };
    let position = words.iter().position(is_unknown);
    position.map(|position| words.remove(position)).is_some()
}

fn given_secret_flags(check: &ArgMatches) -> Vec<&'static str> {
    SECRET_FLAGS.iter().filter(|(id, _, _)| check.contains_id(id)).map(|(_, flag, _)| *flag).collect()
}

/// The command with all its flags, for parsing, completions and the manual.
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

#[cfg(test)]
mod tests {
    #[test]
    fn clap_accepts_the_definition_of_the_flags() {
        super::with_secret_flags(super::command()).debug_assert();
    }
}
