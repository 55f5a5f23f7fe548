//! The states of a fleet, and the alerts expected in each.

use super::series::Node;
use super::{Releases, State};

/// One release for most nodes, and another one for a pool of five.
const TWO: Releases = &[(0, "acr-verifier"), (10, "acr-verifier-azl")];

/// Twelve healthy nodes, one in another state, and nodes that the DaemonSet does not want.
const fn unwanted(node: usize, other: Node) -> Node {
    match node {
        ..12 => Node::Healthy,
        12 => other,
        _ => Node::Unwanted,
    }
}

pub(super) const STATES: [State; 47] = [
    State::of("all nodes pass", |_| Node::Healthy, &[]),
    State::of(
        "the path is broken on all nodes",
        |_| Node::Fails("connect_timeout"),
        &[("AcrVerifierRegistryUnreachable", "critical", 1)],
    ),
    State::of(
        "the registry answers with errors on all nodes",
        |_| Node::Fails("registry_error"),
        &[("AcrVerifierRegistryUnreachable", "critical", 1)],
    ),
    State::of(
        "the path is broken on a quarter of the nodes",
        |node| if node < 4 { Node::Fails("connect_timeout") } else { Node::Healthy },
        &[("AcrVerifierRegistryUnreachable", "critical", 1)],
    ),
    State::of(
        "the path is broken on two nodes for an hour",
        |node| if node < 2 { Node::Fails("connect_timeout") } else { Node::Healthy },
        &[("AcrVerifierRegistryUnreachableFromNode", "warning", 2)],
    ),
    State::of(
        "the path is broken on one node",
        |node| if node == 0 { Node::Fails("connect_timeout") } else { Node::Healthy },
        &[("AcrVerifierRegistryUnreachableFromNode", "warning", 1)],
    ),
    State::of(
        "names resolve to public addresses on all nodes",
        |_| Node::Fails("private_zone_not_linked"),
        &[("AcrVerifierPublicPathInUse", "critical", 1), ("AcrVerifierRegistryUnreachable", "critical", 1)],
    ),
    State::of(
        "names resolve to public addresses on one node",
        |node| if node == 0 { Node::Fails("private_zone_not_linked") } else { Node::Healthy },
        &[
            ("AcrVerifierPublicPathInUseFromNode", "warning", 1),
            ("AcrVerifierRegistryUnreachableFromNode", "warning", 1),
        ],
    ),
    State::of(
        "the token of the check is rejected on all nodes",
        |_| Node::Fails("credentials_rejected"),
        &[("AcrVerifierCredentialsRejected", "warning", 1)],
    ),
    State::of(
        "the checked tag was deleted and no image is named",
        |_| Node::Fails("manifest_not_found"),
        &[("AcrVerifierImageNotPullable", "warning", 1)],
    ),
    State::of(
        "the tag of one named image was deleted",
        |_| Node::ImageFails("manifest_not_found"),
        &[("AcrVerifierImageNotPullable", "warning", 1)],
    ),
    State::of(
        "the role of the kubelet's identity is missing on all nodes",
        |_| Node::IdentityFails("pull_role_missing"),
        &[
            ("AcrVerifierCredentialsRejected", "warning", 1),
            ("AcrVerifierRegistryUnreachable", "critical", 1),
        ],
    ),
    State::of(
        "the role of a workload identity is missing on all nodes",
        |_| Node::Fails("pull_role_missing"),
        &[("AcrVerifierCredentialsRejected", "warning", 1)],
    ),
    State::of(
        "Entra ID cannot be reached from any node",
        |_| Node::Fails("entra_unreachable"),
        &[("AcrVerifierCredentialsRejected", "warning", 1)],
    ),
    State::of(
        "the registry throttles all nodes",
        |_| Node::Unknown,
        &[("AcrVerifierChecksInconclusive", "warning", 1)],
    ),
    State::of("four nodes are not ready", |node| if node < 4 { Node::NotReady } else { Node::Healthy }, &[]),
    State::of(
        "no agent is wanted on four nodes",
        |node| if node < 4 { Node::Unwanted } else { Node::Healthy },
        &[],
    ),
    State::of(
        "the path is broken on one node and the token is rejected on the others",
        |node| Node::Fails(if node == 0 { "connect_timeout" } else { "credentials_rejected" }),
        &[
            ("AcrVerifierCredentialsRejected", "warning", 1),
            ("AcrVerifierRegistryUnreachableFromNode", "warning", 1),
        ],
    ),
    State::of(
        "the data endpoint is denied on all nodes",
        |_| Node::Fails("blob_denied"),
        &[("AcrVerifierRegistryUnreachable", "critical", 1)],
    ),
    State::of(
        "two nodes are broken and the registry throttles the others",
        |node| if node < 2 { Node::Fails("connect_timeout") } else { Node::Unknown },
        &[
            ("AcrVerifierChecksInconclusive", "warning", 1),
            ("AcrVerifierRegistryUnreachableFromNode", "warning", 2),
        ],
    ),
    State::of(
        "three of a hundred nodes are broken and the registry throttles the others",
        |node| if node < 3 { Node::Fails("connect_timeout") } else { Node::Unknown },
        &[
            ("AcrVerifierChecksInconclusive", "warning", 1),
            ("AcrVerifierRegistryUnreachableFromNode", "warning", 3),
        ],
    )
    .nodes(100),
    // The error budget.
    State::of(
        "two of 33 nodes are broken for hours",
        |node| if node < 2 { Node::Fails("connect_timeout") } else { Node::Healthy },
        &[("AcrVerifierRegistryUnreachableFromNode", "warning", 2)],
    )
    .nodes(33)
    .minutes(30, 450),
    State::of(
        "three of sixteen nodes are broken for two hours",
        |node| if node < 3 { Node::Fails("connect_timeout") } else { Node::Healthy },
        &[("AcrVerifierRegistryUnreachableFromNode", "warning", 3)],
    )
    .minutes(30, 120),
    State::of(
        "one of five nodes is broken for two hours",
        |node| if node < 1 { Node::Fails("connect_timeout") } else { Node::Healthy },
        &[("AcrVerifierRegistryUnreachableFromNode", "warning", 1)],
    )
    .nodes(5)
    .minutes(30, 120),
    State::of(
        "two of sixteen nodes of a new cluster are broken",
        |node| if node < 2 { Node::Fails("connect_timeout") } else { Node::Healthy },
        &[("AcrVerifierRegistryUnreachableFromNode", "warning", 2)],
    )
    .minutes(1, 60),
    State::of(
        "a quarter of the nodes is broken for hours",
        |node| if node < 4 { Node::Fails("connect_timeout") } else { Node::Healthy },
        &[
            ("AcrVerifierErrorBudgetBurn1d", "warning", 1),
            ("AcrVerifierErrorBudgetBurn3d", "warning", 1),
            ("AcrVerifierRegistryUnreachable", "critical", 1),
        ],
    )
    .minutes(30, 450),
    State::of(
        "every node is broken for one minute of each five",
        |_| Node::Bursts("connect_timeout"),
        &[
            ("AcrVerifierErrorBudgetBurn1d", "warning", 1),
            ("AcrVerifierErrorBudgetBurn1h", "critical", 1),
            ("AcrVerifierErrorBudgetBurn3d", "warning", 1),
            ("AcrVerifierErrorBudgetBurn6h", "critical", 1),
        ],
    )
    .minutes(30, 480),
    // The verifier's own settings, and single blobs.
    State::of(
        "no node has the identity that the configuration names",
        |_| Node::IdentityFails("identity_not_found"),
        &[("AcrVerifierCredentialsRejected", "warning", 1)],
    ),
    State::of(
        "the identity service cannot be reached from any node",
        |_| Node::IdentityFails("identity_unavailable"),
        &[
            ("AcrVerifierCredentialsRejected", "warning", 1),
            ("AcrVerifierRegistryUnreachable", "critical", 1),
        ],
    ),
    State::of(
        "Pods cannot reach the identity service on any node",
        |_| Node::IdentityFailsInPod("identity_unavailable"),
        &[("AcrVerifierCredentialsRejected", "warning", 1)],
    ),
    State::of(
        "the role of the identity is missing, and the agents use the network of Pods",
        |_| Node::IdentityFailsInPod("pull_role_missing"),
        &[
            ("AcrVerifierCredentialsRejected", "warning", 1),
            ("AcrVerifierRegistryUnreachable", "critical", 1),
        ],
    ),
    State::of(
        "one of several unnamed images has a missing blob",
        |_| Node::Fails("blob_not_found"),
        &[("AcrVerifierImageNotPullable", "warning", 1)],
    ),
    // Missing agents.
    State::of(
        "all agents of the second of two releases are gone",
        |node| if node < 10 { Node::Healthy } else { Node::Silent },
        &[("AcrVerifierAgentAbsent", "warning", 5)],
    )
    .nodes(15)
    .releases(TWO),
    State::of(
        "all agents of the second of two releases are gone, without kube_pod_info",
        |node| if node < 10 { Node::Healthy } else { Node::Silent },
        &[("AcrVerifierAgentAbsent", "warning", 5)],
    )
    .nodes(15)
    .releases(TWO)
    .without_pods(),
    State::of(
        "one agent of the second of two releases is gone",
        |node| if node == 14 { Node::Silent } else { Node::Healthy },
        &[("AcrVerifierAgentAbsent", "warning", 1)],
    )
    .nodes(15)
    .releases(TWO)
    .without_pods(),
    State::of("one node is not ready and four are not wanted", |node| unwanted(node, Node::NotReady), &[])
        .nodes(17),
    State::of(
        "one node is not ready and four are not wanted, without kube_pod_info",
        |node| unwanted(node, Node::NotReady),
        &[],
    )
    .nodes(17)
    .without_pods(),
    State::of(
        "one agent does not report and four nodes are not wanted",
        |node| unwanted(node, Node::Silent),
        &[("AcrVerifierAgentAbsent", "warning", 1)],
    )
    .nodes(17),
    // Which of the five nodes lacks its agent is not known.
    State::of(
        "one agent does not report and four nodes are not wanted, without kube_pod_info",
        |node| unwanted(node, Node::Silent),
        &[("AcrVerifierAgentAbsent", "warning", 5)],
    )
    .nodes(17)
    .without_pods(),
    State::of(
        "one Pod cannot be scheduled and four nodes are not wanted",
        |node| unwanted(node, Node::WithoutPod),
        &[("AcrVerifierAgentAbsent", "warning", 5)],
    )
    .nodes(17),
    State::of(
        "one Pod cannot be scheduled",
        |node| if node == 0 { Node::WithoutPod } else { Node::Healthy },
        &[("AcrVerifierAgentAbsent", "warning", 1)],
    ),
    State::of(
        "one agent does not report and a node that is not wanted is not ready",
        |node| match node {
            0 => Node::Silent,
            1 => Node::UnwantedNotReady,
            _ => Node::Healthy,
        },
        &[("AcrVerifierAgentAbsent", "warning", 1)],
    ),
    State::of("all agents are gone", |_| Node::Silent, &[("AcrVerifierAllAgentsAbsent", "warning", 1)]),
    State::of("the DaemonSet wants no node", |_| Node::Unwanted, &[]),
    // Nodes that count in no alert.
    State::of(
        "four nodes are not ready, are scraped and fail",
        |node| if node < 4 { Node::NotReadyFails("connect_timeout") } else { Node::Healthy },
        &[],
    )
    .minutes(30, 120),
    State::of(
        "the credentials are rejected on four nodes that are not ready",
        |node| if node < 4 { Node::NotReadyFails("credentials_rejected") } else { Node::Healthy },
        &[],
    ),
    State::of(
        "all excluded nodes fail in every way",
        |node| if node < 5 { Node::Excluded } else { Node::Healthy },
        &[],
    )
    .minutes(30, 120),
];
