//! The credentials that a pull was tried with, as far as a report may know them: never a value.

/// Whose credentials a pull used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialsUsed {
    /// An entry of a Secret, a docker configuration, or a folder with user name and password.
    Secret,
    /// None: the registry's anonymous pull.
    Anonymous,
    /// The managed identity of the node.
    ManagedIdentity,
    /// The workload identity of the Pod.
    WorkloadIdentity,
}

impl CredentialsUsed {
    /// Every value.
    pub const ALL: [Self; 4] = [Self::Secret, Self::Anonymous, Self::ManagedIdentity, Self::WorkloadIdentity];

    /// The contract's word for it.
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
    /// Its key and file, as a message shows them: `` `contoso.azurecr.io` of `/path/config.json` ``.
    pub entry: String,
    /// What kind of credential it holds.
    pub kind: CredentialKind,
    /// What the file itself shows about it.
    pub evidence: Vec<CredentialEvidence>,
}

/// What kind of credential a user name belongs to, as far as the name reveals it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CredentialKind {
    /// A repository token; any name that is none of the others.
    RepositoryToken,
    /// The registry's own name: the admin user, or a repository token of that name.
    AdminUser,
    /// A GUID: the client id of a service principal.
    ServicePrincipal,
    /// The GUID of zeros: an ACR refresh token in place of a password, as `az acr login --expose-token` prints it.
    RefreshToken,
    /// No user name, or no password: the kubelet's pull with this entry is anonymous.
    Empty,
}

/// What the file shows about a credential that cannot work, or not as its author expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CredentialEvidence {
    /// The password has a line end as its last character.
    LineEnd,
    /// The user name or the password has a blank at one of its ends.
    Blank,
    /// `auth` and the fields `username` and `password` differ; `auth` counts.
    AuthDiffers,
    /// The user name or the password is not UTF-8.
    NotUtf8,
}
