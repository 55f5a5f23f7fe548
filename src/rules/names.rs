//! Names and addresses: what every answer of every nameserver means.
//!
//! All of the node's nameservers must be right, not one: the node will ask the other one day. A compared resolver is
//! told where it differs, and never judged.

mod addresses;
mod words;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use self::words::{
    describe_failures, failures, last_name, listed, privatelink_name, server_text, servers_of,
};
use super::{diagnosis, list};
use crate::address::AddressPolicy;
use crate::cause::Cause;
use crate::diagnosis::{Diagnosis, Severity};
use crate::image::ImageReference;
use crate::observation::{DnsAnswer, DnsFailureKind, Endpoint, Lookup, Rcode, Resolution, Resolver, Stage};

/// The diagnoses of the `dns` and `address` stages of an endpoint; none where it `was_asked` for nothing.
#[must_use]
pub fn judge(
    image: &ImageReference,
    policy: &AddressPolicy,
    endpoint: Endpoint,
    was_asked: bool,
    resolutions: &[Resolution],
) -> Vec<Diagnosis> {
    if !was_asked && !resolutions.iter().any(|seen| seen.endpoint == endpoint) {
        return Vec::new();
    }
    let system = resolutions.iter().filter(|seen| seen.resolver == Resolver::System);
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
    hosts.into_iter().flat_map(|host| Name { image, policy, endpoint, host }.judge(resolutions)).collect()
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
    Failed,
}

fn outcome(seen: &Resolution) -> Outcome<'_> {
    let addresses = seen.addresses();
    if !addresses.is_empty() {
        return Outcome::Addresses(addresses);
    }
    match (&seen.a, &seen.aaaa) {
        // Private endpoints have no IPv6: who says that there is no A has said what counts, whatever becomes of AAAA.
        (Lookup::Answered(answer), _) => Outcome::NoAddress(answer),
        // A name that does not exist has no record of any type (RFC 2308, section 2.1).
        (Lookup::Failed(_), Lookup::Answered(answer)) if answer.rcode == Rcode::NXDOMAIN => {
            Outcome::NoAddress(answer)
        }
        (Lookup::Failed(_), _) => Outcome::Failed,
    }
}

impl Name<'_> {
    fn judge(&self, resolutions: &[Resolution]) -> Vec<Diagnosis> {
        let seen: Vec<&Resolution> = resolutions
            .iter()
            .filter(|seen| seen.endpoint == self.endpoint && seen.host == self.host)
            .collect();
        let system: Vec<&Resolution> =
            seen.iter().copied().filter(|seen| seen.resolver == Resolver::System).collect();
        let failing: Vec<&Resolution> =
            system.iter().copied().filter(|seen| matches!(outcome(seen), Outcome::Failed)).collect();
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
        let is_silent = |seen: &Resolution| {
            failures(seen).iter().all(|(_, failure)| {
                matches!(failure.kind, DnsFailureKind::Timeout | DnsFailureKind::Unreachable)
            })
        };
        let told: Vec<String> = failing.iter().map(|seen| describe_failures(seen)).collect();
        let (cause, could) = if failing.iter().all(|seen| is_silent(seen)) {
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
                Outcome::Addresses(_) | Outcome::Failed => None,
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

    /// A nameserver that fails beside one that answers, or answers only one of the two questions.
    fn nameserver_failing(&self, system: &[&Resolution]) -> Option<Diagnosis> {
        let failing: Vec<&&Resolution> = system
            .iter()
            .filter(|seen| seen.lookups().iter().any(|lookup| matches!(lookup, Lookup::Failed(_))))
            .collect();
        let first = failing.first()?;
        let told: Vec<String> = failing.iter().map(|seen| describe_failures(seen)).collect();
        let message = format!(
            "Of {} {} for {}, {}: pulls are slow or fail whenever it is asked first.",
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
                Outcome::Failed => continue,
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
