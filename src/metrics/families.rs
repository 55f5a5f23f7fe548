//! The metrics as they are declared: name, type, labels and meaning of each, once.
//!
//! Owns the contract's names. The series are made from these declarations and the reference in the README is written
//! from them, so that neither can say something else. What is counted, and when, is `series`'s.

use std::collections::HashMap;
use std::io::{self, Write};

use prometheus::core::Collector;
use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

/// Why making a family cannot fail.
const WELL_FORMED: &str =
    "a declaration below has a valid name, valid labels and a registry that it is alone in";

/// A metric: all series of one name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// What its series are about.
    pub subject: Subject,
    /// The labels that tell its series apart, beside those of the subject.
    pub labels: &'static [&'static str],
    /// What it means: the help text.
    pub help: &'static str,
}

/// The type of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows, until the program starts again.
    Counter,
    /// The newest value.
    Gauge,
    /// Durations in seconds, by these upper bounds.
    Histogram(&'static [f64]),
}

impl Kind {
    /// Prometheus's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// What the series of a metric are about; all series of a subject share its labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The program, wherever it runs.
    Program,
    /// The agent of one node.
    Node,
    /// One registry as one node sees it, or one image of it that has a name.
    Registry,
}

impl Subject {
    /// The labels of all its series. `image` stands on the series of named images alone.
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
pub const FAMILIES: [Family; 18] = [
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
    REQUESTS,
    EVENTS,
    RELOAD_SUCCESSFUL,
    RELOAD_TIMESTAMP,
    BUILD_INFO,
];

/// A name from a cache takes less than a millisecond, TCP inside a region one or two, an answer of the registry 20 to
/// 500; the last bound lies beyond the usual limit of a stage (10 s). One set for all stages, so that they can be summed.
const STAGE_BUCKETS: [f64; 7] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 15.0];
/// A healthy check takes 50 to 300 ms; the last bound lies beyond the usual limit of a check (60 s).
const CHECK_BUCKETS: [f64; 8] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 75.0];

pub(super) const CHECK_SUCCESS: Family = of_registry(
    "acr_verifier_check_success",
    Kind::Gauge,
    &[],
    "Whether the last check found that the image can be pulled (1, also with warnings) or not (0). Absent before the \
     first check and while the verdict is unknown.",
);
pub(super) const CHECKS: Family =
    of_registry("acr_verifier_checks_total", Kind::Counter, &["verdict"], "Checks of an image, by verdict.");
pub(super) const FAILURES: Family = of_registry(
    "acr_verifier_failures_total",
    Kind::Counter,
    &["endpoint", "stage", "cause"],
    "Checks that failed, by each cause that was told. A series begins when its cause is first seen.",
);
pub(super) const CAUSE: Family = of_registry(
    "acr_verifier_cause",
    Kind::Gauge,
    &["cause", "severity"],
    "1 for each cause that the last check told. Absent when it is gone.",
);
pub(super) const STAGE_SUCCESS: Family = of_registry(
    "acr_verifier_stage_success",
    Kind::Gauge,
    &["endpoint", "stage"],
    "Whether the stage worked in the last check (1, also with warnings) or failed (0). Absent where it was not reached \
     or could not be judged.",
);
pub(super) const STAGE_DURATION: Family = of_registry(
    "acr_verifier_stage_duration_seconds",
    Kind::Histogram(&STAGE_BUCKETS),
    &["endpoint", "stage"],
    "How long a stage took, up to its outcome.",
);
pub(super) const CHECK_DURATION: Family = of_registry(
    "acr_verifier_check_duration_seconds",
    Kind::Histogram(&CHECK_BUCKETS),
    &[],
    "How long the whole check of an image took.",
);
pub(super) const LAST_CHECK: Family = of_registry(
    "acr_verifier_last_check_timestamp_seconds",
    Kind::Gauge,
    &[],
    "When the last check was over.",
);
pub(super) const LAST_SUCCESS: Family = of_registry(
    "acr_verifier_last_success_timestamp_seconds",
    Kind::Gauge,
    &[],
    "When the last check that passed, also with warnings, was over. Absent before the first that did.",
);
pub(super) const DNS_ANSWERS: Family = of_registry(
    "acr_verifier_dns_answers",
    Kind::Gauge,
    &["endpoint", "resolver", "scope"],
    "Different addresses in the answers of the last check: of the node's nameservers (resolver `system`), or of a \
     resolver that is compared.",
);
pub(super) const DNS_DISAGREE: Family = of_registry(
    "acr_verifier_dns_resolvers_disagree",
    Kind::Gauge,
    &["endpoint"],
    "Whether the node's nameservers and the compared resolvers answered differently in the last check (1) or alike (0); no sample where nothing was compared.",
);
pub(super) const CERTIFICATE_EXPIRY: Family = of_registry(
    "acr_verifier_tls_certificate_expiry_timestamp_seconds",
    Kind::Gauge,
    &["endpoint"],
    "When the certificate that the last check saw ends.",
);
pub(super) const CREDENTIALS_EXPIRY: Family = of_registry(
    "acr_verifier_credentials_expiry_timestamp_seconds",
    Kind::Gauge,
    &[],
    "When the credentials that the last check used end, where the configuration or the Secret says so.",
);
pub(super) const REQUESTS: Family = of_registry(
    "acr_verifier_registry_requests_total",
    Kind::Counter,
    &["stage", "code"],
    "HTTP requests to the registry, by status code; `error` where no answer came, `4xx` and the like for unusual codes.",
);
pub(super) const EVENTS: Family = of_node(
    "acr_verifier_events_total",
    Kind::Counter,
    &["result"],
    "Kubernetes Events, by what became of them.",
);
pub(super) const RELOAD_SUCCESSFUL: Family = of_node(
    "acr_verifier_config_last_reload_successful",
    Kind::Gauge,
    &[],
    "Whether the configuration was taken when it was last read (1), or an older one stays in force (0).",
);
pub(super) const RELOAD_TIMESTAMP: Family = of_node(
    "acr_verifier_config_last_reload_timestamp_seconds",
    Kind::Gauge,
    &[],
    "When the configuration was last read, with success or without.",
);
pub(super) const BUILD_INFO: Family = Family {
    name: "acr_verifier_build_info",
    kind: Kind::Gauge,
    subject: Subject::Program,
    labels: &["version", "revision"],
    help: "Always 1; the labels say what runs.",
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

/// Makes the families of one subject, with its labels, and keeps them together.
pub(super) struct Maker {
    pub(super) registry: Registry,
    labels: HashMap<String, String>,
}

impl Maker {
    /// A maker for a subject with these labels.
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

    /// Adds what the library declares itself.
    pub(super) fn add(&self, collector: impl Collector + 'static) {
        self.registry.register(Box::new(collector)).expect(WELL_FORMED);
    }
}

/// Writes the reference of all metrics as a Markdown table.
///
/// # Errors
/// What the writer gives back.
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
        "`registry` is the login server. `image` stands on the series of images to which the configuration gives a \
         `name`; all others of a registry share its series: the worst counts, and counters add up. Beside these there \
         are the usual `process_…` metrics."
    )
}
