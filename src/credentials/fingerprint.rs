//! Detects changes of credential files.
//!
//! Compares only paths and timestamps, never contents: credentials are read when a check runs.

use std::path::PathBuf;

use super::files::{CredentialFiles, DOCKER_FILES, EXPIRES_AT, PASSWORD, USERNAME};
use crate::file::{self, FileState};

/// The state of every file that a source may read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fingerprint(Vec<(PathBuf, Option<FileState>)>);

impl CredentialFiles {
    /// Returns the current state of the files; it differs as soon as one is written, replaced, added or removed.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let docker = DOCKER_FILES.iter().map(|(name, _)| *name);
        let names: Vec<&str> = docker.chain([USERNAME, PASSWORD, EXPIRES_AT]).collect();
        let files = self.paths.iter().flat_map(|path| {
            let inside = names.iter().map(|name| path.join(name));
            std::iter::once(path.clone()).chain(inside)
        });
        Fingerprint(files.map(|path| (path.clone(), file::state(&path))).collect())
    }
}
