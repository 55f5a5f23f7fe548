//! Hostile peers: what they send, how many they are, and what they cost the program.
//!
//! Shared by the suite, which uses small numbers, and the benchmark `hostile`.

pub mod attacks;
pub mod bombs;
pub mod crowd;
pub mod process;
