//! The agent's HTTP over real sockets: what each path answers, what clients may and may not do, and the status page.

pub(crate) mod bench;
mod limits;
mod page;
mod paths;
pub(crate) mod states;
