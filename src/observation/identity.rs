//! Facts about the identity of a pull: whose it is, and why it could not be used. Never a token.

use std::time::Duration;

use super::{ConnectFailure, CredentialsUsed, Failure, TlsFailure, Token};

/// What kind of identity a pull uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityKind {
    /// The node's managed identity, with which the kubelet pulls.
    Managed,
    /// The Pod's workload identity.
    Workload,
}

impl IdentityKind {
    /// Returns the credentials of a pull with such an identity.
    #[must_use]
    pub const fn credentials(self) -> CredentialsUsed {
        match self {
            Self::Managed => CredentialsUsed::ManagedIdentity,
            Self::Workload => CredentialsUsed::WorkloadIdentity,
        }
    }
}

/// The identity of a pull, as far as the configuration and its token show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The kind of identity.
    pub kind: IdentityKind,
    /// Its client id: the configured one, otherwise that in the token.
    pub client_id: Option<String>,
    /// The Azure resource id of a managed identity, from the token.
    pub resource_id: Option<String>,
    /// Whether the registry exchanged its token for a refresh token.
    pub exchanged: bool,
    /// Whether the registry assigns roles by repository (ABAC), from its refresh token; absent without one.
    pub abac: Option<bool>,
}

impl Identity {
    /// An identity that has no token yet.
    #[must_use]
    pub const fn new(kind: IdentityKind, client_id: Option<String>) -> Self {
        Self { kind, client_id, resource_id: None, exchanged: false, abac: None }
    }

    /// Returns kind, client id and name, as far as they are known: `managed identity CLIENT_ID (agentpool)`.
    #[must_use]
    pub fn name(&self) -> String {
        let kind = match self.kind {
            IdentityKind::Managed => "managed identity",
            IdentityKind::Workload => "workload identity",
        };
        let client_id = self.client_id.as_ref().map(|id| format!(" {id}")).unwrap_or_default();
        let name = self.resource_id.as_deref().and_then(|id| id.rsplit('/').next());
        let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
        format!("{kind}{client_id}{name}")
    }
}

/// The service that issues an identity's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityService {
    /// Azure's instance metadata service on the node's host.
    Imds,
    /// Microsoft Entra ID.
    Entra,
}

/// Why an identity could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityFault {
    /// The Pod has no usable workload identity: a variable is missing or invalid, or the token file cannot be read.
    NotInjected {
        /// A phrase with the variable or file and what is wrong; never a value of the file.
        reason: String,
    },
    /// The service issued no token, and did not say that the identity is the reason.
    NoToken {
        /// The service.
        service: IdentityService,
        /// Its host name, or its address.
        host: String,
        /// What happened instead.
        fault: ServiceFault,
    },
    /// IMDS does not know the identity, or knows several and none is named.
    NotFound {
        /// What IMDS says, bounded.
        message: Option<String>,
    },
    /// Entra ID rejects the identity.
    Rejected(EntraError),
    /// The registry issued a refresh token without the right to read.
    WithoutRead {
        /// The actions in the refresh token, bounded.
        actions: Vec<String>,
    },
}

impl IdentityFault {
    /// Whether a later request may succeed, so that nothing is known about the identity.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::NoToken { service, fault, host: _ } => fault.is_transient(*service),
            Self::NotInjected { .. }
            | Self::NotFound { .. }
            | Self::Rejected(_)
            | Self::WithoutRead { .. } => false,
        }
    }
}

/// Why a pull could not use its identity, if an anonymous pull worked instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityFailure {
    /// The failure.
    pub failure: Failure,
    /// Facts about the token that the identity was granted, if it got that far.
    pub token: Option<Token>,
    /// The correlation id of the last response before the anonymous pull.
    pub correlation_id: Option<String>,
}

/// Why a service issued no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceFault {
    /// Its name has no address.
    NotResolved {
        /// What the nameservers answered, as a phrase.
        reason: String,
    },
    /// No connection.
    NotConnected(ConnectFailure),
    /// The TLS handshake failed.
    Tls(TlsFailure),
    /// Connected, but no complete response within the per-stage timeout.
    NoResponse {
        /// The per-stage timeout.
        limit: Duration,
    },
    /// The connection was closed before the response was complete.
    Closed,
    /// A response without a token.
    Answer {
        /// The status code.
        status: u16,
        /// Whether it is an HTML page, as sent by proxies.
        is_page: bool,
        /// The `error` of its body, bounded.
        error: Option<String>,
    },
    /// A response that cannot be used.
    Unusable {
        /// A phrase: `its token names no tenant`.
        reason: &'static str,
    },
}

impl ServiceFault {
    /// Whether a later request may succeed: Azure's guidance for IMDS adds 404 and 410 to the usual statuses.
    const fn is_transient(&self, service: IdentityService) -> bool {
        match self {
            Self::Answer { status, is_page: false, error: _ } => match service {
                IdentityService::Imds => matches!(*status, 404 | 410 | 429 | 500..=599),
                IdentityService::Entra => matches!(*status, 429 | 500..=599),
            },
            Self::Answer { is_page: true, .. }
            | Self::NotResolved { .. }
            | Self::NotConnected(_)
            | Self::Tls(_)
            | Self::NoResponse { .. }
            | Self::Closed
            | Self::Unusable { .. } => false,
        }
    }
}

/// An error of Entra ID (RFC 6749, section 5.2, with Entra's own fields).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntraError {
    /// The `error` field, such as `invalid_client`; bounded.
    pub error: String,
    /// The AADSTS numbers. Microsoft changes their meaning, so they only choose the wording of the advice.
    pub numbers: Vec<u32>,
    /// The first sentence of its description; bounded.
    pub message: Option<String>,
    /// The id by which Azure support finds the request; a GUID.
    pub correlation_id: Option<String>,
}
