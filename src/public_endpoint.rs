//! The public endpoints of registries: what they answer to a client without credentials, and the verdict on it.
//!
//! Owns the result of `exposure`, which addresses may get its request ([`names`]), what an answer means ([`outcome`]), and
//! the settings that no client can see ([`settings`]). Pure: `probe` sends the request, `report` renders the result.

pub mod names;
pub mod outcome;
pub mod settings;

mod explanation;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use crate::observation::TrustedBy;

pub use self::names::AddressFamily;
pub use self::outcome::Outcome;

/// The verdict on a probe, a registry, or all registries.
///
/// Ordered from best to worst: the worst of several is the overall verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exposure {
    /// The registry's firewall rejected this client.
    Refused,
    /// The registry was not reached, or something else answered.
    NotTested,
    /// The registry answers this client: with a credential it can pull.
    Exposed,
}

impl Exposure {
    /// Every verdict, best first.
    pub const ALL: [Self; 3] = [Self::Refused, Self::NotTested, Self::Exposed];

    /// Returns the name used in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::NotTested => "not_tested",
            Self::Exposed => "exposed",
        }
    }
}

impl fmt::Display for Exposure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// The result of one request, or why none was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The name: the login server, or that of a region.
    pub host: String,
    /// The address family; absent if the name has no address, or could not be resolved at all.
    pub family: Option<AddressFamily>,
    /// The address that got the request; absent if none was sent.
    pub address: Option<IpAddr>,
    /// Further addresses of the family, which got no request.
    pub other_addresses: Vec<IpAddr>,
    /// What was found.
    pub outcome: Outcome,
    /// Whose roots verified the certificate; absent without a trusted one.
    pub trusted_by: Option<TrustedBy>,
    /// When the result was known.
    pub at: Timestamp,
    /// The time for the connection and the answer, or for DNS if nothing was sent.
    pub duration: Duration,
}

impl Probe {
    /// Returns the verdict.
    #[must_use]
    pub const fn verdict(&self) -> Exposure {
        self.outcome.verdict()
    }
}

/// The result for one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryExposure {
    /// The registry's global login server.
    pub registry: String,
    /// The registry's name in `az` commands.
    pub name: String,
    /// Whether the global login server was given, and not only regional ones.
    pub is_given: bool,
    /// Its probes, in the order given; at least one.
    pub probes: Vec<Probe>,
}

impl RegistryExposure {
    /// Returns the worst verdict of the probes.
    #[must_use]
    pub fn verdict(&self) -> Exposure {
        worst(self.probes.iter().map(Probe::verdict))
    }
}

/// The result of one pass over all registries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExposureRun {
    /// When the pass started.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// The environment variable of a proxy that was not used, if one is set.
    pub unused_proxy: Option<&'static str>,
    /// Whether loopback stood for the public side, in a laboratory.
    pub loopback_is_public: bool,
    /// One entry for each registry, in the order given.
    pub registries: Vec<RegistryExposure>,
}

impl ExposureRun {
    /// Returns the worst verdict of the registries.
    #[must_use]
    pub fn verdict(&self) -> Exposure {
        worst(self.registries.iter().map(RegistryExposure::verdict))
    }

    /// Returns the longest time for which a registry wants no request, if one throttles.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let probes = self.registries.iter().flat_map(|registry| &registry.probes);
        probes.filter_map(|probe| probe.outcome.answer()?.retry_after).max()
    }
}

/// Returns the worst verdict; nothing is refused before it was tested.
fn worst(verdicts: impl Iterator<Item = Exposure>) -> Exposure {
    verdicts.max().unwrap_or(Exposure::NotTested)
}
