//! The Grafana dashboards that operators import, and what their panels ask a Prometheus.
//!
//! `overview` and `node` have the panels, `panel` builds them, `thousand` simulates a fleet for `picture`, which draws the
//! overview for the README.

mod node;
mod overview;
mod panel;
pub mod picture;
mod shared;
pub mod thousand;

use std::path::Path;

use serde_json::Value;
use support::prometheus::{Prometheus, encoded};

use crate::File;

pub use panel::datasource;

/// The dashboards by file name.
pub const NAMES: [&str; 2] = ["overview", "node"];

/// The series of a query, each with its samples.
pub type Answer = Vec<(Value, Vec<(f64, f64)>)>;

/// Returns the files that operators import, and their copies in the chart, which cannot read files outside its directory.
pub(crate) fn files() -> Vec<File> {
    let mut files = Vec::new();
    for (name, dashboard) in NAMES.into_iter().zip([overview::overview(), node::node()]) {
        let text = format!("{dashboard:#}\n");
        for folder in ["dashboards", "deploy/chart/files/dashboards"] {
            files.push(File::new(&format!("{folder}/{name}.json"), text.clone()));
        }
    }
    files
}

/// Reads a dashboard from its file.
pub fn read(name: &str) -> Value {
    let path = Path::new(crate::ROOT).join(format!("dashboards/{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// One query of a panel.
#[derive(Debug, Clone)]
pub struct Query {
    /// The title of the panel.
    pub panel: String,
    pub kind: String,
    pub unit: String,
    pub expression: String,
    pub legend: String,
    /// An instant query, not one over the time range of the dashboard.
    pub instant: bool,
}

/// Returns every panel of a dashboard in order, those of collapsed rows included.
pub fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    let panels = dashboard["panels"].as_array().expect("panels");
    panels
        .iter()
        .flat_map(|panel| std::iter::once(panel).chain(panel["panels"].as_array().into_iter().flatten()))
}

/// Returns every query of a dashboard, in the order of its panels.
pub fn queries(dashboard: &Value) -> Vec<Query> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut queries = Vec::new();
    for panel in panels(dashboard) {
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
pub struct Chosen {
    pub cluster: String,
    pub registry: String,
    pub image: String,
    pub pool: String,
    pub zone: String,
    pub node: String,
    pub rate_interval: String,
    pub range: String,
}

impl Default for Chosen {
    /// Selects everything.
    fn default() -> Self {
        let all = || ".*".to_owned();
        Self {
            cluster: all(),
            registry: all(),
            image: all(),
            pool: all(),
            zone: all(),
            node: all(),
            rate_interval: "4m".to_owned(),
            range: "1h".to_owned(),
        }
    }
}

impl Chosen {
    pub fn put_into(&self, expression: &str) -> String {
        let expression = expression
            .replace("$__rate_interval", &self.rate_interval)
            .replace("$__range", &self.range)
            .replace("$cluster", &self.cluster)
            .replace("$registry", &self.registry)
            .replace("$image", &self.image)
            .replace("$pool", &self.pool)
            .replace("$zone", &self.zone)
            .replace("$node", &self.node);
        assert!(!expression.contains('$'), "unknown variable: {expression}");
        expression
    }
}

/// Runs a query and returns its series, each with its samples.
pub fn ask(
    prometheus: &Prometheus,
    query: &Query,
    chosen: &Chosen,
    (since, until, step): (f64, f64, f64),
) -> Answer {
    let expression = encoded(&chosen.put_into(&query.expression));
    let what = if query.instant {
        format!("query?query={expression}&time={until:.3}")
    } else {
        format!("query_range?query={expression}&start={since:.3}&end={until:.3}&step={step}")
    };
    let answer = prometheus.ask(&what).unwrap_or_else(|| panic!("no response to {}", query.expression));
    assert_eq!(answer["status"], "success", "{}: {answer}", query.panel);
    let sample = |sample: &Value| Some((sample[0].as_f64()?, sample[1].as_str()?.parse().ok()?));
    let series = answer["data"]["result"].as_array().expect("a result");
    let values = |series: &Value| match series["values"].as_array() {
        Some(samples) => samples.iter().filter_map(sample).collect(),
        None => sample(&series["value"]).into_iter().collect(),
    };
    series.iter().map(|series| (series["metric"].clone(), values(series))).collect()
}
