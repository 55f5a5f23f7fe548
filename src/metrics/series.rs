//! The series of one registry, or of one named image of it, on this node.
//!
//! Owns the values derived from a check, and the budget: at most 250 series, whatever the registry returns.
//!
//! ```text
//! stage_duration        12 stages × (7 buckets + Inf, sum, count)                                       120
//! check_duration         1        × (8 buckets + Inf, sum, count)                                        11
//! dns_answers            2 endpoints × 4 scopes × (the system's resolver + 2 compared ones)              24
//! stage_success         12, checks_total 4, dns_resolvers_disagree 2, tls_certificate_expiry 2           20
//! check_success          1, last_check 1, last_success 1, credentials_expiry 1                            4
//! credentials_info       one kind for each image that shares the series                              at most 4
//! failures_total         the most recent kinds of failure                                           at most 32
//! registry_requests      the most recent kinds of response                                          at most 16
//! path_checks            if there are any                                                                 2
//! cause                  current causes: as many as one check can report at once                fewer than 23
//! ```
//!
//! `metrics.stageHistograms: false` leaves out the first line, all but one bucket of the second, and the scopes of addresses that
//! no answer has: a healthy registry then has at most 40 series. Each further compared resolver adds 8. `prometheus` itself keeps every series, so the two counters of recent kinds are limited
//! here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, HistogramVec, IntCounterVec};

use super::current::CurrentGauges;
use super::families::{self, FamilyBuilder};
use crate::address::Scope;
use crate::config::StageHistograms;
use crate::findings::Comparison;
use crate::observation::{Endpoint, Stage};
use crate::path_check::{PathChange, PathStatus};
use crate::run::{Extent, ImageResult, StageStatus};
use crate::verdict::{Severity, Verdict};

/// Kinds of failure to keep; beyond that, the least recently seen kind is removed.
const MAX_FAILURES: usize = 32;
/// Kinds of response to keep, likewise; a healthy check has six.
const MAX_REQUESTS: usize = 16;

/// The registry or named image that a set of series belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Labels {
    registry: String,
    image: Option<String>,
}

impl Labels {
    /// Returns the owner of the series that a path check is recorded in.
    pub(super) fn of_path(status: &PathStatus) -> Self {
        Self { registry: status.image.registry(), image: status.name.clone() }
    }

    /// Returns the owner of the series that a check is recorded in.
    pub(super) fn of(checked: &ImageResult) -> Self {
        Self { registry: checked.image.registry(), image: checked.name.clone() }
    }
}

/// The series of one owner.
pub(super) struct TargetMetrics {
    registry: prometheus::Registry,
    check_success: CurrentGauges,
    checks: IntCounterVec,
    failures: BoundedCounter,
    cause: CurrentGauges,
    stage_success: CurrentGauges,
    stage_duration: Option<HistogramVec>,
    check_duration: HistogramVec,
    last_check: GaugeVec,
    last_success: GaugeVec,
    dns_answers: CurrentGauges,
    dns_disagree: CurrentGauges,
    certificate_expiry: CurrentGauges,
    credentials_expiry: CurrentGauges,
    credentials_info: CurrentGauges,
    requests: BoundedCounter,
    path_checks: IntCounterVec,
    /// Whether a scope without addresses is reported too.
    reports_every_scope: bool,
}

impl TargetMetrics {
    /// Returns the series before the first check: only the verdict counters, at 0.
    pub(super) fn new(node: &str, owner: &Labels, histograms: &StageHistograms) -> Self {
        let mut labels = vec![("node", node), ("registry", owner.registry.as_str())];
        labels.extend(owner.image.as_deref().map(|image| ("image", image)));
        let maker = FamilyBuilder::new(&labels);
        let checks = maker.counter(&families::CHECKS);
        for verdict in Verdict::ALL {
            checks.with_label_values(&[verdict.as_str()]);
        }
        let stages = &families::STAGE_DURATION;
        let (stage_duration, check_buckets) = match histograms {
            StageHistograms::Full => {
                (Some(maker.histogram(stages, &families::STAGE_BUCKETS)), families::CHECK_BUCKETS.as_slice())
            }
            StageHistograms::Buckets(buckets) => {
                (Some(maker.histogram(stages, buckets)), families::CHECK_BUCKETS.as_slice())
            }
            StageHistograms::Off => (None, families::FEW_CHECK_BUCKETS.as_slice()),
        };
        Self {
            check_success: CurrentGauges::new(maker.gauge(&families::CHECK_SUCCESS)),
            checks,
            failures: BoundedCounter::new(maker.counter(&families::FAILURES), MAX_FAILURES),
            cause: CurrentGauges::new(maker.gauge(&families::CAUSE)),
            stage_success: CurrentGauges::new(maker.gauge(&families::STAGE_SUCCESS)),
            stage_duration,
            check_duration: maker.histogram(&families::CHECK_DURATION, check_buckets),
            last_check: maker.gauge(&families::LAST_CHECK),
            last_success: maker.gauge(&families::LAST_SUCCESS),
            dns_answers: CurrentGauges::new(maker.gauge(&families::DNS_ANSWERS)),
            dns_disagree: CurrentGauges::new(maker.gauge(&families::DNS_DISAGREE)),
            certificate_expiry: CurrentGauges::new(maker.gauge(&families::CERTIFICATE_EXPIRY)),
            credentials_expiry: CurrentGauges::new(maker.gauge(&families::CREDENTIALS_EXPIRY)),
            credentials_info: CurrentGauges::new(maker.gauge(&families::CREDENTIALS_INFO)),
            reports_every_scope: *histograms != StageHistograms::Off,
            requests: BoundedCounter::new(maker.counter(&families::REQUESTS), MAX_REQUESTS),
            path_checks: maker.counter(&families::PATH_CHECKS),
            registry: maker.registry,
        }
    }

    /// Records the results of one run: counters add up its whole checks, gauges take the worst result.
    pub(super) fn record(&mut self, checks: &[&ImageResult], finished_at: Timestamp) {
        for checked in checks.iter().filter(|checked| !checked.is_kept && checked.extent == Extent::Whole) {
            self.count(checked);
        }
        self.current().into_iter().for_each(CurrentGauges::begin);
        self.tell_verdict(checks, finished_at);
        self.tell_names(checks);
        self.tell_expiries(checks);
        self.current().into_iter().for_each(CurrentGauges::end);
    }

    /// The families whose values must disappear if a run does not report them again.
    const fn current(&mut self) -> [&mut CurrentGauges; 8] {
        [
            &mut self.check_success,
            &mut self.cause,
            &mut self.stage_success,
            &mut self.dns_answers,
            &mut self.dns_disagree,
            &mut self.certificate_expiry,
            &mut self.credentials_expiry,
            &mut self.credentials_info,
        ]
    }

    /// Counts a path check.
    pub(super) fn record_path(&self, is_changed: bool) {
        for (result, count) in PathChange::RESULTS.into_iter().zip([!is_changed, is_changed]) {
            self.path_checks.with_label_values(&[result]).inc_by(u64::from(count));
        }
    }

    /// Returns every sample of these series.
    pub(super) fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }

    fn count(&mut self, checked: &ImageResult) {
        self.checks.with_label_values(&[checked.verdict().as_str()]).inc();
        self.check_duration
            .with_label_values::<&str>(&[])
            .observe(checked.observation.duration.as_secs_f64());
        if let Some(stage_duration) = &self.stage_duration {
            for mark in &checked.observation.marks {
                let labels = [mark.endpoint.as_str(), mark.stage.as_str()];
                stage_duration.with_label_values(&labels).observe(mark.duration.as_secs_f64());
            }
        }
        for request in &checked.observation.requests {
            self.requests.count(&[request.stage.as_str(), code(request.status)]);
        }
        // A cause reported for two nameservers counts as one reason for one check to fail.
        let failures: BTreeSet<[&'static str; 3]> = checked
            .diagnoses
            .iter()
            .filter(|diagnosis| diagnosis.severity == Severity::Fail)
            .map(|diagnosis| [diagnosis.endpoint.as_str(), diagnosis.stage.as_str(), diagnosis.cause.code()])
            .collect();
        for failure in failures {
            self.failures.count(&failure);
        }
    }

    fn tell_verdict(&mut self, checks: &[&ImageResult], finished_at: Timestamp) {
        let verdict = checks.iter().map(|checked| checked.verdict()).max().unwrap_or(Verdict::Unknown);
        self.last_check.with_label_values::<&str>(&[]).set(seconds(finished_at));
        match verdict {
            Verdict::Pass | Verdict::Warn => {
                set(&mut self.check_success, &[], 1.0);
                self.last_success.with_label_values::<&str>(&[]).set(seconds(finished_at));
            }
            Verdict::Fail => set(&mut self.check_success, &[], 0.0),
            Verdict::Unknown => {}
        }
        for diagnosis in checks.iter().flat_map(|checked| &checked.diagnoses) {
            set(&mut self.cause, &[diagnosis.cause.code(), diagnosis.severity.as_str()], 1.0);
        }
        for ((endpoint, stage), worst) in stages(checks) {
            let labels = [endpoint.as_str(), stage.as_str()];
            match worst {
                Verdict::Pass | Verdict::Warn => set(&mut self.stage_success, &labels, 1.0),
                Verdict::Fail => set(&mut self.stage_success, &labels, 0.0),
                Verdict::Unknown => {}
            }
        }
    }

    fn tell_names(&mut self, checks: &[&ImageResult]) {
        for checked in checks {
            for seen in &checked.observation.resolutions {
                let usual = [Scope::Private, Scope::Public];
                for &scope in if self.reports_every_scope { Scope::ALL.as_slice() } else { &usual } {
                    let labels = [seen.endpoint.as_str(), seen.resolver.label(), scope.as_str()];
                    set(&mut self.dns_answers, &labels, 0.0);
                }
            }
        }
        for endpoint in Endpoint::ALL {
            let compared = checks.iter().map(|checked| checked.comparisons.of(endpoint));
            match compared.max().unwrap_or(Comparison::Nothing) {
                Comparison::Different => set(&mut self.dns_disagree, &[endpoint.as_str()], 1.0),
                Comparison::Alike => set(&mut self.dns_disagree, &[endpoint.as_str()], 0.0),
                // Nothing was compared, or not all resolvers answered.
                Comparison::Nothing | Comparison::Incomplete => {}
            }
        }
        // A set: an address returned by both nameservers counts once.
        let answers: BTreeSet<_> = checks
            .iter()
            .flat_map(|checked| checked.observation.resolutions.iter().map(move |seen| (checked, seen)))
            .flat_map(|(checked, seen)| {
                seen.addresses().into_iter().map(move |address| {
                    let scope = checked.policy.classify(&seen.host, address);
                    (seen.endpoint, seen.resolver.label(), scope, seen.host.as_str(), address.to_canonical())
                })
            })
            .collect();
        for (endpoint, resolver, scope, _, _) in answers {
            self.dns_answers.at(&[endpoint.as_str(), resolver, scope.as_str()]).inc();
        }
    }

    fn tell_expiries(&mut self, checks: &[&ImageResult]) {
        for endpoint in Endpoint::ALL {
            let sessions = checks.iter().filter_map(|checked| checked.observation.tls_of(endpoint));
            let first =
                sessions.filter_map(|session| session.certificate.as_ref()).map(|seen| seen.not_after).min();
            if let Some(not_after) = first {
                set(&mut self.certificate_expiry, &[endpoint.as_str()], seconds(not_after));
            }
        }
        for used in checks.iter().filter_map(|checked| checked.observation.credentials) {
            set(&mut self.credentials_info, &[used.as_str()], 1.0);
        }
        if let Some(first) =
            checks.iter().filter_map(|checked| checked.observation.credentials_expire_at).min()
        {
            set(&mut self.credentials_expiry, &[], seconds(first));
        }
    }
}

/// A counter that keeps the most recently seen label sets. One that returns starts at 0 again, which Prometheus handles
/// as a counter reset.
struct BoundedCounter {
    counter: IntCounterVec,
    max: usize,
    /// The label values kept, least recently seen first.
    kinds: VecDeque<Vec<&'static str>>,
}

impl BoundedCounter {
    const fn new(counter: IntCounterVec, max: usize) -> Self {
        Self { counter, max, kinds: VecDeque::new() }
    }

    fn count(&mut self, labels: &[&'static str]) {
        self.kinds.retain(|kind| kind != labels);
        self.kinds.push_back(labels.to_vec());
        if self.kinds.len() > self.max
            && let Some(oldest) = self.kinds.pop_front()
        {
            self.counter.remove_label_values(&oldest).expect("every kept kind was counted");
        }
        self.counter.with_label_values(labels).inc();
    }
}

/// Returns the worst result of each stage that was reached.
fn stages(checks: &[&ImageResult]) -> BTreeMap<(Endpoint, Stage), Verdict> {
    let mut stages = BTreeMap::new();
    for stage in checks.iter().flat_map(|checked| checked.stages()) {
        let verdict = match stage.status {
            StageStatus::Skipped => continue,
            StageStatus::Ok => Verdict::Pass,
            StageStatus::Warning => Verdict::Warn,
            // The report has one status for failed and inconclusive stages; here, throttling is not a failure.
            StageStatus::Failed => {
                let worst = stage.diagnoses.iter().map(|diagnosis| diagnosis.severity.verdict()).max();
                worst.unwrap_or(Verdict::Unknown)
            }
        };
        let worst = stages.entry((stage.endpoint, stage.stage)).or_insert(verdict);
        *worst = verdict.max(*worst);
    }
    stages
}

/// Returns the label for a status code: the code itself if registries are known to send it, otherwise its class. A closed
/// set, whatever the registry returns.
fn code(status: Option<u16>) -> &'static str {
    match status {
        None => "error",
        Some(200) => "200",
        Some(301) => "301",
        Some(302) => "302",
        Some(307) => "307",
        Some(308) => "308",
        Some(400) => "400",
        Some(401) => "401",
        Some(403) => "403",
        Some(404) => "404",
        Some(405) => "405",
        Some(429) => "429",
        Some(500) => "500",
        Some(502) => "502",
        Some(503) => "503",
        Some(504) => "504",
        Some(200..=299) => "2xx",
        Some(300..=399) => "3xx",
        Some(400..=499) => "4xx",
        Some(500..=599) => "5xx",
        Some(_) => "other",
    }
}

fn set(gauges: &mut CurrentGauges, labels: &[&str], value: f64) {
    gauges.at(labels).set(value);
}

/// Converts to the Unix seconds that Prometheus expects.
pub(super) fn seconds(at: Timestamp) -> f64 {
    at.as_second() as f64
}
