//! Detects changes of credential files.
//!
//! Compares only paths and timestamps, never contents: credentials are read when a check runs.

use std::path::PathBuf;

use crate::config::Config;
use crate::credentials::CredentialsSource;
use crate::file::{self, FileState};

/// The files that a credentials directory may contain.
const NAMES: [&str; 6] =
    [".dockerconfigjson", ".dockercfg", "config.json", "username", "password", "expiresAt"];

/// The state of every credential file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fingerprint(Vec<(PathBuf, Option<FileState>)>);

impl Fingerprint {
    /// Records the state of the files of all images.
    pub(super) fn of(config: &Config, usual: &[PathBuf]) -> Self {
        let sources = config.images.iter().flat_map(|image| CredentialsSource::of(image, usual).paths);
        let files = sources.flat_map(|path| {
            let inside = NAMES.iter().map(|name| path.join(name)).collect::<Vec<_>>();
            std::iter::once(path).chain(inside)
        });
        Self(
            files
                .map(|path| {
                    let state = file::state(&path);
                    (path, state)
                })
                .collect(),
        )
    }
}
