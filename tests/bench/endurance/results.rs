//! Results of the run as text and a Markdown table, with the limits for growth.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::ensure;

use crate::Course;
use crate::ledger::Ledger;
use crate::process::{IMAGES, Sample};
use crate::truth::Truth;
use crate::weather::Weather;

/// The first fifth of the checks is the warm-up: afterwards buffers have their final size and memory must be flat.
const WARM_UP: usize = 5;
/// Accepted growth of resident memory after the warm-up, in MiB.
const MAX_GROWTH: f64 = 1.0;
/// Maximum percentage of checks that a busy machine may delay.
const MAX_LATE: f64 = 0.5;
/// Maximum number of printed problems.
const SHOWN: usize = 20;

type Number = fn(&Sample) -> Option<f64>;

/// Data for the final report.
pub(crate) struct Results<'run> {
    pub(crate) seed: u64,
    pub(crate) lasted: Duration,
    pub(crate) courses: &'run [Course],
    pub(crate) weather: &'run Weather<'run>,
    pub(crate) truth: &'run Truth,
    pub(crate) ledger: &'run Ledger,
}

impl Results<'_> {
    /// Prints the report and returns whether the run passed.
    pub(crate) fn tell(&self) -> anyhow::Result<ExitCode> {
        let mut out = io::stdout().lock();
        let mut problems = self.ledger.wrong.clone();
        let reported = |(reported, count): (&String, &usize)| format!("reported {count} times: {reported}");
        problems.extend(self.truth.wrong.iter().map(reported));
        let late = 100.0 * self.late() as f64 / (self.truth.alone + self.truth.between).max(1) as f64;
        if late > MAX_LATE {
            problems.push(format!("{late:.1} % of the checks were late for no fault: this says too little"));
            problems.extend(self.truth.late.iter().map(reported));
        }
        self.summary(&mut out)?;
        problems.extend(self.table(&mut out)?);
        let peaks = self.courses.iter().filter_map(|course| course.samples.last()?.peak);
        writeln!(
            out,
            "\nThe highest peak of resident memory, with {IMAGES} images and 4 checks at a time: {:.2} MiB.",
            peaks.fold(0.0, f64::max)
        )?;
        if problems.is_empty() {
            let words = "Nothing has grown, every transition was announced once, and every report was true.";
            writeln!(out, "{words}")?;
            return Ok(ExitCode::SUCCESS);
        }
        writeln!(out, "{} problems:", problems.len())?;
        for problem in problems.iter().take(SHOWN) {
            writeln!(out, "{problem}")?;
        }
        Ok(ExitCode::FAILURE)
    }

    fn summary(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { truth, ledger, weather, .. } = self;
        let checks: usize = self.courses.iter().map(|course| course.checks).sum();
        writeln!(
            out,
            "{checks} checks of {} agents with {IMAGES} images each, {:.0} s, seed {}: {} failed or stayed unknown, while {} \
             faults of {} kinds came and went, and reported {} different causes.\n",
            self.courses.len(),
            self.lasted.as_secs_f64(),
            self.seed,
            truth.failed,
            weather.broken,
            weather.faults.len(),
            truth.causes.len(),
        )?;
        writeln!(
            out,
            "- Reports: {} checks met a single state of the registry, {} of them one of {} faults, and {} reported another \
             cause than its own. Of {} during which a fault came or went, {} reported a cause of none of its states. {} of \
             all were late on a busy machine.",
            truth.alone,
            truth.broken,
            truth.faults.len(),
            self.lies(false),
            truth.between,
            self.lies(true),
            self.late(),
        )?;
        writeln!(
            out,
            "- Announcements: {} transitions, {} by one Event each; {} were replaced by a newer one about the same image and \
             counted. The API server was slow, refused or forgot {} times, and {} attempts failed.\n",
            ledger.transitions, ledger.announced, ledger.left_out, weather.refused, ledger.failed,
        )
    }

    /// Returns the number of checks that were late without a fault.
    fn late(&self) -> usize {
        self.truth.late.values().sum()
    }

    /// Returns the number of wrong results, of checks that met several states or only one.
    fn lies(&self, of_several: bool) -> usize {
        let of = self.truth.wrong.iter().filter(|(reported, _)| reported.contains(" | ") == of_several);
        of.map(|(_, count)| count).sum()
    }

    /// Prints the table of resource use and returns the resources that have grown.
    fn table(&self, out: &mut impl Write) -> anyhow::Result<Vec<String>> {
        writeln!(
            out,
            "| after the first fifth | first tenth | last tenth | least | most |\n| --- | --- | --- | --- | --- |"
        )?;
        let rows: [(&str, Number, f64); 5] = [
            ("resident memory, MiB", |sample| sample.resident, MAX_GROWTH),
            ("threads", |sample| sample.threads, 0.01),
            // Averages, because a task may be about to end between two rounds.
            // The connection to the API server has two tasks and is open or not; a leak would be hundreds.
            ("tasks of the runtime", |sample| sample.tasks, 2.0),
            ("file descriptors", |sample| sample.descriptors, 0.5),
            ("of them sockets", |sample| sample.sockets, 0.5),
        ];
        let mut grown = Vec::new();
        for (name, of, allowed) in rows {
            let [mut before, mut after, mut least, mut most] = [0.0, 0.0, f64::INFINITY, 0.0_f64];
            let mut measured = 0.0;
            for course in self.courses {
                let from = course.samples.len() / WARM_UP;
                let steady: Vec<f64> = course.samples[from..].iter().filter_map(of).collect();
                if steady.is_empty() {
                    continue;
                }
                let tenth = (steady.len() / 10).max(1);
                ensure!(steady.len() >= 2 * tenth, "too few checks");
                let average = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
                let (first, last) = (average(&steady[..tenth]), average(&steady[steady.len() - tenth..]));
                if last - first > allowed {
                    grown.push(format!("{name} of {} grew by {:.2}", course.agent.node, last - first));
                }
                measured += 1.0;
                before += first;
                after += last;
                least = steady.iter().copied().fold(least, f64::min);
                most = steady.iter().copied().fold(most, f64::max);
            }
            let (before, after) = (before / measured, after / measured);
            writeln!(out, "| {name} | {before:.2} | {after:.2} | {least:.2} | {most:.2} |")?;
        }
        Ok(grown)
    }
}
