//! A registry in three regions: each has its own data endpoint, and a pull gets its layers from one of them.

use super::{State, state};
use lab::answers::{RedirectFault, Target};
use lab::settings::Settings;
use support::namespaces::names::replica_records;

const WESTEUROPE: &str = "contoso.westeurope.data.azurecr.io";
const UKSOUTH: &str = "contoso.uksouth.data.azurecr.io";
const EASTUS2: &str = "contoso.eastus2.data.azurecr.io";

/// All three are configured, and each has its record.
fn three(name: &'static str) -> State {
    state(name).names(|names| names.records.extend(replica_records())).arguments(&[
        "--data-endpoint",
        WESTEUROPE,
        "--data-endpoint",
        UKSOUTH,
        "--data-endpoint",
        EASTUS2,
    ])
}

fn serve(settings: &mut Settings, region: &'static str) {
    settings.blob_redirect.answer = RedirectFault::Target(Target::Region(region)).into();
}

/// The DNS of a region that does not serve this pull affects the next one.
const SERVED_BY_ANOTHER: &str =
    "another region serves this pull; it would fail if the named region served it";

pub(crate) fn states() -> Vec<State> {
    vec![
        three("three regions, the first one serves")
            .blob_from(WESTEUROPE)
            .reports("/resolutions/1/host", WESTEUROPE)
            .reports("/resolutions/1/addresses", r#"["10.60.4.5"]"#)
            .reports("/resolutions/2/host", UKSOUTH)
            .reports("/resolutions/2/addresses", r#"["10.60.4.6"]"#)
            .reports("/resolutions/3/host", EASTUS2)
            .reports("/resolutions/3/addresses", r#"["10.60.4.7"]"#),
        three("three regions, the second one serves")
            .endpoints(|settings| serve(settings, "uksouth"))
            .blob_from(UKSOUTH),
        three("three regions, the third one serves")
            .endpoints(|settings| serve(settings, "eastus2"))
            .blob_from(EASTUS2),
        three("three regions, one that does not serve has no record")
            .names(|names| names.records.retain(|record| !record.contains("eastus2")))
            .expects(&["fail data dns private_record_missing"])
            .naming(&["contoso.eastus2.data.privatelink.azurecr.io", "NXDOMAIN"])
            .blob_from(WESTEUROPE)
            .differs(SERVED_BY_ANOTHER),
        three("three regions, the serving one has no record")
            .names(|names| names.records.retain(|record| !record.contains("uksouth")))
            .endpoints(|settings| serve(settings, "uksouth"))
            .expects(&["fail data dns private_record_missing"])
            .naming(&["contoso.uksouth.data.privatelink.azurecr.io"]),
        three("three regions, one that does not serve has another host's record")
            .names(|names| {
                names.records.retain(|record| !record.contains("uksouth"));
                names.records.push("contoso.uksouth.data 10 IN A 10.60.9.9".to_owned());
            })
            .arguments(&["--expect-cidr", "10.60.4.0/24"])
            .expects(&["fail data address unexpected_address"])
            .naming(&["10.60.9.9", UKSOUTH])
            .blob_from(WESTEUROPE)
            .differs(SERVED_BY_ANOTHER),
        // Without configured regions, the check evaluates the one that it is redirected to.
        state("three regions, none configured")
            .names(|names| names.records.extend(replica_records()))
            .endpoints(|settings| serve(settings, "eastus2"))
            .blob_from(EASTUS2),
    ]
}
