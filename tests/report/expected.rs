//! Samples of a private endpoint whose addresses are configured by name.

use acr_verifier::observation::{Endpoint, Rcode, Stage};
use acr_verifier::rules::Expectation;
use acr_verifier::run::ImageResult;

use super::samples::{DATA, LOGIN, address, answered, cname, healthy, stopped};

/// The private endpoint's addresses, as configured.
pub(crate) fn as_expected() -> ImageResult {
    let mut checked = healthy();
    for (name, address) in [(LOGIN, "10.60.4.4"), (DATA, "10.60.4.5"), (DATA, "10.61.4.5")] {
        checked.policy.exact.add(name, address.parse().expect("an address")).expect("room for it");
    }
    checked
}

/// The second nameserver has the data endpoint's address for the login server. The rules make the diagnoses.
pub(crate) fn swapped() -> ImageResult {
    let mut checked = as_expected();
    checked.observation = stopped(Endpoint::Login, Stage::Address);
    let private = "contoso.privatelink.azurecr.io";
    checked.observation.resolutions[1].a =
        answered(Rcode::NOERROR, vec![cname(LOGIN, private, 60), address(private, "10.60.4.5", 10)]);
    let now = "2026-11-23T02:06:00Z".parse().expect("a moment");
    let expectation = Expectation { image: checked.image.clone(), policy: checked.policy.clone(), now };
    checked.diagnoses = crate::observations::diagnose(&expectation, &checked.observation);
    checked
}
