//! The Grafana dashboards: generated here, checked against the exported metrics, and tested with a real Prometheus.
//!
//! Operators import `dashboards/*.json`. `EXPECTORATE=overwrite cargo test --test suite dashboards::` generates these files;
//! otherwise they are compared. No Grafana runs here: `schema` validates the JSON against Grafana's published types, `lint`
//! applies the rules of its linter, and `proof` runs every query on a Prometheus that scrapes real agents.

mod lint;
mod node;
mod overview;
pub(crate) mod paging;
mod panel;
mod picture;
mod proof;

mod scale;
mod schema;
mod shared;
mod states;

use std::path::Path;

use serde_json::Value;

/// The dashboards by file name.
const FILES: [&str; 2] = ["overview", "node"];

/// Reads a dashboard from its file.
fn read(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("dashboards/{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// One query of a panel.
#[derive(Debug, Clone)]
struct Query {
    /// The title of the panel.
    panel: String,
    kind: String,
    unit: String,
    expression: String,
    legend: String,
    /// An instant query, not one over the time range of the dashboard.
    instant: bool,
}

/// Returns every query of a dashboard, in the order of its panels.
fn queries(dashboard: &Value) -> Vec<Query> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        for target in panel["targets"].as_array().into_iter().flatten() {
            queries.push(Query {
                panel: text(&panel["title"]),
                kind: text(&panel["type"]),
                unit: text(&panel["fieldConfig"]["defaults"]["unit"]),
                expression: text(&target["expr"]),
                legend: text(&target["legendFormat"]),
                instant: target["instant"] == true,
            });
        }
    }
    queries
}

/// The values that Grafana substitutes for variables.
#[derive(Debug, Clone)]
struct Chosen {
    cluster: String,
    registry: String,
    image: String,
    node: String,
    rate_interval: String,
    range: String,
}

impl Default for Chosen {
    /// Selects everything.
    fn default() -> Self {
        let all = || ".*".to_owned();
        Self {
            cluster: all(),
            registry: all(),
            image: all(),
            node: all(),
            rate_interval: "4m".to_owned(),
            range: "1h".to_owned(),
        }
    }
}

impl Chosen {
    fn put_into(&self, expression: &str) -> String {
        let expression = expression
            .replace("$__rate_interval", &self.rate_interval)
            .replace("$__range", &self.range)
            .replace("$cluster", &self.cluster)
            .replace("$registry", &self.registry)
            .replace("$image", &self.image)
            .replace("$node", &self.node);
        assert!(!expression.contains('$'), "unknown variable: {expression}");
        expression
    }
}

/// The imported file and its copy in the chart, which cannot read files outside its directory.
#[test]
fn the_files_match_the_generators() {
    for (name, dashboard) in FILES.into_iter().zip([overview::overview(), node::node()]) {
        let text = format!("{}\n", serde_json::to_string_pretty(&dashboard).expect("JSON"));
        for path in [format!("dashboards/{name}.json"), format!("deploy/chart/files/dashboards/{name}.json")]
        {
            expectorate::assert_contents(path, &text);
        }
    }
}
