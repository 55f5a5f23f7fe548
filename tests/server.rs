//! The agent's HTTP server over real sockets: responses of each path, limits for clients, and the status page.

pub(crate) mod bench;
mod limits;
mod on_demand;
mod page;
mod paths;
pub(crate) mod states;
