//! # Architecture
//!
//! acr-verifier tells whether this machine can pull images from a private Azure Container Registry, and if not, which
//! of a closed list of causes it is and the command that mends it.
//!
//! A check flows one way, and this file list is that way:
//!
//! ```text
//! cli, config ──▶ probe ──▶ observation ──▶ rules ──▶ diagnosis ──▶ report
//!  what is meant   what is    what was seen   what it    cause,       what people and
//!                  asked                      means      remedy       machines read
//! ```
//!
//! **Reading order.** [`observation`] is the vocabulary: read it first. [`probe`] fills it, stage after stage, over
//! real sockets; each protocol step is a file of its own below it. [`rules`] turns it into [`diagnosis`] values, purely.
//! [`cause`] is the closed list, with one record a cause. [`run`] is what came of all images together, [`report`] the only place that
//! knows how it looks, and [`legible`] how somebody else's words are made fit for that.
//! [`check`] puts them together for one pass; [`cli`] and [`config`] say what is to be checked.
//!
//! [`agent`] is the same pass for ever: [`schedule`] says when, [`transition`] what is worth announcing, [`status`] is
//! what the loop leaves behind. Its sinks are [`metrics`], [`events`] and [`server`] with its [`page`]; none of them is
//! ever waited for.
//!
//! [`smoke`] is the gate over all nodes: [`cluster`] asks Kubernetes and the agents, [`fleet`] is the vocabulary of what came of
//! it and, purely, what the nodes amount to together. It never checks a registry itself: every verdict is an agent's.
//!
//! **Where a new cause goes.** Four edits: variant, record, rule and case. [`cause`] says where each of them goes.
//!
//! # Invariants
//!
//! - Nothing is sent to an address that was not resolved in the same check and judged private and expected. Credentials
//!   go to the login server's own name, over verified TLS, at that address, and nowhere else: no realm, redirect, proxy
//!   variable, IP literal or second answer moves them.
//! - A problem that was found is a value; an `Err` means that the program itself could not work. The probe never fails.
//! - Every failure of every step is recorded, and the rules are total over the closed enums: no `_` arm over our own.
//! - Everything read from the network is bounded in bytes, count, nesting and time. Which stage was at fault is known
//!   from marks that were set, never from the text of an error.
//! - DNS is judged before addresses, and addresses before anything is sent: a wrong path that happens to work is a failure.
//! - A sink that is slow or away never delays a check.
//! - The pure modules know no clock, no environment and no library of the network. A test reads the imports.

pub mod cli;
pub mod config;

pub mod agent;
pub mod check;
pub mod logging;
pub mod probe;

pub mod cluster;
pub mod fleet;
pub mod smoke;

pub mod address;
pub mod credentials;
pub mod image;
pub mod node;
pub mod observation;
pub mod proxy;

pub mod cause;
pub mod diagnosis;
pub mod rules;
pub mod run;

pub mod schedule;
pub mod status;
pub mod transition;

pub mod events;
pub mod metrics;
pub mod page;
pub mod report;
pub mod server;
pub mod terminal;

mod file;
pub mod legible;
pub mod quote;
pub mod secret;
