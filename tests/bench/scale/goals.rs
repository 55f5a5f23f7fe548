//! Goals for the day: load limits, and that each fault is found, announced and alerted for every affected node, and nothing
//! else.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::alerts::{Fired, Rule, Subject};
use crate::day::{self, Fault};
use crate::outcomes::{Condition, REGISTRIES};
use crate::record::{Day, Delays};
use crate::table::{READS, most_reads};
use crate::tally::{Minute, quantile};

/// Maximum Events a minute of the whole fleet: 50 a second, the default limit of a single kubelet. The API server has no
/// limit for Events unless `EventRateLimit` is enabled.
const EVENTS: u32 = 3000;
/// Time after a fault in which its alerts may still fire, because of `for` and the range of rates.
const AFTERMATH: f64 = 1800.0;

/// Seconds after which the median node and all nodes must have found a fault of the path.
const PATH_FOUND: (f64, f64) = (45.0, 90.0);
/// Seconds from a fault of all nodes to its first page: a fault of the path, and one that only requests show.
const PAGED: (f64, f64) = (180.0, 180.0);

/// Returns the rules that must fire for a condition.
pub(crate) const fn rules(condition: Condition, node: Option<usize>) -> &'static [Rule] {
    match (condition, node) {
        (Condition::NotLinked, Some(_)) => &[Rule::FromNode, Rule::PublicPathFromNode],
        (_, Some(_)) => &[Rule::FromNode],
        (Condition::NotLinked, None) => &[Rule::PublicPath, Rule::Unreachable],
        (Condition::Throttled, None) => &[Rule::Inconclusive],
        (Condition::Rejected, None) => &[Rule::Credentials],
        (Condition::Away | Condition::Cut | Condition::Hanging, None) => &[Rule::Unreachable],
        (Condition::Healthy, None) => &[],
    }
}

/// Returns every alert that a fault must trigger.
pub(crate) fn expected(fault: &Fault) -> BTreeSet<Subject> {
    let of = |&registry: &usize| {
        rules(fault.condition, fault.node).iter().map(move |&rule| (rule, registry, fault.node))
    };
    fault.registries.iter().flat_map(of).collect()
}

/// Whether an alert may be due to a condition in this period.
pub(crate) fn is_during((from, until): (f64, f64), at: Duration) -> bool {
    let at = at.as_secs_f64();
    at > from && at < until + AFTERMATH
}

/// A cause of alerts, with the alerts that must fire for it and those that did.
pub(crate) struct Occasion {
    pub(crate) name: &'static str,
    pub(crate) due: BTreeSet<Subject>,
    pub(crate) fired: BTreeSet<Subject>,
}

/// Returns the faults, combined by name, and the rotation of the password.
pub(crate) fn occasions(day: &Day) -> Vec<Occasion> {
    let mut occasions: Vec<Occasion> = Vec::new();
    for (name, fault) in all(day) {
        let due = expected(&fault);
        let during = |fired: &&Fired| is_during((fault.from, fault.until), fired.at);
        let all: BTreeSet<Subject> = day.watcher.fired.iter().filter(during).map(Fired::subject).collect();
        let fired: BTreeSet<Subject> = all.intersection(&due).copied().collect();
        match occasions.iter_mut().find(|occasion| occasion.name == name) {
            Some(occasion) => {
                // Each node is cut off only once.
                occasion.due.extend(due);
                occasion.fired.extend(fired);
            }
            None => occasions.push(Occasion { name, due, fired }),
        }
    }
    occasions
}

/// Returns every fault, and the rotation of the password as a fault of one minute.
fn all(day: &Day) -> Vec<(&'static str, Fault)> {
    let mut all: Vec<(&str, Fault)> =
        day.faults.iter().map(|(fault, _)| (fault.name, fault.clone())).collect();
    let name = "password rotated";
    let rotation = Fault {
        name,
        condition: Condition::Rejected,
        from: day::ROTATION,
        until: day::ROTATION + day::PROPAGATION.1,
        registries: &[0],
        node: None,
    };
    all.push((name, rotation));
    all.sort_by(|one, other| one.1.from.total_cmp(&other.1.from));
    all
}

/// Returns the alerts without a fault.
pub(crate) fn strays(day: &Day) -> Vec<Fired> {
    let all = all(day);
    let is_explained = |fired: &Fired| {
        all.iter().any(|(_, fault)| {
            is_during((fault.from, fault.until), fired.at) && expected(fault).contains(&fired.subject())
        })
    };
    day.watcher.fired.iter().filter(|fired| !is_explained(fired)).copied().collect()
}

/// Returns the missed goals.
pub(crate) fn missed(day: &Day) -> Vec<String> {
    let mut missed = Vec::new();
    let reads = most_reads(day);
    if reads > READS / 5 {
        missed.push(format!("{reads} reads a minute at a registry are over a fifth of its limit"));
    }
    let events = day.tally.0.iter().map(Minute::events).max().unwrap_or_default();
    if events > EVENTS {
        missed.push(format!("{events} Events a minute are over {EVENTS}"));
    }
    missed.extend(day.faults.iter().filter_map(|(fault, delays)| untold(fault, delays)));
    missed.extend(day.faults.iter().filter_map(|(fault, delays)| late(fault, delays)));
    missed.extend(day.faults.iter().filter_map(|(fault, _)| late_page(day, fault)));
    missed.extend(untrue(day));
    for occasion in occasions(day) {
        let silent: Vec<&Subject> = occasion.due.difference(&occasion.fired).collect();
        if !silent.is_empty() {
            missed.push(format!("\"{}\" has not fired {silent:?}", occasion.name));
        }
    }
    let strays = strays(day);
    if !strays.is_empty() {
        missed.push(format!("{} alerts have no fault, the first is {:?}", strays.len(), strays[0]));
    }
    if day.rollout.is_none() || day.smoke.is_none() {
        missed.push("the rollout or the smoke check is not over".to_owned());
    }
    missed
}

/// Returns a problem if the nodes have found a fault of the path too late.
fn late(fault: &Fault, delays: &Delays) -> Option<String> {
    let found: Vec<f64> = delays.found.values().copied().collect();
    let (median, all) = (quantile(&found, 0.5)?, quantile(&found, 1.0)?);
    // The median of a single node is the node itself.
    let is_late = all > PATH_FOUND.1 || fault.node.is_none() && median > PATH_FOUND.0;
    (fault.condition.is_of_path() && is_late)
        .then(|| format!("\"{}\" was found after {median:.0} s (median) and {all:.0} s (all)", fault.name))
}

/// Returns a problem if the first page about a fault of all nodes comes too late.
fn late_page(day: &Day, fault: &Fault) -> Option<String> {
    let is_page = |rule: &Rule| matches!(rule, Rule::Unreachable | Rule::PublicPath);
    let due = rules(fault.condition, fault.node).iter().any(is_page);
    let limit = if fault.condition.is_of_path() { PAGED.0 } else { PAGED.1 };
    let during = |fired: &&Fired| is_page(&fired.rule) && is_during((fault.from, fault.until), fired.at);
    let first = day.watcher.fired.iter().find(during).map(|fired| fired.at.as_secs_f64() - fault.from);
    (due && first.is_none_or(|first| first > limit))
        .then(|| format!("the first page about \"{}\" came after {first:?} s", fault.name))
}

/// Returns how the nodes' reports of a fault deviate from the goals.
fn untold(fault: &Fault, delays: &Delays) -> Option<String> {
    let joined = fault.from > day::JOIN.1;
    let nodes = match fault.node {
        Some(_) => 1,
        None if joined => day::NODES + day::JOINING,
        None => day::NODES,
    };
    if delays.found.len() != nodes || delays.recovered.len() != nodes {
        return Some(format!("not every node has seen \"{}\" come and go", fault.name));
    }
    // Inconclusive results are not announced.
    let is_judged = fault.condition != Condition::Throttled;
    let due = if is_judged { nodes * fault.registries.len() } else { 0 };
    let failures = delays.failures.len();
    let repeated = delays.failures.values().filter(|&&count| count != 1).count();
    if failures != due || repeated > 0 {
        return Some(format!(
            "\"{}\" has {failures} Events of {due}, {repeated} of them not once",
            fault.name
        ));
    }
    let hours = ((fault.until - fault.from) / 3600.0).floor() as u32;
    let often = delays.renewed.values().filter(|&&count| count > hours).count();
    (often > 0).then(|| format!("\"{}\" was renewed {often} times more often than once an hour", fault.name))
}

/// Returns a problem if announcements do not match the faults.
fn untrue(day: &Day) -> Option<String> {
    let over: usize = day.faults.iter().map(|(_, delays)| delays.failures.len()).sum();
    let due = day.lives * REGISTRIES + over;
    (day.unexplained > 0 || day.verified != due).then(|| {
        let Day { unexplained, verified, .. } = day;
        format!("{unexplained} announcements of a failure have no fault, {verified} of {due} tell that all is well")
    })
}
