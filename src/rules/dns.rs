//! Turns findings about names and addresses into diagnoses: cause, severity, message and commands.
//!
//! Owns every word of these messages. The evaluation is in `findings`.

use std::net::IpAddr;

use super::diagnosis;
use super::resolvers::{Words, address_list, answer};
use crate::address::{LOCAL_DNS_NAME, NameserverAddress};
use crate::cause::{self, Cause, Names};
use crate::diagnosis::Diagnosis;
use crate::findings::{
    AddressFault, FailedServer, Finding, Findings, NameFindings, Negative, NegativeKind, StaleAnswer,
    StaleEvidence,
};
use crate::image::ImageReference;
use crate::observation::{Endpoint, NodeCache, Rcode, Stage};
use crate::text::words::{list, noun_of, some_of, verb_of};
use crate::verdict::Severity;

/// Maximum number of names in a sentence; the report has all.
const LISTED: usize = 4;

/// Returns the diagnoses of the `dns` and `address` stages of an endpoint.
pub(super) fn diagnoses(
    image: &ImageReference,
    endpoint: Endpoint,
    cache: &NodeCache,
    findings: &Findings,
) -> Vec<Diagnosis> {
    if findings.is_without_nameserver(endpoint) {
        let message =
            "The resolver configuration has no usable nameserver, so no name can be resolved.".to_owned();
        return vec![diagnosis(image, Cause::NoNameserver, (endpoint, Stage::Dns), None, None, message)];
    }
    findings
        .names_of(endpoint)
        .flat_map(|name| {
            let words = Words { cache };
            name.findings.iter().map(move |finding| Name { image, found: name, words }.diagnose(finding))
        })
        .collect()
}

/// One name of an image.
struct Name<'facts> {
    image: &'facts ImageReference,
    found: &'facts NameFindings,
    words: Words<'facts>,
}

impl Name<'_> {
    fn diagnose(&self, finding: &Finding) -> Diagnosis {
        match finding {
            Finding::NotSent(servers) => {
                let diagnosis = self.without_answer(Cause::DnsTimeout, "answered the query for", servers);
                Diagnosis { severity: Severity::Unknown, ..diagnosis }
            }
            Finding::Silent(servers) => {
                self.without_answer(Cause::DnsTimeout, "answered the query for", servers)
            }
            Finding::Unresolved(servers) => {
                self.without_answer(Cause::DnsServerFailure, "could resolve", servers)
            }
            Finding::Negative(negative) => {
                let cause = match negative.kind {
                    NegativeKind::PrivateRecordMissing => Cause::PrivateRecordMissing,
                    NegativeKind::NameNotFound => Cause::NameNotFound,
                    NegativeKind::NotFollowed => Cause::DnsServerFailure,
                };
                self.diagnosis(cause, Stage::Dns, negative.servers.first(), self.negative(negative))
            }
            Finding::Wrong { fault, servers } => {
                let (cause, phrase) = self.address_fault(fault);
                let verb = verb_of(servers.len(), "resolve");
                let message = format!("{} {verb} {} to {phrase}.", self.who(servers), self.found.host);
                let diagnosis = self.diagnosis(cause, Stage::Address, servers.first(), message);
                self.with_record_changes(diagnosis, fault, servers.first())
            }
            Finding::Failing { servers, makes_wait } => self.failing(servers, *makes_wait),
            Finding::Disagreement { groups, unanswered, first } => {
                let answers: Vec<String> = groups.iter().map(|group| self.words.group(group)).collect();
                let mut message =
                    format!("The resolvers disagree about {}: {}.", self.found.host, answers.join("; "));
                if !unanswered.is_empty() {
                    message = format!("{message} {}", self.not_compared(unanswered));
                }
                let diagnosis =
                    |message| self.diagnosis(Cause::ResolversDisagree, Stage::Dns, Some(first), message);
                let cache = self.words.cache;
                if !cache.compared_by_default || !cache.upstreams.is_empty() {
                    return diagnosis(message);
                }
                // Azure's resolver is compared because it usually is the upstream of the cache.
                let message = format!(
                    "{message} The servers that {LOCAL_DNS_NAME} forwards to are not known: if the VNet has custom DNS servers, \
                     its answer may be right."
                );
                Diagnosis { remedy: cause::UPSTREAM_UNKNOWN_REMEDY.to_owned(), ..diagnosis(message) }
            }
            Finding::NotCompared(servers) => {
                let message = self.not_compared(servers);
                let diagnosis = self.diagnosis(Cause::ResolversDisagree, Stage::Dns, first(servers), message);
                let remedy = if self.words.cache.compared_by_default {
                    cause::UPSTREAM_SILENT_REMEDY
                } else {
                    cause::COMPARED_SILENT_REMEDY
                };
                Diagnosis { remedy: remedy.to_owned(), ..diagnosis }
            }
            Finding::StaleCache(stale) => self.stale(stale),
        }
    }

    fn diagnosis(
        &self,
        cause: Cause,
        stage: Stage,
        server: Option<&NameserverAddress>,
        message: String,
    ) -> Diagnosis {
        let NameFindings { endpoint, host, .. } = self.found;
        diagnosis(self.image, cause, (*endpoint, stage), Some(host), server, message)
    }

    fn without_answer(&self, cause: Cause, could: &str, servers: &[FailedServer]) -> Diagnosis {
        let failures = list(&self.words.failed(servers));
        let message = format!("No nameserver {could} {}: {failures}.", self.found.host);
        self.diagnosis(cause, Stage::Dns, first(servers), message)
    }

    /// Describes a negative answer that one or more nameservers gave.
    fn negative(&self, negative: &Negative) -> String {
        let Negative { kind, servers, rcode, zone, privatelink, last } = negative;
        let host = self.found.host.as_str();
        let who = self.who(servers);
        let last = last.as_deref().unwrap_or(host);
        if let (Some(alias), None, Rcode::NOERROR) = (privatelink, zone, *rcode) {
            let stops = if alias == last { String::new() } else { format!(", stopped at {last},") };
            return format!(
                "{who} returned the alias {alias} for {host}{stops} without an address or an SOA record: the alias was \
                 not followed to its end."
            );
        }
        let verb = verb_of(servers.len(), "report");
        let name = match privatelink {
            Some(alias) if alias == last => format!("{last}, the alias of {host},"),
            Some(alias) => format!("{last}, reached from {host} through {alias},"),
            None if last == host => last.to_owned(),
            None => format!("{last}, reached from {host},"),
        };
        let answer = match *rcode {
            Rcode::NXDOMAIN => "does not exist (NXDOMAIN",
            _ => "has no address (NOERROR without an address",
        };
        let zone = zone.as_ref().map(|zone| format!(", from zone {zone}")).unwrap_or_default();
        let meaning = match kind {
            NegativeKind::PrivateRecordMissing => ": the private zone has no record for it",
            NegativeKind::NotFollowed => ": the private zone was not queried, or did not answer",
            NegativeKind::NameNotFound => "",
        };
        format!("{who} {verb} that {name} {answer}{zone}){meaning}.")
    }

    /// Returns the cause of a wrong address, and what the name resolves to.
    fn address_fault(&self, fault: &AddressFault) -> (Cause, String) {
        match fault {
            AddressFault::Reserved(reserved) => {
                let reserved = address_list(reserved);
                let phrase = format!("{reserved}, a reserved address that no registry can have");
                (Cause::ReservedAddress, phrase)
            }
            AddressFault::Mixed { private, public } => {
                let (private, public) = (address_list(private), address_list(public));
                let phrase = format!(
                    "both private and public addresses ({private} and {public}): some pulls leave the private network"
                );
                (Cause::MixedAddresses, phrase)
            }
            AddressFault::NotLinked { public, privatelink } => {
                let public = address_list(public);
                let phrase = format!(
                    "the public address {public}, although the chain includes {privatelink}: this resolver does not see \
                     the private zone"
                );
                (Cause::PrivateZoneNotLinked, phrase)
            }
            AddressFault::NoPrivateEndpoint(public) => {
                let meaning = match self.found.endpoint {
                    Endpoint::Login => "nothing shows that this registry has a private endpoint",
                    Endpoint::Data => "nothing points the data endpoint to the registry's private endpoint",
                };
                let public = address_list(public);
                let phrase = format!(
                    "the public address {public}, without a privatelink name in the chain: {meaning}"
                );
                (Cause::NoPrivateEndpoint, phrase)
            }
            AddressFault::OutsideRanges { addresses, expected } => {
                let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
                let (addresses, expected) = (address_list(addresses), list(&expected));
                let phrase = format!("{addresses}, which is private but outside the expected {expected}");
                (Cause::UnexpectedAddress, phrase)
            }
            AddressFault::NotOfEndpoint { addresses, expected, right, owners } => {
                (Cause::UnexpectedAddress, not_of_endpoint(addresses, expected, right, owners))
            }
        }
    }

    /// Adds what corrects a record that does not have the private endpoint's addresses.
    fn with_record_changes(
        &self,
        diagnosis: Diagnosis,
        fault: &AddressFault,
        server: Option<&NameserverAddress>,
    ) -> Diagnosis {
        let AddressFault::NotOfEndpoint { addresses, expected, right, owners: _ } = fault else {
            return diagnosis;
        };
        let NameFindings { endpoint, host, .. } = self.found;
        // One expected address is enough: an endpoint of another VNet may have the others.
        let missing = if right.is_empty() { expected.as_slice() } else { &[] };
        let names = Names::new(self.image, *endpoint, Some(host), server).changing(missing, addresses);
        Diagnosis {
            remedy: cause::NOT_OF_ENDPOINT_REMEDY.to_owned(),
            commands: diagnosis.cause.commands(&names),
            ..diagnosis
        }
    }

    fn failing(&self, servers: &[FailedServer], makes_wait: bool) -> Diagnosis {
        let queried = self.found.nameservers;
        let consequence = match (makes_wait, queried) {
            (true, 1) => "every pull waits for it",
            (true, _) => "a pull that queries it first waits for it",
            (false, _) => "pulls depend on the others",
        };
        let message = format!(
            "{} of {queried} {} failed for {}: {}; {consequence}.",
            servers.len(),
            noun_of(queried, "nameserver"),
            self.found.host,
            list(&self.words.failed(servers))
        );
        let mut diagnosis = self.diagnosis(Cause::NameserverFailing, Stage::Dns, first(servers), message);
        let mut questions = servers.iter().take(1).flat_map(|failed| &failed.failures);
        if questions.all(|(question, _)| *question == "AAAA") {
            let NameFindings { endpoint, host, .. } = self.found;
            let names = Names::new(self.image, *endpoint, Some(host), first(servers));
            diagnosis.commands = Cause::NameserverFailing.commands(&names.asking("AAAA"));
        }
        diagnosis
    }

    fn stale(&self, stale: &StaleAnswer) -> Diagnosis {
        let host = self.found.host.as_str();
        let cache = format!("{LOCAL_DNS_NAME} ({})", stale.server.short());
        let cached = answer(stale.cached.iter().copied());
        let (message, remedy) = match &stale.evidence {
            StaleEvidence::Replaced(group) => {
                let message = format!(
                    "{cache} returned {cached} for {host} from its cache, and a moment later {}, the answer of {}.",
                    answer(group.addresses.iter().copied()),
                    self.words.resolvers(&group.servers)
                );
                (message, Some(cause::CACHE_RENEWED_REMEDY))
            }
            StaleEvidence::UpstreamDiffers(group) => {
                let lifetime = match stale.ttl {
                    Some(0) => ", although it has expired".to_owned(),
                    Some(ttl) => format!(" for up to {ttl} s"),
                    None => String::new(),
                };
                let message = format!(
                    "{cache} returns {cached} for {host} from its cache{lifetime}, but {}, which it forwards to, {} {}.",
                    self.words.resolvers(&group.servers),
                    verb_of(group.servers.len(), "return"),
                    answer(group.addresses.iter().copied())
                );
                (message, None)
            }
            StaleEvidence::NotRenewed(servers) => {
                let message = format!(
                    "{cache} returned {cached} for {host} after the answer had expired, and did not renew it: {}. Unless a \
                     server that it forwards to answers, it drops the answer within an hour, and pulls fail.",
                    list(&self.words.failed(servers))
                );
                (message, Some(cause::UPSTREAM_SILENT_REMEDY))
            }
        };
        let stage = stale.blocks.unwrap_or(Stage::Dns);
        let mut diagnosis = self.diagnosis(Cause::NodeCacheStale, stage, Some(&stale.server), message);
        if stale.blocks.is_none() {
            diagnosis.severity = Severity::Warn;
        }
        if let Some(remedy) = remedy {
            remedy.clone_into(&mut diagnosis.remedy);
        }
        match &stale.evidence {
            StaleEvidence::UpstreamDiffers(_) => {}
            // Only the query: the cache needs no restart.
            StaleEvidence::Replaced(_) => diagnosis.commands.truncate(1),
            // A restart would drop the last good answer.
            StaleEvidence::NotRenewed(servers) => {
                let names = Names::new(self.image, self.found.endpoint, Some(host), first(servers));
                diagnosis.commands = Cause::DnsTimeout.commands(&names);
            }
        }
        diagnosis
    }

    fn not_compared(&self, servers: &[FailedServer]) -> String {
        let noun = noun_of(servers.len(), "The compared resolver");
        let failures = list(&self.words.failed(servers));
        format!("{noun} {failures} for {}: no comparison was made.", self.found.host)
    }

    /// Names the nameservers, and how many were queried if there are others.
    fn who(&self, servers: &[NameserverAddress]) -> String {
        let names: Vec<String> = servers.iter().map(|server| self.words.nameserver(server)).collect();
        let noun = noun_of(servers.len(), "Nameserver");
        if servers.len() == self.found.nameservers {
            format!("{noun} {}", list(&names))
        } else {
            format!("{noun} {} (of {})", list(&names), self.found.nameservers)
        }
    }
}

fn first(servers: &[FailedServer]) -> Option<&NameserverAddress> {
    servers.first().map(|failed| &failed.server.address)
}

/// Describes addresses that the private endpoint is not expected to have for the name.
fn not_of_endpoint(addresses: &[IpAddr], expected: &[IpAddr], right: &[IpAddr], owners: &[String]) -> String {
    let found = address_list(&[right, addresses].concat());
    let expected_list = address_list(expected);
    let has = match (only_family(addresses), only_family(expected)) {
        (Some(found), Some(family)) if found != family => {
            format!("has only {family} for this name ({expected_list})")
        }
        _ if right.is_empty() => format!("has {expected_list} for this name"),
        _ => format!("has only {expected_list} for this name"),
    };
    let belongs = match (addresses, owners) {
        (_, []) => String::new(),
        ([address], owners) => format!("; {address} belongs to {}", some_of(owners, LISTED)),
        (_, owners) => format!("; at least one of them belongs to {}", some_of(owners, LISTED)),
    };
    let meaning = if owners.is_empty() { "" } else { ": the records may be swapped" };
    format!("{found}, but the private endpoint {has}{belongs}{meaning}")
}

/// Returns the family that all addresses have, if it is the same.
fn only_family(addresses: &[IpAddr]) -> Option<&'static str> {
    let is_v4 = |address: &IpAddr| address.to_canonical().is_ipv4();
    let first = is_v4(addresses.first()?);
    let family = if first { "IPv4" } else { "IPv6" };
    addresses.iter().all(|address| is_v4(address) == first).then_some(family)
}
