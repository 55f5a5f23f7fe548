//! The settings of the agent's HTTP server: where it listens, and who may trigger a check.
//!
//! Owns the types and how `node:PORT` becomes addresses. `file::server` reads the section of the file, the environment is an
//! argument.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use super::DEFAULT_PORT;
use super::value::Refusal;

/// Most addresses of a node: Kubernetes knows one for each address family.
const MAX_NODE_ADDRESSES: usize = 8;

/// The settings of the agent's HTTP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where it listens.
    pub address: ListenAddress,
    /// Who may trigger a check.
    pub checks_on_demand: ChecksOnDemand,
}

/// Where a server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenAddress {
    /// At one address, which may be the unspecified one.
    At(SocketAddr),
    /// `node:PORT`: at the addresses of the node, and at the loopback address of each address family. On the host network,
    /// only processes of the node and `kubectl port-forward` reach the latter.
    Node(u16),
}

/// Who may trigger a check with `POST /check`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChecksOnDemand {
    /// Every client.
    Open,
    /// Clients that send the key in this file.
    Key(PathBuf),
    /// No client.
    Disabled,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            address: ListenAddress::At(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), DEFAULT_PORT)),
            checks_on_demand: ChecksOnDemand::Open,
        }
    }
}

impl ListenAddress {
    /// Returns the port.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::At(address) => address.port(),
            Self::Node(port) => port,
        }
    }

    /// The addresses to listen on, those of the node first. `node_ips` is `NODE_IPS`: IP addresses separated by commas, as the
    /// downward API writes `status.hostIPs`.
    ///
    /// # Errors
    /// `node:PORT` without valid addresses of the node: a wider address would be a silent default.
    pub fn resolve(self, node_ips: Option<&str>) -> Result<Vec<SocketAddr>, Refusal> {
        let port = match self {
            Self::At(address) => return Ok(vec![address]),
            Self::Node(port) => port,
        };
        let expected = format!(
            "the IP addresses of the node (status.hostIPs of the downward API), such as 10.224.0.4, because \
             server.address is node:{port}"
        );
        let texts: Vec<&str> = node_ips.into_iter().flat_map(|text| text.split(',')).map(str::trim).collect();
        if texts.is_empty() || texts.len() > MAX_NODE_ADDRESSES {
            let found =
                if texts.is_empty() { "it is not set".to_owned() } else { format!("found {}", texts.len()) };
            return Err(Refusal::unquoted(found, expected));
        }
        let mut addresses: Vec<IpAddr> = Vec::new();
        for text in texts {
            let parsed: Option<IpAddr> = text.parse().ok();
            // The unspecified address means every interface, and a multicast address a group.
            match parsed.filter(|address| !address.is_unspecified() && !address.is_multicast()) {
                Some(address) if addresses.contains(&address) => {}
                Some(address) => addresses.push(address),
                None => return Err(Refusal::new(text, expected)),
            }
        }
        let families: Vec<IpAddr> = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
            .into_iter()
            .filter(|loopback: &IpAddr| addresses.iter().any(|own| own.is_ipv4() == loopback.is_ipv4()))
            .filter(|loopback| !addresses.contains(loopback))
            .collect();
        addresses.extend(families);
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect())
    }
}

/// The address that a server listens on: `node:PORT` for those of the node.
///
/// # Errors
/// The text is not an address with a port.
pub fn listen_address(text: &str) -> Result<ListenAddress, Refusal> {
    let port = text.strip_prefix("node:").filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    let parsed = match port {
        Some(port) => port.parse().ok().map(ListenAddress::Node),
        None => text.parse().ok().map(ListenAddress::At),
    };
    let expected = "an IP address with a port, such as 0.0.0.0:9469 or [::]:9469, or node:9469";
    parsed.ok_or_else(|| Refusal::new(text, expected))
}

#[cfg(test)]
mod tests {
    use super::ListenAddress;

    #[test]
    fn the_addresses_of_a_node_include_loopback_of_their_families() {
        for (node_ips, expected) in [
            ("10.224.0.4", vec!["10.224.0.4:9469", "127.0.0.1:9469"]),
            ("fd00::4", vec!["[fd00::4]:9469", "[::1]:9469"]),
            ("10.224.0.4,fd00::4", vec!["10.224.0.4:9469", "[fd00::4]:9469", "127.0.0.1:9469", "[::1]:9469"]),
            (
                "fd00::4, 10.224.0.4,fd00::4",
                vec!["[fd00::4]:9469", "10.224.0.4:9469", "127.0.0.1:9469", "[::1]:9469"],
            ),
            ("127.0.0.1", vec!["127.0.0.1:9469"]),
        ] {
            let found = ListenAddress::Node(9469).resolve(Some(node_ips)).expect(node_ips);
            assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), expected, "{node_ips}");
        }
        let fixed = ListenAddress::At("0.0.0.0:9469".parse().expect("an address"));
        assert_eq!(fixed.resolve(Some("10.224.0.4")).expect("fixed").len(), 1);
    }

    #[test]
    fn invalid_addresses_of_a_node_are_rejected() {
        let nine = ["10.0.0.1"; 9].join(",");
        for (node_ips, found) in [
            (None, "invalid value for NODE_IPS: it is not set; expected the IP addresses of the node"),
            (Some(""), "invalid value \"\" for NODE_IPS: expected"),
            (Some("10.224.0.4,"), "invalid value \"\" for NODE_IPS: expected"),
            (Some("aks-np1-0"), "invalid value \"aks-np1-0\" for NODE_IPS: expected"),
            (Some("10.224.0.4:9469"), "invalid value \"10.224.0.4:9469\" for NODE_IPS: expected"),
            (Some("[fd00::4]"), "invalid value \"[fd00::4]\" for NODE_IPS: expected"),
            (Some("0.0.0.0"), "invalid value \"0.0.0.0\" for NODE_IPS: expected"),
            (Some("10.224.0.4,::"), "invalid value \"::\" for NODE_IPS: expected"),
            (Some("ff02::1"), "invalid value \"ff02::1\" for NODE_IPS: expected"),
            (Some(nine.as_str()), "invalid value for NODE_IPS: found 9; expected"),
        ] {
            let refusal = ListenAddress::Node(9469).resolve(node_ips).expect_err("no address of a node");
            let message = refusal.about("NODE_IPS");
            assert!(message.starts_with(found), "{message}");
            assert!(message.ends_with("because server.address is node:9469"), "{message}");
        }
    }
}
