//! The metrics: values after each kind of check, agreement with the declarations, and the number of series.

mod budget;
mod declared;
mod live;
mod reduced;
mod scrape;
mod values;

use acr_verifier::metrics::{Metrics, NodeLabels};
use acr_verifier::run::{CheckRun, ImageResult, NetworkView};

use crate::report::samples;
use scrape::Scrape;

const NODE: &str = "aks-np1-12345678-vmss000000";

fn metrics() -> Metrics {
    Metrics::new(&labels(NODE), "0.1.0", "7c43e5d")
}

/// The labels of a node in a zone.
pub(crate) fn labels(node: &str) -> NodeLabels {
    NodeLabels::new(node, NetworkView::Node, None, Some("westeurope-1".to_owned()))
}

fn scrape(metrics: &Metrics) -> Scrape {
    Scrape::parse(&String::from_utf8(metrics.encode()).expect("text"))
}

fn run(images: Vec<ImageResult>) -> CheckRun {
    samples::run(images)
}
