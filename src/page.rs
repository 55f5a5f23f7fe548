//! The agent's status page: one self-contained HTML document, made to be read at three in the morning.
//!
//! Owns the document, its order and its style. No script, no external request, no information by color only. Findings
//! and sentences are those of the report, so the page, the terminal and a ticket agree. Foreign text is cleaned first and
//! escaped by the templates; nothing here writes markup by hand. No clock: the time is an argument.

mod dns;
mod history;
mod image;
mod verdict;

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::time::Duration;

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::run::{CheckRun, ImageResult, located_at};
use crate::status::AgentState;
use crate::text::sanitize::{MAX_TEXT, MAX_WORD, printable};
use crate::text::words::{span, taken};

/// The stylesheet, embedded in the document: the server's content security policy contains its digest.
pub const STYLE: &str = include_str!("page/style.css");

/// Interval of automatic reloads in seconds.
const RELOAD_SECONDS: u32 = 20;
/// Errors of a rejected configuration to show; the log has all of them.
const MAX_PROBLEMS: usize = 20;
/// Delay of a due check after which the page warns about the agent.
const LATE: Duration = Duration::from_secs(60);

/// Whether the page reloads itself. Off by default: a page that changes while it is read is a burden to slow readers and
/// users of screen readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// The page does not reload.
    Off,
    /// The page reloads itself and has a link to stop that.
    On,
}

/// Writes the page.
///
/// # Errors
/// Errors of the writer.
pub fn write(out: &mut impl Write, status: &AgentState, now: Timestamp, reload: Reload) -> io::Result<()> {
    out.write_all(document(status, now, reload).into_string().as_bytes())
}

fn document(status: &AgentState, now: Timestamp, reload: Reload) -> Markup {
    let verdict = status.latest.as_ref().map(|run| run.verdict());
    let node = printable(&status.node, MAX_WORD);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if reload == Reload::On { meta http-equiv="refresh" content=(RELOAD_SECONDS); }
                title { (verdict::word(verdict)) " · " (node) " · acr-verifier" }
                link rel="icon" href=(verdict::favicon(verdict));
                style { (PreEscaped(STYLE)) }
            }
            body class=(verdict::class(verdict)) {
                (masthead(status, &node))
                main {
                    (summary(status, now, reload))
                    (warnings(status, now))
                    @if let Some(run) = &status.latest {
                        @if run.images.len() > 1 { (overview(run)) }
                        @for (index, checked) in worst_first(run) {
                            (image::section(run, checked, index, now))
                        }
                    }
                    (history::section(status, now))
                }
                (colophon(status, now))
            }
        }
    }
}

fn masthead(status: &AgentState, node: &str) -> Markup {
    html! {
        header.masthead {
            span.brand { "acr-verifier" }
            span.node { "on " strong { (node) } ", " (status.network_view.words()) }
        }
    }
}

/// The summary: whether images can be pulled, since when, and how old the result is.
fn summary(status: &AgentState, now: Timestamp, reload: Reload) -> Markup {
    let run = status.latest.as_deref();
    let verdict = run.map(CheckRun::verdict);
    html! {
        section.summary aria-labelledby="verdict" {
            (verdict::icon(verdict))
            div {
                h1 id="verdict" { (verdict::headline(run)) }
                @if let Some(run) = run { (cause(run)) }
                @if let Some(run) = run {
                    p.facts {
                        @if let Some(since) = status.verdict_since {
                            strong { (verdict::word(verdict)) } " since " (moment(since, now))
                            ", for " (span_of(since, now)) ". "
                        }
                        "Last check at " (moment(run.started_at, now)) ", " (span_of(run.started_at, now))
                        " ago, took " (taken(run.duration)) ". Checks run every " (span(status.interval)) "."
                    }
                    (paths(status, now))
                } @else {
                    p.facts {
                        "The agent started at " (moment(status.started_at, now)) ", " (span_of(status.started_at, now))
                        " ago. The first check is running or about to start."
                    }
                }
                (controls(status, reload))
            }
        }
    }
}

/// The path checks since the last whole check: what they cover, how old they are, and what they found.
fn paths(status: &AgentState, now: Timestamp) -> Markup {
    let causes: BTreeSet<&str> =
        status.paths.iter().flat_map(|path| &path.causes).map(|cause| cause.code()).collect();
    html! {
        @if let Some(path) = status.paths.first() {
            p.facts {
                "Path check (DNS, address, TCP, TLS) at " (moment(path.checked_at, now)) ", " (span_of(path.checked_at, now)) " ago: "
                @if !causes.is_empty() {
                    "the path is broken (" @for (place, cause) in causes.iter().enumerate() {
                        @if place > 0 { ", " } code { (cause) }
                    } ")."
                } @else {
                    "the path is open."
                }
                @if status.paths.iter().any(|path| path.is_outdated) { " A whole check follows." }
            }
        }
    }
}

/// The cause of the verdict, if only one image has that verdict: the code used by alerts and the runbook.
fn cause(run: &CheckRun) -> Markup {
    let verdict = run.verdict();
    let mut such = run.images.iter().enumerate().filter(|(_, checked)| checked.verdict() == verdict);
    let only = such.next().filter(|_| such.next().is_none());
    let first = only.and_then(|(index, checked)| checked.diagnoses.first().map(|first| (index, first)));
    html! {
        @if let Some((index, diagnosis)) = first {
            @let (endpoint, stage) = located_at(diagnosis);
            p.cause {
                a href={ "#image-" (index) "-problem-0" } { code { (diagnosis.cause.code()) } }
                " at " (endpoint.as_str()) "." (stage.as_str())
            }
        }
    }
}

/// Links and the form are relative, so they also work behind a proxy that serves the agent under a subpath.
fn controls(status: &AgentState, reload: Reload) -> Markup {
    html! {
        div.controls {
            @if status.has_open_checks {
                form method="post" action="check" { button type="submit" { "Check now" } }
            }
            @match reload {
                Reload::Off => { a href="?reload=on" { "Reload every " (RELOAD_SECONDS) " s" } }
                Reload::On => {
                    span { "Reloads every " (RELOAD_SECONDS) " s." }
                    a href="./" { "Stop reloading" }
                }
            }
        }
    }
}

/// Problems of the agent itself rather than the registry.
fn warnings(status: &AgentState, now: Timestamp) -> Markup {
    let seen = status.latest.as_ref().map_or(status.started_at, |run| run.started_at + run.duration);
    let late = status.due_at.filter(|due| elapsed(*due, now) > LATE);
    html! {
        @if let Some(due) = late {
            section.notice aria-labelledby="late" {
                h2 id="late" { "Stale data" }
                p { "No check has completed for " (span_of(seen, now)) ", although one was due at "
                    (moment(due, now)) ". The agent may be stuck: check its log and " code { "/livez" } "." }
            }
        }
        @if let Some(rejected) = &status.configuration.rejected {
            section.notice aria-labelledby="rejected" {
                h2 id="rejected" { "A newer configuration was rejected" }
                p { "The file read at " (moment(status.configuration.read_at, now))
                    " has errors. The previous configuration stays in force." }
                ul.problems {
                    @for line in rejected.reason.lines().filter(|line| !line.trim().is_empty()).take(MAX_PROBLEMS) {
                        li { code { (printable(line.trim(), MAX_TEXT)) } }
                    }
                }
            }
        }
    }
}

/// The images with their index in the configuration; equal verdicts keep that order.
fn worst_first(run: &CheckRun) -> Vec<(usize, &ImageResult)> {
    let mut images: Vec<_> = run.images.iter().enumerate().collect();
    images.sort_by_key(|(_, checked)| Reverse(checked.verdict()));
    images
}

/// A list of the images, with links to their sections.
fn overview(run: &CheckRun) -> Markup {
    html! {
        nav.overview aria-label="Images" {
            ul {
                @for (index, checked) in worst_first(run) {
                    li class=(verdict::class(Some(checked.verdict()))) {
                        (verdict::badge(checked.verdict()))
                        a href={ "#image-" (index) } { (printable(&checked.image.to_string(), MAX_WORD))
                            @if let Some(name) = &checked.name { " (" (printable(name, MAX_WORD)) ")" }
                        }
                        @if let Some(first) = checked.diagnoses.first() { code { (first.cause.code()) } }
                    }
                }
            }
        }
    }
}

fn colophon(status: &AgentState, now: Timestamp) -> Markup {
    html! {
        footer.colophon {
            @if let Some(digest) = &status.configuration.digest {
                p { "Configuration in force: " code { (digest) } }
            }
            p {
                "Generated at " (moment(now, now)) " by acr-verifier " (env!("CARGO_PKG_VERSION")) ". Machine-readable: "
                a href="report" { "report (JSON)" } ", " a href="metrics" { "metrics" } "."
            }
        }
    }
}

/// Formats a moment: only the time if it is today, otherwise with the date.
fn moment(at: Timestamp, now: Timestamp) -> Markup {
    let day = |moment: Timestamp| moment.strftime("%Y-%m-%d").to_string();
    let form = if day(at) == day(now) { "%H:%M:%S UTC" } else { "%Y-%m-%d %H:%M UTC" };
    html! { time datetime=(at.strftime("%Y-%m-%dT%H:%M:%SZ")) { (at.strftime(form)) } }
}

fn span_of(from: Timestamp, to: Timestamp) -> String {
    span(elapsed(from, to))
}

/// The time between two moments; zero if the clock was set back between them.
fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}
