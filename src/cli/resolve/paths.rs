//! Paths on the command line. A path that does not exist, or is not what the flag expects, is invalid usage.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::check_key::{CheckKey, KeyError};
use crate::config::value::Refusal;
use crate::credentials::inspect;
use crate::file::{self, FileError, MAX_CA_FILE};

/// The first line of a PEM certificate (RFC 7468).
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// A regular file that can be opened.
pub(super) fn file(path: &Path) -> Result<(), Refusal> {
    file::open(path).map(drop).map_err(|error| refuse(path, error, "a readable file"))
}

/// The kubeconfigs that kubectl uses by default: those of `$KUBECONFIG`, otherwise the one in the home folder.
pub(super) fn default_kubeconfigs(variable: Option<&OsStr>, home: Option<&Path>) -> Vec<PathBuf> {
    let listed = variable.into_iter().flat_map(env::split_paths).filter(|path| !path.as_os_str().is_empty());
    let listed: Vec<PathBuf> = listed.collect();
    if listed.is_empty() { home.map(|home| home.join(".kube/config")).into_iter().collect() } else { listed }
}

/// A file with at least one PEM certificate.
pub(super) fn certificates(path: &Path) -> Result<(), Refusal> {
    const EXPECTED: &str = "a PEM file of certificates, at most 4 MiB";
    let bytes = file::read(path, MAX_CA_FILE).map_err(|error| refuse(path, error, EXPECTED))?;
    if !bytes.windows(BEGIN.len()).any(|window| window == BEGIN) {
        return Err(refusal(path, "it contains no PEM certificate", EXPECTED));
    }
    Ok(())
}

/// A file with the key for checks on demand.
pub(super) fn key(path: &Path) -> Result<CheckKey, Refusal> {
    CheckKey::read(path).map_err(|error| refusal(path, &error.to_string(), KeyError::EXPECTED))
}

/// A source of credentials; the check finds out whether it has an entry for the registry.
pub(super) fn credentials(path: &Path) -> Result<(), Refusal> {
    const EXPECTED: &str = "a docker config.json, or a folder with .dockerconfigjson, .dockercfg, config.json, or \
                            username and password";
    let text = path.to_string_lossy();
    // Passwords of ACR may contain a slash: only a text that starts like a path is certainly one.
    if text.contains(':') && !text.starts_with(['/', '.', '~']) && !path.exists() {
        let reason = "it is not a path (not shown, because it may be a password)";
        return Err(Refusal::unquoted(reason, EXPECTED));
    }
    inspect(path).map_err(|error| Refusal::unquoted(error.to_string(), EXPECTED))
}

/// A file in an existing folder; it is written after the check.
pub(super) fn writable(path: &Path) -> Result<(), Refusal> {
    const EXPECTED: &str = "a file in an existing folder";
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    if path.as_os_str().is_empty() {
        return Err(Refusal::new("", EXPECTED));
    }
    if path.is_dir() {
        return Err(refusal(path, "it is a folder", EXPECTED));
    }
    if !folder.is_dir() {
        return Err(refusal(path, "its folder does not exist", EXPECTED));
    }
    Ok(())
}

/// Words why a file cannot be read.
pub(super) fn refuse(path: &Path, error: FileError, expected: &str) -> Refusal {
    match error {
        FileError::Read(error) => refusal(path, &format!("cannot read it: {error}"), expected),
        FileError::Irregular => refusal(path, "it is not a regular file", expected),
        FileError::TooLarge => refusal(path, "it is too large", expected),
    }
}

fn refusal(path: &Path, reason: &str, expected: &str) -> Refusal {
    Refusal::new(path.to_string_lossy(), expected).because(reason)
}
