//! Parses resolv.conf as Go's resolver does, which containerd and the kubelet use.
//!
//! glibc differs slightly: it requires a keyword at the very start of a line, and accepts an address directly followed by `#`.
//! Go's rules apply here, because they decide which server a pull queries. hickory's parser does not follow them, and reads
//! more than three nameservers.

use std::path::Path;

use crate::address::{DNS_PORT, NameserverAddress};
use crate::config::MAX_NAMESERVERS;
use crate::file;

/// A resolv.conf has a few lines; a larger file is something else.
const MAX_BYTES: u64 = 64 * 1024;
/// The options for queries over TCP only: glibc knows the first, Go all three.
const TCP_ONLY: [&str; 3] = ["use-vc", "usevc", "tcp"];
/// Go's word separators.
const BLANKS: [char; 3] = [' ', '\t', '\r'];

/// The relevant content of a resolv.conf.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::probe) struct ResolvConf {
    /// The first three nameservers: the others are never queried.
    pub(in crate::probe) nameservers: Vec<NameserverAddress>,
    /// Whether they are queried over TCP only.
    pub(in crate::probe) tcp_only: bool,
}

/// Reads a resolv.conf as the node's resolver would. An unreadable file has no nameservers.
pub(in crate::probe) fn read_resolv_conf(path: &Path) -> ResolvConf {
    let text = file::read(path, MAX_BYTES).unwrap_or_default();
    parse(&String::from_utf8_lossy(&text))
}

/// Parses the text of a resolv.conf.
pub(in crate::probe) fn parse(text: &str) -> ResolvConf {
    let mut found = ResolvConf::default();
    // Only a line that starts with the comment sign is a comment; elsewhere the sign is an ordinary word.
    for line in text.split('\n').filter(|line| !line.starts_with([';', '#'])) {
        let mut words = line.split(BLANKS).filter(|word| !word.is_empty());
        match words.next() {
            Some("nameserver") if found.nameservers.len() < MAX_NAMESERVERS => {
                let address = words.next().and_then(|word| NameserverAddress::parse_ip(word, DNS_PORT));
                found.nameservers.extend(address);
            }
            Some("options") => found.tcp_only |= words.any(|word| TCP_ONLY.contains(&word)),
            Some(_) | None => {}
        }
    }
    found
}

#[cfg(test)]
mod tests;
