//! The closed list of causes, with one record for each.
//!
//! Owns the names that reports, labels, Events and alerts depend on (extend the list, never rename), and every text about a
//! cause. Reports, `acr-verifier causes`, the JSON schema's list of codes and the runbook are derived from the records. The
//! evidence is not here: it is in the message that `rules` writes.
//!
//! # Adding a cause
//!
//! Four edits by hand:
//!
//! 1. The variant and the name of its record, in the list `causes!` below, where a pull meets it.
//! 2. The record, a [`CauseInfo`] constant in the file of its family: `dns`, `address`, `connection`, `tls`,
//!    `answer`, `credentials`, `identity`, `content` or `data`.
//! 3. The rule that recognises it, in `rules`.
//! 4. The case that brings it about: over real sockets in `tests/check`, and as a state in `tests/namespaces`, where it is
//!    compared with what real clients do.
//!
//! Then `cargo run --package generate` writes the schema and the runbook, and the suite with `EXPECTORATE=overwrite` the
//! goldens. A test fails as long as one of the four is missing. Evidence that no observation has yet also needs a field in
//! `observation`.

mod address;
mod answer;
mod commands;
mod confirm;
mod connection;
mod content;
mod credentials;
mod data;
mod dns;
mod identity;
mod names;
mod pull_secret;
mod tls;

pub use address::NOT_OF_ENDPOINT_REMEDY;
pub use confirm::Confirm;
pub use connection::{NOT_OPENED_REMEDY, not_opened_commands};
pub use credentials::{commands_of_rejected, remedy_of_rejected};
pub use dns::{
    CACHE_RENEWED_REMEDY, COMPARED_SILENT_REMEDY, UPSTREAM_SILENT_REMEDY, UPSTREAM_UNKNOWN_REMEDY,
};
pub use identity::{NOT_INJECTED, REPOSITORY_ROLE, fix_of_rejected_identity};
pub use names::{DEBUG, Names};

use std::fmt;

use crate::observation::{Endpoint, Stage};
use crate::verdict::Severity;

/// Everything about one cause that does not depend on the evidence.
#[derive(Debug, Clone, Copy)]
pub struct CauseInfo {
    /// The code in JSON, labels and anchors: the variant's name in snake case.
    pub code: &'static str,
    /// The severity unless the evidence changes it: the connect causes are only a warning if another address worked.
    pub severity: Severity,
    /// The stages in which it can occur.
    pub stages: &'static [Stage],
    /// What it means for the node: one sentence.
    pub meaning: &'static str,
    /// How the check recognises it: a phrase without a full stop.
    pub detection: &'static str,
    /// What fixes it: one imperative sentence.
    pub remedy: &'static str,
    /// Commands to paste into a shell: those that show the problem first, then those that fix it. Capitals stand for what
    /// cannot be known.
    pub commands: fn(&Names) -> Vec<String>,
    /// What fixes it at the data endpoint, if that differs: its name comes from the registry instead of the image, and its A
    /// record is next to the login server's, which has just answered.
    pub at_data: Option<Fix>,
    /// What else the fix affects, and what can undo it, for the runbook: paragraphs of full sentences.
    pub cautions: &'static [&'static str],
    /// How an operator confirms it with plain tools.
    pub confirm: Confirm,
    /// How an operator verifies that it is fixed: what the commands of `confirm` show then.
    pub verify: &'static str,
}

/// What fixes a cause at one endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Fix {
    /// One imperative sentence.
    pub remedy: &'static str,
    /// Commands to paste into a shell.
    pub commands: fn(&Names) -> Vec<String>,
}

/// Declares the enum, `ALL` and `info` from one list, so that a cause cannot be missing from any of them.
macro_rules! causes {
    ($($variant:ident => $record:path,)+) => {
        /// Why an image cannot be pulled, will soon not be pullable, or could not be checked.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "`meaning` in the record documents each cause")]
        pub enum Cause {
            $($variant,)+
        }

        impl Cause {
            /// Every cause, in the order in which a pull meets them; warnings follow.
            pub const ALL: [Self; [$(Cause::$variant),+].len()] = [$(Self::$variant),+];

            /// Returns the record of this cause.
            #[must_use]
            pub const fn info(self) -> &'static CauseInfo {
                match self {
                    $(Self::$variant => &$record,)+
                }
            }
        }
    };
}

causes! {
    NoNameserver => dns::NO_NAMESERVER,
    DnsTimeout => dns::DNS_TIMEOUT,
    DnsServerFailure => dns::DNS_SERVER_FAILURE,
    NameNotFound => dns::NAME_NOT_FOUND,
    PrivateRecordMissing => dns::PRIVATE_RECORD_MISSING,
    NodeCacheStale => dns::NODE_CACHE_STALE,
    PrivateZoneNotLinked => address::PRIVATE_ZONE_NOT_LINKED,
    NoPrivateEndpoint => address::NO_PRIVATE_ENDPOINT,
    MixedAddresses => address::MIXED_ADDRESSES,
    UnexpectedAddress => address::UNEXPECTED_ADDRESS,
    ReservedAddress => address::RESERVED_ADDRESS,
    ConnectTimeout => connection::CONNECT_TIMEOUT,
    ConnectRefused => connection::CONNECT_REFUSED,
    NetworkUnreachable => connection::NETWORK_UNREACHABLE,
    ConnectionReset => connection::CONNECTION_RESET,
    CertificateUntrusted => tls::CERTIFICATE_UNTRUSTED,
    CertificateNameMismatch => tls::CERTIFICATE_NAME_MISMATCH,
    CertificateExpired => tls::CERTIFICATE_EXPIRED,
    CertificateNotYetValid => tls::CERTIFICATE_NOT_YET_VALID,
    TlsHandshakeFailed => tls::TLS_HANDSHAKE_FAILED,
    ResponseTimeout => answer::RESPONSE_TIMEOUT,
    RegistryError => answer::REGISTRY_ERROR,
    Throttled => answer::THROTTLED,
    AccessDenied => answer::ACCESS_DENIED,
    NotARegistry => answer::NOT_A_REGISTRY,
    UntrustedRedirect => answer::UNTRUSTED_REDIRECT,
    UntrustedRealm => answer::UNTRUSTED_REALM,
    CredentialsMissing => credentials::CREDENTIALS_MISSING,
    CredentialsInvalid => credentials::CREDENTIALS_INVALID,
    CredentialsRejected => credentials::CREDENTIALS_REJECTED,
    IdentityUnavailable => identity::IDENTITY_UNAVAILABLE,
    IdentityNotFound => identity::IDENTITY_NOT_FOUND,
    EntraUnreachable => identity::ENTRA_UNREACHABLE,
    IdentityRejected => identity::IDENTITY_REJECTED,
    PullRoleMissing => identity::PULL_ROLE_MISSING,
    ScopeMissing => credentials::SCOPE_MISSING,
    TokenRefused => credentials::TOKEN_REFUSED,
    RepositoryNotFound => content::REPOSITORY_NOT_FOUND,
    ManifestNotFound => content::MANIFEST_NOT_FOUND,
    ManifestQuarantined => content::MANIFEST_QUARANTINED,
    CacheRuleFailed => content::CACHE_RULE_FAILED,
    ManifestInvalid => content::MANIFEST_INVALID,
    DigestMismatch => content::DIGEST_MISMATCH,
    PlatformMissing => content::PLATFORM_MISSING,
    PlatformMismatch => content::PLATFORM_MISMATCH,
    DataEndpointDisabled => data::DATA_ENDPOINT_DISABLED,
    BlobNotFound => data::BLOB_NOT_FOUND,
    BlobDenied => data::BLOB_DENIED,
    ResolversDisagree => dns::RESOLVERS_DISAGREE,
    NameserverFailing => dns::NAMESERVER_FAILING,
    CertificateExpiring => tls::CERTIFICATE_EXPIRING,
    CredentialsExpiring => credentials::CREDENTIALS_EXPIRING,
    ProxyBypassed => connection::PROXY_BYPASSED,
    CredentialsStaleEntry => credentials::CREDENTIALS_STALE_ENTRY,
    DeadlineExceeded => answer::DEADLINE_EXCEEDED,
}

impl Cause {
    /// The code in JSON, labels and anchors.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.info().code
    }

    /// The reason of a Kubernetes Event: the code in PascalCase, which is the variant's own name.
    #[must_use]
    pub fn reason(self) -> String {
        format!("{self:?}")
    }

    /// The severity unless the evidence changes it.
    #[must_use]
    pub const fn severity(self) -> Severity {
        self.info().severity
    }

    /// The stages in which it can occur.
    #[must_use]
    pub const fn stages(self) -> &'static [Stage] {
        self.info().stages
    }

    /// What fixes it at an endpoint: one imperative sentence.
    #[must_use]
    pub fn remedy_at(self, endpoint: Endpoint) -> &'static str {
        match self.fix_at_data(endpoint) {
            Some(fix) => fix.remedy,
            None => self.info().remedy,
        }
    }

    /// The commands to paste into a shell, for the endpoint of `names`.
    #[must_use]
    pub fn commands(self, names: &Names) -> Vec<String> {
        match self.fix_at_data(names.endpoint()) {
            Some(fix) => (fix.commands)(names),
            None => (self.info().commands)(names),
        }
    }

    /// The fix that replaces the record's own, if the endpoint is the data endpoint and has one.
    const fn fix_at_data(self, endpoint: Endpoint) -> Option<Fix> {
        match endpoint {
            Endpoint::Login => None,
            Endpoint::Data => self.info().at_data,
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

    /// Also finds a variant with the record of another one.
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
