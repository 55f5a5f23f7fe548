//! The identities of a cluster, the services that issue their tokens, and what the registry grants them.
//!
//! Owns the settings of IMDS, Entra ID and the exchange. Both services are off by default; `imds.rs`, `entra.rs` and
//! `exchange.rs` write the answers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::Endpoint;
use crate::answers::{Delivery, RetryAfter};

/// The audience of tokens for every registry, in every cloud.
pub const REGISTRY_AUDIENCE: &str = "https://containerregistry.azure.net";
/// The audience of Azure Resource Manager, which most registries accept as well.
pub const ARM_AUDIENCE: &str = "https://management.azure.com/";
/// The audience of an assertion for Entra ID.
pub const ASSERTION_AUDIENCE: &str = "api://AzureADTokenExchange";
/// The name of Entra ID in each cloud.
pub const AUTHORITIES: [&str; 4] = [
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.chinacloudapi.cn",
    "login.partner.microsoftonline.cn",
];

/// The cluster's identities, their services, and their rights.
#[derive(Clone, Debug)]
pub struct Identity {
    pub imds: Service<ImdsFault>,
    pub entra: Service<EntraFault>,
    /// How the lab's nameservers answer the names of Entra ID. Only if Entra ID has an address.
    pub authority_names: AuthorityNames,
    /// The only tenant that Entra ID knows, and the tenant of the registry.
    pub tenant: String,
    /// The node's user-assigned identities; the first is the kubelet's.
    pub assigned: Vec<ManagedIdentity>,
    /// The node's system-assigned identity.
    pub system_assigned: Option<ManagedIdentity>,
    /// The only federated credential of the tenant.
    pub federated: FederatedCredential,
    /// The rights of every identity at the registry.
    pub rights: Rights,
    /// Whether the registry also accepts tokens for Azure Resource Manager.
    pub arm_tokens: bool,
    /// How long a token of IMDS or Entra ID lasts. IMDS returns the same token until it expires.
    pub token_life: Duration,
    /// How long a refresh token of the registry lasts.
    pub refresh_life: Duration,
}

impl Default for Identity {
    fn default() -> Self {
        let kubelet = ManagedIdentity::named(
            "cluster-agentpool",
            "9a1b2c3d-4e5f-4061-8273-94a5b6c7d8e9",
            "3c5e7a90-1b2d-4f60-8a9c-0d1e2f3a4b5c",
        );
        Self {
            imds: Service::default(),
            entra: Service::default(),
            authority_names: AuthorityNames::Answer,
            tenant: "5f2d8a3e-6c1b-4a77-9b0e-1d2c3b4a5f60".into(),
            assigned: vec![kubelet],
            system_assigned: None,
            federated: FederatedCredential::default(),
            rights: Rights::Pull,
            arm_tokens: true,
            token_life: Duration::from_secs(86_400),
            // As recorded: 3 h 15 min.
            refresh_life: Duration::from_secs(11_700),
        }
    }
}

impl Identity {
    /// IMDS and Entra ID at free ports of loopback.
    pub fn on_loopback() -> Self {
        let any = Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0));
        let mut identity = Self::default();
        identity.imds.address = any;
        identity.entra.address = any;
        identity
    }

    /// IMDS at its constant address, and Entra ID at an address with its own port; both must exist in the test's network.
    pub fn at_azures_addresses(entra: IpAddr) -> Self {
        let mut identity = Self::default();
        identity.imds.address = Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)), 80));
        identity.entra.address = Some(SocketAddr::new(entra, 443));
        identity
    }

    /// The client ID of the kubelet's identity.
    pub fn kubelet_client_id(&self) -> &str {
        self.assigned.first().map_or("", |identity| &identity.client_id)
    }

    /// A further identity of the node, such as that of an add-on.
    pub fn assign_another(&mut self) {
        self.assigned.push(ManagedIdentity::named(
            "azurepolicy-cluster",
            "b7c6d5e4-f3a2-4b1c-9d0e-8f7a6b5c4d3e",
            "6e5d4c3b-2a19-4807-96f5-e4d3c2b1a098",
        ));
    }
}

/// One of the two services, and how it fails.
#[derive(Clone, Debug)]
pub struct Service<F> {
    /// Read once, at the start: `None` does not run the service, port 0 selects a free one.
    pub address: Option<SocketAddr>,
    /// Transport and, for Entra ID, TLS.
    pub endpoint: Endpoint,
    /// The faulty answer to every token request; `None` answers as Azure does.
    pub answer: Option<F>,
    /// The faulty answers to the first token requests, one each. A change of settings restarts the count.
    pub first: Vec<F>,
    pub delivery: Delivery,
}

impl<F> Default for Service<F> {
    fn default() -> Self {
        Self {
            address: None,
            endpoint: Endpoint::default(),
            answer: None,
            first: Vec::new(),
            delivery: Delivery::Whole,
        }
    }
}

/// A managed identity of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedIdentity {
    pub client_id: String,
    pub object_id: String,
    /// Its path in Azure, the resource ID.
    pub resource: String,
}

impl ManagedIdentity {
    fn named(name: &str, client_id: &str, object_id: &str) -> Self {
        let group =
            "/subscriptions/0f1e2d3c-4b5a-4697-8879-6a5b4c3d2e1f/resourcegroups/MC_cluster_westeurope";
        Self {
            client_id: client_id.into(),
            object_id: object_id.into(),
            resource: format!("{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"),
        }
    }
}

/// The federated credential of a workload identity, and what an assertion must contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FederatedCredential {
    pub client_id: String,
    pub object_id: String,
    pub issuer: String,
    pub subject: String,
    pub audience: String,
}

impl Default for FederatedCredential {
    fn default() -> Self {
        Self {
            client_id: "c4d3e2f1-0a9b-4c8d-8e7f-6a5b4c3d2e1f".into(),
            object_id: "1f2e3d4c-5b6a-4798-8897-a6b5c4d3e2f1".into(),
            issuer:
                "https://westeurope.oic.prod-aks.azure.com/5f2d8a3e-6c1b-4a77-9b0e-1d2c3b4a5f60/0b9a8c7d/"
                    .into(),
            subject: "system:serviceaccount:acr-verifier:acr-verifier".into(),
            audience: ASSERTION_AUDIENCE.into(),
        }
    }
}

/// A projected service account token, as the kubelet writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    pub issuer: String,
    pub subject: String,
    pub audience: String,
    pub validity: Validity,
}

impl Default for Assertion {
    fn default() -> Self {
        let FederatedCredential { issuer, subject, audience, .. } = FederatedCredential::default();
        Self { issuer, subject, audience, validity: Validity::Now }
    }
}

/// When an assertion is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// For an hour, from now.
    Now,
    /// For an hour, two hours ago.
    Expired,
    /// For an hour, in two hours.
    NotYet,
}

/// What the registry grants an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rights {
    /// RBAC with `AcrPull`: the refresh token permits `read`.
    Pull,
    /// The same with the claim's older spelling, `Actions`.
    PullAsActions,
    /// RBAC without a role: the exchange answers 401.
    None,
    /// RBAC with a role that does not permit a pull: the refresh token lacks `read`.
    WithoutRead,
    /// RBAC with a role that was removed after the exchange: the token endpoint answers 401.
    RemovedAfterExchange,
    /// ABAC: the refresh token has no claim `permissions`, and these repositories may be read.
    Abac { readable: Vec<String>, refusal: AbacRefusal },
}

/// Where an ABAC registry rejects a pull. No public source says which, so clients must expect all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbacRefusal {
    /// 401 of the token endpoint.
    AtToken,
    /// A token with an empty access claim, refused at the manifest.
    EmptyAccess,
    /// A token that lists the pull, refused at the manifest with `insufficient_scope`.
    AtManifest,
}

/// How nameservers answer the names of Entra ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorityNames {
    /// The public chain, with the lab's address if Entra ID has its own port there, otherwise with a public address.
    Answer,
    /// NXDOMAIN.
    NotFound,
    /// No answer.
    Silent,
    /// SERVFAIL.
    ServFail,
}

/// Faults of the metadata service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImdsFault {
    /// 400 `Identity not found`, whatever identity is requested.
    IdentityNotFound,
    /// 400 AADSTS50001: the audience is unknown in the tenant.
    InvalidResource,
    /// A JSON error with this status: 403, 404, 410 while the node starts, or 5xx.
    Status(u16),
    /// 429.
    Throttled(RetryAfter),
    /// The HTML page of a proxy with this status.
    Html(u16),
    /// 302 to another host.
    Redirect,
    /// 200 with a token that is faulty or absent.
    Token(TokenDefect),
    /// 400 whose text repeats the token that the identity would get.
    Echo,
}

/// Faults of Entra ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntraFault {
    /// A refusal with the number of an AADSTS error, known or unknown.
    Refused(u32),
    /// 429.
    Throttled(RetryAfter),
    /// A JSON error with this status: 5xx.
    Status(u16),
    /// The HTML page of a proxy with this status.
    Html(u16),
    /// 302 to another host.
    Redirect,
    /// 200 with a token that is faulty or absent.
    Token(TokenDefect),
    /// A refusal whose text repeats the assertion.
    Echo,
}

/// Defects of a token response with status 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenDefect {
    /// The body is not JSON.
    NotJson,
    /// An object without a token.
    Missing,
    /// An empty token.
    Empty,
    /// A token of 1 MiB.
    OverLong,
    /// A token with a line break.
    LineBreak,
    /// A token that is not a JWT. The registry does not know it.
    Opaque,
    /// A JWT without the claim `tid`. The registry knows it.
    WithoutTenant,
    /// A token for Microsoft Graph.
    OtherAudience,
    /// A token that has expired.
    Expired,
}

/// Faults of the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeFault {
    /// 200 with text that is not JSON.
    NotJson,
    /// 200 with an object without a refresh token.
    Missing,
    /// 200 with an empty refresh token.
    Empty,
    /// 200 with a refresh token of 1 MiB.
    OverLong,
    /// 200 with a refresh token that contains a line break.
    LineBreak,
    /// A refresh token that is not a JWT. The token endpoint accepts it.
    Opaque,
    /// A refresh token that has expired.
    Expired,
    /// A refresh token of another registry.
    OtherAudience,
    /// A redirect to a host whose name begins with the token of the request.
    RedirectEcho,
}
