//! Renders the result of a smoke check: the rows, groups and verdict sentence that its renderers share.
//!
//! Owns the order and folding of nodes; `fleet::evaluation` evaluates them. The formats are [`text`], [`json`], [`junit`] and
//! [`markdown`]; [`progress`] is the progress table on a terminal.

pub mod json;
pub mod junit;
pub mod markdown;
pub mod progress;
pub mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use clap::ValueEnum;

use super::Style;
use crate::fleet::evaluation::{Counts, Evaluation, Finding, Group, evaluate};
use crate::fleet::report::ImageReport;
use crate::fleet::sample::SampleSummary;
use crate::fleet::{Fleet, Node, State};
use crate::text::words::{list, plural};
use crate::verdict::Verdict;

/// The output format of a smoke check's report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Human-readable text.
    Text,
    /// JSON for programs, with the schema acr-verifier/smoke/v1.
    Json,
    /// JUnit XML for the test results of a pipeline.
    Junit,
    /// Markdown for the job summary of a pipeline.
    Markdown,
}

/// Writes a smoke check in the given format. Only [`Format::Text`] uses the style.
///
/// # Errors
/// Returns the writer's error.
pub fn write(out: &mut impl Write, fleet: &Fleet, format: Format, style: &Style) -> io::Result<()> {
    let evaluation = evaluate(fleet);
    match format {
        Format::Text => text::write(out, fleet, &evaluation, style),
        Format::Json => json::write(out, fleet, &evaluation),
        Format::Junit => junit::write(out, fleet, &evaluation),
        Format::Markdown => markdown::write(out, fleet, &evaluation),
    }
}

/// Images named in the verdict sentence; more are counted.
const MAX_IMAGES: usize = 10;
/// Groups shown with message and remedy; the JSON report has all of them.
const MAX_GROUPS: usize = 20;
/// Commands shown per group; our own advice has fewer.
const MAX_COMMANDS: usize = 10;
/// Shown for a report without images.
const NO_IMAGE: &str = "no image was checked";
/// Shown for an image that did not pass and has no diagnosis.
const NO_DIAGNOSIS: &str = "no diagnosis";
/// Shown for a node without a node pool label.
const NO_POOL: &str = "-";
/// Shown for a node outside the sample that counts because of its path.
const PATH_OPEN: &str = "path open";

/// A line of the matrix: a node, or an image with a problem on it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    /// Sort key: the worst first, nodes that do not count last.
    rank: u8,
    pool: String,
    /// Name of the node, with marks such as `(cordoned)`.
    node: String,
    verdict: String,
    /// For example `login.address`; empty without a diagnosis.
    stage: String,
    /// The cause, or why there is no report.
    cause: String,
}

/// Returns the lines of the matrix, the worst first.
fn rows(fleet: &Fleet) -> Vec<Row> {
    let several_images = images(fleet).len() > 1;
    let mut rows: Vec<Row> = fleet.nodes.iter().flat_map(|node| rows_of(node, several_images)).collect();
    rows.sort_by(|one, other| (one.rank, &one.pool, &one.node).cmp(&(other.rank, &other.pool, &other.node)));
    rows
}

fn rows_of(node: &Node, several_images: bool) -> Vec<Row> {
    let row = |verdict: &str, rank: u8, stage: String, cause: String| Row {
        rank,
        pool: node.topology.agent_pool.clone().unwrap_or_else(|| NO_POOL.to_owned()),
        node: marked(node),
        verdict: verdict.to_owned(),
        stage,
        cause,
    };
    let Some(report) = node.last_report() else {
        let (verdict, rank) = match (&node.state, node.verdict()) {
            (State::Excluded(_) | State::Left, _) => ("-", 5),
            (_, None) => ("waiting", 4),
            (_, Some(_)) => ("no report", 1),
        };
        let cause = match (&node.state, node.state.reason()) {
            (State::Excluded(_), Some(reason)) => format!("excluded: {reason}"),
            (state, Some(reason)) => format!("{}: {reason}", state.as_str()),
            (State::Left, None) => "left the cluster during the check".to_owned(),
            (state, None) => state.as_str().to_owned(),
        };
        return vec![row(verdict, rank, String::new(), cause)];
    };
    let is_path_open = node.report().is_none();
    let unwell: Vec<Row> = report
        .images
        .iter()
        .filter(|image| image.verdict != Verdict::Pass || !image.diagnoses.is_empty())
        .map(|image| {
            let first = image.diagnoses.first();
            let stage = first.map(|first| format!("{}.{}", first.endpoint, first.stage));
            let cause = first.map_or(NO_DIAGNOSIS, |first| &*first.cause);
            let name = image.name.as_deref().unwrap_or(&image.image);
            let cause = if several_images { format!("{cause} ({name})") } else { cause.to_owned() };
            let cause = if is_path_open { format!("{cause}, not in the sample") } else { cause };
            row(image.verdict.as_str(), rank(image.verdict), stage.unwrap_or_default(), cause)
        })
        .collect();
    if unwell.is_empty() && is_path_open {
        return vec![row(PATH_OPEN, rank(Verdict::Pass), String::new(), "not in the sample".to_owned())];
    }
    if unwell.is_empty() {
        let verdict = node.verdict().unwrap_or(Verdict::Unknown);
        let cause = if report.images.is_empty() { NO_IMAGE } else { "" };
        return vec![row(verdict.as_str(), rank(verdict), String::new(), cause.to_owned())];
    }
    unwell
}

const fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Fail => 0,
        Verdict::Unknown => 1,
        Verdict::Warn => 2,
        Verdict::Pass => 3,
    }
}

fn marked(node: &Node) -> String {
    let marks: Vec<&str> = [(node.cordoned, "cordoned"), (node.joined_late, "just joined")]
        .into_iter()
        .filter_map(|(is, mark)| is.then_some(mark))
        .collect();
    if marks.is_empty() { node.name.clone() } else { format!("{} ({})", node.name, marks.join(", ")) }
}

/// `37 of 40 nodes: private_zone_not_linked (login.address), contoso.azurecr.io/apps/canary:1`
fn headline(group: &Group, evaluation: &Evaluation) -> String {
    let many = group.nodes.len();
    let of = evaluation.counts.expected;
    let what = match &group.finding {
        Finding::Diagnosis { image, cause, stage, endpoint } => {
            format!("{cause} ({endpoint}.{stage}), {image}")
        }
        Finding::NoReport { state, reason: Some(reason) } => format!("{state} ({reason})"),
        Finding::NoReport { state, reason: None } => (*state).to_owned(),
    };
    format!("{many} of {}: {what}", plural(of, "node"))
}

/// Describes what the verdict on the fleet covers.
fn sentence(fleet: &Fleet, evaluation: &Evaluation) -> String {
    let counts = &evaluation.counts;
    let parts: Vec<String> = [
        (counts.fail, "cannot pull"),
        (counts.no_report, "returned no fresh report"),
        (counts.unknown, "could not be verified"),
        (counts.warn, "can pull with warnings"),
        (counts.pass, "can pull"),
        (counts.path_open_warn, "not in the sample (path open, last check passed with warnings)"),
        (counts.path_open, "not in the sample (path open, last check passed)"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, words)| format!("{count} {words}"))
    .collect();
    let mut sentence = if counts.expected == 0 {
        format!("no node in the cluster should run DaemonSet {}, so nothing was checked.", fleet.daemon_set)
    } else {
        format!("of {} that should run the agent, {}.", plural(counts.expected, "node"), parts.join(", "))
    };
    if let Some(sample) = &fleet.sample {
        sentence.push_str(&coverage(sample, counts));
    }
    let images = images(fleet);
    if !images.is_empty() {
        sentence.push_str(&format!(" Checked: {} ({}).", checked(fleet, &images), views(fleet)));
    }
    sentence.push_str(&configurations(fleet));
    if without_blob(fleet) {
        sentence.push_str(" Not tested: the data endpoint and the blob download.");
    }
    if all_images(fleet).any(|image| image.loopback_allowed) {
        sentence.push_str(" Loopback addresses were treated as private.");
    }
    for (count, words) in [
        (counts.excluded, "excluded by the DaemonSet"),
        (counts.joined_late, "joined during the check, no report yet"),
        (counts.left, "left during the check"),
    ] {
        if count > 0 {
            sentence.push_str(&format!(" Not counted: {} ({words}).", plural(count, "node")));
        }
    }
    sentence
}

/// Describes the sample, and what an open path shows.
fn coverage(sample: &SampleSummary, counts: &Counts) -> String {
    let SampleSummary { nodes, placements, missing, of_each } = *sample;
    let placed = plural(placements, "combination");
    let represented = match (missing, of_each) {
        (0, 0 | 1) => format!("at least 1 in each of {placed}"),
        (0, _) => format!("at least {of_each}, or all if there are fewer, in each of {placed}"),
        (_, _) => format!("in {} of {placed}", placements - missing),
    };
    let mut text =
        format!(" Sample: {}, {represented} of node pool, zone and subnet.", plural(nodes, "node"));
    if counts.path_open + counts.path_open_warn > 0 {
        text.push_str(
            " An open path covers DNS, address, TCP and TLS since the smoke check started, nothing else.",
        );
    }
    text
}

fn all_images(fleet: &Fleet) -> impl Iterator<Item = &ImageReport> {
    fleet.nodes.iter().filter_map(Node::report).flat_map(|report| &report.images)
}

/// Returns the checked images, each with the number of nodes that checked it.
fn images(fleet: &Fleet) -> BTreeMap<&str, usize> {
    let mut images = BTreeMap::new();
    for report in fleet.nodes.iter().filter_map(Node::report) {
        // An image that is checked under two names counts once.
        let of_node: BTreeSet<&str> = report.images.iter().map(|image| &*image.image).collect();
        for image in of_node {
            *images.entry(image).or_default() += 1;
        }
    }
    images
}

/// Lists the images. If the nodes checked different ones, adds the number of nodes for each.
fn checked(fleet: &Fleet, images: &BTreeMap<&str, usize>) -> String {
    let reports = fleet.nodes.iter().filter_map(Node::report).count();
    let mut words: Vec<String> = images
        .iter()
        .take(MAX_IMAGES)
        .map(|(image, &count)| {
            if count == reports {
                return (*image).to_owned();
            }
            format!("{image} (on {count} of {})", plural(reports, "node"))
        })
        .collect();
    if images.len() > MAX_IMAGES {
        words.push(format!("and {} more", images.len() - MAX_IMAGES));
    }
    words.join(", ")
}

/// Returns the network views of the reports: one, unless agents of several installations respond.
fn views(fleet: &Fleet) -> String {
    let reports = fleet.nodes.iter().filter_map(Node::report);
    let views: BTreeSet<&str> = reports.map(|report| report.network_view.as_str()).collect();
    let views: Vec<String> = views.into_iter().map(|view| format!("{view} network")).collect();
    list(&views)
}

/// Returns the tested configuration, or how many there were. Empty if no agent reports one.
fn configurations(fleet: &Fleet) -> String {
    let reports = fleet.nodes.iter().filter_map(Node::report);
    let digests: BTreeSet<&str> =
        reports.filter_map(|report| report.configuration.as_ref()).map(|known| &*known.digest).collect();
    match digests.into_iter().collect::<Vec<_>>()[..] {
        [] => String::new(),
        [one] => format!(" Configuration: {one}."),
        ref several => format!(" The agents use {} different configurations.", several.len()),
    }
}

fn without_blob(fleet: &Fleet) -> bool {
    all_images(fleet).any(|image| image.is_partial)
}
