//! Results of a day: counts, and delays until faults are found.

use std::collections::BTreeMap;
use std::time::Duration;

use acr_verifier::events::event::{self, Pod, Reporter};
use acr_verifier::run::NetworkView;
use acr_verifier::schedule::Pace;
use acr_verifier::transition::{Announcement, Change};
use acr_verifier::verdict::Verdict;

use crate::alerts::Watcher;
use crate::day::{self, DNS_LIFE, Fault};
use crate::outcomes::{REGISTRIES, registry_of};
use crate::tally::Tally;

/// Longest duration of a check in seconds: the per-stage timeout.
const LONGEST: f64 = 11.0;

/// Delays in seconds until the nodes found a fault, announced it, and found it resolved.
#[derive(Default)]
pub(crate) struct Delays {
    pub(crate) found: BTreeMap<usize, f64>,
    pub(crate) announced: BTreeMap<usize, f64>,
    pub(crate) recovered: BTreeMap<usize, f64>,
    /// Number of announcements and of renewals, by node and registry.
    pub(crate) failures: BTreeMap<(usize, usize), u32>,
    pub(crate) renewed: BTreeMap<(usize, usize), u32>,
}

/// Results of a day.
pub(crate) struct Day {
    pub(crate) pace: Pace,
    pub(crate) tally: Tally,
    pub(crate) faults: Vec<(Fault, Delays)>,
    pub(crate) watcher: Watcher,
    /// Number of series in Prometheus at the end of each phase.
    pub(crate) series: Vec<f64>,
    /// Delays from a node's new password to the first check with it, and the number of checks with the expired one.
    pub(crate) renewed: Vec<f64>,
    pub(crate) rejected: usize,
    /// Duration of the rollout and the smoke check, if completed.
    pub(crate) rollout: Option<f64>,
    pub(crate) smoke: Option<f64>,
    /// Number of started agents, of announced passes, and of announcements without a fault.
    pub(crate) lives: usize,
    pub(crate) verified: usize,
    pub(crate) unexplained: usize,
    /// Size of the longest Event as JSON.
    pub(crate) event_bytes: usize,
}

impl Day {
    /// Creates an empty record.
    pub(crate) fn of(pace: Pace, until: Duration, nodes: usize) -> anyhow::Result<Self> {
        Ok(Self {
            pace,
            tally: Tally::of(until),
            faults: day::faults(day::NODES).into_iter().map(|fault| (fault, Delays::default())).collect(),
            watcher: Watcher::new(nodes)?,
            series: Vec::new(),
            renewed: Vec::new(),
            rejected: 0,
            rollout: None,
            smoke: None,
            lives: 0,
            verified: 0,
            unexplained: 0,
            event_bytes: 0,
        })
    }

    /// Records the delays of a check, with the verdict of each registry.
    pub(crate) fn note(
        &mut self,
        node: usize,
        verdicts: [Verdict; REGISTRIES],
        (begun, ended): (Duration, Duration),
    ) {
        let (begun, ended) = (begun.as_secs_f64(), ended.as_secs_f64());
        for (fault, delays) in &mut self.faults {
            if fault.node.is_some_and(|affected| affected != node) || begun < fault.from {
                continue;
            }
            let worst = fault.registries.iter().map(|&registry| verdicts[registry]).max();
            let is_good = worst.is_none_or(|worst| worst == Verdict::Pass);
            if begun < fault.until && !is_good {
                delays.found.entry(node).or_insert(ended - fault.from);
            }
            if begun >= fault.until && is_good && delays.found.contains_key(&node) {
                delays.recovered.entry(node).or_insert(ended - fault.until);
            }
        }
    }

    /// Records an Event of a node, about a result `at` this time.
    pub(crate) fn publish(
        &mut self,
        (node, name): (usize, &str),
        announcement: &Announcement,
        (at, now): (Duration, Duration),
    ) {
        let minute = self.tally.at(now);
        match announcement.change {
            Change::StillFailing(_) => minute.renewed += 1,
            Change::Failing(_) | Change::Verified => minute.created += 1,
        }
        let pod = Pod { name: "acr-verifier-abcde".into(), namespace: "acr-verifier".into(), uid: None };
        let reporter = Reporter { node: name.to_owned(), pod: Some(pod), network_view: NetworkView::Node };
        let event = serde_json::to_vec(&event::new(&reporter, announcement)).map_or(0, |json| json.len());
        self.event_bytes = self.event_bytes.max(event);
        let (Change::Failing(diagnosis) | Change::StillFailing(diagnosis)) = &announcement.change else {
            self.verified += 1;
            return;
        };
        // The fault of that time, node, registry and cause.
        let registry = registry_of(&announcement.image);
        let at = at.as_secs_f64();
        let fault = self.faults.iter_mut().find(|(fault, _)| {
            at >= fault.from
                && at < fault.until + DNS_LIFE + LONGEST
                && fault.node.is_none_or(|affected| affected == node)
                && fault.registries.contains(&registry)
                && fault.condition.cause() == Some(diagnosis.cause)
        });
        let Some((fault, delays)) = fault else {
            self.unexplained += 1;
            return;
        };
        if matches!(announcement.change, Change::Failing(_)) {
            *delays.failures.entry((node, registry)).or_default() += 1;
            delays.announced.entry(node).or_insert(now.as_secs_f64() - fault.from);
        } else {
            *delays.renewed.entry((node, registry)).or_default() += 1;
        }
    }
}
