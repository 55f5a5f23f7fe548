//! The dashboard of one node: what it sees of each registry, stage by stage.

use acr_verifier::observation::{Endpoint, Stage};
use serde_json::Value;

use super::panel::{BLUE, GREEN, Panel, RED, YELLOW, dashboard, variable};
use super::shared::{DAY, REVISION_COLUMNS, RUNBOOK_LINK, VERDICTS, quantile, verdict};

/// What the variables choose, of the series of a registry.
const CHOSEN: &str = r#"cluster=~"$cluster",registry=~"$registry",image=~"$image",node="$node""#;
/// The same, of the series of the node.
const NODE: &str = r#"cluster=~"$cluster",node="$node""#;
/// The name of a series of one image.
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
        "What one node sees of its private Azure Container Registries: stages, names, times, causes.",
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
            "The verdict of the newest check of each registry or named image on this node. Good is pass; warn means \
             that the pull works and something will break; unknown that the registry throttles. The causes stand \
             beside.",
            &format!("max by (registry, image) ({})", verdict(CHOSEN)),
        )
        .legend(IMAGE)
        .words(&VERDICTS)
        .without("not judged")
        .size(6, 6),
        Panel::table(
            "Causes now",
            "What the newest check told. Good is an empty table. The first thing to do about a cause is in the \
             runbook, to which its row leads; the evidence is in the node's Events and on the agent's page.",
            &format!("max by (severity, cause, registry, image) (acr_verifier_cause{{{CHOSEN}}})"),
        )
        .columns(&["severity=Severity", "cause=Cause", "registry=Registry", "image=Image", "Value=Told"])
        .link("What ${__data.fields.Cause} means, and what mends it", RUNBOOK_LINK)
        .without("nothing is wrong")
        .size(10, 6),
        Panel::stat(
            "Last check",
            "Time since the newest check. Good is less than the interval; a throttled registry is asked up to eight \
             times as seldom. Where it grows, the rest of this dashboard shows what was true then: look at the agent.",
            &age("acr_verifier_last_check_timestamp_seconds"),
        )
        .legend(IMAGE)
        .unit("s")
        .colours(GREEN, &[(900.0, YELLOW), (3600.0, RED)])
        .without("not checked yet")
        .size(4, 6),
        Panel::stat(
            "Last success",
            "Time since the image was last found good here. Good is less than the interval. Nothing stands here where \
             no check passed since the agent started.",
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
        "The twelve stages of a pull, in their order. Good is green from top to bottom. The first red row is where the \
         pull breaks; what comes after it was not reached and is blank. Blank is also what could not be judged.",
    )
    .words(&[("failed", RED), ("worked", GREEN)])
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
            "The verdict of each registry or named image over time. Good is green. A gap is a time without metrics: no \
             agent, or no scrape.",
        )
        .range(&format!("max by (registry, image) ({})", verdict(CHOSEN)), IMAGE)
        .words(&VERDICTS)
        .size(12, 8),
        Panel::timeline(
            "Causes",
            "When which cause was told. Good is no row. Short stripes that come back are a fault that comes and goes, \
             such as one nameserver of two.",
        )
        .range(
            &format!("max by (severity, cause, registry, image) (acr_verifier_cause{{{CHOSEN}}})"),
            "{{severity}} {{cause}} {{registry}} {{image}}",
        )
        .words(&[("gone", GREEN), ("told", RED)])
        .without("nothing was wrong")
        .size(12, 8),
    ]
}

fn names() -> Vec<Panel> {
    vec![
        Panel::row("Names"),
        Panel::table(
            "Answers now",
            "How many addresses each resolver answered with, by scope. Good is private alone, and the same for all \
             resolvers. `system` are the node's own nameservers, which decide; the others are compared.",
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
            "The same over time, the most of any image. Good is level. An answer that turns public for a while is a resolver that has lost, or \
             not yet seen, the private zone.",
        )
        .range(
            &format!("max by (endpoint, resolver, scope) (acr_verifier_dns_answers{{{CHOSEN}}}) > 0"),
            "{{endpoint}} {{resolver}} {{scope}}",
        )
        .size(10, 8),
        Panel::stat(
            "Resolvers",
            "Whether the node's nameservers and the compared resolvers answer alike, for each endpoint. Good is alike. \
             Where they differ, the table beside shows how.",
            &format!("max by (registry, image, endpoint) (acr_verifier_dns_resolvers_disagree{{{CHOSEN}}})"),
        )
        .legend("{{endpoint}} {{registry}} {{image}}")
        .words(&[("alike", GREEN), ("differ", YELLOW)])
        .without("no answers")
        .size(4, 8),
    ]
}

fn speed() -> Vec<Panel> {
    let mut mean = Panel::curves(
        "Where the time goes",
        "Mean time of each stage, stacked in the order of a pull: the height is the time of a whole check. Good is \
         level. The part that grows is the one that became slow.",
    )
    .unit("s")
    .stacked("normal");
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
        Panel::row("Speed"),
        mean,
        Panel::curves(
            "Whole check",
            "How long a check takes: half of the checks, 95 and 99 of 100 are faster. Good is level, and under a \
             second; near the limit of the whole check (30 s unless configured) it is about to fail.",
        )
        .range(&of_checks("0.5"), "p50")
        .range(&of_checks("0.95"), "p95")
        .range(&of_checks("0.99"), "p99")
        .unit("s"),
        Panel::heatmap(
            "Checks, spread",
            "How many checks took how long. Good is one narrow band. Two bands are two ways, such as two nameservers of \
             which one is slow.",
            &format!(
                "sum by (le) (increase(acr_verifier_check_duration_seconds_bucket{{{CHOSEN}}}[$__rate_interval]))"
            ),
        )
        .size(8, 8),
        Panel::curves(
            "Requests at the registry",
            "HTTP requests a minute, by stage and status code. Good is eight for each check: 401 to the challenge, \
             400 to the token's POST, 200 and 307 to the rest. 429 is throttling, `error` no answer.",
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
            "Checks a minute, by verdict. Good is pass alone, one for each image and interval.",
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

fn ends() -> Vec<Panel> {
    vec![
        Panel::row("Ends, Events and the agent"),
        Panel::stat(
            "Certificates end in",
            "Time until the certificate that this node sees ends, for each endpoint. Good is more than 14 days. Where \
             other nodes see another, something on the way answers in the registry's place.",
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
            "Credentials end in",
            "Time until the credentials end, where the configuration or the Secret says so. Good is more than 14 days.",
            &format!(
                "min by (registry, image) (acr_verifier_credentials_expiry_timestamp_seconds{{{CHOSEN}}}) - time()"
            ),
        )
        .legend(IMAGE)
        .unit("s")
        .colours(RED, &[(3.0 * DAY, YELLOW), (14.0 * DAY, GREEN)])
        .without("no end is known")
        .size(6, 6),
        Panel::table(
            "Failures in this time",
            "About how many checks failed within the time of the dashboard, by cause and stage. Good is an empty table. \
             The first failure after a start is not counted.",
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
        .link("What ${__data.fields.Cause} means, and what mends it", RUNBOOK_LINK)
        .without("none failed")
        .field("decimals", 0.into())
        .size(12, 6),
    ]
}

fn agent() -> Vec<Panel> {
    vec![
        Panel::text(
            "Where its Events are",
            "How to read what the agent has published about this node, and how to ask the agent itself.",
            "The agent's Events about this node, with the evidence, the remedy and the registry's correlation id:\n\n\
             ```sh\nkubectl describe node ${node}\n\
             kubectl get events --namespace default --field-selector involvedObject.kind=Node,involvedObject.name=${node}\n\
             ```\n\n\
             The agent's own page has the newest report in full. Its pod on this node:\n\n\
             ```sh\nkubectl get pods --all-namespaces --field-selector spec.nodeName=${node} --output wide\n```\n",
        )
        .size(12, 7),
        Panel::stat(
            "Configuration",
            "Whether the agent took the configuration that it was last given. Refused means that an older one stays in \
             force: its log and its page say what is wrong, with line and column.",
            &format!("min(acr_verifier_config_last_reload_successful{{{NODE}}})"),
        )
        .words(&[("refused", YELLOW), ("taken", GREEN)])
        .without("no agent")
        .size(3, 7),
        Panel::stat(
            "Configuration read",
            "Time since the agent last read its configuration, with success or without. It reads it at its start and \
             after each change of the file.",
            &format!("time() - max(acr_verifier_config_last_reload_timestamp_seconds{{{NODE}}})"),
        )
        .unit("s")
        .colours(BLUE, &[])
        .without("no agent")
        .size(3, 7),
        Panel::table(
            "Version",
            "What the agent of this node runs. Compare with the versions of the fleet on the overview.",
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
            "Kubernetes Events about this node, by what became of them. Suppressed ones were not sent, to keep quiet; \
             failed ones point to the rights of the service account.",
        )
        .range(
            &format!("sum by (result) (increase(acr_verifier_events_total{{{NODE}}}[$__rate_interval]))"),
            "{{result}}",
        )
        .size(3, 7),
    ]
}
