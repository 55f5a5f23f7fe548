//! What each cause means, how it is recognised and what mends it.
//!
//! Owns every word of advice: reports, Events, the catalogue and the runbook take it from here, so that they cannot
//! disagree. The texts and commands stand in `network` (name to handshake), `registry` (answers), `credentials` and `content`
//! (manifest to blob); this file only finds them. What was seen is not told here: the evidence is in a diagnosis's own
//! sentence.

mod content;
mod credentials;
mod data;
mod names;
mod network;
mod registry;

pub use credentials::{commands_of_rejected, remedy_of_rejected};
pub use names::Names;
pub use network::{COMPARED_SILENT_REMEDY, NOT_OPENED_REMEDY, not_opened_commands};

use super::Cause;
use crate::observation::Endpoint;

/// All that is said about one cause, whatever the evidence.
struct Advice {
    meaning: &'static str,
    recognised_by: &'static str,
    remedy: &'static str,
    commands: fn(&Names) -> Vec<String>,
}

/// What it means for the node: one sentence.
#[must_use]
pub const fn meaning(cause: Cause) -> &'static str {
    advice(cause).meaning
}

/// How it is recognised: one phrase, for the catalogue's table.
#[must_use]
pub const fn recognised_by(cause: Cause) -> &'static str {
    advice(cause).recognised_by
}

/// What mends it: one imperative sentence.
#[must_use]
pub const fn remedy(cause: Cause) -> &'static str {
    advice(cause).remedy
}

/// The same at one of the two endpoints: the data endpoint has records and names of its own.
#[must_use]
pub fn remedy_at(cause: Cause, endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Login => remedy(cause),
        Endpoint::Data => data::remedy(cause).unwrap_or_else(|| remedy(cause)),
    }
}

/// What to paste into a shell: first what shows the fault, then what mends it. What cannot be known stands in capitals.
#[must_use]
pub fn commands(cause: Cause, names: &Names) -> Vec<String> {
    let at_data = if names.is_of_data() { data::commands(cause, names) } else { None };
    at_data.unwrap_or_else(|| (advice(cause).commands)(names))
}

const fn advice(cause: Cause) -> &'static Advice {
    match cause {
        Cause::NoNameserver => &network::NO_NAMESERVER,
        Cause::DnsTimeout => &network::DNS_TIMEOUT,
        Cause::DnsServerFailure => &network::DNS_SERVER_FAILURE,
        Cause::NameNotFound => &network::NAME_NOT_FOUND,
        Cause::PrivateRecordMissing => &network::PRIVATE_RECORD_MISSING,
        Cause::PrivateZoneNotLinked => &network::PRIVATE_ZONE_NOT_LINKED,
        Cause::NoPrivateEndpoint => &network::NO_PRIVATE_ENDPOINT,
        Cause::MixedAddresses => &network::MIXED_ADDRESSES,
        Cause::UnexpectedAddress => &network::UNEXPECTED_ADDRESS,
        Cause::ReservedAddress => &network::RESERVED_ADDRESS,
        Cause::ConnectTimeout => &network::CONNECT_TIMEOUT,
        Cause::ConnectRefused => &network::CONNECT_REFUSED,
        Cause::NetworkUnreachable => &network::NETWORK_UNREACHABLE,
        Cause::ConnectionReset => &network::CONNECTION_RESET,
        Cause::CertificateUntrusted => &network::CERTIFICATE_UNTRUSTED,
        Cause::CertificateNameMismatch => &network::CERTIFICATE_NAME_MISMATCH,
        Cause::CertificateExpired => &network::CERTIFICATE_EXPIRED,
        Cause::CertificateNotYetValid => &network::CERTIFICATE_NOT_YET_VALID,
        Cause::TlsHandshakeFailed => &network::TLS_HANDSHAKE_FAILED,
        Cause::ResponseTimeout => &registry::RESPONSE_TIMEOUT,
        Cause::RegistryError => &registry::REGISTRY_ERROR,
        Cause::Throttled => &registry::THROTTLED,
        Cause::AccessDenied => &registry::ACCESS_DENIED,
        Cause::NotARegistry => &registry::NOT_A_REGISTRY,
        Cause::UntrustedRedirect => &registry::UNTRUSTED_REDIRECT,
        Cause::UntrustedRealm => &registry::UNTRUSTED_REALM,
        Cause::CredentialsMissing => &credentials::CREDENTIALS_MISSING,
        Cause::CredentialsInvalid => &credentials::CREDENTIALS_INVALID,
        Cause::CredentialsRejected => &credentials::CREDENTIALS_REJECTED,
        Cause::ScopeMissing => &registry::SCOPE_MISSING,
        Cause::TokenRefused => &registry::TOKEN_REFUSED,
        Cause::RepositoryNotFound => &content::REPOSITORY_NOT_FOUND,
        Cause::ManifestNotFound => &content::MANIFEST_NOT_FOUND,
        Cause::ManifestQuarantined => &content::MANIFEST_QUARANTINED,
        Cause::CacheRuleFailed => &content::CACHE_RULE_FAILED,
        Cause::ManifestInvalid => &content::MANIFEST_INVALID,
        Cause::DigestMismatch => &content::DIGEST_MISMATCH,
        Cause::PlatformMissing => &content::PLATFORM_MISSING,
        Cause::PlatformMismatch => &content::PLATFORM_MISMATCH,
        Cause::DataEndpointDisabled => &content::DATA_ENDPOINT_DISABLED,
        Cause::BlobNotFound => &content::BLOB_NOT_FOUND,
        Cause::BlobDenied => &content::BLOB_DENIED,
        Cause::ResolversDisagree => &network::RESOLVERS_DISAGREE,
        Cause::NameserverFailing => &network::NAMESERVER_FAILING,
        Cause::CertificateExpiring => &network::CERTIFICATE_EXPIRING,
        Cause::CredentialsExpiring => &credentials::CREDENTIALS_EXPIRING,
        Cause::ProxyBypassed => &network::PROXY_BYPASSED,
        Cause::CredentialsStaleEntry => &credentials::CREDENTIALS_STALE_ENTRY,
        Cause::DeadlineExceeded => &registry::DEADLINE_EXCEEDED,
    }
}
