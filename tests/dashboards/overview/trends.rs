//! The lower half of the overview: what gets old or ends, how fast the registry is, what the agents ask of it, and the agents themselves.

use super::super::panel::{BLUE, GREEN, Panel, RED, YELLOW};
use super::super::shared::{DAY, NODE_LINK, REVISION_COLUMNS, quantile};
use super::{CHOSEN, NODES, ROWS, WHOSE, absent};

pub(super) fn ends() -> Vec<Panel> {
    let age = |metric: &str| format!("topk({ROWS}, time() - max by ({WHOSE}) ({metric}{{{CHOSEN}}}))");
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

pub(super) fn speed() -> Vec<Panel> {
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
            "HTTP requests a minute that the agents send, by stage and status code. Good is level: eight for each check \
             of an image. A healthy one gets 401 to the challenge, 400 to the token's POST, and 200 or 307 to the rest; other \
             codes are errors, and `error` is no answer.",
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

pub(super) fn agents() -> Vec<Panel> {
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
