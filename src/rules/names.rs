//! Names and addresses: what every answer of every nameserver means.
//!
//! All of the node's nameservers must be right, not one: the node will ask the other one day. A compared resolver is
//! told where it differs, and never judged.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::{diagnosis, list};
use crate::address::{AddressPolicy, Scope};
use crate::cause::Cause;
use crate::diagnosis::{Diagnosis, Severity};
use crate::image::ImageReference;
use crate::observation::{
    DnsAnswer, DnsFailure, DnsFailureKind, Endpoint, Lookup, Observation, Rcode, RecordData, Resolution,
    Resolver, Stage,
};

/// Addresses that a sentence lists; the report has all.
const LISTED: usize = 4;

/// The diagnoses of the `dns` and `address` stages of an endpoint.
#[must_use]
pub fn judge(
    image: &ImageReference,
    policy: &AddressPolicy,
    endpoint: Endpoint,
    observation: &Observation,
) -> Vec<Diagnosis> {
    if !observation.reached(endpoint, Stage::Dns)
        && !observation.resolutions.iter().any(|seen| seen.endpoint == endpoint)
    {
        return Vec::new();
    }
    let system = observation.resolutions.iter().filter(|seen| seen.resolver == Resolver::System);
    if system.clone().next().is_none() {
        let message = "The resolver configuration has no usable nameserver, so that no name can be resolved."
            .to_owned();
        return vec![diagnosis(image, Cause::NoNameserver, (endpoint, Stage::Dns), None, None, message)];
    }
    let mut hosts: Vec<&str> = Vec::new();
    for seen in system.filter(|seen| seen.endpoint == endpoint) {
        if !hosts.contains(&seen.host.as_str()) {
            hosts.push(&seen.host);
        }
    }
    hosts.into_iter().flat_map(|host| Name { image, policy, endpoint, host }.judge(observation)).collect()
}

/// Whether a stage of an endpoint has failed, so that nothing may be sent to it.
#[must_use]
pub fn stops(diagnoses: &[Diagnosis], stage: Stage) -> bool {
    diagnoses.iter().any(|diagnosis| diagnosis.severity == Severity::Fail && diagnosis.stage == stage)
}

/// One name of an endpoint.
struct Name<'facts> {
    image: &'facts ImageReference,
    policy: &'facts AddressPolicy,
    endpoint: Endpoint,
    host: &'facts str,
}

/// What a nameserver's two answers amount to.
enum Outcome<'facts> {
    /// There are addresses.
    Addresses(Vec<IpAddr>),
    /// It says that there is none.
    NoAddress(&'facts DnsAnswer),
    /// It gave no usable answer.
    Failed(&'facts DnsFailure),
}

/// What can be wrong with a nameserver's addresses; where several are, the first of these counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wrong {
    Reserved,
    Mixed,
    NotLinked,
    NoPrivateEndpoint,
    Unexpected,
}

fn outcome(seen: &Resolution) -> Outcome<'_> {
    let addresses = seen.addresses();
    if !addresses.is_empty() {
        return Outcome::Addresses(addresses);
    }
    match (&seen.a, &seen.aaaa) {
        (Lookup::Answered(answer), Lookup::Answered(_)) => Outcome::NoAddress(answer),
        // A name that does not exist has no record of any type (RFC 2308, section 2.1).
        (Lookup::Answered(answer), Lookup::Failed(_)) | (Lookup::Failed(_), Lookup::Answered(answer))
            if answer.rcode == Rcode::NXDOMAIN =>
        {
            Outcome::NoAddress(answer)
        }
        (Lookup::Failed(failure), _) | (_, Lookup::Failed(failure)) => Outcome::Failed(failure),
    }
}

impl Name<'_> {
    fn judge(&self, observation: &Observation) -> Vec<Diagnosis> {
        let seen: Vec<&Resolution> = observation
            .resolutions
            .iter()
            .filter(|seen| seen.endpoint == self.endpoint && seen.host == self.host)
            .collect();
        let system: Vec<&Resolution> =
            seen.iter().copied().filter(|seen| seen.resolver == Resolver::System).collect();
        let failing: Vec<&Resolution> =
            system.iter().copied().filter(|seen| matches!(outcome(seen), Outcome::Failed(_))).collect();
        let mut diagnoses = Vec::new();
        if failing.len() == system.len() {
            diagnoses.push(self.no_answer(&failing));
            return diagnoses;
        }
        diagnoses.extend(self.no_address(&system));
        diagnoses.extend(self.wrong_addresses(&system));
        diagnoses.extend(self.nameserver_failing(&system));
        diagnoses.extend(self.disagreement(&seen));
        diagnoses
    }

    fn diagnosis(&self, cause: Cause, stage: Stage, server: SocketAddr, message: String) -> Diagnosis {
        diagnosis(self.image, cause, (self.endpoint, stage), Some(self.host), Some(server), message)
    }

    /// No nameserver gave a usable answer.
    fn no_answer(&self, failing: &[&Resolution]) -> Diagnosis {
        let silent = |seen: &Resolution| match outcome(seen) {
            Outcome::Failed(failure) => {
                matches!(failure.kind, DnsFailureKind::Timeout | DnsFailureKind::Unreachable)
            }
            Outcome::Addresses(_) | Outcome::NoAddress(_) => false,
        };
        let told: Vec<String> = failing.iter().map(|seen| describe_failure(seen)).collect();
        let (cause, could) = if failing.iter().all(|seen| silent(seen)) {
            (Cause::DnsTimeout, "answered")
        } else {
            (Cause::DnsServerFailure, "could answer")
        };
        let message = format!("No nameserver {could} for {}: {}.", self.host, list(&told));
        self.diagnosis(cause, Stage::Dns, failing[0].server, message)
    }

    /// Nameservers that say that there is no address: one diagnosis a cause.
    fn no_address(&self, system: &[&Resolution]) -> Vec<Diagnosis> {
        let negative = |cause: Cause| -> Vec<(SocketAddr, &DnsAnswer)> {
            let answers = system.iter().filter_map(|seen| match outcome(seen) {
                Outcome::NoAddress(answer) => Some((seen.server, answer)),
                Outcome::Addresses(_) | Outcome::Failed(_) => None,
            });
            answers.filter(|(_, answer)| self.negative_cause(answer) == cause).collect()
        };
        let mut diagnoses = Vec::new();
        let causes = [
            (Cause::PrivateRecordMissing, ": the private zone has no record for it"),
            (Cause::NameNotFound, ""),
        ];
        for (cause, meaning) in causes {
            let servers = negative(cause);
            let Some((server, answer)) = servers.first() else {
                continue;
            };
            let who =
                servers_of(&servers.iter().map(|(server, _)| *server).collect::<Vec<_>>(), system.len());
            let verb = if servers.len() == 1 { "says" } else { "say" };
            let said = match answer.rcode {
                Rcode::NXDOMAIN => "does not exist (NXDOMAIN",
                _ => "has no address (NOERROR without one",
            };
            let zone = answer
                .soa_owner
                .as_ref()
                .map(|zone| format!(", said by zone {}", zone.trim_end_matches('.')));
            let zone = zone.unwrap_or_default();
            let last = last_name(answer).unwrap_or(self.host);
            let name = match privatelink_name(self.image, answer) {
                Some(alias) if alias == last => format!("{last}, the alias of {},", self.host),
                Some(alias) => format!("{last}, reached from {} through {alias},", self.host),
                None if last == self.host => last.to_owned(),
                None => format!("{last}, reached from {},", self.host),
            };
            let message = format!("{who} {verb} that {name} {said}{zone}){meaning}.");
            diagnoses.push(self.diagnosis(cause, Stage::Dns, *server, message));
        }
        diagnoses
    }

    fn negative_cause(&self, answer: &DnsAnswer) -> Cause {
        if privatelink_name(self.image, answer).is_some() {
            Cause::PrivateRecordMissing
        } else {
            Cause::NameNotFound
        }
    }

    /// Nameservers whose addresses are not those of a private endpoint: one diagnosis a cause.
    fn wrong_addresses(&self, system: &[&Resolution]) -> Vec<Diagnosis> {
        let mut wrong: Vec<(Wrong, Vec<&Resolution>)> = Vec::new();
        for seen in system {
            if let Outcome::Addresses(addresses) = outcome(seen)
                && let Some(what) = self.wrong(seen, &addresses)
            {
                match wrong.iter_mut().find(|(known, _)| *known == what) {
                    Some((_, servers)) => servers.push(seen),
                    None => wrong.push((what, vec![seen])),
                }
            }
        }
        wrong.sort_by_key(|(what, _)| *what);
        wrong.into_iter().map(|(what, servers)| self.wrong_address(what, &servers, system.len())).collect()
    }

    fn wrong(&self, seen: &Resolution, addresses: &[IpAddr]) -> Option<Wrong> {
        let has = |scope| addresses.iter().any(|address| self.policy.classify(*address) == scope);
        if has(Scope::Reserved) {
            return Some(Wrong::Reserved);
        }
        if has(Scope::Public) {
            return Some(if has(Scope::Private) || has(Scope::Unexpected) {
                Wrong::Mixed
            } else if chain_privatelink(self.image, seen).is_some() {
                Wrong::NotLinked
            } else {
                Wrong::NoPrivateEndpoint
            });
        }
        has(Scope::Unexpected).then_some(Wrong::Unexpected)
    }

    fn wrong_address(&self, what: Wrong, servers: &[&Resolution], asked: usize) -> Diagnosis {
        let first = servers[0];
        let who = servers_of(&servers.iter().map(|seen| seen.server).collect::<Vec<_>>(), asked);
        let verb = if servers.len() == 1 { "answers" } else { "answer" };
        let scoped = |scope: Scope| {
            let addresses =
                first.addresses().into_iter().filter(|address| self.policy.classify(*address) == scope);
            listed(addresses)
        };
        let host = self.host;
        let (cause, with) = match what {
            Wrong::Reserved => {
                let address = scoped(Scope::Reserved);
                (Cause::ReservedAddress, format!("{address}, a reserved address where no registry can be"))
            }
            Wrong::Mixed => {
                let addresses = first.addresses().into_iter();
                let private =
                    listed(addresses.filter(|address| self.policy.classify(*address) != Scope::Public));
                let with = format!(
                    "private and public addresses together ({private} and {}): some pulls leave the private network",
                    scoped(Scope::Public)
                );
                (Cause::MixedAddresses, with)
            }
            Wrong::NotLinked => {
                let with = format!(
                    "the public address {} although its chain passes {}: this resolver does not see the private zone",
                    scoped(Scope::Public),
                    chain_privatelink(self.image, first).unwrap_or_default(),
                );
                (Cause::PrivateZoneNotLinked, with)
            }
            Wrong::NoPrivateEndpoint => {
                let with = format!(
                    "the public address {}, and no privatelink name is in the chain: nothing says that this registry \
                     has a private endpoint",
                    scoped(Scope::Public)
                );
                (Cause::NoPrivateEndpoint, with)
            }
            Wrong::Unexpected => {
                let expected: Vec<String> = self.policy.expected.iter().map(ToString::to_string).collect();
                let with = format!(
                    "{}, which is private but outside the expected {}",
                    scoped(Scope::Unexpected),
                    list(&expected)
                );
                (Cause::UnexpectedAddress, with)
            }
        };
        self.diagnosis(cause, Stage::Address, first.server, format!("{who} {verb} {host} with {with}."))
    }

    /// A nameserver that fails beside one that answers, or answers only one of the two questions.
    fn nameserver_failing(&self, system: &[&Resolution]) -> Option<Diagnosis> {
        let failing: Vec<&&Resolution> = system
            .iter()
            .filter(|seen| seen.lookups().iter().any(|lookup| matches!(lookup, Lookup::Failed(_))))
            .collect();
        let first = failing.first()?;
        let told: Vec<String> = failing.iter().map(|seen| describe_failure(seen)).collect();
        let message = format!(
            "Of {} {} for {}, {}: pulls work, and are slow or fail whenever it is asked first.",
            system.len(),
            if system.len() == 1 { "nameserver" } else { "nameservers" },
            self.host,
            list(&told)
        );
        Some(self.diagnosis(Cause::NameserverFailing, Stage::Dns, first.server, message))
    }

    /// Answers that differ, among the node's nameservers or from a compared resolver.
    fn disagreement(&self, seen: &[&Resolution]) -> Option<Diagnosis> {
        let mut answers: Vec<(BTreeSet<IpAddr>, Vec<String>)> = Vec::new();
        for resolution in seen {
            let addresses: BTreeSet<IpAddr> = match outcome(resolution) {
                Outcome::Addresses(addresses) => addresses.iter().map(IpAddr::to_canonical).collect(),
                Outcome::NoAddress(_) => BTreeSet::new(),
                Outcome::Failed(_) => continue,
            };
            let who = match &resolution.resolver {
                Resolver::System => server_text(resolution.server),
                Resolver::Compared(name) => format!("{} ({name})", server_text(resolution.server)),
            };
            match answers.iter_mut().find(|(known, _)| *known == addresses) {
                Some((_, servers)) => servers.push(who),
                None => answers.push((addresses, vec![who])),
            }
        }
        if answers.len() < 2 {
            return None;
        }
        let told: Vec<String> = answers
            .iter()
            .map(|(addresses, servers)| {
                let verb = if servers.len() == 1 { "says" } else { "say" };
                let addresses = if addresses.is_empty() {
                    "that there is no address".to_owned()
                } else {
                    listed(addresses.iter().copied())
                };
                format!("{} {verb} {addresses}", list(servers))
            })
            .collect();
        let message = format!("The resolvers disagree about {}: {}.", self.host, told.join("; "));
        Some(self.diagnosis(Cause::ResolversDisagree, Stage::Dns, seen[0].server, message))
    }
}

/// The first privatelink name of a chain: it says that some private endpoint exists for this registry.
fn privatelink_name<'answer>(image: &ImageReference, answer: &'answer DnsAnswer) -> Option<&'answer str> {
    let zone = format!(".privatelink.{}.", image.acr_suffix()?);
    answer.chain.iter().find_map(|record| match &record.data {
        RecordData::Cname(target) => target.ends_with(&zone).then(|| target.trim_end_matches('.')),
        RecordData::Address(_) => None,
    })
}

fn chain_privatelink(image: &ImageReference, seen: &Resolution) -> Option<String> {
    seen.lookups().into_iter().find_map(|lookup| match lookup {
        Lookup::Answered(answer) => privatelink_name(image, answer).map(str::to_owned),
        Lookup::Failed(_) => None,
    })
}

/// The end of a chain of aliases.
fn last_name(answer: &DnsAnswer) -> Option<&str> {
    answer.chain.iter().rev().find_map(|record| match &record.data {
        RecordData::Cname(target) => Some(target.trim_end_matches('.')),
        RecordData::Address(_) => None,
    })
}

fn listed(addresses: impl Iterator<Item = IpAddr>) -> String {
    let addresses: Vec<String> = addresses.map(|address| address.to_string()).collect();
    if addresses.len() > LISTED {
        return format!("{} and {} more", addresses[..LISTED].join(", "), addresses.len() - LISTED);
    }
    list(&addresses)
}

/// A nameserver as an operator writes it: without the port that all of them have.
fn server_text(server: SocketAddr) -> String {
    if server.port() == 53 { server.ip().to_string() } else { server.to_string() }
}

fn servers_of(servers: &[SocketAddr], asked: usize) -> String {
    let names: Vec<String> = servers.iter().map(|server| server_text(*server)).collect();
    let noun = if servers.len() == 1 { "Nameserver" } else { "Nameservers" };
    if servers.len() == asked {
        format!("{noun} {}", list(&names))
    } else {
        format!("{noun} {} (of {asked})", list(&names))
    }
}

fn describe_failure(seen: &Resolution) -> String {
    let failed: Vec<(&str, &DnsFailure)> = [("A", &seen.a), ("AAAA", &seen.aaaa)]
        .into_iter()
        .filter_map(|(question, lookup)| match lookup {
            Lookup::Failed(failure) => Some((question, failure)),
            Lookup::Answered(_) => None,
        })
        .collect();
    let Some((question, failure)) = failed.first() else {
        return server_text(seen.server);
    };
    let what = match &failure.kind {
        // Whoever looks into it by UDP would find the nameserver well.
        DnsFailureKind::Timeout if seen.tcp_alone => "gave no answer over TCP in time".to_owned(),
        DnsFailureKind::Timeout => "gave no answer in time".to_owned(),
        DnsFailureKind::Unreachable if seen.tcp_alone => "cannot be reached over TCP".to_owned(),
        DnsFailureKind::Unreachable => "cannot be reached".to_owned(),
        DnsFailureKind::Refused(rcode) => format!("answered {rcode}"),
        DnsFailureKind::Malformed => "sent an answer that cannot be parsed".to_owned(),
        DnsFailureKind::TruncatedWithoutTcp => {
            "sent a truncated answer and did not complete it over TCP".to_owned()
        }
        DnsFailureKind::CnameLoop(name) => {
            format!("sent a chain that comes back to {}", name.trim_end_matches('.'))
        }
        DnsFailureKind::ChainTooLong => {
            "sent a chain or a list of addresses that is longer than any real one".to_owned()
        }
    };
    let question = if failed.len() == 1 { format!(" to the {question} question") } else { String::new() };
    let extended: Vec<String> = failure
        .extended_errors
        .iter()
        .map(|error| format!("extended error {} {}", error.code, error.text).trim_end().to_owned())
        .collect();
    let extended = if extended.is_empty() { String::new() } else { format!(" ({})", extended.join(", ")) };
    format!("{} {what}{question}{extended}", server_text(seen.server))
}
