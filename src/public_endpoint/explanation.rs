//! The sentences about probes and registries: what was found, and what to do about it.
//!
//! Owns every word of them. Reports add the layout.

use super::outcome::{FailedQuery, Gap, GapKind, Outcome};
use super::settings::settings_command;
use super::{AddressFamily, Exposure, Probe, RegistryExposure};
use crate::observation::{Answer, ConnectFailure, Rcode, Sender, TlsFailure, TrustedBy};
use crate::rules::dns_failure::phrases;
use crate::rules::quoted;
use crate::text::words::{limit, list, seconds, some_of};

/// Maximum number of addresses and nameservers in a sentence.
const LISTED: usize = 4;

impl Probe {
    /// Returns the sentences about the probe, to follow its [`Probe::subject`].
    #[must_use]
    pub fn message(&self) -> String {
        let mut message = match &self.outcome {
            Outcome::Refused(answer) => {
                let client = answer.seen_address.map(|address| address.to_string());
                let client = client.as_deref().unwrap_or("this client");
                format!("The registry's firewall rejected {client} ({} DENIED).", answer.status)
            }
            Outcome::Exposed(answer) if answer.status == 401 => {
                "The registry returned 401 with a challenge, as to any client that may sign in.".to_owned()
            }
            Outcome::Exposed(answer) => {
                format!("The registry returned {} without any credential.", answer.status)
            }
            Outcome::NotTested(gap) => gap.message(self.family),
        };
        if !self.other_addresses.is_empty() {
            let others: Vec<String> = self.other_addresses.iter().map(ToString::to_string).collect();
            message.push_str(&format!(" Not requested: {}.", some_of(&others, LISTED)));
        }
        if self.trusted_by == Some(TrustedBy::CaFile) {
            message.push_str(
                " Only the added CA file makes the certificate trusted, so a device that inspects TLS may be on the path.",
            );
        }
        message
    }

    /// Returns the name, with the address or the family: `contoso.azurecr.io at 20.45.122.144`.
    #[must_use]
    pub fn subject(&self) -> String {
        match (self.address, self.family) {
            (Some(address), _) => format!("{} at {address}", self.host),
            (None, Some(family)) => format!("{} over {family}", self.host),
            (None, None) => self.host.clone(),
        }
    }
}

impl Gap {
    fn message(&self, family: Option<AddressFamily>) -> String {
        let record = match family {
            Some(AddressFamily::V4) => "an A record",
            Some(AddressFamily::V6) => "an AAAA record",
            None => "an address",
        };
        match self {
            Self::NoNameserver => {
                "The resolver configuration has no usable nameserver, so no name can be resolved.".to_owned()
            }
            Self::NameNotFound { rcode: Rcode::NXDOMAIN } => {
                "The name does not exist in DNS here (NXDOMAIN).".to_owned()
            }
            Self::NameNotFound { .. } => "The name has no address in DNS here.".to_owned(),
            Self::NotResolved(failed) => {
                format!("Whether the name has {record} is unknown: {}.", failed_phrases(failed))
            }
            Self::Private(addresses) => {
                format!("The name resolves to {} here: this place sees the private zone.", some(addresses))
            }
            Self::Reserved(addresses) => {
                format!("The name resolves to {} here, which no registry can have.", some(addresses))
            }
            Self::NotConnected(failure) => not_connected(*failure),
            Self::Tls { failure, issuer } => tls_failed(failure, issuer.as_deref()),
            Self::NoAnswer { limit: time } => {
                format!(
                    "The connection was accepted, but no complete answer arrived within {}.",
                    limit(*time)
                )
            }
            Self::Reset => {
                "The registry or a device on the path closed the connection before the answer was complete."
                    .to_owned()
            }
            Self::NotHttp(reason) => {
                format!("What answers in the registry's place is not a registry: {reason}.")
            }
            Self::Redirected { answer, target } => {
                let target = target.as_deref().map(|target| format!(" to {target}")).unwrap_or_default();
                format!(
                    "A redirect{target} was returned ({}), as from a portal; it was not followed.",
                    answer.status
                )
            }
            Self::Answered(answer) => answered(answer, self.kind()),
        }
    }

    /// Returns what to do, so that the next run can test the public side.
    const fn remedy(&self) -> &'static str {
        match self.kind() {
            GapKind::NoNameserver => {
                "Name a nameserver with --nameserver, or a file with nameservers with --resolv-conf."
            }
            GapKind::NameNotFound => {
                "Check the spelling of the login server, and whether the registry exists: `az acr list` shows the names."
            }
            GapKind::NotResolved => {
                "Fix the nameservers of this machine, or name another one with --nameserver."
            }
            GapKind::PrivateAnswer => {
                "Run the command outside of the virtual network, or name a resolver that does not see the private zone with \
                 --nameserver."
            }
            GapKind::ReservedAnswer => {
                "Check what blocks the name in DNS here, or name another resolver with --nameserver."
            }
            GapKind::ConnectTimeout
            | GapKind::ConnectRefused
            | GapKind::ConnectionReset
            | GapKind::ResponseTimeout => {
                "Run the command from a place with direct egress to the Internet on port 443: a firewall there says nothing \
                 about the registry's own."
            }
            GapKind::NetworkUnreachable => {
                "Run the command from a place with a route to the address: many hosted agents have no IPv6."
            }
            GapKind::NotOpened => "Repair what keeps this machine from opening connections.",
            GapKind::CertificateUntrusted => {
                "Run the command from a place whose egress does not inspect TLS, because the device would answer in the \
                 registry's place."
            }
            GapKind::TlsFailed => {
                "Check which device answers in the registry's place, and run the command from elsewhere."
            }
            GapKind::NotHttp
            | GapKind::Redirected
            | GapKind::Page
            | GapKind::Forbidden
            | GapKind::NotFound => {
                "Run the command from a place whose egress passes no proxy, portal or web filter."
            }
            GapKind::Throttled => {
                "Wait until the registry accepts requests again, and run the command again."
            }
            GapKind::ServerError | GapKind::OtherAnswer => {
                "Run the command again, and check the status of Azure if the answer persists."
            }
        }
    }
}

fn some(addresses: &[std::net::IpAddr]) -> String {
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    some_of(&addresses, LISTED)
}

fn failed_phrases(failed: &[FailedQuery]) -> String {
    let mut known = Vec::new();
    for query in failed {
        let phrase = format!("{} {}", query.server.short(), phrases(&query.kind, query.tcp_only).of_server);
        if !known.contains(&phrase) {
            known.push(phrase);
        }
    }
    some_of(&known, LISTED)
}

fn not_connected(failure: ConnectFailure) -> String {
    match failure {
        ConnectFailure::Timeout => "The connection timed out, so the registry was not reached.".to_owned(),
        ConnectFailure::Refused => {
            "A device on the path refused the connection: a registry accepts it in every state.".to_owned()
        }
        ConnectFailure::Unreachable => "This place has no route to the address.".to_owned(),
        ConnectFailure::NotOpened(error) => format!("This machine could not open a connection: {error}."),
    }
}

fn tls_failed(failure: &TlsFailure, issuer: Option<&str>) -> String {
    let issuer = issuer.map(|issuer| format!(", issued by {issuer},")).unwrap_or_default();
    match failure {
        TlsFailure::Untrusted => format!(
            "The certificate{issuer} is not trusted here: a device that inspects TLS answers in the registry's place."
        ),
        TlsFailure::NameMismatch => format!("The certificate{issuer} is valid only for other names."),
        TlsFailure::Expired => format!("The certificate{issuer} has expired."),
        TlsFailure::NotYetValid => {
            format!("The certificate{issuer} is not yet valid by this machine's clock.")
        }
        TlsFailure::Handshake(text) => format!("The TLS handshake failed: {text}."),
    }
}

/// Describes an answer that is neither a refusal nor exposure, with its own words.
fn answered(answer: &Answer, kind: GapKind) -> String {
    let status = answer.status;
    let sentence = match (kind, answer.sender) {
        (GapKind::Page, _) => format!("An HTML page was returned ({status}), which is not from a registry"),
        (GapKind::Forbidden, Sender::Registry) => {
            "The registry returned 403, but not as its firewall does".to_owned()
        }
        (GapKind::Forbidden, _) => {
            "The 403 that was returned is not from the registry's firewall, as from a proxy or a web filter"
                .to_owned()
        }
        (GapKind::Throttled, _) => {
            let wait = answer.retry_after.map(|after| format!(", retry after {}", seconds(after)));
            format!("The registry throttles requests (429{})", wait.unwrap_or_default())
        }
        (GapKind::ServerError, _) => format!("The registry failed to answer ({status})"),
        (GapKind::NotFound, _) => "A 404 was returned, which no registry returns here".to_owned(),
        (_, Sender::Registry) => {
            format!("The registry returned {status}, which shows neither a refusal nor access")
        }
        (_, Sender::Storage | Sender::Text | Sender::Unknown | Sender::Page) => {
            format!("The answer ({status}) has neither the body nor the headers of a registry")
        }
    };
    format!("{sentence}{}.", quoted(answer))
}

impl RegistryExposure {
    /// Returns the sentences about the registry.
    #[must_use]
    pub fn message(&self) -> String {
        let registry = &self.registry;
        let mut message = match self.verdict() {
            Exposure::Refused => {
                format!("The public endpoint of {registry} rejected this client{}.", self.clients())
            }
            Exposure::Exposed => {
                let subjects = self.subjects(Exposure::Exposed);
                format!(
                    "The public endpoint of {registry} answers this client ({}): any client with a credential can pull \
                     from this place. Either the endpoint is open to all networks, or this client's address is in its IP \
                     rules.",
                    list(&subjects)
                )
            }
            Exposure::NotTested => {
                let gap = self.probes.iter().find(|probe| probe.verdict() == Exposure::NotTested);
                let found = gap.map(Probe::message).unwrap_or_default();
                let place =
                    gap.filter(|_| self.probes.len() > 1).map(|probe| format!(" ({})", probe.subject()));
                let place = place.unwrap_or_default();
                format!("The public endpoint of {registry} was not tested{place}. {found}")
            }
        };
        let verdicts: Vec<Exposure> =
            Exposure::ALL.into_iter().filter(|verdict| self.has(*verdict)).rev().collect();
        if verdicts.len() > 1 {
            let parts = verdicts.iter().map(|verdict| {
                let word = match verdict {
                    Exposure::Refused => "refused",
                    Exposure::NotTested => "not tested",
                    Exposure::Exposed => "exposed",
                };
                format!("{} {word}", list(&self.subjects(*verdict)))
            });
            message.push_str(&format!(" The results differ: {}.", parts.collect::<Vec<_>>().join("; ")));
        }
        if !self.is_given {
            message
                .push_str(&format!(" Only regional endpoints were given; {registry} itself was not tested."));
        }
        message
    }

    /// Returns what to do; absent if the registry rejected the client everywhere.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        match self.verdict() {
            Exposure::Refused => None,
            Exposure::Exposed => Some(
                "Disable public network access, so that only private endpoints reach the registry; or keep it for selected \
                 networks, set the default action to Deny and remove the IP rules that allow this client. Either one blocks \
                 hosted pipeline agents, and the repositories in the Azure portal, outside of the allowed networks; \
                 trusted services still pass unless the bypass is None."
                    .to_owned(),
            ),
            Exposure::NotTested => self.probes.iter().find_map(|probe| match &probe.outcome {
                Outcome::NotTested(gap) => Some(gap.remedy().to_owned()),
                Outcome::Refused(_) | Outcome::Exposed(_) => None,
            }),
        }
    }

    /// Returns the commands to paste: those that close an exposed registry, then the one that shows its settings.
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        let name = &self.name;
        let mut commands = match self.verdict() {
            Exposure::Exposed => vec![
                format!("az acr update --name {name} --public-network-enabled false"),
                format!("az acr network-rule list --name {name}"),
                format!("az acr update --name {name} --default-action Deny"),
                format!("az acr network-rule remove --name {name} --ip-address CIDR"),
            ],
            Exposure::Refused | Exposure::NotTested => Vec::new(),
        };
        commands.push(settings_command(name));
        commands
    }

    fn has(&self, verdict: Exposure) -> bool {
        self.probes.iter().any(|probe| probe.verdict() == verdict)
    }

    fn subjects(&self, verdict: Exposure) -> Vec<String> {
        self.probes.iter().filter(|probe| probe.verdict() == verdict).map(Probe::subject).collect()
    }

    /// Returns the addresses that the registry saw: `, which it saw as 203.0.113.7`.
    fn clients(&self) -> String {
        let mut clients: Vec<String> = Vec::new();
        for address in self.probes.iter().filter_map(|probe| probe.outcome.answer()?.seen_address) {
            let address = address.to_string();
            if !clients.contains(&address) {
                clients.push(address);
            }
        }
        if clients.is_empty() { String::new() } else { format!(", which it saw as {}", list(&clients)) }
    }
}
