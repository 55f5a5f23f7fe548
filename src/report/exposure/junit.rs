//! The JUnit report of `exposure`: one suite per registry and one case per probe.
//!
//! An exposed endpoint is a failure, and one that was not tested is an error: neither passes a pipeline.

use std::io::{self, Write};
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{runbook, second};
use crate::public_endpoint::{Exposure, ExposureRun, Outcome, Probe, RegistryExposure};
use crate::text::sanitize::{MAX_TEXT, pasteable, printable};

/// Writes a run as one XML document.
///
/// # Errors
/// Returns the writer's error.
pub fn write(out: &mut impl Write, run: &ExposureRun) -> io::Result<()> {
    let mut report = Report::new("acr-verifier exposure");
    report.set_time(micros(run.duration));
    // Parsing avoids a dependency on the library's time crate; a timestamp that it cannot parse is left out.
    report.timestamp = second(run.started_at).to_string().parse().ok();
    report.add_test_suites(run.registries.iter().map(|registry| suite(run, registry)));
    report.serialize(out).map_err(io::Error::other)
}

fn suite(run: &ExposureRun, registry: &RegistryExposure) -> TestSuite {
    let mut suite = TestSuite::new(registry.registry.as_str());
    suite.timestamp = second(run.started_at).to_string().parse().ok();
    suite.set_time(micros(registry.probes.iter().map(|probe| probe.duration).sum()));
    suite.add_property(("verdict", registry.verdict().as_str()));
    if let Some(variable) = run.unused_proxy {
        suite.add_property(("unusedProxy", variable));
    }
    if run.loopback_is_public {
        suite.add_property(("loopbackIsPublic", "true"));
    }
    for probe in &registry.probes {
        suite.add_test_case(case(registry, probe));
    }
    suite
}

fn case(registry: &RegistryExposure, probe: &Probe) -> TestCase {
    let message = printable(&probe.message(), MAX_TEXT);
    let status = match &probe.outcome {
        Outcome::Refused(_) => TestCaseStatus::success(),
        Outcome::Exposed(_) => unsuccessful(registry, probe, NonSuccessKind::Failure, "exposed"),
        Outcome::NotTested(gap) => unsuccessful(registry, probe, NonSuccessKind::Error, gap.kind().as_str()),
    };
    let family = probe.family.map(|family| format!(" over {family}")).unwrap_or_default();
    let mut case = TestCase::new(format!("{}{family}", probe.host), status);
    case.set_classname(registry.registry.as_str());
    case.set_time(micros(probe.duration));
    case.set_system_out(format!("{} at {}: {message}", probe.subject(), second(probe.at)));
    case
}

fn unsuccessful(
    registry: &RegistryExposure,
    probe: &Probe,
    kind: NonSuccessKind,
    reason: &str,
) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(reason);
    status.set_message(printable(&probe.message(), MAX_TEXT));
    let mut lines = vec![format!("problem: {}", printable(&registry.message(), MAX_TEXT))];
    lines.extend(registry.remedy().map(|remedy| format!("fix: {remedy}")));
    if probe.verdict() == Exposure::Exposed {
        lines.extend(registry.commands().iter().map(|command| format!("    {}", pasteable(command))));
    }
    lines.push(format!("more: {}", runbook()));
    status.set_description(lines.join("\n"));
    status
}

/// Rounds to microseconds: anything finer is noise.
fn micros(duration: Duration) -> Duration {
    crate::wire::Seconds::from(duration).duration()
}
