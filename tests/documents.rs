//! The documents against the program: commands, links, tables, configuration, samples and shape must be current.
//!
//! Reads every document of the repository through `support::markdown`. What a suite of its own runs stays there: `kubectl` in
//! `events::documents`, `az` in `azure::commands`, values of the chart in `chart::documents`.

mod commands;
mod links;
mod numbers;
mod reference;
pub(crate) mod samples;
mod shape;
