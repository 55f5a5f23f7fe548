//! Causes of the stage `address`: where the name leads.

use super::commands::{
    ONE_ZONE_GROUP, connections, create_endpoint, endpoint_addresses, record, show_endpoints, vnet_resolvers,
    zone_group, zone_groups, zone_link,
};
use super::confirm::{ADDRESSES, Confirm, ENDS_PRIVATE, ROUTE};
use super::{CauseInfo, Fix};
use crate::observation::Stage;
use crate::verdict::Severity;

pub(super) const PRIVATE_ZONE_NOT_LINKED: CauseInfo = CauseInfo {
    code: "private_zone_not_linked",
    severity: Severity::Fail,
    stages: &[Stage::Address],
    meaning: "The registry has a private endpoint, but this resolver does not see the private DNS zone and returns the \
              public address.",
    detection: "the chain has a `privatelink` name but the answers are public: this resolver does not see the private zone",
    remedy: "Add a virtual network link from the private DNS zone to the VNet of the resolver that returned the public \
             address, and configure custom DNS servers to forward to 168.63.129.16.",
    commands: |names| {
        let mut commands = vec![names.dig("A")];
        commands.extend(zone_link(names));
        commands.push(vnet_resolvers());
        commands
    },
    at_data: None,
    cautions: &[
        "RESOLVER_VNET_ID is the VNet of the resolver that returned the public address: that of the nodes if they query Azure's \
         resolver, otherwise that of the custom DNS server. A VNet can have a link to only one private DNS zone of a name. If it has \
         one to another `privatelink.azurecr.io`, add the A records to that zone, or move the link.",
        "After that, the VNet resolves all registries with private endpoints from this zone. A registry without a record in it, such \
         as a partner's, no longer resolves.",
    ],
    confirm: Confirm {
        commands: &["dig @NAMESERVER REGISTRY.azurecr.io A", "dig @168.63.129.16 REGISTRY.azurecr.io A"],
        shows: "The answer has a CNAME to a `privatelink` name and then a public address. If Azure's resolver \
                (168.63.129.16) returns the same, the node's VNet has no virtual network link. If it returns a private \
                address, only the VNet of the custom DNS server has none.",
    },
    verify: "Both nameservers return the private endpoint's address.",
};

pub(super) const NO_PRIVATE_ENDPOINT: CauseInfo = CauseInfo {
    code: "no_private_endpoint",
    severity: Severity::Fail,
    stages: &[Stage::Address],
    meaning: "DNS knows of no private endpoint for the registry, so every pull takes the public path.",
    detection: "public answers and no `privatelink` name in the chain",
    remedy: "Create a private endpoint for the registry (which requires the Premium tier), approve its connection and add a \
             private DNS zone group.",
    commands: |names| {
        let mut commands = vec![names.dig("A")];
        commands.extend(names.acr([connections(names), create_endpoint(names)]));
        commands.extend(zone_group(names));
        commands
    },
    at_data: Some(Fix {
        remedy: "Configure the nameserver to answer for the data endpoint from the private DNS zone, as it does for the login \
                 server: add the data endpoint's A record, or forward to 168.63.129.16.",
        commands: |names| {
            let mut commands = vec![names.dig("A"), vnet_resolvers()];
            commands.extend(record(names));
            commands.extend(names.acr([show_endpoints(names), endpoint_addresses()]));
            commands.extend(zone_group(names));
            commands
        },
    }),
    cautions: &[
        "Once the registry has a private endpoint, its public name points to a `privatelink` name. A VNet that is linked to another \
         `privatelink.azurecr.io` zone cannot resolve the registry until that zone has its A records. Nodes that pull through the \
         public endpoint are affected as well.",
        ONE_ZONE_GROUP,
    ],
    confirm: Confirm {
        commands: &[ADDRESSES],
        shows: "The answer is a public address, without a `privatelink` name.",
    },
    verify: ENDS_PRIVATE,
};

pub(super) const MIXED_ADDRESSES: CauseInfo = CauseInfo {
    code: "mixed_addresses",
    severity: Severity::Fail,
    stages: &[Stage::Address],
    meaning: "The name resolves to private and public addresses, so a pull can leave the private path at any time.",
    detection: "public and private answers together; every A and AAAA record of the answer counts, whatever its owner name",
    remedy: "Remove the public A and AAAA records from what the node's nameserver returns, so that only the private \
             endpoint's address is left.",
    commands: |names| {
        let mut commands = vec![names.dig("A"), names.dig("AAAA")];
        commands.extend(record(names));
        commands.extend(names.acr([endpoint_addresses()]));
        commands
    },
    at_data: None,
    cautions: &[],
    confirm: Confirm {
        commands: &["dig @NAMESERVER REGISTRY.azurecr.io A", "dig @NAMESERVER REGISTRY.azurecr.io AAAA"],
        shows: "The two answers together have private and public addresses.",
    },
    verify: "All addresses are private.",
};

pub(super) const UNEXPECTED_ADDRESS: CauseInfo = CauseInfo {
    code: "unexpected_address",
    severity: Severity::Fail,
    stages: &[Stage::Address],
    meaning: "The name resolves to a private address, but not to the expected private endpoint's: the A record is stale, \
              belongs to another name, or another private endpoint has overwritten it.",
    detection: "private, but outside every expected CIDR, or not an expected address of this name",
    remedy: "Find out which private endpoint has the address; then correct the A record if it is stale, or use a separate private \
             DNS zone for each private endpoint of the registry.",
    commands: |names| {
        let mut commands = names.dig_wrong();
        commands.extend(record(names));
        commands.extend(names.acr([endpoint_addresses(), connections(names)]));
        commands.extend(names.private(|_, _| [zone_groups()]));
        commands.extend(names.record_changes());
        commands
    },
    at_data: None,
    cautions: &[
        "WRONG_ADDRESS may belong to the private endpoint of another VNet that uses this zone, such as another region's hub: the \
         connections of the registry list its private endpoints. If that one is in use, do not remove its address. Create a zone for \
         this VNet, link it, and add it to the zone group of this VNet's private endpoint. Change the record only if no private \
         endpoint has the address, or if it belongs to another name.",
        "A private endpoint's zone group overwrites the record when the endpoint changes, so a zone can serve only one private \
         endpoint of a registry.",
    ],
    confirm: Confirm {
        commands: &[ADDRESSES, ROUTE],
        shows: "The address is private, but outside the ranges of `privateEndpoint.cidrs` in the configuration, or not one that \
                `privateEndpoint.addresses` has for this name.",
    },
    verify: "The address is within those ranges, or is one of the expected addresses.",
};

/// The remedy for an address that is not an expected one of its name: the expectation may be the stale side.
pub const NOT_OF_ENDPOINT_REMEDY: &str = "Compare the expected addresses with those of the private endpoint's network \
                                          interface, then correct whichever is wrong: the record in the private DNS \
                                          zone, or the expected addresses in the configuration.";

pub(super) const RESERVED_ADDRESS: CauseInfo = CauseInfo {
    code: "reserved_address",
    severity: Severity::Fail,
    stages: &[Stage::Address],
    meaning: "The name resolves to an address that no endpoint can have, as a blocked or sinkholed name does.",
    detection: "loopback, link-local, multicast, unspecified, or 168.63.129.16: no endpoint can have such an address",
    remedy: "Remove the filter or record that makes the node's nameserver return a reserved address.",
    commands: |names| {
        let mut commands = vec![names.dig("A"), names.dig_azure()];
        commands.extend(record(names));
        commands
    },
    at_data: None,
    cautions: &[],
    confirm: Confirm {
        commands: &[ADDRESSES, "grep -i azurecr /etc/hosts"],
        shows: "The address is in 127.0.0.0/8 or 169.254.0.0/16, is 0.0.0.0 or 168.63.129.16, or is a multicast address.",
    },
    verify: "The name resolves to the private endpoint's address.",
};
