//! The metrics: values after each kind of check, agreement with the declarations, and the number of series.

mod budget;
mod declared;
mod live;
mod scrape;
mod values;

use acr_verifier::metrics::Metrics;
use acr_verifier::run::{CheckRun, ImageResult};

use crate::report::samples;
use scrape::Scrape;

const NODE: &str = "aks-np1-12345678-vmss000000";

fn metrics() -> Metrics {
    Metrics::new(NODE, "0.1.0", "7c43e5d")
}

fn scrape(metrics: &Metrics) -> Scrape {
    Scrape::parse(&String::from_utf8(metrics.encode()).expect("text"))
}

fn run(images: Vec<ImageResult>) -> CheckRun {
    samples::run(images)
}
