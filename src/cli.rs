//! The command line: flags, their help, and what was typed.
//!
//! Owns what was typed and what is meant. The flags are in `arguments`, the step from the one to the other is in
//! [`mod@resolve`], and what clap makes of the flags beside parsing is in [`pages`].

mod arguments;
mod help;
pub mod pages;
pub mod resolve;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, ArgMatches, CommandFactory, FromArgMatches};
use clap_complete::Shell;

use self::arguments::Arguments;

pub use self::resolve::{Environment, UsageError, UsageErrors, resolve};
use crate::address::NameserverAddress;
use crate::config::Config;
use crate::report;
use crate::report::catalogue::CatalogueFormat;
use crate::smoke;

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
    /// The process of the DaemonSet.
    Agent(AgentOptions),
    /// The gate over all nodes.
    Smoke(smoke::Options),
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

/// What an agent starts from; the rest is in its configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentOptions {
    /// The configuration file.
    pub config: PathBuf,
    /// Nameservers in place of the configuration's; none: the configuration's.
    pub nameservers: Vec<NameserverAddress>,
    /// Whether loopback counts as private.
    pub allow_loopback: bool,
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
    /// Flags that do not exist.
    unknown_flags: Vec<UnknownFlag>,
    /// Flags that would have put a secret on the command line.
    secret_flags: Vec<&'static str>,
}

/// A flag that does not exist.
#[derive(Debug)]
struct UnknownFlag {
    /// As typed, without a value.
    flag: String,
    /// The flag that was probably meant.
    similar: Option<String>,
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
/// What clap has to say where the words cannot be told apart, and also the help and the version, whose exit code is 0.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Typed, clap::Error> {
    let mut words: Vec<_> = words.into_iter().collect();
    let mut unknown_flags: Vec<UnknownFlag> = Vec::new();
    let mut first_error = None;
    // Clap stops at the first flag that does not exist; without it, it goes on to the next.
    let mut matches = loop {
        let error = match with_secret_flags(command()).try_get_matches_from(&words) {
            Ok(matches) => break matches,
            Err(error) => error,
        };
        let Some(unknown) = unknown_argument(&error) else { return Err(first_error.unwrap_or(error)) };
        // A stray word may be the value of a flag that does not exist.
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
        // A flag that is only there to be refused is no advice.
        .filter(|similar| SECRET_FLAGS.iter().all(|(_, secret, _)| similar != secret));
    (error.kind() == ErrorKind::UnknownArgument).then_some(UnknownFlag { flag, similar })
}

/// Removes the first word that is the flag, with or without its value, or that is the stray word; tells whether there
/// was one.
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

#[cfg(test)]
mod tests {
    #[test]
    fn the_flags_do_not_contradict_each_other() {
        super::with_secret_flags(super::command()).debug_assert();
    }
}
