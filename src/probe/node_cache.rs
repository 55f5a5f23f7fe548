//! AKS LocalDNS, the DNS cache on the node: which nameservers are its listeners, what to compare it with, and its second answer.
//!
//! The cache returns an expired answer once, or as long as its upstream is silent, and renews it after it has answered
//! (`serve_stale` of CoreDNS). So an expired or negative answer is queried again after a moment. Like the queries to compared
//! resolvers, this does not delay the check until its end.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::compared::{GRACE, RESEND};
use super::dns::{self, Family, Nameserver, Patience};
use crate::address::{AZURE_PLATFORM, DNS_PORT, LOCAL_DNS, NameserverAddress};
use crate::config::{LabEndpoints, Resolvers};
use crate::observation::{Lookup, NodeCache, Resolution, Resolver, SecondAnswer};

/// The pauses before the second answer is queried, and queried again while it has not changed: the upstream of the first
/// is in the same VNet, or in another region.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(30),
    Duration::from_millis(60),
    Duration::from_millis(120),
    Duration::from_millis(200),
];

/// Returns what is known about the cache before the first query. Without a listener among the nameservers, nothing is.
pub(super) fn of(resolvers: &Resolvers, lab: LabEndpoints, nameservers: &[Nameserver]) -> NodeCache {
    let is_listener = |address: &&NameserverAddress| {
        let of_aks = LOCAL_DNS.iter().any(|own| address.socket == (*own, DNS_PORT).into());
        of_aks || lab.local_dns == Some(address.socket)
    };
    let addresses = nameservers.iter().map(|nameserver| &nameserver.address);
    let listeners: Vec<NameserverAddress> = addresses.filter(is_listener).cloned().collect();
    if listeners.is_empty() {
        return NodeCache::default();
    }
    // The other listener forwards to the DNS of the cluster.
    let of_cluster = (LOCAL_DNS[1], DNS_PORT).into();
    let is_of_node = listeners.iter().all(|listener| listener.socket != of_cluster);
    NodeCache {
        listeners,
        upstreams: if is_of_node { resolvers.cache_upstreams.clone() } else { Vec::new() },
        compared_by_default: resolvers.compares_node_cache && resolvers.compare.is_empty(),
        second_answers: Vec::new(),
    }
}

/// Returns the resolvers to compare the cache with if the operator has configured none: the servers that it forwards to, or
/// Azure's own.
pub(super) fn default_comparison(
    cache: &NodeCache,
    lab: LabEndpoints,
    nameservers: &[Nameserver],
) -> Vec<(String, NameserverAddress)> {
    if !cache.compared_by_default {
        return Vec::new();
    }
    let azure = lab.azure_dns.unwrap_or_else(|| (AZURE_PLATFORM, DNS_PORT).into()).into();
    let known = if cache.upstreams.is_empty() { std::slice::from_ref(&azure) } else { &cache.upstreams };
    let is_queried = |server: &&NameserverAddress| nameservers.iter().any(|own| own.address == **server);
    let mut others = 0;
    let named = known.iter().filter(|server| !is_queried(server)).map(|server| {
        let name = if *server == azure {
            "azure".to_owned()
        } else {
            others += 1;
            if others == 1 { "upstream".to_owned() } else { format!("upstream-{others}") }
        };
        (name, server.clone())
    });
    named.collect()
}

/// The second queries to the cache in one check. Dropping it cancels them.
#[derive(Default)]
pub(super) struct SecondQueries(Mutex<Running>);

#[derive(Default)]
struct Running {
    queries: JoinSet<()>,
    known: Vec<Arc<Mutex<Option<SecondAnswer>>>>,
    latest: Option<Instant>,
}

impl SecondQueries {
    /// Queries the listeners again whose answers have expired or deny the name.
    pub(super) fn follow(&self, cache: &NodeCache, answers: &[Resolution]) {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_doubtful = |seen: &&Resolution| {
            let is_of_cache = seen.resolver == Resolver::System && cache.is_listener(&seen.server);
            match &seen.a {
                Lookup::Answered(answer) => {
                    is_of_cache && (answer.has_expired() || answer.usable_addresses().is_empty())
                }
                Lookup::Failed(_) => false,
            }
        };
        for seen in answers.iter().filter(is_doubtful) {
            let known = Arc::new(Mutex::new(None));
            running.known.push(Arc::clone(&known));
            running.queries.spawn(query_again(seen.clone(), known));
            running.latest = Some(Instant::now());
        }
    }

    /// Returns the second answers. Waits until each has had its time, but not beyond `deadline`.
    pub(super) async fn finish(self, deadline: Instant) -> Vec<SecondAnswer> {
        let Running { mut queries, known, latest } =
            self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let until = latest.map_or(deadline, |latest| deadline.min(latest + GRACE));
        // Elapsed: the latest answer counts.
        let _ = timeout_at(until, async { while queries.join_next().await.is_some() {} }).await;
        queries.abort_all();
        known
            .iter()
            .filter_map(|known| known.lock().unwrap_or_else(PoisonError::into_inner).clone())
            .collect()
    }
}

/// Queries a listener until its answer is fresh or the time has elapsed.
async fn query_again(seen: Resolution, known: Arc<Mutex<Option<SecondAnswer>>>) {
    let until = Instant::now() + GRACE;
    let Resolution { endpoint, host, resolver, server, tcp_only, .. } = seen;
    let nameserver = Nameserver { resolver, address: server.clone(), tcp_only };
    for pause in PAUSES {
        sleep(pause).await;
        let patience = Patience { until, resend: RESEND };
        let Lookup::Answered(answer) = dns::look_up(&nameserver, &host, Family::V4, patience).await else {
            continue;
        };
        let answer = SecondAnswer {
            endpoint,
            host: host.clone(),
            server: server.clone(),
            addresses: answer.usable_addresses(),
            has_expired: answer.has_expired(),
        };
        let is_final = answer.is_fresh();
        *known.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        if is_final {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{default_comparison, of};
    use crate::config::{LabEndpoints, Resolvers};
    use crate::observation::Resolver;
    use crate::probe::dns::Nameserver;

    fn nameservers(addresses: &[&str]) -> Vec<Nameserver> {
        let nameserver = |address: &&str| Nameserver {
            resolver: Resolver::System,
            address: address.parse().expect("an address"),
            tcp_only: false,
        };
        addresses.iter().map(nameserver).collect()
    }

    #[test]
    fn only_local_dns_is_compared_by_default() {
        for (nameservers_of_node, upstreams, expected) in [
            (&["10.60.0.10"][..], &["10.60.0.10"][..], ""),
            (&["169.254.20.10"], &[], ""),
            (&["169.254.10.10:5353"], &[], ""),
            (&["169.254.10.10"], &[], "azure=168.63.129.16"),
            (&["169.254.10.10"], &["168.63.129.16"], "azure=168.63.129.16"),
            (&["169.254.10.10"], &["10.60.0.10", "10.60.0.11"], "upstream=10.60.0.10 upstream-2=10.60.0.11"),
            (&["169.254.10.10"], &["10.60.0.10", "168.63.129.16"], "upstream=10.60.0.10 azure=168.63.129.16"),
            // It is queried as a nameserver of the node.
            (&["169.254.10.10", "168.63.129.16"], &[], ""),
            // The listener of Pods forwards to the cluster's DNS.
            (&["169.254.10.11"], &["10.60.0.10"], "azure=168.63.129.16"),
        ] {
            let upstreams = upstreams.iter().map(|address| address.parse().expect("an address")).collect();
            let resolvers = Resolvers { cache_upstreams: upstreams, ..Resolvers::default() };
            let nameservers = nameservers(nameservers_of_node);
            let cache = of(&resolvers, LabEndpoints::default(), &nameservers);
            let compared = default_comparison(&cache, LabEndpoints::default(), &nameservers);
            let compared: Vec<String> =
                compared.iter().map(|(name, server)| format!("{name}={}", server.short())).collect();
            assert_eq!(compared.join(" "), expected, "{nameservers_of_node:?}");
        }
    }
}
