//! Prints the results of the day as Markdown tables.

use std::io::{self, Write};

use crate::alerts::{Fired, Rule};
use crate::day::{self, DAY, Fault, PHASES};
use crate::goals::{expected, is_during, occasions, rules, strays};
use crate::outcomes::Requests;
use crate::record::{Day, Delays};
use crate::tally::{Minute, quantile};

/// Azure's documented limits per minute for a Premium registry: reads, reads of one identity, token requests.
pub(crate) const READS: u32 = 20_000;
pub(crate) const READS_OF_IDENTITY: u32 = 10_000;
pub(crate) const OAUTH: u32 = 20_000;

/// Returns the maximum at one registry in a minute.
fn peak(minutes: &[Minute], of: fn(Requests) -> u32) -> u32 {
    minutes.iter().flat_map(|minute| minute.requests.map(of)).max().unwrap_or_default()
}

/// Returns the minutes of a phase.
pub(crate) fn minutes(day: &Day, phase: usize) -> &[Minute] {
    let until = PHASES.get(phase + 1).map_or(DAY, |next| next.from);
    day.tally.between(PHASES[phase].from, until)
}

/// Returns the maximum reads at a registry in a minute.
pub(crate) fn most_reads(day: &Day) -> u32 {
    peak(&day.tally.0, Requests::reads)
}

fn thousands(number: u32) -> String {
    if number < 1000 { number.to_string() } else { format!("{},{:03}", number / 1000, number % 1000) }
}

fn percent(number: u32, limit: u32) -> String {
    format!("{:.1} %", f64::from(number) / f64::from(limit) * 100.0)
}

/// Prints requests, Events and series by phase.
pub(crate) fn load(out: &mut impl Write, day: &Day) -> io::Result<()> {
    writeln!(
        out,
        "| from | phase | token | challenge | manifests | blobs | reads | of the limit | of an identity's | token, of the limit | \
         Events a minute | Events | series |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    )?;
    for (number, phase) in PHASES.iter().enumerate() {
        let minutes = minutes(day, number);
        let peak = |of| peak(minutes, of);
        let reads = peak(Requests::reads);
        writeln!(
            out,
            "| {:02}:{:02} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.2} M |",
            phase.from as u32 / 3600,
            phase.from as u32 % 3600 / 60,
            phase.name,
            thousands(peak(|requests| requests.oauth)),
            thousands(peak(|requests| requests.challenge)),
            thousands(peak(|requests| requests.manifests)),
            thousands(peak(|requests| requests.blobs)),
            thousands(reads),
            percent(reads, READS),
            percent(peak(Requests::reads_of_identity), READS_OF_IDENTITY),
            percent(peak(|requests| requests.oauth), OAUTH),
            thousands(minutes.iter().map(Minute::events).max().unwrap_or_default()),
            thousands(minutes.iter().map(Minute::events).sum()),
            day.series[number] / 1e6,
        )?;
    }
    Ok(())
}

/// Formats minutes and seconds.
fn time(seconds: f64) -> String {
    format!("{}:{:02}", seconds as u32 / 60, seconds as u32 % 60)
}

fn three(delays: &[f64]) -> String {
    let of = |share| quantile(delays, share).map_or_else(|| "-".to_owned(), time);
    format!("{} | {} | {}", of(0.5), of(0.95), of(1.0))
}

/// Returns the delay from a fault to the first of each of its alerts.
fn first_alerts(day: &Day, fault: &Fault) -> Vec<(Rule, f64)> {
    let first = |rule: Rule| {
        let of_rule = expected(fault).into_iter().filter(|subject| subject.0 == rule).collect::<Vec<_>>();
        let fired = day.watcher.fired.iter().find(|fired| {
            of_rule.contains(&fired.subject()) && is_during((fault.from, fault.until), fired.at)
        });
        fired.map(|fired| (rule, fired.at.as_secs_f64() - fault.from))
    };
    rules(fault.condition, fault.node).iter().filter_map(|&rule| first(rule)).collect()
}

/// Prints delays until faults are found: for each fault of all nodes, and for all faults of single nodes together.
pub(crate) fn delays(out: &mut impl Write, day: &Day) -> io::Result<()> {
    writeln!(
        out,
        "| fault | nodes | first check that sees it: median | 95 % | all | Events | median | 95 % | all | first alert | good \
         again: median | 95 % | all |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    )?;
    let collect = |faults: &[&(Fault, Delays)], of: fn(&Delays) -> Vec<f64>| -> Vec<f64> {
        faults.iter().flat_map(|(_, delays)| of(delays)).collect()
    };
    let mut row = |faults: &[&(Fault, Delays)]| {
        let found = collect(faults, |delays| delays.found.values().copied().collect());
        let announced = collect(faults, |delays| delays.announced.values().copied().collect());
        let recovered = collect(faults, |delays| delays.recovered.values().copied().collect());
        let fired: Vec<(Rule, f64)> = faults.iter().flat_map(|(fault, _)| first_alerts(day, fault)).collect();
        let reported = if let [_] = faults {
            let each = fired.iter().map(|(rule, after)| format!("{} `{}`", time(*after), rule.name()));
            each.collect::<Vec<_>>().join(", ")
        } else {
            let after: Vec<f64> = fired.iter().map(|(_, after)| *after).collect();
            let rule = fired.first().map_or("none", |(rule, _)| rule.name());
            let three = three(&after).replace(" | ", " / ");
            format!("{} of {}: {three} `{rule}`", after.len(), faults.len())
        };
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {reported} | {} |",
            faults[0].0.name,
            thousands(u32::try_from(found.len()).unwrap_or_default()),
            three(&found),
            thousands(faults.iter().flat_map(|(_, delays)| delays.failures.values()).sum()),
            three(&announced),
            three(&recovered)
        )
    };
    for fault in day.faults.iter().filter(|(fault, _)| fault.node.is_none()) {
        row(&[fault])?;
    }
    let single: Vec<&(Fault, Delays)> = day.faults.iter().filter(|(fault, _)| fault.node.is_some()).collect();
    row(&single)
}

/// Prints figures that are not in a table.
pub(crate) fn rest(out: &mut impl Write, day: &Day) -> io::Result<()> {
    let live = (0..day.tally.0.len()).map(|minute| day.tally.live(minute)).max().unwrap_or_default();
    let size = f64::from(live) * day.event_bytes as f64 / 1e6;
    writeln!(
        out,
        "- Password rotated: {} of 5,000 nodes checked between the end of the old password and the new one on the node, and \
         failed. With the new one the nodes had checked after {} (median), {} (95 %), {} (all).",
        day.rejected,
        quantile(&day.renewed, 0.5).map_or_else(String::new, time),
        quantile(&day.renewed, 0.95).map_or_else(String::new, time),
        quantile(&day.renewed, 1.0).map_or_else(String::new, time),
    )?;
    let after = |fired: &Fired| fired.at.as_secs_f64() - day::ROTATION;
    let rotated = day.watcher.fired.iter().filter(|fired| (0.0..1800.0).contains(&after(fired)));
    let reported: Vec<String> =
        rotated.map(|fired| format!("`{}` after {}", fired.rule.name(), time(after(fired)))).collect();
    let reported = if reported.is_empty() { "none".to_owned() } else { reported.join(", ") };
    writeln!(out, "- Alerts in the half hour after the password was rotated: {reported}.")?;
    let over = |time_taken: Option<f64>| time_taken.map_or_else(|| "not over".to_owned(), time);
    writeln!(
        out,
        "- Rolling update of 6,000 nodes: {}. Smoke check of 6,000 nodes: {}.",
        over(day.rollout),
        over(day.smoke)
    )?;
    writeln!(
        out,
        "- Events that the API server holds at most: {}, of at most {} bytes as JSON, {size:.0} MB.",
        thousands(live),
        day.event_bytes,
    )?;
    writeln!(
        out,
        "- Announcements that no fault explains: {}. Of all being well: {}, for {} agents that started and what was over.",
        day.unexplained,
        thousands(u32::try_from(day.verified).unwrap_or_default()),
        thousands(u32::try_from(day.lives).unwrap_or_default()),
    )
}

/// Prints alerts by rule and fault: how many fired, of how many that must.
pub(crate) fn alerts(out: &mut impl Write, day: &Day) -> io::Result<()> {
    let occasions = occasions(day);
    write!(out, "| alert")?;
    for occasion in &occasions {
        write!(out, " | {}", occasion.name)?;
    }
    writeln!(out, " | nothing of these |\n|{}", " --- |".repeat(occasions.len() + 2))?;
    for rule in Rule::ALL {
        write!(out, "| `{}`", rule.name())?;
        for occasion in &occasions {
            let due = occasion.due.iter().filter(|subject| subject.0 == rule).count();
            let fired = occasion.fired.iter().filter(|subject| subject.0 == rule).count();
            let reported = if due == 0 { String::new() } else { format!("{fired} of {due}") };
            write!(out, " | {reported}")?;
        }
        let strays = strays(day).iter().filter(|fired| fired.rule == rule).count();
        writeln!(out, " | {} |", if strays == 0 { String::new() } else { strays.to_string() })?;
    }
    Ok(())
}

/// Compares the same morning with other schedules.
pub(crate) fn choices(out: &mut impl Write, days: &[(&str, &Day)]) -> io::Result<()> {
    writeln!(
        out,
        "| `fleetSize` | a check every | most reads a minute | of the limit | most Events a minute | outage seen: median | \
         all | Event: median | all |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    )?;
    for (name, day) in days {
        // Only the period that all of them simulated.
        let morning = day.tally.between(0.0, day::THROTTLING.0);
        let reads = peak(morning, Requests::reads);
        let delays = &day.faults[0].1;
        let of = |delays: &std::collections::BTreeMap<usize, f64>, share| {
            let delays: Vec<f64> = delays.values().copied().collect();
            quantile(&delays, share).map_or_else(|| "-".to_owned(), time)
        };
        writeln!(
            out,
            "| {name} | {} s | {} | {} | {} | {} | {} | {} | {} |",
            day.pace.interval.as_secs(),
            thousands(reads),
            percent(reads, READS),
            thousands(morning.iter().map(Minute::events).max().unwrap_or_default()),
            of(&delays.found, 0.5),
            of(&delays.found, 1.0),
            of(&delays.announced, 0.5),
            of(&delays.announced, 1.0),
        )?;
    }
    Ok(())
}
