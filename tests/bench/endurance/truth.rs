//! Whether a report says what was so: each image's verdict and cause against the faults of the time of its check.
//!
//! Owns the judgement. A check that met one state alone has to tell exactly that one; one during which a fault came or went
//! has to tell one of those that it met.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::faults::PASS;
use crate::process::{Checked, Round, STAGE_TIMEOUT, TIMEOUT};
use crate::weather::Weather;

/// A change of the lab reaches what is on its way a little later, such as a connection that waits to be accepted.
const SLACK: Duration = Duration::from_millis(30);
/// Images that are checked at a time, in the order of the configuration.
const AT_A_TIME: usize = 4;

/// What has been found out.
#[derive(Default)]
pub(crate) struct Truth {
    /// Checks that failed or stayed unknown.
    pub(crate) failed: usize,
    /// The causes that were told.
    pub(crate) causes: BTreeSet<String>,
    /// Checks that met one state, and those of them that met a fault;
    pub(crate) alone: usize,
    pub(crate) broken: usize,
    /// the faults that were met so.
    pub(crate) faults: BTreeSet<usize>,
    /// Checks whose time was over although no fault took it: the machine was too busy. The limit that they tell of had
    /// passed indeed. How often, by what was told and what was so.
    pub(crate) late: BTreeMap<String, usize>,
    /// Checks during which a fault came or went.
    pub(crate) between: usize,
    /// How often what was not so was told, by what was told and what was so.
    pub(crate) wrong: BTreeMap<String, usize>,
}

impl Truth {
    /// Judges every image of a round.
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
            let told = format!("{} {} of {node}, and it was: {names}", checked.verdict, checked.word);
            let list = if is_late { &mut self.late } else { &mut self.wrong };
            *list.entry(told).or_default() += 1;
        }
    }
}

/// When each check of a round began at the soonest and ended at the latest: four are under way at a time, and one begins when
/// all of those up to the fourth before it are over. What the agent does between two checks is in no check's own time.
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

/// What a check may tell that met these states.
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

/// The verdict that belongs to a cause.
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

/// Whether a limit is told that has passed.
fn is_late(checked: &Checked) -> bool {
    match checked.word.as_str() {
        // Of A and AAAA one came in time.
        "nameserver_failing" | "dns_timeout" | "connect_timeout" | "response_timeout" => {
            checked.lasted >= STAGE_TIMEOUT
        }
        "deadline_exceeded" => checked.lasted >= TIMEOUT,
        _ => false,
    }
}
