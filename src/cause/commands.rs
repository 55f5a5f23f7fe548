//! Commands that the records of several causes share. What fills them in is `names`.
//!
//! Private DNS zone, private endpoint, virtual network and cluster are often in different subscriptions. So a command names what
//! it reads by its resource ID, and where it takes no ID, by the owner's subscription and resource group. Commands about the
//! registry itself use the current subscription: its name is unique.

use super::names::{Names, ZONE, on_node};

/// The subscription and resource group of the private endpoint.
const ENDPOINT: &str = "--subscription ENDPOINT_SUBSCRIPTION --resource-group ENDPOINT_RESOURCE_GROUP";
/// The subscription and resource group of the cluster.
const CLUSTER: &str = "--subscription CLUSTER_SUBSCRIPTION --resource-group CLUSTER_RESOURCE_GROUP";

/// The resolver configuration of the kubelet and containerd.
pub(super) fn node_resolvers() -> String {
    on_node("chroot /host cat /etc/resolv.conf")
}

/// The servers that AKS LocalDNS forwards to, and the answer of the usual one.
pub(super) fn cache_upstream(names: &Names) -> [String; 2] {
    [on_node("chroot /host cat /etc/localdns/upstream-dns"), names.dig_azure()]
}

pub(super) fn vnet_resolvers() -> String {
    "az network vnet show --ids VNET_ID --query dhcpOptions.dnsServers".to_owned()
}

/// New DNS servers of a VNet do not reach nodes that are already running. The upgrade reimages nothing unless the first
/// command prints a newer version than the second.
pub(super) fn reimage() -> [String; 3] {
    [
        format!(
            "az aks nodepool get-upgrades {CLUSTER} --cluster-name CLUSTER --nodepool-name NODEPOOL --query \
             latestNodeImageVersion --output tsv"
        ),
        format!(
            "az aks nodepool show {CLUSTER} --cluster-name CLUSTER --name NODEPOOL --query nodeImageVersion --output tsv"
        ),
        format!("az aks nodepool upgrade {CLUSTER} --cluster-name CLUSTER --name NODEPOOL --node-image-only"),
    ]
}

/// When a node image upgrade does not renew the nameservers of a node.
pub(super) const REIMAGE: &str = "\
Do this only while other nodes can pull: an evicted Pod has to pull its image again, and a new node has no image in its cache. The \
upgrade drains and reimages every node of the pool, and only if `latestNodeImageVersion` is newer than their `nodeImageVersion`. \
Otherwise replace single nodes: cordon and drain each, then remove its machine with `az aks nodepool delete-machines --subscription \
CLUSTER_SUBSCRIPTION --resource-group CLUSTER_RESOURCE_GROUP --cluster-name CLUSTER --nodepool-name NODEPOOL --machine-names \
MACHINE`, and scale the pool, unless the cluster autoscaler does. A node of node auto-provisioning has no such pool: `kubectl \
delete node NODE` replaces it.";

pub(super) fn security_rules() -> String {
    "az network nsg show --ids NSG_ID --query \"[securityRules, defaultSecurityRules][].{priority:priority, direction:direction, \
     access:access, protocol:protocol, source:join(' ', [sourceAddressPrefix || '', sourceAddressPrefixes[] || \
     ''][]), destination:join(' ', [destinationAddressPrefix || '', destinationAddressPrefixes[] || ''][]), \
     port:join(' ', [destinationPortRange || '', destinationPortRanges[] || ''][])}\" --output table"
        .to_owned()
}

pub(super) fn peerings() -> String {
    "az network vnet show --ids VNET_ID --query \"virtualNetworkPeerings[].{name:name, state:peeringState, \
     remote:remoteVirtualNetwork.id}\" --output table"
        .to_owned()
}

pub(super) fn routes() -> String {
    "az network route-table show --ids ROUTE_TABLE_ID --query \"routes[].{prefix:addressPrefix, type:nextHopType, \
     hop:nextHopIpAddress}\" --output table"
        .to_owned()
}

/// What the subnet of the node, or of the private endpoint, applies to traffic.
pub(super) fn subnet() -> String {
    "az network vnet subnet show --ids SUBNET_ID --query \"{routeTable:routeTable.id, securityGroup:networkSecurityGroup.id, \
     privateEndpointNetworkPolicies:privateEndpointNetworkPolicies}\""
        .to_owned()
}

/// The routes and rules that apply to the network interface of a node.
pub(super) fn effective() -> [String; 2] {
    [
        "az network nic show-effective-route-table --ids NIC_ID --output table".to_owned(),
        "az network nic list-effective-nsg --ids NIC_ID".to_owned(),
    ]
}

pub(super) fn show_endpoints(names: &Names) -> String {
    format!("az acr show-endpoints --name {}", names.registry())
}

/// The private endpoints of the registry by resource ID, in whatever subscription, and whether they are approved.
pub(super) fn connections(names: &Names) -> String {
    format!(
        "az acr private-endpoint-connection list --registry-name {} --query \
         \"[].{{name:name, status:privateLinkServiceConnectionState.status, endpoint:privateEndpoint.id}}\" --output table",
        names.registry()
    )
}

/// The A record in the private zone for the endpoint.
pub(super) fn record(names: &Names) -> Vec<String> {
    names.private(|zone, record| {
        [format!("az network private-dns record-set a show {ZONE} --zone-name {zone} --name {record}")]
    })
}

/// The virtual network links of the private zone, and a new one to the VNet of the resolver: of the nodes, or of a custom DNS
/// server.
pub(super) fn zone_link(names: &Names) -> Vec<String> {
    names.private(|zone, _| {
        [
            format!(
                "az network private-dns link vnet list {ZONE} --zone-name {zone} --query \"[].{{name:name, \
                 network:virtualNetwork.id, state:virtualNetworkLinkState}}\" --output table"
            ),
            format!(
                "az network private-dns link vnet create {ZONE} --zone-name {zone} --name LINK --virtual-network RESOLVER_VNET_ID \
                 --registration-enabled false"
            ),
        ]
    })
}

/// The addresses that the private zone should have: one for each member, from the network interface of the private
/// endpoint, because its own `customDnsConfigs` is empty as soon as there is a zone group.
pub(super) fn endpoint_addresses() -> String {
    "az network nic show --ids \"$(az network private-endpoint show --ids PRIVATE_ENDPOINT_ID --query \
     'networkInterfaces[0].id' --output tsv)\" --query \
     \"ipConfigurations[].[privateLinkConnectionProperties.requiredMemberName, privateIPAddress]\" --output table"
        .to_owned()
}

pub(super) fn create_endpoint(names: &Names) -> String {
    format!(
        "az network private-endpoint create {ENDPOINT} --name PRIVATE_ENDPOINT --subnet ENDPOINT_SUBNET_ID --group-id registry \
         --connection-name CONNECTION --private-connection-resource-id \"$(az acr show --name {} --query id --output tsv)\"",
        names.registry()
    )
}

/// The zone group of the private endpoint, of which it has one at most, and a new one.
pub(super) fn zone_group(names: &Names) -> Vec<String> {
    names.private(|zone, _| {
        [
            zone_groups(),
            format!(
                "az network private-endpoint dns-zone-group create {ENDPOINT} --endpoint-name PRIVATE_ENDPOINT --name default \
                 --private-dns-zone \
                 /subscriptions/ZONE_SUBSCRIPTION/resourceGroups/ZONE_RESOURCE_GROUP/providers/Microsoft.Network/privateDnsZones/{zone} \
                 --zone-name registry"
            ),
        ]
    })
}

/// The zone group of the private endpoint, with the zone that it maintains.
pub(super) fn zone_groups() -> String {
    format!(
        "az network private-endpoint dns-zone-group list {ENDPOINT} --endpoint-name PRIVATE_ENDPOINT --query \
         \"[].{{name:name, zones:join(' ', privateDnsZoneConfigs[].privateDnsZoneId)}}\" --output table"
    )
}

/// What a zone group does to the records of another one, and what else there can be one of.
pub(super) const ONE_ZONE_GROUP: &str = "\
A private endpoint has at most one zone group. If the list shows one, add the zone to it with `az network private-endpoint \
dns-zone-group add`, which takes the same options and the name of that group. A zone group overwrites existing A records with the \
same names. A second private endpoint of the registry, such as one in another region's hub, needs a zone of its own. Azure Policy \
may create zone groups: then correct its assignment instead.";

/// A property of the cluster.
pub(super) fn cluster(query: &str) -> String {
    format!("az aks show {CLUSTER} --name CLUSTER --query {query}")
}

/// Changes the cluster.
pub(super) fn update_cluster(options: &str) -> String {
    format!("az aks update {CLUSTER} --name CLUSTER {options}")
}

pub(super) fn health(names: &Names) -> String {
    format!("az acr check-health --name {} --ignore-errors --yes", names.registry())
}

/// Imports an image that the registry does not have.
pub(super) fn import(names: &Names) -> Vec<String> {
    imported(names, "")
}

/// Imports an image again, in the place of the one with its tag.
pub(super) fn import_again(names: &Names) -> Vec<String> {
    imported(names, " --force")
}

fn imported(names: &Names, options: &str) -> Vec<String> {
    let image = match names.target().split_once('@') {
        Some((repository, _)) => format!("{repository}:TAG"),
        None => names.target().to_owned(),
    };
    names.acr([format!(
        "az acr import --name {} --source SOURCE_REGISTRY/SOURCE_REPOSITORY:TAG --image {image}{options}",
        names.registry()
    )])
}

/// What importing an image again changes.
pub(super) const OVERWRITES: &str = "\
`--force` overwrites the tag. A locked tag has to be unlocked first: `az acr repository update --name REGISTRY --image \
REPOSITORY:TAG --write-enabled true`.";

/// The registry's manifests of the image, for every platform.
pub(super) fn inspect(names: &Names) -> String {
    format!("docker buildx imagetools inspect {}", names.image())
}
