//! Turns parsed arguments into settings.
//!
//! Owns what clap cannot express: options that override the configuration file, duplicates, and paths that must exist. Files are
//! read here, the environment is an argument.

mod expected;
mod paths;

use std::ffi::OsString;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use super::arguments::{
    AgentArguments, Arguments, CheckArguments, CommandArguments, DiscoverArguments, ExposureArguments,
    LabArguments, SmokeArguments,
};
use super::values::Identity;
use super::{Check, Command, Invocation};
use crate::address::NameserverAddress;
use crate::cluster::{KubeAccess, PodScope};
use crate::config::file::{self, ConfigErrors};
use crate::config::value::{self, Refusal};
use crate::config::{
    Config, CredentialsConfig, ImageConfig, LabEndpoints, MAX_NAMESERVERS, Resolvers, SystemResolver,
};
use crate::credentials::{AmbientCredentials, CredentialsSource, WorkloadIdentity};
use crate::image::ImageReference;
use crate::inventory::registries::Suffixes;
use crate::logging::Logging;
use crate::proxy::ProxySettings;
use crate::report::Details;
use crate::report::discover::Format;
use crate::text::quote::inside_quotes;
use crate::{agent, check, discover, exposure, smoke};

/// The environment variables that matter, and the home folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// `$DOCKER_CONFIG`.
    pub docker_config: Option<OsString>,
    /// `$KUBECONFIG`, paths separated as in `$PATH`.
    pub kubeconfig: Option<OsString>,
    /// The proxies for HTTPS and their exceptions.
    pub proxies: ProxySettings,
    /// The home folder.
    pub home: Option<PathBuf>,
    /// The variables of the workload identity webhook.
    pub workload_identity: WorkloadIdentity,
    /// Whether this process runs in a Pod.
    pub in_cluster: bool,
    /// The variable of a proxy for HTTPS, if one is set. Its value may contain a password.
    pub proxy: Option<&'static str>,
}

/// An error in arguments that clap accepted, in the form of clap's errors.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// A value is invalid, such as a path that does not exist.
    #[error(
        "invalid value{} for '{argument}': {refusal}",
        .refusal.value().map(|value| format!(" '{}'", inside_quotes(value))).unwrap_or_default()
    )]
    Value {
        /// The argument, as clap displays it.
        argument: &'static str,
        /// Why the value is invalid, and what is expected.
        refusal: Refusal,
    },
    /// A repeatable argument has the same value twice.
    #[error("duplicate {what} '{}' for '{argument}'", inside_quotes(.text))]
    Duplicate {
        /// The argument, as clap displays it.
        argument: &'static str,
        /// What is duplicate: the value, or the name in it.
        what: &'static str,
        /// The duplicate text.
        text: String,
    },
    /// The configuration file has errors, each with its position.
    #[error(transparent)]
    Configuration(#[from] ConfigErrors),
}

/// Shows the message, which hides a password in a value.
impl fmt::Debug for UsageError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("UsageError").field(&self.to_string()).finish()
    }
}

impl UsageError {
    /// Returns one line for each error: a configuration file may have several.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Configuration(errors) => errors.lines(),
            Self::Value { .. } | Self::Duplicate { .. } => vec![self.to_string()],
        }
    }
}

/// Turns arguments into settings.
///
/// # Errors
/// The first invalid argument, or all errors of the configuration file.
pub fn resolve(arguments: Arguments, environment: &Environment) -> Result<Invocation, UsageError> {
    let Arguments { shared, command } = arguments;
    let command = match command {
        CommandArguments::Check(arguments) => {
            Command::Check(Box::new(resolve_check(*arguments, environment)?))
        }
        CommandArguments::Agent(arguments) => Command::Agent(resolve_agent(arguments, environment)?),
        CommandArguments::Smoke(arguments) => Command::Smoke(resolve_smoke(arguments, environment)?),
        CommandArguments::Exposure(arguments) => Command::Exposure(resolve_exposure(arguments, environment)?),
        CommandArguments::Discover(arguments) => {
            Command::Discover(Box::new(resolve_discover(*arguments, environment)?))
        }
        CommandArguments::Causes(arguments) => Command::Causes(arguments.output),
        CommandArguments::Completions { shell } => Command::Completions(shell),
        CommandArguments::Man => Command::Man,
    };
    // An agent logs every check; the other commands log only problems.
    let extra = u8::from(matches!(command, Command::Agent(_)));
    let logging = Logging { verbosity: shared.verbose.saturating_add(extra), format: shared.log_format };
    let color = match shared.color {
        clap::ColorChoice::Auto => anstream::ColorChoice::Auto,
        clap::ColorChoice::Always => anstream::ColorChoice::Always,
        clap::ColorChoice::Never => anstream::ColorChoice::Never,
    };
    Ok(Invocation { logging, color, command })
}

fn resolve_check(arguments: CheckArguments, environment: &Environment) -> Result<Check, UsageError> {
    let credentials = checked("--credentials <PATH>", arguments.credentials, paths::credentials)?;
    let mut config = match &arguments.config {
        Some(path) => file::read(path)?,
        None => Config::of(Vec::new()),
    };
    if arguments.config.is_none() {
        let images = unique("[IMAGE]...", arguments.images)?;
        let expected = unique("--expect-cidr <CIDR>", arguments.expect_cidr)?;
        let data_endpoints = unique("--data-endpoint <HOST>", arguments.data_endpoint)?;
        let expected_addresses = expected::Given {
            addresses: arguments.expect_address,
            files: arguments.expect_file,
            allow_loopback: arguments.allow_loopback,
        }
        .resolve(&images, &data_endpoints)?;
        let credentials = match arguments.identity {
            None => credentials.map(|path| CredentialsConfig::Path { path, expires_at: None }),
            Some(kind) => Some(identity(kind, arguments.identity_client_id, &images)?),
        };
        let image = |image| ImageConfig {
            image,
            name: None,
            credentials: credentials.clone(),
            expected: expected.clone(),
            expected_addresses: expected_addresses.clone(),
            data_endpoints: data_endpoints.clone(),
        };
        config.images = images.into_iter().map(image).collect();
    }
    if let Some(system) = system_resolver(arguments.nameserver, arguments.resolv_conf)? {
        config.resolvers.system = system;
    }
    if !arguments.compare_resolver.is_empty() {
        let names = arguments.compare_resolver.iter().map(|(name, _)| name);
        reject_duplicates("--compare-resolver <NAME=ADDRESS[:PORT]>", "name", names)?;
        config.resolvers.compare = arguments.compare_resolver;
        config.resolvers.compares_node_cache = false;
    }
    if let Some(path) = checked("--ca-file <PATH>", arguments.ca_file, paths::certificates)? {
        config.ca_file = Some(path);
    }
    config.blob = !arguments.no_blob;
    config.allow_loopback = arguments.allow_loopback;
    config.lab = lab(&arguments.lab);
    let limited = config.schedule.limit(arguments.timeout, arguments.stage_timeout);
    limited.map_err(|refusal| UsageError::Value { argument: "--stage-timeout <DURATION>", refusal })?;
    let options = check::Options {
        wait: arguments.wait,
        strict: arguments.strict,
        format: arguments.output,
        details: if arguments.details { Details::All } else { Details::Problems },
        report_file: checked("--report-file <PATH>", arguments.report_file, paths::writable)?,
        ambient: ambient(environment),
    };
    Ok(Check { config, options })
}

fn resolve_agent(arguments: AgentArguments, environment: &Environment) -> Result<agent::Options, UsageError> {
    // The agent reads the file itself; reading it here reports all its errors at once.
    file::read(&arguments.config)?;
    Ok(agent::Options {
        config: arguments.config,
        nameservers: nameservers(arguments.nameserver)?,
        allow_loopback: arguments.allow_loopback,
        lab: lab(&arguments.lab),
        ambient: ambient(environment),
    })
}

fn resolve_smoke(arguments: SmokeArguments, environment: &Environment) -> Result<smoke::Options, UsageError> {
    let key = arguments.key_file.as_deref().map(paths::key).transpose();
    let key = key.map_err(|refusal| UsageError::Value { argument: "--key-file <PATH>", refusal })?;
    Ok(smoke::Options {
        access: kube_access(arguments.kubeconfig, arguments.context, environment)?,
        namespace: arguments.namespace,
        selector: arguments.selector,
        timeout: arguments.timeout,
        sample: arguments.sample,
        expected_configuration: arguments.expect_config,
        key,
        strict: arguments.strict,
        format: arguments.output,
        report_file: checked("--report-file <PATH>", arguments.report_file, paths::writable)?,
        summary_file: checked("--summary-file <PATH>", arguments.summary_file, paths::writable)?,
    })
}

fn resolve_exposure(
    arguments: ExposureArguments,
    environment: &Environment,
) -> Result<exposure::Options, UsageError> {
    const ARGUMENT: &str = "<REGISTRY>...";
    let count = arguments.registries.len();
    if count > exposure::MAX_REGISTRIES {
        let expected = format!("at most {}", exposure::MAX_REGISTRIES);
        let refusal = Refusal::unquoted(format!("found {count} login servers"), expected);
        return Err(UsageError::Value { argument: ARGUMENT, refusal });
    }
    let system = system_resolver(arguments.nameserver, arguments.resolv_conf)?;
    Ok(exposure::Options {
        servers: unique(ARGUMENT, arguments.registries)?,
        resolver: system.unwrap_or_else(|| Resolvers::default().system),
        ca_file: checked("--ca-file <PATH>", arguments.ca_file, paths::certificates)?,
        timeout: arguments.timeout,
        wait: arguments.wait,
        proxy: environment.proxy,
        lab_port: arguments.lab_port,
        format: arguments.output,
        report_file: checked("--report-file <PATH>", arguments.report_file, paths::writable)?,
    })
}

fn resolve_discover(
    arguments: DiscoverArguments,
    environment: &Environment,
) -> Result<discover::Options, UsageError> {
    if arguments.output == Format::Values {
        let not_for_values =
            [("--coverage", arguments.coverage), ("--pod <NAMESPACE/NAME>", arguments.pod.is_some())];
        if let Some((argument, _)) = not_for_values.into_iter().find(|(_, is_set)| *is_set) {
            let refusal =
                Refusal::unquoted("it cannot be used with --output values", "--output text or --output json");
            return Err(UsageError::Value { argument, refusal });
        }
    } else if let Some(id) = arguments.identity_client_id.clone() {
        let refusal = Refusal::new(id, "no client id without --output values");
        return Err(UsageError::Value { argument: "--identity-client-id <ID>", refusal });
    }
    let scope = match (arguments.pod, arguments.namespace) {
        (Some((namespace, name)), _) => PodScope::One { namespace, name },
        (None, Some(namespace)) => PodScope::Namespace(namespace),
        (None, None) => PodScope::All,
    };
    Ok(discover::Options {
        access: kube_access(arguments.kubeconfig, arguments.context, environment)?,
        scope,
        owners: arguments.owners,
        suffixes: Suffixes::new(unique("--registry-suffix <SUFFIX>", arguments.registry_suffix)?),
        agents_namespace: arguments.agents_namespace,
        selector: arguments.selector,
        coverage: arguments.coverage,
        client_id: arguments.identity_client_id,
        timeout: arguments.timeout,
        format: arguments.output,
        report_file: checked("--report-file <PATH>", arguments.report_file, paths::writable)?,
    })
}

/// Returns the nameservers of the options, if any is set.
fn system_resolver(
    addresses: Vec<NameserverAddress>,
    resolv_conf: Option<PathBuf>,
) -> Result<Option<SystemResolver>, UsageError> {
    let nameservers = nameservers(addresses)?;
    Ok(match checked("--resolv-conf <PATH>", resolv_conf, paths::file)? {
        Some(path) => Some(SystemResolver::File(path)),
        None => (!nameservers.is_empty()).then_some(SystemResolver::Servers(nameservers)),
    })
}

/// Returns how to connect to the cluster: with the kubeconfig if one is named, otherwise in a Pod with its service account.
fn kube_access(
    kubeconfig: Option<PathBuf>,
    context: Option<String>,
    environment: &Environment,
) -> Result<KubeAccess, UsageError> {
    let is_elsewhere = kubeconfig.is_some() || context.is_some();
    Ok(KubeAccess {
        kubeconfig: checked("--kubeconfig <PATH>", kubeconfig, paths::file)?,
        default_kubeconfigs: paths::default_kubeconfigs(
            environment.kubeconfig.as_deref(),
            environment.home.as_deref(),
        ),
        context,
        proxies: environment.proxies.clone(),
        in_cluster: environment.in_cluster && !is_elsewhere,
    })
}

fn ambient(environment: &Environment) -> AmbientCredentials {
    let usual = CredentialsSource::usual(environment.docker_config.as_deref(), environment.home.as_deref());
    AmbientCredentials { files: usual.paths, workload_identity: environment.workload_identity.clone() }
}

fn lab(arguments: &LabArguments) -> LabEndpoints {
    LabEndpoints { imds: arguments.lab_imds, entra: arguments.lab_entra, ..LabEndpoints::default() }
}

/// Returns the identity that all images are pulled with.
fn identity(
    kind: Identity,
    client_id: Option<String>,
    images: &[ImageReference],
) -> Result<CredentialsConfig, UsageError> {
    if let Some(image) = images.iter().find(|image| !image.is_acr()) {
        return Err(UsageError::Value {
            argument: "--identity <KIND>",
            refusal: value::identity_elsewhere(image),
        });
    }
    match (kind, client_id) {
        (Identity::Managed, client_id) => Ok(CredentialsConfig::ManagedIdentity { client_id }),
        (Identity::Workload, None) => Ok(CredentialsConfig::WorkloadIdentity),
        (Identity::Workload, Some(client_id)) => {
            let expected = "no client id with --identity workload, which takes it from AZURE_CLIENT_ID";
            let refusal = Refusal::new(client_id, expected);
            Err(UsageError::Value { argument: "--identity-client-id <ID>", refusal })
        }
    }
}

/// Returns the path of an argument if it is what the argument expects.
fn checked(
    argument: &'static str,
    path: Option<PathBuf>,
    check: impl FnOnce(&Path) -> Result<(), Refusal>,
) -> Result<Option<PathBuf>, UsageError> {
    match path.as_deref().map(check) {
        Some(Err(refusal)) => Err(UsageError::Value { argument, refusal }),
        Some(Ok(())) | None => Ok(path),
    }
}

fn nameservers(addresses: Vec<NameserverAddress>) -> Result<Vec<NameserverAddress>, UsageError> {
    const ARGUMENT: &str = "--nameserver <ADDRESS[:PORT]>";
    if addresses.len() > MAX_NAMESERVERS {
        let found = format!("found {} nameservers", addresses.len());
        let expected = format!("at most {MAX_NAMESERVERS}, as many as a node queries");
        return Err(UsageError::Value { argument: ARGUMENT, refusal: Refusal::unquoted(found, expected) });
    }
    unique(ARGUMENT, addresses)
}

fn unique<T: PartialEq + Display>(argument: &'static str, values: Vec<T>) -> Result<Vec<T>, UsageError> {
    reject_duplicates(argument, "value", &values)?;
    Ok(values)
}

fn reject_duplicates<T: PartialEq + Display>(
    argument: &'static str,
    what: &'static str,
    values: impl IntoIterator<Item = T>,
) -> Result<(), UsageError> {
    let mut seen = Vec::new();
    for value in values {
        if seen.contains(&value) {
            return Err(UsageError::Duplicate { argument, what, text: value.to_string() });
        }
        seen.push(value);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
