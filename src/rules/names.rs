//! Evaluates names and addresses: every answer of every nameserver.
//!
//! All nameservers of the node must answer correctly, not only one: the node queries each of them at some time. Differences
//! from a compared resolver are reported; its answers are not evaluated.

mod addresses;
mod comparison;
mod words;

use std::net::IpAddr;

pub use self::comparison::{Comparison, compare};
use self::words::{describe_failures, failures, makes_wait, privatelink_name, servers_of, troubles};
use super::diagnosis;
use crate::address::{AddressPolicy, NameserverAddress};
use crate::cause::{self, Cause, Names};
use crate::diagnosis::Diagnosis;
use crate::image::ImageReference;
use crate::observation::{DnsAnswer, DnsFailureKind, Endpoint, Lookup, Rcode, Resolution, Resolver, Stage};
use crate::text::words::list;
use crate::verdict::Severity;

/// Returns the diagnoses of the `dns` and `address` stages of an endpoint; none if no name was queried (`was_asked`).
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
        let message =
            "The resolver configuration has no usable nameserver, so no name can be resolved.".to_owned();
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

/// Returns whether a stage has failed, so nothing may be sent to the endpoint.
#[must_use]
pub fn stops(diagnoses: &[Diagnosis], stage: Stage) -> bool {
    diagnoses.iter().any(|diagnosis| {
        matches!(diagnosis.severity, Severity::Fail | Severity::Unknown) && diagnosis.stage == stage
    })
}

/// One name of an endpoint.
struct Name<'facts> {
    image: &'facts ImageReference,
    policy: &'facts AddressPolicy,
    endpoint: Endpoint,
    host: &'facts str,
}

/// The combined result of a nameserver's two answers.
enum AnswerClass<'facts> {
    /// The name has addresses.
    Addresses(Vec<IpAddr>),
    /// The nameserver denies that the name has an address.
    NoAddress(&'facts DnsAnswer),
    /// The nameserver gave no usable answer.
    Failed,
}

fn class_of(seen: &Resolution) -> AnswerClass<'_> {
    let addresses = seen.addresses();
    if !addresses.is_empty() {
        return AnswerClass::Addresses(addresses);
    }
    match (&seen.a, &seen.aaaa) {
        // Private endpoints have no IPv6: a negative A answer decides, whatever the result of AAAA.
        (Lookup::Answered(answer), _) => AnswerClass::NoAddress(answer),
        // A name that does not exist has no record of any type (RFC 2308, section 2.1).
        (Lookup::Failed(_), Lookup::Answered(answer)) if answer.rcode == Rcode::NXDOMAIN => {
            AnswerClass::NoAddress(answer)
        }
        (Lookup::Failed(_), _) => AnswerClass::Failed,
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
            system.iter().copied().filter(|seen| matches!(class_of(seen), AnswerClass::Failed)).collect();
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

    fn diagnosis(
        &self,
        cause: Cause,
        stage: Stage,
        server: &NameserverAddress,
        message: String,
    ) -> Diagnosis {
        diagnosis(self.image, cause, (self.endpoint, stage), Some(self.host), Some(server), message)
    }

    /// Diagnoses a name for which no nameserver gave a usable answer.
    fn no_answer(&self, failing: &[&Resolution]) -> Diagnosis {
        let is_silent = |seen: &Resolution| {
            failures(seen).iter().all(|(_, failure)| {
                matches!(
                    failure.kind,
                    DnsFailureKind::Timeout | DnsFailureKind::Unreachable | DnsFailureKind::NotSent(_)
                )
            })
        };
        let told: Vec<String> = failing.iter().map(|seen| describe_failures(seen)).collect();
        let (cause, could) = if failing.iter().all(|seen| is_silent(seen)) {
            (Cause::DnsTimeout, "answered the query for")
        } else {
            (Cause::DnsServerFailure, "could resolve")
        };
        let message = format!("No nameserver {could} {}: {}.", self.host, list(&told));
        let mut diagnosis = self.diagnosis(cause, Stage::Dns, &failing[0].server, message);
        let mut kinds = failing.iter().flat_map(|seen| failures(seen)).map(|(_, failure)| &failure.kind);
        if kinds.all(|kind| matches!(kind, DnsFailureKind::NotSent(_))) {
            // The node's operating system sent no query: nothing is known about the nameservers.
            diagnosis.severity = Severity::Unknown;
        }
        diagnosis
    }

    /// Diagnoses nameservers that deny an address, one diagnosis for each cause.
    fn no_address(&self, system: &[&Resolution]) -> Vec<Diagnosis> {
        let negative = |wanted: Cause| -> Vec<(&NameserverAddress, &DnsAnswer)> {
            let answers = system.iter().filter_map(|seen| match class_of(seen) {
                AnswerClass::NoAddress(answer) => Some((&seen.server, answer)),
                AnswerClass::Addresses(_) | AnswerClass::Failed => None,
            });
            answers.filter(|(_, answer)| self.negative_cause(answer) == wanted).collect()
        };
        let causes = [Cause::PrivateRecordMissing, Cause::NameNotFound, Cause::DnsServerFailure];
        let diagnoses = causes.into_iter().filter_map(|cause| {
            let servers = negative(cause);
            let (server, answer) = servers.first()?;
            let names: Vec<_> = servers.iter().map(|(server, _)| *server).collect();
            let who = servers_of(&names, system.len());
            let message = words::no_address(self.image, self.host, &who, servers.len(), answer);
            Some(self.diagnosis(cause, Stage::Dns, server, message))
        });
        diagnoses.collect()
    }

    /// Returns the cause of a negative answer. A pull fails with "no such host" for each of them; the remedies differ.
    fn negative_cause(&self, answer: &DnsAnswer) -> Cause {
        if privatelink_name(self.image, answer).is_none() {
            Cause::NameNotFound
        } else if words::denies_private_record(self.image, answer) {
            Cause::PrivateRecordMissing
        } else {
            // The chain includes a privatelink name, but no private zone denies it: the answer is incomplete or leads to a
            // name without an address, as from a forwarder that does not follow aliases.
            Cause::DnsServerFailure
        }
    }

    /// Warns of a nameserver that fails while another answers, or that answers only one of the two queries.
    fn nameserver_failing(&self, system: &[&Resolution]) -> Option<Diagnosis> {
        let failing: Vec<&Resolution> =
            system.iter().copied().filter(|seen| !troubles(seen).is_empty()).collect();
        let first = failing.first()?;
        let told: Vec<String> = failing.iter().map(|seen| describe_failures(seen)).collect();
        let makes_wait = failing.iter().any(|seen| makes_wait(seen));
        let consequence = match (makes_wait, system.len()) {
            (true, 1) => "every pull waits for it",
            (true, _) => "a pull that queries it first waits for it",
            (false, _) => "pulls depend on the others",
        };
        let message = format!(
            "{} of {} {} failed for {}: {}; {consequence}.",
            failing.len(),
            system.len(),
            if system.len() == 1 { "nameserver" } else { "nameservers" },
            self.host,
            list(&told)
        );
        let mut diagnosis = self.diagnosis(Cause::NameserverFailing, Stage::Dns, &first.server, message);
        if failures(first).iter().all(|(question, _)| *question == "AAAA") {
            let names = Names::new(self.image, self.endpoint, Some(self.host), Some(&first.server));
            diagnosis.commands = Cause::NameserverFailing.commands(&names.asking("AAAA"));
        }
        Some(diagnosis)
    }

    /// Warns of answers that differ among nameservers and compared resolvers, and of compared resolvers that did not answer.
    fn disagreement(&self, seen: &[&Resolution]) -> Option<Diagnosis> {
        let answers = comparison::answers(seen);
        let silent = comparison::unanswered(seen);
        let mut told = Vec::new();
        let mut server = &seen.first()?.server;
        if answers.len() > 1 {
            let said: Vec<String> = answers.iter().map(comparison::describe).collect();
            told.push(format!("The resolvers disagree about {}: {}.", self.host, said.join("; ")));
        }
        if let Some(first) = silent.first() {
            let said: Vec<String> = silent.iter().map(|seen| words::describe_compared(seen)).collect();
            let noun = if silent.len() == 1 { "The compared resolver" } else { "The compared resolvers" };
            told.push(format!("{noun} {} for {}: no comparison was made.", list(&said), self.host));
            if told.len() == 1 {
                server = &first.server;
            }
        }
        if told.is_empty() {
            return None;
        }
        let mut diagnosis = self.diagnosis(Cause::ResolversDisagree, Stage::Dns, server, told.join(" "));
        if answers.len() < 2 {
            cause::COMPARED_SILENT_REMEDY.clone_into(&mut diagnosis.remedy);
        }
        Some(diagnosis)
    }
}
