//! The Helm chart and the manifests rendered from it, without a cluster.
//!
//! Tests what rendered objects must and must not contain, and which values the chart rejects. `tests/cluster` tests their
//! effect in a cluster. Helm, kubectl and the validators are real; if they are unavailable, the tests are reported as skipped.

mod configuration;
mod conflicts;
mod documents;
mod examples;
mod formats;
pub(crate) mod helm;
mod identities;
mod manifests;
mod monitoring;
mod names;
mod nulls;
mod permissions;
mod reference;
mod rejected_values;
mod security;
mod settings;
mod smoke;
pub(crate) mod validators;
