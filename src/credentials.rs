//! Credentials from files: docker's `config.json`, a mounted Kubernetes Secret, or `username` and `password`.
//!
//! Owns the search order and the messages about missing credentials. Nothing is cached: every check reads the files again,
//! as a pull does. Messages contain paths, keys and positions, never a value.

mod docker;
mod fingerprint;

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

pub use self::fingerprint::Fingerprint;

use self::docker::{DockerConfig, Form, Pair};
use crate::config::ImageConfig;
use crate::file::{self, FileError};
use crate::image::ImageReference;
use crate::observation::{CredentialEvidence, CredentialKind, CredentialsUsed, RejectedEntry};
use crate::secret::Secret;

/// Largest file that is read, in bytes: the size limit of a Kubernetes Secret.
const MAX_BYTES: u64 = 1 << 20;
/// The files of a mounted `kubernetes.io/dockerconfigjson` Secret, of a `kubernetes.io/dockercfg` Secret, and docker's own.
const DOCKER_FILES: [(&str, Form); 3] =
    [(".dockerconfigjson", Form::ConfigJson), (".dockercfg", Form::Cfg), ("config.json", Form::ConfigJson)];
/// The files of a folder with one user for every registry, and with the expiry of its password.
const USERNAME: &str = "username";
const PASSWORD: &str = "password";
const EXPIRES_AT: &str = "expiresAt";
/// Entries that a message describes.
const MAX_NAMED: usize = 3;
/// Most reads of a folder that Kubernetes replaces during the read; even one replacement is rare.
const MAX_SWAPS: usize = 3;

/// Where to look for credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialsSource {
    /// The paths in search order; the first that exists is used. Only one if the operator configured it.
    pub paths: Vec<PathBuf>,
    /// Expiry from the configuration, if set; takes precedence over a key `expiresAt` in the Secret.
    pub expires_at: Option<Timestamp>,
}

/// What a kubelet finds for an image, in the order in which it tries it.
///
/// The kubelet (`kuberuntime_image.go`) pulls once with each credential that it finds, until one pull works. It pulls without
/// any only if it finds none: an anonymous pull never follows a rejected entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The attempts that a kubelet makes; never empty.
    pub attempts: Vec<Attempt>,
    /// Where credentials were looked for and what was found instead, as a phrase; set if no attempt has credentials.
    pub searched: Option<String>,
    /// When the credentials expire, if set in the configuration or the Secret.
    pub expires_at: Option<Timestamp>,
}

/// One attempt of a kubelet to pull an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The entry, as a message shows it; absent if no entry matches the image.
    pub entry: Option<String>,
    /// What is sent to the token service; if absent, the pull is anonymous. containerd pulls anonymously with an entry that
    /// lacks the user name or the password.
    pub credentials: Option<Credentials>,
    /// What kind of credential the entry holds.
    pub kind: CredentialKind,
    /// What the file shows about the entry.
    pub evidence: Vec<CredentialEvidence>,
}

impl Attempt {
    /// Whose credentials the attempt uses.
    #[must_use]
    pub const fn used(&self) -> CredentialsUsed {
        if self.credentials.is_some() { CredentialsUsed::Secret } else { CredentialsUsed::Anonymous }
    }

    /// The attempt as the observation records it once the registry has rejected it; nothing if no entry was involved.
    #[must_use]
    pub fn rejected(&self) -> Option<RejectedEntry> {
        let entry = self.entry.clone()?;
        Some(RejectedEntry { entry, kind: self.kind, evidence: self.evidence.clone() })
    }
}

/// A user name and its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// Why a kubelet cannot use the file, as a phrase; it does not pull then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CredentialsError(String);

impl CredentialsSource {
    /// The only path that the operator configured.
    #[must_use]
    pub fn named(path: PathBuf, expires_at: Option<Timestamp>) -> Self {
        Self { paths: vec![path], expires_at }
    }

    /// The source of a configured image's credentials: its own path if set, otherwise the `usual` paths.
    #[must_use]
    pub fn of(image: &ImageConfig, usual: &[PathBuf]) -> Self {
        match &image.credentials {
            Some(named) => Self::named(named.path.clone(), named.expires_at),
            None => Self { paths: usual.to_vec(), expires_at: None },
        }
    }

    /// Docker's usual paths: `config.json` in `$DOCKER_CONFIG`, then in `.docker` of the home folder.
    #[must_use]
    pub fn usual(docker_config: Option<&OsStr>, home: Option<&Path>) -> Self {
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

impl Found {
    /// No entry matches the image: the kubelet pulls once, without credentials.
    fn anonymous(searched: String, expires_at: Option<Timestamp>) -> Self {
        let attempt =
            Attempt { entry: None, credentials: None, kind: CredentialKind::Empty, evidence: Vec::new() };
        Self { attempts: vec![attempt], searched: Some(searched), expires_at }
    }
}

impl Attempt {
    fn of(entry: String, pair: Pair, image: &ImageReference) -> Self {
        let is_complete = pair.is_complete();
        let Pair { username, password, evidence } = pair;
        let kind = if is_complete { kind_of(&username, image) } else { CredentialKind::Empty };
        let credentials = is_complete.then_some(Credentials { username, password });
        Self { entry: Some(entry), credentials, kind, evidence }
    }
}

/// The kind of credential that a user name belongs to.
fn kind_of(username: &str, image: &ImageReference) -> CredentialKind {
    let lengths = [8, 4, 4, 4, 12];
    let parts: Vec<_> = username.split('-').collect();
    let is_guid = parts.len() == lengths.len()
        && parts
            .iter()
            .zip(lengths)
            .all(|(part, length)| part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if is_guid && username.bytes().all(|byte| matches!(byte, b'0' | b'-')) {
        CredentialKind::RefreshToken
    } else if is_guid {
        CredentialKind::ServicePrincipal
    } else if image.is_acr() && username.eq_ignore_ascii_case(image.registry_name()) {
        CredentialKind::AdminUser
    } else {
        CredentialKind::RepositoryToken
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

#[cfg(test)]
mod tests;
