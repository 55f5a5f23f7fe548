//! Renders the result of `exposure`.
//!
//! Owns the parts that its formats share: the time of an answer, and what the request was. The formats are [`text`], [`json`]
//! and [`junit`]; the sentences about probes and registries are in `public_endpoint`.

pub mod json;
pub mod junit;
pub mod text;

use std::io::{self, Write};

use clap::ValueEnum;
use jiff::Timestamp;

use super::{RUNBOOK, Style};
use crate::public_endpoint::ExposureRun;
use crate::text::words::plural;

/// The output format of the report of `exposure`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Human-readable text.
    Text,
    /// JSON for programs, with the schema acr-verifier/exposure/v1.
    Json,
    /// JUnit XML for the test results of a pipeline.
    Junit,
}

/// Writes a run in the given format. Only [`Format::Text`] uses the style.
///
/// # Errors
/// Returns the writer's error.
pub fn write(out: &mut impl Write, run: &ExposureRun, format: Format, style: &Style) -> io::Result<()> {
    match format {
        Format::Text => text::write(out, run, style),
        Format::Json => json::write(out, run),
        Format::Junit => junit::write(out, run),
    }
}

/// Returns the URL of the runbook's section.
fn runbook() -> String {
    format!("{RUNBOOK}#exposure")
}

/// Rounds down to the second: the time of an answer identifies it in a log.
fn second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// Returns the sentences about what was sent.
fn requested(run: &ExposureRun) -> Vec<String> {
    let sent = run.registries.iter().flat_map(|registry| &registry.probes);
    let sent = sent.filter(|probe| probe.address.is_some()).count();
    let mut sentences = vec![match sent {
        0 => "no request.".to_owned(),
        sent => format!(
            "{}: GET /v2/ without credentials, one for each name and address family.",
            plural(sent, "request")
        ),
    }];
    if let Some(variable) = run.unused_proxy {
        sentences.push(format!("{variable} is set; the proxy was not used."));
    }
    if run.loopback_is_public {
        sentences.push("Loopback addresses were treated as public.".to_owned());
    }
    sentences
}
