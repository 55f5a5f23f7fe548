//! Text on its way in and out: sanitized, quoted, redacted and worded.
//!
//! Owns everything that protects a reader from untrusted text, and the forms of lists, plurals and durations. The content of
//! messages is up to `rules` and the renderers.

pub(crate) mod encoding;
pub mod quote;
pub mod redact;
pub mod sanitize;
pub mod words;
pub(crate) mod yaml;
