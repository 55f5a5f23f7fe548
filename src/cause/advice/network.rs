//! Advice for the way to an endpoint: its name, its address, the connection and the handshake.

use super::Advice;
use super::names::{Names, on_node};

pub(super) const NO_NAMESERVER: Advice = Advice {
    meaning: "The node has no nameserver to ask, so it cannot find any registry.",
    recognised_by: "resolver configuration without a usable nameserver",
    remedy: "Give the node its nameservers back: renew its DHCP lease, or reimage it after the VNet's DNS servers \
             are right.",
    commands: |_| vec![node_resolvers(), vnet_resolvers(), reimage()],
};

pub(super) const DNS_TIMEOUT: Advice = Advice {
    meaning: "No nameserver of the node answers, so a pull waits and then fails.",
    recognised_by: "no nameserver answered in time (a closed port counts)",
    remedy: "Let the node reach its nameservers on port 53 over UDP and TCP, or replace the ones that are gone in the \
             VNet's DNS servers.",
    commands: |names| {
        let mut commands = Vec::from(names.dig_again());
        commands.extend([vnet_resolvers(), security_rules()]);
        commands
    },
};

pub(super) const DNS_SERVER_FAILURE: Advice = Advice {
    meaning: "The nameservers answer, but with an error or with something that cannot be used.",
    recognised_by: "SERVFAIL, REFUSED or a malformed answer (a CNAME loop, a truncated answer that TCP does not \
                    complete) and no server that answers; or a chain that passes a `privatelink` name and stops \
                    without an address, denied by no private zone",
    remedy: "Repair the nameserver that fails, or make it forward to 168.63.129.16 from a VNet that the private DNS \
             zone is linked to.",
    commands: |names| {
        let mut commands = Vec::from(names.dig_again());
        commands.extend([names.dig_azure(), vnet_resolvers()]);
        commands
    },
};

pub(super) const NAME_NOT_FOUND: Advice = Advice {
    meaning: "The name does not exist for this node, and nothing points to a private endpoint.",
    recognised_by: "NXDOMAIN (or no address) and no `privatelink` name in the chain",
    remedy: "Correct the login server in the image's name, with the hash of its domain name label and the suffix of \
             its cloud, or make the registry again if it was deleted.",
    commands: |names| {
        let mut commands = vec![names.dig("A")];
        commands.extend(names.acr([
            format!("az acr show --name {} --query loginServer --output tsv", names.registry()),
            show_endpoints(names),
        ]));
        commands
    },
};

pub(super) const PRIVATE_RECORD_MISSING: Advice = Advice {
    meaning: "The private DNS zone is linked, but it has no address for this endpoint, and nothing else may answer \
              in its place.",
    recognised_by: "the chain reaches a `privatelink` name that the private zone denies (its SOA, or NXDOMAIN below it)",
    remedy: "Add a DNS zone group to the private endpoint, which then keeps the A records of login and data endpoints \
             in the private zone.",
    commands: |names| {
        let mut commands = record(names);
        commands.extend(names.acr([endpoint_addresses()]));
        commands.extend(zone_group(names));
        commands
    },
};

pub(super) const PRIVATE_ZONE_NOT_LINKED: Advice = Advice {
    meaning: "The registry has a private endpoint, but this resolver does not see the private zone and sends the node \
              to the public address.",
    recognised_by: "chain has a `privatelink` name, the answers are public: this resolver does not see the private \
                    zone",
    remedy: "Link the private DNS zone to the VNet of the resolver that gave the public answer, and make custom DNS \
             servers forward to 168.63.129.16.",
    commands: |names| {
        let mut commands = vec![names.dig("A")];
        commands.extend(names.private(|zone, _| {
            [
                format!(
                    "az network private-dns link vnet list --resource-group RESOURCE_GROUP --zone-name {zone} \
                     --output table"
                ),
                format!(
                    "az network private-dns link vnet create --resource-group RESOURCE_GROUP --zone-name {zone} \
                     --name LINK --virtual-network VNET --registration-enabled false"
                ),
            ]
        }));
        commands.push(vnet_resolvers());
        commands
    },
};

pub(super) const NO_PRIVATE_ENDPOINT: Advice = Advice {
    meaning: "The registry has no private endpoint that DNS knows of, so every pull takes the public path.",
    recognised_by: "public answers, no `privatelink` name in the chain",
    remedy: "Create a private endpoint for the registry (it takes the Premium tier), approve its connection and give \
             it a DNS zone group.",
    commands: |names| {
        let mut commands = vec![names.dig("A")];
        let registry = names.registry();
        commands.extend(names.acr([
            connections(names),
            format!(
                "az network private-endpoint create --resource-group RESOURCE_GROUP --name PRIVATE_ENDPOINT \
                 --vnet-name VNET --subnet SUBNET --group-id registry --connection-name CONNECTION \
                 --private-connection-resource-id \"$(az acr show --name {registry} --query id --output tsv)\""
            ),
        ]));
        commands.extend(zone_group(names));
        commands
    },
};

pub(super) const MIXED_ADDRESSES: Advice = Advice {
    meaning: "The name has private and public addresses at once, so a pull may leave the private path at any time.",
    recognised_by: "public and private answers together; every A and AAAA of the answer counts, whatever its owner name",
    remedy: "Remove the public address from what the node's nameserver answers (A and AAAA), so that the private \
             endpoint alone is left.",
    commands: |names| {
        let mut commands = vec![names.dig("A"), names.dig("AAAA")];
        commands.extend(record(names));
        commands.extend(names.acr([endpoint_addresses()]));
        commands
    },
};

pub(super) const UNEXPECTED_ADDRESS: Advice = Advice {
    meaning: "The name leads to a private address, but not to the private endpoint that was meant: a stale record, or \
              another endpoint that overwrote it.",
    recognised_by: "private, but outside every expected CIDR",
    remedy: "Set the A record to the address of the private endpoint in this VNet, and keep a zone of its own for \
             each private endpoint of the registry.",
    commands: |names| {
        let mut commands = vec![names.dig("A")];
        commands.extend(record(names));
        commands.extend(names.acr([endpoint_addresses(), connections(names)]));
        commands.extend(zone_group(names));
        commands
    },
};

pub(super) const RESERVED_ADDRESS: Advice = Advice {
    meaning: "The name leads to an address where no endpoint can live, as a blocked or sinkholed name does.",
    recognised_by: "loopback, link-local, multicast, unspecified, or 168.63.129.16: no endpoint can live there",
    remedy: "Remove the filter or the record that answers with a reserved address from the node's nameserver.",
    commands: |names| {
        let mut commands = vec![names.dig("A"), names.dig_azure()];
        commands.extend(record(names));
        commands
    },
};

pub(super) const CONNECT_TIMEOUT: Advice = Advice {
    meaning: "The address is right, but packets to it are lost on the way or on the way back.",
    recognised_by: "no answer to the connection in time",
    remedy: "Open the way from the node's subnet to the private endpoint: peering, routes in both directions, network \
             security groups and firewalls.",
    commands: |names| {
        let mut commands = vec![names.curl_on_node(), peerings(), routes(), security_rules()];
        commands.extend(names.acr([connections(names)]));
        commands
    },
};

pub(super) const CONNECT_REFUSED: Advice = Advice {
    meaning: "Something at the address refuses the connection, which a private endpoint does not do; or the node's own \
              system opens none, which leaves the verdict `unknown`.",
    recognised_by: "answered with a reset; or the node's own system opens no connection, with its error as evidence \
                    (verdict `unknown`)",
    remedy: "Compare the address with the private endpoint's, and let the firewall between node and endpoint pass the \
             registry's port.",
    commands: |names| {
        let mut commands = vec![names.curl_on_node()];
        commands.extend(record(names));
        commands.extend(names.acr([endpoint_addresses(), connections(names)]));
        commands
    },
};

/// What helps where the node's own system opened no connection, so that nothing is known about the network.
pub const NOT_OPENED_REMEDY: &str = "Look on the node for what its system's error names: exhausted local ports or file \
                                     descriptors, or a filter (eBPF, a security module) that forbids the connection.";

/// What shows the sockets of a node, and the processes that hold them.
#[must_use]
pub fn not_opened_commands() -> Vec<String> {
    vec![on_node("chroot /host ss --summary"), on_node("chroot /host ss --tcp --processes")]
}

pub(super) const NETWORK_UNREACHABLE: Advice = Advice {
    meaning: "The node has no route to the address, or one that drops or forbids the traffic.",
    recognised_by: "no route to the host or network, and nothing else",
    remedy: "Peer the node's VNet with the private endpoint's, and remove the route that drops this traffic.",
    commands: |_| vec![on_node("chroot /host ip route"), peerings(), routes()],
};

pub(super) const CONNECTION_RESET: Advice = Advice {
    meaning: "The connection was made, and the peer or something on the way closed it before the answer was complete.",
    recognised_by: "the peer, or something on the way, closed it before the answer was complete",
    remedy: "Look in the logs of the firewall or proxy between node and registry for the connection that it cut, and \
             let it pass.",
    commands: |names| vec![names.curl_on_node(), names.openssl_chain(), routes()],
};

pub(super) const CERTIFICATE_UNTRUSTED: Advice = Advice {
    meaning: "No root that the node trusts vouches for the certificate, as under TLS inspection by a firewall.",
    recognised_by: "no trusted root vouches for the certificate; the issuer seen is reported (TLS inspection)",
    remedy: "Exempt the registry from TLS inspection, or install the issuer's root on every node and name it with \
             --ca-file as well.",
    commands: |names| vec![names.openssl_chain(), names.curl_on_node()],
};

pub(super) const CERTIFICATE_NAME_MISMATCH: Advice = Advice {
    meaning: "The certificate is for other names: the image uses a privatelink name, or the address belongs to \
              somebody else.",
    recognised_by: "the certificate is for other names",
    remedy: "Use the login server itself in the image's name, never its privatelink name, and compare the address with \
             the private endpoint's.",
    commands: |names| {
        let mut commands = vec![names.openssl()];
        commands.extend(names.acr([show_endpoints(names), endpoint_addresses()]));
        commands
    },
};

pub(super) const CERTIFICATE_EXPIRED: Advice = Advice {
    meaning: "The certificate, or one above it, has ended, or the node's clock is ahead.",
    recognised_by: "the certificate, or one above it, has ended",
    remedy: "Correct the node's clock if it is ahead, and otherwise renew the certificate of whoever presents it.",
    commands: |names| vec![on_node("chroot /host timedatectl"), names.openssl()],
};

pub(super) const CERTIFICATE_NOT_YET_VALID: Advice = Advice {
    meaning: "The certificate, or one above it, has not begun, which nearly always is a node's clock that is behind.",
    recognised_by: "the certificate, or one above it, has not begun",
    remedy: "Correct the node's clock.",
    commands: |names| vec![on_node("chroot /host timedatectl"), names.openssl()],
};

pub(super) const TLS_HANDSHAKE_FAILED: Advice = Advice {
    meaning: "The peer does not complete a TLS handshake: no common version, an alert, or bytes that are not TLS.",
    recognised_by: "no common version, an alert, or bytes that are not TLS",
    remedy: "Take the proxy or firewall that answers in the registry's place out of the path, and allow TLS 1.2 and \
             1.3 to the registry's names.",
    commands: |names| vec![names.openssl_chain(), names.curl_on_node()],
};

pub(super) const RESOLVERS_DISAGREE: Advice = Advice {
    meaning: "The nameservers do not give the same answer, so what a pull meets depends on which one the node asks; or a \
              compared resolver gives none, so that nothing was compared with it.",
    recognised_by: "the node's nameservers, or a compared resolver, give different answers, or a compared resolver does \
                    not answer",
    remedy: "Make all of the VNet's DNS servers forward to the same resolver, one that sees the private zone.",
    commands: |names| vec![names.dig("A"), names.dig_azure(), vnet_resolvers(), node_resolvers()],
};

/// What helps where a compared resolver gives no answer.
pub const COMPARED_SILENT_REMEDY: &str = "Let the node reach the compared resolver on port 53 over UDP and TCP, or take it \
                                          out of `resolvers.compare`.";

pub(super) const NAMESERVER_FAILING: Advice = Advice {
    meaning: "One of the node's nameservers is silent, or fails for A, so pulls wait for it or depend on the others.",
    recognised_by: "one of the node's nameservers is silent (after the resends) or fails for A while another answers; \
                    an AAAA refused at once beside a good A is none",
    remedy: "Repair the nameserver that fails, or remove it from the VNet's DNS servers and reimage the nodes.",
    commands: |names| {
        let mut commands = Vec::from(names.dig_again());
        commands.extend([vnet_resolvers(), reimage()]);
        commands
    },
};

pub(super) const CERTIFICATE_EXPIRING: Advice = Advice {
    meaning: "The certificate ends soon, and pulls fail from then on unless it is renewed.",
    recognised_by: "under 14 days by default",
    remedy: "Renew the certificate of whoever presents it; for Azure's own, ask support why it was not renewed.",
    commands: |names| vec![names.openssl()],
};

pub(super) const PROXY_BYPASSED: Advice = Advice {
    meaning: "The containerd of this node uses an HTTP proxy for the registry, so pulls do not take the path that was \
              verified.",
    recognised_by: "containerd's proxy settings on the node (systemd's files) do not except the endpoint's name",
    remedy: "Add the login server and the data endpoint of the registry to noProxy in the HTTP proxy configuration of \
             the cluster.",
    commands: |_| {
        vec![
            on_node("chroot /host sh -c 'tr \"\\0\" \"\\n\" </proc/$(pidof containerd)/environ | grep -i proxy'"),
            "az aks show --resource-group RESOURCE_GROUP --name CLUSTER --query httpProxyConfig".to_owned(),
            "az aks update --resource-group RESOURCE_GROUP --name CLUSTER --http-proxy-config HTTP_PROXY_CONFIG_FILE"
                .to_owned(),
        ]
    },
};

/// The resolver configuration that the kubelet and containerd have.
fn node_resolvers() -> String {
    on_node("chroot /host cat /etc/resolv.conf")
}

pub(super) fn vnet_resolvers() -> String {
    "az network vnet show --resource-group RESOURCE_GROUP --name VNET --query dhcpOptions.dnsServers"
        .to_owned()
}

/// A VNet's new DNS servers do not reach nodes that run already.
fn reimage() -> String {
    "az aks nodepool upgrade --resource-group RESOURCE_GROUP --cluster-name CLUSTER --name NODEPOOL --node-image-only"
        .to_owned()
}

fn security_rules() -> String {
    "az network nsg rule list --resource-group RESOURCE_GROUP --nsg-name NSG --output table".to_owned()
}

fn peerings() -> String {
    "az network vnet peering list --resource-group RESOURCE_GROUP --vnet-name VNET --output table".to_owned()
}

fn routes() -> String {
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

/// What the private zone has for the endpoint.
pub(super) fn record(names: &Names) -> Vec<String> {
    names.private(|zone, record| {
        [format!(
            "az network private-dns record-set a show --resource-group RESOURCE_GROUP --zone-name {zone} --name {record}"
        )]
    })
}

/// What the private zone should have: one address a member, from the network interface of the private endpoint. Its own
/// `customDnsConfigs` is empty as soon as there is a zone group.
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
