//! AKS LocalDNS, the DNS cache of the node: compared by default, and its old answers are named as that.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};

use acr_verifier::config::SystemResolver;
use acr_verifier::findings::Comparison;
use acr_verifier::observation::{Endpoint, NodeCache, Resolver};

use super::{Bench, Outcome};
use lab::settings::{Behaviour, Nameserver, Stale, View};

/// Number of concurrent cases: a compared resolver has a second to answer.
const SIDE_BY_SIDE: usize = 2;

/// Whether the node's files name the server that the cache forwards to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Upstream {
    Unknown,
    Azure,
    Custom,
}

const ALL: [Upstream; 3] = [Upstream::Unknown, Upstream::Azure, Upstream::Custom];
const KNOWN: [Upstream; 2] = [Upstream::Azure, Upstream::Custom];
const UNKNOWN: [Upstream; 1] = [Upstream::Unknown];

/// A lab whose first nameserver is the node's cache, and the second one its upstream.
fn bench(cache: &Nameserver, upstream: &Nameserver, known: Upstream) -> Bench {
    let mut bench = Bench::with(|settings| settings.nameservers = vec![cache.clone(), upstream.clone()]);
    let servers = bench.lab.nameservers();
    bench.task.resolvers.system = SystemResolver::Servers(vec![servers[0].into()]);
    bench.task.lab.local_dns = Some(servers[0]);
    match known {
        Upstream::Unknown => bench.task.lab.azure_dns = Some(servers[1]),
        Upstream::Azure => {
            bench.task.lab.azure_dns = Some(servers[1]);
            bench.task.resolvers.cache_upstreams = vec![servers[1].into()];
        }
        Upstream::Custom => bench.task.resolvers.cache_upstreams = vec![servers[1].into()],
    }
    bench
}

/// A cache with old answers and then those of another view.
fn stale(view: View, ttl: u32, times: usize, then: View) -> Nameserver {
    let behaviour = Behaviour::ServesStale(Stale { view, ttl, times });
    Nameserver { behaviour, ..Nameserver::seeing(then) }
}

/// The names of the compared resolvers.
fn compared(outcome: &Outcome) -> Vec<&str> {
    let resolvers = outcome.observation.resolutions.iter().map(|seen| &seen.resolver);
    resolvers.filter(|resolver| **resolver != Resolver::System).map(Resolver::label).collect()
}

struct Case {
    name: &'static str,
    cache: Nameserver,
    upstream: Nameserver,
    known: &'static [Upstream],
    expected: &'static [&'static str],
    /// Parts of the first message.
    message: &'static [&'static str],
    /// A part of its remedy.
    remedy: &'static str,
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn cases() -> Vec<Case> {
    let private = Nameserver::default;
    let public = || Nameserver::seeing(View::NotLinked);
    let silent = || Nameserver::behaving(Behaviour::Silent);
    let old_address = || Nameserver::seeing(View::Addresses(vec![IpAddr::V4(Ipv4Addr::new(127, 0, 0, 99))]));
    let disagree = &["warn login dns resolvers_disagree", "warn data dns resolvers_disagree"];
    let both_stale = &["warn login dns node_cache_stale", "warn data dns node_cache_stale"];
    let case = |name, cache, upstream, known, expected| Case {
        name,
        cache,
        upstream,
        known,
        expected,
        message: &[],
        remedy: "",
    };
    vec![
        case("fresh answer", private(), private(), &ALL, &[]),
        // Every check after the TTL of 10 s sees this.
        case(
            "expired answer that is renewed",
            stale(View::Private, 0, 1, View::Private),
            private(),
            &ALL,
            &[],
        ),
        Case {
            message: &["AKS LocalDNS (127.0.0.1", "returned 20.45.122.144", "and a moment later 127.0.0.2"],
            remedy: "Check again",
            ..case(
                "old public answer, renewed",
                stale(View::NotLinked, 0, 1, View::Private),
                private(),
                &ALL,
                &["fail login address node_cache_stale"],
            )
        },
        Case {
            message: &["returns 20.45.122.144", "from its cache for up to 10 s, but", "which it forwards to"],
            remedy: "Restart AKS LocalDNS",
            ..case("old public answer", public(), private(), &KNOWN, &["fail login address node_cache_stale"])
        },
        Case {
            message: &["although it has expired"],
            remedy: "Restart AKS LocalDNS",
            ..case(
                "old public answer that has expired",
                stale(View::NotLinked, 0, usize::MAX, View::Private),
                private(),
                &KNOWN,
                &["fail login address node_cache_stale"],
            )
        },
        // The VNet may have other DNS servers: no claim about the cache.
        Case {
            message: &["(AKS LocalDNS, the DNS cache of the node) resolves", "20.45.122.144"],
            remedy: "Add a virtual network link",
            ..case(
                "public answer, upstream unknown",
                public(),
                private(),
                &UNKNOWN,
                &["fail login address private_zone_not_linked", "warn login dns resolvers_disagree"],
            )
        },
        Case {
            message: &["(azure) returned 20.45.122.144", "forwards to are not known"],
            remedy: "/etc/localdns",
            ..case("private answer, upstream unknown", private(), public(), &UNKNOWN, disagree)
        },
        Case {
            message: &["returned 127.0.0.2", "and a moment later 20.45.122.144"],
            remedy: "Check again",
            ..case(
                "old private answer, renewed",
                stale(View::Private, 0, 1, View::NotLinked),
                public(),
                &ALL,
                both_stale,
            )
        },
        Case {
            message: &["returns 127.0.0.2", "returns 20.45.122.144"],
            remedy: "Restart AKS LocalDNS",
            ..case("old private answer", private(), public(), &KNOWN, both_stale)
        },
        Case {
            message: &["returns no address for contoso."],
            remedy: "Restart AKS LocalDNS",
            ..case(
                "old denial",
                Nameserver::seeing(View::NoSuchName),
                private(),
                &KNOWN,
                &["fail login dns node_cache_stale"],
            )
        },
        Case {
            message: &["returned no address for contoso.", "and a moment later 127.0.0.2"],
            remedy: "Check again",
            ..case(
                "old denial, renewed",
                stale(View::RecordEmpty, 0, 1, View::Private),
                private(),
                &ALL,
                &["fail login dns node_cache_stale"],
            )
        },
        // The upstream agrees, or its own answer would not help.
        case(
            "denial that is right",
            Nameserver::seeing(View::RecordMissing),
            Nameserver::seeing(View::RecordMissing),
            &ALL,
            &["fail login dns private_record_missing"],
        ),
        case(
            "denial, and a public answer upstream",
            Nameserver::seeing(View::RecordMissing),
            public(),
            &KNOWN,
            &["fail login dns private_record_missing", "warn login dns resolvers_disagree"],
        ),
        Case {
            message: &["after the answer had expired, and did not renew it", "did not answer in time"],
            remedy: "Repair the DNS servers",
            ..case(
                "expired answer, silent upstream",
                stale(View::Private, 0, usize::MAX, View::Private),
                silent(),
                &ALL,
                both_stale,
            )
        },
        case("fresh answer, silent resolver of Azure", private(), silent(), &UNKNOWN, &[]),
        Case {
            message: &["The compared resolver", "did not answer in time", "no comparison was made"],
            remedy: "Repair the DNS servers that AKS LocalDNS forwards to",
            ..case("fresh answer, silent upstream", private(), silent(), &KNOWN, disagree)
        },
        // The cache has just renewed its answer there: the upstream does not answer all queries alike.
        case("split horizon", stale(View::Private, 0, 1, View::Private), public(), &KNOWN, disagree),
        Case {
            message: &["returns 127.0.0.99", "returns 127.0.0.2"],
            remedy: "Restart AKS LocalDNS",
            ..case(
                "address of a deleted endpoint",
                old_address(),
                private(),
                &KNOWN,
                &["fail login dns node_cache_stale", "fail login connect connect_refused"],
            )
        },
    ]
}

#[test]
fn old_answers_of_the_cache_are_the_cause_only_if_proven() {
    let check = |case: &Case, known: Upstream| {
        let outcome = bench(&case.cache, &case.upstream, known).check();
        assert_eq!(outcome.findings(), case.expected, "{}, {known:?}: {outcome:#?}", case.name);
        let label = if known == Upstream::Custom { "upstream" } else { "azure" };
        assert!(compared(&outcome).iter().all(|name| *name == label), "{}, {known:?}", case.name);
        for part in case.message {
            let message = &outcome.diagnoses[0].message;
            assert!(message.contains(part), "{}, {known:?}: {part:?} is not in {message:?}", case.name);
        }
        if let Some(diagnosis) = outcome.diagnoses.first() {
            assert!(diagnosis.remedy.contains(case.remedy), "{}, {known:?}: {diagnosis:?}", case.name);
            let restarts = diagnosis.commands.iter().any(|command| command.ends_with("restart localdns"));
            assert_eq!(
                restarts,
                case.remedy.starts_with("Restart"),
                "{}, {known:?}: {diagnosis:?}",
                case.name
            );
        }
    };
    let (cases, next) = (cases(), AtomicUsize::new(0));
    let work = || {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            case.known.iter().for_each(|known| check(case, *known));
        }
    };
    std::thread::scope(|scope| (0..SIDE_BY_SIDE).for_each(|_| drop(scope.spawn(work))));
}

#[test]
fn a_setting_of_the_operator_overrides_the_comparison() {
    let [public, private] = [Nameserver::seeing(View::NotLinked), Nameserver::default()];
    let mut bench = bench(&public, &private, Upstream::Azure);
    bench.task.resolvers.compares_node_cache = false;
    let outcome = bench.check();
    outcome.expect(&["fail login address private_zone_not_linked"]);
    assert_eq!(compared(&outcome), [""; 0]);
    bench.task.resolvers.compare = vec![("hub".to_owned(), bench.lab.nameservers()[1].into())];
    let outcome = bench.check();
    outcome.expect(&["fail login address node_cache_stale"]);
    assert_eq!(compared(&outcome), ["hub"]);
}

#[test]
fn upstreams_that_disagree_prove_nothing() {
    let mut bench = Bench::with(|settings| {
        let public = Nameserver::seeing(View::NotLinked);
        settings.nameservers = vec![Nameserver::default(), Nameserver::default(), public];
    });
    let servers = bench.lab.nameservers();
    bench.task.resolvers.system = SystemResolver::Servers(vec![servers[0].into()]);
    bench.task.resolvers.cache_upstreams = vec![servers[1].into(), servers[2].into()];
    bench.task.lab.local_dns = Some(servers[0]);
    let outcome = bench.check();
    outcome.expect(&["warn login dns resolvers_disagree", "warn data dns resolvers_disagree"]);
    assert_eq!(compared(&outcome), ["upstream", "upstream-2", "upstream", "upstream-2"]);
}

#[test]
fn nothing_is_compared_without_the_cache() {
    let mut bench = bench(&Nameserver::default(), &Nameserver::default(), Upstream::Azure);
    bench.task.lab.local_dns = None;
    let outcome = bench.check();
    outcome.expect(&[]);
    assert_eq!(Endpoint::ALL.map(|endpoint| outcome.comparisons.of(endpoint)), [Comparison::Nothing; 2]);
    assert_eq!(outcome.observation.node_cache, NodeCache::default());
}

#[test]
fn reports_name_the_cache() {
    let bench = bench(&Nameserver::default(), &Nameserver::default(), Upstream::Azure);
    let outcome = bench.check();
    let cache = bench.lab.nameservers()[0];
    let shown = outcome.shown(&bench);
    // The text, the page, and the JSON.
    assert!(shown.contains(&format!("{cache} (AKS LocalDNS)")), "{shown}");
    assert!(shown.contains(&format!("<strong>{cache} (AKS LocalDNS)</strong>")), "{shown}");
    assert!(shown.contains("\"nodeCache\": true"), "{shown}");
}
