//! What each cause means and what mends it.
use crate::cause::Cause;
use crate::image::ImageReference;
use crate::observation::Endpoint;
use std::net::SocketAddr;
pub struct Names;
impl Names {
    pub fn new(_: &ImageReference, _: Endpoint, _: Option<&str>, _: Option<SocketAddr>) -> Self {
        Self
    }
}
pub fn remedy(_: Cause) -> &'static str {
    "Fix it."
}
pub fn commands(_: Cause, _: &Names) -> Vec<String> {
    vec![]
}
