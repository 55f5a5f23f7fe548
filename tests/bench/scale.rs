//! `scale`: a day of 5,000 nodes and 3 registries, in a clock of its own, by the program's own decisions about when to
//! check and what to announce. `tests/bench/scale/run` builds and starts it. Prints tables in Markdown, draws a picture,
//! and fails where a goal is missed.
//!
//! Owns the command line and the goals. The day is `day`'s, the fleet `fleet`'s, what a check comes to `outcomes`'s.

#![expect(clippy::disallowed_methods, reason = "here the clock becomes an argument")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "seconds and minutes of one day"
)]

#[path = "scale/alerts.rs"]
mod alerts;
#[path = "scale/day.rs"]
mod day;
#[path = "scale/fleet.rs"]
mod fleet;
#[path = "../lab/mod.rs"]
mod lab;
#[path = "scale/outcomes.rs"]
mod outcomes;
#[path = "scale/picture.rs"]
mod picture;
#[path = "scale/queue.rs"]
mod queue;
#[path = "scale/record.rs"]
mod record;
#[path = "scale/table.rs"]
mod table;
#[path = "scale/tally.rs"]
mod tally;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use acr_verifier::config::Schedule;
use anyhow::Context as _;
use clap::Parser;
use outcomes::Outcomes;
use record::Day;
use tally::Minute;

/// Events a minute of the whole fleet: 50 a second, what a single kubelet may write by its defaults. The API server has no
/// limit of its own for Events unless `EventRateLimit` is turned on.
const EVENTS: u32 = 3000;

/// Live through a day of 5,000 nodes, and tell what it costs
#[derive(Parser)]
#[command(name = "scale")]
struct Arguments {
    /// Where the picture goes
    #[arg(long)]
    picture: Option<PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let started = Instant::now();
    let outcomes = Outcomes::measure()?;
    let schedule = |fleet_size| Schedule { fleet_size, ..Schedule::default() };
    let nodes = u32::try_from(day::NODES)?;
    let all = nodes + u32::try_from(day::JOINING)?;
    let day = fleet::live(&outcomes, schedule(Some(all)), day::DAY)?;
    let small = fleet::live(&outcomes, schedule(Some(nodes)), day::THROTTLING.0)?;
    let without = fleet::live(&outcomes, schedule(None), day::THROTTLING.0)?;
    let mut out = io::stdout().lock();
    table::load(&mut out, &day)?;
    writeln!(out)?;
    table::delays(&mut out, &day)?;
    writeln!(out)?;
    table::rest(&mut out, &day)?;
    writeln!(out)?;
    table::choices(
        &mut out,
        &[("6000", &day), ("5000, too few from 11:00 on", &small), ("not set", &without)],
    )?;
    if let Some(path) = &arguments.picture {
        std::fs::write(path, picture::draw(&day))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let missed = missed(&day);
    writeln!(out, "\n{} s.", started.elapsed().as_secs())?;
    for goal in &missed {
        writeln!(out, "Missed: {goal}.")?;
    }
    Ok(if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The goals that the day has missed.
fn missed(day: &Day) -> Vec<String> {
    let mut missed = Vec::new();
    let reads = table::most_reads(day);
    if reads > table::READS / 5 {
        missed.push(format!("{reads} reads a minute at a registry are over a fifth of its limit"));
    }
    let asked = day.tally.between(day::SMOKE, day::SMOKE + 3600.0);
    let most =
        asked.iter().flat_map(|minute| minute.requests.map(outcomes::Requests::reads_of_identity)).max();
    if most.is_none_or(|most| most > table::READS_OF_IDENTITY * 4 / 5) {
        missed.push(format!("{most:?} reads a minute of an identity are over four fifths of its limit"));
    }
    let events = day.tally.0.iter().map(Minute::events).max().unwrap_or_default();
    if events > EVENTS {
        missed.push(format!("{events} Events a minute are over {EVENTS}"));
    }
    for (fault, delays) in &day.faults {
        let nodes = if fault.node.is_some() { 1 } else { day::NODES };
        if delays.found.len() < nodes || delays.recovered.len() < delays.found.len() {
            missed.push(format!("not every node has seen \"{}\" come and go", fault.name));
        }
    }
    let strays = table::strays(day);
    if strays > 0 {
        missed.push(format!("{strays} alerts have no fault"));
    }
    if day.rollout.is_none() || day.smoke.is_none() {
        missed.push("the rollout or the smoke check is not over".to_owned());
    }
    missed
}
