//! Causes of the stage `tls`: the certificate and the handshake.

use super::commands::{endpoint_addresses, record, show_endpoints};
use super::confirm::{ADDRESSES, CERTIFICATE, CONNECT, Confirm, HANDSHAKE};
use super::names::on_node;
use super::{CauseInfo, Fix};
use crate::observation::Stage;
use crate::verdict::Severity;

pub(super) const CERTIFICATE_UNTRUSTED: CauseInfo = CauseInfo {
    code: "certificate_untrusted",
    severity: Severity::Fail,
    stages: &[Stage::Tls],
    meaning: "The certificate does not chain to a root that the node trusts, as with TLS inspection by a firewall.",
    detection: "the certificate does not chain to a trusted root; its issuer is reported (TLS inspection)",
    remedy: "Exempt the registry from TLS inspection, or install the issuer's root on every node; a check that does not read the \
             node's roots also needs it, with --ca-file or tls.caFile.",
    commands: |names| vec![names.openssl_chain(), names.curl_on_node()],
    at_data: None,
    cautions: &[
        "A root reaches the nodes as a custom certificate authority of the cluster: `az aks update --subscription \
         CLUSTER_SUBSCRIPTION --resource-group CLUSTER_RESOURCE_GROUP --name CLUSTER --custom-ca-trust-certificates CA_FILE`, in a \
         maintenance window. The agent trusts the node's roots, and those of the value `config.tls.caConfigMap`; `check` has \
         `--ca-file`.",
    ],
    confirm: Confirm {
        commands: &[CERTIFICATE, CONNECT],
        shows: "The issuer is not one of Azure's but, for example, a firewall. `curl` reports that it cannot verify the \
                certificate.",
    },
    verify: "The issuer is one of Azure's, or one whose root the node has. `curl` prints `SSL certificate verify ok`.",
};

pub(super) const CERTIFICATE_NAME_MISMATCH: CauseInfo = CauseInfo {
    code: "certificate_name_mismatch",
    severity: Severity::Fail,
    stages: &[Stage::Tls],
    meaning: "The certificate is for other names: the image reference uses a privatelink name, or the address belongs to \
              another server.",
    detection: "the certificate is for other names",
    remedy: "Use the login server in the image reference, never its privatelink name, and compare the address with the \
             private endpoint's.",
    commands: |names| {
        let mut commands = vec![names.openssl()];
        commands.extend(names.acr([show_endpoints(names), endpoint_addresses()]));
        commands
    },
    at_data: Some(Fix {
        remedy: "Set the data endpoint's A record to its own address at the private endpoint, which has one for each \
                 endpoint; a wildcard record returns the login server's.",
        commands: |names| {
            let mut commands = vec![names.openssl(), names.dig("A")];
            commands.extend(record(names));
            commands.extend(names.acr([endpoint_addresses()]));
            commands
        },
    }),
    cautions: &[],
    confirm: Confirm {
        commands: &[CERTIFICATE, ADDRESSES],
        shows: "Subject and alternative names do not include `*.azurecr.io`: another server has this address.",
    },
    verify: "An alternative name covers the registry.",
};

pub(super) const CERTIFICATE_EXPIRED: CauseInfo = CauseInfo {
    code: "certificate_expired",
    severity: Severity::Fail,
    stages: &[Stage::Tls],
    meaning: "The certificate or one above it in the chain has expired, or the node's clock is ahead.",
    detection: "the certificate, or one above it in the chain, has expired",
    remedy: "Correct the node's clock if it is ahead; otherwise renew the certificate on the server or device that presents \
             it.",
    commands: |names| vec![on_node("chroot /host timedatectl"), names.openssl()],
    at_data: None,
    cautions: &[],
    confirm: Confirm {
        commands: &[CERTIFICATE, "date -u"],
        shows: "`notAfter` is earlier than the node's time.",
    },
    verify: "`notAfter` is later than the node's time, and the node's clock is correct.",
};

pub(super) const CERTIFICATE_NOT_YET_VALID: CauseInfo = CauseInfo {
    code: "certificate_not_yet_valid",
    severity: Severity::Fail,
    stages: &[Stage::Tls],
    meaning: "The certificate or one above it in the chain is not yet valid, nearly always because the node's clock is \
              behind.",
    detection: "the certificate, or one above it in the chain, is not yet valid",
    remedy: "Correct the node's clock.",
    commands: |names| vec![on_node("chroot /host timedatectl"), names.openssl()],
    at_data: None,
    cautions: &[],
    confirm: Confirm {
        commands: &[CERTIFICATE, "date -u"],
        shows: "`notBefore` is later than the node's time.",
    },
    verify: "`notBefore` is earlier than the node's time, and the node's clock is correct.",
};

pub(super) const TLS_HANDSHAKE_FAILED: CauseInfo = CauseInfo {
    code: "tls_handshake_failed",
    severity: Severity::Fail,
    stages: &[Stage::Tls],
    meaning: "The peer does not complete a TLS handshake: no common version, an alert, or bytes that are not TLS.",
    detection: "no common version, an alert, or bytes that are not TLS",
    remedy: "Remove the proxy or firewall that answers for the registry from the path, and allow TLS 1.2 and 1.3 to the \
             registry's names.",
    commands: |names| vec![names.openssl_chain(), names.curl_on_node()],
    at_data: None,
    cautions: &[],
    confirm: Confirm {
        commands: &[HANDSHAKE],
        shows: "`openssl` prints an alert, `wrong version number`, or `no peer certificate available`.",
    },
    verify: "`openssl` prints a certificate chain and TLSv1.2 or TLSv1.3.",
};

pub(super) const CERTIFICATE_EXPIRING: CauseInfo = CauseInfo {
    code: "certificate_expiring",
    severity: Severity::Warn,
    stages: &[Stage::Tls],
    meaning: "The certificate expires soon, and pulls fail from then on unless it is renewed.",
    detection: "the certificate expires in less than 14 days (default)",
    remedy: "Renew the certificate on the server or device that presents it; for Azure's own, ask Azure support why it was \
             not renewed.",
    commands: |names| vec![names.openssl()],
    at_data: None,
    cautions: &[],
    confirm: Confirm { commands: &[CERTIFICATE], shows: "`notAfter` is less than 14 days away." },
    verify: "`notAfter` has moved to a later date.",
};
