//! `endurance BINARY`: runs several agents through 100,000 checks while random faults of every kind come and go in the registry
//! and the API server. Nothing may grow, every transition must be announced once, and every report must be true.
//! `tests/bench/agent` builds and starts it.
//!
//! Contains the main loop. Faults are independent of rounds, so a round of checks meets several. `truth` compares the results
//! of a round, read from the agent's report, with the faults of its time. `model` derives the expected announcements, and
//! `ledger` compares them with the Events.

#![expect(clippy::disallowed_methods, reason = "here the clock and the words become arguments")]

mod faults;
mod hosted;
mod ledger;
mod model;
mod process;
mod results;
mod truth;
mod weather;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Parser;
use jiff::Timestamp;

use lab::Lab;
use lab::settings::Settings;
use ledger::Ledger;
use model::Expected;
use process::{Agent, IMAGES, PATIENCE, Sample};
use results::Results;
use support::api_server::ApiServer;
use truth::Truth;
use weather::Weather;

/// Interval at which agents and faults are polled.
const LOOK: Duration = Duration::from_millis(40);
/// Time to wait for the last Events: a rejected agent retries within a minute.
const LAST_EVENTS: Duration = Duration::from_secs(100);
/// Interval between two comparisons of all Events.
const LOOK_AT_EVENTS: Duration = Duration::from_secs(1);

/// Check agents' memory, threads, tasks, descriptors, reports and Events through thousands of checks under random faults
#[derive(Parser)]
#[command(name = "endurance")]
struct Arguments {
    /// Release build of the program
    binary: PathBuf,
    /// Total number of checks
    #[arg(long, default_value_t = 100_000)]
    checks: usize,
    /// Number of agents, in addition to the one whose tasks are counted
    #[arg(long, default_value_t = 4)]
    agents: usize,
    /// Random seed; the same seed produces the same faults in the same order
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// An agent and its history.
struct Course {
    agent: Agent,
    checks: usize,
    changed: Instant,
    samples: Vec<Sample>,
    /// Start time of each round of checks.
    rounds: Vec<Timestamp>,
    expected: BTreeMap<String, Expected>,
}

fn main() -> anyhow::Result<ExitCode> {
    let mut words = std::env::args_os().skip(1).peekable();
    if words.next_if(|word| word == hosted::WORD).is_some() {
        hosted::run(words)?;
        return Ok(ExitCode::SUCCESS);
    }
    let arguments = Arguments::parse();
    let started = Instant::now();
    let lab = Lab::try_start(Settings::default())?;
    let server = ApiServer::start(lab.folder())?;
    // The one whose tasks are counted takes longest to start: its build is not optimized.
    let mut courses = vec![Course::of(Agent::host(&lab, &server, "aks-np1-hosted")?)];
    for number in 0..arguments.agents {
        let node = format!("aks-np1-{number}");
        courses.push(Course::of(Agent::start(&arguments.binary, &lab, &server, &node)?));
    }
    let mut weather = Weather::new(&lab, &server, arguments.seed);
    let mut truth = Truth::default();
    while courses.iter().map(|course| course.checks).sum::<usize>() < arguments.checks {
        std::thread::sleep(LOOK);
        weather.go_on();
        for course in &mut courses {
            course.look(&weather, &mut truth)?;
        }
    }
    weather.clear();
    let ledger = settle(&mut courses, &server, &weather, &mut truth)?;
    let (seed, lasted) = (arguments.seed, started.elapsed());
    Results { seed, lasted, courses: &courses, weather: &weather, truth: &truth, ledger: &ledger }.tell()
}

impl Course {
    fn of(agent: Agent) -> Self {
        let (samples, rounds, expected) = (Vec::new(), Vec::new(), BTreeMap::new());
        Self { agent, checks: 0, changed: Instant::now(), samples, rounds, expected }
    }

    /// Records a completed round.
    fn look(&mut self, weather: &Weather<'_>, truth: &mut Truth) -> anyhow::Result<()> {
        let checks = process::counted(&self.agent.get("/metrics")?, "acr_verifier_checks_total{");
        if checks == self.checks {
            ensure!(
                self.changed.elapsed() < PATIENCE,
                "no check of {} ended for {PATIENCE:?}",
                self.agent.node
            );
            return Ok(());
        }
        ensure!(checks == self.checks + IMAGES, "a round of {} was missed", self.agent.node);
        (self.checks, self.changed) = (checks, Instant::now());
        let round = self.agent.round()?;
        truth.judge(&self.agent.node, &round, weather);
        for checked in &round.images {
            self.expected.entry(checked.image.clone()).or_default().check(self.rounds.len(), &checked.found);
        }
        self.rounds.push(round.started);
        self.samples.push(self.agent.sample()?);
        Ok(())
    }

    /// Describes the images whose last announcement is not a pass.
    fn ill(&self) -> impl Iterator<Item = String> {
        let ill = self.expected.iter().filter(|(_, it)| it.last() != Some(model::VERIFIED));
        ill.map(|(image, it)| {
            format!("{} does not pass at {} in good weather: {:?}", image, self.agent.node, it.last())
        })
    }
}

/// Continues without faults until every Event has arrived, and records deviations from the contract.
fn settle(
    courses: &mut [Course],
    server: &ApiServer,
    weather: &Weather<'_>,
    truth: &mut Truth,
) -> anyhow::Result<Ledger> {
    let started = Instant::now();
    let mut looked = started;
    loop {
        for course in &mut *courses {
            course.look(weather, truth)?;
        }
        let ill: Vec<String> = courses.iter().flat_map(Course::ill).collect();
        let is_late = started.elapsed() > LAST_EVENTS;
        if is_late || (ill.is_empty() && looked.elapsed() >= LOOK_AT_EVENTS) {
            looked = Instant::now();
            let mut ledger = Ledger::of(courses, server)?;
            if ledger.wrong.is_empty() || is_late {
                ledger.wrong.extend(ill);
                return Ok(ledger);
            }
        }
        std::thread::sleep(LOOK);
    }
}
