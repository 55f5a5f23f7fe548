//! The dashboard of the fleet: who can pull, what fails where, and what will fail soon.
//!
//! A panel has either a row for each registry, cause, stage or version, or at most `ROWS` rows of nodes: it reads the
//! same for three nodes and for a thousand.

use serde_json::Value;

use super::panel::{BLUE, GREEN, Panel, RED, YELLOW, dashboard, variable};
use super::shared::{DAY, NODE_LINK, REVISION_COLUMNS, RUNBOOK_LINK, VERDICTS, quantile, verdict};

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
    let panels = [now(), wrong(), names(), ends(), speed(), agents()].concat();
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
            "Nodes that the cluster has (kube-state-metrics, Windows left out) and no agent reports from. Good is 0. \
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
        "group by (cluster, node) (kube_node_info{{{NODES},os_image!~\"Windows.*\"}}) unless on (cluster, node) \
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

fn ends() -> Vec<Panel> {
    let age = |metric: &str| format!("topk({ROWS}, time() - min by ({WHOSE}) ({metric}{{{CHOSEN}}}))");
    let whose = ["Value=Time", "cluster=Cluster", "node=Node", "registry=Registry", "image=Image"];
    vec![
        Panel::row("Ages and ends"),
        Panel::table(
            "Time since the last success",
            &format!(
                "How long ago each image was last found good on each node, longest first, at most {ROWS} rows. Good is \
                 the interval of the checks. Longer is how long that node has not been able to pull."
            ),
            &age("acr_verifier_last_success_timestamp_seconds"),
        )
        .unit("s")
        .columns(&whose)
        .cells("Time")
        .link("This node", NODE_LINK)
        .colours(GREEN, &[(900.0, YELLOW), (3600.0, RED)])
        .size(8, 8),
        Panel::table(
            "Time since the last check",
            &format!(
                "How long ago each image was last checked on each node, longest first, at most {ROWS} rows. Good is the \
                 interval of the checks; a throttled registry is asked up to eight times as seldom. What is older than \
                 that is stale: the other panels show what was true then."
            ),
            &age("acr_verifier_last_check_timestamp_seconds"),
        )
        .unit("s")
        .columns(&whose)
        .cells("Time")
        .link("This node", NODE_LINK)
        .colours(GREEN, &[(900.0, YELLOW), (3600.0, RED)])
        .size(8, 8),
        Panel::stat(
            "Images that never passed",
            "Images on nodes that no check found good since the agent there started. Good is 0. Where the node is new, \
             look at its subnet, DNS and Secret first.",
            &format!(
                "count(group by ({WHOSE}) (acr_verifier_checks_total{{{CHOSEN}}}) unless on ({WHOSE}) \
                 acr_verifier_last_success_timestamp_seconds{{{CHOSEN}}}) or \
                 0 * count(acr_verifier_checks_total{{{CHOSEN}}})"
            ),
        )
        .colours(GREEN, &[(1.0, YELLOW)])
        .without("no agent")
        .size(4, 8),
        Panel::stat(
            "Configurations refused",
            "Nodes whose agent was given a configuration with errors and goes on with an older one. Good is 0. The \
             agent's log and its page say what is wrong, with line and column.",
            &format!("sum(acr_verifier_config_last_reload_successful{{{NODES}}} == bool 0)"),
        )
        .colours(GREEN, &[(1.0, YELLOW)])
        .without("no agent")
        .size(4, 8),
        Panel::table(
            "Certificates end",
            "Time until the certificate of each endpoint ends, the first that any node sees. Good is more than 14 \
             days: Azure renews its certificates itself, and one that is not renewed by then deserves a question. A \
             certificate of your own, or of an inspecting proxy, is yours to renew.",
            &format!(
                "min by (cluster, registry, endpoint) \
                 (acr_verifier_tls_certificate_expiry_timestamp_seconds{{{CHOSEN}}}) - time()"
            ),
        )
        .unit("s")
        .columns(&["Value=Ends in", "cluster=Cluster", "registry=Registry", "endpoint=Endpoint"])
        .cells("Ends in")
        .colours(RED, &[(3.0 * DAY, YELLOW), (14.0 * DAY, GREEN)]),
        Panel::table(
            "Credentials end",
            "Time until the credentials of each registry and named image end, the first of any node, where the \
             configuration or the Secret says so. Good is more than 14 days. Before it is over, make a new password \
             (az acr token credential generate) and renew the Secret.",
            &format!(
                "min by (cluster, registry, image) (acr_verifier_credentials_expiry_timestamp_seconds{{{CHOSEN}}}) \
                 - time()"
            ),
        )
        .unit("s")
        .columns(&["Value=End in", "cluster=Cluster", "registry=Registry", "image=Image"])
        .cells("End in")
        .colours(RED, &[(3.0 * DAY, YELLOW), (14.0 * DAY, GREEN)])
        .without("no end is known"),
    ]
}

fn speed() -> Vec<Panel> {
    let of_checks = |share: &str| quantile(share, "le", "acr_verifier_check_duration_seconds", CHOSEN);
    let of_stages =
        |share: &str| quantile(share, "le, endpoint, stage", "acr_verifier_stage_duration_seconds", CHOSEN);
    let stages = |title: &str, share: &str, reading: &str| {
        Panel::curves(title, reading).range(&of_stages(share), "{{endpoint}} {{stage}}").unit("s").size(8, 8)
    };
    vec![
        Panel::row("Speed and load"),
        Panel::curves(
            "Whole check",
            "How long a check of an image takes: half of the checks, 95 and 99 of 100 are faster. Good is level, and \
             under a second. A step up of all three is the registry or the network; of p99 alone, a few nodes.",
        )
        .range(&of_checks("0.5"), "p50")
        .range(&of_checks("0.95"), "p95")
        .range(&of_checks("0.99"), "p99")
        .unit("s"),
        Panel::heatmap(
            "Stages, spread",
            "How many stages took how long, over all stages. Good is the same pattern all the time: names and \
             connections at the bottom, answers of the registry above. A new band on top is something that became \
             slow; the panels below say which stage.",
            &format!(
                "sum by (le) (increase(acr_verifier_stage_duration_seconds_bucket{{{CHOSEN}}}[$__rate_interval]))"
            ),
        ),
        stages(
            "Stages, p50",
            "0.5",
            "Half of the times of each stage are below. Good is level: milliseconds for dns, connect and tls, some ten \
             to some hundred for the answers of the registry.",
        ),
        stages(
            "Stages, p95",
            "0.95",
            "95 of 100 times of each stage are below. Good is level. A stage that rises alone names the part that is \
             slow: dns the resolvers, connect the network, token to blob the registry.",
        ),
        stages(
            "Stages, p99",
            "0.99",
            "99 of 100 times of each stage are below; of few nodes this is the slowest check. A line near the limit of \
             a stage (5 s unless configured) is about to be a timeout.",
        ),
        Panel::curves(
            "Requests at the registry",
            "HTTP requests a minute that the agents send, by stage and status code. Good is level: six for each check \
             of an image. Codes beside 200, 307 and the challenge's 401 are answers that a check stumbled over; `error` is no \
             answer.",
        )
        .range(
            &format!(
                "60 * sum by (stage, code) (rate(acr_verifier_registry_requests_total{{{CHOSEN}}}[$__rate_interval]))"
            ),
            "{{stage}} {{code}}",
        )
        .unit("reqpm")
        .size(8, 8),
        Panel::curves(
            "Throttled and not judged",
            "Answers a minute with 429, and checks a minute that could not be judged. Good is none. Else the registry \
             takes fewer requests than all its clients send: set fleetSize, a longer interval, or a larger SKU.",
        )
        .range(
            &format!(
                "60 * sum by (stage) (rate(acr_verifier_registry_requests_total{{{CHOSEN},code=\"429\"}}\
                 [$__rate_interval]))"
            ),
            "429 to {{stage}}",
        )
        .range(
            &format!(
                "60 * sum(rate(acr_verifier_checks_total{{{CHOSEN},verdict=\"unknown\"}}[$__rate_interval]))"
            ),
            "checks not judged",
        )
        .unit("cpm")
        .size(8, 8),
        Panel::curves(
            "Checks by verdict",
            "Checks of images a minute, by verdict. Good is pass alone, at one for each image, node and interval. A \
             fall to nothing means that nobody checks.",
        )
        .range(
            &format!("60 * sum by (verdict) (rate(acr_verifier_checks_total{{{CHOSEN}}}[$__rate_interval]))"),
            "{{verdict}}",
        )
        .unit("cpm")
        .rename("pass", "pass", GREEN)
        .rename("warn", "warn", YELLOW)
        .rename("unknown", "unknown", BLUE)
        .rename("fail", "fail", RED)
        .stacked("normal")
        .size(8, 8),
    ]
}

fn agents() -> Vec<Panel> {
    vec![
        Panel::row("Agents"),
        Panel::table(
            "Versions",
            "How many agents run which version. Good is one row, and two during a rollout. All agents of the chosen \
             clusters count, whatever node is chosen.",
            r#"count by (cluster, version, revision) (acr_verifier_build_info{cluster=~"$cluster"})"#,
        )
        .columns(&REVISION_COLUMNS)
        .size(8, 8),
        Panel::table(
            "Where agents are missing",
            &format!(
                "Nodes that the cluster has and no agent reports from, at most {ROWS} rows. Good is an empty table; it \
                 is empty too without kube-state-metrics. New nodes stand here until their first scrape."
            ),
            &format!("topk({ROWS}, {})", absent()),
        )
        .columns(&["cluster=Cluster", "node=Node", "Value=Missing"])
        .without("none is known to be missing")
        .size(8, 8),
        Panel::curves(
            "Events",
            "Kubernetes Events by what became of them. Good is nothing or a few that are published. Events that failed \
             point to the rights of the service account; the metrics do not depend on them.",
        )
        .range(
            &format!("sum by (result) (increase(acr_verifier_events_total{{{NODES}}}[$__rate_interval]))"),
            "{{result}}",
        )
        .size(8, 8),
    ]
}
