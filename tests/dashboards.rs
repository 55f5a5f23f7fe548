//! The Grafana dashboards: written from here, held to the code's metrics, and proven on a real Prometheus.
//!
//! `dashboards/*.json` is what operators import. It is written by `EXPECTORATE=overwrite cargo test --test suite
//! dashboards::`, and otherwise compared. No Grafana runs here: `schema` holds the JSON against Grafana's published types,
//! `lint` against the rules of its linter, and `proof` asks every query of a Prometheus that scrapes real agents.

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

/// The dashboards, by the name of their file.
const FILES: [&str; 2] = ["overview", "node"];

/// A dashboard as it is in its file.
fn read(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("dashboards/{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// One query of a panel.
#[derive(Debug, Clone)]
struct Query {
    /// The panel's title.
    panel: String,
    kind: String,
    unit: String,
    expression: String,
    legend: String,
    /// Asked for one moment, not for the time of the dashboard.
    instant: bool,
}

/// Every query of a dashboard, in the order of its panels.
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

/// What Grafana puts in the place of variables.
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
    /// All of everything.
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
        assert!(!expression.contains('$'), "a variable that nobody knows: {expression}");
        expression
    }
}

/// The file that is imported, and its copy in the chart, which cannot read outside of its folder.
#[test]
fn the_files_are_what_the_code_says() {
    for (name, dashboard) in FILES.into_iter().zip([overview::overview(), node::node()]) {
        let text = format!("{}\n", serde_json::to_string_pretty(&dashboard).expect("JSON"));
        for path in [format!("dashboards/{name}.json"), format!("deploy/chart/files/dashboards/{name}.json")]
        {
            expectorate::assert_contents(path, &text);
        }
    }
}
