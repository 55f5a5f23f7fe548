//! The Prometheus metrics of the contract, kept from one check to the next.
//!
//! Owns the series and their lifetime: gauges report only the newest check, counters and histograms add up, and all
//! series of a registry or named image are removed once the configuration no longer contains it. Names and help texts
//! are declared in `families`; `series` derives the values from a check. The agent serves them over HTTP. No clock: a
//! check carries its own time.
//!
//! Each registry and each named image has its own `prometheus::Registry`, because the library requires the same label
//! names on all series of a metric, and only those of named images have `image`. They are merged when they are read,
//! under the same lock that recording a check takes: a scrape sees all of a check or nothing of it.

mod current;
mod families;
mod series;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard};

use jiff::Timestamp;
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::MetricFamily;
use prometheus::{Encoder, GaugeVec, IntCounterVec, Registry, TextEncoder};

use crate::config::StageHistograms;
use crate::path_check::PathStatus;
use crate::run::{CheckRun, Extent, ImageResult, NetworkView};
use crate::transition::EventResult;

use families::FamilyBuilder;
pub use families::{FAMILIES, Family, Kind, Subject, write_reference};
use series::{Labels, TargetMetrics, seconds};

/// The media type of [`Metrics::encode`]: Prometheus's text format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics of one agent.
pub struct Metrics {
    node: String,
    /// The families that do not belong to a registry.
    own: [Registry; 2],
    events: IntCounterVec,
    reload_successful: GaugeVec,
    reload_timestamp: GaugeVec,
    series: Mutex<Series>,
}

/// The series of all registries and named images.
#[derive(Default)]
struct Series {
    histograms: StageHistograms,
    of: BTreeMap<Labels, TargetMetrics>,
}

/// The node that the metrics are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeLabels {
    /// Its name.
    pub node: String,
    /// Its node pool; empty if unknown.
    pub pool: String,
    /// Its zone; empty if unknown.
    pub zone: String,
    /// The network of the checks.
    pub network_view: NetworkView,
}

impl NodeLabels {
    /// Describes a node. Without a pool, it is taken from a name that AKS gives to nodes of a scale set:
    /// `aks-POOL-NUMBER-vmssINSTANCE`.
    #[must_use]
    pub fn new(node: &str, network_view: NetworkView, pool: Option<String>, zone: Option<String>) -> Self {
        let pool = pool.or_else(|| pool_in(node).map(str::to_owned));
        Self {
            node: node.to_owned(),
            pool: pool.unwrap_or_default(),
            zone: zone.unwrap_or_default(),
            network_view,
        }
    }
}

fn pool_in(node: &str) -> Option<&str> {
    let mut parts = node.strip_prefix("aks-")?.split('-');
    let (pool, number, instance) = (parts.next()?, parts.next()?, parts.next()?);
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && instance.starts_with("vmss") && parts.next().is_none()).then_some(pool)
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Metrics").field("node", &self.node).finish_non_exhaustive()
    }
}

impl Metrics {
    /// Returns the metrics of an agent before its first check.
    #[must_use]
    pub fn new(about: &NodeLabels, version: &str, revision: &str) -> Self {
        let node = about.node.as_str();
        let program = FamilyBuilder::new(&[]);
        program.gauge(&families::BUILD_INFO).with_label_values(&[version, revision]).set(1.0);
        program.add(ProcessCollector::for_self());
        let agent = FamilyBuilder::new(&[("node", node)]);
        let node_info = [about.pool.as_str(), about.zone.as_str(), about.network_view.as_str()];
        agent.gauge(&families::NODE_INFO).with_label_values(&node_info).set(1.0);
        let events = agent.counter(&families::EVENTS);
        for result in EventResult::ALL {
            events.with_label_values(&[result.as_str()]);
        }
        Self {
            node: node.to_owned(),
            events,
            reload_successful: agent.gauge(&families::RELOAD_SUCCESSFUL),
            reload_timestamp: agent.gauge(&families::RELOAD_TIMESTAMP),
            own: [program.registry, agent.registry],
            series: Mutex::default(),
        }
    }

    /// Sets which histograms of stages are kept. A change starts all series of registries again, from 0.
    pub fn set_stage_histograms(&self, histograms: &StageHistograms) {
        let mut series = self.lock();
        if series.histograms != *histograms {
            *series = Series { histograms: histograms.clone(), of: BTreeMap::new() };
        }
    }

    /// Records a run. Counters and histograms are of whole checks, each counted once. Removes the series of registries and named images
    /// that a whole check lacks: it covers the whole configuration.
    pub fn record(&self, run: &CheckRun) {
        let mut owners: BTreeMap<Labels, Vec<&ImageResult>> = BTreeMap::new();
        for checked in &run.images {
            owners.entry(Labels::of(checked)).or_default().push(checked);
        }
        let end = |started_at: Timestamp, duration| started_at.checked_add(duration).unwrap_or(started_at);
        let mut series = self.lock();
        let Series { histograms, of } = &mut *series;
        if run.images.iter().all(|checked| checked.extent == Extent::Whole && !checked.is_kept) {
            of.retain(|owner, _| owners.contains_key(owner));
        }
        for (owner, checks) in owners {
            let new = |owner: &Labels| TargetMetrics::new(&self.node, owner, histograms);
            // Kept results are as old as they are.
            let finished_at = if checks.iter().all(|checked| checked.is_kept) {
                checks.iter().map(|checked| end(checked.started_at, checked.observation.duration)).max()
            } else {
                Some(end(run.started_at, run.duration))
            };
            let finished_at = finished_at.unwrap_or(run.started_at);
            of.entry(owner).or_insert_with_key(new).record(&checks, finished_at);
        }
    }

    /// Counts path checks: one for each registry, and for each named image.
    pub fn record_paths(&self, statuses: &[PathStatus]) {
        let mut owners: BTreeMap<Labels, bool> = BTreeMap::new();
        for status in statuses {
            *owners.entry(Labels::of_path(status)).or_default() |= status.is_changed;
        }
        let mut series = self.lock();
        let Series { histograms, of } = &mut *series;
        for (owner, is_changed) in owners {
            let new = |owner: &Labels| TargetMetrics::new(&self.node, owner, histograms);
            of.entry(owner).or_insert_with_key(new).record_path(is_changed);
        }
    }

    /// Records a reload of the configuration and whether it succeeded.
    pub fn record_reload(&self, successful: bool, at: Timestamp) {
        self.reload_successful.with_label_values::<&str>(&[]).set(f64::from(u8::from(successful)));
        self.reload_timestamp.with_label_values::<&str>(&[]).set(seconds(at));
    }

    /// Counts an Event by its result.
    pub fn record_event(&self, result: EventResult) {
        self.events.with_label_values(&[result.as_str()]).inc();
    }

    /// Returns all series in Prometheus's text format.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut families: BTreeMap<String, MetricFamily> = BTreeMap::new();
        let series = self.lock();
        let own = self.own.iter().flat_map(Registry::gather);
        for mut family in own.chain(series.of.values().flat_map(TargetMetrics::gather)) {
            match families.get_mut(family.name()) {
                Some(known) => known.mut_metric().append(family.mut_metric()),
                None => drop(families.insert(family.name().to_owned(), family)),
            }
        }
        drop(series);
        text(&families.into_values().collect::<Vec<_>>())
    }

    fn lock(&self) -> MutexGuard<'_, Series> {
        self.series.lock().expect("nothing panics while a check is recorded or read")
    }
}

fn text(families: &[MetricFamily]) -> Vec<u8> {
    let mut text = Vec::new();
    let written = TextEncoder::new().encode(families, &mut text);
    written.expect("every family has a name and series, and writing to memory cannot fail");
    text
}

#[cfg(test)]
mod tests {
    use super::NodeLabels;
    use crate::run::NetworkView;

    #[test]
    fn the_pool_is_taken_from_names_of_scale_sets_only() {
        let pool = |node: &str, given: Option<&str>| {
            NodeLabels::new(node, NetworkView::Node, given.map(str::to_owned), None).pool
        };
        for (node, expected) in [
            ("aks-np1-12345678-vmss000000", "np1"),
            ("aks-system-00000001-vmss00000a", "system"),
            ("aks-default-x7k2p", ""),
            ("aks-np1-1234567x-vmss000000", ""),
            ("aks-np1--vmss000000", ""),
            ("aks-np1-12345678-vm000000", ""),
            ("aks-np1-12345678-vmss000000-1", ""),
            ("node-1", ""),
        ] {
            assert_eq!(pool(node, None), expected, "{node}");
        }
        assert_eq!(pool("aks-np1-12345678-vmss000000", Some("gpu")), "gpu");
    }
}
