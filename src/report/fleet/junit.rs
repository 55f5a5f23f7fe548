//! The JUnit report of a smoke check: one suite per node pool and one case for each image on each node.
//!
//! A node without a fresh report is one failed case. Nodes that the DaemonSet excludes, that left or that joined during the
//! check are skipped with the reason. A warning is output of a passed case. Names of cases outside the sample show that only the
//! path was checked.

use std::collections::BTreeMap;
use std::io::{self, Write};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::super::problem::Problem;
use super::{NO_DIAGNOSIS, NO_IMAGE, NO_POOL};
use crate::fleet::advice::{Advice, advice_on, advice_without_report};
use crate::fleet::evaluation::Evaluation;
use crate::fleet::report::ImageReport;
use crate::fleet::{Fleet, Node};
use crate::text::sanitize::printable;
use crate::text::sanitize::{MAX_TEXT, MAX_WORD};
use crate::verdict::{Severity, Verdict};

/// Writes a smoke check as one XML document.
///
/// # Errors
/// Returns the writer's error.
pub fn write(out: &mut impl Write, fleet: &Fleet, evaluation: &Evaluation) -> io::Result<()> {
    let mut report = Report::new("acr-verifier smoke");
    report.set_time(crate::wire::Seconds::from(fleet.duration).duration());
    report.timestamp = fleet.started_at.to_string().parse().ok();
    let mut pools: BTreeMap<&str, Vec<&Node>> = BTreeMap::new();
    for node in &fleet.nodes {
        pools.entry(node.topology.agent_pool.as_deref().unwrap_or(NO_POOL)).or_default().push(node);
    }
    for (pool, nodes) in pools {
        let mut suite = TestSuite::new(printable(&format!("acr-verifier.{pool}"), MAX_WORD));
        suite.add_property(("namespace", printable(&fleet.namespace, MAX_WORD).as_str()));
        suite.add_property(("daemonSet", printable(&fleet.daemon_set, MAX_WORD).as_str()));
        suite.add_property(("verdict", evaluation.verdict.as_str()));
        if let Some(digest) = &fleet.expected_configuration {
            suite.add_property(("expectedConfiguration", digest.as_str()));
        }
        if let Some(sample) = &fleet.sample {
            suite.add_property(("sample", sample.nodes.to_string().as_str()));
        }
        for node in nodes {
            suite.add_test_cases(cases(fleet, node, pool));
        }
        report.add_test_suite(suite);
    }
    report.serialize(out).map_err(io::Error::other)
}

fn cases(fleet: &Fleet, node: &Node, pool: &str) -> Vec<TestCase> {
    let case = |name: String, status: TestCaseStatus| {
        let mut case = TestCase::new(printable(&name, MAX_TEXT), status);
        case.set_classname(printable(&format!("acr-verifier.{pool}.{}", node.name), MAX_TEXT));
        case
    };
    let Some(report) = node.last_report() else {
        let status = if node.verdict().is_some() {
            let advice = advice_without_report(fleet, node);
            failure(
                NonSuccessKind::Failure,
                node.state.as_str(),
                &advice.message,
                description(&advice, Severity::Fail),
            )
        } else {
            let mut skipped = TestCaseStatus::skipped();
            let reason = node.state.reason().unwrap_or_else(|| node.state.as_str().to_owned());
            skipped.set_message(printable(&reason, MAX_TEXT));
            skipped
        };
        return vec![case(format!("{}: report", node.name), status)];
    };
    if report.images.is_empty() {
        let status = failure(NonSuccessKind::Error, Verdict::Unknown.as_str(), NO_IMAGE, NO_IMAGE.to_owned());
        return vec![case(format!("{}: report", node.name), status)];
    }
    let is_path_open = node.report().is_none();
    report
        .images
        .iter()
        .map(|image| {
            let part = if is_path_open { " (path open, not in the sample)" } else { "" };
            let mut case = case(format!("{}: {}{part}", node.name, image.image), status(image));
            if !is_path_open {
                case.set_time(image.duration);
            }
            let warnings: Vec<String> = image
                .diagnoses
                .iter()
                .filter(|diagnosis| diagnosis.severity == Severity::Warn)
                .map(|diagnosis| description(&advice_on(image, diagnosis), diagnosis.severity))
                .collect();
            if !warnings.is_empty() {
                case.set_system_out(warnings.join("\n\n"));
            }
            case
        })
        .collect()
}

fn status(image: &ImageReport) -> TestCaseStatus {
    let kind = match image.verdict {
        Verdict::Fail => NonSuccessKind::Failure,
        Verdict::Unknown => NonSuccessKind::Error,
        Verdict::Pass | Verdict::Warn => return TestCaseStatus::success(),
    };
    match image.diagnoses.first() {
        Some(first) => {
            failure(kind, &first.cause, &first.message, description(&advice_on(image, first), first.severity))
        }
        None => failure(kind, image.verdict.as_str(), NO_DIAGNOSIS, NO_DIAGNOSIS.to_owned()),
    }
}

fn failure(kind: NonSuccessKind, word: &str, message: &str, description: String) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(printable(word, MAX_WORD));
    status.set_message(printable(message, MAX_TEXT));
    status.set_description(description);
    status
}

fn description(advice: &Advice, severity: Severity) -> String {
    Problem::of_nodes(advice, severity).lines()
}
