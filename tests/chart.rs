//! The Helm chart and the manifests that are rendered from it, without a cluster.
//!
//! Owns what a rendered object must and must not be, and what the chart refuses. Leaves alone what a cluster makes of them:
//! that takes an API server and nodes. Helm, kubectl and the validators are real; where they cannot be had, the tests are
//! skipped, and say so.

mod configuration;
mod helm;
mod manifests;
mod monitoring;
mod reference;
mod refusals;
mod rights;
mod security;
mod validators;
