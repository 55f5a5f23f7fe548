//! Credentials from files: docker's `config.json`, a mounted Kubernetes secret, or `username` and `password`.
//!
//! Owns where they are looked for and what is said when they are not there. Nothing is kept: every check reads what is
//! there now, as a pull would. No message carries a value, only paths, names of keys and places.

mod docker;

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use self::docker::{DockerConfig, Pair};
use crate::config::ImageConfig;
use crate::file::{self, FileError};
use crate::image::ImageReference;
use crate::secret::Secret;

/// Largest file that is read, in bytes: what a Kubernetes secret may hold.
const MAX_BYTES: u64 = 1 << 20;
/// The file of a mounted `kubernetes.io/dockerconfigjson` secret, and docker's own name for the same.
const DOCKER_FILES: [&str; 2] = [".dockerconfigjson", "config.json"];
/// How often a folder is read that Kubernetes swaps meanwhile; once is rare enough.
const MAX_SWAPS: usize = 3;

/// Where credentials are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialsSource {
    /// Tried in this order; the first that exists decides. One path where the operator named it.
    pub paths: Vec<PathBuf>,
    /// When they end, where the configuration tells; goes before a key `expiresAt` in the secret.
    pub expires_at: Option<Timestamp>,
}

/// A user name and its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name of the repository token.
    pub username: String,
    /// One of its passwords.
    pub password: Secret,
    /// When they end, where somebody has told us.
    pub expires_at: Option<Timestamp>,
}

/// Why there are no credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// There are none for this login server.
    #[error("{0}")]
    Missing(String),
    /// There are, and they cannot be read.
    #[error("{0}")]
    Invalid(String),
}

impl CredentialsSource {
    /// The one path that the operator named.
    #[must_use]
    pub fn named(path: PathBuf, expires_at: Option<Timestamp>) -> Self {
        Self { paths: vec![path], expires_at }
    }

    /// Where the credentials of a configured image are: where it says, else in the `usual` places.
    #[must_use]
    pub fn of(image: &ImageConfig, usual: &[PathBuf]) -> Self {
        match &image.credentials {
            Some(named) => Self::named(named.path.clone(), named.expires_at),
            None => Self { paths: usual.to_vec(), expires_at: None },
        }
    }

    /// Docker's usual places: `config.json` in `$DOCKER_CONFIG`, then in `.docker` of the home folder.
    #[must_use]
    pub fn usual(docker_config: Option<&OsStr>, home: Option<&Path>) -> Self {
        let folder = docker_config.filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let home = home.filter(|home| !home.as_os_str().is_empty()).map(|home| home.join(".docker"));
        let mut paths: Vec<_> =
            folder.into_iter().chain(home).map(|folder| folder.join("config.json")).collect();
        paths.dedup();
        Self { paths, expires_at: None }
    }

    /// Reads the credentials for an image, as they are now.
    ///
    /// # Errors
    /// A phrase that names the places; never a value.
    pub fn read(&self, image: &ImageReference) -> Result<Credentials, CredentialsError> {
        for path in &self.paths {
            let Some(stored) = open(path)? else { continue };
            let (pair, expires_at) = match stored {
                Stored::Docker { file, config, expires_at } => {
                    let pair = config.find(image).map_err(|error| error.about(&file))?;
                    (pair, expires_at)
                }
                Stored::Pair { pair, expires_at } => (pair, expires_at),
                Stored::Nothing => return Err(nothing_in(path)),
            };
            let expires_at = self.expires_at.or(expires_at);
            return Ok(Credentials { username: pair.username, password: pair.password, expires_at });
        }
        let places: Vec<_> = self.paths.iter().map(|path| format!("`{}`", path.display())).collect();
        Err(CredentialsError::Missing(if places.is_empty() {
            "there is no place to look for them: no path was given, and neither DOCKER_CONFIG nor HOME is set"
                .to_owned()
        } else {
            format!("there is nothing at {}", places.join(" or "))
        }))
    }
}

/// Finds out whether a path holds credentials at all, whatever they are for: what is wrong here is wrong usage, and not
/// a missing entry for some registry.
///
/// # Errors
/// There is nothing, it cannot be read, or it has another form.
pub fn inspect(path: &Path) -> Result<(), CredentialsError> {
    match open(path)? {
        Some(Stored::Docker { .. } | Stored::Pair { .. }) => Ok(()),
        Some(Stored::Nothing) => Err(nothing_in(path)),
        None => Err(CredentialsError::Missing(format!("there is nothing at `{}`", path.display()))),
    }
}

/// What a path holds.
enum Stored {
    /// A docker configuration, in the named file.
    Docker { file: PathBuf, config: DockerConfig, expires_at: Option<Timestamp> },
    /// One user for every registry.
    Pair { pair: Pair, expires_at: Option<Timestamp> },
    /// A folder without any of the known files.
    Nothing,
}

impl CredentialsError {
    /// Puts the file in front of a phrase about it.
    fn about(self, file: &Path) -> Self {
        let tell = |phrase: String| format!("`{}` cannot be used: {phrase}", file.display());
        match self {
            Self::Missing(phrase) => Self::Missing(format!("`{}` was read: {phrase}", file.display())),
            Self::Invalid(phrase) => Self::Invalid(tell(phrase)),
        }
    }
}

fn nothing_in(folder: &Path) -> CredentialsError {
    CredentialsError::Missing(format!(
        "the folder `{}` has neither .dockerconfigjson, nor config.json, nor username and password",
        folder.display()
    ))
}

/// Opens what is at a path; nothing where nothing is there.
fn open(path: &Path) -> Result<Option<Stored>, CredentialsError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => open_folder(path).map(Some),
        Ok(_) => Ok(read_docker(path)?.map(|config| Stored::Docker {
            file: path.to_owned(),
            config,
            expires_at: None,
        })),
        Err(error) if is_absence(&error) => Ok(None),
        Err(error) => Err(unreadable(path, &error)),
    }
}

/// Opens a folder in one piece: Kubernetes updates a mounted secret by pointing `..data` elsewhere, and a user name from
/// before with a password from after would be a failure that nobody can find.
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

/// Opens the files of a folder in `data`; messages name them as they are seen in `folder`.
fn open_files(folder: &Path, data: &Path) -> Result<Stored, CredentialsError> {
    let read = |name: &str| read_text(&data.join(name), &folder.join(name));
    let expires_at = || match read("expiresAt")? {
        None => Ok(None),
        Some(text) => text.trim().parse::<Timestamp>().map(Some).map_err(|_| {
            let phrase = "it is no time of RFC 3339, such as 2027-05-01T00:00:00Z".to_owned();
            CredentialsError::Invalid(phrase).about(&folder.join("expiresAt"))
        }),
    };
    for name in DOCKER_FILES {
        let file = folder.join(name);
        if let Some(text) = read(name)? {
            let config = DockerConfig::parse(&text).map_err(|error| error.about(&file))?;
            return Ok(Stored::Docker { file, config, expires_at: expires_at()? });
        }
    }
    let (username, password) = match (read("username")?, read("password")?) {
        (None, None) => return Ok(Stored::Nothing),
        (Some(username), Some(password)) => (username, password),
        (username, _) => {
            let (there, absent) =
                if username.is_some() { ("username", "password") } else { ("password", "username") };
            return Err(CredentialsError::Invalid(format!(
                "the folder `{}` has {there}, but no {absent}",
                folder.display()
            )));
        }
    };
    let [username, password] =
        [username, password].map(|text| text.trim_end_matches(['\r', '\n']).to_owned());
    for (name, text) in [("username", &username), ("password", &password)] {
        if text.is_empty() {
            return Err(CredentialsError::Invalid(format!("`{}` is empty", folder.join(name).display())));
        }
    }
    Ok(Stored::Pair { pair: Pair { username, password: Secret::new(password) }, expires_at: expires_at()? })
}

fn read_docker(path: &Path) -> Result<Option<DockerConfig>, CredentialsError> {
    let Some(text) = read_text(path, path)? else { return Ok(None) };
    DockerConfig::parse(&text).map(Some).map_err(|error| error.about(path))
}

/// The text of a file, bounded; nothing where it is not there. Messages name it as `shown`.
fn read_text(path: &Path, shown: &Path) -> Result<Option<String>, CredentialsError> {
    let refuse = |phrase: &str| CredentialsError::Invalid(phrase.to_owned()).about(shown);
    let bytes = match file::read(path, MAX_BYTES) {
        Ok(bytes) => bytes,
        Err(FileError::Read(error)) if is_absence(&error) => return Ok(None),
        Err(FileError::Read(error)) => return Err(unreadable(shown, &error)),
        Err(FileError::Irregular) => return Err(refuse("it is no regular file")),
        Err(FileError::TooLarge) => return Err(refuse("it is larger than 1 MiB")),
    };
    String::from_utf8(bytes).map(Some).map_err(|_| refuse("it is not UTF-8"))
}

fn unreadable(path: &Path, error: &io::Error) -> CredentialsError {
    CredentialsError::Invalid(format!("it cannot be read: {error}")).about(path)
}

/// Whether there is simply nothing: also where a part of the path is a file.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests;
