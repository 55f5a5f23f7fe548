//! Causes of the stage `blob`: the data endpoint, the storage behind it, and the blob.

use super::CauseInfo;
use super::commands::{OVERWRITES, import_again, inspect, show_endpoints};
use super::confirm::{BLOB, Confirm, DATA_ADDRESSES, FETCHED, TOKEN};
use super::names::on_node;
use crate::observation::Stage;
use crate::verdict::Severity;

pub(super) const DATA_ENDPOINT_DISABLED: CauseInfo = CauseInfo {
    code: "data_endpoint_disabled",
    severity: Severity::Fail,
    stages: &[Stage::Blob],
    meaning: "The registry serves layers from Azure's shared blob storage, which is outside the private path.",
    detection: "redirect to Azure's blob storage (`*.blob.core.windows.net` and its sovereign names): layers leave the \
                private path",
    remedy: "Enable the registry's dedicated data endpoints once every client's firewall allows them, and let the private DNS \
             zone group add their A records.",
    commands: |names| {
        names.acr([
            format!("az acr update --name {} --data-endpoint-enabled true", names.registry()),
            show_endpoints(names),
        ])
    },
    at_data: None,
    cautions: &[
        "Once dedicated data endpoints are enabled, clients whose firewalls allow only `*.blob.core.windows.net` can no longer pull \
         layers. Allow `REGISTRY.REGION.data.azurecr.io`, of every region of the registry, in their firewalls first.",
    ],
    confirm: Confirm {
        commands: &[TOKEN, BLOB],
        shows: "The registry returns HTTP status 307 with a `Location` at `*.blob.core.windows.net`.",
    },
    verify: "The registry returns HTTP status 307 with a `Location` at `REGISTRY.REGION.data.azurecr.io`.",
};

pub(super) const BLOB_NOT_FOUND: CauseInfo = CauseInfo {
    code: "blob_not_found",
    severity: Severity::Fail,
    stages: &[Stage::Blob],
    meaning: "The manifest names a blob that the registry no longer has.",
    detection: "404 of the data endpoint or the storage behind it",
    remedy: "Push or import the image again to restore its missing blob.",
    commands: |names| {
        let mut commands =
            names.acr([format!("az acr replication list --registry {} --output table", names.registry())]);
        commands.extend(import_again(names));
        if commands.is_empty() {
            commands.push(inspect(names));
        }
        commands
    },
    at_data: None,
    cautions: &[OVERWRITES],
    confirm: Confirm {
        commands: &[TOKEN, BLOB, FETCHED],
        shows: "The HTTP status is 404, from the registry or from the host that it redirects to.",
    },
    verify: "The checksum is DIGEST.",
};

pub(super) const BLOB_DENIED: CauseInfo = CauseInfo {
    code: "blob_denied",
    severity: Severity::Fail,
    stages: &[Stage::Blob],
    meaning: "The data endpoint or the storage behind it denies the blob, although the registry redirected the node there.",
    detection: "403 of the data endpoint or the storage behind it, and not of a proxy in front of it",
    remedy: "Remove the service endpoint policy for storage from the node subnet, or allow the registry's storage in it.",
    commands: |names| {
        let mut commands = vec![
            "az network vnet subnet show --ids SUBNET_ID --query \"{serviceEndpoints:serviceEndpoints, \
             policies:serviceEndpointPolicies}\""
                .to_owned(),
        ];
        commands.extend(names.acr([show_endpoints(names)]));
        commands.push(on_node("chroot /host timedatectl"));
        commands
    },
    at_data: None,
    cautions: &[],
    confirm: Confirm {
        commands: &[TOKEN, BLOB, DATA_ADDRESSES],
        shows: "The HTTP status is 403 from the host that the registry redirects to. A public address of the data endpoint \
                explains it.",
    },
    verify: "The data endpoint has a private address, and the whole blob is downloaded.",
};
