//! Strategies for containerd's settings in the node's own files.

use acr_verifier::observation::Proxied;
use acr_verifier::proxy::{Environment, Proxy, ProxySettings};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{endpoint, words};

fn proxy() -> Proxy {
    let variable = ("HTTPS_PROXY".to_owned(), "http://proxy.contoso.com:3128".to_owned());
    ProxySettings::of(&Environment::from([variable])).proxy().expect("it is one").clone()
}

/// Endpoints behind a proxy, and mirrors.
pub(super) fn facts() -> impl Strategy<Value = (Vec<Proxied>, Vec<String>)> {
    let proxied =
        (endpoint(), words()).prop_map(|(endpoint, host)| Proxied { endpoint, host, proxy: proxy() });
    (vec(proxied, 0..3), vec(words(), 0..3))
}
