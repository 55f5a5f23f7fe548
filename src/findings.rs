//! What the DNS answers of a check show: typed findings with their evidence, and the addresses that may be connected to.
//!
//! Owns the evaluation of names and addresses. Each name is evaluated once: the probe connects only to addresses that the
//! findings allow, and `rules` later turns the same findings into causes and sentences. Knows no causes and phrases no messages.
//!
//! All nameservers of the node must answer correctly, not only one: the node queries each of them at some time. Differences
//! from a compared resolver are findings; its answers are not evaluated.

mod answer;
mod comparison;
mod evaluation;
mod node_cache;

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use self::comparison::Compared;
use self::evaluation::Evaluation;
use self::node_cache::{CachedName, is_about_cache};
use crate::address::{AddressPolicy, NameserverAddress};
use crate::image::ImageReference;
use crate::observation::{DnsFailure, Endpoint, Observation, Rcode, Resolution, Resolver, Stage};

pub use self::comparison::{Comparison, Comparisons};
pub use self::node_cache::{StaleAnswer, StaleEvidence};

/// The findings of one check, name by name. They can be read but not removed, so none can be lost before a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// The names that the node's nameservers were queried for, in that order.
    names: Vec<NameFindings>,
    /// The endpoints that could not be resolved because the resolver configuration has no usable nameserver.
    without_nameserver: Vec<Endpoint>,
    /// How the answers of all resolvers compare.
    comparisons: Comparisons,
}

/// The findings about one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameFindings {
    /// The endpoint that the name belongs to.
    pub endpoint: Endpoint,
    /// The name, without the final dot.
    pub host: String,
    /// The number of the node's nameservers that were queried.
    pub nameservers: usize,
    /// Every finding; empty if all is as expected.
    pub findings: Vec<Finding>,
    /// The private and expected addresses, in answer order.
    accepted: Vec<IpAddr>,
}

/// One finding about a name, with its evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The node's operating system sent no query: nothing is known about the nameservers.
    NotSent(Vec<FailedServer>),
    /// No nameserver answered.
    Silent(Vec<FailedServer>),
    /// No nameserver gave a usable answer, and at least one gave an unusable one.
    Unresolved(Vec<FailedServer>),
    /// Nameservers deny that the name has an address.
    Negative(Negative),
    /// Nameservers returned an address that does not belong to a private endpoint.
    Wrong {
        /// What is wrong, with the addresses of the first nameserver.
        fault: AddressFault,
        /// The nameservers that returned it.
        servers: Vec<NameserverAddress>,
    },
    /// A nameserver fails while another answers, or answers only one of the two queries.
    Failing {
        /// The failing nameservers.
        servers: Vec<FailedServer>,
        /// Whether a pull waits for one of them.
        makes_wait: bool,
    },
    /// The answers of nameservers and compared resolvers differ.
    Disagreement {
        /// The resolvers, grouped by the addresses they returned: at least two groups.
        groups: Vec<AnswerGroup>,
        /// The compared resolvers without a usable answer.
        unanswered: Vec<FailedServer>,
        /// The first resolver that was queried.
        first: NameserverAddress,
    },
    /// Compared resolvers gave no usable answer, and the others agree.
    NotCompared(Vec<FailedServer>),
    /// The node's DNS cache returned an answer that is out of date.
    StaleCache(StaleAnswer),
}

impl Finding {
    /// Returns the stage that the finding fails, if it forbids a connection.
    #[must_use]
    pub const fn blocks(&self) -> Option<Stage> {
        match self {
            Self::NotSent(_) | Self::Silent(_) | Self::Unresolved(_) | Self::Negative(_) => Some(Stage::Dns),
            Self::Wrong { .. } => Some(Stage::Address),
            Self::StaleCache(answer) => answer.blocks,
            Self::Failing { .. } | Self::Disagreement { .. } | Self::NotCompared(_) => None,
        }
    }

    /// Returns whether no nameserver of the node gave a usable answer.
    const fn is_without_answer(&self) -> bool {
        match self {
            Self::NotSent(_) | Self::Silent(_) | Self::Unresolved(_) => true,
            Self::Negative(_)
            | Self::Wrong { .. }
            | Self::Failing { .. }
            | Self::Disagreement { .. }
            | Self::NotCompared(_)
            | Self::StaleCache(_) => false,
        }
    }

    /// Returns the failed queries of the finding.
    fn failures_mut(&mut self) -> impl Iterator<Item = &mut DnsFailure> {
        let servers: &mut [FailedServer] = match self {
            Self::NotSent(servers)
            | Self::Silent(servers)
            | Self::Unresolved(servers)
            | Self::Failing { servers, makes_wait: _ }
            | Self::NotCompared(servers)
            | Self::Disagreement { unanswered: servers, groups: _, first: _ } => servers,
            Self::StaleCache(StaleAnswer { evidence: StaleEvidence::NotRenewed(servers), .. }) => servers,
            Self::Negative(_) | Self::Wrong { .. } | Self::StaleCache(_) => &mut [],
        };
        servers.iter_mut().flat_map(|failed| &mut failed.failures).map(|(_, failure)| failure)
    }
}

/// A resolver that was queried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its address.
    pub address: NameserverAddress,
    /// Whether it is the node's own, or a compared one.
    pub resolver: Resolver,
}

/// A resolver with its failed queries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedServer {
    /// The resolver.
    pub server: Server,
    /// Whether it was queried only over TCP.
    pub tcp_only: bool,
    /// The failed queries by record type, `A` first.
    pub failures: Vec<(&'static str, DnsFailure)>,
}

/// Resolvers that returned the same addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerGroup {
    /// The addresses; empty if the resolvers deny that the name has one.
    pub addresses: BTreeSet<IpAddr>,
    /// The resolvers.
    pub servers: Vec<Server>,
}

/// Negative answers of one kind. The evidence is from the first nameserver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negative {
    /// What the answers show.
    pub kind: NegativeKind,
    /// The nameservers that gave such an answer.
    pub servers: Vec<NameserverAddress>,
    /// The response code.
    pub rcode: Rcode,
    /// The zone that denies the name, if the answer has its SOA record.
    pub zone: Option<String>,
    /// The first privatelink name of the chain.
    pub privatelink: Option<String>,
    /// The last name of the chain, if the queried name is an alias.
    pub last: Option<String>,
}

/// What a negative answer shows. A pull fails with "no such host" for each of them; the remedies differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NegativeKind {
    /// The private zone denies the record of the private endpoint.
    PrivateRecordMissing,
    /// The name is denied, and its chain has no privatelink name.
    NameNotFound,
    /// The chain has a privatelink name, but no private zone denies it: the answer is incomplete or leads to a name without an
    /// address, as from a forwarder that does not follow aliases.
    NotFollowed,
}

/// What is wrong with a nameserver's addresses, in order of precedence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum AddressFault {
    /// Reserved addresses, which no registry can have.
    Reserved(Vec<IpAddr>),
    /// Public addresses next to private ones.
    Mixed {
        /// All addresses that are not public.
        private: Vec<IpAddr>,
        /// The public addresses.
        public: Vec<IpAddr>,
    },
    /// Public addresses behind a privatelink name: the resolver does not see the private zone.
    NotLinked {
        /// The public addresses.
        public: Vec<IpAddr>,
        /// The first privatelink name of the chain.
        privatelink: String,
    },
    /// Public addresses, without a privatelink name in the chain.
    NoPrivateEndpoint(Vec<IpAddr>),
    /// Private addresses outside every expected range.
    OutsideRanges {
        /// The addresses outside the ranges.
        addresses: Vec<IpAddr>,
        /// The expected ranges.
        expected: Vec<IpNet>,
    },
    /// Private addresses that the private endpoint is not expected to have for this name.
    NotOfEndpoint {
        /// The addresses that are not expected.
        addresses: Vec<IpAddr>,
        /// The expected addresses of the name; never empty.
        expected: Vec<IpAddr>,
        /// The expected addresses that the answer has as well.
        right: Vec<IpAddr>,
        /// The other names whose expected addresses are in the answer.
        owners: Vec<String>,
    },
}

/// Addresses that may be connected to. Only [`Findings::allows_connect`] fills it, so nothing else can open a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedAddresses(Vec<IpAddr>);

impl AllowedAddresses {
    /// Returns the addresses, in answer order.
    #[must_use]
    pub fn as_slice(&self) -> &[IpAddr] {
        &self.0
    }
}

impl Findings {
    /// Evaluates the answers about every name that has no findings yet. A name's answers must be complete, except for those of
    /// compared resolvers.
    pub fn evaluate(&mut self, image: &ImageReference, policy: &AddressPolicy, observation: &Observation) {
        let resolutions = &observation.resolutions;
        let has_nameserver = resolutions.iter().any(|seen| seen.resolver == Resolver::System);
        for endpoint in Endpoint::ALL {
            let was_queried = observation.reached(endpoint, Stage::Dns)
                || resolutions.iter().any(|seen| seen.endpoint == endpoint);
            if was_queried && !has_nameserver && !self.without_nameserver.contains(&endpoint) {
                self.without_nameserver.push(endpoint);
            }
        }
        for seen in resolutions.iter().filter(|seen| seen.resolver == Resolver::System) {
            let (endpoint, host) = (seen.endpoint, seen.host.as_str());
            if self.of(endpoint, host).is_none() {
                let is_same = |other: &&Resolution| {
                    other.resolver == Resolver::System && other.endpoint == endpoint && other.host == host
                };
                let answers: Vec<&Resolution> = resolutions.iter().filter(is_same).collect();
                self.names.push(Evaluation { image, host, policy, answers: &answers }.of_name(endpoint));
            }
        }
    }

    /// Adds what a comparison of all resolvers shows, once all answers are known.
    pub fn compare(&mut self, policy: &AddressPolicy, observation: &Observation) {
        let cache = &observation.node_cache;
        let resolutions = &observation.resolutions;
        let names: BTreeSet<(Endpoint, &str)> =
            resolutions.iter().map(|seen| (seen.endpoint, seen.host.as_str())).collect();
        for (endpoint, host) in names {
            let is_same = |seen: &&Resolution| seen.endpoint == endpoint && seen.host == host;
            let seen: Vec<&Resolution> = resolutions.iter().filter(is_same).collect();
            let Some(first) = seen.first().map(|seen| seen.server.clone()) else { continue };
            let compared = Compared::of(&seen);
            let result = compared.result();
            self.comparisons.add(endpoint, result);
            let name = self.names.iter_mut().find(|name| name.endpoint == endpoint && name.host == host);
            let Some(name) = name.filter(|name| !name.findings.iter().any(Finding::is_without_answer)) else {
                continue;
            };
            let stale = CachedName { cache, policy, name, seen: &seen }.stale_answer();
            if let Some(stale) = stale {
                // One cause: what is wrong with the answer is no fault of the zone.
                name.findings.retain(|finding| !is_about_cache(cache, finding));
                name.findings.push(Finding::StaleCache(stale));
                if compared.differs_only_from(cache) {
                    continue;
                }
            }
            match result {
                Comparison::Nothing | Comparison::Alike => {}
                // Whether the cache forwards to the silent resolver is not known, and the operator has not asked.
                Comparison::Incomplete if cache.compared_by_default && cache.upstreams.is_empty() => {}
                Comparison::Incomplete => name.findings.push(Finding::NotCompared(compared.unanswered)),
                Comparison::Different => {
                    let Compared { groups, unanswered, .. } = compared;
                    name.findings.push(Finding::Disagreement { groups, unanswered, first });
                }
            }
        }
    }

    /// Returns the addresses of a name that may be connected to: only if every nameserver that answered returned private and
    /// expected addresses, and nothing else.
    ///
    /// # Errors
    /// The stage that failed, if nothing may be sent; also for a name that was not evaluated.
    pub fn allows_connect(&self, endpoint: Endpoint, host: &str) -> Result<AllowedAddresses, Stage> {
        let name = self.of(endpoint, host).ok_or(Stage::Dns)?;
        match name.blocks() {
            Some(stage) => Err(stage),
            None => Ok(AllowedAddresses(name.accepted.clone())),
        }
    }

    /// Returns whether every name of an endpoint was resolved, whatever its addresses.
    #[must_use]
    pub fn all_resolved(&self, endpoint: Endpoint) -> bool {
        let is_resolved = |name: &NameFindings| name.blocks() != Some(Stage::Dns);
        !self.is_without_nameserver(endpoint) && self.names_of(endpoint).all(is_resolved)
    }

    /// Returns how the answers of all resolvers compare.
    #[must_use]
    pub const fn comparisons(&self) -> Comparisons {
        self.comparisons
    }

    /// Returns whether an endpoint could not be resolved because the resolver configuration has no usable nameserver.
    #[must_use]
    pub fn is_without_nameserver(&self, endpoint: Endpoint) -> bool {
        self.without_nameserver.contains(&endpoint)
    }

    /// Returns the findings about the names of an endpoint, in the order of the queries.
    pub fn names_of(&self, endpoint: Endpoint) -> impl Iterator<Item = &NameFindings> {
        self.names.iter().filter(move |name| name.endpoint == endpoint)
    }

    /// Returns the failed queries in the evidence, whose text is a nameserver's own.
    pub(crate) fn failures_mut(&mut self) -> impl Iterator<Item = &mut DnsFailure> {
        self.names.iter_mut().flat_map(|name| &mut name.findings).flat_map(Finding::failures_mut)
    }

    fn of(&self, endpoint: Endpoint, host: &str) -> Option<&NameFindings> {
        self.names.iter().find(|name| name.endpoint == endpoint && name.host == host)
    }
}

impl NameFindings {
    /// Returns the first stage that fails.
    fn blocks(&self) -> Option<Stage> {
        self.findings.iter().filter_map(Finding::blocks).min()
    }
}
