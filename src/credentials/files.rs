//! Credentials in files: docker's `config.json`, a mounted Kubernetes Secret, or `username` and `password`.
//!
//! Owns the search order, consistent reading while Kubernetes replaces a Secret, and the messages about missing credentials.
//! Messages contain paths, keys and positions, never a value.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::docker::{DockerConfig, Form, Pair};
use super::{Attempt, CredentialsError, Found};
use crate::file::{self, FileError};
use crate::image::ImageReference;
use crate::secret::Secret;

/// Largest file that is read, in bytes: the size limit of a Kubernetes Secret.
const MAX_BYTES: u64 = 1 << 20;
/// The files of a mounted `kubernetes.io/dockerconfigjson` Secret, of a `kubernetes.io/dockercfg` Secret, and docker's own.
pub(super) const DOCKER_FILES: [(&str, Form); 3] =
    [(".dockerconfigjson", Form::ConfigJson), (".dockercfg", Form::Cfg), ("config.json", Form::ConfigJson)];
/// The files of a folder with one user for every registry, and with the expiry of its password.
pub(super) const USERNAME: &str = "username";
pub(super) const PASSWORD: &str = "password";
pub(super) const EXPIRES_AT: &str = "expiresAt";
/// Entries that a message describes.
const MAX_NAMED: usize = 3;
/// Most reads of a folder that Kubernetes replaces during the read; even one replacement is rare.
const MAX_SWAPS: usize = 3;

/// The files to search for credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialFiles {
    /// The paths in search order; the first that exists is used. Only one if the operator configured it.
    pub paths: Vec<PathBuf>,
    /// Expiry from the configuration, if set; takes precedence over a key `expiresAt` in the Secret.
    pub expires_at: Option<Timestamp>,
}

impl CredentialFiles {
    /// Docker's usual paths: `config.json` in `$DOCKER_CONFIG`, then in `.docker` of the home folder.
    #[must_use]
    pub(super) fn usual(docker_config: Option<&OsStr>, home: Option<&Path>) -> Self {
        let folder = docker_config.filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let home = home.filter(|home| !home.as_os_str().is_empty()).map(|home| home.join(".docker"));
        let mut paths: Vec<_> =
            folder.into_iter().chain(home).map(|folder| folder.join("config.json")).collect();
        paths.dedup();
        Self { paths, expires_at: None }
    }

    /// Reads what a kubelet finds for an image now.
    ///
    /// # Errors
    /// The file cannot be used: a kubelet would not pull. The phrase names the position, never a value.
    pub fn read(&self, image: &ImageReference) -> Result<Found, CredentialsError> {
        for path in &self.paths {
            if let Some(stored) = open(path)? {
                let mut found = stored.find(path, image);
                found.expires_at = self.expires_at.or(found.expires_at);
                return Ok(found);
            }
        }
        let places: Vec<_> = self.paths.iter().map(|path| format!("`{}`", path.display())).collect();
        let searched = match places.as_slice() {
            [] => {
                "no path to credentials is configured, and neither DOCKER_CONFIG nor HOME is set".to_owned()
            }
            [place] => does_not_exist(place),
            places => format!("neither {} exists", places.join(" nor ")),
        };
        Ok(Found::anonymous(searched, self.expires_at))
    }
}

/// Whether a path on the command line holds credentials, usable or not: a path without any is invalid usage, while an
/// unusable file is a result of the check.
///
/// # Errors
/// The path does not exist, or is a folder without any of the known files.
pub fn inspect(path: &Path) -> Result<(), CredentialsError> {
    match open(path) {
        Ok(Some(Stored::Docker { .. } | Stored::Pair { .. })) | Err(_) => Ok(()),
        Ok(Some(Stored::Nothing)) => Err(CredentialsError(nothing_in(path))),
        Ok(None) => Err(CredentialsError(does_not_exist(&format!("`{}`", path.display())))),
    }
}

fn does_not_exist(place: &str) -> String {
    format!("{place} does not exist")
}

/// The content of a path.
enum Stored {
    /// A docker configuration, in the named file.
    Docker { file: PathBuf, config: DockerConfig, expires_at: Option<Timestamp> },
    /// One user for every registry.
    Pair { pair: Pair, expires_at: Option<Timestamp> },
    /// A folder without any of the known files.
    Nothing,
}

impl Stored {
    /// The attempts for an image with the content of `path`.
    fn find(self, path: &Path, image: &ImageReference) -> Found {
        match self {
            Self::Nothing => Found::anonymous(nothing_in(path), None),
            Self::Pair { pair, expires_at } => {
                let attempt = Attempt::of(format!("`{}`", path.display()), pair, image);
                Found { attempts: vec![attempt], searched: None, expires_at }
            }
            Self::Docker { file, config, expires_at } => {
                let file = file.display();
                let matches = config.find(image);
                if matches.is_empty() {
                    let absence = config.describe_absence(image);
                    return Found::anonymous(format!("`{file}` {absence}"), expires_at);
                }
                let is_usable = matches.iter().any(|found| found.pair.is_complete());
                let instead: Vec<_> =
                    matches.iter().filter_map(|found| found.instead.clone()).take(MAX_NAMED).collect();
                let searched = (!is_usable).then(|| format!("in `{file}`, {}", instead.join("; ")));
                let attempts = matches
                    .into_iter()
                    .map(|found| Attempt::of(format!("{} of `{file}`", found.key), found.pair, image))
                    .collect();
                Found { attempts, searched, expires_at }
            }
        }
    }
}

impl CredentialsError {
    /// Prefixes a phrase with the file it is about.
    fn about(self, file: &Path) -> Self {
        Self(format!("`{}` cannot be used: {}", file.display(), self.0))
    }
}

fn nothing_in(folder: &Path) -> String {
    format!(
        "the folder `{}` has neither .dockerconfigjson, nor .dockercfg, nor config.json, nor username and password",
        folder.display()
    )
}

/// Opens a path; `None` if it does not exist.
fn open(path: &Path) -> Result<Option<Stored>, CredentialsError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => open_folder(path).map(Some),
        Ok(_) => Ok(read_bytes(path, path)?
            .map(|bytes| DockerConfig::parse(&bytes, Form::Either).map_err(|error| error.about(path)))
            .transpose()?
            .map(|config| Stored::Docker { file: path.to_owned(), config, expires_at: None })),
        Err(error) if is_absence(&error) => Ok(None),
        Err(error) => Err(unreadable(path, &error)),
    }
}

/// Opens a folder consistently: Kubernetes updates a mounted Secret by switching the link `..data`, and an old user name
/// with a new password would be a failure that is impossible to diagnose.
fn open_folder(folder: &Path) -> Result<Stored, CredentialsError> {
    let current = || fs::canonicalize(folder.join("..data")).ok();
    let mut data = current();
    let mut stored = open_files(folder, data.as_deref().unwrap_or(folder));
    for _ in 1..MAX_SWAPS {
        let now = current();
        if now == data {
            break;
        }
        data = now;
        stored = open_files(folder, data.as_deref().unwrap_or(folder));
    }
    stored
}

/// Opens the files in `data`; messages show their paths in `folder`.
fn open_files(folder: &Path, data: &Path) -> Result<Stored, CredentialsError> {
    let read = |name: &str| read_text(&data.join(name), &folder.join(name));
    let expires_at = || match read(EXPIRES_AT)? {
        None => Ok(None),
        Some(text) => text.trim().parse::<Timestamp>().map(Some).map_err(|_| {
            let phrase = "expected an RFC 3339 time such as 2027-05-01T00:00:00Z".to_owned();
            CredentialsError(phrase).about(&folder.join(EXPIRES_AT))
        }),
    };
    for (name, form) in DOCKER_FILES {
        let file = folder.join(name);
        if let Some(bytes) = read_bytes(&data.join(name), &file)? {
            let config = DockerConfig::parse(&bytes, form).map_err(|error| error.about(&file))?;
            return Ok(Stored::Docker { file, config, expires_at: expires_at()? });
        }
    }
    let (username, password) = match (read(USERNAME)?, read(PASSWORD)?) {
        (None, None) => return Ok(Stored::Nothing),
        (Some(username), Some(password)) => (username, password),
        (username, _) => {
            let (there, absent) =
                if username.is_some() { (USERNAME, PASSWORD) } else { (PASSWORD, USERNAME) };
            return Err(CredentialsError(format!(
                "the folder `{}` contains {there} but no {absent}",
                folder.display()
            )));
        }
    };
    let [username, password] =
        [username, password].map(|text| text.trim_end_matches(['\r', '\n']).to_owned());
    for (name, text) in [(USERNAME, &username), (PASSWORD, &password)] {
        if text.is_empty() {
            return Err(CredentialsError(format!("`{}` is empty", folder.join(name).display())));
        }
    }
    let pair = Pair { username, password: Secret::new(password), evidence: Vec::new() };
    Ok(Stored::Pair { pair, expires_at: expires_at()? })
}

/// The text of a file, bounded in size; `None` if it does not exist. Messages show it as `shown`.
fn read_text(path: &Path, shown: &Path) -> Result<Option<String>, CredentialsError> {
    let refuse = |_| CredentialsError("it is not UTF-8".to_owned()).about(shown);
    read_bytes(path, shown)?.map(|bytes| String::from_utf8(bytes).map_err(refuse)).transpose()
}

/// The bytes of a file, bounded in size; `None` if it does not exist. Messages show it as `shown`.
fn read_bytes(path: &Path, shown: &Path) -> Result<Option<Vec<u8>>, CredentialsError> {
    let refuse = |phrase: &str| CredentialsError(phrase.to_owned()).about(shown);
    match file::read(path, MAX_BYTES) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(FileError::Read(error)) if is_absence(&error) => Ok(None),
        Err(FileError::Read(error)) => Err(unreadable(shown, &error)),
        Err(FileError::Irregular) => Err(refuse("it is not a regular file")),
        Err(FileError::TooLarge) => Err(refuse("it is larger than 1 MiB")),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> CredentialsError {
    CredentialsError(format!("it cannot be read: {error}")).about(path)
}

/// Whether the path does not exist, also because a part of it is a file.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
