//! Renders the result of `discover`: for people, for programs, and as values for the chart.
//!
//! The formats are [`text`], [`json`] and [`values`]. What is shown was counted and compared by `inventory`.

pub mod json;
mod table;
pub mod text;
pub mod values;

use std::io::{self, Write};

use clap::ValueEnum;

use super::Style;
use crate::inventory::discovery::Discovery;

/// The output format of a discovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Human-readable text.
    Text,
    /// JSON for programs, with the schema acr-verifier/discover/v1.
    Json,
    /// Values for the chart: the images to check.
    Values,
}

/// Writes a discovery in the given format. Only [`Format::Text`] uses the style.
///
/// # Errors
/// Returns the writer's error.
pub fn write(out: &mut impl Write, discovery: &Discovery, format: Format, style: &Style) -> io::Result<()> {
    match format {
        Format::Text => text::write(out, discovery, style),
        Format::Json => json::write(out, discovery),
        Format::Values => values::write(out, discovery),
    }
}
