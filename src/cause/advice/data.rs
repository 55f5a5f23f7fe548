//! Advice that differs at the data endpoint: its name comes from the registry, never from the image, and its record stands
//! beside the login server's, which has just answered.

use super::names::Names;
use super::network::{endpoint_addresses, record, show_endpoints, vnet_resolvers, zone_group};
use crate::cause::Cause;

/// What a cause takes at the data endpoint.
struct AtData {
    cause: Cause,
    remedy: &'static str,
    commands: fn(&Names) -> Vec<String>,
}

const AT_DATA: [AtData; 3] = [
    AtData {
        cause: Cause::NameNotFound,
        remedy: "Add the data endpoint's A record, with the private endpoint's address for it, to the DNS zone that answers for \
                 the login server, or make that nameserver forward to 168.63.129.16.",
        commands: |names| {
            let mut commands = vec![names.dig("A")];
            commands.extend(record(names));
            commands.extend(names.acr([show_endpoints(names), endpoint_addresses()]));
            commands
        },
    },
    AtData {
        cause: Cause::NoPrivateEndpoint,
        remedy: "Make the nameserver answer for the data endpoint from the private DNS zone, as for the login server: add the \
                 data endpoint's A record, or forward to 168.63.129.16.",
        commands: |names| {
            let mut commands = vec![names.dig("A"), vnet_resolvers()];
            commands.extend(record(names));
            commands.extend(names.acr([show_endpoints(names), endpoint_addresses()]));
            commands.extend(zone_group(names));
            commands
        },
    },
    AtData {
        cause: Cause::CertificateNameMismatch,
        remedy: "Set the data endpoint's A record to its own address of the private endpoint, which has one for each endpoint; a \
                 wildcard record sends it to the login server's.",
        commands: |names| {
            let mut commands = vec![names.openssl(), names.dig("A")];
            commands.extend(record(names));
            commands.extend(names.acr([endpoint_addresses()]));
            commands
        },
    },
];

/// What fixes a cause at the data endpoint, where it is something else than at the login server.
pub(super) fn remedy(cause: Cause) -> Option<&'static str> {
    AT_DATA.iter().find(|at| at.cause == cause).map(|at| at.remedy)
}

/// What to paste into a shell at the data endpoint, where it is something else than at the login server.
pub(super) fn commands(cause: Cause, names: &Names) -> Option<Vec<String>> {
    AT_DATA.iter().find(|at| at.cause == cause).map(|at| (at.commands)(names))
}
