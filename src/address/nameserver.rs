//! The address of a nameserver, including the zone of a link-local address.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// The port of DNS (RFC 1035, section 4.2).
pub const DNS_PORT: u16 = 53;
/// Longer than any interface name (15 bytes on Linux) or index.
const MAX_SCOPE: usize = 32;

/// The address of a nameserver. A link-local IPv6 address is only meaningful with its interface (RFC 4007, section 6):
/// `fe80::53%eth0`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameserverAddress {
    /// Address and port, without the scope.
    pub socket: SocketAddr,
    /// Name or index of the interface, as written.
    pub scope: Option<String>,
}

impl NameserverAddress {
    /// Parses an IP address with an optional scope, as Go's resolver does in resolv.conf: only IPv6 has a scope.
    #[must_use]
    pub fn parse_ip(text: &str, port: u16) -> Option<Self> {
        let (address, scope) = match text.split_once('%') {
            Some((address, scope)) => (address, Some(scope)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let is_scoped = |scope: &str| address.is_ipv6() && is_scope(scope);
        if !scope.is_none_or(is_scoped) {
            return None;
        }
        Some(Self { socket: SocketAddr::new(address, port), scope: scope.map(str::to_owned) })
    }

    /// The address without the port, for `dig @ADDRESS`; `None` if the scope is not safe in a shell.
    #[must_use]
    pub fn pasteable(&self) -> Option<String> {
        self.scope.as_deref().is_none_or(is_plain).then(|| self.ip_text())
    }

    fn ip_text(&self) -> String {
        let address = self.socket.ip().to_canonical();
        match &self.scope {
            Some(scope) => format!("{address}%{scope}"),
            None => address.to_string(),
        }
    }

    /// The address as an operator writes it, with the port only if it is not 53.
    #[must_use]
    pub fn short(&self) -> String {
        if self.socket.port() == DNS_PORT { self.ip_text() } else { self.to_string() }
    }
}

/// Whether a string can name an interface: the kernel allows nearly any character.
fn is_scope(text: &str) -> bool {
    (1..=MAX_SCOPE).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether a scope can be pasted into a shell unquoted.
fn is_plain(scope: &str) -> bool {
    scope.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'@' | b':'))
}

/// The string is not a valid nameserver address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected an IP address with an optional port, such as 10.0.0.10, 10.0.0.10:5353 or [fe80::53%eth0]:53"
)]
pub struct NameserverAddressError;

impl FromStr for NameserverAddress {
    type Err = NameserverAddressError;

    /// Parses an address with an optional port; IPv6 with a port needs brackets, and port 0 is invalid.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let inside = |text: &str| Some(text.strip_prefix('[')?.strip_suffix(']')?.to_owned());
        let with_port = || {
            let (address, port) = text.rsplit_once(':')?;
            let port = port.parse().ok().filter(|port| *port != 0)?;
            match inside(address) {
                Some(address) => Self::parse_ip(&address, port).filter(|read| read.socket.is_ipv6()),
                None => Self::parse_ip(address, port).filter(|read| read.socket.is_ipv4()),
            }
        };
        let alone = Self::parse_ip(inside(text).as_deref().unwrap_or(text), DNS_PORT);
        alone.or_else(with_port).ok_or(NameserverAddressError)
    }
}

impl From<SocketAddr> for NameserverAddress {
    fn from(socket: SocketAddr) -> Self {
        Self { socket, scope: None }
    }
}

impl fmt::Display for NameserverAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scope {
            Some(scope) => write!(formatter, "[{}%{scope}]:{}", self.socket.ip(), self.socket.port()),
            None => write!(formatter, "{}", self.socket),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::NameserverAddress;

    #[test]
    fn scoped_addresses_parse_and_print() {
        for (text, expected) in [
            ("10.0.0.10", Some(("10.0.0.10:53", "10.0.0.10"))),
            ("fd00::10", Some(("[fd00::10]:53", "fd00::10"))),
            ("fe80::53%eth0", Some(("[fe80::53%eth0]:53", "fe80::53%eth0"))),
            ("fe80::53%2", Some(("[fe80::53%2]:53", "fe80::53%2"))),
            ("fd00::10%eth0.100", Some(("[fd00::10%eth0.100]:53", "fd00::10%eth0.100"))),
            ("fe80::53%", None),
            ("fe80::53%eth0;reboot", Some(("[fe80::53%eth0;reboot]:53", "fe80::53%eth0;reboot"))),
            ("fe80::53%a b", None),
            ("fe80::53%an-interface-with-a-name-of-more-than-32-bytes", None),
            ("10.0.0.10%eth0", None),
            ("010.0.0.10", None),
            ("10.0.0.10#comment", None),
            ("dns.example", None),
            ("", None),
        ] {
            let read = NameserverAddress::parse_ip(text, 53);
            let written = read.map(|address| (address.to_string(), address.short()));
            let expected = expected.map(|(whole, short)| (whole.to_owned(), short.to_owned()));
            assert_eq!(written, expected, "{text:?}");
        }
        let other = NameserverAddress::parse_ip("fe80::53%eth0", 5353).expect("an address");
        assert_eq!(other.short(), "[fe80::53%eth0]:5353");
        assert_eq!(other.pasteable().as_deref(), Some("fe80::53%eth0"));
        let hostile = NameserverAddress::parse_ip("fe80::53%eth0;reboot", 53).expect("an address");
        assert_eq!(hostile.pasteable(), None);
    }
}
