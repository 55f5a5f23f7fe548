//! The dashboard of one node: its view of each registry, stage by stage.

use acr_verifier::observation::{Endpoint, Stage};
use serde_json::Value;

use super::panel::{BLUE, GREEN, Panel, RED, YELLOW, dashboard, variable};
use super::shared::{DAY, REVISION_COLUMNS, RUNBOOK_LINK, VERDICTS, quantile, verdict};

/// The selector of the variables for series of a registry.
const CHOSEN: &str = r#"cluster=~"$cluster",registry=~"$registry",image=~"$image",node="$node""#;
/// The same for series of the node.
const NODE: &str = r#"cluster=~"$cluster",node="$node""#;
/// The legend of a series of one image.
const IMAGE: &str = "{{registry}} {{image}}";

pub(super) fn node() -> Value {
    let variables = vec![
        variable("cluster", "Cluster", "label_values(acr_verifier_build_info, cluster)", false),
        variable(
            "node",
            "Node",
            r#"label_values(acr_verifier_config_last_reload_successful{cluster=~"$cluster"}, node)"#,
            true,
        ),
        variable(
            "registry",
            "Registry",
            r#"label_values(acr_verifier_checks_total{cluster=~"$cluster",node="$node"}, registry)"#,
            false,
        ),
        variable(
            "image",
            "Image",
            r#"label_values(acr_verifier_checks_total{cluster=~"$cluster",node="$node",registry=~"$registry"}, image)"#,
            false,
        ),
    ];
    let panels = [now(), stages(), names(), speed(), ends(), agent()].concat();
    dashboard(
        "acr-verifier-node",
        "ACR verifier / Node",
        "How one node sees its private Azure Container Registries: stages, DNS answers, durations, causes.",
        variables,
        panels,
    )
}

fn now() -> Vec<Panel> {
    let age = |metric: &str| format!("time() - max by (registry, image) ({metric}{{{CHOSEN}}})");
    vec![
        Panel::row("Now"),
        Panel::stat(
            "Verdict",
            "Verdict of the last check of each registry or named image on this node. Expected: pass. With warn, pulls work \
             but a problem needs attention; with unknown, the registry throttles requests. See “Current causes”.",
            &format!("max by (registry, image) ({})", verdict(CHOSEN)),
        )
        .legend(IMAGE)
        .words(&VERDICTS)
        .without("inconclusive")
        .size(6, 6),
        Panel::table(
            "Current causes",
            "Causes reported by the last check. Expected: an empty table. Each row links to the runbook, which starts with the \
             first thing to do; the node's Events and the agent's status page have the evidence.",
            &format!("max by (severity, cause, registry, image) (acr_verifier_cause{{{CHOSEN}}})"),
        )
        .columns(&["severity=Severity", "cause=Cause", "registry=Registry", "image=Image", "Value=Reported"])
        .link("Runbook: ${__data.fields.Cause}", RUNBOOK_LINK)
        .without("no problems")
        .size(10, 6),
        Panel::stat(
            "Last check",
            "Time since the last check. Expected: up to the interval, or up to eight times that for a throttled registry. If \
             it keeps growing, the rest of this dashboard is out of date: check the agent.",
            &age("acr_verifier_last_check_timestamp_seconds"),
        )
        .legend(IMAGE)
        .unit("s")
        .colours(GREEN, &[(900.0, YELLOW), (3600.0, RED)])
        .without("not checked yet")
        .size(4, 6),
        Panel::stat(
            "Last success",
            "Time since the last passing check on this node. Expected: up to the interval. Empty if no check has passed since \
             the agent started.",
            &age("acr_verifier_last_success_timestamp_seconds"),
        )
        .legend(IMAGE)
        .unit("s")
        .colours(GREEN, &[(900.0, YELLOW), (3600.0, RED)])
        .without("never")
        .size(4, 6),
    ]
}

fn stages() -> Vec<Panel> {
    let mut stages = Panel::timeline(
        "Stages",
        "The twelve stages of a pull, in order. Expected: green from top to bottom. The first red row is where the pull \
         fails; later stages were not reached and are blank. Inconclusive stages are blank as well.",
    )
    .words(&[("failed", RED), ("ok", GREEN)])
    .size(24, 12);
    for endpoint in Endpoint::ALL {
        for stage in Stage::of(endpoint) {
            let expression = format!(
                "min by (registry, image) \
                 (acr_verifier_stage_success{{{CHOSEN},endpoint=\"{endpoint}\",stage=\"{stage}\"}})"
            );
            stages = stages.range(&expression, &format!("{endpoint} {stage} {IMAGE}"));
        }
    }
    vec![
        Panel::row("Over time"),
        stages,
        Panel::timeline(
            "Verdicts",
            "Verdict of each registry or named image over time. Expected: green. Gaps are times without metrics: no agent or \
             no scrape.",
        )
        .range(&format!("max by (registry, image) ({})", verdict(CHOSEN)), IMAGE)
        .words(&VERDICTS)
        .size(12, 8),
        Panel::timeline(
            "Causes",
            "Reported causes over time. Expected: no rows. Short recurring stripes are an intermittent fault, such as one of \
             two nameservers.",
        )
        .range(
            &format!("max by (severity, cause, registry, image) (acr_verifier_cause{{{CHOSEN}}})"),
            "{{severity}} {{cause}} {{registry}} {{image}}",
        )
        .words(&[("resolved", GREEN), ("reported", RED)])
        .without("no problems")
        .size(12, 8),
    ]
}

fn names() -> Vec<Panel> {
    vec![
        Panel::row("DNS"),
        Panel::table(
            "Current answers",
            "Number of addresses returned by each resolver, by scope. Expected: only private, and the same for all resolvers. \
             `system` stands for the node's own nameservers, which decide; the others are only compared.",
            &format!(
                "sum by (registry, image, endpoint, resolver, scope) (acr_verifier_dns_answers{{{CHOSEN}}}) > 0"
            ),
        )
        .columns(&[
            "endpoint=Endpoint",
            "resolver=Resolver",
            "scope=Scope",
            "Value=Addresses",
            "registry=Registry",
            "image=Image",
        ])
        .without("no answers")
        .size(10, 8),
        Panel::curves(
            "Answers over time",
            "The same over time, the maximum of all images. Expected: constant. Answers that are public for a while come from a \
             resolver that has lost, or not yet seen, the private DNS zone.",
        )
        .range(
            &format!("max by (endpoint, resolver, scope) (acr_verifier_dns_answers{{{CHOSEN}}}) > 0"),
            "{{endpoint}} {{resolver}} {{scope}}",
        )
        .size(10, 8),
        Panel::stat(
            "Resolvers",
            "Whether the node's nameservers and the compared resolvers return the same answers, per endpoint. Expected: same. \
             If they differ, “Current answers” shows how.",
            &format!("max by (registry, image, endpoint) (acr_verifier_dns_resolvers_disagree{{{CHOSEN}}})"),
        )
        .legend("{{endpoint}} {{registry}} {{image}}")
        .words(&[("same", GREEN), ("different", YELLOW)])
        .without("no answers")
        .size(4, 8),
    ]
}

fn speed() -> Vec<Panel> {
    let mut mean = Panel::curves(
        "Time by stage",
        "Mean duration of each stage, stacked in the order of a pull; the height is the duration of the check. \
         Expected: constant. The part that grows is the slow one.",
    )
    .unit("s")
    .stacked("normal")
    .without("off: metrics.stageHistograms");
    for endpoint in Endpoint::ALL {
        for stage in Stage::of(endpoint) {
            let series = |suffix: &str| {
                format!(
                    "sum(rate(acr_verifier_stage_duration_seconds_{suffix}{{{CHOSEN},endpoint=\"{endpoint}\",\
                     stage=\"{stage}\"}}[$__rate_interval]))"
                )
            };
            let expression = format!("{} / ({} > 0)", series("sum"), series("count"));
            mean = mean.range(&expression, &format!("{endpoint} {stage}"));
        }
    }
    let of_checks = |share: &str| quantile(share, "le", "acr_verifier_check_duration_seconds", CHOSEN);
    vec![
        Panel::row("Speed").collapsed(),
        mean,
        Panel::curves(
            "Check duration",
            "Duration of checks (50th, 95th and 99th percentile). Expected: constant and under a second. Close to the overall \
             timeout (60 s by default), checks are about to fail.",
        )
        .range(&of_checks("0.5"), "p50")
        .range(&of_checks("0.95"), "p95")
        .range(&of_checks("0.99"), "p99")
        .unit("s"),
        Panel::heatmap(
            "Check duration distribution",
            "Distribution of the durations of checks. Expected: one narrow band. Two bands indicate two paths, such as two \
             nameservers of which one is slow.",
            &format!(
                "sum by (le) (increase(acr_verifier_check_duration_seconds_bucket{{{CHOSEN}}}[$__rate_interval]))"
            ),
        )
        .size(8, 8),
        Panel::curves(
            "Registry requests",
            "HTTP requests per minute, by stage and status code. Expected: eight per check, with 401 for the challenge, 400 for \
             the token POST, 200 and 307 for the rest. 429 is throttling, `error` means no response.",
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
            "Checks by verdict",
            "Checks per minute, by verdict, and path checks between them by result. Expected: only pass, one per image and \
             interval, and only unchanged.",
        )
        .range(
            &format!("60 * sum by (verdict) (rate(acr_verifier_checks_total{{{CHOSEN}}}[$__rate_interval]))"),
            "{{verdict}}",
        )
        .range(
            &format!("60 * sum by (result) (rate(acr_verifier_path_checks_total{{{CHOSEN}}}[$__rate_interval]))"),
            "path {{result}}",
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

fn ends() -> Vec<Panel> {
    vec![
        Panel::row("Expiry, Events and the agent"),
        Panel::stat(
            "Certificates expire in",
            "Time until the certificate that this node sees expires, per endpoint. Expected: more than 14 days. If other nodes \
             see a different certificate, a device on the path answers in place of the registry.",
            &format!(
                "min by (registry, endpoint) (acr_verifier_tls_certificate_expiry_timestamp_seconds{{{CHOSEN}}}) \
                 - time()"
            ),
        )
        .legend("{{endpoint}} {{registry}}")
        .unit("s")
        .colours(RED, &[(3.0 * DAY, YELLOW), (14.0 * DAY, GREEN)])
        .without("none seen")
        .size(6, 6),
        Panel::stat(
            "Credentials expire in",
            "Time until the credentials expire, if stated by the configuration or the Secret. Expected: more than 14 days.",
            &format!(
                "min by (registry, image) (acr_verifier_credentials_expiry_timestamp_seconds{{{CHOSEN}}}) - time()"
            ),
        )
        .legend(IMAGE)
        .unit("s")
        .colours(RED, &[(3.0 * DAY, YELLOW), (14.0 * DAY, GREEN)])
        .without("no expiry known")
        .size(6, 6),
        Panel::table(
            "Failures in the time range",
            "Approximate number of failed checks in the time range of the dashboard, by cause and stage. Expected: an empty \
             table. The first failure after a start is not counted.",
            &format!(
                "sum by (cause, endpoint, stage, registry, image) \
                 (increase(acr_verifier_failures_total{{{CHOSEN}}}[$__range])) > 0"
            ),
        )
        .columns(&[
            "cause=Cause",
            "endpoint=Endpoint",
            "stage=Stage",
            "registry=Registry",
            "image=Image",
            "Value=Checks",
        ])
        .link("Runbook: ${__data.fields.Cause}", RUNBOOK_LINK)
        .without("no failures")
        .field("decimals", 0.into())
        .size(12, 6),
    ]
}

fn agent() -> Vec<Panel> {
    vec![
        Panel::text(
            "Events and report",
            "How to read the Events that the agent has published about this node, and the agent's own report.",
            "The agent's Events about this node, with the evidence, the remedy and the registry's correlation id:\n\n\
             ```sh\nkubectl describe node ${node}\n\
             kubectl get events --namespace default --field-selector involvedObject.kind=Node,involvedObject.name=${node}\n\
             ```\n\n\
             The agent's status page has the full last report. Its pod on this node:\n\n\
             ```sh\nkubectl get pods --all-namespaces --field-selector spec.nodeName=${node} --output wide\n```\n",
        )
        .size(12, 7),
        Panel::stat(
            "Configuration",
            "Whether the agent accepted the latest configuration. If rejected, the previous one stays in force: the agent's \
             log and status page list the errors with line and column.",
            &format!("min(acr_verifier_config_last_reload_successful{{{NODE}}})"),
        )
        .words(&[("rejected", YELLOW), ("accepted", GREEN)])
        .without("no agent")
        .size(3, 7),
        Panel::stat(
            "Last reload",
            "Time since the agent last read its configuration, successfully or not. It reads the file at the start and after \
             each change.",
            &format!("time() - max(acr_verifier_config_last_reload_timestamp_seconds{{{NODE}}})"),
        )
        .unit("s")
        .colours(BLUE, &[])
        .without("no agent")
        .size(3, 7),
        Panel::table(
            "Version",
            "Version of the agent on this node. Compare it with the versions of the fleet on the overview dashboard.",
            &format!(
                "count by (cluster, version, revision) (acr_verifier_build_info{{cluster=~\"$cluster\"}} and on (job, \
                 instance) acr_verifier_config_last_reload_successful{{{NODE}}})"
            ),
        )
        .columns(&REVISION_COLUMNS)
        .without("no agent")
        .size(3, 7),
        Panel::curves(
            "Events",
            "Kubernetes Events about this node, by result. Suppressed Events were replaced by a newer one before they were \
             sent; failed ones point to the RBAC permissions of the service account.",
        )
        .range(
            &format!("sum by (result) (increase(acr_verifier_events_total{{{NODE}}}[$__rate_interval]))"),
            "{{result}}",
        )
        .size(3, 7),
    ]
}
