//! Decides which proxy a Go client uses, such as containerd or kubectl: the rules of `HTTPS_PROXY` and `NO_PROXY`.
//!
//! Follows `golang.org/x/net/http/httpproxy`, which `net/http` vendors. Other clients interpret the variables differently (curl
//! does not support CIDRs, Python matches by suffix), so only Go's rules apply to containerd. hyper-util's rules, for example, know
//! no ports in `NO_PROXY`. `node` reads the variables.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

use crate::text::sanitize::{MAX_WORD, printable};

/// Maximum number of evaluated `NO_PROXY` entries: AKS writes some twenty, plus one per API server address.
const MAX_ENTRIES: usize = 4096;

/// The environment variables of a process.
pub type Environment = BTreeMap<String, String>;

/// The HTTPS proxy settings of a process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxySettings {
    proxy: Option<Proxy>,
    exceptions: Exceptions,
}

/// A proxy, without user name and password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy(String);

impl Proxy {
    /// Scheme, host and port only, such as `http://proxy.example:3128`, since the rest may be secret.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

/// The destinations that bypass the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Exceptions {
    All,
    Some(Vec<Exception>),
}

impl Default for Exceptions {
    fn default() -> Self {
        Self::Some(Vec::new())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Exception {
    Network(IpNet),
    Address {
        address: IpAddr,
        port: String,
    },
    /// `suffix` starts with a dot.
    Domain {
        suffix: String,
        itself: bool,
        port: String,
    },
}

impl ProxySettings {
    /// Reads the settings; the upper-case variable takes precedence over the lower-case one unless it is empty.
    #[must_use]
    pub fn of(environment: &Environment) -> Self {
        let any = |names: [&str; 2]| {
            names.iter().filter_map(|name| environment.get(*name)).find(|value| !value.is_empty())
        };
        let proxy = any(["HTTPS_PROXY", "https_proxy"]).and_then(|value| parse_proxy(value));
        let exceptions = any(["NO_PROXY", "no_proxy"]).map(|value| Exceptions::of(value)).unwrap_or_default();
        Self { proxy, exceptions }
    }

    /// The proxy for HTTPS, regardless of exceptions.
    #[must_use]
    pub const fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    /// The proxy that a request to this host and port would use.
    #[must_use]
    pub fn for_host(&self, host: &str, port: u16) -> Option<&Proxy> {
        self.proxy.as_ref().filter(|_| self.exceptions.uses_proxy(host, port))
    }
}

/// Parses a URL, or a host with an optional port, for which Go assumes `http://`.
fn parse_proxy(value: &str) -> Option<Proxy> {
    let whole = Url::parse(value).ok().filter(Url::has_host);
    let url = whole.or_else(|| Url::parse(&format!("http://{value}")).ok().filter(Url::has_host))?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let shown = format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default());
    Some(Proxy(printable(&shown, MAX_WORD)))
}

impl Exceptions {
    fn of(value: &str) -> Self {
        let entries: Vec<String> =
            value.split(',').map(|entry| entry.trim().to_lowercase()).take(MAX_ENTRIES).collect();
        if entries.iter().any(|entry| entry == "*") {
            return Self::All;
        }
        Self::Some(entries.iter().filter_map(|entry| exception(entry)).collect())
    }

    fn uses_proxy(&self, host: &str, port: u16) -> bool {
        let host = ascii(&host.trim().to_lowercase());
        let address =
            host.trim_matches(['[', ']']).parse::<IpAddr>().ok().map(|address| address.to_canonical());
        if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
            return false;
        }
        let port = port.to_string();
        match self {
            Self::All => false,
            Self::Some(entries) => !entries.iter().any(|entry| entry.matches(&host, address, &port)),
        }
    }
}

/// Parses one entry; `None` if Go ignores it.
fn exception(entry: &str) -> Option<Exception> {
    if let Ok(network) = entry.parse::<IpNet>() {
        return Some(Exception::Network(network));
    }
    let (host, port) = split_host_port(entry).unwrap_or((entry, ""));
    let port = port.to_owned();
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(Exception::Address { address: address.to_canonical(), port });
    }
    if host.is_empty() {
        return None;
    }
    let host = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
    let (itself, name) = match host.strip_prefix('.') {
        Some(name) => (false, name),
        None => (true, host),
    };
    Some(Exception::Domain { suffix: format!(".{}", ascii(name)), itself, port })
}

impl Exception {
    fn matches(&self, host: &str, address: Option<IpAddr>, port: &str) -> bool {
        let fits = |wanted: &str| wanted.is_empty() || wanted == port;
        match (self, address) {
            (Self::Network(network), Some(address)) => network.contains(&address),
            (Self::Address { address: wanted, port }, Some(address)) => *wanted == address && fits(port),
            (Self::Domain { suffix, itself, port }, None) => {
                (host.ends_with(suffix.as_str()) || (*itself && host == &suffix[1..])) && fits(port)
            }
            (Self::Network(_) | Self::Address { .. }, None) | (Self::Domain { .. }, Some(_)) => false,
        }
    }
}

/// Converts an internationalized name to its DNS form; an invalid one is unchanged.
fn ascii(name: &str) -> String {
    if name.is_ascii() {
        return name.to_owned();
    }
    Host::parse(name).map_or_else(|_| name.to_owned(), |host| host.to_string())
}

/// Go's `net.SplitHostPort`: accepts `host:port` and `[v6]:port`; `None` without a port.
fn split_host_port(text: &str) -> Option<(&str, &str)> {
    let colon = text.rfind(':')?;
    let (host, rest_from) = if let Some(inner) = text.strip_prefix('[') {
        let end = inner.find(']')? + 1;
        if end + 1 != colon {
            return None;
        }
        (&text[1..end], (1, end + 1))
    } else {
        if text[..colon].contains(':') {
            return None;
        }
        (&text[..colon], (0, 0))
    };
    let clean = !text[rest_from.0..].contains('[') && !text[rest_from.1..].contains(']');
    clean.then(|| (host, &text[colon + 1..]))
}

#[cfg(test)]
mod tests {
    use super::{Environment, ProxySettings};
    use proptest::prelude::*;

    const LOGIN: &str = "contoso.azurecr.io";

    fn settings(variables: &[(&str, &str)]) -> ProxySettings {
        let environment: Environment =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        ProxySettings::of(&environment)
    }

    fn is_proxied(no_proxy: &str, host: &str, port: u16) -> bool {
        let settings = settings(&[("HTTPS_PROXY", "http://proxy:3128"), ("NO_PROXY", no_proxy)]);
        settings.for_host(host, port).is_some()
    }

    /// Each row was compared with `httpproxy.Config.ProxyFunc` of golang.org/x/net v0.38.0.
    #[test]
    fn no_proxy_is_interpreted_as_in_go() {
        for (no_proxy, host, port, proxied) in [
            ("", LOGIN, 443, true),
            ("contoso.azurecr.io", LOGIN, 443, false),
            ("CONTOSO.azurecr.io", LOGIN, 443, false),
            (" other.io , contoso.azurecr.io ", LOGIN, 443, false),
            ("azurecr.io", LOGIN, 443, false),
            (".azurecr.io", LOGIN, 443, false),
            ("*.azurecr.io", LOGIN, 443, false),
            (".contoso.azurecr.io", LOGIN, 443, true),
            ("*.contoso.azurecr.io", LOGIN, 443, true),
            ("zurecr.io", LOGIN, 443, true),
            ("*azurecr.io", LOGIN, 443, true),
            ("contoso*", LOGIN, 443, true),
            ("*", LOGIN, 443, false),
            ("other.io,*,", LOGIN, 443, false),
            ("contoso.azurecr.io:443", LOGIN, 443, false),
            ("contoso.azurecr.io:80", LOGIN, 443, true),
            ("contoso.azurecr.io:", LOGIN, 443, false),
            ("contoso.azurecr.io:443", LOGIN, 5443, true),
            ("https://contoso.azurecr.io", LOGIN, 443, true),
            ("contoso.azurecr.io other.io", LOGIN, 443, true),
            ("10.0.0.0/8", LOGIN, 443, true),
            ("10.0.0.0/8", "10.60.4.4", 443, false),
            ("10.60.9.9/8", "10.60.4.4", 443, false),
            ("10.60.4.4", "10.60.4.4", 443, false),
            ("10.60.4.4:443", "10.60.4.4", 5443, true),
            ("10.60.4", "10.60.4.4", 443, true),
            ("10.60.4.*", "10.60.4.4", 443, true),
            ("*.4", "10.60.4.4", 443, true),
            ("fd00::/8", "fd00::4", 443, false),
            ("[fd00::4]:443", "fd00::4", 443, false),
            ("fd00::4", "fd00::4", 443, false),
            ("[fd00::4]", "fd00::4", 443, true),
            (":443", LOGIN, 443, true),
            ("", "localhost", 443, false),
            ("", "127.0.0.9", 443, false),
            ("", "::1", 443, false),
            ("", "localhost.localdomain", 443, true),
            ("größe.example", "xn--gre-6ka8i.example", 443, false),
        ] {
            assert_eq!(is_proxied(no_proxy, host, port), proxied, "NO_PROXY={no_proxy} {host}:{port}");
        }
    }

    #[test]
    fn variables_are_chosen_as_in_go_without_secrets() {
        let shown =
            |variables: &[(&str, &str)]| settings(variables).for_host(LOGIN, 443).map(ToString::to_string);
        for (variables, expected) in [
            (&[][..], None),
            (&[("HTTP_PROXY", "http://proxy:3128")], None),
            (&[("ALL_PROXY", "http://proxy:3128")], None),
            (&[("https_proxy", "http://lower:1")], Some("http://lower:1")),
            (&[("HTTPS_PROXY", "http://upper:1"), ("https_proxy", "http://lower:1")], Some("http://upper:1")),
            (&[("HTTPS_PROXY", ""), ("https_proxy", "http://lower:1")], Some("http://lower:1")),
            (&[("HTTPS_PROXY", "proxy.corp:3128")], Some("http://proxy.corp:3128")),
            (&[("HTTPS_PROXY", "10.0.0.9:3128")], Some("http://10.0.0.9:3128")),
            (&[("HTTPS_PROXY", "proxy")], Some("http://proxy")),
            (&[("HTTPS_PROXY", "socks5://proxy:1080")], Some("socks5://proxy:1080")),
            (
                &[("HTTPS_PROXY", "http://user:hunter2@proxy:1/hunter2?hunter2#hunter2")],
                Some("http://proxy:1"),
            ),
            (&[("HTTPS_PROXY", "user:hunter2@proxy:1")], Some("http://proxy:1")),
            // Go prepends the scheme to an invalid URL and parses the result.
            (&[("HTTPS_PROXY", "http://proxy:port")], Some("http://http")),
            (&[("HTTPS_PROXY", "%zz")], None),
            (&[("HTTPS_PROXY", "h"), ("NO_PROXY", ""), ("no_proxy", LOGIN)], None),
        ] {
            assert_eq!(shown(variables).as_deref(), expected, "{variables:?}");
            assert!(!format!("{:?}", settings(variables)).contains("hunter2"));
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(proxy in ".{0,40}", no_proxy in ".{0,80}", host in ".{0,40}") {
            let settings = settings(&[("HTTPS_PROXY", &proxy), ("NO_PROXY", &no_proxy)]);
            let _ = settings.for_host(&host, 443);
        }
    }
}
