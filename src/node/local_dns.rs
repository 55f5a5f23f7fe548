//! The servers that AKS LocalDNS forwards to.
//!
//! Its start script takes the VNet's DNS servers from the node's resolv.conf before it makes itself the only one there, and
//! writes them into a file: addresses on one line, separated by blanks (`localdns.sh` of AgentBaker).

use super::tree::Tree;
use crate::address::{DNS_PORT, LOCAL_DNS, NameserverAddress};

const UPSTREAM_DNS: &str = "/etc/localdns/upstream-dns";
/// Far above the handful of addresses in the file, in bytes.
const MAX_BYTES: u64 = 4096;
/// CoreDNS forwards to no more servers.
const MAX_UPSTREAMS: usize = 15;

/// Reads the servers; none if the file is absent, unreadable or has another format.
pub(super) fn upstreams(tree: &Tree) -> Vec<NameserverAddress> {
    let text = tree.read(UPSTREAM_DNS, MAX_BYTES).unwrap_or_default();
    parse(&String::from_utf8_lossy(&text))
}

/// Parses the file. A word that is not an address makes it unknown as a whole: a part of the servers would be a wrong answer. The
/// cache itself is not its upstream.
fn parse(text: &str) -> Vec<NameserverAddress> {
    let servers: Option<Vec<NameserverAddress>> =
        text.split_whitespace().map(|word| NameserverAddress::parse_ip(word, DNS_PORT)).collect();
    let is_cache = |server: &NameserverAddress| LOCAL_DNS.iter().any(|own| server.socket.ip() == *own);
    let mut unique: Vec<NameserverAddress> = Vec::new();
    for server in servers.unwrap_or_default() {
        if !is_cache(&server) && !unique.contains(&server) {
            unique.push(server);
        }
    }
    if unique.len() > MAX_UPSTREAMS { Vec::new() } else { unique }
}

#[cfg(test)]
mod tests {
    use super::{parse, upstreams};
    use crate::node::tree::Tree;
    use std::fs;

    #[test]
    fn upstreams_are_the_addresses_of_the_file() {
        let many: String = (1..=16).map(|number| format!("10.0.0.{number} ")).collect();
        for (text, expected) in [
            ("168.63.129.16\n", "168.63.129.16"),
            ("10.60.0.10 10.60.0.11\n", "10.60.0.10 10.60.0.11"),
            ("10.60.0.10\n10.60.0.10\tfd00::53", "10.60.0.10 fd00::53"),
            ("169.254.10.10\n", ""),
            ("169.254.10.10 10.60.0.10", "10.60.0.10"),
            ("10.60.0.10 dns.example", ""),
            ("nameserver 10.60.0.10", ""),
            (&many, ""),
            ("\"\"", ""),
            ("", ""),
        ] {
            let read: Vec<String> = parse(text).iter().map(super::NameserverAddress::short).collect();
            assert_eq!(read.join(" "), expected, "{text:?}");
        }
    }

    #[test]
    fn a_missing_or_oversized_file_has_no_upstream() {
        let root = tempfile::tempdir().expect("a folder");
        let tree = Tree::new(root.path());
        assert_eq!(upstreams(&tree), []);
        fs::create_dir_all(root.path().join("etc/localdns")).expect("a folder");
        let file = root.path().join("etc/localdns/upstream-dns");
        fs::write(&file, "10.60.0.10\n").expect("a file");
        assert_eq!(upstreams(&tree).len(), 1);
        fs::write(&file, " ".repeat(5000)).expect("a file");
        assert_eq!(upstreams(&tree), []);
    }
}
