//! The path is correct, but the registry rejects the pull, with docker-registry's own errors.

use super::{Credentials, State, state};
use crate::node::Trusted;
use lab::Lab;
use lab::content::REPOSITORY;
use lab::settings::Grant;

/// The blob that a check reads: the configuration of this platform's image.
fn configuration(lab: &Lab) -> String {
    let manifest = lab.manifest("single");
    let manifest: serde_json::Value = serde_json::from_slice(&manifest.bytes).expect("a manifest is JSON");
    manifest["config"]["digest"].as_str().expect("a manifest names its configuration").to_owned()
}

pub(crate) fn states() -> Vec<State> {
    vec![
        State {
            credentials: Credentials::Wrong,
            ..state("wrong password").expects(&["fail login token credentials_rejected"])
        },
        State {
            endpoints: |settings| {
                settings.credentials.grant = Grant::Repositories(vec!["apps/other".to_owned()]);
            },
            ..state("token without the repository")
                .expects(&["fail login manifest scope_missing"])
                .naming(&[REPOSITORY])
        },
        State {
            image: |lab| lab.image_of(REPOSITORY, ":absent"),
            ..state("absent tag")
                .expects(&["fail login manifest manifest_not_found"])
                .naming(&["MANIFEST_UNKNOWN", "absent"])
        },
        State {
            image: |lab| lab.image_of(REPOSITORY, &format!("@sha256:{}", "0".repeat(64))),
            ..state("absent digest").expects(&["fail login manifest manifest_not_found"])
        },
        // docker-registry distinguishes a missing repository from a missing tag only in list requests.
        State {
            image: |lab| lab.image_of("apps/absent", ":1"),
            ..state("absent repository")
                .expects(&["fail login manifest manifest_not_found"])
                .naming(&["MANIFEST_UNKNOWN"])
        },
        State {
            image: |lab| lab.image_of(REPOSITORY, ":foreign"),
            ..state("no image for this platform").expects(&["fail login manifest platform_missing"])
        },
        State {
            image: |lab| lab.image_of(REPOSITORY, ":single"),
            lost: Some(configuration),
            ..state("blob lost by the storage").expects(&["fail data blob blob_not_found"])
        },
        State {
            frozen: true,
            ..state("docker-registry hangs")
                .silent()
                .impatient()
                .expects(&["fail login challenge response_timeout"])
        },
        State {
            trusted: Trusted::Nowhere,
            ..state("untrusted authority")
                .expects(&["fail login tls certificate_untrusted"])
                .naming(&[lab::ISSUING_CA])
        },
    ]
}
