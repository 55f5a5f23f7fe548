//! Summarises the findings of a stage in a few words.
//!
//! Owns the wording of facts: chains, addresses, issuers, digests. Facts are shown even if they are wrong; the diagnosis
//! explains why.

use std::net::IpAddr;

use super::dns_summary;
use crate::address::{LOCAL_DNS_NAME, Scope};
use crate::observation::{
    Attempt, ConnectFailure, CredentialsUsed, Endpoint, Observation, Rcode, RecordData, Resolution, Resolver,
    Stage,
};
use crate::run::{ImageResult, StageReport, StageStatus};
use crate::text::sanitize::MAX_WORD;
use crate::text::sanitize::printable;
use crate::text::words::any_of;

/// Maximum number of expected addresses or names in a line; the JSON report has all.
pub(super) const LISTED: usize = 4;

/// Returns the lines for a stage: one, or one per nameserver. Empty if there is nothing to report.
pub(crate) fn finding(checked: &ImageResult, report: &StageReport<'_>) -> Vec<String> {
    let observation = &checked.observation;
    match report.stage {
        Stage::Dns => resolutions(observation, report.endpoint),
        Stage::Address => address(checked, report).into_iter().collect(),
        Stage::Connect => connect(observation, report.endpoint).into_iter().collect(),
        Stage::Tls => tls(observation, report.endpoint).into_iter().collect(),
        Stage::Challenge => match report.status {
            StageStatus::Ok | StageStatus::Warning => {
                vec!["bearer challenge, token service on the login server".to_owned()]
            }
            StageStatus::Failed | StageStatus::Skipped => Vec::new(),
        },
        Stage::Token => token(observation).into_iter().collect(),
        Stage::Manifest => manifest(observation).into_iter().collect(),
        Stage::Blob => blob(observation).into_iter().collect(),
    }
}

/// Returns the addresses that the node's own nameservers returned for an endpoint, without duplicates.
pub(super) fn system_addresses(observation: &Observation, endpoint: Endpoint) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for address in system_resolutions(observation, endpoint).flat_map(Resolution::addresses) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

/// Returns the answers of the node's own nameservers for an endpoint.
pub(super) fn system_resolutions(
    observation: &Observation,
    endpoint: Endpoint,
) -> impl Iterator<Item = &Resolution> {
    let is_wanted = move |seen: &&Resolution| seen.endpoint == endpoint && seen.resolver == Resolver::System;
    observation.resolutions.iter().filter(is_wanted)
}

/// Returns the host of an endpoint, if it is known.
pub(crate) fn host(checked: &ImageResult, endpoint: Endpoint) -> Option<&str> {
    match endpoint {
        Endpoint::Login => Some(checked.image.host()),
        Endpoint::Data => {
            let resolutions = &checked.observation.resolutions;
            let served = checked.observation.blob.as_ref().map(|blob| blob.host.as_str());
            served.or_else(|| {
                resolutions
                    .iter()
                    .rfind(|resolution| resolution.endpoint == endpoint)
                    .map(|resolution| resolution.host.as_str())
            })
        }
    }
}

fn resolutions(observation: &Observation, endpoint: Endpoint) -> Vec<String> {
    let of_endpoint = || observation.resolutions.iter().filter(|resolution| resolution.endpoint == endpoint);
    let several_hosts = of_endpoint()
        .any(|resolution| of_endpoint().next().is_some_and(|first| first.host != resolution.host));
    of_endpoint()
        .map(|resolution| {
            let host = if several_hosts {
                format!("{} at ", printable(&resolution.host, MAX_WORD))
            } else {
                String::new()
            };
            format!("{host}{}: {}", server(observation, resolution), chain(resolution))
        })
        .collect()
}

/// Formats a nameserver: its address, the port unless it is 53, and the operator's name for it. The DNS cache of the node has its
/// own.
pub(crate) fn server(observation: &Observation, resolution: &Resolution) -> String {
    let address = printable(&resolution.server.short(), MAX_WORD);
    match &resolution.resolver {
        Resolver::System if observation.node_cache.is_listener(&resolution.server) => {
            format!("{address} ({LOCAL_DNS_NAME})")
        }
        Resolver::System => address,
        Resolver::Compared(name) => format!("{} ({address})", printable(name, MAX_WORD)),
    }
}

/// `contoso.privatelink.azurecr.io → 10.60.4.4 (ttl 10)`: the chain behind the queried name and its end.
fn chain(resolution: &Resolution) -> String {
    let records = dns_summary::records(resolution);
    let mut links: Vec<String> = Vec::new();
    for record in &records {
        if let RecordData::Cname(target) = &record.data {
            links.push(printable(target.trim_end_matches('.'), MAX_WORD));
        }
    }
    links.extend(end_of_chain(resolution));
    let chain = links.join(" → ");
    match dns_summary::trouble(resolution) {
        Some(trouble) if chain.is_empty() => trouble,
        Some(trouble) => format!("{chain}; {trouble}"),
        None => chain,
    }
}

/// Returns the end of a chain: its addresses, or the zone that reported that there are none.
fn end_of_chain(resolution: &Resolution) -> Option<String> {
    let addresses: Vec<String> = resolution.addresses().iter().map(ToString::to_string).collect();
    if addresses.is_empty() {
        return nothing(resolution);
    }
    let ttl = dns_summary::records(resolution).iter().map(|record| record.ttl).min();
    let ttl = ttl.map(|ttl| format!(" (ttl {ttl})")).unwrap_or_default();
    Some(format!("{}{ttl}", addresses.join(", ")))
}

/// `NXDOMAIN from zone privatelink.azurecr.io`: an answer without an address.
fn nothing(resolution: &Resolution) -> Option<String> {
    dns_summary::answered(resolution).next()?;
    if !resolution.addresses().is_empty() {
        return None;
    }
    let end = match dns_summary::rcode(resolution) {
        Some(Rcode::NXDOMAIN) => "NXDOMAIN",
        Some(_) | None => "no address",
    };
    let zone = dns_summary::answered(resolution).find_map(|answer| answer.soa_owner.as_deref());
    let zone = zone.map(|zone| format!(" from zone {}", printable(zone.trim_end_matches('.'), MAX_WORD)));
    Some(format!("{end}{}", zone.unwrap_or_default()))
}

/// Returns what a chain ends in apart from addresses: the negative answer and the failed queries.
pub(crate) fn ending(resolution: &Resolution) -> Vec<String> {
    nothing(resolution).into_iter().chain(dns_summary::trouble(resolution)).collect()
}

/// Classifies each address; a name with expected addresses shows them next to a different one.
fn address(checked: &ImageResult, report: &StageReport<'_>) -> Option<String> {
    let mut words: Vec<String> = Vec::new();
    for resolution in system_resolutions(&checked.observation, report.endpoint) {
        for address in resolution.addresses() {
            let phrase = format!("{address} is {}", scope(checked, &resolution.host, address));
            if !words.contains(&phrase) {
                words.push(phrase);
            }
        }
    }
    let reached = checked.observation.reached(report.endpoint, report.stage);
    (reached && !words.is_empty()).then(|| words.join(", "))
}

/// `private`, `expected`, or `unexpected (expected 10.60.4.5)`: the class of an address that a name resolves to.
pub(crate) fn scope(checked: &ImageResult, host: &str, address: IpAddr) -> String {
    let scope = checked.policy.classify(host, address);
    match (checked.policy.exact.of(host), scope) {
        (None, _) => scope.to_string(),
        (Some(_), Scope::Private) => "expected".to_owned(),
        (Some(expected), Scope::Public | Scope::Reserved | Scope::Unexpected) => {
            let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
            format!("{scope} (expected {})", any_of(&expected, LISTED))
        }
    }
}

fn connect(observation: &Observation, endpoint: Endpoint) -> Option<String> {
    let attempts: Vec<String> = observation
        .attempts
        .iter()
        .filter(|attempt| attempt.endpoint == endpoint)
        .map(|Attempt { address, failure, .. }| match failure {
            None => address.to_string(),
            Some(ConnectFailure::Timeout) => format!("no response from {address}"),
            Some(ConnectFailure::Refused) => format!("{address} refused the connection"),
            Some(ConnectFailure::Unreachable) => format!("no route to {address}"),
            Some(ConnectFailure::NotOpened(error)) => format!("{address} could not be tried: {error}"),
        })
        .collect();
    (!attempts.is_empty()).then(|| attempts.join(", "))
}

fn tls(observation: &Observation, endpoint: Endpoint) -> Option<String> {
    let session = observation.tls_of(endpoint)?;
    let mut words = Vec::new();
    if let Some(version) = session.version {
        words.push(version.as_str().to_owned());
    }
    if let Some(certificate) = &session.certificate {
        words.push(format!("{} by {}", common_name(&certificate.subject), common_name(&certificate.issuer)));
        let until = certificate.not_after.strftime("%Y-%m-%d");
        words.push(format!("until {until}"));
    }
    (!words.is_empty()).then(|| words.join(", "))
}

/// Returns the common name of a distinguished name, or the whole name if it has none.
pub(super) fn common_name(distinguished: &str) -> String {
    let common = distinguished.split(", ").find_map(|part| part.strip_prefix("CN="));
    printable(common.unwrap_or(distinguished), MAX_WORD)
}

fn token(observation: &Observation) -> Option<String> {
    let granted = match observation.token.as_ref()?.pull {
        Some(true) => "granted, with pull on the repository",
        Some(false) => "granted, without pull on the repository",
        None => "granted; its scope cannot be read",
    };
    if observation.credentials == Some(CredentialsUsed::Anonymous) {
        return Some(format!("anonymous: {granted}"));
    }
    if let Some(identity) = &observation.identity {
        return Some(format!("{}: {granted}", identity.name()));
    }
    Some(match observation.credentials_expire_at {
        Some(end) => format!("{granted}; the credentials expire on {}", end.strftime("%Y-%m-%d")),
        None => granted.to_owned(),
    })
}

fn manifest(observation: &Observation) -> Option<String> {
    let manifest = observation.manifest.as_ref()?;
    let platform = manifest.platform.as_deref().map(|platform| format!("{platform}, "));
    let platform = printable(&platform.unwrap_or_default(), MAX_WORD);
    Some(format!("{} ({platform}{} bytes)", printable(&manifest.digest, MAX_WORD), manifest.size))
}

fn blob(observation: &Observation) -> Option<String> {
    let blob = observation.blob.as_ref()?;
    let host = printable(&blob.host, MAX_WORD);
    let digest = printable(&blob.digest, MAX_WORD);
    Some(format!("{digest} ({} from {host})", blob_size(blob.bytes_read, blob.size)))
}

/// `1234 bytes`, or `500 of 1234 bytes`.
pub(super) fn blob_size(read: u64, size: u64) -> String {
    if read == size { format!("{size} bytes") } else { format!("{read} of {size} bytes") }
}
