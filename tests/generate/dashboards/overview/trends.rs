//! The lower half of the overview: freshness and expiry, speed and load of the registry, and the agents.

use super::super::panel::{BLUE, GREEN, Panel, RED, YELLOW};
use super::super::shared::{DAY, NODE_LINK, REVISION_COLUMNS, quantile};
use super::{CHOSEN, NODES, ROWS, WHOSE, absent};

pub(super) fn ends() -> Vec<Panel> {
    let age = |metric: &str| format!("topk({ROWS}, time() - max by ({WHOSE}) ({metric}{{{CHOSEN}}}))");
    let whose = ["Value=Time", "cluster=Cluster", "node=Node", "registry=Registry", "image=Image"];
    vec![
        Panel::row("Freshness and expiry"),
        Panel::table(
            "Time since last success",
            &format!(
                "Time since the last passing check of each image on each node, longest first, at most {ROWS} rows. \
                 Expected: up to the check interval. Longer means that the node has been unable to pull for that time."
            ),
            &age("acr_verifier_last_success_timestamp_seconds"),
        )
        .unit("s")
        .columns(&whose)
        .cells("Time")
        .link("Node dashboard", NODE_LINK)
        .colours(GREEN, &[(900.0, YELLOW), (3600.0, RED)])
        .size(8, 8),
        Panel::table(
            "Time since last check",
            &format!(
                "Time since the last check of each image on each node, longest first, at most {ROWS} rows. Expected: up to \
                 the check interval, or up to eight times that for a throttled registry. Anything older is stale: the other \
                 panels then show old data."
            ),
            &age("acr_verifier_last_check_timestamp_seconds"),
        )
        .unit("s")
        .columns(&whose)
        .cells("Time")
        .link("Node dashboard", NODE_LINK)
        .colours(GREEN, &[(900.0, YELLOW), (3600.0, RED)])
        .size(8, 8),
        Panel::stat(
            "Images that never passed",
            "Images on nodes without a passing check since the agent there started. Expected: 0. For a new node, check its \
             subnet, DNS and Secret first.",
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
            "Rejected configurations",
            "Nodes whose agent rejected a configuration with errors and continues with the previous one. Expected: 0. The \
             agent's log and status page list the errors with line and column.",
            &format!("sum(acr_verifier_config_last_reload_successful{{{NODES}}} == bool 0)"),
        )
        .colours(GREEN, &[(1.0, YELLOW)])
        .without("no agent")
        .size(4, 8),
        Panel::table(
            "Certificate expiry",
            "Time until the certificate of each endpoint expires: the earliest that any node sees. Expected: more than 14 \
             days. Azure renews its certificates well before that. Renew a certificate of your own or of an inspecting \
             proxy yourself.",
            &format!(
                "min by (cluster, registry, endpoint) \
                 (acr_verifier_tls_certificate_expiry_timestamp_seconds{{{CHOSEN}}}) - time()"
            ),
        )
        .unit("s")
        .columns(&["Value=Expires in", "cluster=Cluster", "registry=Registry", "endpoint=Endpoint"])
        .cells("Expires in")
        .colours(RED, &[(3.0 * DAY, YELLOW), (14.0 * DAY, GREEN)]),
        Panel::table(
            "Credential expiry",
            "Time until the credentials of each registry and named image expire: the earliest of any node, if stated by the \
             configuration or the Secret. Expected: more than 14 days. Before they expire, generate a new token password \
             (az acr token credential generate) and update the Secret.",
            &format!(
                "min by (cluster, registry, image) (acr_verifier_credentials_expiry_timestamp_seconds{{{CHOSEN}}}) \
                 - time()"
            ),
        )
        .unit("s")
        .columns(&["Value=Expire in", "cluster=Cluster", "registry=Registry", "image=Image"])
        .cells("Expire in")
        .colours(RED, &[(3.0 * DAY, YELLOW), (14.0 * DAY, GREEN)])
        .without("no expiry known"),
    ]
}

pub(super) fn speed() -> Vec<Panel> {
    let of_checks = |share: &str| quantile(share, "le", "acr_verifier_check_duration_seconds", CHOSEN);
    let of_stages =
        |share: &str| quantile(share, "le, endpoint, stage", "acr_verifier_stage_duration_seconds", CHOSEN);
    let stages = |title: &str, share: &str, reading: &str| {
        Panel::curves(title, reading)
            .range(&of_stages(share), "{{endpoint}} {{stage}}")
            .unit("s")
            .size(8, 8)
            .without("off: metrics.stageHistograms")
    };
    vec![
        Panel::row("Speed and load").collapsed(),
        Panel::curves(
            "Check duration",
            "Duration of image checks (50th, 95th and 99th percentile). Expected: constant and under a second. If all three \
             rise, the registry or the network is slow; if only p99 rises, a few nodes are.",
        )
        .range(&of_checks("0.5"), "p50")
        .range(&of_checks("0.95"), "p95")
        .range(&of_checks("0.99"), "p99")
        .unit("s"),
        Panel::heatmap(
            "Stage duration distribution",
            "Distribution of the durations of all stages. Expected: a constant pattern, with DNS and connections at the \
             bottom and responses of the registry above. A new band on top means that a stage has become slow; the panels \
             below show which one.",
            &format!(
                "sum by (le) (increase(acr_verifier_stage_duration_seconds_bucket{{{CHOSEN}}}[$__rate_interval]))"
            ),
        )
        .without("off: metrics.stageHistograms"),
        stages(
            "Stage duration, p50",
            "0.5",
            "Median duration of each stage. Expected: constant, with milliseconds for dns, connect and tls, and tens to \
             hundreds of milliseconds for responses of the registry.",
        ),
        stages(
            "Stage duration, p95",
            "0.95",
            "95th percentile of the duration of each stage. Expected: constant. A single rising stage shows what is slow: dns \
             the resolvers, connect the network, token to blob the registry.",
        ),
        stages(
            "Stage duration, p99",
            "0.99",
            "99th percentile of the duration of each stage; with few nodes, this is the slowest check. A line close to the \
             per-stage timeout (10 s by default) is about to become a timeout.",
        ),
        Panel::curves(
            "Registry requests",
            "HTTP requests per minute sent by the agents, by stage and status code. Expected: constant, eight per image check. \
             A healthy check receives 401 for the challenge, 400 for the token POST, and 200 or 307 for the rest; other codes \
             are errors, and `error` means no response.",
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
            "Throttled and inconclusive",
            "Responses per minute with status 429, and inconclusive checks per minute. Expected: none. Otherwise the clients \
             of the registry exceed its limits: set fleetSize, a longer interval, or a larger SKU.",
        )
        .range(
            &format!(
                "60 * sum by (stage) (rate(acr_verifier_registry_requests_total{{{CHOSEN},code=\"429\"}}\
                 [$__rate_interval]))"
            ),
            "429 for {{stage}}",
        )
        .range(
            &format!(
                "60 * sum(rate(acr_verifier_checks_total{{{CHOSEN},verdict=\"unknown\"}}[$__rate_interval]))"
            ),
            "inconclusive checks",
        )
        .unit("cpm")
        .size(8, 8),
        Panel::curves(
            "Checks by verdict",
            "Image checks per minute, by verdict. Expected: only pass, one per image, node and interval. A drop to zero means \
             that no agent runs checks.",
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

pub(super) fn agents() -> Vec<Panel> {
    vec![
        Panel::row("Agents").collapsed(),
        Panel::table(
            "Versions",
            "Number of agents by version. Expected: one row, or two during a rollout. Includes all agents of the selected \
             clusters, regardless of the selected node.",
            r#"count by (cluster, version, revision) (acr_verifier_build_info{cluster=~"$cluster"})"#,
        )
        .columns(&REVISION_COLUMNS)
        .size(8, 8),
        Panel::table(
            "Nodes with a missing agent",
            &format!(
                "Nodes of the cluster without a reporting agent, at most {ROWS} rows. Expected: an empty table, which is also \
                 shown without kube-state-metrics. Nodes of every pool and zone are listed, and new ones until their first \
                 scrape."
            ),
            &format!("topk({ROWS}, {})", absent()),
        )
        .columns(&["cluster=Cluster", "node=Node", "Value=Missing"])
        .without("no missing agents known")
        .size(8, 8),
        Panel::curves(
            "Events",
            "Kubernetes Events by result. Expected: none or a few, all published. Failed Events point to the RBAC permissions \
             of the service account; the metrics do not depend on Events.",
        )
        .range(
            &format!("sum by (result) (increase(acr_verifier_events_total{{{NODES}}}[$__rate_interval]))"),
            "{{result}}",
        )
        .size(8, 8),
    ]
}
