//! The credentials for an image, as a kubelet finds them.
//!
//! Owns the sources and what they yield: the attempts that a kubelet makes, in its order. Nothing is cached: every check reads
//! its source again, as a pull does. [`files`] reads files, [`identity`] describes the identities of the node and the Pod,
//! whose tokens the probe requests. A further source is a variant of [`CredentialsSource`].

mod docker;
mod files;
mod fingerprint;
mod identity;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

pub use self::files::{CredentialFiles, inspect};
pub use self::fingerprint::Fingerprint;
pub use self::identity::{Federated, ManagedIdentity, WorkloadIdentity};

use self::docker::Pair;
use crate::config::value::is_guid;
use crate::config::{CredentialsConfig, ImageConfig};
use crate::image::ImageReference;
use crate::observation::{CredentialEvidence, CredentialKind, CredentialsUsed, RejectedEntry};
use crate::secret::Secret;

/// The user name for a refresh token of ACR (its documentation of OAuth).
const REFRESH_TOKEN_USER: &str = "00000000-0000-0000-0000-000000000000";

/// Where the credentials of an image come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialsSource {
    /// Files, as the kubelet reads them.
    Files(CredentialFiles),
    /// The node's managed identity, as the kubelet's credential provider uses it.
    ManagedIdentity(ManagedIdentity),
    /// The Pod's workload identity.
    WorkloadIdentity(WorkloadIdentity),
}

/// The credentials that this process finds in its environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AmbientCredentials {
    /// Docker's usual files, for images that configure no credentials.
    pub files: Vec<PathBuf>,
    /// The Pod's workload identity, for images that use it.
    pub workload_identity: WorkloadIdentity,
}

/// What a kubelet finds for an image, in the order in which it tries it.
///
/// The kubelet (`kuberuntime_image.go`) pulls once with each credential that it finds, until one pull works. It pulls without
/// any only if it finds none: an anonymous pull never follows a rejected entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
        Self::Files(CredentialFiles { paths: vec![path], expires_at })
    }

    /// The source of a configured image's credentials: its own if set, otherwise docker's usual files.
    #[must_use]
    pub fn of(image: &ImageConfig, ambient: &AmbientCredentials) -> Self {
        match &image.credentials {
            Some(CredentialsConfig::Path { path, expires_at }) => Self::named(path.clone(), *expires_at),
            Some(CredentialsConfig::ManagedIdentity { client_id }) => {
                Self::ManagedIdentity(ManagedIdentity { client_id: client_id.clone() })
            }
            Some(CredentialsConfig::WorkloadIdentity) => {
                Self::WorkloadIdentity(ambient.workload_identity.clone())
            }
            None => Self::Files(CredentialFiles { paths: ambient.files.clone(), expires_at: None }),
        }
    }

    /// Docker's usual files: `config.json` in `$DOCKER_CONFIG`, then in `.docker` of the home folder.
    #[must_use]
    pub fn usual(docker_config: Option<&OsStr>, home: Option<&Path>) -> CredentialFiles {
        CredentialFiles::usual(docker_config, home)
    }

    /// Returns the configured expiry of the credentials, if set.
    #[must_use]
    pub const fn expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::Files(files) => files.expires_at,
            Self::ManagedIdentity(_) | Self::WorkloadIdentity(_) => None,
        }
    }

    /// Returns the current state of the source; it differs as soon as the credentials may have changed.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        match self {
            Self::Files(files) => files.fingerprint(),
            // The token of an identity is requested at every check, and renewing it changes nothing.
            Self::ManagedIdentity(_) | Self::WorkloadIdentity(_) => Fingerprint::default(),
        }
    }
}

impl Found {
    /// No entry matches the image: the kubelet pulls once, without credentials.
    fn anonymous(searched: String, expires_at: Option<Timestamp>) -> Self {
        Self { attempts: vec![Attempt::anonymous()], searched: Some(searched), expires_at }
    }
}

impl Attempt {
    /// The attempt with a refresh token that the registry has just issued to an identity.
    #[must_use]
    pub fn with_refresh_token(token: Secret) -> Self {
        let credentials = Credentials { username: REFRESH_TOKEN_USER.to_owned(), password: token };
        Self {
            entry: None,
            credentials: Some(credentials),
            kind: CredentialKind::RefreshToken,
            evidence: Vec::new(),
        }
    }

    /// The attempt without credentials.
    #[must_use]
    pub const fn anonymous() -> Self {
        Self { entry: None, credentials: None, kind: CredentialKind::Empty, evidence: Vec::new() }
    }

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
    let is_guid = is_guid(username);
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

#[cfg(test)]
mod tests;
