//! Whether requests to an API server need a proxy.

use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;

/// Whether kubectl would use a proxy of the environment for a server: never for loopback.
pub(super) fn is_needed(server: &Uri, no_proxy: Option<&str>) -> bool {
    let direct = format!("localhost,127.0.0.0/8,::1,{}", no_proxy.unwrap_or_default());
    Matcher::builder().all("http://proxy").no(direct).build().intercept(server).is_some()
}

#[cfg(test)]
mod tests {
    use super::is_needed;

    #[test]
    fn no_proxy_means_the_same_as_for_kubectl() {
        let aks = "https://aks-1234.privatelink.westeurope.azmk8s.io:443";
        for (server, no_proxy, needed) in [
            (aks, None, true),
            (aks, Some(""), true),
            (aks, Some("example.com"), true),
            (aks, Some("example.com, .azmk8s.io"), false),
            (aks, Some("azmk8s.io"), false),
            (aks, Some("*"), false),
            ("https://10.1.2.3", Some("10.0.0.0/8"), false),
            ("https://10.1.2.3", Some("10.1.2.3"), false),
            ("https://11.1.2.3", Some("10.0.0.0/8"), true),
            ("https://127.0.0.1:6443", None, false),
            ("https://[::1]:6443", None, false),
            ("http://localhost:8001", None, false),
        ] {
            let server_url = server.parse().expect("a URL");
            assert_eq!(is_needed(&server_url, no_proxy), needed, "{server} {no_proxy:?}");
        }
    }
}
