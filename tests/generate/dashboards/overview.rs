//! The overview dashboard of the fleet: which nodes can pull, what fails where, and what expires soon.
//!
//! A panel has either a row for each registry, cause, stage or version, or at most `ROWS` rows of nodes, so it stays
//! readable for three nodes and for a thousand.

mod pools;
mod trends;

use serde_json::Value;

use super::panel::{BLUE, GREEN, Panel, RED, YELLOW, dashboard, variable};
use super::shared::{NODE_LINK, RUNBOOK_LINK, VERDICTS, verdict};

/// Maximum rows of a panel with a row per node.
const ROWS: u32 = 40;
/// The selector of the variables for series of a registry.
const CHOSEN: &str = r#"cluster=~"$cluster",registry=~"$registry",image=~"$image",node=~"$node""#;
/// The same for series of a node. `pools` adds the pools and zones to every query.
const NODES: &str = r#"cluster=~"$cluster",node=~"$node""#;
/// The labels that identify an image on a node.
const WHOSE: &str = "cluster, node, registry, image";

pub(super) fn overview() -> Value {
    let variables = vec![
        variable("cluster", "Cluster", "label_values(acr_verifier_build_info, cluster)", false),
        variable(
            "registry",
            "Registry",
            r#"label_values(acr_verifier_checks_total{cluster=~"$cluster"}, registry)"#,
            false,
        ),
        variable(
            "image",
            "Image",
            r#"label_values(acr_verifier_checks_total{cluster=~"$cluster",registry=~"$registry"}, image)"#,
            false,
        ),
        variable(
            "pool",
            "Node pool",
            r#"label_values(acr_verifier_node_info{cluster=~"$cluster"}, pool)"#,
            false,
        ),
        variable(
            "zone",
            "Zone",
            r#"label_values(acr_verifier_node_info{cluster=~"$cluster",pool=~"$pool"}, zone)"#,
            false,
        ),
        variable(
            "node",
            "Node",
            r#"label_values(acr_verifier_node_info{cluster=~"$cluster",pool=~"$pool",zone=~"$zone"}, node)"#,
            false,
        ),
    ];
    let panels =
        [now(), wrong(), groups(), names(), trends::ends(), trends::speed(), trends::agents()].concat();
    let panels = panels.into_iter().map(|panel| panel.queries(pools::chosen)).collect();
    dashboard(
        "acr-verifier-overview",
        "ACR verifier / Overview",
        "On which nodes of the fleet the checks of private Azure Container Registries pass, and why they fail on others.",
        variables,
        panels,
    )
}

fn now() -> Vec<Panel> {
    vec![
        Panel::row("Now"),
        Panel::stat(
            "Nodes whose check passes",
            "Share of nodes with a conclusive result whose last check passed for every selected image, warnings included. \
             Expected: 100 %. Otherwise see “Problems by cause” for the cause and “Nodes with a problem” for the nodes. Pods \
             pull by the same path, but only with the kubelet's identity also with the same credentials: see “Credentials”.",
            &format!("avg(min by (cluster, node) (acr_verifier_check_success{{{CHOSEN}}}))"),
        )
        .unit("percentunit")
        .colours(RED, &[(0.95, YELLOW), (1.0, GREEN)])
        .without("inconclusive"),
        Panel::stat(
            "Nodes whose check fails",
            "Nodes whose last check failed for at least one selected image. Expected: 0. A single node points to its \
             subnet, DNS or Secret; all nodes at once point to the registry or its private endpoint.",
            &format!("sum(min by (cluster, node) (acr_verifier_check_success{{{CHOSEN}}}) == bool 0)"),
        )
        .colours(GREEN, &[(1.0, RED)])
        .without("inconclusive"),
        Panel::stat(
            "Inconclusive images",
            "Images on nodes that have not been checked yet, or whose last check was inconclusive because the registry \
             throttles requests. Expected: 0. They count neither as passed nor as failed; if the number stays above 0, see \
             “Throttled and inconclusive”.",
            &format!(
                "count(group by ({WHOSE}) (acr_verifier_checks_total{{{CHOSEN}}}) unless on ({WHOSE}) \
                 acr_verifier_check_success{{{CHOSEN}}}) or 0 * count(acr_verifier_checks_total{{{CHOSEN}}})"
            ),
        )
        .colours(GREEN, &[(1.0, BLUE)])
        .without("no agent"),
        Panel::stat(
            "Private answers",
            "Share of private addresses among the addresses returned by the nodes' own nameservers. Expected: 100 %. With a \
             public address, layers would leave the private network: see “Public answers”.",
            &format!(
                "sum(acr_verifier_dns_answers{{{CHOSEN},resolver=\"system\",scope=\"private\"}}) / \
                 (sum(acr_verifier_dns_answers{{{CHOSEN},resolver=\"system\"}}) > 0)"
            ),
        )
        .unit("percentunit")
        .colours(RED, &[(1.0, GREEN)])
        .without("no answers"),
        Panel::stat(
            "Nodes with public answers",
            "Nodes whose own nameservers return a public address for a login or data endpoint. Expected: 0. Otherwise the \
             resolver does not see the private DNS zone: “Public answers” lists the nodes, the runbook the commands.",
            &format!(
                "sum(sum by (cluster, node) (acr_verifier_dns_answers{{{CHOSEN},resolver=\"system\",scope=\"public\"}}) \
                 > bool 0)"
            ),
        )
        .colours(GREEN, &[(1.0, RED)])
        .without("no answers"),
        Panel::stat(
            "Nodes with disagreement",
            "Nodes whose nameservers or compared resolvers return different answers. Expected: 0. Pulls may work now and \
             fail when another resolver is queried: see “Resolver disagreement”.",
            &format!("sum(max by (cluster, node) (acr_verifier_dns_resolvers_disagree{{{CHOSEN}}}))"),
        )
        .colours(GREEN, &[(1.0, YELLOW)])
        .without("no answers"),
        Panel::stat(
            "Reporting nodes",
            "Nodes with an agent whose metrics are scraped. Expected: the number of nodes on which agents are supposed to \
             run.",
            &format!("count(group by (cluster, node) (acr_verifier_config_last_reload_successful{{{NODES}}}))"),
        )
        .colours(BLUE, &[])
        .without("no agent"),
        Panel::stat(
            "Nodes without an agent",
            "Nodes of the cluster (from kube-state-metrics, without Windows and virtual nodes) without a reporting agent. \
             Expected: 0. Nothing checks such a node: run kubectl describe on its agent pod. Nodes on which agents are not \
             supposed to run are counted, too, and nodes of every pool and zone, which only agents know.",
            &format!(
                "count({}) or 0 * count(kube_node_info{{{NODES}}})",
                absent()
            ),
        )
        .colours(GREEN, &[(1.0, YELLOW)])
        .without("no kube-state-metrics"),
    ]
}

/// The nodes of the cluster without a reporting agent.
fn absent() -> String {
    format!(
        "group by (cluster, node) (kube_node_info{{{NODES},node!~\"virtual-.+\",kubelet_version!~\".*-vk-.*\",os_image!~\"Windows.*\"}}) unless on (cluster, node) \
         group by (cluster, node) (acr_verifier_config_last_reload_successful{{{NODES}}})"
    )
}

/// The number of nodes with each current cause.
fn by_cause() -> String {
    // The counter has the endpoint and stage of a cause; the gauges show whether it currently applies.
    format!(
        "label_replace(count by (cluster, cause, endpoint, stage, registry) (group by (cluster, node, registry, cause, endpoint, \
         stage) (acr_verifier_failures_total{{{CHOSEN}}} and on ({WHOSE}, endpoint, stage) \
         (acr_verifier_stage_success{{{CHOSEN}}} == 0) and on ({WHOSE}, cause) \
         acr_verifier_cause{{{CHOSEN},severity=\"fail\"}})), \"severity\", \"fail\", \"\", \"\") or \
         count by (cluster, cause, severity, registry) (group by (cluster, node, registry, cause, severity) \
         (acr_verifier_cause{{{CHOSEN},severity!=\"fail\"}}))"
    )
}

fn wrong() -> Vec<Panel> {
    let causes_of = |severity: &str| {
        format!(
            "group by ({WHOSE}, cause, severity) (acr_verifier_cause{{{CHOSEN},severity=\"{severity}\"}})"
        )
    };
    let problems = format!(
        "topk({ROWS}, {} * 3 or {} * 2 or {})",
        causes_of("fail"),
        causes_of("unknown"),
        causes_of("warn")
    );
    // Nodes that had a problem at any time, most failures first; a node with only warnings never displaces one that
    // failed.
    let count_in_range = |severity: &str| {
        format!("count_over_time(acr_verifier_cause{{{CHOSEN},severity=\"{severity}\"}}[$__range] @ end())")
    };
    let troubled = format!(
        "topk({ROWS}, sum by (cluster, node) ({} * 1000000 or {} * 1000 or {}) and on (cluster, node) {} @ end())",
        count_in_range("fail"),
        count_in_range("unknown"),
        count_in_range("warn"),
        pools::INFO,
    );
    let by_node = format!("max by (cluster, node) ({})", verdict(CHOSEN));
    vec![
        Panel::row("Problems"),
        Panel::table(
            "Problems by cause",
            "Causes reported by the last checks, with the number of nodes that report them and, for failures, the \
             endpoint and stage. Expected: an empty table. Many nodes with the same cause are one problem. Each cause links \
             to its section in the runbook.",
            &by_cause(),
        )
        .columns(&[
            "severity=Severity",
            "cluster=Cluster",
            "cause=Cause",
            "endpoint=Endpoint",
            "stage=Stage",
            "registry=Registry",
            "Value=Nodes",
        ])
        .link("Runbook: ${__data.fields.Cause}", RUNBOOK_LINK)
        .without("no problems"),
        Panel::table(
            "Nodes with a problem",
            &format!(
                "Causes per node, failures first, at most {ROWS} rows. Expected: an empty table. Each row links to the \
                 dashboard of its node."
            ),
            &problems,
        )
        .columns(&[
            "Value=Severity",
            "cluster=Cluster",
            "node=Node",
            "cause=Cause",
            "registry=Registry",
            "image=Image",
            "severity=Name",
        ])
        .words(&VERDICTS)
        .cells("Severity")
        .link("Node dashboard", NODE_LINK)
        .without("no problems"),
        Panel::timeline(
            "Verdicts of nodes with a problem",
            &format!(
                "One row per node that had a problem in the time range of the dashboard: at most {ROWS}, those with the \
                 most failures. Expected: no rows. A single red row is a problem of that node; red that starts in all rows \
                 at once is a problem of the registry or the network. Gaps are times without metrics."
            ),
        )
        .range(&format!("{by_node} and on (cluster, node) {troubled}"), "{{cluster}} {{node}}")
        .words(&VERDICTS)
        .without("no node had a problem"),
        Panel::curves(
            "Nodes by verdict",
            "Number of nodes by verdict, counting the worst verdict of their images. Expected: all green. The height is the \
             number of nodes, so nodes that stop reporting show as a dip.",
        )
        .range(
            &format!("count_values(\"verdict\", {by_node} and on (cluster, node) {})", pools::INFO),
            "{{verdict}}",
        )
        .stacked("normal")
        .rename("0", "pass", GREEN)
        .rename("1", "warn", YELLOW)
        .rename("2", "unknown", BLUE)
        .rename("3", "fail", RED),
        Panel::history(
            "Share of nodes whose check passes, by image",
            "Share of nodes with a conclusive result whose check passes, per registry and named image. Expected: green \
             throughout. A single red row is a problem of that registry or image.",
        )
        .range(
            &format!("avg by (cluster, registry, image) (acr_verifier_check_success{{{CHOSEN}}})"),
            "{{cluster}} {{registry}} {{image}}",
        )
        .unit("percentunit")
        .colours(RED, &[(0.5, YELLOW), (1.0, GREEN)]),
    ]
}

/// The nodes by what they have in common.
fn groups() -> Vec<Panel> {
    let info = format!("group by (cluster, node, pool, zone) ({})", pools::INFO);
    vec![
        Panel::table(
            "Nodes by cluster, pool and zone",
            "Number of nodes whose last check failed, per cluster, node pool and zone, most failures first. Expected: 0 \
             everywhere. A single pool or zone with failures points to its subnet, its DNS or its identity. A pool is taken \
             from the node's name or NODE_POOL, a zone is known from Kubernetes 1.35 on; both are empty if unknown.",
            &format!(
                "sort_desc(count by (cluster, pool, zone) ({info} and on (cluster, node) (min by (cluster, node) \
                 (acr_verifier_check_success{{{CHOSEN}}}) == 0)) or 0 * count by (cluster, pool, zone) ({info}))"
            ),
        )
        .columns(&["cluster=Cluster", "pool=Pool", "zone=Zone", "Value=Failing"])
        .without("no agent"),
        Panel::table(
            "Credentials",
            "Number of nodes by the credentials that their checks use. Expected: one row for each registry. \
             `managed_identity` is what the kubelet pulls with unless Pods name a Secret; with `secret`, a check shows the path \
             and its own token, not the Secrets of Pods.",
            &format!(
                "count by (cluster, registry, credentials) (group by (cluster, node, registry, credentials) \
                 (acr_verifier_credentials_info{{{CHOSEN}}}))"
            ),
        )
        .columns(&["cluster=Cluster", "registry=Registry", "credentials=Credentials", "Value=Nodes"])
        .without("unknown"),
    ]
}

fn names() -> Vec<Panel> {
    vec![
        Panel::row("DNS"),
        Panel::curves(
            "Answers by scope",
            "Addresses returned by the nodes' own nameservers, by endpoint and scope, summed over nodes and images. \
             Expected: only private, at a constant level. Public, reserved and unexpected addresses are always a problem.",
        )
        .range(
            &format!(
                "sum by (endpoint, scope) (acr_verifier_dns_answers{{{CHOSEN},resolver=\"system\"}}) > 0"
            ),
            "{{endpoint}} {{scope}}",
        )
        .size(8, 8),
        Panel::table(
            "Public answers",
            &format!(
                "Nodes and resolvers that currently return public addresses, at most {ROWS} rows. Expected: an empty \
                 table, except for a compared resolver that is meant to see the public side. `system` stands for the \
                 node's own nameservers, which decide. Each row links to the dashboard of its node."
            ),
            &format!(
                "topk({ROWS}, sum by (cluster, node, registry, endpoint, resolver) \
                 (acr_verifier_dns_answers{{{CHOSEN},scope=\"public\"}}) > 0)"
            ),
        )
        .columns(&[
            "cluster=Cluster",
            "node=Node",
            "resolver=Resolver",
            "endpoint=Endpoint",
            "registry=Registry",
            "Value=Addresses",
        ])
        .link("Node dashboard", NODE_LINK)
        .without("no public answers")
        .size(8, 8),
        Panel::table(
            "Resolver disagreement",
            &format!(
                "Nodes whose resolvers currently return different answers, at most {ROWS} rows. Expected: an empty table. \
                 Each row links to the dashboard of its node, which compares the answers."
            ),
            &format!(
                "topk({ROWS}, max by (cluster, node, registry, endpoint) \
                 (acr_verifier_dns_resolvers_disagree{{{CHOSEN}}}) == 1)"
            ),
        )
        .columns(&[
            "cluster=Cluster",
            "node=Node",
            "endpoint=Endpoint",
            "registry=Registry",
            "Value=Disagree",
        ])
        .link("Node dashboard", NODE_LINK)
        .without("all agree")
        .size(8, 8),
    ]
}
