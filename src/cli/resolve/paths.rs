//! Paths that were named on the command line: what is not there, or is something else, is wrong usage.

use std::path::{Path, PathBuf};

use crate::config::value::Refusal;
use crate::credentials::inspect;
use crate::file::{self, FileError};
use crate::quote::quote;

/// Largest file of certificates, in bytes: the whole of Mozilla's roots is a quarter of it.
const MAX_CERTIFICATES: u64 = 1 << 20;

/// How a certificate starts in PEM (RFC 7468).
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// A regular file that can be opened.
pub(super) fn file(path: &Path) -> Result<PathBuf, Refusal> {
    const ALLOWED: &str = "a file that can be read";
    file::open(path).map_err(|error| refuse(path, error, ALLOWED))?;
    Ok(path.to_owned())
}

/// A file with at least one certificate in PEM.
pub(super) fn certificates(path: &Path) -> Result<PathBuf, Refusal> {
    const ALLOWED: &str = "a file of certificates in PEM, at most 1 MiB";
    let bytes = file::read(path, MAX_CERTIFICATES).map_err(|error| refuse(path, error, ALLOWED))?;
    if !bytes.windows(BEGIN.len()).any(|window| window == BEGIN) {
        return Err(refusal(path, "which has no certificate in PEM", ALLOWED));
    }
    Ok(path.to_owned())
}

/// A source of credentials; whether it has an entry for a registry is a question of the check.
pub(super) fn credentials(path: &Path) -> Result<PathBuf, Refusal> {
    const ALLOWED: &str = "a docker config.json, or a folder with .dockerconfigjson, .dockercfg, config.json, or username \
                           and password";
    let text = path.to_string_lossy();
    // Passwords of ACR may have a slash: only what begins like a path is surely one.
    if text.contains(':') && !text.starts_with(['/', '.', '~']) && !path.exists() {
        let found = "something that is no path (it is not shown, because it may be a password)";
        return Err(Refusal::new(found, ALLOWED));
    }
    match inspect(path) {
        Ok(()) => Ok(path.to_owned()),
        Err(error) => Err(Refusal::new(format!("that {error}"), ALLOWED)),
    }
}

/// A file that can be written as far as its folder tells; it is written after the check.
pub(super) fn writable(path: &Path) -> Result<PathBuf, Refusal> {
    const ALLOWED: &str = "a file in a folder that exists";
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    if path.as_os_str().is_empty() {
        return Err(Refusal::new("an empty text", ALLOWED));
    }
    if path.is_dir() {
        return Err(refusal(path, "which is a folder", ALLOWED));
    }
    if !folder.is_dir() {
        return Err(refusal(path, "whose folder does not exist", ALLOWED));
    }
    Ok(path.to_owned())
}

fn refuse(path: &Path, error: FileError, allowed: &str) -> Refusal {
    match error {
        FileError::Read(error) => refusal(path, &format!("which cannot be read ({error})"), allowed),
        FileError::Irregular => refusal(path, "which is no regular file", allowed),
        FileError::TooLarge => refusal(path, "which is larger", allowed),
    }
}

fn refusal(path: &Path, what: &str, allowed: &str) -> Refusal {
    Refusal::new(format!("{}, {what}", quote(&path.to_string_lossy())), allowed)
}
