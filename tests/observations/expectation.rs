//! Arbitrary expectations: ranges, exact addresses, and whether loopback is accepted.

use acr_verifier::address::{AddressPolicy, ExpectedAddresses};
use acr_verifier::rules::Expectation;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::moment;

/// The expectation that an observation is evaluated against.
pub(crate) fn expectation() -> impl Strategy<Value = Expectation> {
    let image = select(vec![
        "contoso.azurecr.io/apps/canary:1",
        "contoso-e7ggejfuhzhgedc8.azurecr.us:8443/apps/canary",
        "registry.example.net/app@sha256:0000000000000000000000000000000000000000000000000000000000000000",
    ]);
    let expected = vec(select(vec!["10.60.0.0/16", "fd00::/8", "20.0.0.0/8", "0.0.0.0/0"]), 0..3);
    (image, expected, exact(), any::<bool>(), moment()).prop_map(
        |(image, expected, exact, allow_loopback, now)| Expectation {
            image: image.parse().expect("a reference"),
            policy: AddressPolicy {
                expected: expected.iter().map(|range| range.parse().expect("a range")).collect(),
                exact,
                allow_loopback,
            },
            now,
        },
    )
}

/// Expected addresses of names that are queried, and of one that is not.
fn exact() -> impl Strategy<Value = ExpectedAddresses> {
    let name = select(vec![
        "contoso.azurecr.io",
        "contoso.westeurope.data.azurecr.io",
        "contoso.northeurope.data.azurecr.io",
        "registry.example.net",
    ]);
    let address = select(vec!["10.60.4.4", "10.60.4.5", "20.45.122.144", "fd00::4", "168.63.129.16"]);
    vec((name, address), 0..4).prop_map(|entries| {
        let mut exact = ExpectedAddresses::default();
        for (name, address) in entries {
            exact.add(name, address.parse().expect("an address")).expect("room for it");
        }
        exact
    })
}
