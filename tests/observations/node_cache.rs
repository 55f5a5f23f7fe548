//! The node's DNS cache, as any of the nameservers of an observation.

use acr_verifier::observation::{NodeCache, Resolution, Resolver, SecondAnswer};

/// Choices about a cache: whether there is one, its upstream is known, it is compared by default, and its answers have expired.
pub(crate) type CacheChoices = (bool, bool, bool, bool);

/// Returns the facts about a cache that is the first nameserver; the others are its upstream.
pub(crate) fn cache_of(
    resolutions: &[Resolution],
    (exists, known, by_default, expired): CacheChoices,
) -> NodeCache {
    let first = resolutions.iter().find(|seen| seen.resolver == Resolver::System).filter(|_| exists);
    let Some(listener) = first.map(|seen| seen.server.clone()) else { return NodeCache::default() };
    let others = resolutions.iter().filter(|seen| known && seen.server != listener);
    let second = |seen: &Resolution| SecondAnswer {
        endpoint: seen.endpoint,
        host: seen.host.clone(),
        server: listener.clone(),
        addresses: seen.addresses(),
        has_expired: expired,
    };
    NodeCache {
        upstreams: others.map(|seen| seen.server.clone()).collect(),
        compared_by_default: by_default,
        second_answers: resolutions.iter().map(second).collect(),
        listeners: vec![listener],
    }
}
