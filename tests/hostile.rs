//! What hostile peers can make the program do beyond a wrong answer: where it goes, and what it costs.
//!
//! The answers and deliveries themselves are cases of `check`; here they meet the program as a process of its own, and every
//! place where nothing may ever arrive listens and counts.

pub(crate) mod attacks;
pub(crate) mod bombs;
mod crowd;
mod memory;
mod neighbour;
mod places;
pub(crate) mod process;
mod targets;
