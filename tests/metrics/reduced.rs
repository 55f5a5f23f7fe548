//! `metrics.stageHistograms`: the number of series of a healthy registry without histograms of stages, and other buckets.

use acr_verifier::config::StageHistograms;

use super::budget::healthy;
use super::{metrics, run, scrape};
use crate::report::samples::LOGIN;

/// Series of a healthy registry on a node without histograms of stages, at most.
const FEW: usize = 40;

#[test]
fn without_stage_histograms_a_healthy_registry_has_at_most_forty_series() {
    let metrics = metrics();
    metrics.set_stage_histograms(&StageHistograms::Off);
    metrics.record(&run(vec![healthy()]));
    let scrape = scrape(&metrics);
    let series = scrape.of(LOGIN, None);
    assert!(series.len() <= FEW, "{} series: {series:#?}", series.len());
    assert!(!series.iter().any(|sample| sample.name.starts_with("acr_verifier_stage_duration_seconds")));
    for name in ["acr_verifier_check_success", "acr_verifier_check_duration_seconds_bucket"] {
        assert!(series.iter().any(|sample| sample.name == name), "{name} is missing");
    }
}

#[test]
fn histograms_of_stages_have_the_given_buckets() {
    let metrics = metrics();
    metrics.set_stage_histograms(&StageHistograms::Buckets(vec![0.25, 4.0]));
    metrics.record(&run(vec![healthy()]));
    let text = String::from_utf8(metrics.encode()).expect("text");
    let bounds: std::collections::BTreeSet<&str> = text
        .lines()
        .filter(|line| line.starts_with("acr_verifier_stage_duration_seconds_bucket"))
        .filter_map(|line| line.split_once("le=\"")?.1.split_once('"').map(|(bound, _)| bound))
        .collect();
    assert_eq!(bounds.into_iter().collect::<Vec<_>>(), ["+Inf", "0.25", "4"]);
}

#[test]
fn a_change_of_the_histograms_starts_the_series_again() {
    let metrics = metrics();
    metrics.record(&run(vec![healthy()]));
    metrics.set_stage_histograms(&StageHistograms::Full);
    assert!(!scrape(&metrics).of(LOGIN, None).is_empty());
    metrics.set_stage_histograms(&StageHistograms::Off);
    assert!(scrape(&metrics).of(LOGIN, None).is_empty());
}
