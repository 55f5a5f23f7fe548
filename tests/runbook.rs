//! The runbook: written from the catalogue of causes, the rule file, and what stands here alone: how to see a fault on a
//! node with plain tools, and how to see that it is gone.
//!
//! Owns those words. They are no part of the program, which tells what mends a fault and no more.

mod alerts;
mod network;
mod registry;
mod whole;

use std::fmt::Write as _;

use acr_verifier::cause::Cause;
use acr_verifier::report::catalogue;

use alerts::{GUIDES, Guide};

/// What shows that a cause is there, and that it is gone.
struct Proof {
    /// Commands for a shell on the node, or for `kubectl`.
    confirm: &'static [&'static str],
    /// What they show while it is there.
    shows: &'static str,
    /// What they show when it is gone.
    mended: &'static str,
}

const COMMENT: &str = "\
<!-- Written by the tests from src/cause/advice, tests/runbook and dashboards/alerts: change the words there, then run them
     with EXPECTORATE=overwrite. ";

const INTRODUCTION: &str = "
Each cause and each alert has a section with what it means, how to confirm it with plain tools, how to mend it, and how
to see that it is mended. The link in a report, an Event's note or an alert leads to its section; the
[alerts](#alerts) stand behind the causes.

**A shell on a node.** What is confirmed with `dig`, `curl`, `ip` and `openssl` has to be asked from the node, since
another machine may have other nameservers and routes:

```sh
kubectl debug node/NODE -it --profile=sysadmin --image=IMAGE
```

IMAGE is one that has these tools and that the node can pull without the registry that fails. The shell has the
node's network and nameservers, and its files below `/host`. Delete its pod afterwards. `kubectl` and `az` are run where
you have rights.

**Mended** means the same for every cause: the next check does not tell it, `acr_verifier_cause` has no series of it, and
when nothing else is wrong the Event `RegistryVerified` follows. `acr-verifier smoke` asks all nodes at once.
";

const fn proof(cause: Cause) -> &'static Proof {
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
        Cause::CredentialsMissing => &registry::CREDENTIALS_MISSING,
        Cause::CredentialsInvalid => &registry::CREDENTIALS_INVALID,
        Cause::CredentialsRejected => &registry::CREDENTIALS_REJECTED,
        Cause::ScopeMissing => &registry::SCOPE_MISSING,
        Cause::TokenRefused => &registry::TOKEN_REFUSED,
        Cause::RepositoryNotFound => &registry::REPOSITORY_NOT_FOUND,
        Cause::ManifestNotFound => &registry::MANIFEST_NOT_FOUND,
        Cause::ManifestQuarantined => &registry::MANIFEST_QUARANTINED,
        Cause::CacheRuleFailed => &registry::CACHE_RULE_FAILED,
        Cause::ManifestInvalid => &registry::MANIFEST_INVALID,
        Cause::DigestMismatch => &registry::DIGEST_MISMATCH,
        Cause::PlatformMissing => &registry::PLATFORM_MISSING,
        Cause::PlatformMismatch => &registry::PLATFORM_MISMATCH,
        Cause::DataEndpointDisabled => &registry::DATA_ENDPOINT_DISABLED,
        Cause::BlobNotFound => &registry::BLOB_NOT_FOUND,
        Cause::BlobDenied => &registry::BLOB_DENIED,
        Cause::ResolversDisagree => &network::RESOLVERS_DISAGREE,
        Cause::NameserverFailing => &network::NAMESERVER_FAILING,
        Cause::ProxyBypassed => &network::PROXY_BYPASSED,
        Cause::CertificateExpiring => &network::CERTIFICATE_EXPIRING,
        Cause::CredentialsExpiring => &registry::CREDENTIALS_EXPIRING,
        Cause::CredentialsStaleEntry => &registry::CREDENTIALS_STALE_ENTRY,
        Cause::DeadlineExceeded => &registry::DEADLINE_EXCEEDED,
    }
}

fn block(commands: &[&str]) -> String {
    if commands.is_empty() { String::new() } else { format!("\n```sh\n{}\n```\n", commands.join("\n")) }
}

/// What it has to be, whole.
pub(crate) fn text() -> String {
    let mut catalogue = Vec::new();
    catalogue::write_markdown(&mut catalogue).expect("memory takes everything");
    let mut text = String::from_utf8(catalogue).expect("UTF-8");
    let comment = text.find("-->").expect("a comment");
    text.replace_range(..comment, COMMENT);
    let place = text.find("\nIn Azure Government").expect("the introduction has it");
    text.insert_str(place, INTRODUCTION);
    for cause in Cause::ALL {
        let Proof { confirm, shows, mended } = proof(cause);
        let start = text.find(&format!("\n## {cause}\n")).expect("a section");
        let fix = start + text[start..].find("**Fix.**").expect("a remedy");
        text.insert_str(fix, &format!("**Confirm.**\n{}\n{shows}\n\n", block(confirm)));
        let end = text[start + 1..].find("\n## ").map_or(text.len(), |end| start + 1 + end);
        text.insert_str(end, &format!("\n**Mended.** {mended}\n"));
    }
    text.push_str("\n# Alerts\n\nOne section for each alert of dashboards/alerts/acr-verifier.rules.yaml.\n");
    for (name, rule) in crate::alerts::alerts() {
        let guide = GUIDES.iter().find(|guide| guide.alert == name);
        section(&mut text, guide.unwrap_or_else(|| panic!("{name} has no guide")), rule);
    }
    text
}

fn section(text: &mut String, guide: &Guide, rule: crate::alerts::Rule) {
    let (annotations, wait) = (rule.annotations.expect("annotations"), rule.wait.expect("a wait"));
    let severity = rule.labels.expect("labels").severity;
    let Guide { alert, means, first, confirm, mend, commands, mended } = guide;
    write!(
        text,
        "\n## {alert}\n\n{} {means}\n\n- Severity: {severity}, after {wait}\n- Message: `{}`\n\n**First.** {first}\n\n\
         **Confirm.**\n{}\n**Fix.** {mend}\n{}\n**Mended.** {mended} The alert ends when this has no result:\n\n\
         ```promql\n{}\n```\n",
        annotations.summary,
        annotations.description,
        block(confirm),
        block(commands),
        rule.expr
    )
    .expect("a string takes everything");
}
