//! The `dns` stage: one name, A and AAAA, asked of every nameserver separately and at once.
//!
//! One question to one server: a resolver would lose the chain of a negative answer, hide which server answered, and ask two
//! of them in parallel. Who is asked is in `resolv_conf`, how in `exchange`, what an answer says in `answer`; what the
//! answers mean is left to `rules`.

pub(super) mod answer;
mod exchange;
mod resolv_conf;

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

/// Asks every nameserver for a name, A and AAAA, all at once.
pub(super) async fn resolve(
    endpoint: Endpoint,
    host: &str,
    nameservers: &[Nameserver],
    until: Instant,
) -> Vec<Resolution> {
    join_all(nameservers.iter().map(|nameserver| ask(endpoint, host, nameserver, until))).await
}

async fn ask(endpoint: Endpoint, host: &str, nameserver: &Nameserver, until: Instant) -> Resolution {
    let started = Instant::now();
    let (a, aaaa) = join(
        look_up(nameserver, host, RecordType::A, until),
        look_up(nameserver, host, RecordType::AAAA, until),
    )
    .await;
    Resolution {
        endpoint,
        host: host.to_owned(),
        resolver: nameserver.resolver.clone(),
        server: nameserver.address.clone(),
        tcp_alone: nameserver.tcp_alone,
        a,
        aaaa,
        duration: started.elapsed(),
    }
}

async fn look_up(nameserver: &Nameserver, host: &str, kind: RecordType, until: Instant) -> Lookup {
    // Absolute, so that no search list is ever applied.
    let Ok(mut name) = Name::from_ascii(host) else {
        return failed(DnsFailureKind::Malformed);
    };
    name.set_fqdn(true);
    let question = Question { name, kind };
    exchange::exchange(&nameserver.address, &question, nameserver.tcp_alone, until)
        .await
        .unwrap_or_else(failed)
}

const fn failed(kind: DnsFailureKind) -> Lookup {
    Lookup::Failed(DnsFailure { kind, extended_errors: Vec::new() })
}

#[cfg(test)]
mod tests;
