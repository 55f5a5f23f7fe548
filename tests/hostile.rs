//! Hostile peers: where they can make the program connect, and what they can make it consume.
//!
//! The wrong responses themselves are cases of `check`. Here they meet the program as a separate process, and every forbidden
//! destination listens and counts connections.

mod forbidden_destinations;
mod memory;
mod neighbour;
mod targets;
