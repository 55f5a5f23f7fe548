//! The closed list of causes: code, stages, severity.
//!
//! Owns the names that reports, labels, Events and alerts hold on to (extend the list, never rename). How a cause is
//! recognised is in `rules`; what to do about it is in [`advice`]. A new cause goes here, into [`Cause::ALL`], and the
//! compiler then asks for the rest.

pub mod advice;

use std::fmt;

use crate::observation::Stage;
use crate::verdict::Severity;

/// Why an image cannot be pulled, or soon will not be, or could not be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    missing_docs,
    reason = "`advice::meaning` says what each one means, once, for people and documentation alike"
)]
pub enum Cause {
    NoNameserver,
    DnsTimeout,
    DnsServerFailure,
    NameNotFound,
    PrivateRecordMissing,
    PrivateZoneNotLinked,
    NoPrivateEndpoint,
    MixedAddresses,
    UnexpectedAddress,
    ReservedAddress,
    ConnectTimeout,
    ConnectRefused,
    NetworkUnreachable,
    ConnectionReset,
    CertificateUntrusted,
    CertificateNameMismatch,
    CertificateExpired,
    CertificateNotYetValid,
    TlsHandshakeFailed,
    ResponseTimeout,
    RegistryError,
    Throttled,
    AccessDenied,
    NotARegistry,
    UntrustedRedirect,
    UntrustedRealm,
    CredentialsMissing,
    CredentialsInvalid,
    CredentialsRejected,
    ScopeMissing,
    TokenRefused,
    RepositoryNotFound,
    ManifestNotFound,
    ManifestQuarantined,
    CacheRuleFailed,
    ManifestInvalid,
    DigestMismatch,
    PlatformMissing,
    PlatformMismatch,
    DataEndpointDisabled,
    BlobNotFound,
    BlobDenied,
    ResolversDisagree,
    NameserverFailing,
    CertificateExpiring,
    CredentialsExpiring,
    ProxyBypassed,
    CredentialsStaleEntry,
    DeadlineExceeded,
}

impl Cause {
    /// Every cause, in the order in which a pull meets them.
    pub const ALL: [Self; 49] = [
        Self::NoNameserver,
        Self::DnsTimeout,
        Self::DnsServerFailure,
        Self::NameNotFound,
        Self::PrivateRecordMissing,
        Self::PrivateZoneNotLinked,
        Self::NoPrivateEndpoint,
        Self::MixedAddresses,
        Self::UnexpectedAddress,
        Self::ReservedAddress,
        Self::ConnectTimeout,
        Self::ConnectRefused,
        Self::NetworkUnreachable,
        Self::ConnectionReset,
        Self::CertificateUntrusted,
        Self::CertificateNameMismatch,
        Self::CertificateExpired,
        Self::CertificateNotYetValid,
        Self::TlsHandshakeFailed,
        Self::ResponseTimeout,
        Self::RegistryError,
        Self::Throttled,
        Self::AccessDenied,
        Self::NotARegistry,
        Self::UntrustedRedirect,
        Self::UntrustedRealm,
        Self::CredentialsMissing,
        Self::CredentialsInvalid,
        Self::CredentialsRejected,
        Self::ScopeMissing,
        Self::TokenRefused,
        Self::RepositoryNotFound,
        Self::ManifestNotFound,
        Self::ManifestQuarantined,
        Self::CacheRuleFailed,
        Self::ManifestInvalid,
        Self::DigestMismatch,
        Self::PlatformMissing,
        Self::PlatformMismatch,
        Self::DataEndpointDisabled,
        Self::BlobNotFound,
        Self::BlobDenied,
        Self::ResolversDisagree,
        Self::NameserverFailing,
        Self::CertificateExpiring,
        Self::CredentialsExpiring,
        Self::ProxyBypassed,
        Self::CredentialsStaleEntry,
        Self::DeadlineExceeded,
    ];

    /// The code in JSON, labels and anchors.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoNameserver => "no_nameserver",
            Self::DnsTimeout => "dns_timeout",
            Self::DnsServerFailure => "dns_server_failure",
            Self::NameNotFound => "name_not_found",
            Self::PrivateRecordMissing => "private_record_missing",
            Self::PrivateZoneNotLinked => "private_zone_not_linked",
            Self::NoPrivateEndpoint => "no_private_endpoint",
            Self::MixedAddresses => "mixed_addresses",
            Self::UnexpectedAddress => "unexpected_address",
            Self::ReservedAddress => "reserved_address",
            Self::ConnectTimeout => "connect_timeout",
            Self::ConnectRefused => "connect_refused",
            Self::NetworkUnreachable => "network_unreachable",
            Self::ConnectionReset => "connection_reset",
            Self::CertificateUntrusted => "certificate_untrusted",
            Self::CertificateNameMismatch => "certificate_name_mismatch",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateNotYetValid => "certificate_not_yet_valid",
            Self::TlsHandshakeFailed => "tls_handshake_failed",
            Self::ResponseTimeout => "response_timeout",
            Self::RegistryError => "registry_error",
            Self::Throttled => "throttled",
            Self::AccessDenied => "access_denied",
            Self::NotARegistry => "not_a_registry",
            Self::UntrustedRedirect => "untrusted_redirect",
            Self::UntrustedRealm => "untrusted_realm",
            Self::CredentialsMissing => "credentials_missing",
            Self::CredentialsInvalid => "credentials_invalid",
            Self::CredentialsRejected => "credentials_rejected",
            Self::ScopeMissing => "scope_missing",
            Self::TokenRefused => "token_refused",
            Self::RepositoryNotFound => "repository_not_found",
            Self::ManifestNotFound => "manifest_not_found",
            Self::ManifestQuarantined => "manifest_quarantined",
            Self::CacheRuleFailed => "cache_rule_failed",
            Self::ManifestInvalid => "manifest_invalid",
            Self::DigestMismatch => "digest_mismatch",
            Self::PlatformMissing => "platform_missing",
            Self::PlatformMismatch => "platform_mismatch",
            Self::DataEndpointDisabled => "data_endpoint_disabled",
            Self::BlobNotFound => "blob_not_found",
            Self::BlobDenied => "blob_denied",
            Self::ResolversDisagree => "resolvers_disagree",
            Self::NameserverFailing => "nameserver_failing",
            Self::CertificateExpiring => "certificate_expiring",
            Self::CredentialsExpiring => "credentials_expiring",
            Self::ProxyBypassed => "proxy_bypassed",
            Self::CredentialsStaleEntry => "credentials_stale_entry",
            Self::DeadlineExceeded => "deadline_exceeded",
        }
    }

    /// The reason of a Kubernetes Event: the code in PascalCase, which is the variant's own name.
    #[must_use]
    pub fn reason(self) -> String {
        format!("{self:?}")
    }

    /// The severity that it has by itself; the connect causes are only a warning where another address worked.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::Throttled | Self::DeadlineExceeded => Severity::Unknown,
            Self::PlatformMismatch
            | Self::ResolversDisagree
            | Self::NameserverFailing
            | Self::CertificateExpiring
            | Self::CredentialsExpiring
            | Self::ProxyBypassed
            | Self::CredentialsStaleEntry => Severity::Warn,
            Self::NoNameserver
            | Self::DnsTimeout
            | Self::DnsServerFailure
            | Self::NameNotFound
            | Self::PrivateRecordMissing
            | Self::PrivateZoneNotLinked
            | Self::NoPrivateEndpoint
            | Self::MixedAddresses
            | Self::UnexpectedAddress
            | Self::ReservedAddress
            | Self::ConnectTimeout
            | Self::ConnectRefused
            | Self::NetworkUnreachable
            | Self::ConnectionReset
            | Self::CertificateUntrusted
            | Self::CertificateNameMismatch
            | Self::CertificateExpired
            | Self::CertificateNotYetValid
            | Self::TlsHandshakeFailed
            | Self::ResponseTimeout
            | Self::RegistryError
            | Self::AccessDenied
            | Self::NotARegistry
            | Self::UntrustedRedirect
            | Self::UntrustedRealm
            | Self::CredentialsMissing
            | Self::CredentialsInvalid
            | Self::CredentialsRejected
            | Self::ScopeMissing
            | Self::TokenRefused
            | Self::RepositoryNotFound
            | Self::ManifestNotFound
            | Self::ManifestQuarantined
            | Self::CacheRuleFailed
            | Self::ManifestInvalid
            | Self::DigestMismatch
            | Self::PlatformMissing
            | Self::DataEndpointDisabled
            | Self::BlobNotFound
            | Self::BlobDenied => Severity::Fail,
        }
    }

    /// The stages in which it can show.
    #[must_use]
    pub const fn stages(self) -> &'static [Stage] {
        use Stage::{Address, Blob, Challenge, Connect, Dns, Manifest, Tls, Token};
        match self {
            Self::NoNameserver
            | Self::DnsTimeout
            | Self::DnsServerFailure
            | Self::NameNotFound
            | Self::PrivateRecordMissing
            | Self::ResolversDisagree
            | Self::NameserverFailing => &[Dns],
            Self::PrivateZoneNotLinked
            | Self::NoPrivateEndpoint
            | Self::MixedAddresses
            | Self::UnexpectedAddress
            | Self::ReservedAddress => &[Address],
            Self::ConnectTimeout | Self::ConnectRefused | Self::NetworkUnreachable | Self::ProxyBypassed => {
                &[Connect]
            }
            Self::ConnectionReset => &[Connect, Tls, Challenge, Token, Manifest, Blob],
            Self::CertificateUntrusted
            | Self::CertificateNameMismatch
            | Self::CertificateExpired
            | Self::CertificateNotYetValid
            | Self::TlsHandshakeFailed
            | Self::CertificateExpiring => &[Tls],
            Self::ResponseTimeout => &[Tls, Challenge, Token, Manifest, Blob],
            Self::RegistryError | Self::Throttled | Self::AccessDenied | Self::NotARegistry => {
                &[Challenge, Token, Manifest, Blob]
            }
            Self::UntrustedRedirect => &[Token, Manifest, Blob],
            Self::UntrustedRealm => &[Challenge],
            // A token for everybody may not let everybody pull.
            Self::CredentialsMissing => &[Token, Manifest],
            Self::CredentialsInvalid
            | Self::CredentialsRejected
            | Self::CredentialsExpiring
            | Self::CredentialsStaleEntry => &[Token],
            // A registry that takes the token for the manifest can still refuse it for the blob.
            Self::ScopeMissing | Self::TokenRefused | Self::DigestMismatch => &[Manifest, Blob],
            // What a rule has to fetch, or a quarantine holds back, can be a blob.
            Self::ManifestQuarantined | Self::CacheRuleFailed => &[Manifest, Blob],
            // The image's configuration, which decides about both as well, is a blob.
            Self::ManifestInvalid | Self::PlatformMissing => &[Manifest, Blob],
            Self::RepositoryNotFound | Self::ManifestNotFound | Self::PlatformMismatch => &[Manifest],
            Self::DataEndpointDisabled | Self::BlobNotFound | Self::BlobDenied => &[Blob],
            Self::DeadlineExceeded => &[Dns, Address, Connect, Tls, Challenge, Token, Manifest, Blob],
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.code())
    }
}

/// URL of the runbook. Each cause has a section with its code as the anchor.
pub const RUNBOOK: &str = "https://github.com/acr-verifier/acr-verifier/blob/main/dashboards/runbook.md";

/// Returns the URL of the runbook section on a cause.
#[must_use]
pub fn runbook(cause: Cause) -> String {
    format!("{RUNBOOK}#{cause}")
}

#[cfg(test)]
mod tests {
    use super::Cause;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_snake_case_reasons_pascal_case_and_both_unique() {
        let mut codes = BTreeSet::new();
        for cause in Cause::ALL {
            let pascal: String =
                cause.code().split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
            assert_eq!(cause.reason(), pascal);
            assert!(codes.insert(cause.code()), "{cause} is listed twice");
        }
    }
}
