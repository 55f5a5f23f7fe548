//! `endurance BINARY`: the processes of some agents through 100,000 checks, while faults of every kind come and go at random,
//! in the registry and at the API server. Nothing of theirs may grow, and every transition has to be announced once.
//! `tests/bench/agent` builds and starts it.
//!
//! Owns the course of events and the judgement. Faults come whenever they like, so that a round of checks meets several.
//! What a round found is read from the agent's report; what it has to announce is told by `model`.

#[path = "../lab/mod.rs"]
mod lab;

#[path = "endurance/api_server.rs"]
mod api_server;
#[path = "endurance/faults.rs"]
mod faults;
#[path = "endurance/model.rs"]
mod model;
#[path = "endurance/process.rs"]
mod process;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Parser;
use fastrand::Rng;

use api_server::{ApiServer, Mood};
use lab::Lab;
use lab::settings::Settings;
use model::{Expected, Found};
use process::{Agent, IMAGES, PATIENCE, Sample};

/// How often agents and faults are looked at.
const LOOK: Duration = Duration::from_millis(40);
/// How long a fault stays, and how long all is well, in milliseconds.
const STAYS: std::ops::Range<u64> = 30..400;
/// The same of the API server, where a refusal makes an agent wait for seconds.
const SINK_STAYS: std::ops::Range<u64> = 2_000..20_000;
/// The part of the checks after which memory has to be flat, as buffers have found their size: a fifth.
const WARM_UP: usize = 5;
/// Growth of resident memory after the warm-up that is none yet, in MiB.
const MAX_GROWTH: f64 = 1.0;
/// Problems that are written down; more of them tell no more.
const SHOWN: usize = 10;
/// After the end an agent that was refused comes back within a minute.
const LAST_EVENTS: Duration = Duration::from_secs(100);

/// Check agents' memory, threads, descriptors and Events through thousands of checks under random faults
#[derive(Parser)]
#[command(name = "endurance")]
struct Arguments {
    /// The program, built for release
    binary: PathBuf,
    /// Checks until the end
    #[arg(long, default_value_t = 100_000)]
    checks: usize,
    /// Agents side by side
    #[arg(long, default_value_t = 4)]
    agents: usize,
    /// What chance begins with; the same seed makes the same faults in the same order
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// One agent, and what is known of it.
struct Course {
    agent: Agent,
    checks: usize,
    changed: Instant,
    samples: Vec<Sample>,
    expected: BTreeMap<String, Expected>,
}

/// What has been found out on the way.
#[derive(Default)]
struct Tally {
    failed: usize,
    causes: BTreeSet<String>,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let started = Instant::now();
    let lab = Lab::try_start(Settings::default())?;
    let server = ApiServer::start(lab.folder())?;
    let mut courses = Vec::new();
    for number in 0..arguments.agents {
        let agent = Agent::start(&arguments.binary, &lab, &server, number)?;
        let (samples, expected) = (Vec::new(), BTreeMap::new());
        courses.push(Course { agent, checks: 0, changed: Instant::now(), samples, expected });
    }
    let mut weather = Weather::new(&lab, &server, arguments.seed);
    let mut tally = Tally::default();
    while courses.iter().map(|course| course.checks).sum::<usize>() < arguments.checks {
        std::thread::sleep(LOOK);
        weather.go_on();
        for course in &mut courses {
            course.look(&mut tally)?;
        }
    }
    weather.clear();
    let wrong = settle(&mut courses, &server, &mut tally)?;
    report(&arguments, started.elapsed(), &courses, &tally, &weather, &server, &wrong)
}

impl Course {
    /// Takes up a round that is over.
    fn look(&mut self, tally: &mut Tally) -> anyhow::Result<()> {
        let checks = counted(&self.agent.get("/metrics")?);
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
        for (image, found) in self.agent.findings()? {
            match &found {
                Found::Good => {}
                Found::Nothing => tally.failed += 1,
                Found::Bad(cause) => {
                    tally.failed += 1;
                    tally.causes.insert(cause.clone());
                }
            }
            self.expected.entry(image).or_default().check(found);
        }
        self.samples.push(self.agent.sample()?);
        Ok(())
    }
}

/// All checks that the metrics count.
fn counted(metrics: &str) -> usize {
    let lines = metrics.lines().filter(|line| line.starts_with("acr_verifier_checks_total{"));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum()
}

/// Faults that come and go.
struct Weather<'lab> {
    lab: &'lab Lab,
    server: &'lab ApiServer,
    rng: Rng,
    healthy: Settings,
    faults: Vec<faults::Fault>,
    broken: usize,
    refused: usize,
    until: Instant,
    sink_until: Instant,
    is_broken: bool,
}

impl<'lab> Weather<'lab> {
    fn new(lab: &'lab Lab, server: &'lab ApiServer, seed: u64) -> Self {
        let mut healthy = Settings::default();
        lab.change(|settings| healthy = settings.clone());
        let now = Instant::now();
        let (rng, faults) = (Rng::with_seed(seed), faults::all());
        let (broken, refused, is_broken) = (0, 0, false);
        Self { lab, server, rng, healthy, faults, broken, refused, until: now, sink_until: now, is_broken }
    }

    fn go_on(&mut self) {
        let now = Instant::now();
        if now >= self.until {
            self.until = now + Duration::from_millis(self.rng.u64(STAYS));
            self.is_broken = !self.is_broken;
            let fault = self.is_broken.then(|| self.rng.usize(..self.faults.len()));
            self.broken += usize::from(self.is_broken);
            self.lab.change(|settings| {
                *settings = self.healthy.clone();
                if let Some(fault) = fault {
                    self.faults[fault].apply(settings);
                }
            });
            self.lab.forget();
        }
        if now >= self.sink_until {
            self.sink_until = now + Duration::from_millis(self.rng.u64(SINK_STAYS));
            let mood = match self.rng.u8(0..10) {
                0 => Mood::Slow(300),
                1 => Mood::Refusing(500),
                2 => Mood::Refusing(429),
                3 => Mood::Forgetful,
                _ => Mood::Well,
            };
            self.refused += usize::from(mood != Mood::Well);
            self.server.become_like(mood);
        }
    }

    fn clear(&self) {
        self.lab.change(|settings| *settings = self.healthy.clone());
        self.server.become_like(Mood::Well);
    }
}

/// Goes on in good weather until every Event is there, and tells what is not as the contract has it.
fn settle(courses: &mut [Course], server: &ApiServer, tally: &mut Tally) -> anyhow::Result<Vec<String>> {
    let started = Instant::now();
    loop {
        for course in &mut *courses {
            course.look(tally)?;
        }
        let wrong: Vec<String> = courses.iter().flat_map(|course| unlike(course, server)).collect();
        let mut expected = courses.iter().flat_map(|course| course.expected.values());
        let is_over = expected.all(|it| it.reasons.last().is_some_and(|reason| reason == "RegistryVerified"));
        if (wrong.is_empty() && is_over) || started.elapsed() > LAST_EVENTS {
            return Ok(wrong);
        }
        std::thread::sleep(LOOK);
    }
}

/// Where Events are not what has to be announced. Of two that wait for the API server at once the newer is sent, so that some
/// may be left out; none may come twice, in another order, or without a reason, and the last one has to be there.
fn unlike(course: &Course, server: &ApiServer) -> Vec<String> {
    let mut wrong = Vec::new();
    for (image, expected) in &course.expected {
        let told = server.reasons(&course.agent.node, image);
        let mut left = expected.reasons.iter();
        let in_order = told.iter().all(|reason| left.any(|other| other == reason));
        if !in_order || told.last() != expected.reasons.last() {
            wrong.push(format!(
                "{} {image}: expected {:?}, told {told:?}",
                course.agent.node, expected.reasons
            ));
        }
    }
    wrong
}

/// Announcements that were not sent, since a newer one about the same image came while they waited.
fn suppressed(course: &Course) -> anyhow::Result<usize> {
    let metrics = course.agent.get("/metrics")?;
    let lines = metrics.lines().filter(|line| line.starts_with("acr_verifier_events_total{"));
    let of = lines.filter(|line| line.contains("result=\"suppressed\""));
    Ok(of.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum())
}

type Number = fn(&Sample) -> f64;

fn report(
    arguments: &Arguments,
    lasted: Duration,
    courses: &[Course],
    tally: &Tally,
    weather: &Weather<'_>,
    server: &ApiServer,
    wrong: &[String],
) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    let checks: usize = courses.iter().map(|course| course.checks).sum();
    let announced: usize =
        courses.iter().flat_map(|course| course.expected.values()).map(|it| it.reasons.len()).sum();
    let left_out = courses.iter().map(suppressed).sum::<anyhow::Result<usize>>()?;
    let mut problems = wrong.to_vec();
    // One whose answer was lost is there, and yet a newer one took its place in the line.
    if server.all() > announced || server.all() + left_out < announced {
        problems.push(format!(
            "{announced} transitions, and {} Events with {left_out} that made room for newer ones",
            server.all()
        ));
    }
    writeln!(
        out,
        "{checks} checks of {} agents with {IMAGES} images each, {:.0} s, seed {}: {} failed or stayed unknown, while {} \
         faults of {} kinds came and went, and told {} different causes. {announced} transitions were announced by {} \
         Events, each once; {} made room for newer ones that came while the API server, {} times, was slow, refused or \
         forgot.\n",
        courses.len(),
        lasted.as_secs_f64(),
        arguments.seed,
        tally.failed,
        weather.broken,
        weather.faults.len(),
        tally.causes.len(),
        server.all(),
        announced - server.all().min(announced),
        weather.refused
    )?;
    writeln!(
        out,
        "| after the first fifth | first tenth | last tenth | least | most |\n| --- | --- | --- | --- | --- |"
    )?;
    let rows: [(&str, Number, f64); 4] = [
        ("resident memory, MiB", |sample| sample.resident, MAX_GROWTH),
        ("threads", |sample| sample.threads, 0.01),
        // One may be half-way: an average of what is there between two rounds.
        ("file descriptors", |sample| sample.descriptors, 0.5),
        ("of them sockets", |sample| sample.sockets, 0.5),
    ];
    for (name, of, allowed) in rows {
        let [mut before, mut after, mut least, mut most] = [0.0, 0.0, f64::INFINITY, 0.0_f64];
        for course in courses {
            let from = course.samples.len() / WARM_UP;
            let steady: Vec<f64> = course.samples[from..].iter().map(of).collect();
            let tenth = (steady.len() / 10).max(1);
            ensure!(steady.len() >= 2 * tenth, "too few checks");
            let average = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
            let grown = average(&steady[steady.len() - tenth..]) - average(&steady[..tenth]);
            if grown > allowed {
                problems.push(format!("{name} of {} grew by {grown:.2}", course.agent.node));
            }
            before += average(&steady[..tenth]) / courses.len() as f64;
            after += average(&steady[steady.len() - tenth..]) / courses.len() as f64;
            least = steady.iter().copied().fold(least, f64::min);
            most = steady.iter().copied().fold(most, f64::max);
        }
        writeln!(out, "| {name} | {before:.2} | {after:.2} | {least:.2} | {most:.2} |")?;
    }
    let peaks = courses.iter().filter_map(|course| course.samples.last()).map(|sample| sample.peak);
    writeln!(
        out,
        "\nThe highest peak of resident memory, with {IMAGES} images and 4 checks at a time: {:.2} MiB.",
        peaks.fold(0.0, f64::max)
    )?;
    if problems.is_empty() {
        writeln!(out, "Nothing has grown, and every transition was announced once.")?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "This is wrong, {} in all:", problems.len())?;
    for problem in problems.iter().take(SHOWN) {
        writeln!(out, "{problem}")?;
    }
    Ok(ExitCode::FAILURE)
}
