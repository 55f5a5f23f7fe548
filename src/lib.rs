//! # Architecture
//!
//! acr-verifier checks whether a node can pull images from a private Azure Container Registry. If not, it reports one of a
//! closed list of causes and the command that fixes it.
//!
//! Data flows in one direction through these modules:
//!
//! ```text
//! cli, config ──▶ probe ──▶ observation ──▶ rules ──▶ diagnosis ──▶ report
//!  settings        requests   facts           evaluation cause,       output for people
//!                                                        remedy       and machines
//! ```
//!
//! **Reading order.** [`observation`] defines the vocabulary: read it first. [`probe`] fills it stage by stage over real
//! sockets; each protocol step has a file of its own. [`findings`] evaluates names and addresses once: the probe connects
//! only to addresses that it allows. [`rules`] is pure and turns observations and findings into [`diagnosis`] values.
//! [`cause`] is the closed list of causes, with one record for each. [`run`] is the result for all images, [`report`] the
//! only module that renders it, and [`text`] sanitizes untrusted text for it. [`check`] runs one pass; [`cli`] and [`config`]
//! define what to check.
//!
//! [`agent`] runs the same pass continuously: [`schedule`] decides when, [`transition`] which changes to announce, and
//! [`status`] holds the result of the loop. Between two passes far apart it repeats the part without requests, and [`path_check`]
//! decides what follows. Its sinks are [`metrics`], [`events`] and [`server`] with its [`page`]; the loop
//! never waits for a sink. [`check_key`] is the shared key that can limit who triggers a check.
//!
//! [`smoke`] is the gate over all nodes: [`cluster`] queries Kubernetes and the agents, and [`fleet`] combines the results of
//! the nodes without IO. The gate never checks a registry itself: every verdict comes from an agent. [`discover`] uses the same
//! access to list the images in use: [`inventory`] counts them without IO, and compares the kubelets' messages about waiting Pods
//! with the reports of the agents.
//!
//! [`exposure`] is the check from outside: one request to the public endpoint of each registry, which must reject it.
//! [`public_endpoint`] evaluates the answers; causes and rules play no part in it, because nothing is pulled.
//!
//! **Adding a cause.** Four edits: variant, record, rule and case. [`cause`] says where each of them goes.
//!
//! # Invariants
//!
//! - Nothing is sent to an address unless the same check resolved it and classified it as private and expected: only
//!   [`findings`] creates the addresses of a connection. The closed exceptions are Azure's identity endpoints, which
//!   `probe::identity` owns, and [`exposure`], the only command that sends to public addresses: one `GET /v2/` without
//!   credentials to each. Only [`public_endpoint`] creates these addresses, and `probe::public` owns the request.
//!   Credentials go only to the login server's own name, over verified TLS, at that address: no realm, redirect, proxy variable,
//!   IP literal or second answer redirects them.
//! - A detected problem is a value; an `Err` means that the program itself failed. The probe never fails.
//! - Every failure of every step is recorded, and the rules are total over the closed enums: no `_` arm over our own enums.
//! - Everything read from the network is bounded in bytes, count, nesting and time. The failing stage is derived from recorded
//!   marks, never from the text of an error.
//! - DNS is evaluated before addresses, and addresses before anything is sent: a wrong path that happens to work is a failure.
//! - A slow or unavailable sink never delays a check.
//! - Pure modules use no clock, no environment and no network library. A test checks the imports.

pub mod cli;
pub mod config;

pub mod agent;
pub mod check;
pub mod exposure;
pub mod logging;
pub mod pass;
pub mod path_check;
pub mod probe;

pub mod cluster;
pub mod discover;
pub mod fleet;
pub mod inventory;
pub mod smoke;

pub mod acr;
pub mod address;
pub mod check_key;
pub mod credentials;
pub mod image;
pub mod node;
pub mod observation;
pub mod proxy;

pub mod cause;
pub mod diagnosis;
pub mod findings;
pub mod public_endpoint;
pub mod rules;
pub mod run;
pub mod verdict;

pub mod schedule;
pub mod status;
pub mod transition;

pub mod events;
pub mod metrics;
pub mod page;
pub mod report;
pub mod server;
pub mod terminal;
pub mod wire;

pub mod exit;
mod file;
mod output;
pub mod secret;
pub mod text;
