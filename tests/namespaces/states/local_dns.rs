//! AKS LocalDNS as the node's only nameserver: a real CoreDNS that returns expired answers and renews them afterwards.

use super::{Cached, State, state};
use support::namespaces::names::{Names, data_record};
use support::namespaces::network::{AZURE_DNS, DATA, LOCAL_DNS, ODD_DNS};

const LOGIN_NAME: &str = "contoso.azurecr.io";
const DATA_NAME: &str = "contoso.westeurope.data.azurecr.io";

/// A cache with the answers of an earlier setup about these names.
fn cached(name: &'static str, hosts: &'static [&'static str], before: Names) -> State {
    let cached = Cached { before, hosts, expired: false, known: true, upstream: AZURE_DNS };
    State { cache: Some(cached), nameservers: vec![LOCAL_DNS], ..state(name) }
}

impl State {
    fn cache(mut self, change: impl Fn(&mut Cached)) -> Self {
        self.cache.iter_mut().for_each(change);
        self
    }

    /// The answers have expired, and only the addresses in resolv.conf are known.
    fn expired(self) -> Self {
        self.cache(|cached| (cached.expired, cached.known) = (true, false))
    }
}

pub(crate) fn states() -> Vec<State> {
    let (healthy, not_linked) = (Names::default, || Names { linked: false, ..Names::default() });
    let without_address = || vec!["contoso 10 IN TXT \"no address\"".to_owned(), data_record(DATA)];
    let empty = || Names { records: without_address(), ..Names::default() };
    let both = &[LOGIN_NAME, DATA_NAME];
    let stale = &["warn login dns node_cache_stale", "warn data dns node_cache_stale"];
    let renewed = "the check's own query has made the cache renew its answer";
    vec![
        cached("node cache, fresh", both, healthy())
            .cache(|cached| cached.known = false)
            .reports("/resolutions/0/nodeCache", "true")
            .reports("/resolutions/1/resolver", "azure"),
        cached("node cache with expired answers that are still right", both, healthy()).expired(),
        cached("node cache with the public address, after the zone was linked", &[LOGIN_NAME], not_linked())
            .expects(&["fail login address node_cache_stale"])
            .naming(&["from its cache for up to", "20.45.122.144", "168.63.129.16 (azure)", "10.60.4.4"])
            .each_says(["403 Forbidden", "403 Forbidden", "403 (Forbidden)"]),
        cached(
            "node cache with the expired public address, after the zone was linked",
            &[LOGIN_NAME],
            not_linked(),
        )
        .expired()
        .expects(&["fail login address node_cache_stale"])
        .naming(&["20.45.122.144", "a moment later 10.60.4.4"])
        .differs(renewed),
        cached("node cache with the private address, after the link was deleted", both, healthy())
            .names(|names| names.linked = false)
            .expects(stale)
            .naming(&["10.60.4.4", "20.45.122.144"]),
        // CoreDNS keeps no NXDOMAIN that follows an alias.
        cached(
            "node cache with an alias without an address, after the record was added",
            &[LOGIN_NAME],
            empty(),
        )
        .expects(&["fail login dns node_cache_stale"])
        .naming(&["no address", "10.60.4.4"])
        .pulls_fail("no such host"),
        // It does not replace an expired answer by one either.
        cached("node cache with expired answers, after the records were deleted", both, healthy())
            .cache(|cached| cached.expired = true)
            .names(|names| names.records.clear())
            .expects(stale)
            .naming(&["although it has expired", "168.63.129.16 (azure)", "returns no address"]),
        cached("node cache with expired answers, and its upstream is silent", both, healthy())
            .expired()
            .arriving("ip daddr 168.63.129.16 drop")
            .expects(stale)
            .naming(&["did not renew it", "168.63.129.16 (azure) did not answer in time"]),
        // The VNet's own DNS server sees the zone, Azure's resolver does not.
        cached("node cache in front of custom DNS servers", both, healthy())
            .cache(|cached| (cached.known, cached.upstream) = (false, ODD_DNS))
            .names(|names| names.linked = false)
            .expects(&["warn login dns resolvers_disagree", "warn data dns resolvers_disagree"])
            .naming(&["forwards to are not known"]),
        cached("node cache in front of known custom DNS servers", both, healthy())
            .cache(|cached| cached.upstream = ODD_DNS)
            .names(|names| names.linked = false)
            .reports("/resolutions/3/resolver", "upstream"),
    ]
}
