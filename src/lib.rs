//! acr-verifier
pub mod address;
pub mod cause;
pub mod check;
pub mod cli;
pub mod config;
pub mod credentials;
pub mod diagnosis;
pub mod image;
pub mod observation;
pub mod quote;
pub mod report;
pub mod secret;
