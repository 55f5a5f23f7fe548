//! The `dns` stage: one name, A and AAAA, asked of every nameserver separately and at once.
//!
//! One question to one server: a resolver would lose the chain of a negative answer, hide which server answered, and ask two
//! of them in parallel. Who is asked is in `resolv_conf`, how in `exchange`, what an answer says in `answer`; what the
//! answers mean is left to `rules`.

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

/// Someone to ask, and on whose behalf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Nameserver {
    pub(super) resolver: Resolver,
    pub(super) address: NameserverAddress,
    /// Whether it is asked over TCP alone, as the node would ask it.
    pub(super) tcp_alone: bool,
}

/// One of the two questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// A.
    V4,
    /// AAAA.
    V6,
}

/// How long an answer is waited for, and how often the question is sent meanwhile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub(super) until: Instant,
    /// Between two sends.
    pub(super) resend: Duration,
}

impl Patience {
    /// The sends spread over the whole limit, as glibc and Go ask again before they give up.
    pub(super) fn until(until: Instant) -> Self {
        Self { until, resend: until.saturating_duration_since(Instant::now()) / exchange::SENDS }
    }
}

/// Asks every nameserver for a name, A and AAAA, all at once.
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
    Resolution { a, aaaa, duration: started.elapsed(), ..silence(endpoint, host, nameserver) }
}

/// What is known of a name at a nameserver before its answers come.
pub(super) fn silence(endpoint: Endpoint, host: &str, nameserver: &Nameserver) -> Resolution {
    Resolution {
        endpoint,
        host: host.to_owned(),
        resolver: nameserver.resolver.clone(),
        server: nameserver.address.clone(),
        tcp_alone: nameserver.tcp_alone,
        a: failed(DnsFailureKind::Timeout),
        aaaa: failed(DnsFailureKind::Timeout),
        duration: Duration::ZERO,
    }
}

/// One question to one nameserver.
pub(super) async fn look_up(
    nameserver: &Nameserver,
    host: &str,
    family: Family,
    patience: Patience,
) -> Lookup {
    // Absolute, so that no search list is ever applied.
    let Ok(mut name) = Name::from_ascii(host) else {
        return failed(DnsFailureKind::Malformed);
    };
    name.set_fqdn(true);
    let kind = match family {
        Family::V4 => RecordType::A,
        Family::V6 => RecordType::AAAA,
    };
    let question = Question { name, kind };
    exchange::exchange(&nameserver.address, &question, nameserver.tcp_alone, patience)
        .await
        .unwrap_or_else(failed)
}

const fn failed(kind: DnsFailureKind) -> Lookup {
    Lookup::Failed(DnsFailure { kind, extended_errors: Vec::new() })
}

#[cfg(test)]
mod tests;
