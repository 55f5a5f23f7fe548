//! Compares each image's verdict and cause with the faults at the time of its check.
//!
//! A check that met only one state must report exactly that one. A check during which a fault came or went must report one of
//! the states it met.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::faults::PASS;
use crate::process::{ImageResult, Round, STAGE_TIMEOUT, TIMEOUT};
use crate::weather::Weather;

/// A change of the lab affects pending work slightly later, such as a connection waiting to be accepted.
const SLACK: Duration = Duration::from_millis(30);
/// Images checked concurrently, in the order of the configuration.
const AT_A_TIME: usize = 4;

/// Result of the comparison.
#[derive(Default)]
pub(crate) struct Truth {
    /// Checks that failed or stayed unknown.
    pub(crate) failed: usize,
    /// Reported causes.
    pub(crate) causes: BTreeSet<String>,
    /// Checks that met only one state, and those of them that met a fault.
    pub(crate) alone: usize,
    pub(crate) broken: usize,
    /// Faults met by the checks that met only one state.
    pub(crate) faults: BTreeSet<usize>,
    /// Checks that timed out without a fault because the machine was busy; the reported timeout had indeed elapsed. Number of
    /// occurrences by reported and expected result.
    pub(crate) late: BTreeMap<String, usize>,
    /// Checks during which a fault came or went.
    pub(crate) between: usize,
    /// Number of wrong results by reported and expected result.
    pub(crate) wrong: BTreeMap<String, usize>,
}

impl Truth {
    /// Evaluates every image of a round.
    pub(crate) fn judge(&mut self, node: &str, round: &Round, weather: &Weather<'_>) {
        for (checked, (start, end)) in round.images.iter().zip(times(round)) {
            if checked.word != PASS {
                self.causes.insert(checked.word.clone());
                self.failed += usize::from(!checked.is_good());
            }
            let (from, until) = (round.started + start.saturating_sub(SLACK), round.started + (end + SLACK));
            let met = weather.between(from, until);
            let allowed = causes(weather, &met);
            let is_coherent = checked.verdict == verdict_of(&checked.word);
            let is_true = is_coherent && allowed.contains(checked.word.as_str());
            let is_late = is_coherent && !is_true && is_late(checked);
            if met.len() == 1 {
                self.alone += 1;
                self.broken += met.iter().flatten().count();
                self.faults.extend(met.iter().flatten());
            } else {
                self.between += 1;
            }
            if is_true {
                continue;
            }
            let names = met.iter().map(|&fault| name(weather, fault)).collect::<Vec<_>>().join(" | ");
            let reported = format!("{} {} of {node}, and it was: {names}", checked.verdict, checked.word);
            let list = if is_late { &mut self.late } else { &mut self.wrong };
            *list.entry(reported).or_default() += 1;
        }
    }
}

/// Returns the earliest start and latest end of each check in a round: four run concurrently, and one starts when all of those
/// up to the fourth before it have completed. The agent's work between two checks belongs to neither check.
fn times(round: &Round) -> Vec<(Duration, Duration)> {
    let lasted: Vec<Duration> = round.images.iter().map(|checked| checked.lasted).collect();
    let mut starts: Vec<Duration> = Vec::new();
    let mut over = Duration::ZERO;
    for number in 0..lasted.len() {
        if let Some(before) = number.checked_sub(AT_A_TIME) {
            over = over.max(starts[before] + lasted[before]);
        }
        starts.push(over);
    }
    let mut ends = vec![round.lasted; lasted.len()];
    let mut left = round.lasted;
    for number in (0..lasted.len()).rev() {
        if let Some(&end) = ends.get(number + AT_A_TIME) {
            left = left.min(end.saturating_sub(lasted[number + AT_A_TIME]));
        }
        ends[number] = left;
    }
    starts.into_iter().zip(ends).collect()
}

/// Returns the causes that a check may report after meeting these states.
fn causes(weather: &Weather<'_>, met: &BTreeSet<Option<usize>>) -> BTreeSet<&'static str> {
    let faults = || met.iter().flatten().map(|&fault| &weather.faults[fault]);
    let mut allowed: BTreeSet<&str> = faults().flat_map(|fault| fault.causes).copied().collect();
    if met.contains(&None) {
        allowed.insert(PASS);
    }
    if met.len() > 1 {
        allowed.extend(faults().flat_map(|fault| fault.in_passing));
    }
    allowed
}

fn name<'weather>(weather: &'weather Weather<'_>, fault: Option<usize>) -> &'weather str {
    fault.map_or("healthy", |fault| &weather.faults[fault].name)
}

/// Returns the verdict of a cause.
fn verdict_of(word: &str) -> &'static str {
    match word {
        PASS => "pass",
        "throttled" | "deadline_exceeded" => "unknown",
        "nameserver_failing"
        | "resolvers_disagree"
        | "certificate_expiring"
        | "credentials_expiring"
        | "credentials_stale_entry" => "warn",
        _ => "fail",
    }
}

/// Whether the reported timeout has elapsed.
fn is_late(checked: &ImageResult) -> bool {
    match checked.word.as_str() {
        // `nameserver_failing`: only one of A and AAAA was in time.
        "nameserver_failing" | "dns_timeout" | "connect_timeout" | "response_timeout" => {
            checked.lasted >= STAGE_TIMEOUT
        }
        "deadline_exceeded" => checked.lasted >= TIMEOUT,
        _ => false,
    }
}
