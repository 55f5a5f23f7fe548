//! Credentials from files: docker's `config.json`, a mounted Kubernetes secret, or `username` and `password`.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::image::ImageReference;
use crate::secret::Secret;

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
    /// Reads the credentials for a login server, as they are now.
    pub fn read(&self, _image: &ImageReference) -> Result<Credentials, CredentialsError> {
        Err(CredentialsError::Missing(String::new()))
    }
}
