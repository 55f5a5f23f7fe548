//! The applicable rules of Grafana's dashboard-linter; queries use only exported names.
//!
//! The linter's rules for the variables `job` and `instance` are left out: these dashboards select by cluster, registry,
//! node and image.

use std::collections::{BTreeMap, BTreeSet};

use acr_verifier::address::Scope;
use acr_verifier::cause::Cause;
use acr_verifier::metrics::FAMILIES;
use acr_verifier::observation::{Endpoint, Stage};
use acr_verifier::transition::EventResult;
use acr_verifier::verdict::{Severity, Verdict};
use promql_parser::label::MatchOp;
use promql_parser::parser::{self, Expr, LabelModifier, VectorMatchCardinality, VectorSelector};
use serde_json::Value;

use generate::dashboards::{Chosen, NAMES, datasource, queries, read};

/// Series of other exporters: kube-state-metrics lists the nodes.
const FOREIGN: [(&str, &[&str]); 1] = [("kube_node_info", &["node", "kubelet_version", "os_image"])];
/// Labels added by a scrape: `cluster` with more than one cluster, the others always.
const SCRAPED: [&str; 3] = ["cluster", "job", "instance"];

/// The panels of a dashboard without its rows.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    generate::dashboards::panels(dashboard).filter(|panel| panel["type"] != "row")
}

#[test]
fn dashboards_can_be_imported_anywhere() {
    let mut uids = BTreeSet::new();
    for name in NAMES {
        let dashboard = read(name);
        let uid = dashboard["uid"].as_str().expect("a fixed uid");
        assert!(uid.len() <= 40 && uids.insert(uid.to_owned()), "{uid}");
        assert_eq!((&dashboard["id"], &dashboard["schemaVersion"]), (&Value::Null, &39.into()));
        assert_eq!((&dashboard["editable"], &dashboard["links"]), (&false.into(), &Value::Array(Vec::new())));
        let text = dashboard.to_string();
        for word in ["__inputs", "DS_PROMETHEUS", "libraryPanel", "localhost", "\"exemplar\":true"] {
            assert!(!text.contains(word), "{name} has {word}");
        }
        let variables = dashboard["templating"]["list"].as_array().expect("variables");
        let names: BTreeSet<&str> =
            variables.iter().filter_map(|variable| variable["name"].as_str()).collect();
        let mut expected = BTreeSet::from(["cluster", "datasource", "image", "node", "registry"]);
        expected.extend(["pool", "zone"].into_iter().filter(|_| name == "overview"));
        assert_eq!(names, expected);
        for variable in &variables[1..] {
            assert_eq!((&variable["datasource"], &variable["refresh"]), (&datasource(), &2.into()));
            if variable["includeAll"] == true {
                assert_eq!(
                    variable["allValue"], ".*",
                    "a series without the label would be lost: {variable}"
                );
            }
        }
        assert_eq!(
            (&variables[0]["type"], &variables[0]["query"]),
            (&"datasource".into(), &"prometheus".into())
        );
    }
}

#[test]
fn every_panel_has_a_description_and_uses_the_selected_data_source() {
    let units = ["short", "percentunit", "s", "reqpm", "cpm"];
    for name in NAMES {
        let dashboard = read(name);
        let mut titles = BTreeSet::new();
        for panel in panels(&dashboard) {
            let title = panel["title"].as_str().unwrap_or_default();
            assert!(!title.is_empty() && titles.insert(title), "{name}: the title {title:?}");
            let description = panel["description"].as_str().unwrap_or_default();
            assert!(description.len() > 60 && description.ends_with('.'), "{title}: {description}");
            assert_eq!(panel["datasource"], datasource(), "{title}");
            if panel["type"] == "text" {
                continue;
            }
            let unit = panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap_or_default();
            assert!(units.contains(&unit), "{title}: the unit {unit:?}");
            let targets = panel["targets"].as_array().expect("targets");
            assert!(!targets.is_empty(), "{title} has no query");
            let mut ids = BTreeSet::new();
            for target in targets {
                assert_eq!(target["datasource"], datasource(), "{title}");
                assert!(ids.insert(target["refId"].as_str().expect("an id")), "{title}");
            }
        }
        for row in generate::dashboards::panels(&dashboard) {
            assert!(!row["title"].as_str().unwrap_or_default().is_empty());
        }
    }
}

#[test]
fn panels_do_not_overlap() {
    for name in NAMES {
        let dashboard = read(name);
        let mut ids = BTreeSet::new();
        let mut taken: BTreeMap<(u64, u64), &Value> = BTreeMap::new();
        for panel in generate::dashboards::panels(&dashboard) {
            assert!(ids.insert(panel["id"].as_u64().expect("an id")), "{name}: {}", panel["id"]);
            let at = |key: &str| panel["gridPos"][key].as_u64().expect("a number");
            assert!(at("x") + at("w") <= 24, "{name}: {} is too wide", panel["title"]);
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    let other = taken.insert((x, y), &panel["title"]);
                    assert_eq!(other, None, "{name}: on {}", panel["title"]);
                }
            }
        }
    }
}

/// The labels with a closed set of values, and their values.
fn closed() -> BTreeMap<&'static str, Vec<&'static str>> {
    let stages = Endpoint::ALL.iter().flat_map(|endpoint| Stage::of(*endpoint)).map(|stage| stage.as_str());
    let severities = Cause::ALL.iter().map(|cause| cause.severity().as_str());
    BTreeMap::from([
        ("endpoint", Endpoint::ALL.iter().map(|endpoint| endpoint.as_str()).collect()),
        ("stage", stages.collect()),
        ("cause", Cause::ALL.iter().map(|cause| cause.code()).collect()),
        ("severity", severities.chain([Severity::Fail.as_str()]).collect()),
        ("verdict", Verdict::ALL.iter().map(|verdict| verdict.as_str()).collect()),
        ("scope", Scope::ALL.iter().map(|scope| scope.as_str()).collect()),
        ("result", EventResult::ALL.iter().map(|result| result.as_str()).collect()),
        ("code", vec!["429"]),
        ("resolver", vec!["system"]),
    ])
}

/// Returns the labels of a series, or the reason why no series has that name.
fn labels_of(name: &str) -> Result<BTreeSet<&'static str>, String> {
    if let Some((_, labels)) = FOREIGN.iter().find(|(foreign, _)| *foreign == name) {
        return Ok(labels.iter().chain(&SCRAPED).copied().collect());
    }
    for family in &FAMILIES {
        let mut labels: BTreeSet<&str> =
            family.subject.labels().iter().chain(family.labels).copied().collect();
        labels.extend(SCRAPED);
        let is_histogram = family.kind.as_str() == "histogram";
        if !is_histogram && name == family.name {
            return Ok(labels);
        }
        if let Some(suffix) = name.strip_prefix(family.name).filter(|_| is_histogram) {
            if suffix == "_bucket" {
                labels.insert("le");
            }
            if ["_bucket", "_sum", "_count"].contains(&suffix) {
                return Ok(labels);
            }
        }
    }
    Err(format!("no series is called {name}"))
}

/// Collects the errors in a selector.
fn faults_of(selector: &VectorSelector, faults: &mut Vec<String>) {
    let name = selector.name.as_deref().unwrap_or_default();
    let labels = match labels_of(name) {
        Ok(labels) => labels,
        Err(fault) => return faults.push(fault),
    };
    let closed = closed();
    for matcher in &selector.matchers.matchers {
        if !labels.contains(matcher.name.as_str()) {
            faults.push(format!("{name} has no label {}", matcher.name));
        }
        if let Some(values) = closed.get(matcher.name.as_str())
            && matches!(matcher.op, MatchOp::Equal | MatchOp::NotEqual)
            && !values.contains(&matcher.value.as_str())
        {
            faults.push(format!("{} is never {}", matcher.name, matcher.value));
        }
    }
    let chooses = |label: &str| selector.matchers.matchers.iter().any(|matcher| matcher.name == label);
    let family = FAMILIES.iter().find(|family| name.starts_with(family.name));
    for label in family.map_or(&["node"][..], |family| family.subject.labels()) {
        if !chooses(label) {
            faults.push(format!("{name} is not chosen by {label}"));
        }
    }
    if !chooses("cluster") {
        faults.push(format!("{name} is not chosen by cluster"));
    }
}

/// Collects the errors in an expression; `rated` if it is the argument of a rate.
fn faults(expression: &Expr, rated: bool, faults: &mut Vec<String>) {
    match expression {
        Expr::VectorSelector(selector) => faults_of(selector, faults),
        Expr::MatrixSelector(selector) => {
            faults_of(&selector.vs, faults);
            let name = selector.vs.name.as_deref().unwrap_or_default();
            let is_counter = ["_total", "_bucket", "_sum", "_count"].iter().any(|end| name.ends_with(end));
            if is_counter != rated {
                faults.push(format!("a rate is for counters: {name}"));
            }
        }
        Expr::Call(call) => {
            let rated = ["rate", "increase"].contains(&call.func.name);
            for argument in &call.args.args {
                self::faults(argument, rated, faults);
            }
        }
        Expr::Aggregate(aggregate) => {
            let known: BTreeSet<&str> = FAMILIES
                .iter()
                .flat_map(|family| family.subject.labels().iter().chain(family.labels))
                .copied()
                .collect();
            if let Some(LabelModifier::Include(labels)) = &aggregate.modifier {
                for label in &labels.labels {
                    if !known.contains(label.as_str()) && !SCRAPED.contains(&label.as_str()) && label != "le"
                    {
                        faults.push(format!("nothing has a label {label}"));
                    }
                }
            }
            self::faults(&aggregate.expr, false, faults);
        }
        Expr::Binary(binary) => {
            if let Some(modifier) = &binary.modifier
                && matches!(
                    modifier.card,
                    VectorMatchCardinality::ManyToOne(_) | VectorMatchCardinality::OneToMany(_)
                )
            {
                faults.push("group_left fails on duplicate series".to_owned());
            }
            self::faults(&binary.lhs, false, faults);
            self::faults(&binary.rhs, false, faults);
        }
        Expr::Paren(inner) => self::faults(&inner.expr, rated, faults),
        Expr::Unary(inner) => self::faults(&inner.expr, false, faults),
        Expr::Subquery(inner) => self::faults(&inner.expr, rated, faults),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) => {}
        Expr::Extension(_) => faults.push("an extension of PromQL".to_owned()),
    }
}

/// Returns the errors in a query.
fn found_in(expression: &str) -> Vec<String> {
    let mut found = Vec::new();
    match parser::parse(&Chosen::default().put_into(expression)) {
        Ok(parsed) => faults(&parsed, false, &mut found),
        Err(error) => found.push(error),
    }
    found
}

#[test]
fn every_query_parses_and_uses_only_exported_names() {
    for name in NAMES {
        for query in queries(&read(name)) {
            let found = found_in(&query.expression);
            assert!(found.is_empty(), "{name}, {}: {found:?}\n{}", query.panel, query.expression);
        }
    }
}

#[test]
fn errors_in_queries_are_detected() {
    let chosen = r#"cluster=~"$cluster",registry=~"$registry",image=~"$image",node=~"$node""#;
    for (expression, fault) in [
        ("sum(acr_verifier_check_sucess{CHOSEN})", "no series is called acr_verifier_check_sucess"),
        ("sum by (nodes) (acr_verifier_check_success{CHOSEN})", "nothing has a label nodes"),
        ("acr_verifier_check_success{CHOSEN,stage=\"dns\"}", "acr_verifier_check_success has no label stage"),
        ("acr_verifier_cause{CHOSEN,severity=\"critical\"}", "severity is never critical"),
        ("acr_verifier_check_success", "acr_verifier_check_success is not chosen by node"),
        (
            "acr_verifier_check_duration_seconds{CHOSEN}",
            "no series is called acr_verifier_check_duration_seconds",
        ),
        (
            "rate(acr_verifier_check_success{CHOSEN}[5m])",
            "a rate is for counters: acr_verifier_check_success",
        ),
        ("delta(acr_verifier_checks_total{CHOSEN}[5m])", "a rate is for counters: acr_verifier_checks_total"),
    ] {
        let found = found_in(&expression.replace("CHOSEN", chosen));
        assert!(found.iter().any(|found| found == fault), "{expression}: {found:?}");
    }
    assert_ne!(found_in("sum("), Vec::<String>::new());
}

/// A fixed range would contain no sample with a longer scrape interval.
#[test]
fn ranges_follow_the_dashboard_and_steps_the_scrape_interval() {
    for name in NAMES {
        let dashboard = read(name);
        for query in queries(&dashboard) {
            for range in query.expression.split('[').skip(1) {
                let range = range.split(']').next().unwrap_or_default();
                assert!(["$__rate_interval", "$__range"].contains(&range), "{}: [{range}]", query.panel);
            }
        }
        for target in panels(&dashboard).flat_map(|panel| panel["targets"].as_array().into_iter().flatten()) {
            assert_eq!(target["interval"], "1m", "{target}");
        }
    }
}

/// A panel of the overview has rows per node only if their number is limited.
#[test]
fn the_overview_lists_nodes_only_in_panels_with_a_row_limit() {
    for query in queries(&read("overview")) {
        let bounded = query.expression.contains("topk(40,");
        let names_nodes = query.legend.contains("{{node}}")
            || query.kind == "table" && {
                let outer = query.expression.split(" by (").nth(1).and_then(|by| by.split(')').next());
                outer.is_some_and(|by| by.split(", ").any(|label| label == "node"))
            };
        assert!(bounded || !names_nodes, "{}: {}", query.panel, query.expression);
    }
}

#[test]
fn links_lead_to_the_runbook_and_to_the_other_dashboard() {
    let runbook = acr_verifier::report::RUNBOOK;
    let node = read("node")["uid"].as_str().expect("a uid").to_owned();
    let mut counted = 0;
    for name in NAMES {
        for panel in panels(&read(name)) {
            for link in panel["fieldConfig"]["defaults"]["links"].as_array().into_iter().flatten() {
                let url = link["url"].as_str().expect("a URL");
                let known = url == format!("{runbook}#${{__data.fields.Cause}}")
                    || url.starts_with(&format!("/d/{node}?"));
                assert!(known, "{url}");
                // A link refers to the displayed name of a column.
                let heading = if url.starts_with("/d/") { "\"Node\"" } else { "\"Cause\"" };
                assert!(panel["transformations"].to_string().contains(heading), "{}", panel["title"]);
                counted += 1;
            }
        }
    }
    assert!(counted >= 8, "{counted} links");
}

#[test]
fn every_metric_is_on_a_dashboard() {
    let asked: String =
        NAMES.iter().flat_map(|name| queries(&read(name))).map(|query| query.expression).collect();
    for family in &FAMILIES {
        assert!(asked.contains(family.name), "{} is on no dashboard", family.name);
    }
}
