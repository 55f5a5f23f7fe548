//! The addresses that a private endpoint has for each of its names.
//!
//! Owns the bounds and the form of the names. The source of the addresses is left to `config`, and the meaning of an answer
//! that has others to `findings`.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// Most names: a registry has at most one login server and two more names for each region.
pub const MAX_NAMES: usize = 256;
/// Most addresses of one name: one for each private endpoint that serves the cluster.
pub const MAX_ADDRESSES: usize = 64;

/// The expected addresses by name. IPv4-mapped IPv6 addresses are kept as IPv4.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExpectedAddresses(BTreeMap<String, Vec<IpAddr>>);

/// There are more names than [`MAX_NAMES`], or more addresses of one name than [`MAX_ADDRESSES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyAddresses;

impl ExpectedAddresses {
    /// Adds an address to a name; an address that the name already has is ignored.
    ///
    /// # Errors
    /// The map or the name is full.
    pub fn add(&mut self, name: &str, address: IpAddr) -> Result<(), TooManyAddresses> {
        let (name, address) = (normalized(name), address.to_canonical());
        if self.0.len() >= MAX_NAMES && !self.0.contains_key(&name) {
            return Err(TooManyAddresses);
        }
        let addresses = self.0.entry(name).or_default();
        if addresses.contains(&address) {
            return Ok(());
        }
        if addresses.len() >= MAX_ADDRESSES {
            return Err(TooManyAddresses);
        }
        addresses.push(address);
        Ok(())
    }

    /// Returns the addresses of a name, in any case and with or without its final dot; never an empty list.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<&[IpAddr]> {
        self.0.get(&normalized(name)).map(Vec::as_slice)
    }

    /// Returns every name in lower case, without its final dot, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Returns every name with its addresses, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[IpAddr])> {
        self.0.iter().map(|(name, addresses)| (name.as_str(), addresses.as_slice()))
    }

    /// Returns the names that have an address, in alphabetical order.
    pub fn owners(&self, address: IpAddr) -> impl Iterator<Item = &str> {
        let address = address.to_canonical();
        self.iter().filter(move |(_, addresses)| addresses.contains(&address)).map(|(name, _)| name)
    }

    /// Returns whether no name has an expected address.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn normalized(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{ExpectedAddresses, MAX_ADDRESSES, MAX_NAMES, TooManyAddresses};

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn names_match_in_any_case_and_with_a_final_dot() {
        let mut expected = ExpectedAddresses::default();
        for name in ["contoso.azurecr.io", "Contoso.AzureCR.io."] {
            expected.add(name, ip("10.60.4.5")).expect("room for one");
        }
        expected.add("contoso.azurecr.io", ip("::ffff:10.60.4.6")).expect("room for two");
        assert_eq!(expected.of("CONTOSO.azurecr.io."), Some(&[ip("10.60.4.5"), ip("10.60.4.6")][..]));
        assert_eq!(expected.of("contoso.westeurope.data.azurecr.io"), None);
        assert_eq!(expected.owners(ip("::ffff:10.60.4.6")).collect::<Vec<_>>(), ["contoso.azurecr.io"]);
        assert_eq!(expected.owners(ip("10.60.4.9")).count(), 0);
    }

    #[test]
    fn names_and_addresses_are_bounded() {
        let mut expected = ExpectedAddresses::default();
        for number in 0..MAX_NAMES {
            expected.add(&format!("registry{number}.azurecr.io"), ip("10.0.0.1")).expect("room for it");
        }
        assert_eq!(expected.add("one.more.azurecr.io", ip("10.0.0.1")), Err(TooManyAddresses));
        for number in 1..=MAX_ADDRESSES {
            expected.add("registry0.azurecr.io", ip(&format!("10.0.0.{number}"))).expect("room for it");
        }
        assert_eq!(expected.add("registry0.azurecr.io", ip("10.0.1.1")), Err(TooManyAddresses));
        assert_eq!(expected.names().count(), MAX_NAMES);
        assert_eq!(expected.of("registry0.azurecr.io").map(<[IpAddr]>::len), Some(MAX_ADDRESSES));
    }
}
