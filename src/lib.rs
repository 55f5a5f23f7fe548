//! acr-verifier
pub mod address;
pub mod cause;
pub mod config;
pub mod credentials;
pub mod diagnosis;
pub mod image;
pub mod observation;
pub mod probe;
pub mod quote;
pub mod rules;
pub mod secret;
