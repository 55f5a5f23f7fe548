//! Working pulls, with and without warnings.

use super::{State, state};
use lab::Lab;
use lab::content::REPOSITORY;
use support::namespaces::network::{FORWARDER, PRIVATE_ZONE, UNUSED};

/// The full name of the lab's issuing CA.
const ISSUER: &str = "CN=Lab Azure TLS Issuing CA 01, O=acr-verifier lab";

/// The image by digest.
fn by_digest(lab: &Lab) -> String {
    lab.image_of(REPOSITORY, &format!("@{}", lab.digest("1")))
}

pub(crate) fn states() -> Vec<State> {
    vec![
        state("healthy, by tag")
            .reports("/resolutions/0/server", "10.60.0.10:53")
            .reports("/resolutions/0/rcode", "NOERROR")
            .reports("/resolutions/0/answers/0/value", "contoso.privatelink.azurecr.io.")
            .reports("/resolutions/0/addresses", r#"["10.60.4.4"]"#)
            .reports("/resolutions/1/addresses", r#"["10.60.4.5"]"#)
            .reports("/connection/tlsVersion", "TLSv1.3")
            .reports("/connection/certificateIssuer", ISSUER),
        State { image: by_digest, ..state("healthy, by digest") },
        State { image: |lab| lab.image_of(REPOSITORY, ":single"), ..state("healthy, one platform") },
        state("healthy, in the expected range").arguments(&["--expect-cidr", "10.60.4.0/24", "--strict"]),
        state("healthy, Azure's resolver agrees").arguments(&[
            "--compare-resolver",
            "azure=168.63.129.16",
            "--strict",
        ]),
        // It only serves the private zone, and answers REFUSED for the public name.
        state("healthy, compared with the zone's authoritative server")
            .arguments(&["--compare-resolver", "azure=10.60.0.11"])
            .expects(&["warn login dns resolvers_disagree", "warn data dns resolvers_disagree"])
            .naming(&["10.60.0.11"]),
        State {
            nameservers: vec![FORWARDER, UNUSED],
            ..state("second nameserver drops")
                .arriving("ip daddr 10.60.0.12 drop")
                .impatient()
                .expects(&["warn login dns nameserver_failing", "warn data dns nameserver_failing"])
                .naming(&["10.60.0.12 did not answer in time"])
        },
        State {
            nameservers: vec![FORWARDER, UNUSED],
            ..state("second nameserver is a closed port")
                .impatient()
                .expects(&["warn login dns nameserver_failing", "warn data dns nameserver_failing"])
                .naming(&["10.60.0.12"])
        },
        State {
            nameservers: vec![FORWARDER, PRIVATE_ZONE],
            ..state("second nameserver is not a resolver")
                .expects(&["warn login dns nameserver_failing", "warn data dns nameserver_failing"])
                .naming(&["10.60.0.11 returned REFUSED"])
        },
    ]
}
