//! The section of an image: verdict, problems and fixes, then its twelve stages and its DNS answers.

use jiff::Timestamp;
use maud::{Markup, html};

use super::{dns, moment, span_of, verdict};
use crate::diagnosis::Diagnosis;
use crate::observation::Endpoint;
use crate::report::{finding, host, not_run, runbook, sentence};
use crate::run::{CheckRun, Extent, ImageResult, StageReport, StageStatus, located_at};
use crate::text::sanitize::{MAX_TEXT, MAX_WORD, pasteable, printable};
use crate::text::words::taken;
use crate::verdict::{Severity, Verdict};

pub(super) fn section(run: &CheckRun, checked: &ImageResult, index: usize, now: Timestamp) -> Markup {
    let id = format!("image-{index}");
    let verdict = checked.verdict();
    html! {
        section.image.(verdict::class(Some(verdict))) id=(id) aria-labelledby={ (id) "-name" } {
            h2 id={ (id) "-name" } {
                (printable(&checked.image.to_string(), MAX_WORD))
                @if let Some(name) = &checked.name { span.name { " (" (printable(name, MAX_WORD)) ")" } }
            }
            p.sentence { (verdict::badge(verdict)) " " (printable(&sentence(run, checked), MAX_TEXT)) }
            (source(checked, now))
            @for (place, diagnosis) in checked.diagnoses.iter().enumerate() {
                (problem(diagnosis, &format!("{id}-problem-{place}")))
            }
            @if run.images.len() > 1 && verdict == Verdict::Pass {
                details {
                    summary { "Stages and DNS answers of " (printable(checked.image.repository(), MAX_WORD)) }
                    (stages(checked))
                    (dns::section(checked))
                }
            } @else {
                (stages(checked))
                (dns::section(checked))
            }
        }
    }
}

/// Which check the result is of, if that is not a whole check of the latest run.
fn source(checked: &ImageResult, now: Timestamp) -> Markup {
    html! {
        @match checked.extent {
            Extent::Path => p.facts {
                "Found by a path check (DNS, address, TCP, TLS), which sends no request."
            },
            Extent::Whole if checked.is_kept => p.facts {
                "Checked whole at " (moment(checked.started_at, now)) ", " (span_of(checked.started_at, now)) " ago."
            },
            Extent::Whole => {}
        }
    }
}

fn problem(diagnosis: &Diagnosis, id: &str) -> Markup {
    let label = match diagnosis.severity {
        Severity::Fail => "Problem",
        Severity::Unknown => "Inconclusive",
        Severity::Warn => "Warning",
    };
    let (endpoint, stage) = located_at(diagnosis);
    html! {
        div.problem.(verdict::class(Some(diagnosis.severity.verdict()))) id=(id) {
            h3 { (label) ": " code { (diagnosis.cause.code()) } " at " (endpoint.as_str()) "." (stage.as_str()) }
            p.message { (printable(&diagnosis.message, MAX_TEXT)) }
            p { strong.fix { "Fix: " } (printable(&diagnosis.remedy, MAX_TEXT)) }
            @for command in &diagnosis.commands { pre.command { code { (pasteable(command)) } } }
            p.more {
                a href=(runbook(diagnosis.cause)) rel="noopener noreferrer" {
                    "Runbook: " (diagnosis.cause.code())
                }
                @if let Some(id) = &diagnosis.correlation_id {
                    span { "Correlation id: " code { (printable(id, MAX_WORD)) } }
                }
            }
        }
    }
}

fn stages(checked: &ImageResult) -> Markup {
    html! {
        h3.stages-head { "Pull stages, " (taken(checked.observation.duration)) }
        @for endpoint in Endpoint::ALL { (stages_of(checked, endpoint)) }
    }
}

/// States the ARIA roles: some browsers drop them when CSS lays a table out differently on a phone.
fn stages_of(checked: &ImageResult, endpoint: Endpoint) -> Markup {
    let reports = checked.stages();
    html! {
        table.stages role="table" {
            caption {
                (endpoint.as_str()) " endpoint "
                code { (printable(host(checked, endpoint).unwrap_or_default(), MAX_WORD)) }
            }
            thead role="rowgroup" {
                tr role="row" {
                    th scope="col" role="columnheader" { "Stage" }
                    th scope="col" role="columnheader" { "Result" }
                    th.time scope="col" role="columnheader" { "Time" }
                    th.found scope="col" role="columnheader" { "Details" }
                }
            }
            tbody role="rowgroup" {
                @for report in reports.iter().filter(|report| report.endpoint == endpoint) {
                    (stage(checked, report))
                }
            }
        }
    }
}

fn stage(checked: &ImageResult, report: &StageReport<'_>) -> Markup {
    let unclear = report.diagnoses.first().is_some_and(|first| first.severity == Severity::Unknown);
    let (class, word, stage_verdict) = match report.status {
        StageStatus::Ok => ("pass", "ok", Some(Verdict::Pass)),
        StageStatus::Warning => ("warn", "warning", Some(Verdict::Warn)),
        StageStatus::Failed if unclear => ("unknown", "unknown", Some(Verdict::Unknown)),
        StageStatus::Failed => ("fail", "failed", Some(Verdict::Fail)),
        StageStatus::Skipped => ("skipped", "skipped", None),
    };
    let mut lines = match report.status {
        StageStatus::Skipped => vec![not_run(checked, report)],
        StageStatus::Ok | StageStatus::Warning | StageStatus::Failed => finding(checked, report),
    };
    if lines.is_empty() {
        lines.extend(report.diagnoses.first().map(|first| first.cause.code().replace('_', " ")));
    }
    html! {
        tr class=(class) role="row" {
            th scope="row" role="rowheader" { (report.stage.as_str()) }
            td.result role="cell" {
                @if let Some(stage_verdict) = stage_verdict { (verdict::icon(Some(stage_verdict))) }
                (word)
            }
            td.time role="cell" { @if let Some(duration) = report.duration { (taken(duration)) } }
            td.found role="cell" { @for line in &lines { div { (printable(line, MAX_TEXT)) } } }
        }
    }
}
