//! The settings in force, and the file that they come from.
//!
//! Owns the rule that a bad new configuration keeps the old one running. The file is compared by its text, so that a
//! swapped symlink, a rename and a write in place are all seen alike.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::check;
use crate::cli::AgentOptions;
use crate::config::file::{self, ConfigErrors};
use crate::config::{Config, SystemResolver};
use crate::node::NodeFiles;
use crate::probe::{MAX_CA_FILE, Trust};
use crate::run::Rejected;
use crate::schedule::{Pace, most_of_one_registry};

/// What the agent works with, whole: a new file replaces all of it or nothing.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) config: Config,
    pub(super) trust: Trust,
    /// The node's own files, where they are mounted.
    pub(super) node: Option<Arc<NodeFiles>>,
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
        let Loaded { config, trust, node } = load(&options, &mut texts, ConfigErrors::lines)
            .map_err(|lines| anyhow::Error::msg(lines.join("; ")))?;
        let usual_credentials = options.usual_credentials.clone();
        Ok(Self { config, trust, node, usual_credentials, options, texts })
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
        Some(loaded.map(|Loaded { config, trust, node }| {
            if config.server_address != self.config.server_address {
                tracing::warn!("server.address has changed: it counts from the next start on");
            }
            (self.config, self.trust, self.node) = (config, trust, node);
        }))
    }

    /// Reads the node's own files again if one has changed; whether that is so.
    pub(super) fn read_node_again(&mut self) -> bool {
        if !self.node.as_ref().is_some_and(|node| node.have_changed()) {
            return false;
        }
        let node = check::node_files(&self.config);
        match check::trust(&self.config, node.as_ref()) {
            Ok(trust) => self.trust = trust,
            // The file of the operator is compared by its text, and refused there.
            Err(error) => tracing::warn!("the certificates stay as they are: {error}"),
        }
        self.node = node.map(Arc::new);
        true
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

/// What a configuration and the files that it names make.
struct Loaded {
    config: Config,
    trust: Trust,
    node: Option<Arc<NodeFiles>>,
}

/// The settings that the texts make; which file of certificates they name goes into the texts.
fn load(
    options: &AgentOptions,
    texts: &mut Texts,
    told: fn(&ConfigErrors) -> Vec<String>,
) -> Result<Loaded, Vec<String>> {
    let text = texts.config.as_ref().map_err(told)?;
    let mut config = file::parse(&options.config, text).map_err(|errors| told(&errors))?;
    config.allow_loopback = options.allow_loopback;
    if !options.nameservers.is_empty() {
        config.resolvers.system = SystemResolver::Servers(options.nameservers.clone());
    }
    texts.ca_file = config.ca_file.as_deref().map(CaFile::read);
    let node = check::node_files(&config);
    let trust = check::trust(&config, node.as_ref())
        .map_err(|error| vec![format!("{:#}", anyhow::Error::from(error))])?;
    Ok(Loaded { config, trust, node: node.map(Arc::new) })
}
