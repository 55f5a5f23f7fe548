//! The DNS answers: each nameserver's chain, hop by hop, next to the others.

use maud::{Markup, html};

use crate::acr::is_in_private_zone;
use crate::address::Scope;
use crate::observation::{Endpoint, RecordData, Resolution, Resolver, Stage};
use crate::report::{ending, host, records, scope, server};
use crate::run::{ImageResult, StageStatus};
use crate::text::sanitize::{MAX_TEXT, MAX_WORD, printable};
use crate::text::words::{plural, taken};

/// Hops of a chain to show: ACR's longest real chain; the rest is folded.
const SHOWN_HOPS: usize = 8;

pub(super) fn section(checked: &ImageResult) -> Markup {
    let resolutions = &checked.observation.resolutions;
    html! {
        @for endpoint in Endpoint::ALL {
            @let asked: Vec<_> = resolutions.iter().filter(|asked| asked.endpoint == endpoint).collect();
            @if !asked.is_empty() {
                details.names open[is_of_interest(checked, endpoint)] {
                    summary {
                        "DNS answers of " (plural(asked.len(), "nameserver")) " for the " (endpoint.as_str()) " endpoint "
                        code { (printable(host(checked, endpoint).unwrap_or_default(), MAX_WORD)) }
                    }
                    ul.servers { @for resolution in asked { li { (answer(checked, resolution)) } } }
                }
            }
        }
    }
}

/// Open if the endpoint has a DNS or address problem.
fn is_of_interest(checked: &ImageResult, endpoint: Endpoint) -> bool {
    checked.stages().iter().any(|report| {
        report.endpoint == endpoint
            && matches!(report.stage, Stage::Dns | Stage::Address)
            && matches!(report.status, StageStatus::Failed | StageStatus::Warning)
    })
}

/// A hop of a chain: the record and its target.
struct Hop {
    said: String,
    name: String,
    note: Option<String>,
    is_good: bool,
}

fn answer(checked: &ImageResult, resolution: &Resolution) -> Markup {
    let hops = hops(checked, resolution);
    let (shown, folded) = hops.split_at(hops.len().min(SHOWN_HOPS));
    html! {
        p.server {
            strong { (server(&checked.observation, resolution)) }
            @match resolution.resolver {
                Resolver::System => {}
                Resolver::Compared(_) => { " comparison only" }
            }
            span.time { " " (taken(resolution.duration)) }
        }
        ol.chain {
            li.hop.asked { span.said { "query" } code { (printable(&resolution.host, MAX_WORD)) } }
            @for hop in shown { (step(hop)) }
            @for end in ending(resolution) {
                li.hop.bad { span.said { "ends" } span { (printable(&end, MAX_TEXT)) } }
            }
        }
        @if !folded.is_empty() {
            details {
                summary { (folded.len()) " more" }
                ol.chain { @for hop in folded { (step(hop)) } }
            }
        }
    }
}

fn step(hop: &Hop) -> Markup {
    let class = match &hop.note {
        Some(_) if hop.is_good => "good",
        Some(_) => "bad",
        None => "",
    };
    html! {
        li.hop.(class) {
            span.said { (hop.said) }
            code { (hop.name) }
            @if let Some(note) = &hop.note { span.note { (note) } }
        }
    }
}

fn hops(checked: &ImageResult, resolution: &Resolution) -> Vec<Hop> {
    let host = resolution.host.as_str();
    records(resolution)
        .into_iter()
        .map(|record| match &record.data {
            RecordData::Cname(target) => Hop {
                said: format!("CNAME, ttl {}", record.ttl),
                name: printable(target.trim_end_matches('.'), MAX_WORD),
                note: is_in_private_zone(target).then(|| "private link".to_owned()),
                is_good: true,
            },
            RecordData::Address(address) => Hop {
                said: format!("{}, ttl {}", if address.is_ipv4() { "A" } else { "AAAA" }, record.ttl),
                name: address.to_string(),
                note: Some(scope(checked, host, *address)),
                is_good: checked.policy.classify(host, *address) == Scope::Private,
            },
        })
        .collect()
}
