//! The catalogue of causes.

use std::io::{self, Write};

use crate::cause::Cause;

/// How the catalogue is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatalogueFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For the runbook.
    Markdown,
}

/// Writes the catalogue.
///
/// # Errors
/// What the writer says.
pub fn write(_format: CatalogueFormat, out: &mut impl Write) -> io::Result<()> {
    Cause::ALL.iter().try_for_each(|cause| writeln!(out, "{cause}"))
}
