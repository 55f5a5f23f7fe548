//! The text report of a discovery: the Pods that wait for their images with cause and fix, then the registries, then the images.

use std::io::{self, Write};
use std::time::Duration;

use jiff::Timestamp;

use super::super::Style;
use super::super::layout::{Mark, Page, Tone};
use super::table::{Row, Table};
use crate::inventory::Inventory;
use crate::inventory::coverage::Coverage;
use crate::inventory::discovery::Discovery;
use crate::inventory::usage::ImageUse;
use crate::inventory::waiting::{AgentView, CheckedImage, Conclusion, Explanation, Fix, Silence};
use crate::text::words::{plural, some_of, span, verb_of};

/// Problems of waiting Pods that are explained; the JSON report has all Pods.
const MAX_PROBLEMS: usize = 10;
/// Pods that are named for a problem.
const MAX_PODS: usize = 5;
/// Pull secrets that are named for an image.
const MAX_SECRETS: usize = 2;
/// Commands that are shown for a fix.
const MAX_COMMANDS: usize = 10;
const COMMAND_COLUMN: usize = 6;

/// Writes a discovery as text.
///
/// # Errors
/// Returns the writer's error.
pub fn write(out: &mut impl Write, discovery: &Discovery, style: &Style) -> io::Result<()> {
    let mut page = Page::new(out, style);
    let now = discovery.started_at + discovery.duration;
    write_waiting(&mut page, discovery, now)?;
    write_registries(&mut page, discovery)?;
    write_images(&mut page, &discovery.inventory)?;
    write_summary(&mut page, discovery, now)
}

/// Waiting Pods with the same conclusion, cause and remedy.
struct Problem<'found> {
    example: &'found Explanation,
    pods: Vec<String>,
}

fn problems(explanations: &[Explanation]) -> Vec<Problem<'_>> {
    let mut problems: Vec<Problem<'_>> = Vec::new();
    for explanation in explanations {
        let pod = format!("{}/{}", explanation.waiting.namespace, explanation.waiting.pod);
        match problems.iter_mut().find(|problem| is_alike(problem.example, explanation)) {
            Some(problem) => problem.pods.push(pod),
            None => problems.push(Problem { example: explanation, pods: vec![pod] }),
        }
    }
    problems.sort_by_key(|problem| (problem.example.conclusion, std::cmp::Reverse(problem.pods.len())));
    problems
}

/// Whether two waiting Pods have the same problem, as far as the fix is concerned.
fn is_alike(one: &Explanation, other: &Explanation) -> bool {
    let agents_cause = |of: &Explanation| match &of.agent {
        AgentView::Checked(checked) => checked.diagnosis.as_ref().map(|diagnosis| diagnosis.cause.clone()),
        AgentView::Unchecked { .. } | AgentView::Silent(_) => None,
    };
    let is_same_image = match one.conclusion {
        Conclusion::Explained | Conclusion::RegistryUnchecked | Conclusion::NoAgent => true,
        Conclusion::MayExplain | Conclusion::Disagree | Conclusion::Inconclusive => {
            one.waiting.image == other.waiting.image
        }
    };
    one.conclusion == other.conclusion
        && one.waiting.image.registry() == other.waiting.image.registry()
        && one.waiting.claim == other.waiting.claim
        && is_same_image
        && agents_cause(one) == agents_cause(other)
}

fn write_waiting<W: Write>(page: &mut Page<'_, W>, discovery: &Discovery, now: Timestamp) -> io::Result<()> {
    let inventory = &discovery.inventory;
    if discovery.explanations.is_empty() {
        let Some(pod) = &discovery.scope.pod else { return Ok(()) };
        let message =
            format!("Pod {pod} does not wait for an image of a registry. {}", other_reasons(inventory));
        page.paragraph("", 2, message.trim_end())?;
        return page.gap();
    }
    let count = inventory.waiting_pods;
    let heading = format!("{} {} for an image", plural(count, "Pod"), verb_of(count, "wait"));
    page.heading(Tone::Strong, &heading)?;
    let problems = problems(&discovery.explanations);
    for problem in problems.iter().take(MAX_PROBLEMS) {
        write_problem(page, problem, now)?;
        page.gap()?;
    }
    let more = problems.len().saturating_sub(MAX_PROBLEMS);
    if more > 0 {
        page.paragraph(
            "",
            2,
            &format!("And {}; the JSON report has all of them.", plural(more, "more problem")),
        )?;
        page.gap()?;
    }
    if inventory.left_out.waiting > 0 {
        page.paragraph("", 2, &format!("And {} more waiting images.", inventory.left_out.waiting))?;
        page.gap()?;
    }
    Ok(())
}

fn write_problem<W: Write>(page: &mut Page<'_, W>, problem: &Problem<'_>, now: Timestamp) -> io::Result<()> {
    let Explanation { waiting, agent, conclusion, message, fixes } = problem.example;
    let node = waiting.node.as_deref().unwrap_or("(no node)");
    page.paragraph("  ", 4, &format!("{} on node {node}", some_of(&problem.pods, MAX_PODS)))?;
    let secrets = match waiting.pull_secrets.as_slice() {
        [] => "no pull secret".to_owned(),
        names => format!("pull secret {}", some_of(names, MAX_SECRETS)),
    };
    let image = format!("{} (container {}, {secrets})", waiting.image, waiting.container);
    page.paragraph("    image:   ", 13, &image)?;
    let kubelet = match waiting.message.as_str() {
        "" => waiting.reason.as_str().to_owned(),
        message => format!("{}: {message}", waiting.reason.as_str()),
    };
    page.paragraph("    kubelet: ", 13, &kubelet)?;
    let (verdict, details) = agent_words(agent, now);
    let prefix = format!("    agent:   {}", page.verdict(mark_of(agent), verdict));
    page.paragraph(&prefix, 13, &details)?;
    let label = format!("    {} ", page.paint(tone_of(*conclusion), "result:"));
    page.paragraph(&label, 6, message)?;
    for fix in fixes {
        write_fix(page, fix)?;
    }
    Ok(())
}

fn write_fix<W: Write>(page: &mut Page<'_, W>, fix: &Fix) -> io::Result<()> {
    let prefix = format!("    {} ", page.paint(Tone::Strong, "fix:"));
    page.paragraph(&prefix, 6, &fix.remedy)?;
    for command in fix.commands.iter().take(MAX_COMMANDS) {
        page.command(COMMAND_COLUMN + 2, command)?;
    }
    match &fix.runbook {
        Some(runbook) => page.paragraph("    more: ", 6, runbook),
        None => Ok(()),
    }
}

fn mark_of(agent: &AgentView) -> Mark {
    match agent {
        AgentView::Checked(checked) => checked.verdict.into(),
        AgentView::Unchecked { .. } | AgentView::Silent(_) => Mark::Unclear,
    }
}

const fn tone_of(conclusion: Conclusion) -> Tone {
    match conclusion {
        Conclusion::Explained | Conclusion::MayExplain => Tone::Bad,
        Conclusion::Disagree => Tone::Warning,
        Conclusion::Inconclusive | Conclusion::RegistryUnchecked | Conclusion::NoAgent => Tone::Unclear,
    }
}

/// Returns the verdict of an agent, and its details.
fn agent_words(agent: &AgentView, now: Timestamp) -> (&'static str, String) {
    match agent {
        AgentView::Checked(checked) => (checked.verdict.as_str(), checked_words(checked, now)),
        AgentView::Unchecked { pod } => ("no check", format!(" of this registry by {pod}")),
        AgentView::Silent(Silence::NoAgent) => ("none", " on this node".to_owned()),
        AgentView::Silent(Silence::NotReady { pod, reason }) => ("not ready", format!(": {pod}, {reason}")),
        AgentView::Silent(Silence::NoReport { pod, reason }) => ("no report", format!(" of {pod}: {reason}")),
        AgentView::Silent(Silence::NotQueried { .. }) => ("not queried", String::new()),
    }
}

/// ` since 2026-11-23T01:54:00Z (12 min), checked 32 s ago: private_zone_not_linked: Nameserver …`
fn checked_words(checked: &CheckedImage, now: Timestamp) -> String {
    let since = match checked.since {
        Some(since) => format!(" since {} ({})", whole_second(since), span(age(since, now))),
        None => String::new(),
    };
    let image = if checked.is_same { "this image".to_owned() } else { checked.image.to_string() };
    let mut words =
        format!("{since} for {image}, checked {} ago by {}", span(age(checked.checked_at, now)), checked.pod);
    if let Some(diagnosis) = &checked.diagnosis {
        words.push_str(&format!(": {} at {}.{}. ", diagnosis.cause, diagnosis.endpoint, diagnosis.stage));
        words.push_str(&diagnosis.message);
    }
    words
}

fn whole_second(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).map_or_else(|_| at.to_string(), |whole| whole.to_string())
}

fn age(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(at)).unwrap_or_default()
}

fn other_reasons(inventory: &Inventory) -> String {
    if inventory.other_reasons.is_empty() {
        return String::new();
    }
    let reasons: Vec<&String> = inventory.other_reasons.keys().collect();
    format!("Its containers wait for another reason: {}.", some_of(&reasons, MAX_PODS))
}

fn write_registries<W: Write>(page: &mut Page<'_, W>, discovery: &Discovery) -> io::Result<()> {
    let inventory = &discovery.inventory;
    if inventory.registries.is_empty() {
        return Ok(());
    }
    page.heading(Tone::Strong, "Registries in use")?;
    let mut rows: Vec<(bool, Row)> = Vec::new();
    for (registry, used) in &inventory.registries {
        let checked = discovery.coverage.of(registry);
        let (mark, words) = match checked {
            None => (Mark::Unclear, "unknown".to_owned()),
            Some(None) => (Mark::Warning, "no".to_owned()),
            Some(Some(verdict)) => (verdict.into(), format!("yes ({verdict})")),
        };
        let numbers = [used.images, used.pods, used.nodes.len(), used.waiting_pods];
        let cells = std::iter::once(registry.clone()).chain(numbers.map(|number| number.to_string()));
        rows.push((checked != Some(None), Row { cells: cells.collect(), mark: Some(mark), words }));
    }
    // Those that no agent checks first.
    rows.sort_by(|(one, this), (other, that)| (one, &this.cells).cmp(&(other, &that.cells)));
    let table = Table {
        headings: vec!["registry", "images", "pods", "nodes", "waiting", "checked by the agents"],
        rows: rows.into_iter().map(|(_, row)| row).collect(),
    };
    table.write(page)?;
    page.gap()
}

fn write_images<W: Write>(page: &mut Page<'_, W>, inventory: &Inventory) -> io::Result<()> {
    if inventory.images.is_empty() {
        return Ok(());
    }
    page.heading(Tone::Strong, "Images in use")?;
    let mut images: Vec<(&String, &ImageUse)> = inventory.images.iter().collect();
    images.sort_by_key(|(image, used)| (std::cmp::Reverse((used.pods, used.workloads)), *image));
    let has_workloads = inventory.workloads > 0;
    let rows = images.into_iter().map(|(image, used)| {
        let mut cells = vec![short(image), used.pods.to_string(), used.nodes.len().to_string()];
        cells.push(used.waiting_pods.to_string());
        if has_workloads {
            cells.push(used.workloads.to_string());
        }
        Row { cells, mark: None, words: pull_secrets(used) }
    });
    let mut headings = vec!["image", "pods", "nodes", "waiting"];
    if has_workloads {
        headings.push("workloads");
    }
    headings.push("pull secrets");
    Table { headings, rows: rows.collect() }.write(page)?;
    page.gap()
}

/// Returns an image with the first digits of its digest; the JSON report has all.
fn short(image: &str) -> String {
    match image.split_once("@sha256:") {
        Some((name, digest)) => format!("{name}@sha256:{}...", digest.get(..12).unwrap_or(digest)),
        None => image.to_owned(),
    }
}

fn pull_secrets(used: &ImageUse) -> String {
    let mut names: Vec<String> =
        used.pull_secrets.keys().map(|secret| format!("{}/{}", secret.namespace, secret.name)).collect();
    if names.is_empty() {
        return "none".to_owned();
    }
    if used.without_pull_secret > 0 {
        names.insert(0, format!("none ({})", used.without_pull_secret));
    }
    some_of(&names, MAX_SECRETS)
}

fn write_summary<W: Write>(page: &mut Page<'_, W>, discovery: &Discovery, now: Timestamp) -> io::Result<()> {
    let inventory = &discovery.inventory;
    let scope = match (&discovery.scope.pod, &discovery.scope.namespace) {
        (Some(_), _) | (None, None) => String::new(),
        (None, Some(namespace)) => format!(" in namespace {namespace}"),
    };
    page.paragraph("", 2, &counts(inventory, &scope))?;
    for sentence in limits(inventory) {
        page.paragraph("", 2, &sentence)?;
    }
    if let Some(sentence) = coverage(discovery, now) {
        page.paragraph("", 2, &sentence)?;
    }
    Ok(())
}

fn counts(inventory: &Inventory, scope: &str) -> String {
    let pods = plural(inventory.pods, "Pod");
    if inventory.registries.is_empty() {
        return format!("No Pod{scope} uses an image of an Azure Container Registry ({pods} read).");
    }
    let registries = match inventory.registries.len() {
        1 => "1 registry".to_owned(),
        count => format!("{count} registries"),
    };
    let used = inventory.pods_with_images;
    format!(
        "{used} of {pods}{scope} {} {} of {registries}, on {}.",
        verb_of(used, "use"),
        plural(inventory.images.len(), "image"),
        plural(inventory.nodes.len(), "node"),
    )
}

/// What the counts leave out.
fn limits(inventory: &Inventory) -> Vec<String> {
    let mut sentences = Vec::new();
    let left_out = inventory.left_out;
    if left_out.images > 0 {
        let uses = plural(left_out.images, "use");
        sentences.push(format!("Not listed: {uses} of images beyond the first {}.", inventory.images.len()));
    }
    if left_out.registries > 0 {
        let uses = plural(left_out.registries, "use");
        let kept = inventory.registries.len();
        sentences.push(format!("Not listed: {uses} of registries beyond the first {kept}."));
    }
    if !inventory.invalid.is_empty() {
        let images: Vec<&String> = inventory.invalid.iter().collect();
        let images = some_of(&images, MAX_PODS);
        sentences.push(format!(
            "No kubelet can pull these images, because their references are invalid: {images}."
        ));
    }
    sentences
}

fn coverage(discovery: &Discovery, now: Timestamp) -> Option<String> {
    let namespace = &discovery.agents_namespace;
    let unchecked = discovery.coverage.unchecked(&discovery.inventory).unwrap_or_default();
    match &discovery.coverage {
        Coverage::NotRequested => None,
        Coverage::NoAgents => Some(format!(
            "There is no agent in namespace {namespace}, so no registry is checked. `acr-verifier discover --output values` \
             prints values for the chart."
        )),
        Coverage::Unknown(reason) => {
            Some(format!("Which registries the agents in namespace {namespace} check is unknown: {reason}."))
        }
        Coverage::Reported(checked) => {
            let source = format!(
                "according to {} on node {}, {} ago",
                checked.pod,
                checked.node,
                span(age(checked.checked_at, now))
            );
            if unchecked.is_empty() {
                return Some(format!("The agents check every registry in use, {source}."));
            }
            Some(format!(
                "The agents do not check {}, {source}. `acr-verifier discover --output values` prints values for the chart.",
                some_of(&unchecked, MAX_PODS)
            ))
        }
    }
}
