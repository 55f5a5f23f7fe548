//! A resolv.conf as Go's resolver reads it, by which containerd and the kubelet find their nameservers.
//!
//! glibc reads the same file a little otherwise: it wants a keyword at the very start of a line, and takes an address that
//! a `#` follows at once. Where the two differ, what counts is whom a pull asks.

use std::path::Path;

use crate::address::{DNS_PORT, NameserverAddress};
use crate::file;

/// glibc and Go read three `nameserver` lines and no more (`MAXNS` of resolv.conf(5)).
const MAX_NAMESERVERS: usize = 3;
/// A resolv.conf has a few lines; more than this is something else.
const MAX_BYTES: u64 = 64 * 1024;
/// The options that let a node ask over TCP alone: glibc knows the first, Go all three.
const TCP_ALONE: [&str; 3] = ["use-vc", "usevc", "tcp"];
/// What separates the words of a line for Go.
const BLANKS: [char; 3] = [' ', '\t', '\r'];

/// What a resolv.conf says of whom the node asks, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::probe) struct ResolvConf {
    /// The first three nameservers: the others are never asked.
    pub(in crate::probe) nameservers: Vec<NameserverAddress>,
    /// Whether they are asked over TCP alone.
    pub(in crate::probe) tcp_alone: bool,
}

/// What the node's own resolver would take from its resolv.conf.
///
/// A file that cannot be read names no nameserver.
pub(in crate::probe) fn read_resolv_conf(path: &Path) -> ResolvConf {
    let text = file::read(path, MAX_BYTES).unwrap_or_default();
    parse(&String::from_utf8_lossy(&text))
}

/// What a resolv.conf's text says.
pub(in crate::probe) fn parse(text: &str) -> ResolvConf {
    let mut found = ResolvConf::default();
    // A comment is a line that begins with its sign; a sign further on is a word like any other.
    for line in text.split('\n').filter(|line| !line.starts_with([';', '#'])) {
        let mut words = line.split(BLANKS).filter(|word| !word.is_empty());
        match words.next() {
            Some("nameserver") if found.nameservers.len() < MAX_NAMESERVERS => {
                let address = words.next().and_then(|word| NameserverAddress::parse_ip(word, DNS_PORT));
                found.nameservers.extend(address);
            }
            Some("options") => found.tcp_alone |= words.any(|word| TCP_ALONE.contains(&word)),
            Some(_) | None => {}
        }
    }
    found
}

#[cfg(test)]
mod tests;
