//! acr-verifier
pub mod address;
pub mod cause;
pub mod config;
pub mod credentials;
pub mod diagnosis;
pub mod image;
pub mod observation;
pub mod report;
pub mod secret;
