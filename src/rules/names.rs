//! Names and addresses: what every answer of every nameserver means.
//!
//! All of the node's nameservers must be right, not one: the node will ask the other one day. A compared resolver is
//! told where it differs, and never judged.

mod addresses;
mod comparison;
mod words;

use std::net::IpAddr;

pub use self::comparison::{Comparison, compare};
use self::words::{describe_failures, failures, makes_wait, privatelink_name, servers_of, troubles};
use super::{diagnosis, list};
use crate::address::{AddressPolicy, NameserverAddress};
use crate::cause::{self, Cause, Names};
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

    fn diagnosis(
        &self,
        cause: Cause,
        stage: Stage,
        server: &NameserverAddress,
        message: String,
    ) -> Diagnosis {
        diagnosis(self.image, cause, (self.endpoint, stage), Some(self.host), Some(server), message)
    }

    /// No nameserver gave a usable answer.
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
            (Cause::DnsTimeout, "answered")
        } else {
            (Cause::DnsServerFailure, "could answer")
        };
        let message = format!("No nameserver {could} for {}: {}.", self.host, list(&told));
        let mut diagnosis = self.diagnosis(cause, Stage::Dns, &failing[0].server, message);
        let mut kinds = failing.iter().flat_map(|seen| failures(seen)).map(|(_, failure)| &failure.kind);
        if kinds.all(|kind| matches!(kind, DnsFailureKind::NotSent(_))) {
            // The node's own system sent no question: of the nameservers nothing is known.
            diagnosis.severity = Severity::Unknown;
        }
        diagnosis
    }

    /// Nameservers that say that there is no address: one diagnosis a cause.
    fn no_address(&self, system: &[&Resolution]) -> Vec<Diagnosis> {
        let negative = |wanted: Cause| -> Vec<(&NameserverAddress, &DnsAnswer)> {
            let answers = system.iter().filter_map(|seen| match outcome(seen) {
                Outcome::NoAddress(answer) => Some((&seen.server, answer)),
                Outcome::Addresses(_) | Outcome::Failed => None,
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

    /// A pull gets "no such host" of each of these; what has to change differs.
    fn negative_cause(&self, answer: &DnsAnswer) -> Cause {
        if privatelink_name(self.image, answer).is_none() {
            Cause::NameNotFound
        } else if words::denies_private_record(self.image, answer) {
            Cause::PrivateRecordMissing
        } else {
            // The chain passes a privatelink name, and no private zone says no: the answer stops halfway, or goes on
            // to where no address is, as from a forwarder that does not follow aliases.
            Cause::DnsServerFailure
        }
    }

    /// A nameserver that fails beside one that answers, or answers only one of the two questions.
    fn nameserver_failing(&self, system: &[&Resolution]) -> Option<Diagnosis> {
        let failing: Vec<&Resolution> =
            system.iter().copied().filter(|seen| !troubles(seen).is_empty()).collect();
        let first = failing.first()?;
        let told: Vec<String> = failing.iter().map(|seen| describe_failures(seen)).collect();
        let makes_wait = failing.iter().any(|seen| makes_wait(seen));
        let consequence = match (makes_wait, system.len()) {
            (true, 1) => "every pull waits for it",
            (true, _) => "a pull that asks it first waits for it",
            (false, _) => "pulls depend on the others",
        };
        let message = format!(
            "Of {} {} for {}, {}: {consequence}.",
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

    /// Answers that differ, among the node's nameservers or from a compared resolver, and compared resolvers without one.
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
            told.push(format!("{noun} {} for {}: nothing was compared with it.", list(&said), self.host));
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
