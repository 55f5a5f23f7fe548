//! The key `privateEndpoint` of an image: ranges, and the exact addresses of each name.
//!
//! Owns its keys, bounds and conflicts. `endpoint` parses single names and addresses.

use std::net::IpAddr;

use ipnet::IpNet;

use super::super::endpoint;
use super::super::section::{Field, Reader};
use super::super::value::{self, Refusal};
use super::{EMPTY_LIST, read_list};
use crate::address::{ExpectedAddresses, MAX_ADDRESSES, MAX_NAMES};
use crate::image::ImageReference;
use crate::text::quote::quote_value;
use crate::text::yaml::Position;

/// What an image's private endpoint is expected to have.
#[derive(Default)]
pub(super) struct PrivateEndpoint {
    pub(super) ranges: Vec<IpNet>,
    pub(super) addresses: ExpectedAddresses,
    /// The key of the addresses and its position, if it is set.
    at: Option<(String, Position)>,
}

pub(super) fn read(reader: &mut Reader, field: &Field<'_>) -> Option<PrivateEndpoint> {
    let section = reader.section(field, &["cidrs", "addresses"])?;
    let (ranges, addresses) = (section.get("cidrs").cloned(), section.get("addresses").cloned());
    if ranges.is_none() && addresses.is_none() {
        let expected = "cidrs, addresses or both (omit `privateEndpoint` to accept any private address)";
        reader.refuse(field, &Refusal::unquoted("found none of them", expected));
        return None;
    }
    let ranges = ranges.map_or(Some(Vec::new()), |field| read_ranges(reader, &field));
    let at = addresses.as_ref().map(|field| (field.key.clone(), field.node.position));
    let addresses =
        addresses.map_or(Some(ExpectedAddresses::default()), |field| read_addresses(reader, &field));
    Some(PrivateEndpoint { ranges: ranges?, addresses: addresses?, at })
}

fn read_ranges(reader: &mut Reader, field: &Field<'_>) -> Option<Vec<IpNet>> {
    let ranges = read_list(reader, field, "CIDRs", value::cidr)?;
    if ranges.is_empty() {
        // An empty list would silently accept every private address; a faulty template produces one.
        let expected = "at least one CIDR (omit `privateEndpoint` to accept any private address)";
        reader.refuse(field, &Refusal::unquoted(EMPTY_LIST, expected));
        return None;
    }
    Some(ranges)
}

fn read_addresses(reader: &mut Reader, field: &Field<'_>) -> Option<ExpectedAddresses> {
    let entries = reader.entries(field, &["FQDN: [ADDRESS]"])?;
    if entries.is_empty() || entries.len() > MAX_NAMES {
        let found = match entries.len() {
            0 => "found an empty mapping".to_owned(),
            count => format!("found {count} names"),
        };
        reader.refuse(field, &Refusal::unquoted(found, format!("the addresses of 1 to {MAX_NAMES} names")));
        return None;
    }
    let mut all = ExpectedAddresses::default();
    let mut seen = Vec::new();
    let mut is_valid = true;
    for (text, position, field) in entries {
        let name = endpoint::endpoint_name(text);
        match &name {
            Ok(name) if seen.contains(name) => {
                let problem = "expected each name once, whatever its case or final dot";
                reader.refuse_at(position, format!("duplicate key {}: {problem}", quote_value(text)));
            }
            Ok(name) => seen.push(name.clone()),
            Err(refusal) => reader.refuse_at(position, refusal.about(&field.key)),
        }
        let addresses = read_addresses_of_name(reader, &field);
        let (Ok(name), Some(addresses)) = (name, addresses) else {
            is_valid = false;
            continue;
        };
        is_valid &= addresses.iter().all(|address| all.add(&name, *address).is_ok());
    }
    is_valid.then_some(all)
}

fn read_addresses_of_name(reader: &mut Reader, field: &Field<'_>) -> Option<Vec<IpAddr>> {
    let addresses = read_list(reader, field, "addresses", endpoint::remote_endpoint_address)?;
    if addresses.is_empty() || addresses.len() > MAX_ADDRESSES {
        let found = match addresses.len() {
            0 => EMPTY_LIST.to_owned(),
            count => format!("found {count} addresses"),
        };
        reader.refuse(field, &Refusal::unquoted(found, format!("a list of 1 to {MAX_ADDRESSES} addresses")));
        return None;
    }
    Some(addresses)
}

/// Rejects addresses of which the image uses none.
pub(super) fn check_names(
    reader: &mut Reader,
    image: &ImageReference,
    data_endpoints: &[String],
    private_endpoint: &PrivateEndpoint,
) {
    let problem = endpoint::check_names_of(image, data_endpoints, &private_endpoint.addresses);
    if let (Some((key, position)), Err(refusal)) = (&private_endpoint.at, problem) {
        reader.refuse_at(*position, refusal.about(key));
    }
}
