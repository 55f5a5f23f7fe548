//! The settings in force, and the file that they come from.
//!
//! Owns the rule that a bad new configuration keeps the old one running. The file is compared by its text, so that a
//! swapped symlink, a rename and a write in place are all seen alike.

use std::path::PathBuf;

use crate::cli::AgentOptions;
use crate::config::{Config, SystemResolver, file};
use crate::probe::Trust;
use crate::schedule::{Pace, most_of_one_registry};

/// What the agent works with, whole: a new file replaces all of it or nothing.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) config: Config,
    pub(super) trust: Trust,
    pub(super) usual_credentials: Vec<PathBuf>,
    options: AgentOptions,
    /// The texts that were read last, taken or refused.
    texts: Texts,
}

/// The files whose text decides the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Texts {
    config: Option<Vec<u8>>,
    ca_file: Option<Vec<u8>>,
}

impl Settings {
    /// Reads the configuration for the first time.
    pub(super) fn read(options: AgentOptions) -> anyhow::Result<Self> {
        let (config, trust) = load(&options).map_err(anyhow::Error::msg)?;
        let texts = Texts::of(&options, &config);
        let usual_credentials = options.usual_credentials.clone();
        Ok(Self { config, trust, usual_credentials, options, texts })
    }

    /// Reads the configuration again if a file has changed: taken, or refused with everything that is wrong.
    pub(super) fn read_again(&mut self) -> Option<Result<(), String>> {
        let texts = Texts::of(&self.options, &self.config);
        if texts == self.texts {
            return None;
        }
        self.texts = texts;
        let loaded = load(&self.options);
        Some(loaded.map(|(config, trust)| {
            if config.server_address != self.config.server_address {
                tracing::warn!("server.address has changed: it counts from the next start on");
            }
            (self.config, self.trust) = (config, trust);
            // A file of certificates that is newly named is known from now on.
            self.texts = Texts::of(&self.options, &self.config);
        }))
    }

    /// How fast the agent checks.
    pub(super) fn pace(&self) -> Pace {
        Pace::of(&self.config.schedule, most_of_one_registry(&self.config.images))
    }
}

impl Texts {
    fn of(options: &AgentOptions, config: &Config) -> Self {
        // What cannot be read is told by whoever needs it; here it only has to differ.
        let read = |path: &std::path::Path| std::fs::read(path).ok();
        Self { config: read(&options.config), ca_file: config.ca_file.as_deref().and_then(read) }
    }
}

fn load(options: &AgentOptions) -> Result<(Config, Trust), String> {
    let mut config = file::read(&options.config).map_err(|errors| errors.lines().join("; "))?;
    config.allow_loopback = options.allow_loopback;
    if !options.nameservers.is_empty() {
        config.resolvers.system = SystemResolver::Servers(options.nameservers.clone());
    }
    let trust = Trust::load(config.ca_file.as_deref())
        .map_err(|error| format!("{:#}", anyhow::Error::from(error)))?;
    Ok((config, trust))
}
