//! Commands that the records of several causes share. What fills them in is `names`.

use super::names::{Names, on_node};

/// The resolver configuration of the kubelet and containerd.
pub(super) fn node_resolvers() -> String {
    on_node("chroot /host cat /etc/resolv.conf")
}

pub(super) fn vnet_resolvers() -> String {
    "az network vnet show --resource-group RESOURCE_GROUP --name VNET --query dhcpOptions.dnsServers"
        .to_owned()
}

/// New DNS servers of a VNet do not reach nodes that are already running.
pub(super) fn reimage() -> String {
    "az aks nodepool upgrade --resource-group RESOURCE_GROUP --cluster-name CLUSTER --name NODEPOOL --node-image-only"
        .to_owned()
}

pub(super) fn security_rules() -> String {
    "az network nsg rule list --resource-group RESOURCE_GROUP --nsg-name NSG --output table".to_owned()
}

pub(super) fn peerings() -> String {
    "az network vnet peering list --resource-group RESOURCE_GROUP --vnet-name VNET --output table".to_owned()
}

pub(super) fn routes() -> String {
    "az network route-table route list --resource-group RESOURCE_GROUP --route-table-name ROUTE_TABLE --output table"
        .to_owned()
}

pub(super) fn show_endpoints(names: &Names) -> String {
    format!("az acr show-endpoints --name {}", names.registry())
}

pub(super) fn connections(names: &Names) -> String {
    format!(
        "az acr private-endpoint-connection list --registry-name {} --query \
         \"[].{{name:name, status:privateLinkServiceConnectionState.status}}\" --output table",
        names.registry()
    )
}

/// The A record in the private zone for the endpoint.
pub(super) fn record(names: &Names) -> Vec<String> {
    names.private(|zone, record| {
        [format!(
            "az network private-dns record-set a show --resource-group RESOURCE_GROUP --zone-name {zone} --name {record}"
        )]
    })
}

/// The addresses that the private zone should have: one for each member, from the network interface of the private
/// endpoint, because its own `customDnsConfigs` is empty as soon as there is a zone group.
pub(super) fn endpoint_addresses() -> String {
    "az network nic show --ids \"$(az network private-endpoint show --resource-group RESOURCE_GROUP --name \
     PRIVATE_ENDPOINT --query 'networkInterfaces[0].id' --output tsv)\" --query \
     \"ipConfigurations[].[privateLinkConnectionProperties.requiredMemberName, privateIPAddress]\" --output table"
        .to_owned()
}

pub(super) fn zone_group(names: &Names) -> Vec<String> {
    names.private(|zone, _| {
        [format!(
            "az network private-endpoint dns-zone-group create --resource-group RESOURCE_GROUP --endpoint-name \
             PRIVATE_ENDPOINT --name default --private-dns-zone {zone} --zone-name registry"
        )]
    })
}

pub(super) fn health(names: &Names) -> String {
    format!("az acr check-health --name {} --ignore-errors --yes", names.registry())
}

pub(super) fn import(names: &Names) -> Vec<String> {
    let image = match names.target().split_once('@') {
        Some((repository, _)) => format!("{repository}:TAG"),
        None => names.target().to_owned(),
    };
    names.acr([format!(
        "az acr import --name {} --source SOURCE_REGISTRY/SOURCE_REPOSITORY:TAG --image {image}",
        names.registry()
    )])
}

/// The registry's manifests of the image, for every platform.
pub(super) fn inspect(names: &Names) -> String {
    format!("docker buildx imagetools inspect {}", names.image())
}

/// The keys of the pull secret and their sizes, never a value.
pub(super) fn secret_keys() -> String {
    "kubectl describe secret SECRET --namespace NAMESPACE".to_owned()
}

/// The login servers in the pull secret, never a value.
pub(super) fn secret_hosts() -> String {
    "kubectl get secret SECRET --namespace NAMESPACE --output \
     go-template='{{index .data \".dockerconfigjson\" | base64decode}}' | jq '.auths | keys'"
        .to_owned()
}

/// Stores a docker configuration from standard input in the pull secret.
pub(super) const STORE: &str = "kubectl create secret docker-registry SECRET --namespace NAMESPACE \
                                --from-file=.dockerconfigjson=/dev/stdin --dry-run=client --output=yaml | \
                                kubectl apply --filename=-";

/// Generates a token password and stores it in the pull secret, without a trace on the screen, on disk, in the history or
/// in the process list.
pub(super) fn new_secret(names: &Names, password: &str) -> Vec<String> {
    names.acr([format!(
        "az acr token credential generate --registry {registry} --name TOKEN --{password} --expiration-in-days 90 \
         --output json | jq '{{auths: {{\"{key}\": {{username, password: (.passwords[] | select(.name == \
         \"{password}\") | .value)}}}}}}' | {STORE}",
        registry = names.registry(),
        key = names.key(),
    )])
}
