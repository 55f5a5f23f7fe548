//! The program: reads the command line and the environment, starts logging, and maps results to exit codes.

#![expect(clippy::disallowed_methods, reason = "here the clock and the environment become arguments")]

use std::env;
use std::process::ExitCode;

use acr_verifier::agent::{self, AgentContext};
use acr_verifier::cli::{self, Command, Environment, pages};
use acr_verifier::credentials::WorkloadIdentity;
use acr_verifier::events::event::Pod;
use acr_verifier::metrics::NodeLabels;
use acr_verifier::pass::NodeContext;
use acr_verifier::proxy::ProxySettings;
use acr_verifier::report::catalogue;
use acr_verifier::run::NetworkView;
use acr_verifier::text::quote::quote_value;
use acr_verifier::{check, discover, exposure, logging, smoke, terminal};
use anyhow::bail;

/// Invalid usage or configuration, or an internal error.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let words: Vec<_> = env::args_os().collect();
    if let Some(values) = cli::plugin::completion(&words) {
        return terminal::print(&values).map_or(ExitCode::from(EXIT_USAGE), |()| ExitCode::SUCCESS);
    }
    // Help, version and invalid arguments: clap prints and exits with 0 or 2, even if the pipe is closed.
    let arguments = cli::parse(words).unwrap_or_else(|shown| shown.exit());
    let environment = Environment {
        docker_config: env::var_os("DOCKER_CONFIG"),
        kubeconfig: env::var_os("KUBECONFIG"),
        proxies: ProxySettings::of(
            &["HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"]
                .into_iter()
                .filter_map(|name| Some((name.to_owned(), env::var(name).ok()?)))
                .collect(),
        ),
        home: env::home_dir(),
        workload_identity: WorkloadIdentity {
            client_id: env::var_os("AZURE_CLIENT_ID"),
            tenant_id: env::var_os("AZURE_TENANT_ID"),
            authority_host: env::var_os("AZURE_AUTHORITY_HOST"),
            token_file: env::var_os("AZURE_FEDERATED_TOKEN_FILE"),
        },
        in_cluster: env::var_os("KUBERNETES_SERVICE_HOST").is_some_and(|host| !host.is_empty()),
        proxy: ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
            .into_iter()
            .find(|name| env::var_os(name).is_some_and(|proxy| !proxy.is_empty())),
    };
    let invocation = match cli::resolve(arguments, &environment) {
        Ok(invocation) => invocation,
        Err(usage) => {
            usage.lines().iter().for_each(|line| terminal::complain(line));
            terminal::note("\nFor more information, try '--help'.");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    invocation.color.write_global();
    terminal::set_character_set(|name| env::var_os(name));
    logging::start(invocation.logging);
    run(invocation.command).unwrap_or_else(|error| {
        terminal::complain(&format!("{error:#}"));
        ExitCode::from(EXIT_USAGE)
    })
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check(asked) => {
            let outcome = block_on(check::run(asked.config, asked.options, node_context()?))?;
            return Ok(ExitCode::from(outcome.code()));
        }
        Command::Agent(options) => {
            block_on(async { agent::run(options, agent_context()?, agent::stop_signal()?).await })?;
        }
        Command::Smoke(options) => {
            let outcome = block_on(smoke::run(options, jiff::Timestamp::now))?;
            return Ok(ExitCode::from(outcome.code()));
        }
        Command::Exposure(options) => {
            let outcome = block_on(exposure::run(options, jiff::Timestamp::now))?;
            return Ok(ExitCode::from(outcome.code()));
        }
        Command::Discover(options) => {
            let outcome = block_on(discover::run(*options, jiff::Timestamp::now))?;
            return Ok(ExitCode::from(outcome.code()));
        }
        Command::Causes(format) => {
            let mut text = Vec::new();
            catalogue::write(&mut text, format, &terminal::style())?;
            terminal::print(&text)?;
        }
        Command::Completions(shell) => terminal::print(&pages::completions(shell))?,
        Command::Man => terminal::print(&pages::manual())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs on one thread, which is enough: the work is mostly waiting.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// Returns the agent's own Pod and its node's pool and zone, as the DaemonSet exposes them.
fn agent_context() -> anyhow::Result<AgentContext> {
    let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let pass = node_context()?;
    let pod = variable("POD_NAME").zip(variable("POD_NAMESPACE"));
    Ok(AgentContext {
        labels: NodeLabels::new(&pass.node, pass.network_view, variable("NODE_POOL"), variable("NODE_ZONE")),
        pass,
        pod: pod.map(|(name, namespace)| Pod { name, namespace, uid: variable("POD_UID") }),
        node_ips: variable("NODE_IPS"),
        in_cluster: variable("KUBERNETES_SERVICE_HOST").is_some(),
        chance: fastrand::f64,
    })
}

/// Returns the node context: the node name set by the DaemonSet (otherwise the host name) and the network view.
fn node_context() -> anyhow::Result<NodeContext> {
    let node = env::var("NODE_NAME").ok().filter(|name| !name.is_empty());
    let network_view = match env::var("NETWORK_VIEW").unwrap_or_default().as_str() {
        // A pod has its own network unless NETWORK_VIEW says otherwise.
        "" if env::var_os("KUBERNETES_SERVICE_HOST").is_some_and(|host| !host.is_empty()) => NetworkView::Pod,
        "" | "node" => NetworkView::Node,
        "pod" => NetworkView::Pod,
        other => bail!("invalid value {} for NETWORK_VIEW: expected node or pod", quote_value(other)),
    };
    Ok(NodeContext {
        node: node.unwrap_or_else(|| gethostname::gethostname().to_string_lossy().into_owned()),
        network_view,
        now: jiff::Timestamp::now,
    })
}
