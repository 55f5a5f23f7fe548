//! Turns raw arguments into validated settings.
//!
//! Validates every value, conflict and path, and reports all errors at once. Files are read here, the environment is an
//! argument.

mod paths;
mod smoke;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anstream::ColorChoice;

use super::arguments::{AgentArguments, Arguments, CheckArguments, Typing};
use super::{Check, Command, Invocation, NAME, Typed, UnknownFlag};
use crate::address::NameserverAddress;
use crate::config::file;
use crate::config::value::{self, Refusal};
use crate::config::{Config, CredentialsConfig, ImageConfig, MAX_NAMESERVERS, Resolvers, SystemResolver};
use crate::credentials::CredentialsSource;
use crate::logging::{LogFormat, Logging};
use crate::report::Format;
use crate::report::catalogue::CatalogueFormat;
use crate::text::quote::quote_value;
use crate::{agent, check};

/// The environment variables that matter, and the home folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// `$DOCKER_CONFIG`.
    pub docker_config: Option<OsString>,
    /// The home folder.
    pub home: Option<PathBuf>,
    /// Whether this process runs in a Pod.
    pub in_cluster: bool,
}

/// All errors of a command line; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageErrors {
    /// The command whose help is suggested.
    pub command: &'static str,
    /// The errors, in the order found.
    pub errors: Vec<UsageError>,
}

/// An error in the command line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// A value is invalid.
    #[error("{}", .refusal.about(.argument))]
    Value {
        /// The flag, or the name of the argument.
        argument: &'static str,
        /// Why it is invalid, and what is expected.
        refusal: Refusal,
    },
    /// A value of a repeatable flag is given twice.
    #[error("duplicate {0}")]
    Duplicate(String),
    /// A flag does not exist.
    #[error(
        "unknown flag {}{}",
        quote_value(.flag),
        .similar.as_ref().map(|similar| format!(" (did you mean \"{similar}\"?)")).unwrap_or_default()
    )]
    UnknownFlag {
        /// The flag, without a value.
        flag: String,
        /// The most similar known flag.
        similar: Option<String>,
    },
    /// A secret was put on the command line.
    #[error(
        "{flag} is not supported: every process on the machine can read the arguments; store the password in a file \
         and use --credentials PATH"
    )]
    Secret {
        /// The rejected flag, without its value.
        flag: &'static str,
    },
    /// Two arguments cannot be used together.
    #[error("{one} cannot be used with {other}: {reason}")]
    Conflict {
        /// One of the arguments.
        one: &'static str,
        /// The argument that it cannot be used with.
        other: &'static str,
        /// Why they exclude each other.
        reason: &'static str,
    },
    /// Neither an image nor a configuration file was given.
    #[error("nothing to check: specify an IMAGE such as contoso.azurecr.io/apps/canary:1, or --config FILE")]
    NothingToCheck,
    /// The configuration file has an error; the text includes its position.
    #[error("{0}")]
    Configuration(String),
}

impl UsageErrors {
    /// A hint at the help of the command.
    #[must_use]
    pub fn hint(&self) -> String {
        format!("For more information, try '{NAME} {} --help'.", self.command)
    }
}

impl fmt::Display for UsageErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.errors.iter().map(ToString::to_string).collect();
        formatter.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for UsageErrors {}

/// Validates the arguments.
///
/// # Errors
/// All errors at once.
pub fn resolve(typed: Typed, environment: &Environment) -> Result<Invocation, UsageErrors> {
    let Typed { arguments: Arguments { shared, command }, unknown_flags, secret_flags } = typed;
    let mut judge = Judge { has_strays: !unknown_flags.is_empty(), ..Judge::default() };
    for UnknownFlag { flag, similar } in unknown_flags {
        judge.errors.push(UsageError::UnknownFlag { flag, similar });
    }
    for flag in secret_flags {
        judge.errors.push(UsageError::Secret { flag });
    }
    let log_formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let log_format = judge.choose("--log-format", &shared.log_format, &log_formats);
    let colors =
        [("auto", ColorChoice::Auto), ("always", ColorChoice::Always), ("never", ColorChoice::Never)];
    let color = judge.choose("--color", &shared.color, &colors);
    let (name, command) = match command {
        Typing::Check(arguments) => {
            let check = resolve_check(&mut judge, &arguments, environment);
            ("check", check.map(|check| Command::Check(Box::new(check))))
        }
        Typing::Agent(arguments) => {
            let options = resolve_agent(&mut judge, arguments, environment);
            ("agent", options.map(Command::Agent))
        }
        Typing::Smoke(arguments) => {
            ("smoke", smoke::resolve(&mut judge, &arguments, environment).map(Command::Smoke))
        }
        Typing::Causes(arguments) => {
            let formats = [
                ("text", CatalogueFormat::Text),
                ("json", CatalogueFormat::Json),
                ("markdown", CatalogueFormat::Markdown),
            ];
            ("causes", judge.choose("--output", &arguments.output, &formats).map(Command::Causes))
        }
        Typing::Completions { shell } => ("completions", Some(Command::Completions(shell))),
        Typing::Man => ("man", Some(Command::Man)),
    };
    match (log_format, color, command) {
        (Some(format), Some(color), Some(command)) if judge.errors.is_empty() => {
            // An agent logs every check; the other commands log only problems.
            let verbosity = match command {
                Command::Agent(_) => shared.verbose.saturating_add(1),
                Command::Check(_)
                | Command::Smoke(_)
                | Command::Causes(_)
                | Command::Completions(_)
                | Command::Man => shared.verbose,
            };
            Ok(Invocation { logging: Logging { verbosity, format }, color, command })
        }
        _ => Err(UsageErrors { command: name, errors: judge.errors }),
    }
}

/// Collects errors; invalid values are absent from then on.
#[derive(Default)]
struct Judge {
    errors: Vec<UsageError>,
    /// Whether an image argument may really be the value of an unknown flag.
    has_strays: bool,
}

impl Judge {
    fn refuse(&mut self, argument: &'static str, refusal: Refusal) {
        self.errors.push(UsageError::Value { argument, refusal });
    }

    fn take<T>(&mut self, argument: &'static str, parsed: Result<T, Refusal>) -> Option<T> {
        parsed.map_err(|refusal| self.refuse(argument, refusal)).ok()
    }

    /// The values of a repeatable flag, without duplicates.
    fn take_each<T: PartialEq>(
        &mut self,
        argument: &'static str,
        texts: &[String],
        parse: impl Fn(&str) -> Result<T, Refusal>,
    ) -> Option<Vec<T>> {
        let mut values = Vec::new();
        for text in texts {
            let value = self.take(argument, parse(text));
            if value.is_some() && values.contains(&value) {
                self.duplicate(argument, "value", text);
            }
            values.push(value);
        }
        values.into_iter().collect()
    }

    fn choose<T: Copy>(&mut self, argument: &'static str, text: &str, choices: &[(&str, T)]) -> Option<T> {
        let choice = choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice);
        if choice.is_none() {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            self.refuse(argument, Refusal::new(text, format!("one of {}", names.join(", "))));
        }
        choice
    }

    fn duration(&mut self, argument: &'static str, text: Option<&str>) -> Option<Option<Duration>> {
        match text {
            Some(text) => self.take(argument, value::duration(text, value::SHORTEST_LIMIT)).map(Some),
            None => Some(None),
        }
    }

    fn duplicate(&mut self, argument: &'static str, what: &str, text: &str) {
        let duplicate = format!("{what} {} for {argument}", quote_value(text));
        self.errors.push(UsageError::Duplicate(duplicate));
    }

    fn conflict(&mut self, one: &'static str, other: &'static str, reason: &'static str) {
        self.errors.push(UsageError::Conflict { one, other, reason });
    }
}

fn resolve_check(judge: &mut Judge, typed: &CheckArguments, environment: &Environment) -> Option<Check> {
    refuse_conflicts(judge, typed);
    let base = match &typed.config {
        Some(path) => match file::read(path) {
            Ok(config) => Some(config),
            Err(errors) => {
                judge.errors.extend(errors.lines().into_iter().map(UsageError::Configuration));
                None
            }
        },
        None => Some(Config::of(Vec::new())),
    };
    let images = resolve_images(judge, typed);
    let resolvers = resolve_resolvers(judge, typed);
    let ca_file = typed.ca_file.as_deref().map(|path| judge.take("--ca-file", paths::certificates(path)));
    let timeout = judge.duration("--timeout", typed.timeout.as_deref());
    let stage_timeout = judge.duration("--stage-timeout", typed.stage_timeout.as_deref());
    let options = resolve_options(judge, typed, environment);
    let mut config = base?;
    if typed.config.is_none() {
        config.images = images?;
    }
    let (system, compare) = resolvers?;
    config.resolvers = Resolvers {
        system: system.unwrap_or(config.resolvers.system),
        compare: if compare.is_empty() { config.resolvers.compare } else { compare },
    };
    if let Some(ca_file) = ca_file {
        config.ca_file = Some(ca_file?);
    }
    config.blob = !typed.no_blob;
    config.allow_loopback = typed.allow_loopback;
    let limited = config.schedule.limit(timeout?, stage_timeout?);
    judge.take("--stage-timeout", limited)?;
    Some(Check { config, options: options? })
}

fn resolve_agent(
    judge: &mut Judge,
    typed: AgentArguments,
    environment: &Environment,
) -> Option<agent::Options> {
    // The agent reads the file itself; reading it here reports all its errors at once.
    if let Err(errors) = file::read(&typed.config) {
        judge.errors.extend(errors.lines().into_iter().map(UsageError::Configuration));
    }
    let nameservers = resolve_nameservers(judge, &typed.nameserver)?;
    let usual = CredentialsSource::usual(environment.docker_config.as_deref(), environment.home.as_deref());
    Some(agent::Options {
        config: typed.config,
        nameservers,
        allow_loopback: typed.allow_loopback,
        usual_credentials: usual.paths,
    })
}

fn refuse_conflicts(judge: &mut Judge, typed: &CheckArguments) {
    if typed.config.is_some() {
        for (argument, is_given) in [
            ("IMAGE", !typed.images.is_empty()),
            ("--credentials", typed.credentials.is_some()),
            ("--expect-cidr", !typed.expect_cidr.is_empty()),
            ("--data-endpoint", !typed.data_endpoint.is_empty()),
        ] {
            if is_given {
                judge.conflict(argument, "--config", "the file sets it for each image");
            }
        }
    } else if typed.images.is_empty() && judge.errors.is_empty() {
        // A rejected flag for a secret may have consumed the image as its value.
        judge.errors.push(UsageError::NothingToCheck);
    }
    if typed.resolv_conf.is_some() && !typed.nameserver.is_empty() {
        judge.conflict("--nameserver", "--resolv-conf", "both set the nameservers");
    }
}

fn resolve_images(judge: &mut Judge, typed: &CheckArguments) -> Option<Vec<ImageConfig>> {
    let is_stray = |text: &&String| judge.has_strays && value::image(text).is_err();
    let words: Vec<_> = typed.images.iter().filter(|text| !is_stray(text)).cloned().collect();
    let images = judge.take_each("IMAGE", &words, value::image);
    let expected = judge.take_each("--expect-cidr", &typed.expect_cidr, value::cidr);
    let data_endpoints = judge.take_each("--data-endpoint", &typed.data_endpoint, value::host);
    let credentials =
        typed.credentials.as_deref().map(|path| judge.take("--credentials", paths::credentials(path)));
    let (expected, data_endpoints) = (expected?, data_endpoints?);
    let credentials = match credentials {
        Some(path) => Some(CredentialsConfig { path: path?, expires_at: None }),
        None => None,
    };
    let image = |image| ImageConfig {
        image,
        name: None,
        credentials: credentials.clone(),
        expected: expected.clone(),
        data_endpoints: data_endpoints.clone(),
    };
    Some(images?.into_iter().map(image).collect())
}

fn resolve_nameservers(judge: &mut Judge, typed: &[String]) -> Option<Vec<NameserverAddress>> {
    let nameservers = judge.take_each("--nameserver", typed, value::nameserver);
    if typed.len() > MAX_NAMESERVERS {
        let found = format!("found {} nameservers", typed.len());
        let expected = format!("at most {MAX_NAMESERVERS}, as many as a node queries");
        judge.refuse("--nameserver", Refusal::unquoted(found, expected));
    }
    nameservers
}

type Compared = Vec<(String, NameserverAddress)>;

fn resolve_resolvers(
    judge: &mut Judge,
    typed: &CheckArguments,
) -> Option<(Option<SystemResolver>, Compared)> {
    let nameservers = resolve_nameservers(judge, &typed.nameserver);
    let file = typed.resolv_conf.as_deref().map(|path| judge.take("--resolv-conf", paths::file(path)));
    let compare = judge.take_each("--compare-resolver", &typed.compare_resolver, value::named_nameserver)?;
    for (index, (name, _)) in compare.iter().enumerate() {
        if compare[..index].iter().any(|(earlier, _)| earlier == name) {
            judge.duplicate("--compare-resolver", "name", name);
        }
    }
    let nameservers = nameservers?;
    let system = match file {
        Some(path) => Some(SystemResolver::File(path?)),
        None => (!nameservers.is_empty()).then_some(SystemResolver::Servers(nameservers)),
    };
    Some((system, compare))
}

fn resolve_options(
    judge: &mut Judge,
    typed: &CheckArguments,
    environment: &Environment,
) -> Option<check::Options> {
    let wait = judge.duration("--wait", typed.wait.as_deref());
    let formats = [("text", Format::Text), ("json", Format::Json), ("junit", Format::Junit)];
    let format = judge.choose("--output", &typed.output, &formats);
    let report_file =
        typed.report_file.as_deref().map(|path| judge.take("--report-file", paths::writable(path)));
    let usual = CredentialsSource::usual(environment.docker_config.as_deref(), environment.home.as_deref());
    Some(check::Options {
        wait: wait?,
        strict: typed.strict,
        format: format?,
        report_file: match report_file {
            Some(path) => Some(path?),
            None => None,
        },
        usual_credentials: usual.paths,
    })
}

#[cfg(test)]
mod tests;
