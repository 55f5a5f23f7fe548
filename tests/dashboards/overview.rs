//! The dashboard of the fleet: who can pull, what fails where, and what will fail soon.
//!
//! A panel has either a row for each registry, cause, stage or version, or at most `ROWS` rows of nodes: it reads the
//! same for three nodes and for a thousand.

mod trends;

use serde_json::Value;

use super::panel::{BLUE, GREEN, Panel, RED, YELLOW, dashboard, variable};
use super::shared::{NODE_LINK, RUNBOOK_LINK, VERDICTS, verdict};

/// Most rows of a panel that has a row for each node.
const ROWS: u32 = 40;
/// What the variables choose, of the series of a registry.
const CHOSEN: &str = r#"cluster=~"$cluster",registry=~"$registry",image=~"$image",node=~"$node""#;
/// The same, of the series of a node.
const NODES: &str = r#"cluster=~"$cluster",node=~"$node""#;
/// What tells one image on one node apart.
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
            "node",
            "Node",
            r#"label_values(acr_verifier_config_last_reload_successful{cluster=~"$cluster"}, node)"#,
            false,
        ),
    ];
    let panels = [now(), wrong(), names(), trends::ends(), trends::speed(), trends::agents()].concat();
    dashboard(
        "acr-verifier-overview",
        "ACR verifier / Overview",
        "Whether the nodes of the fleet can pull from their private Azure Container Registries, and why not.",
        variables,
        panels,
    )
}

fn now() -> Vec<Panel> {
    vec![
        Panel::row("Now"),
        Panel::stat(
            "Nodes that can pull",
            "Share of the nodes, among those that could be judged, whose newest check of every chosen image passed, \
             also with warnings. Good is 100 %. Below, read “What is wrong, by cause” for why and “Nodes with a problem” for \
             where.",
            &format!("avg(min by (cluster, node) (acr_verifier_check_success{{{CHOSEN}}}))"),
        )
        .unit("percentunit")
        .colours(RED, &[(0.95, YELLOW), (1.0, GREEN)])
        .without("not judged"),
        Panel::stat(
            "Nodes that cannot",
            "Nodes whose newest check of some chosen image failed. Good is 0. One node points to its subnet, its DNS or \
             its Secret; all at once point to the registry or its private endpoint.",
            &format!("sum(min by (cluster, node) (acr_verifier_check_success{{{CHOSEN}}}) == bool 0)"),
        )
        .colours(GREEN, &[(1.0, RED)])
        .without("not judged"),
        Panel::stat(
            "Images not judged",
            "Images on nodes that were not checked yet, or whose newest check could not be judged because the registry \
             throttles. Good is 0. They count neither as good nor as bad; where it stays above 0, see “Throttled \
             and not judged”.",
            &format!(
                "count(group by ({WHOSE}) (acr_verifier_checks_total{{{CHOSEN}}}) unless on ({WHOSE}) \
                 acr_verifier_check_success{{{CHOSEN}}}) or 0 * count(acr_verifier_checks_total{{{CHOSEN}}})"
            ),
        )
        .colours(GREEN, &[(1.0, BLUE)])
        .without("no agent"),
        Panel::stat(
            "Private answers",
            "Share of the addresses that the nodes' own nameservers answered with that are private. Good is 100 %. A \
             public one means that layers would leave the private network: see “Public answers”.",
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
            "Nodes whose own nameservers answer the name of a login or data endpoint with a public address. Good is 0. \
             Else the resolver does not see the private zone: “Public answers” has the nodes, the runbook the commands.",
            &format!(
                "sum(sum by (cluster, node) (acr_verifier_dns_answers{{{CHOSEN},resolver=\"system\",scope=\"public\"}}) \
                 > bool 0)"
            ),
        )
        .colours(GREEN, &[(1.0, RED)])
        .without("no answers"),
        Panel::stat(
            "Nodes with disagreement",
            "Nodes whose nameservers, or a resolver that is compared, answer differently. Good is 0. Pulls may work \
             today and fail when the other one is asked: see “Resolvers in disagreement”.",
            &format!("sum(max by (cluster, node) (acr_verifier_dns_resolvers_disagree{{{CHOSEN}}}))"),
        )
        .colours(GREEN, &[(1.0, YELLOW)])
        .without("no answers"),
        Panel::stat(
            "Nodes that report",
            "Nodes with an agent whose metrics are scraped. It should be the number of nodes on which agents should \
             run.",
            &format!("count(group by (cluster, node) (acr_verifier_config_last_reload_successful{{{NODES}}}))"),
        )
        .colours(BLUE, &[])
        .without("no agent"),
        Panel::stat(
            "Nodes without an agent",
            "Nodes that the cluster has (kube-state-metrics, without Windows and virtual nodes) and no agent reports from. Good is 0. \
             Such a node is seen by nobody: look at its pod with kubectl describe. Nodes that agents should not run on \
             count too.",
            &format!(
                "count({}) or 0 * count(kube_node_info{{{NODES}}})",
                absent()
            ),
        )
        .colours(GREEN, &[(1.0, YELLOW)])
        .without("no kube-state-metrics"),
    ]
}

/// The nodes of the cluster that no agent reports from.
fn absent() -> String {
    format!(
        "group by (cluster, node) (kube_node_info{{{NODES},node!~\"virtual-.+\",kubelet_version!~\".*-vk-.*\",os_image!~\"Windows.*\"}}) unless on (cluster, node) \
         group by (cluster, node) (acr_verifier_config_last_reload_successful{{{NODES}}})"
    )
}

fn wrong() -> Vec<Panel> {
    // Where a cause of failure shows is told by the counter, which has endpoint and stage; that it shows now, by the
    // gauges.
    let by_cause = format!(
        "label_replace(count by (cause, endpoint, stage, registry) (group by (cluster, node, registry, cause, endpoint, \
         stage) (acr_verifier_failures_total{{{CHOSEN}}} and on ({WHOSE}, endpoint, stage) \
         (acr_verifier_stage_success{{{CHOSEN}}} == 0) and on ({WHOSE}, cause) \
         acr_verifier_cause{{{CHOSEN},severity=\"fail\"}})), \"severity\", \"fail\", \"\", \"\") or \
         count by (cause, severity, registry) (group by (cluster, node, registry, cause, severity) \
         (acr_verifier_cause{{{CHOSEN},severity!=\"fail\"}}))"
    );
    let told = |severity: &str| {
        format!(
            "group by ({WHOSE}, cause, severity) (acr_verifier_cause{{{CHOSEN},severity=\"{severity}\"}})"
        )
    };
    let problems =
        format!("topk({ROWS}, {} * 3 or {} * 2 or {})", told("fail"), told("unknown"), told("warn"));
    // Nodes that had a problem at any time, those that failed most first; one that only warned never pushes out one
    // that failed.
    let told_in_range = |severity: &str| {
        format!("count_over_time(acr_verifier_cause{{{CHOSEN},severity=\"{severity}\"}}[$__range] @ end())")
    };
    let troubled = format!(
        "topk({ROWS}, sum by (cluster, node) ({} * 1000000 or {} * 1000 or {}))",
        told_in_range("fail"),
        told_in_range("unknown"),
        told_in_range("warn")
    );
    let by_node = format!("max by (cluster, node) ({})", verdict(CHOSEN));
    vec![
        Panel::row("What is wrong"),
        Panel::table(
            "What is wrong, by cause",
            "What the newest checks told: each cause with the number of nodes that tell it, and for failures the \
             endpoint and the stage. Good is an empty table. Many nodes with one cause are one problem; a cause leads \
             to its entry in the runbook.",
            &by_cause,
        )
        .columns(&[
            "severity=Severity",
            "cause=Cause",
            "endpoint=Endpoint",
            "stage=Stage",
            "registry=Registry",
            "Value=Nodes",
        ])
        .link("What ${__data.fields.Cause} means, and what mends it", RUNBOOK_LINK)
        .without("nothing is wrong"),
        Panel::table(
            "Nodes with a problem",
            &format!(
                "Each cause on each node, failures first, at most {ROWS} rows. Good is an empty table. A row leads to \
                 the dashboard of its node."
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
            "severity=Word",
        ])
        .words(&VERDICTS)
        .cells("Severity")
        .link("This node", NODE_LINK)
        .without("nothing is wrong"),
        Panel::timeline(
            "Verdicts of nodes with a problem",
            &format!(
                "A row for each node that had a problem within the time of the dashboard, at most {ROWS}, those that \
                 failed most. Good is no row at all. One red row is a node's own problem; red that begins in all rows \
                 at once is the registry's or the network's. A gap is a time without metrics."
            ),
        )
        .range(&format!("{by_node} and on (cluster, node) {troubled}"), "{{cluster}} {{node}}")
        .words(&VERDICTS)
        .without("no node had a problem"),
        Panel::curves(
            "Nodes by verdict",
            "How many nodes had which verdict, the worst of their images counting. Good is all green. The height is \
             the number of nodes, so that nodes which stop reporting show as a dent.",
        )
        .range(&format!("count_values(\"verdict\", {by_node})"), "{{verdict}}")
        .stacked("normal")
        .rename("0", "pass", GREEN)
        .rename("1", "warn", YELLOW)
        .rename("2", "unknown", BLUE)
        .rename("3", "fail", RED),
        Panel::history(
            "Share of nodes that can pull, by image",
            "A row for each registry and named image: the share of nodes, among those judged, that can pull it. Good \
             is green throughout. A row that turns red alone is that registry's or image's own problem.",
        )
        .range(
            &format!("avg by (cluster, registry, image) (acr_verifier_check_success{{{CHOSEN}}})"),
            "{{cluster}} {{registry}} {{image}}",
        )
        .unit("percentunit")
        .colours(RED, &[(0.5, YELLOW), (1.0, GREEN)]),
    ]
}

fn names() -> Vec<Panel> {
    vec![
        Panel::row("Names"),
        Panel::curves(
            "Answers by scope",
            "Addresses that the nodes' own nameservers answered with, by endpoint and scope, summed over nodes and images. Good \
             is private alone, and level. Public, reserved and unexpected ones are never good.",
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
                "Nodes and resolvers that answer with public addresses now, at most {ROWS} rows. Good is an empty \
                 table, but for a compared resolver that is meant to see the public side. `system` are the node's own \
                 nameservers: those decide. A row leads to the dashboard of its node."
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
        .link("This node", NODE_LINK)
        .without("no public answers")
        .size(8, 8),
        Panel::table(
            "Resolvers in disagreement",
            &format!(
                "Nodes whose resolvers answer differently now, at most {ROWS} rows. Good is an empty table. Compare \
                 the answers on the dashboard of the node, to which a row leads."
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
        .link("This node", NODE_LINK)
        .without("all agree")
        .size(8, 8),
    ]
}
