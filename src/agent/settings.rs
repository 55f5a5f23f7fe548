//! The settings in force, and the file that they come from.
//!
//! Owns the rule that a bad new configuration keeps the old one running. The file is compared by its text, so that a
//! swapped symlink, a rename and a write in place are all seen alike.

use std::path::{Path, PathBuf};

use crate::cli::AgentOptions;
use crate::config::file::{self, ConfigErrors};
use crate::config::{Config, SystemResolver};
use crate::probe::{MAX_CA_FILE, Trust};
use crate::run::Rejected;
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
    /// The file of certificates that the configuration names, also one that is refused because of it.
    ca_file: Option<CaFile>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct CaFile {
    path: PathBuf,
    /// What cannot be read is told by who needs it; here it only has to differ.
    text: Option<Vec<u8>>,
}

impl Settings {
    /// Reads the configuration for the first time.
    pub(super) fn read(options: AgentOptions) -> anyhow::Result<Self> {
        let mut texts = Texts::read(&options, None);
        let (config, trust) = load(&options, &mut texts, ConfigErrors::lines)
            .map_err(|lines| anyhow::Error::msg(lines.join("; ")))?;
        let usual_credentials = options.usual_credentials.clone();
        Ok(Self { config, trust, usual_credentials, options, texts })
    }

    /// Reads the configuration again if a file has changed: in force, or rejected with everything that is wrong.
    pub(super) fn read_again(&mut self) -> Option<Result<(), Rejected>> {
        let texts = Texts::read(&self.options, self.texts.ca_file.as_ref());
        if texts == self.texts {
            return None;
        }
        self.texts = texts;
        let loaded = load(&self.options, &mut self.texts, ConfigErrors::by_line).map_err(|lines| Rejected {
            reason: lines.join("\n"),
            digest: self.texts.config.as_deref().ok().map(file::digest),
        });
        Some(loaded.map(|(config, trust)| {
            if config.server_address != self.config.server_address {
                tracing::warn!("server.address has changed: it counts from the next start on");
            }
            (self.config, self.trust) = (config, trust);
        }))
    }

    /// How fast the agent checks.
    pub(super) fn pace(&self) -> Pace {
        Pace::of(&self.config.schedule, most_of_one_registry(&self.config.images))
    }
}

impl Texts {
    /// Reads the configuration, and again the file of certificates that was known of.
    fn read(options: &AgentOptions, known: Option<&CaFile>) -> Self {
        Self { config: file::text(&options.config), ca_file: known.map(|known| CaFile::read(&known.path)) }
    }
}

impl CaFile {
    fn read(path: &Path) -> Self {
        Self { path: path.to_owned(), text: crate::file::read(path, MAX_CA_FILE).ok() }
    }
}

/// The settings that the texts make; which file of certificates they name goes into the texts.
fn load(
    options: &AgentOptions,
    texts: &mut Texts,
    told: fn(&ConfigErrors) -> Vec<String>,
) -> Result<(Config, Trust), Vec<String>> {
    let text = texts.config.as_ref().map_err(told)?;
    let mut config = file::parse(&options.config, text).map_err(|errors| told(&errors))?;
    config.allow_loopback = options.allow_loopback;
    if !options.nameservers.is_empty() {
        config.resolvers.system = SystemResolver::Servers(options.nameservers.clone());
    }
    texts.ca_file = config.ca_file.as_deref().map(CaFile::read);
    let trust = Trust::load(config.ca_file.as_deref())
        .map_err(|error| vec![format!("{:#}", anyhow::Error::from(error))])?;
    Ok((config, trust))
}
