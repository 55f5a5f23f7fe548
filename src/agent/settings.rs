//! The settings in force, and the file that they come from.
//!
//! Owns the rule that a bad new configuration keeps the old one running. The file is compared by its text, so that a
//! swapped symlink, a rename and a write in place are all seen alike.

use std::path::{Path, PathBuf};

use crate::cli::AgentOptions;
use crate::config::file::{self, ConfigErrors};
use crate::config::{Config, SystemResolver};
use crate::probe::{MAX_CA_FILE, Trust};
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

/// The files whose text decides the settings, as they were read last.
///
/// The settings are made of these very texts, or of files that were read later: what is written in between is seen at the
/// next look, and never lost.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Texts {
    config: Result<String, ConfigErrors>,
    ca_file: Option<Vec<u8>>,
}

impl Settings {
    /// Reads the configuration for the first time.
    pub(super) fn read(options: AgentOptions) -> anyhow::Result<Self> {
        let texts = Texts::read(&options, None);
        let (config, trust, texts) = load(&options, texts).map_err(anyhow::Error::msg)?;
        let usual_credentials = options.usual_credentials.clone();
        Ok(Self { config, trust, usual_credentials, options, texts })
    }

    /// Reads the configuration again if a file has changed: taken, or refused with everything that is wrong.
    pub(super) fn read_again(&mut self) -> Option<Result<(), String>> {
        let texts = Texts::read(&self.options, self.config.ca_file.as_deref());
        if texts == self.texts {
            return None;
        }
        self.texts = texts.clone();
        let loaded = load(&self.options, texts);
        Some(loaded.map(|(config, trust, texts)| {
            if config.server_address != self.config.server_address {
                tracing::warn!("server.address has changed: it counts from the next start on");
            }
            (self.config, self.trust, self.texts) = (config, trust, texts);
        }))
    }

    /// How fast the agent checks.
    pub(super) fn pace(&self) -> Pace {
        Pace::of(&self.config.schedule, most_of_one_registry(&self.config.images))
    }
}

impl Texts {
    fn read(options: &AgentOptions, ca_file: Option<&Path>) -> Self {
        Self { config: file::text(&options.config), ca_file: ca_file.and_then(read_certificates) }
    }
}

/// The bytes of a file of certificates. What cannot be read is told by who needs it; here it only has to differ.
fn read_certificates(path: &Path) -> Option<Vec<u8>> {
    crate::file::read(path, MAX_CA_FILE).ok()
}

/// The settings that the texts make; with them the text of the file of certificates that they name.
fn load(options: &AgentOptions, texts: Texts) -> Result<(Config, Trust, Texts), String> {
    let told = |errors: ConfigErrors| errors.lines().join("; ");
    let text = texts.config.map_err(told)?;
    let mut config = file::parse(&options.config, &text).map_err(told)?;
    config.allow_loopback = options.allow_loopback;
    if !options.nameservers.is_empty() {
        config.resolvers.system = SystemResolver::Servers(options.nameservers.clone());
    }
    let ca_file = config.ca_file.as_deref().and_then(read_certificates);
    let trust = Trust::load(config.ca_file.as_deref())
        .map_err(|error| format!("{:#}", anyhow::Error::from(error)))?;
    Ok((config, trust, Texts { config: Ok(text), ca_file }))
}
