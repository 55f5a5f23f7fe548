//! The last hour: a strip with one bar per check, and the same data as a table.

use std::time::Duration;

use jiff::Timestamp;
use maud::{Markup, html};

use super::{elapsed, moment, verdict};
use crate::status::{AgentState, Past};
use crate::text::words::{noun_of, plural, span};
use crate::verdict::Verdict;

/// The period that the strip shows.
const SPAN: Duration = Duration::from_secs(60 * 60);
/// The size of the strip in SVG units; it is stretched to the page's width.
const WIDTH: f64 = 1_200.0;
const HEIGHT: f64 = 48.0;
/// Widest bar, so a check every half hour still looks like one check.
const MAX_BAR: f64 = 16.0;
const MIN_BAR: f64 = 1.5;
/// Rows of the table; the newest stretches are kept.
const MAX_ROWS: usize = 40;

/// Consecutive checks with the same verdict and cause.
struct Stretch<'status> {
    first: &'status Past,
    last: &'status Past,
    checks: usize,
}

pub(super) fn section(status: &AgentState, now: Timestamp) -> Markup {
    html! {
        section.history aria-labelledby="history" {
            h2 id="history" { "Last hour" }
            @if status.history.is_empty() {
                p { "No checks yet." }
            } @else {
                (strip(status, now))
                p.axis aria-hidden="true" { span { "60 min ago" } span { "30 min" } span { "now" } }
                p.counts { (counts(status)) }
                (table(status, now))
            }
        }
    }
}

/// The height also shows the verdict: passes are low, failures stand out.
fn strip(status: &AgentState, now: Timestamp) -> Markup {
    let bar = (status.interval.as_secs_f64() / SPAN.as_secs_f64() * WIDTH * 0.75).clamp(MIN_BAR, MAX_BAR);
    html! {
        svg.strip role="img" aria-label={ "One bar per check. " (counts(status)) }
            viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" {
            @for past in &status.history {
                @let age = elapsed(past.at, now).as_secs_f64() / SPAN.as_secs_f64();
                @if age <= 1.0 {
                    @let height = height(past.verdict);
                    rect class=(verdict::class(Some(past.verdict))) x={ (format!("{:.1}", (1.0 - age) * (WIDTH - bar))) }
                        y=(HEIGHT - height) width={ (format!("{bar:.1}")) } height=(height) {}
                }
            }
        }
    }
}

const fn height(verdict: Verdict) -> f64 {
    match verdict {
        Verdict::Pass => 16.0,
        Verdict::Warn => 26.0,
        Verdict::Unknown => 36.0,
        Verdict::Fail => HEIGHT,
    }
}

/// `60 checks: 3 fail, 57 pass.`
fn counts(status: &AgentState) -> String {
    let count = |verdict| status.history.iter().filter(|past| past.verdict == verdict).count();
    let parts: Vec<String> = Verdict::ALL
        .into_iter()
        .rev()
        .filter(|&verdict| count(verdict) > 0)
        .map(|verdict| format!("{} {verdict}", count(verdict)))
        .collect();
    format!("{}: {}.", plural(status.history.len(), "check"), parts.join(", "))
}

/// States its ARIA roles, like the table of the stages.
fn table(status: &AgentState, now: Timestamp) -> Markup {
    let stretches = stretches(status);
    html! {
        table.stretches role="table" {
            caption { "The same data as a table, newest first" }
            thead role="rowgroup" {
                tr role="row" {
                    th scope="col" role="columnheader" { "From" }
                    th.time scope="col" role="columnheader" { "Duration" }
                    th scope="col" role="columnheader" { "Verdict" }
                    th scope="col" role="columnheader" { "Cause" }
                    th.time scope="col" role="columnheader" { "Checks" }
                }
            }
            tbody role="rowgroup" {
                @for stretch in stretches.iter().rev().take(MAX_ROWS) {
                    tr role="row" {
                        th scope="row" role="rowheader" { (moment(stretch.first.at, now)) }
                        td.time role="cell" {
                            (span(elapsed(stretch.first.at, stretch.last.at) + status.interval))
                        }
                        td role="cell" { (verdict::badge(stretch.first.verdict)) }
                        td.cause role="cell" { @if let Some(cause) = stretch.first.cause { code { (cause) } } }
                        td.time role="cell" {
                            (stretch.checks) span.unit { " " (noun_of(stretch.checks, "check")) }
                        }
                    }
                }
            }
        }
    }
}

fn stretches(status: &AgentState) -> Vec<Stretch<'_>> {
    let mut stretches: Vec<Stretch<'_>> = Vec::new();
    for past in &status.history {
        match stretches.last_mut() {
            Some(stretch) if (stretch.first.verdict, stretch.first.cause) == (past.verdict, past.cause) => {
                stretch.last = past;
                stretch.checks += 1;
            }
            Some(_) | None => stretches.push(Stretch { first: past, last: past, checks: 1 }),
        }
    }
    stretches
}
