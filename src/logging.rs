//! Logging: which events are logged, and the line format.

use std::io;

use clap::ValueEnum;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

/// Log settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logging {
    /// 0 logs warnings only; every step logs more.
    pub verbosity: u8,
    /// The format of a line.
    pub format: LogFormat,
}

/// The format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Human-readable text.
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts logging to standard error. Only this program's events are logged: those of a dependency may contain a signed URL.
pub fn start(logging: Logging) {
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
