//! The `dns` stage: queries every nameserver for A and AAAA of one name, separately and concurrently.
//!
//! One query to one server: a resolver library would lose the chain of a negative answer, hide which server answered, and
//! query two of them in parallel. `resolv_conf` selects the servers, `exchange` sends the queries, `answer` parses the
//! answers, and `rules` interprets them.

pub(super) mod answer;
mod exchange;
mod resolv_conf;

use std::time::Duration;

use futures_util::future::{join, join_all};
use hickory_proto::rr::{Name, RecordType};
use tokio::time::Instant;

use self::answer::Question;
#[cfg(fuzzing)]
pub(super) use self::resolv_conf::parse;
pub(super) use self::resolv_conf::{ResolvConf, read_resolv_conf};
use crate::address::NameserverAddress;
use crate::observation::{DnsFailure, DnsFailureKind, Endpoint, Lookup, Resolution, Resolver};

/// A nameserver to query, and the resolver it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Nameserver {
    pub(super) resolver: Resolver,
    pub(super) address: NameserverAddress,
    /// Whether it is queried over TCP only, as the node would query it.
    pub(super) tcp_only: bool,
}

/// The address family of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// A.
    V4,
    /// AAAA.
    V6,
}

/// How long to wait for an answer, and how often to resend the query.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub(super) until: Instant,
    /// How often the query is resent.
    pub(super) resend: Duration,
}

impl Patience {
    /// Spreads the sends over the whole limit: glibc and Go also resend before they give up.
    pub(super) fn until(until: Instant) -> Self {
        Self { until, resend: until.saturating_duration_since(Instant::now()) / exchange::SENDS }
    }
}

/// Queries every nameserver concurrently for A and AAAA of a name.
pub(super) async fn resolve(
    endpoint: Endpoint,
    host: &str,
    nameservers: &[Nameserver],
    patience: Patience,
) -> Vec<Resolution> {
    join_all(nameservers.iter().map(|nameserver| ask(endpoint, host, nameserver, patience))).await
}

async fn ask(endpoint: Endpoint, host: &str, nameserver: &Nameserver, patience: Patience) -> Resolution {
    let started = Instant::now();
    let (a, aaaa) = join(
        look_up(nameserver, host, Family::V4, patience),
        look_up(nameserver, host, Family::V6, patience),
    )
    .await;
    Resolution { a, aaaa, duration: started.elapsed(), ..unanswered(endpoint, host, nameserver) }
}

/// The result for a nameserver that has not answered.
pub(super) fn unanswered(endpoint: Endpoint, host: &str, nameserver: &Nameserver) -> Resolution {
    Resolution {
        endpoint,
        host: host.to_owned(),
        resolver: nameserver.resolver.clone(),
        server: nameserver.address.clone(),
        tcp_only: nameserver.tcp_only,
        a: failed(DnsFailureKind::Timeout),
        aaaa: failed(DnsFailureKind::Timeout),
        duration: Duration::ZERO,
    }
}

/// Sends one query to one nameserver.
pub(super) async fn look_up(
    nameserver: &Nameserver,
    host: &str,
    family: Family,
    patience: Patience,
) -> Lookup {
    // Absolute, so that no search list applies.
    let Ok(mut name) = Name::from_ascii(host) else {
        return failed(DnsFailureKind::Malformed);
    };
    name.set_fqdn(true);
    let kind = match family {
        Family::V4 => RecordType::A,
        Family::V6 => RecordType::AAAA,
    };
    let question = Question { name, kind };
    exchange::exchange(&nameserver.address, &question, nameserver.tcp_only, patience)
        .await
        .unwrap_or_else(failed)
}

const fn failed(kind: DnsFailureKind) -> Lookup {
    Lookup::Failed(DnsFailure { kind, extended_errors: Vec::new() })
}

#[cfg(test)]
mod tests;
