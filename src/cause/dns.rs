//! Causes of the stage `dns`: nameservers, names and records.

use super::commands::{
    ONE_ZONE_GROUP, REIMAGE, cache_upstream, endpoint_addresses, node_resolvers, record, reimage,
    security_rules, show_endpoints, vnet_resolvers, zone_group,
};
use super::confirm::{ADDRESSES, Confirm, ENDS_PRIVATE, NAMESERVERS, ONE_NAMESERVER, SHORT_FROM_NAMESERVER};
use super::names::on_node;
use super::{CauseInfo, Fix};
use crate::observation::Stage;
use crate::verdict::Severity;

pub(super) const NO_NAMESERVER: CauseInfo = CauseInfo {
    code: "no_nameserver",
    severity: Severity::Fail,
    stages: &[Stage::Dns],
    meaning: "The node has no nameserver, so it cannot resolve the name of any registry.",
    detection: "resolver configuration without a usable nameserver",
    remedy: "Renew the node's DHCP lease, or reimage the node once the VNet's DNS servers are correct.",
    commands: |_| {
        let mut commands = vec![node_resolvers(), vnet_resolvers()];
        commands.extend(reimage());
        commands
    },
    at_data: None,
    cautions: &[REIMAGE],
    confirm: Confirm {
        commands: &[NAMESERVERS],
        shows: "The file has no `nameserver` line with an address.",
    },
    verify: "The file lists the nameservers of the VNet.",
};

pub(super) const DNS_TIMEOUT: CauseInfo = CauseInfo {
    code: "dns_timeout",
    severity: Severity::Fail,
    stages: &[Stage::Dns],
    meaning: "None of the node's nameservers responds, so a pull waits for DNS and then fails.",
    detection: "no nameserver answered in time (a closed port counts)",
    remedy: "Allow traffic from the node subnet to its nameservers on port 53 over UDP and TCP, or replace the \
             unreachable servers in the VNet's DNS settings.",
    commands: |names| {
        let mut commands = Vec::from(names.dig_again());
        commands.extend([vnet_resolvers(), security_rules()]);
        commands
    },
    at_data: None,
    cautions: &[],
    confirm: Confirm {
        commands: &[ONE_NAMESERVER],
        shows: "`dig` prints `connection timed out` or `connection refused` for every nameserver in /etc/resolv.conf.",
    },
    verify: "Every nameserver returns `status: NOERROR` and the private endpoint's address.",
};

pub(super) const DNS_SERVER_FAILURE: CauseInfo = CauseInfo {
    code: "dns_server_failure",
    severity: Severity::Fail,
    stages: &[Stage::Dns],
    meaning: "The nameservers respond, but with an error or an unusable answer.",
    detection: "SERVFAIL, REFUSED or a malformed answer (a CNAME loop, a truncated answer that TCP does not complete), \
                and no other server answers; or a chain with a `privatelink` name that ends without an address, \
                although no private zone denies it",
    remedy: "Repair the failing nameserver, or configure it to forward to 168.63.129.16 from a VNet that has a virtual \
             network link to the private DNS zone.",
    commands: |names| {
        let mut commands = Vec::from(names.dig_again());
        commands.extend([names.dig_azure(), vnet_resolvers()]);
        commands
    },
    at_data: None,
    cautions: &[],
    confirm: Confirm {
        commands: &["dig @NAMESERVER REGISTRY.azurecr.io A", "dig +tcp @NAMESERVER REGISTRY.azurecr.io A"],
        shows: "`dig` prints `status: SERVFAIL`, `status: REFUSED` or a warning about a malformed message, or gets no \
                answer over TCP.",
    },
    verify: "The nameserver returns `status: NOERROR` and the private endpoint's address.",
};

pub(super) const NAME_NOT_FOUND: CauseInfo = CauseInfo {
    code: "name_not_found",
    severity: Severity::Fail,
    stages: &[Stage::Dns],
    meaning: "The name does not exist for this node, and nothing in DNS points to a private endpoint.",
    detection: "NXDOMAIN (or no address) and no `privatelink` name in the chain",
    remedy: "Correct the login server in the image reference, including the hash of its domain name label and the \
             suffix of its cloud, or recreate the registry if it was deleted.",
    commands: |names| {
        let mut commands = vec![names.dig("A")];
        commands.extend(names.acr([
            format!("az acr show --name {} --query loginServer --output tsv", names.registry()),
            show_endpoints(names),
        ]));
        commands
    },
    at_data: Some(Fix {
        remedy: "Add the data endpoint's A record, with its address at the private endpoint, to the DNS zone that serves the \
                 login server, or configure that nameserver to forward to 168.63.129.16.",
        commands: |names| {
            let mut commands = vec![names.dig("A")];
            commands.extend(record(names));
            commands.extend(names.acr([show_endpoints(names), endpoint_addresses()]));
            commands
        },
    }),
    cautions: &[],
    confirm: Confirm {
        commands: &[ADDRESSES, "dig +trace REGISTRY.azurecr.io A"],
        shows: "`dig` prints `status: NXDOMAIN` or no address, and the answer has no `privatelink` name.",
    },
    verify: ENDS_PRIVATE,
};

pub(super) const PRIVATE_RECORD_MISSING: CauseInfo = CauseInfo {
    code: "private_record_missing",
    severity: Severity::Fail,
    stages: &[Stage::Dns],
    meaning: "The private DNS zone is linked but has no A record for this endpoint, and no other zone may answer for it.",
    detection: "the chain reaches a `privatelink` name that the private zone denies (its SOA, or NXDOMAIN below it)",
    remedy: "Add a private DNS zone group to the private endpoint, which then maintains the A records of the login and \
             data endpoints in the private DNS zone.",
    commands: |names| {
        let mut commands = record(names);
        commands.extend(names.acr([endpoint_addresses()]));
        commands.extend(zone_group(names));
        commands
    },
    at_data: None,
    cautions: &[ONE_ZONE_GROUP],
    confirm: Confirm {
        commands: &[ADDRESSES, "dig REGISTRY.privatelink.azurecr.io A"],
        shows: "The answer has a CNAME to a `privatelink` name, but no address for that name.",
    },
    verify: "The `privatelink` name resolves to the private endpoint's address.",
};

pub(super) const NODE_CACHE_STALE: CauseInfo = CauseInfo {
    code: "node_cache_stale",
    severity: Severity::Fail,
    stages: &[Stage::Dns, Stage::Address],
    meaning: "AKS LocalDNS, the DNS cache of the node, returns an answer that is out of date, because a DNS change has not reached \
              it or its upstream server does not respond.",
    detection: "the cache replaced its answer a moment later by that of the compared resolvers; or all servers that it forwards \
                to return another answer; or its answer has expired (TTL 0), was not renewed, and no compared resolver answers",
    remedy: "Restart AKS LocalDNS on the node, or wait until its cache renews the answer, which takes an hour at most.",
    commands: |names| {
        let mut commands = vec![names.dig("A")];
        commands.extend(cache_upstream(names));
        commands.push(on_node("chroot /host systemctl restart localdns"));
        commands
    },
    at_data: None,
    cautions: &[
        "While AKS LocalDNS restarts, the node queries the VNet's DNS servers directly. Its cache starts empty: an answer that only \
         the cache still had is lost.",
    ],
    confirm: Confirm {
        commands: &[
            "cat /etc/localdns/upstream-dns",
            "dig @169.254.10.10 REGISTRY.azurecr.io A",
            "dig @UPSTREAM REGISTRY.azurecr.io A",
        ],
        shows: "The cache (169.254.10.10) returns a different answer from the servers in the file, or still returns TTL 0 when you \
                query it again.",
    },
    verify: "The cache and its upstream servers return the private endpoint's address, and the TTL of the cache's answer is not 0.",
};

/// The remedy if the cache of the node has renewed its answer in the meantime.
pub const CACHE_RENEWED_REMEDY: &str = "Check again: AKS LocalDNS has renewed its answer since.";

/// The remedy if the servers that the cache of the node forwards to do not answer.
pub const UPSTREAM_SILENT_REMEDY: &str = "Repair the DNS servers that AKS LocalDNS forwards to, and allow traffic from the node \
                                          subnet to them on port 53 over UDP and TCP.";

/// The remedy if the cache of the node differs from Azure's resolver, and may forward elsewhere.
pub const UPSTREAM_UNKNOWN_REMEDY: &str = "Set `resolvers.compare` to the DNS servers of the VNet, or mount the node's \
                                           /etc/localdns, so that AKS LocalDNS is compared with the servers that it forwards to.";

pub(super) const RESOLVERS_DISAGREE: CauseInfo = CauseInfo {
    code: "resolvers_disagree",
    severity: Severity::Warn,
    stages: &[Stage::Dns],
    meaning: "The nameservers return different answers, so the result of a pull depends on which one the node queries; or a \
              compared resolver does not answer, so nothing was compared with it.",
    detection: "the node's nameservers or a compared resolver return different answers, or a compared resolver does not \
                answer",
    remedy: "Configure all of the VNet's DNS servers to forward to the same resolver, one that sees the private DNS zone.",
    commands: |names| vec![names.dig("A"), names.dig_azure(), vnet_resolvers(), node_resolvers()],
    at_data: None,
    cautions: &[],
    confirm: Confirm {
        commands: &[NAMESERVERS, SHORT_FROM_NAMESERVER],
        shows: "The nameservers, queried one by one, return different addresses.",
    },
    verify: "Every nameserver returns the private endpoint's address.",
};

/// The remedy if a compared resolver does not answer.
pub const COMPARED_SILENT_REMEDY: &str = "Allow traffic from the node subnet to the compared resolver on port 53 over UDP \
                                          and TCP, or remove it from `resolvers.compare`.";

pub(super) const NAMESERVER_FAILING: CauseInfo = CauseInfo {
    code: "nameserver_failing",
    severity: Severity::Warn,
    stages: &[Stage::Dns],
    meaning: "One of the node's nameservers does not respond, or fails for A records, so pulls wait for it or depend on the \
              others.",
    detection: "one of the node's nameservers does not respond (after the retries) or fails for A while another answers; \
                an AAAA query that is rejected at once does not count next to a good A answer",
    remedy: "Repair the failing nameserver, or remove it from the VNet's DNS servers and reimage the nodes.",
    commands: |names| {
        let mut commands = Vec::from(names.dig_again());
        commands.push(vnet_resolvers());
        commands.extend(reimage());
        commands
    },
    at_data: None,
    cautions: &[REIMAGE],
    confirm: Confirm {
        commands: &[NAMESERVERS, ONE_NAMESERVER],
        shows: "The nameservers, queried one by one: one times out or returns an error while another answers.",
    },
    verify: "Every nameserver returns `status: NOERROR`.",
};
