//! The Grafana dashboards: checked against the exported metrics, and tested with a real Prometheus.
//!
//! The package `generate` generates them. No Grafana runs here: `schema` validates the JSON against Grafana's published types,
//! `lint` applies the rules of its linter, and `proof` runs every query on a Prometheus that scrapes real agents.

mod lint;
pub(crate) mod paging;
mod proof;
mod scale;
mod schema;
mod states;
