//! Alerts as Prometheus would evaluate them: scraped values, rules evaluated once a minute (those over counters
//! every five), and their `for` durations.
//!
//! Implements the conditions of the rules that the day can trigger. They are compared with the expressions and durations in
//! `dashboards/alerts/acr-verifier.rules.yaml`; if those change, this fails.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use acr_verifier::cause::Cause;
use acr_verifier::run::ImageResult;
use acr_verifier::verdict::Verdict;
use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::affected::Affected;
use crate::outcomes::REGISTRIES;
use crate::tally::Minute;

/// Scrape interval, and evaluation interval of a group.
pub(crate) const SCRAPE: Duration = Duration::from_secs(60);
/// Minutes between evaluations of the alerts over counters.
const COUNTERS_EVERY: u64 = 5;
/// Delay of the evaluation of most alerts after the group with the outages, whose own alerts do not wait.
pub(crate) const BETWEEN_GROUPS: Duration = Duration::from_secs(30);
const RULES: &str = include_str!("../../../dashboards/alerts/acr-verifier.rules.yaml");

/// A rule that the day can trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    Unreachable,
    FromNode,
    PublicPath,
    PublicPathFromNode,
    Credentials,
    Inconclusive,
    Stale,
}

impl Rule {
    pub(crate) const ALL: [Self; 7] = [
        Self::Unreachable,
        Self::FromNode,
        Self::PublicPath,
        Self::PublicPathFromNode,
        Self::Credentials,
        Self::Inconclusive,
        Self::Stale,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "AcrVerifierRegistryUnreachable",
            Self::FromNode => "AcrVerifierRegistryUnreachableFromNode",
            Self::PublicPath => "AcrVerifierPublicPathInUse",
            Self::PublicPathFromNode => "AcrVerifierPublicPathInUseFromNode",
            Self::Credentials => "AcrVerifierCredentialsRejected",
            Self::Inconclusive => "AcrVerifierChecksInconclusive",
            Self::Stale => "AcrVerifierChecksStale",
        }
    }

    /// Whether it is evaluated in the group that records the outages.
    const fn is_of_outages(self) -> bool {
        matches!(self, Self::Unreachable | Self::PublicPath)
    }

    /// Returns the expression that the conditions below implement.
    const fn holds(self) -> &'static str {
        match self {
            Self::Unreachable => {
                "registry:acr_verifier_nodes_broken_outage:count > 0 unless on (cluster, registry) \
                 registry:acr_verifier_nodes_broken_recovering:count"
            }
            Self::FromNode => {
                "0 * (node_registry:acr_verifier_path_broken:max unless on (cluster, registry) \
                 registry:acr_verifier_nodes_broken_outage:count) + on (cluster, registry) group_left () \
                 (registry:acr_verifier_nodes:count - registry:acr_verifier_nodes_broken:count)"
            }
            Self::PublicPath => {
                "registry:acr_verifier_nodes_public_outage:count > 0 unless on (cluster, registry) \
                 registry:acr_verifier_nodes_public_recovering:count"
            }
            Self::PublicPathFromNode => {
                "0 * (node_registry:acr_verifier_public_path:max unless on (cluster, registry) \
                 registry:acr_verifier_nodes_public_outage:count) + on (cluster, registry) group_left () \
                 (registry:acr_verifier_nodes:count - registry:acr_verifier_nodes_public:count)"
            }
            Self::Credentials => {
                "count by (cluster, registry, cause) (max by (cluster, node, registry, cause) \
                 (acr_verifier_cause{severity=\"fail\",node!~\"virtual-.+\",cause=~\"credentials_missing|credentials_invalid|credentials_rejected|token_refused|scope_missing|identity_unavailable|identity_not_found|entra_unreachable|identity_rejected|pull_role_missing\"}) \
                 unless on (cluster, node) node:acr_verifier_not_ready:min)"
            }
            Self::Inconclusive => {
                "sum by (cluster, registry) (rate(acr_verifier_checks_total{verdict=\"unknown\",node!~\"virtual-.+\"}[15m]) \
                 unless on (cluster, node) node:acr_verifier_not_ready:min) / \
                 sum by (cluster, registry) (rate(acr_verifier_checks_total{node!~\"virtual-.+\"}[15m]) \
                 unless on (cluster, node) node:acr_verifier_not_ready:min) > 0.2"
            }
            Self::Stale => "time() - node_registry:acr_verifier_last_check_timestamp_seconds:max > 1800",
        }
    }
}

/// Expected recording rules of [`Rule::Unreachable`] and [`Rule::PublicPath`].
const RECORDED: [(&str, &str); 11] = [
    (
        "node_registry:acr_verifier_last_check_timestamp_seconds:max",
        "max by (cluster, node, registry) (acr_verifier_last_check_timestamp_seconds{node!~\"virtual-.+\"}) \
         unless on (cluster, node) node:acr_verifier_not_ready:min",
    ),
    (
        "node_registry:acr_verifier_check_success:max",
        "max by (cluster, node, registry) (acr_verifier_check_success) and on (cluster, node, registry) \
         node_registry:acr_verifier_last_check_timestamp_seconds:max",
    ),
    (
        "registry:acr_verifier_nodes:count",
        "count by (cluster, registry) (node_registry:acr_verifier_last_check_timestamp_seconds:max)",
    ),
    (
        "registry:acr_verifier_nodes_broken:count",
        "count by (cluster, registry) (node_registry:acr_verifier_path_broken:max) or 0 * \
         registry:acr_verifier_nodes:count",
    ),
    (
        "registry:acr_verifier_nodes_broken_outage:count",
        "registry:acr_verifier_nodes_broken:count >= 2 and \
         (registry:acr_verifier_nodes_broken:count >= 10 or \
         registry:acr_verifier_nodes_broken:count / registry:acr_verifier_nodes:count >= 0.2)",
    ),
    (
        "node_registry:acr_verifier_public_path:max",
        "max by (cluster, node, registry) \
         (acr_verifier_cause{cause=~\"private_zone_not_linked|no_private_endpoint|mixed_addresses|data_endpoint_disabled\"} \
         or acr_verifier_dns_answers{resolver=\"system\",scope=\"public\"} > 0) and on (cluster, \
         node, registry) node_registry:acr_verifier_last_check_timestamp_seconds:max",
    ),
    (
        "registry:acr_verifier_nodes_public:count",
        "count by (cluster, registry) (node_registry:acr_verifier_public_path:max)",
    ),
    (
        "registry:acr_verifier_nodes_public_outage:count",
        "registry:acr_verifier_nodes_public:count >= 2 and \
         (registry:acr_verifier_nodes_public:count >= 10 or \
         registry:acr_verifier_nodes_public:count / registry:acr_verifier_nodes:count >= 0.2)",
    ),
    (
        "registry:acr_verifier_nodes_just_checked:count",
        "count by (cluster, registry) (time() - node_registry:acr_verifier_last_check_timestamp_seconds:max \
         <= 40) or 0 * registry:acr_verifier_nodes:count",
    ),
    (
        "registry:acr_verifier_nodes_broken_recovering:count",
        "registry:acr_verifier_nodes_broken:count and on (cluster, registry) (count by (cluster, \
         registry) (node_registry:acr_verifier_path_broken:max offset 1m unless on (cluster, node, \
         registry) node_registry:acr_verifier_path_broken:max) > 0.5 * count by (cluster, registry) \
         (node_registry:acr_verifier_path_broken:max offset 1m) unless on (cluster, registry) \
         registry:acr_verifier_nodes_broken_outage:count offset 2m or 10 * (1 + (count by (cluster, \
         registry) (node_registry:acr_verifier_path_broken:max and on (cluster, node, registry) \
         (time() - node_registry:acr_verifier_last_check_timestamp_seconds:max <= 40)) or 0 * \
         registry:acr_verifier_nodes:count)) <= count by (cluster, registry) \
         (node_registry:acr_verifier_check_success:max and on (cluster, node, registry) (time() - \
         node_registry:acr_verifier_last_check_timestamp_seconds:max <= 40)) * \
         registry:acr_verifier_nodes_broken:count / count by (cluster, registry) \
         (node_registry:acr_verifier_check_success:max) unless on (cluster, registry) registry:acr_verifier_nodes_broken_outage:count offset 15m)",
    ),
    (
        "registry:acr_verifier_nodes_public_recovering:count",
        "registry:acr_verifier_nodes_public:count and on (cluster, registry) (count by (cluster, \
         registry) (node_registry:acr_verifier_public_path:max offset 1m unless on (cluster, node, \
         registry) node_registry:acr_verifier_public_path:max) > 0.5 * count by (cluster, registry) \
         (node_registry:acr_verifier_public_path:max offset 1m) unless on (cluster, registry) \
         registry:acr_verifier_nodes_public_outage:count offset 2m or 10 * (1 + (count by (cluster, \
         registry) (node_registry:acr_verifier_public_path:max and on (cluster, node, registry) \
         (time() - node_registry:acr_verifier_last_check_timestamp_seconds:max <= 40)) or 0 * \
         registry:acr_verifier_nodes:count)) <= registry:acr_verifier_nodes_just_checked:count * \
         registry:acr_verifier_nodes_public:count / registry:acr_verifier_nodes:count unless on \
         (cluster, registry) registry:acr_verifier_nodes_public_outage:count offset 15m)",
    ),
];

/// The recording rule with the causes of a broken path.
const BROKEN: &str = "node_registry:acr_verifier_path_broken:max";

/// Returns the `for` duration of each rule from the rules file.
fn patience() -> anyhow::Result<BTreeMap<Rule, Duration>> {
    let rules: Value = serde_saphyr::from_str(RULES)?;
    let all: Vec<&Value> = rules["groups"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|group| group["rules"].as_array())
        .flatten()
        .collect();
    let find = |key: &str, name: &str| {
        all.iter().find(|rule| rule[key] == name).with_context(|| format!("there is no rule {name}"))
    };
    for (record, expected) in RECORDED {
        let found = find("record", record)?;
        ensure!(found["expr"] == expected, "{record} is another: {}", found["expr"]);
    }
    let broken = find("record", BROKEN)?["expr"].as_str().unwrap_or_default();
    let of_path =
        [Cause::PrivateZoneNotLinked, Cause::RegistryError, Cause::ConnectRefused, Cause::ConnectTimeout];
    ensure!(of_path.iter().all(|cause| broken.contains(cause.code())), "{BROKEN} is another: {broken}");
    ensure!(!broken.contains(Cause::CredentialsRejected.code()), "{BROKEN} is another: {broken}");
    let mut patience = BTreeMap::new();
    for rule in Rule::ALL {
        let found = find("alert", rule.name())?;
        ensure!(found["expr"] == rule.holds(), "{} has another expression: {}", rule.name(), found["expr"]);
        let minutes =
            found["for"].as_str().and_then(|text| text.strip_suffix('m')).and_then(|text| text.parse().ok());
        let minutes: u64 = minutes.with_context(|| format!("{} has no `for` in minutes", rule.name()))?;
        patience.insert(rule, Duration::from_secs(minutes * 60));
    }
    Ok(patience)
}

/// Metrics of a node's agent for a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exposed {
    success: Option<bool>,
    cause: Option<Cause>,
    pub(crate) checked_at: Duration,
}

impl Exposed {
    pub(crate) fn of(checked: &ImageResult, at: Duration) -> Self {
        let success = match checked.verdict() {
            Verdict::Pass | Verdict::Warn => Some(true),
            Verdict::Fail => Some(false),
            Verdict::Unknown => None,
        };
        Self { success, cause: checked.decisive().map(|diagnosis| diagnosis.cause), checked_at: at }
    }

    const fn is_conclusive(&self) -> bool {
        self.success.is_some()
    }

    pub(crate) fn is_failing(&self) -> bool {
        self.success == Some(false)
    }

    /// Whether it counts as a broken path. The faults of the day have one other cause that fails.
    fn is_path_broken(&self) -> bool {
        self.is_failing() && self.cause != Some(Cause::CredentialsRejected)
    }

    fn is_public(&self) -> bool {
        self.cause == Some(Cause::PrivateZoneNotLinked)
    }
}

/// An alert about a registry, for one node or for all.
pub(crate) type Subject = (Rule, usize, Option<usize>);

/// An alert that fired.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fired {
    pub(crate) rule: Rule,
    pub(crate) registry: usize,
    pub(crate) node: Option<usize>,
    pub(crate) at: Duration,
}

impl Fired {
    pub(crate) const fn subject(&self) -> Subject {
        (self.rule, self.registry, self.node)
    }
}

/// The Prometheus of the fleet.
pub(crate) struct Watcher {
    patience: BTreeMap<Rule, Duration>,
    scraped: Vec<[Option<Exposed>; REGISTRIES]>,
    /// Nodes with a broken path, by registry.
    broken: [Affected; REGISTRIES],
    /// Those whose names resolve to public addresses.
    public: [Affected; REGISTRIES],
    /// Time since which the condition of a rule has held.
    pending: BTreeMap<Subject, Duration>,
    firing: BTreeSet<Subject>,
    pub(crate) fired: Vec<Fired>,
}

impl Watcher {
    pub(crate) fn new(nodes: usize) -> anyhow::Result<Self> {
        Ok(Self {
            patience: patience()?,
            scraped: vec![[None; REGISTRIES]; nodes],
            broken: Default::default(),
            public: Default::default(),
            pending: BTreeMap::new(),
            firing: BTreeSet::new(),
            fired: Vec::new(),
        })
    }

    /// Records a scrape of a node.
    pub(crate) fn scrape(&mut self, node: usize, exposed: [Option<Exposed>; REGISTRIES]) {
        self.scraped[node] = exposed;
    }

    fn of(&self, registry: usize) -> impl Iterator<Item = (usize, Exposed)> + '_ {
        self.scraped
            .iter()
            .enumerate()
            .filter_map(move |(node, seen)| seen[registry].map(|seen| (node, seen)))
    }

    /// Evaluates the group with the outages: its recording rules, then its alerts.
    pub(crate) fn record(&mut self, now: Duration) {
        for registry in 0..REGISTRIES {
            let seen: Vec<(usize, Exposed)> = self.of(registry).collect();
            let of_broken =
                self.broken[registry].next(&seen, Exposed::is_path_broken, Exposed::is_conclusive, now);
            let of_public = self.public[registry].next(&seen, Exposed::is_public, |_| true, now);
            (self.broken[registry], self.public[registry]) = (of_broken, of_public);
        }
        let paging = [(Rule::Unreachable, &self.broken), (Rule::PublicPath, &self.public)];
        let held = paging.into_iter().flat_map(|(rule, affected)| {
            let pages = affected.iter().enumerate().filter(|(_, affected)| affected.pages());
            pages.map(move |(registry, _)| (rule, registry, None))
        });
        self.hold(held.collect(), now, Rule::is_of_outages);
    }

    /// Evaluates the other alerting rules; `quarter` has the last fifteen minutes.
    pub(crate) fn evaluate(&mut self, now: Duration, quarter: &[Minute]) {
        let mut held = self.conditions(now, quarter);
        // Between its evaluations, an alert keeps its state.
        if !now.as_secs().div_euclid(SCRAPE.as_secs()).is_multiple_of(COUNTERS_EVERY) {
            held.retain(|(rule, ..)| *rule != Rule::Inconclusive);
            held.extend(self.pending.keys().filter(|(rule, ..)| *rule == Rule::Inconclusive));
        }
        self.hold(held, now, |rule| !rule.is_of_outages());
    }

    /// The conditions of the evaluated rules that hold now, and no others.
    fn hold(&mut self, held: BTreeSet<Subject>, now: Duration, is_evaluated: fn(Rule) -> bool) {
        self.pending.retain(|subject, _| !is_evaluated(subject.0) || held.contains(subject));
        self.firing.retain(|subject| !is_evaluated(subject.0) || held.contains(subject));
        for subject in held {
            let since = *self.pending.entry(subject).or_insert(now);
            let (rule, registry, node) = subject;
            if now.saturating_sub(since) >= self.patience[&rule] && self.firing.insert(subject) {
                self.fired.push(Fired { rule, registry, node, at: now });
            }
        }
    }

    fn conditions(&self, now: Duration, quarter: &[Minute]) -> BTreeSet<Subject> {
        let mut held = BTreeSet::new();
        for registry in 0..REGISTRIES {
            for (node, seen) in self.of(registry) {
                if seen.is_path_broken() && !self.broken[registry].is_outage() {
                    held.insert((Rule::FromNode, registry, Some(node)));
                }
                if seen.is_public() && !self.public[registry].is_outage() {
                    held.insert((Rule::PublicPathFromNode, registry, Some(node)));
                }
                if now.saturating_sub(seen.checked_at) > Duration::from_secs(1800) {
                    held.insert((Rule::Stale, registry, Some(node)));
                }
                if seen.cause == Some(Cause::CredentialsRejected) {
                    held.insert((Rule::Credentials, registry, None));
                }
            }
            let sum = |of: fn(&Minute) -> [u32; REGISTRIES]| -> u32 {
                quarter.iter().map(|minute| of(minute)[registry]).sum()
            };
            let (unknown, checks) = (sum(|minute| minute.unknown), sum(|minute| minute.checks));
            if f64::from(unknown) > 0.2 * f64::from(checks) {
                held.insert((Rule::Inconclusive, registry, None));
            }
        }
        held
    }
}
