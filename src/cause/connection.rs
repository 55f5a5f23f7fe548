//! Causes of the stage `connect`, and a connection that is closed later.

use super::CauseInfo;
use super::commands::{
    cluster, connections, effective, endpoint_addresses, peerings, record, routes, security_rules, subnet,
    update_cluster,
};
use super::confirm::{CONNECT, CONNECTED, Confirm, HANDSHAKE, ROUTE};
use super::names::on_node;
use crate::observation::Stage;
use crate::verdict::Severity;

pub(super) const CONNECT_TIMEOUT: CauseInfo = CauseInfo {
    code: "connect_timeout",
    severity: Severity::Fail,
    stages: &[Stage::Connect],
    meaning: "The address is correct, but packets are lost on the way there or back.",
    detection: "no answer to the connection in time",
    remedy: "Allow traffic from the node subnet to the private endpoint: check VNet peerings, route tables in both \
             directions, network security groups and firewalls.",
    commands: |names| {
        let mut commands = names.acr([connections(names)]);
        commands.extend([peerings(), subnet(), routes(), security_rules()]);
        commands.extend(effective());
        commands.push(names.curl_on_node());
        commands
    },
    at_data: None,
    cautions: &[
        "`az network nic` reads the network interface of a VM. For a node of a scale set, open the instance in the Azure portal, \
         and *Effective routes* and *Effective security rules* of its network interface. Run the command about the subnet twice: for \
         the node's subnet and for the private endpoint's.",
        "A private endpoint adds a /32 route for its address to its VNet and to peered VNets. It overrides user-defined routes with a \
         shorter prefix. Network security groups and route tables apply to a private endpoint only if \
         `privateEndpointNetworkPolicies` of its subnet enables them. Enabling it can activate rules that block this traffic. If a \
         firewall inspects the traffic, requests and answers must both take the route through it.",
    ],
    confirm: Confirm {
        commands: &[CONNECT, ROUTE],
        shows: "`curl` prints `Trying` with the private address, and then `Connection timed out`.",
    },
    verify: CONNECTED,
};

pub(super) const CONNECT_REFUSED: CauseInfo = CauseInfo {
    code: "connect_refused",
    severity: Severity::Fail,
    stages: &[Stage::Connect],
    meaning: "Something at the address rejects the connection, which a private endpoint never does; or the node's own \
              system cannot open a connection, which makes the verdict `unknown`.",
    detection: "answered with a reset; or the node's own system cannot open a connection, with its error as evidence \
                (verdict `unknown`)",
    remedy: "Compare the address with the private endpoint's, and allow the registry's port in the firewall between node \
             and endpoint.",
    commands: |names| {
        let mut commands = vec![names.curl_on_node()];
        commands.extend(record(names));
        commands.extend(names.acr([endpoint_addresses(), connections(names)]));
        commands
    },
    at_data: None,
    cautions: &[
        "With the verdict `unknown` the node could not open a connection, and the report has another fix: find out whether local ports \
         or file descriptors are exhausted (`ss --summary` in a shell on the node), or whether a filter such as eBPF blocks the \
         connection.",
    ],
    confirm: Confirm {
        commands: &[CONNECT],
        shows: "`curl` prints `Connection refused` for the address that it tries.",
    },
    verify: CONNECTED,
};

/// The remedy if the node's own system could not open a connection, so that nothing is known about the network.
pub const NOT_OPENED_REMEDY: &str = "Check the node for what the system error names: exhausted local ports or file \
                                     descriptors, or a filter (eBPF, a security module) that blocks the connection.";

/// The commands that list the sockets of a node and the processes that hold them.
#[must_use]
pub fn not_opened_commands() -> Vec<String> {
    vec![on_node("chroot /host ss --summary"), on_node("chroot /host ss --tcp --processes")]
}

pub(super) const NETWORK_UNREACHABLE: CauseInfo = CauseInfo {
    code: "network_unreachable",
    severity: Severity::Fail,
    stages: &[Stage::Connect],
    meaning: "The node has no route to the address, or a route that drops or prohibits the traffic.",
    detection: "no route to the host or network, and nothing else",
    remedy: "Peer the node's VNet with the private endpoint's VNet, and remove the route that drops this traffic.",
    commands: |_| vec![on_node("chroot /host ip route"), peerings(), routes()],
    at_data: None,
    cautions: &[],
    confirm: Confirm {
        commands: &[ROUTE, "ip route"],
        shows: "`ip` prints `Network is unreachable`, or a route of type `unreachable` or `blackhole`.",
    },
    verify: "The route goes through the node's gateway, and `curl` connects.",
};

pub(super) const CONNECTION_RESET: CauseInfo = CauseInfo {
    code: "connection_reset",
    severity: Severity::Fail,
    stages: &[Stage::Connect, Stage::Tls, Stage::Challenge, Stage::Token, Stage::Manifest, Stage::Blob],
    meaning: "The connection was established, but the peer or a device on the path closed it before the answer was complete.",
    detection: "the peer or a device on the path closed the connection before the answer was complete",
    remedy: "Check the logs of the firewall or proxy between node and registry for the connection that it closed, and \
             allow it.",
    commands: |names| vec![names.curl_on_node(), names.openssl_chain(), routes()],
    at_data: None,
    cautions: &[],
    confirm: Confirm {
        commands: &[CONNECT, HANDSHAKE],
        shows: "After `Connected`, the output ends early or with `Connection reset by peer`.",
    },
    verify: "The handshake completes and the HTTP status is 401, several times in a row.",
};

pub(super) const PROXY_BYPASSED: CauseInfo = CauseInfo {
    code: "proxy_bypassed",
    severity: Severity::Warn,
    stages: &[Stage::Connect],
    meaning: "On this node containerd uses an HTTP proxy for the registry, so pulls do not take the verified path.",
    detection: "containerd's proxy settings on the node (systemd's files) do not exempt the endpoint's name",
    remedy: "Add the registry's login server and data endpoint to noProxy in the HTTP proxy configuration of the cluster.",
    commands: |_| {
        vec![
            on_node(
                "chroot /host sh -c 'tr \"\\0\" \"\\n\" </proc/$(pidof containerd)/environ | grep -i proxy'",
            ),
            cluster("httpProxyConfig"),
            update_cluster("--http-proxy-config HTTP_PROXY_CONFIG_FILE"),
        ]
    },
    at_data: None,
    cautions: &[
        "The update makes AKS reimage every node pool of the cluster: it drains each node in turn. Check the Pod disruption budgets \
         first, and run it in a maintenance window, while nodes can pull. The file replaces the whole proxy configuration: start from \
         the current one, which the second command prints.",
    ],
    confirm: Confirm {
        commands: &["tr '\\0' '\\n' </proc/$(pidof containerd)/environ | grep -i proxy"],
        shows: "`HTTPS_PROXY` or `https_proxy` names a proxy, and no entry of `NO_PROXY` or `no_proxy` covers the registry's \
                name: the name itself, a parent domain, or `*`.",
    },
    verify: "After AKS has reimaged the node pools, `NO_PROXY` on the node covers the login server and the data endpoint.",
};
