//! Networks of namespaces with Azure's names and addresses, and the servers in them.
//!
//! `network` builds the network, `names` and `registry` run on it, `plugin` finds the credential provider, `process` runs programs, `leftovers` cleans up.

pub mod leftovers;
pub mod local_dns;
pub mod names;
pub mod network;
pub mod plugin;
pub mod process;
pub mod registry;
