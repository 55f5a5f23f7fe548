//! Declarations of all metrics: name, type, labels and help text.
//!
//! Owns the contract's names. The series and the reference in docs/metrics.md are both generated from these declarations,
//! so they cannot diverge. `series` decides what is counted and when.

use std::collections::HashMap;
use std::io::{self, Write};

use prometheus::core::Collector;
use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

/// Why creating a family cannot fail.
const WELL_FORMED: &str =
    "each declaration below has a valid name and valid labels, and is registered once in its registry";

/// A metric: all series of one name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Family {
    /// The full metric name, `acr_verifier_…`.
    pub name: &'static str,
    /// The Prometheus type.
    pub kind: Kind,
    /// The entity that its series describe.
    pub subject: Subject,
    /// Labels in addition to those of the subject.
    pub labels: &'static [&'static str],
    /// The HELP text.
    pub help: &'static str,
}

/// The type of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Increases until the program restarts.
    Counter,
    /// The newest value.
    Gauge,
    /// Durations in seconds, by these upper bounds.
    Histogram(&'static [f64]),
}

impl Kind {
    /// Returns Prometheus's name for the type.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// The entity that the series of a metric describe; all series of a subject share its labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The program, independent of the node.
    Program,
    /// The agent of one node.
    Node,
    /// One registry, or one named image of it, as seen from one node.
    Registry,
}

impl Subject {
    /// Returns the labels of all its series. Only series of named images have `image`.
    #[must_use]
    pub const fn labels(self) -> &'static [&'static str] {
        match self {
            Self::Program => &[],
            Self::Node => &["node"],
            Self::Registry => &["node", "registry", "image"],
        }
    }
}

/// Every metric, in the order of the reference.
pub const FAMILIES: [Family; 21] = [
    CHECK_SUCCESS,
    CHECKS,
    FAILURES,
    CAUSE,
    STAGE_SUCCESS,
    STAGE_DURATION,
    CHECK_DURATION,
    LAST_CHECK,
    LAST_SUCCESS,
    DNS_ANSWERS,
    DNS_DISAGREE,
    CERTIFICATE_EXPIRY,
    CREDENTIALS_EXPIRY,
    CREDENTIALS_INFO,
    REQUESTS,
    PATH_CHECKS,
    EVENTS,
    RELOAD_SUCCESSFUL,
    RELOAD_TIMESTAMP,
    NODE_INFO,
    BUILD_INFO,
];

/// A cached name takes less than a millisecond, TCP within a region one or two, a response of the registry 20 to 500. The
/// last bound exceeds the default per-stage timeout (10 s). All stages share one set, so they can be summed.
pub(super) const STAGE_BUCKETS: [f64; 7] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 15.0];
/// A healthy check takes 50 to 300 ms; the last bound exceeds the default overall timeout (60 s).
pub(super) const CHECK_BUCKETS: [f64; 8] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 75.0];
/// Without histograms of stages: only whether a check took longer than a second.
pub(super) const FEW_CHECK_BUCKETS: [f64; 1] = [1.0];

pub(super) const CHECK_SUCCESS: Family = of_registry(
    "acr_verifier_check_success",
    Kind::Gauge,
    &[],
    "Whether the last check found the image pullable (1, warnings included) or not (0). Absent before the first check \
     and while the verdict is unknown.",
);
pub(super) const CHECKS: Family = of_registry(
    "acr_verifier_checks_total",
    Kind::Counter,
    &["verdict"],
    "Total number of whole image checks by verdict.",
);
pub(super) const FAILURES: Family = of_registry(
    "acr_verifier_failures_total",
    Kind::Counter,
    &["endpoint", "stage", "cause"],
    "Total number of failed checks by cause. A series is created when its cause first occurs.",
);
pub(super) const CAUSE: Family = of_registry(
    "acr_verifier_cause",
    Kind::Gauge,
    &["cause", "severity"],
    "Causes reported by the last check (always 1). Absent once a cause no longer applies.",
);
pub(super) const STAGE_SUCCESS: Family = of_registry(
    "acr_verifier_stage_success",
    Kind::Gauge,
    &["endpoint", "stage"],
    "Whether the stage succeeded in the last check (1, warnings included) or failed (0). Absent if the stage was not \
     reached or was inconclusive.",
);
pub(super) const STAGE_DURATION: Family = of_registry(
    "acr_verifier_stage_duration_seconds",
    Kind::Histogram(&STAGE_BUCKETS),
    &["endpoint", "stage"],
    "Duration of each check stage in seconds.",
);
pub(super) const CHECK_DURATION: Family = of_registry(
    "acr_verifier_check_duration_seconds",
    Kind::Histogram(&CHECK_BUCKETS),
    &[],
    "Duration of each image check in seconds.",
);
pub(super) const LAST_CHECK: Family = of_registry(
    "acr_verifier_last_check_timestamp_seconds",
    Kind::Gauge,
    &[],
    "Unix timestamp of the last completed check in seconds.",
);
pub(super) const LAST_SUCCESS: Family = of_registry(
    "acr_verifier_last_success_timestamp_seconds",
    Kind::Gauge,
    &[],
    "Unix timestamp of the last passing check in seconds, warnings included. Absent before the first passing check.",
);
pub(super) const DNS_ANSWERS: Family = of_registry(
    "acr_verifier_dns_answers",
    Kind::Gauge,
    &["endpoint", "resolver", "scope"],
    "Number of distinct addresses in the DNS answers of the last check, from the node's nameservers (resolver \
     `system`) or from a compared resolver.",
);
pub(super) const DNS_DISAGREE: Family = of_registry(
    "acr_verifier_dns_resolvers_disagree",
    Kind::Gauge,
    &["endpoint"],
    "Whether the node's nameservers and the compared resolvers gave different answers in the last check (1) or the same \
     (0). Absent if nothing was compared.",
);
pub(super) const CERTIFICATE_EXPIRY: Family = of_registry(
    "acr_verifier_tls_certificate_expiry_timestamp_seconds",
    Kind::Gauge,
    &["endpoint"],
    "Expiry of the TLS certificate seen by the last check, as a Unix timestamp in seconds.",
);
pub(super) const CREDENTIALS_EXPIRY: Family = of_registry(
    "acr_verifier_credentials_expiry_timestamp_seconds",
    Kind::Gauge,
    &[],
    "Expiry of the credentials used by the last check, as a Unix timestamp in seconds. Absent if neither the \
     configuration nor the Secret states it.",
);
pub(super) const CREDENTIALS_INFO: Family = of_registry(
    "acr_verifier_credentials_info",
    Kind::Gauge,
    &["credentials"],
    "Kind of credentials that the last check used: `secret`, `anonymous`, `managed_identity` or `workload_identity` (always 1). \
     Absent if they could not be read.",
);
pub(super) const REQUESTS: Family = of_registry(
    "acr_verifier_registry_requests_total",
    Kind::Counter,
    &["stage", "code"],
    "Total number of HTTP requests to the registry by status code: `error` without a response, a class such as `4xx` for \
     uncommon codes.",
);
pub(super) const PATH_CHECKS: Family = of_registry(
    "acr_verifier_path_checks_total",
    Kind::Counter,
    &["result"],
    "Total number of path checks (DNS to TLS, without a request) between whole checks by result: `unchanged` or `changed` since the \
     last whole check. Absent without path checks.",
);
pub(super) const EVENTS: Family = of_node(
    "acr_verifier_events_total",
    Kind::Counter,
    &["result"],
    "Total number of Kubernetes Events by result.",
);
pub(super) const RELOAD_SUCCESSFUL: Family = of_node(
    "acr_verifier_config_last_reload_successful",
    Kind::Gauge,
    &[],
    "Whether the last configuration reload succeeded (1) or the previous configuration stays in force (0).",
);
pub(super) const RELOAD_TIMESTAMP: Family = of_node(
    "acr_verifier_config_last_reload_timestamp_seconds",
    Kind::Gauge,
    &[],
    "Unix timestamp of the last configuration reload attempt in seconds.",
);
pub(super) const NODE_INFO: Family = of_node(
    "acr_verifier_node_info",
    Kind::Gauge,
    &["pool", "zone", "network_view"],
    "Node pool and zone of the node, empty if unknown, and the network of the checks, `node` or `pod` (always 1).",
);
pub(super) const BUILD_INFO: Family = Family {
    name: "acr_verifier_build_info",
    kind: Kind::Gauge,
    subject: Subject::Program,
    labels: &["version", "revision"],
    help: "Build information (always 1).",
};

const fn of_registry(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
) -> Family {
    Family { name, kind, subject: Subject::Registry, labels, help }
}

const fn of_node(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
) -> Family {
    Family { name, kind, subject: Subject::Node, labels, help }
}

/// Creates and registers the families of one subject, with its labels.
pub(super) struct FamilyBuilder {
    pub(super) registry: Registry,
    labels: HashMap<String, String>,
}

impl FamilyBuilder {
    /// Returns a maker for a subject with these labels.
    pub(super) fn new(labels: &[(&str, &str)]) -> Self {
        let labels = labels.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { registry: Registry::new(), labels }
    }

    pub(super) fn gauge(&self, family: &Family) -> GaugeVec {
        self.keep(GaugeVec::new(self.options(family), family.labels).expect(WELL_FORMED))
    }

    pub(super) fn counter(&self, family: &Family) -> IntCounterVec {
        self.keep(IntCounterVec::new(self.options(family), family.labels).expect(WELL_FORMED))
    }

    pub(super) fn histogram(&self, family: &Family, buckets: &[f64]) -> HistogramVec {
        let options = HistogramOpts::from(self.options(family)).buckets(buckets.to_vec());
        self.keep(HistogramVec::new(options, family.labels).expect(WELL_FORMED))
    }

    fn options(&self, family: &Family) -> Opts {
        Opts::new(family.name, family.help).const_labels(self.labels.clone())
    }

    fn keep<Vector: Collector + Clone + 'static>(&self, vector: Vector) -> Vector {
        self.add(vector.clone());
        vector
    }

    /// Registers a collector that the library declares itself.
    pub(super) fn add(&self, collector: impl Collector + 'static) {
        self.registry.register(Box::new(collector)).expect(WELL_FORMED);
    }
}

/// Writes the reference of all metrics as a Markdown table.
///
/// # Errors
/// Errors of the writer.
pub fn write_reference(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "| metric | type | labels | meaning |")?;
    writeln!(out, "| --- | --- | --- | --- |")?;
    for Family { name, kind, subject, labels, help } in &FAMILIES {
        let labels: Vec<String> =
            subject.labels().iter().chain(*labels).map(|label| format!("`{label}`")).collect();
        writeln!(out, "| `{name}` | {} | {} | {help} |", kind.as_str(), labels.join(", "))?;
    }
    writeln!(out)?;
    writeln!(
        out,
        "`registry` is the login server. `image` is only present for images that have a `name` in the configuration. All \
         other images of a registry share its series: gauges report the worst result, counters add up. The standard \
         `process_…` metrics are exposed as well."
    )
}
