//! The settings in force and the files they come from.
//!
//! Owns the rule that a bad new configuration leaves the previous one in force. Files are compared by content, so a
//! swapped symlink, a rename and a write in place are all detected.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Options;
use crate::check_key::CheckKey;
use crate::config::file::{self, ConfigErrors};
use crate::config::server::ChecksOnDemand;
use crate::config::{Config, SystemResolver};
use crate::credentials::{AmbientCredentials, CredentialsSource, Fingerprint};
use crate::file::MAX_CA_FILE;
use crate::node::NodeFiles;
use crate::pass;
use crate::probe::Trust;
use crate::run::Rejected;
use crate::schedule::{Pace, requests_of_a_round};
use crate::server::CheckAccess;

/// The settings of the agent: a new file replaces all of them or none.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) config: Config,
    pub(super) trust: Trust,
    /// The node's own files, if mounted.
    pub(super) node: Option<Arc<NodeFiles>>,
    pub(super) ambient: AmbientCredentials,
    options: Options,
    /// The contents that were read last, accepted or rejected.
    texts: Texts,
}

/// The contents of the files that determine the settings, as last read.
///
/// The settings are built from these contents or from files read later, so a write in between is detected at the next
/// poll and never lost.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Texts {
    config: Result<String, ConfigErrors>,
    /// The CA file that the configuration names, also if the configuration was rejected because of it.
    ca_file: Option<CaFile>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct CaFile {
    path: PathBuf,
    /// `None` if unreadable: its user reports the error; here it only has to differ.
    text: Option<Vec<u8>>,
}

impl Settings {
    /// Reads the configuration for the first time.
    pub(super) fn read(options: Options) -> anyhow::Result<Self> {
        let mut texts = Texts::read(&options, None);
        let Loaded { config, trust, node } = load(&options, &mut texts, ConfigErrors::lines)
            .map_err(|lines| anyhow::Error::msg(lines.join("; ")))?;
        let ambient = options.ambient.clone();
        Ok(Self { config, trust, node, ambient, options, texts })
    }

    /// Reloads the configuration if a file has changed: it takes effect, or is rejected with all its errors.
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
            if config.server.address != self.config.server.address {
                tracing::warn!("server.address has changed: it takes effect after a restart");
            }
            (self.config, self.trust, self.node) = (config, trust, node);
        }))
    }

    /// Reloads the node's own files if one has changed; returns whether it did.
    pub(super) fn read_node_again(&mut self) -> bool {
        if !self.node.as_ref().is_some_and(|node| node.have_changed()) {
            return false;
        }
        let node = pass::node_files(&self.config);
        match pass::trust(&self.config, node.as_ref()) {
            Ok(trust) => self.trust = trust,
            // The operator's CA file is compared by content, and rejected there.
            Err(error) => tracing::warn!(
                "cannot reload the trusted certificates, the previous ones stay in force: {error}"
            ),
        }
        self.node = node.map(Arc::new);
        true
    }

    /// Returns the current state of the credential files of each image.
    pub(super) fn fingerprints(&self) -> Vec<Fingerprint> {
        let sources = self.config.images.iter().map(|image| CredentialsSource::of(image, &self.ambient));
        sources.map(|source| source.fingerprint()).collect()
    }

    /// Returns who may trigger a check, with the current key.
    pub(super) fn access(&self) -> CheckAccess {
        match &self.config.server.checks_on_demand {
            ChecksOnDemand::Open => CheckAccess::Open,
            ChecksOnDemand::Disabled => CheckAccess::Disabled,
            ChecksOnDemand::Key(path) => {
                CheckKey::read(path).map_or_else(CheckAccess::NoKey, CheckAccess::Key)
            }
        }
    }

    /// Returns the pace of the checks.
    pub(super) fn pace(&self) -> Pace {
        Pace::of(&self.config.schedule, requests_of_a_round(&self.config.images))
    }
}

impl Texts {
    /// Reads the configuration, and the known CA file again.
    fn read(options: &Options, known: Option<&CaFile>) -> Self {
        Self { config: file::text(&options.config), ca_file: known.map(|known| CaFile::read(&known.path)) }
    }
}

impl CaFile {
    fn read(path: &Path) -> Self {
        Self { path: path.to_owned(), text: crate::file::read(path, MAX_CA_FILE).ok() }
    }
}

/// The result of loading a configuration and the files that it names.
struct Loaded {
    config: Config,
    trust: Trust,
    node: Option<Arc<NodeFiles>>,
}

/// Builds the settings from the contents, and adds the CA file that they name to the contents.
fn load(
    options: &Options,
    texts: &mut Texts,
    lines: fn(&ConfigErrors) -> Vec<String>,
) -> Result<Loaded, Vec<String>> {
    let text = texts.config.as_ref().map_err(lines)?;
    let mut config = file::parse(&options.config, text).map_err(|errors| lines(&errors))?;
    config.allow_loopback = options.allow_loopback;
    config.lab = options.lab;
    if !options.nameservers.is_empty() {
        config.resolvers.system = SystemResolver::Servers(options.nameservers.clone());
    }
    texts.ca_file = config.ca_file.as_deref().map(CaFile::read);
    let node = pass::node_files(&config);
    let trust = pass::trust(&config, node.as_ref())
        .map_err(|error| vec![format!("{:#}", anyhow::Error::from(error))])?;
    Ok(Loaded { config, trust, node: node.map(Arc::new) })
}
