//! The JUnit report: one suite per image and one case per stage, always twelve.
//!
//! A failed stage is a failure, an inconclusive one an error, and one that was not reached is skipped with the reason. A
//! warning is output of a passed case, since no tool that reads JUnit knows warnings.

use std::io::{self, Write};
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::problem::Problem;
use super::stage_summary::finding;
use crate::run::{CheckRun, ImageResult, StageReport, StageStatus};
use crate::text::sanitize::MAX_TEXT;
use crate::text::sanitize::printable;
use crate::verdict::Severity;

/// Writes a run as one XML document.
///
/// # Errors
/// Returns the writer's error.
pub fn write(out: &mut impl Write, run: &CheckRun) -> io::Result<()> {
    let mut report = Report::new("acr-verifier");
    report.set_time(micros(run.duration));
    // Parsing avoids a dependency on the library's time crate; a timestamp that it cannot parse is left out.
    report.timestamp = run.started_at.to_string().parse().ok();
    report.add_test_suites(run.images.iter().map(|checked| suite(run, checked)));
    report.serialize(out).map_err(io::Error::other)
}

fn suite(run: &CheckRun, checked: &ImageResult) -> TestSuite {
    let image = checked.image.to_string();
    let mut suite = TestSuite::new(image.as_str());
    suite.set_time(micros(checked.observation.duration));
    suite.timestamp = run.started_at.to_string().parse().ok();
    suite.add_property(("node", printable(&run.node, MAX_TEXT).as_str()));
    suite.add_property(("networkView", run.network_view.as_str()));
    suite.add_property(("verdict", checked.verdict().as_str()));
    if checked.policy.allow_loopback {
        suite.add_property(("loopbackAllowed", "true"));
    }
    for report in checked.stages() {
        suite.add_test_case(case(checked, &report, &image));
    }
    suite
}

fn case(checked: &ImageResult, report: &StageReport<'_>, image: &str) -> TestCase {
    let status = match report.status {
        StageStatus::Ok | StageStatus::Warning => TestCaseStatus::success(),
        StageStatus::Skipped => {
            let mut skipped = TestCaseStatus::skipped();
            skipped.set_message(checked.skip_reason(report.endpoint, report.stage));
            skipped
        }
        StageStatus::Failed => failed(report),
    };
    let mut case = TestCase::new(format!("{}.{}", report.endpoint, report.stage), status);
    case.set_classname(image);
    if let Some(duration) = report.duration {
        case.set_time(micros(duration));
    }
    let mut output: Vec<String> = match report.status {
        StageStatus::Skipped => Vec::new(),
        StageStatus::Ok | StageStatus::Warning | StageStatus::Failed => {
            finding(checked, report).into_iter().map(|line| printable(&line, MAX_TEXT)).collect()
        }
    };
    if report.status == StageStatus::Warning {
        output.extend(report.diagnoses.iter().map(|diagnosis| Problem::from(*diagnosis).lines()));
    }
    if !output.is_empty() {
        case.set_system_out(output.join("\n"));
    }
    case
}

fn failed(report: &StageReport<'_>) -> TestCaseStatus {
    let worst = report.diagnoses.iter().max_by_key(|diagnosis| diagnosis.severity.verdict());
    let kind = match worst.map(|diagnosis| diagnosis.severity) {
        Some(Severity::Unknown) => NonSuccessKind::Error,
        Some(Severity::Fail | Severity::Warn) | None => NonSuccessKind::Failure,
    };
    let mut status = TestCaseStatus::non_success(kind);
    if let Some(first) = report.diagnoses.first() {
        status.set_type(first.cause.code());
        status.set_message(printable(&first.message, MAX_TEXT));
    }
    let descriptions: Vec<String> =
        report.diagnoses.iter().map(|diagnosis| Problem::from(*diagnosis).lines()).collect();
    status.set_description(descriptions.join("\n\n"));
    status
}

/// Rounds to microseconds: anything finer is noise.
fn micros(duration: Duration) -> Duration {
    crate::wire::Seconds::from(duration).duration()
}
