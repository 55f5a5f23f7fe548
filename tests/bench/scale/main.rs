//! `scale`: simulates a day of 5,000 nodes and 3 registries with a simulated clock and the program's own decisions about
//! checks and announcements. `tests/bench/scale/run` builds and starts it. Prints Markdown tables, draws a picture, and fails
//! if a goal is missed.
//!
//! Contains the command line. `day` defines the day, `fleet` simulates the nodes, `outcomes` measures the checks, and `goals`
//! evaluates the results.

#![expect(clippy::disallowed_methods, reason = "here the clock becomes an argument")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "seconds and minutes of one day"
)]

mod affected;
mod alerts;
mod day;
mod fleet;
mod gate;
mod goals;
mod outcomes;
mod paths;
mod picture;
mod queue;
mod record;
mod results;
mod table;
mod tally;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use acr_verifier::config::Schedule;
use anyhow::Context as _;
use clap::Parser;
use outcomes::Outcomes;

/// Simulate a day of 5,000 nodes and print its load
#[derive(Parser)]
#[command(name = "scale")]
struct Arguments {
    /// File for the picture
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
    table::alerts(&mut out, &day)?;
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
    let missed = goals::missed(&day);
    writeln!(out, "\n{} s.", started.elapsed().as_secs())?;
    for goal in &missed {
        writeln!(out, "Missed: {goal}.")?;
    }
    Ok(if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
