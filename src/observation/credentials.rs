//! Facts about the credentials of a pull that a report may contain: never a value.

/// The kind of credentials that a pull used.
///
/// An identity is one of them, even if the registry rejected it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialsUsed {
    /// An entry of a Secret, of a docker configuration, or of a folder with user name and password.
    Secret,
    /// No credentials: an anonymous pull.
    Anonymous,
    /// The managed identity of the node.
    ManagedIdentity,
    /// The workload identity of the Pod.
    WorkloadIdentity,
}

impl CredentialsUsed {
    /// Every value.
    pub const ALL: [Self; 4] = [Self::Secret, Self::Anonymous, Self::ManagedIdentity, Self::WorkloadIdentity];

    /// Returns the name used in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Anonymous => "anonymous",
            Self::ManagedIdentity => "managed_identity",
            Self::WorkloadIdentity => "workload_identity",
        }
    }
}

/// An entry that the registry rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedEntry {
    /// The key and file as shown in messages: `` `contoso.azurecr.io` of `/path/config.json` ``.
    pub entry: String,
    /// The kind of the credential.
    pub kind: CredentialKind,
    /// Evidence in the file about why it cannot work.
    pub evidence: Vec<CredentialEvidence>,
}

/// The kind of a credential, as far as the user name reveals it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CredentialKind {
    /// A repository token; the default for any other name.
    RepositoryToken,
    /// The user name is the registry's name: the admin user, or a repository token of that name.
    AdminUser,
    /// The user name is a GUID: the client id of a service principal.
    ServicePrincipal,
    /// The user name is the zero GUID: the password is an ACR refresh token, as printed by `az acr login --expose-token`.
    RefreshToken,
    /// No user name or no password: the kubelet pulls anonymously with this entry.
    Empty,
}

/// Evidence in the file that a credential cannot work, or not as its author expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CredentialEvidence {
    /// The password ends in a newline.
    LineEnd,
    /// The user name or the password begins or ends with whitespace.
    Blank,
    /// `auth` differs from the fields `username` and `password`; `auth` is used.
    AuthDiffers,
    /// The user name or the password is not UTF-8.
    NotUtf8,
}
