//! The program: reads the command line and the environment, starts logging, and maps results to exit codes.

#![expect(clippy::disallowed_methods, reason = "here the clock and the environment become arguments")]

use std::env;
use std::io;
use std::process::ExitCode;

use acr_verifier::check::{self, Surroundings};
use acr_verifier::cli::{self, Command, Environment, LogFormat, Logging, pages};
use acr_verifier::report::{NetworkView, catalogue};
use acr_verifier::terminal;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

/// Wrong usage or configuration, or the program itself could not work.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    // Help, version and words that cannot be told apart: clap prints and exits with 0 or 2, also where the pipe is closed.
    let typed = cli::parse(env::args_os()).unwrap_or_else(|shown| shown.exit());
    let environment = Environment { docker_config: env::var_os("DOCKER_CONFIG"), home: env::home_dir() };
    let invocation = match cli::resolve(typed, &environment) {
        Ok(invocation) => invocation,
        Err(usage) => {
            usage.errors.iter().for_each(|error| complain(&error.to_string()));
            terminal::note(&format!("\n{}", usage.hint()));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    invocation.color.write_global();
    start_logging(invocation.logging);
    run(invocation.command).unwrap_or_else(|error| {
        complain(&format!("{error:#}"));
        ExitCode::from(EXIT_USAGE)
    })
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check(asked) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let outcome = runtime.block_on(check::run(asked.config, asked.options, surroundings()))?;
            return Ok(ExitCode::from(outcome.exit_code()));
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

/// The node's name as the DaemonSet hands it over, else the host's.
fn surroundings() -> Surroundings {
    let node = env::var("NODE_NAME").ok().filter(|name| !name.is_empty());
    let pod = env::var("NETWORK_VIEW").is_ok_and(|view| view == NetworkView::Pod.as_str());
    Surroundings {
        node: node.unwrap_or_else(|| gethostname::gethostname().to_string_lossy().into_owned()),
        network_view: if pod { NetworkView::Pod } else { NetworkView::Node },
        now: jiff::Timestamp::now,
    }
}

fn complain(message: &str) {
    let style = anstyle::AnsiColor::Red.on_default().bold();
    terminal::note(&format!("{style}error:{style:#} {message}"));
}

/// Logs our own events alone: what a dependency logs may have a signed URL in it.
fn start_logging(logging: Logging) {
    let levels = [LevelFilter::WARN, LevelFilter::INFO, LevelFilter::DEBUG, LevelFilter::TRACE];
    let level = levels[usize::from(logging.verbosity).min(levels.len() - 1)];
    let ours = Targets::new().with_target("acr_verifier", level);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false);
    let lines = match logging.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(ours)).init();
}
